//! What a picture says in words: below its title, and to those who do not see it.

use flagmeter_model::Timestamp;

use super::{
    scene::{Scene, Shown},
    text::{grouped, isolated},
};
use crate::{
    answer::Known,
    civil::{self, Resolution},
};

/// So many spans of a state are told one by one.
const SPANS_MAX: usize = 5;
/// Up to so many buckets are told one by one.
const BUCKETS_MAX: usize = 31;

/// Words of ours at the beginning of a line.
pub(super) fn capital(mut words: String) -> String {
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// The total, and what it is worth.
pub(super) fn total(scene: &Scene) -> String {
    let Some(total) = scene.total else {
        let is_to_come = scene.states.iter().all(|state| *state == Shown::ToCome);
        return capital((if is_to_come { Shown::ToCome } else { Shown::Unknown }).words().to_owned());
    };
    let meter = if total == 1 { scene.meter.trim_end_matches('s') } else { scene.meter };
    let total = grouped(total);
    match scene.state {
        Known::Complete => format!("{total} {meter}"),
        Known::Open => format!("{total} {meter} so far"),
        Known::Partial | Known::Unknown => format!("at least {total} {meter}: not all is known"),
    }
}

/// The range with its zone.
pub(super) fn range(scene: &Scene) -> String {
    let (from, to) = scene.range();
    let last = civil::local(scene.zone, to.plus_millis(-1));
    let zone = scene.zone.name();
    let of_dates = |format: &str| {
        let (from, last) =
            (civil::local(scene.zone, from).format(format).to_string(), last.format(format).to_string());
        if from == last { format!("{from}, {zone}") } else { format!("{from} – {last}, {zone}") }
    };
    match scene.resolution {
        Resolution::Month => of_dates("%b %Y"),
        Resolution::Day => of_dates("%-d %b %Y"),
        _ => {
            let (from, to) = (civil::local(scene.zone, from), civil::local(scene.zone, to));
            let clock = if scene.resolution == Resolution::Slot { "%H:%M:%S" } else { "%H:%M" };
            let end = if from.date() == to.date() { clock.to_owned() } else { format!("%-d %b %Y, {clock}") };
            let start = format!("%-d %b %Y, {clock}");
            let (from, to) = (from.format(&start), to.format(&end));
            format!("{from} – {to}, {zone}")
        }
    }
}

/// An instant.
pub(super) fn moment(scene: &Scene, at: Timestamp) -> String {
    let format = match scene.resolution {
        Resolution::Month => "%b %Y",
        Resolution::Day => "%-d %b",
        Resolution::Slot => "%-d %b, %H:%M:%S",
        _ => "%-d %b, %H:%M",
    };
    civil::local(scene.zone, at).format(format).to_string()
}

/// What stands below a picture: until when all is in, and what is missing for good reasons.
pub(super) fn notes(scene: &Scene) -> Vec<String> {
    let mut notes = Vec::new();
    let (from, to) = scene.range();
    match scene.complete_until {
        None => notes.push("Nothing has been counted yet.".into()),
        Some(until) if until < to => {
            let format = if until < from { "%-d %b %Y, %H:%M:%S" } else { "%-d %b, %H:%M:%S" };
            notes.push(format!("All is in until {}.", civil::local(scene.zone, until).format(format)));
        }
        Some(_) => {}
    }
    match scene.missing_nodes {
        0 => {}
        1 => notes.push("1 node is silent: what it received is missing.".into()),
        silent => notes.push(format!("{silent} nodes are silent: what they received is missing.")),
    }
    if scene.is_beyond_retention {
        let resolution = resolution(scene.resolution);
        notes.push(format!(
            "Part of it is no longer kept by {resolution}: a coarser resolution may still tell."
        ));
    }
    notes.extend(scene.marked.note());
    notes
}

/// All of it for those who do not see it: the numbers in full.
pub(super) fn description(scene: &Scene) -> String {
    let mut sentences = vec![format!("{}, by {}.", range(scene), resolution(scene.resolution))];
    sentences.push(format!("Total: {}.", total(scene)));
    if scene.is_compared {
        let before = scene.before.map_or_else(|| "not known".into(), grouped);
        sentences.push(format!("The period before: {before}."));
    }
    if scene.is_grouped {
        for line in &scene.lines {
            let total = line.total.map_or_else(|| "not known".into(), grouped);
            sentences.push(format!("{}: {total}.", isolated(&line.name)));
        }
    }
    let sums = (0..scene.states.len()).filter_map(|at| Some((at, scene.sum(at)?)));
    let highest = sums.max_by_key(|(at, sum)| (*sum, std::cmp::Reverse(*at)));
    if let Some((at, sum)) = highest.filter(|(_, sum)| *sum > 0) {
        sentences.push(format!("Highest: {} at {}.", grouped(sum), moment(scene, scene.span((at, at)).0)));
    }
    for state in [Shown::Unknown, Shown::Partial, Shown::Open, Shown::ToCome] {
        sentences.extend(spans(scene, state));
    }
    if scene.states.len() <= BUCKETS_MAX {
        let each = (0..scene.states.len()).map(|at| bucket(scene, at));
        sentences.push(format!("One by one: {}.", each.collect::<Vec<_>>().join("; ")));
    }
    sentences.extend(scene.marked.marks.iter().map(|mark| format!("{}.", mark.words(scene.zone))));
    sentences.extend(notes(scene));
    sentences.join(" ")
}

/// When a state holds.
fn spans(scene: &Scene, state: Shown) -> Option<String> {
    let runs = scene.runs(state);
    let mut told: Vec<_> = runs
        .iter()
        .take(SPANS_MAX)
        .map(|run| {
            let (from, to) = scene.span(*run);
            format!("from {} to {}", moment(scene, from), moment(scene, to))
        })
        .collect();
    if runs.len() > SPANS_MAX {
        told.push(format!("and {} times more", runs.len() - SPANS_MAX));
    }
    let words = capital(state.words().to_owned());
    (!told.is_empty()).then(|| format!("{words}: {}.", told.join(", ")))
}

/// A bucket with its count and what that is worth.
pub(super) fn bucket(scene: &Scene, at: usize) -> String {
    let start = moment(scene, scene.span((at, at)).0);
    let state = scene.states.get(at).copied().unwrap_or(Shown::Unknown);
    match (scene.sum(at), state) {
        (Some(sum), Shown::Complete) => format!("{start}: {}", grouped(sum)),
        (Some(sum), state) => format!("{start}: {} ({})", grouped(sum), state.words()),
        (None, state) => format!("{start}: {}", state.words()),
    }
}

const fn resolution(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Slot => "10 seconds",
        Resolution::Minute => "minute",
        Resolution::Quarter => "15 minutes",
        Resolution::Hour => "hour",
        Resolution::Day => "day",
        Resolution::Month => "month",
    }
}
