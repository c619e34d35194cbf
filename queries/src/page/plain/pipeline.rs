//! The way of a count: a box for each stage, and how it goes there by shape, word and figures.

use maud::{Markup, html};

use super::words;
use crate::{
    chart::text::grouped,
    operator::pipeline::{
        Pipeline,
        figure::{Figure, Name},
        stage::{Stage, StageState},
    },
};

/// All stages, and in a sentence how it goes in all.
pub(super) fn way(pipeline: &Pipeline) -> Markup {
    html! {
        h2 { "The way of a count" }
        p.verdict { strong { (verdict(&pipeline.stages)) } " Told at " (words::moment(&pipeline.at)) "." }
        ol.stages { @for stage in &pipeline.stages { (stage_box(stage)) } }
    }
}

fn stage_box(stage: &Stage) -> Markup {
    let (class, word) = named(stage.state);
    let mut figures = stage.figures.iter().filter_map(shown);
    html! {
        li class={ "stage " (class) } {
            (arrow())
            h3 { (stage.title) " " span.at { (sign(stage.state)) (word) } }
            @if let Some(says) = &stage.says { p.says { (says) } }
            dl {
                @if let Some((label, value)) = figures.next() { div.main { dt { (label) } dd { (value) } } }
                @for (label, value) in figures { div { dt { (label) } dd { (value) } } }
            }
        }
    }
}

/// The class of a state, and its word.
const fn named(state: StageState) -> (&'static str, &'static str) {
    match state {
        StageState::Ok => ("ok", "ok"),
        StageState::Late => ("late", "late"),
        StageState::Stuck => ("stuck", "stuck"),
        StageState::Unknown => ("not-known", "not known"),
    }
}

/// The first stage that is not as it should be is the one to look at.
fn verdict(stages: &[Stage]) -> String {
    let titles = |states: &[StageState]| {
        let of = stages.iter().filter(|stage| states.contains(&stage.state));
        of.map(|stage| (stage.title.to_lowercase(), named(stage.state).1)).collect::<Vec<_>>()
    };
    let wrong = titles(&[StageState::Late, StageState::Stuck]);
    if let Some((title, state)) = wrong.first() {
        let more = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more after it"),
        };
        return format!("Look at {title}: {state}{more}.");
    }
    let unknown: Vec<_> = titles(&[StageState::Unknown]).into_iter().map(|(title, _)| title).collect();
    if unknown.is_empty() {
        "All is as it should be.".to_owned()
    } else {
        format!("Nothing is late. Not known: {}.", unknown.join(", "))
    }
}

/// A figure as a term and what is known of it.
fn shown(figure: &Figure) -> Option<(&'static str, Markup)> {
    let known = |value: Option<String>| html! { @match value { Some(value) => (value), None => (words::count(None)) } };
    Some(match figure {
        // The first of none is no instant, which does not mean that it is not known.
        Figure::Time { name: Name::DirtyFirst, value: None, .. } => return None,
        Figure::Time { label, value: Some(at), .. } => (label, words::moment(at)),
        Figure::Time { label, value: None, .. } => (label, known(None)),
        Figure::Count { label, value, .. } => (label, known(value.map(grouped))),
        Figure::PerSecond { label, value, .. } => (label, words::rate(*value)),
        Figure::Seconds { label, value, .. } => (label, known(value.map(words::duration))),
        Figure::Node { label, value, .. } => (label, known(value.map(|node| format!("node {node}")))),
    })
}

/// The sign of a state, beside which its word stands: shapes differ as much as colours do.
fn sign(state: StageState) -> Markup {
    let (shape, mark) = match state {
        StageState::Ok => ("M8 1a7 7 0 1 0 0 14A7 7 0 1 0 8 1z", "M4.6 8.3 7 10.7l4.4-5"),
        StageState::Late => ("M8 1.2 15.4 14.6H.6z", "M8 5.6v4.2M8 12v.1"),
        StageState::Stuck => ("M1.5 1.5h13v13h-13z", "M5 5l6 6M11 5l-6 6"),
        StageState::Unknown => ("M8 .6 15.4 8 8 15.4.6 8z", "M8 8h.1"),
    };
    html! {
        svg.sign viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" focusable="false" {
            path.shape d=(shape) {}
            path.mark d=(mark) {}
        }
    }
}

/// The arrow that leads to a stage.
fn arrow() -> Markup {
    html! {
        svg.way viewBox="0 0 32 12" width="32" height="12" aria-hidden="true" focusable="false" {
            path.line d="M0 6h26" {}
            path.tip d="M24 1.5 31 6l-7 4.5z" {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::pipeline::stage::StageId;

    fn stage(title: &'static str, state: StageState) -> Stage {
        Stage { id: StageId::Log, title, state, says: None, figures: Vec::new() }
    }

    #[test]
    fn the_first_stage_that_is_late_is_the_one_to_look_at() {
        use StageState::{Late, Ok, Stuck, Unknown};
        let said = |states: &[StageState]| {
            let titles = ["Edges", "Log", "Ingest"];
            let stages: Vec<_> =
                titles.into_iter().zip(states).map(|(title, state)| stage(title, *state)).collect();
            verdict(&stages)
        };
        assert_eq!(said(&[Ok, Ok, Ok]), "All is as it should be.");
        assert_eq!(said(&[Unknown, Late, Stuck]), "Look at log: late, and 1 more after it.");
        assert_eq!(said(&[Ok, Ok, Stuck]), "Look at ingest: stuck.");
        assert_eq!(said(&[Unknown, Ok, Unknown]), "Nothing is late. Not known: edges, ingest.");
    }

    #[test]
    fn a_sign_has_its_mark_beside_its_shape() {
        // Left open, a path would take the next one in, and nobody would see that.
        for picture in [sign(StageState::Stuck).into_string(), arrow().into_string()] {
            assert_eq!(
                (picture.matches("<path ").count(), picture.matches("></path>").count()),
                (2, 2),
                "{picture}"
            );
        }
    }

    #[test]
    fn a_figure_has_its_unit_and_is_never_a_number_where_it_is_not_known() {
        let of = |figure: &Figure| shown(figure).map(|(_, value)| value.into_string());
        let second = Figure::Seconds { name: Name::CompleteBehind, label: "behind", value: Some(72.4) };
        assert_eq!(of(&second).unwrap(), "72 s");
        let node = Figure::Node { name: Name::FurthestNode, label: "furthest behind", value: Some(3) };
        assert_eq!(of(&node).unwrap(), "node 3");
        let rate =
            Figure::PerSecond { name: Name::ReceivedPerSecond, label: "received per second", value: None };
        assert!(of(&rate).unwrap().contains("not known"));
        let first = Figure::Time { name: Name::DirtyFirst, label: "first of them", value: None };
        assert_eq!(of(&first), None);
        let until = Figure::Time { name: Name::MinutesUntil, label: "minutes whole until", value: None };
        assert!(of(&until).unwrap().contains("not known"));
    }
}
