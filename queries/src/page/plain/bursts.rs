//! The bursts and drops that a picture marks, as a table.

use chrono_tz::Tz;
use flagmeter_ledger::{AlertKind, Episode};
use flagmeter_model::{Name, Timestamp};
use maud::{Markup, html};

use super::{
    table::{heads, heads_of_numbers, table},
    words,
};
use crate::{
    access::Principal,
    bursts::marks::{MARKS_MAX, Marks},
    chart, civil,
};

/// What is marked; nothing where there is nothing.
pub(super) fn marked(principal: &Principal, marks: &Marks, tz: &str) -> Markup {
    // It is the name of the zone that was answered in.
    let zone = tz.parse().unwrap_or(Tz::UTC);
    let is_own = principal.customer().is_some();
    let mut columns = heads(&["What", "Of", "From", "Until", "How far"]);
    columns.extend(heads_of_numbers(&["Expected a minute"]));
    let rows = html! { @for episode in marks.episodes.iter().rev() { (row(episode, zone, is_own)) } };
    let caption = html! {
        "Bursts and drops, " (tz) ", the latest first"
        @if marks.more { ". The last " (MARKS_MAX) ": the others are in /v1/bursts, with a limit" }
    };
    html! {
        @if marks.are_unknown || !marks.episodes.is_empty() { h2 { "Out of the ordinary" } }
        @if marks.are_unknown {
            p.warning { "Bursts and drops could not be read: none is marked, and there may be some." }
        }
        @if !marks.episodes.is_empty() { (table(&caption, &columns, &rows)) }
    }
}

fn row(episode: &Episode, zone: Tz, is_own: bool) -> Markup {
    let alerted = &episode.began.alerted;
    let (class, what) =
        if alerted.kind == AlertKind::Burst { ("partial", "▲ burst") } else { ("unknown", "▼ drop") };
    let moment = |at: Timestamp| words::moment(&civil::rfc3339(zone, at));
    html! {
        tr {
            th scope="row" {
                a href={ (episode.last().chart()) "&plain=1" } {
                    span class={ "state " (class) } {
                        (what)
                        @if alerted.is_learning { ", still learning" }
                        @if episode.began.muted.is_some() { ", muted" }
                    }
                }
            }
            td { (of(episode, is_own)) }
            td { (moment(alerted.since)) }
            td { @match episode.until() { Some(until) => (moment(until)), None => "it goes on" } }
            td { (chart::how_far(alerted.kind, episode.percent())) " what is expected" }
            td.number { (chart::text::grouped(alerted.low)) " – " (chart::text::grouped(alerted.high)) }
        }
    }
}

/// What it is of, from the largest to the smallest; to a customer its own name says nothing.
fn of(episode: &Episode, is_own: bool) -> Markup {
    let of = &episode.began.alerted.of;
    let customer = (!is_own).then(|| of.customer());
    let names: Vec<&Name> =
        [customer, of.project(), of.environment(), of.flag()].into_iter().flatten().collect();
    html! {
        @if names.is_empty() { "all of it" }
        @for (place, name) in names.into_iter().enumerate() {
            @if place > 0 { " › " }
            (words::name(name))
        }
    }
}
