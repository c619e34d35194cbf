//! Operators: the way of a count, whose traffic is large or changes, the nodes, and what became of all that arrived.

use std::sync::Arc;

use axum::http::request::Parts;
use flagmeter_model::Timestamp;
use maud::{Markup, html};

use super::{
    customers, fields,
    layout::{self, Shown},
    order::Names,
    pipeline::way,
    table::{heads, heads_of_numbers, table},
    view::View,
    words,
};
use crate::{
    App, Result,
    access::Principal,
    operator::{
        bursts::{self, Bursts, ToldAlert},
        mutes::{self, Mutes, ToldMute},
        nodes::{self, Nodes, Standing},
        pipeline::{self, Pipeline},
        top::{self, Top},
    },
    parameters::name,
    reconcile::{self, Fates, Reconcile},
};

/// The customers that are told one by one.
const TOP: &str = "20";
/// The bursts and drops that are told one by one.
const BURSTS: &str = "100";
/// The mutes that are asked for: as many as may be in force or to come.
const MUTES: &str = "1000";
/// Rows of a table at most.
const ROWS_MAX: usize = 200;
/// What is asked of customers' rates alone. Of all else it is always now.
const OF_TOP: &[&str] = &[name::FROM, name::TO, name::BY, name::WINDOW, name::LIMIT, name::METER];

struct Answer {
    pipeline: Pipeline,
    bursts: Result<Bursts>,
    mutes: Result<Vec<ToldMute>>,
    top: Result<Top>,
    nodes: Result<Nodes>,
    fates: Result<Reconcile>,
}

/// The view.
pub(super) async fn show(app: &Arc<App>, principal: &Principal, view: &View, parts: &Parts) -> Shown {
    if let Err(error) = principal.only_operators("this page") {
        return Shown::refused(view, "Operators", &error);
    }
    let form = html! {
        form.ask method="get" action="/operators" {
            (fields::hidden(view, &[super::view::SORT, name::WINDOW, name::LIMIT, name::METER]))
            div.fields { (fields::text(view, name::TZ, "Time zone", app.zone_of(principal).name())) }
            div.actions { button type="submit" { "Show" } }
        }
    };
    let names = Names::of(&parts.headers);
    let now = app.clock.now();
    let answer = answer(app, principal, view).await;
    Shown::new(view, "Operators", &form, answer.map(|answer| shown(view, answer, &names, now)))
}

async fn answer(app: &Arc<App>, principal: &Principal, view: &View) -> Result<Answer> {
    let (pipeline, _room) =
        pipeline::answer(app, principal, &view.parameters(OF_TOP, &[], pipeline::KNOWN)?).await?;
    let going_on = [(name::ACTIVE, "true"), (name::LIMIT, BURSTS)];
    let parameters = view.parameters(&[OF_TOP, &[name::TZ]].concat(), &going_on, bursts::KNOWN)?;
    let bursts = in_its_place(bursts::answer(app, principal, &parameters).await)?;
    let mutes = not_over(app, principal, view).await?;
    let mut more = vec![(name::BY, customers::asked_by(customers::sort(view)))];
    if view.value(name::LIMIT).is_none() {
        more.push((name::LIMIT, TOP));
    }
    let parameters = view.parameters(&[name::FROM, name::TO, name::BY], &more, top::KNOWN)?;
    let top = in_its_place(top::answer(app, principal, &parameters).await)?;
    let parameters = view.parameters(OF_TOP, &[], nodes::KNOWN)?;
    let nodes = in_its_place(nodes::answer(app, principal, &parameters).await)?;
    let parameters = view.parameters(OF_TOP, &[], reconcile::KNOWN)?;
    let fates = in_its_place(reconcile::answer(app, principal, &parameters).await)?;
    Ok(Answer { pipeline, bursts, mutes, top, nodes, fates })
}

/// The mutes in force and those to come. One that begins in between is in both answers, and counts as in force.
async fn not_over(app: &App, principal: &Principal, view: &View) -> Result<Result<Vec<ToldMute>>> {
    let mut found: Vec<ToldMute> = Vec::new();
    for state in ["planned", "active"] {
        let asked = [(name::LIMIT, MUTES), (name::STATE, state)];
        let parameters = view.parameters(&[OF_TOP, &[name::TZ]].concat(), &asked, mutes::KNOWN)?;
        match in_its_place(mutes::answer(app, principal, &parameters).await)? {
            Ok(Mutes { mutes, .. }) => {
                found.retain(|known| mutes.iter().all(|mute| mute.id != known.id));
                found.extend(mutes);
            }
            Err(error) => return Ok(Err(error)),
        }
    }
    Ok(Ok(found))
}

/// What is not answered at the moment hides nothing else: least of all the way, which says what is wrong.
fn in_its_place<A, R>(answer: Result<(A, R)>) -> Result<Result<A>> {
    match answer {
        Ok((answer, _room)) => Ok(Ok(answer)),
        Err(error) if error.is_retryable() => Ok(Err(error)),
        Err(error) => Err(error),
    }
}

fn shown(view: &View, answer: Answer, names: &Names, now: Timestamp) -> Markup {
    let Answer { pipeline, bursts, mutes, top, nodes, fates } = answer;
    let known = mutes.as_deref().unwrap_or_default();
    let missing = top.as_ref().map_or(&[][..], |top| top.missing_nodes.as_slice());
    html! {
        (way(&pipeline))
        section.summary aria-label="In short" {
            (words::completeness(pipeline.complete_until.as_deref(), missing))
        }
        @match bursts {
            Ok(bursts) => (out_of_the_ordinary(&bursts, known, now)),
            Err(error) => { h2 { "Out of the ordinary" } (layout::why(&error)) },
        }
        @match &mutes {
            Ok(mutes) => (planned(mutes)),
            Err(error) => { h2 { "Planned mutes" } (layout::why(error)) },
        }
        @match top {
            Ok(mut top) => (customers::customers(view, customers::sort(view), &mut top, names)),
            Err(error) => { h2 { "Customers" } (layout::why(&error)) },
        }
        @match nodes {
            Ok(nodes) => (edges(&nodes, now)),
            Err(error) => { h2 { "Nodes" } (layout::why(&error)) },
        }
        @match fates {
            Ok(fates) => (fates_of_all(&fates)),
            Err(error) => { h2 { "Fates" } (layout::why(&error)) },
        }
    }
}

fn out_of_the_ordinary(bursts: &Bursts, mutes: &[ToldMute], now: Timestamp) -> Markup {
    let mut columns = heads(&["Of", "What", "Since"]);
    columns.extend(heads_of_numbers(&["A minute", "Expected", "Times", "In all"]));
    columns.extend(heads(&["Most of it from"]));
    let rows = html! { @for alert in bursts.alerts.iter().rev() { (burst(alert, mutes, now)) } };
    let caption = html! {
        "Bursts and drops that are not over, as they were told"
        @if bursts.more { ". There are more: they are in /v1/operator/bursts" }
    };
    html! {
        h2 { "Out of the ordinary" }
        @if bursts.alerts.is_empty() && !bursts.more { p { "Nothing is out of the ordinary." } }
        @else { (table(&caption, &columns, &rows)) }
    }
}

fn burst(alert: &ToldAlert, mutes: &[ToldMute], now: Timestamp) -> Markup {
    let quiet = alert.muted.as_ref().map(|id| mutes.iter().find(|mute| mute.id == *id));
    let (class, beyond) = if alert.kind == "burst" { ("partial", "more") } else { ("unknown", "missing") };
    let parts = [&alert.project, &alert.environment, &alert.flag];
    let who = parts.into_iter().flatten();
    let by = alert.contributors.first().map(|part| part.by);
    html! {
        tr {
            th scope="row" {
                a href={ (alert.chart) "&plain=1" } {
                    (words::name(&alert.customer))
                    @for one in who { " › " (words::name(one)) }
                }
            }
            td {
                span class={ "state " (class) } { (alert.kind) @if alert.learning { ", still learning" } }
                @match quiet {
                    None => {},
                    Some(None) => ", muted",
                    Some(Some(mute)) => {
                        ", muted until " (words::moment(&mute.until)) ": " (words::name(&mute.reason))
                    },
                }
            }
            td { (words::moment(&alert.since)) " (" (words::behind(&alert.since, now)) " ago)" }
            td.number { @match &alert.observed { Some(observed) => (words::digits(observed)), None => "not known" } }
            td.number { (words::digits(&alert.low)) " – " (words::digits(&alert.high)) }
            td.number { @match alert.ratio { Some(ratio) => { (ratio) " ×" }, None => "–" } }
            td.number { (words::digits(&alert.excess)) " " (beyond) }
            td {
                @for (place, part) in alert.contributors.iter().filter(|part| Some(part.by) == by).take(3).enumerate() {
                    @if place > 0 { ", " }
                    @match &part.name { Some(name) => (words::name(name)), None => "those without a name" }
                }
            }
        }
    }
}

/// Those in force, and then those to come.
fn planned(mutes: &[ToldMute]) -> Markup {
    let columns = heads(&["Of", "State", "From", "Until", "Why", "Made by"]);
    let of_state = |state: &str| mutes.iter().filter(|mute| mute.state == state).rev().collect::<Vec<_>>();
    let (active, to_come) = (of_state("active"), of_state("planned"));
    let row = |mute: &ToldMute| {
        let parts = [&mute.project, &mute.environment];
        let (class, state) =
            if mute.state == "active" { ("partial", "in force") } else { ("open", "to come") };
        html! {
            tr {
                th scope="row" {
                    (words::name(&mute.customer))
                    @for one in parts.into_iter().flatten() { " › " (words::name(one)) }
                }
                td { span class={ "state " (class) } { (state) } }
                td { (words::moment(&mute.from)) }
                td { (words::moment(&mute.until)) }
                td { (words::name(&mute.reason)) }
                td { (words::name(&mute.made_by)) }
            }
        }
    };
    let rows = html! { @for mute in active.iter().chain(&to_come).take(ROWS_MAX) { (row(mute)) } };
    let caption = html! {
        "What is out of the ordinary meanwhile is kept and shown, and nobody is told"
        @if active.len() + to_come.len() > ROWS_MAX { ". There are more: they are in /v1/operator/mutes" }
    };
    html! {
        h2 { "Planned mutes" }
        @if active.is_empty() && to_come.is_empty() { p { "Nothing is muted, and nothing is going to be." } }
        @else { (table(&caption, &columns, &rows)) }
    }
}

fn edges(nodes: &Nodes, now: Timestamp) -> Markup {
    let mut columns = heads(&["Node", "Region", "State", "Has handed on all before"]);
    columns.extend(heads_of_numbers(&["Behind"]));
    columns.extend(heads(&["Heard at"]));
    let rows = html! {
        @for node in nodes.nodes.iter().take(ROWS_MAX) {
            tr {
                th scope="row" { (node.node) }
                td { @match &node.region { Some(region) => (words::name(region)), None => "not said" } }
                td {
                    @match node.state {
                        Standing::Live => span.state.complete { "live" },
                        Standing::Missing => span.state.unknown { "missing: silent without a good-bye" },
                        Standing::Stopped => span.state.open { "stopped in good order" },
                    }
                }
                td { (words::moment(&node.watermark)) }
                td.number {
                    @match node.state { Standing::Stopped => "–", _ => (words::behind(&node.watermark, now)) }
                }
                td { (words::moment(&node.heard_at)) }
            }
        }
    };
    let caption = html! {
        "The edge nodes that were ever heard"
        @if nodes.nodes.len() > ROWS_MAX {
            ". " (ROWS_MAX) " of " (nodes.nodes.len()) ": the others are in /v1/operator/nodes"
        }
    };
    html! {
        h2 { "Nodes" }
        @if nodes.nodes.is_empty() { p { "No node was ever heard." } } @else { (table(&caption, &columns, &rows)) }
    }
}

fn fates_of_all(fates: &Reconcile) -> Markup {
    let mut columns = heads(&["Customer"]);
    columns.extend(heads_of_numbers(&["Received", "Stored", "Duplicate", "Rejected", "In flight"]));
    columns.extend(heads(&["Balance"]));
    let rows = html! { @for row in fates.rows.iter().take(ROWS_MAX) { (fates_of(row, fates.settled)) } };
    let caption = html! {
        "What became of all that ever arrived: received = stored + duplicate + rejected + in flight, to the last count"
        @if fates.rows.len() > ROWS_MAX {
            ". " (ROWS_MAX) " of " (fates.rows.len()) " customers: the others are in /v1/reconcile"
        }
    };
    html! {
        h2 { "Fates" }
        @if !fates.settled {
            p.warning { "More came in while this was read: the numbers are of slightly different moments." }
        }
        @match &fates.dead_letters {
            Some(dead) if dead.records == 0 => p { "No record is among the dead letters." },
            Some(dead) => p.warning {
                (words::count(Some(dead.records))) " records could not be stored, with "
                (words::count(Some(dead.counts))) " counts known to be in them: they are among the dead letters."
            },
            None => p { "How many records could not be stored is not known here." },
        }
        (table(&caption, &columns, &rows))
    }
}

fn fates_of(row: &Fates, settled: bool) -> Markup {
    let (class, words) = balance(row, settled);
    html! {
        tr {
            th scope="row" { (words::name(&row.customer)) }
            td.number { (words::count(Some(row.received))) }
            td.number { (words::count(Some(row.stored.total))) }
            td.number { (words::count(Some(row.duplicate))) }
            td.number {
                (words::count(Some(row.rejected.total)))
                @for (reason, count) in &row.rejected.by_reason {
                    br; small { (words::name(reason)) ": " (words::count(Some(*count))) }
                }
            }
            td.number { (words::count(row.in_flight)) }
            td { span class={ "state " (class) } { (words) } }
        }
    }
}

/// Whether it comes out even, in words.
fn balance(row: &Fates, settled: bool) -> (&'static str, String) {
    match row.balanced {
        Some(true) => ("complete", "balanced".to_owned()),
        Some(false) => ("partial", format!("differs by {}", words::signed(row.difference))),
        None if !settled => ("open", "read while counts came in".to_owned()),
        None if row.in_flight.is_none() => ("open", "in flight is not known here".to_owned()),
        None => ("open", "open while counts are in flight".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    #[test]
    fn what_is_not_answered_at_the_moment_hides_nothing_else() {
        let busy = in_its_place::<(), ()>(Err(Error::Busy { at_once: 1 }));
        assert!(matches!(busy, Ok(Err(Error::Busy { .. }))));
        let wrong = in_its_place::<(), ()>(Err(Error::parameter(name::WINDOW, "It is none.")));
        assert!(wrong.is_err());
        assert!(matches!(in_its_place(Ok((3, ()))), Ok(Ok(3))));
    }
}
