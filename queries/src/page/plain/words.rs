//! How numbers, times and states are said on a page.

use flagmeter_model::Timestamp;
use maud::{Markup, html};

use crate::{
    answer::{Known, Missing},
    chart::text::grouped,
};

/// A number in full, or that it is not known: never a zero for what nobody knows.
pub(super) fn count(count: Option<u64>) -> Markup {
    html! {
        @match count {
            Some(count) => (grouped(count)),
            None => span.unknown { "not known" },
        }
    }
}

/// Decimal digits of ours in groups of three.
pub(super) fn digits(text: &str) -> String {
    text.parse().map_or_else(|_| text.to_owned(), grouped)
}

/// A number that may be less than none.
pub(super) fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    sign.to_owned() + &grouped(number.unsigned_abs())
}

/// Counts per second.
pub(super) fn rate(per_second: Option<f64>) -> Markup {
    html! { @match per_second { Some(rate) => (per_second_in_words(rate)), None => (count(None)) } }
}

/// By how many a second it is more, or less.
pub(super) fn more_or_less(per_second: Option<f64>) -> String {
    per_second.map_or_else(
        || "–".into(),
        |difference| {
            let sign = if difference > 0.0 {
                "+"
            } else if difference < 0.0 {
                "−"
            } else {
                ""
            };
            sign.to_owned() + &per_second_in_words(difference.abs())
        },
    )
}

fn per_second_in_words(rate: f64) -> String {
    if rate < 100.0 {
        return few(rate) + "/s";
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a cast to an integer saturates"
    )]
    let whole = rate.round() as u64;
    grouped(whole) + "/s"
}

/// A number with a place after the point, where there is one.
fn few(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A length of time in the unit that fits.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        ..0.001 => "< 1 ms".to_owned(),
        ..0.1 => format!("{:.0} ms", seconds * 1_000.0),
        ..10.0 => few(seconds) + " s",
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        ..172_800.0 => few(seconds / 3_600.0) + " h",
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// How far an instant of the API's is behind.
pub(super) fn behind(rfc3339: &str, now: Timestamp) -> String {
    let Ok(at) = Timestamp::parse_rfc3339(rfc3339) else { return "–".into() };
    #[expect(clippy::cast_precision_loss, reason = "to the millisecond for as long as there are computers")]
    let seconds = now.millis_since(at).max(0) as f64 / 1_000.0;
    duration(seconds)
}

/// Growth in percent.
pub(super) fn change(change: Option<f64>) -> String {
    change.map_or_else(|| "–".into(), |change| format!("{:+.1} %", change * 100.0))
}

/// Growth between two numbers.
pub(super) fn growth(now: Option<u64>, before: Option<u64>) -> Option<f64> {
    let (now, before) = now.zip(before)?;
    #[expect(clippy::cast_precision_loss, reason = "a trend needs no more than 15 digits")]
    (before > 0).then(|| (now as f64 - before as f64) / before as f64)
}

/// A part of a whole in percent.
pub(super) fn share(part: Option<u64>, whole: Option<u64>) -> String {
    let Some((part, whole)) = part.zip(whole).filter(|(_, whole)| *whole > 0) else { return "–".into() };
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    format!("{}.{} %", tenths / 10, tenths % 10)
}

/// An instant of the API's, as clocks of its zone show it.
pub(super) fn moment(rfc3339: &str) -> Markup {
    html! { time datetime=(rfc3339) { (clock(rfc3339)) } }
}

/// An instant that there may be none of.
pub(super) fn moment_or(rfc3339: Option<&str>, none: &str) -> Markup {
    html! { @match rfc3339 { Some(at) => (moment(at)), None => (none) } }
}

/// `2026-11-20 13:00`; with seconds where there are any.
fn clock(rfc3339: &str) -> String {
    let (Some(date), Some(time)) = (rfc3339.get(..10), rfc3339.get(11..19)) else {
        return rfc3339.to_owned();
    };
    format!("{date} {}", time.strip_suffix(":00").unwrap_or(time))
}

/// How far a clock is off UTC, as RFC 3339 has it.
pub(super) fn offset(rfc3339: &str) -> &str {
    rfc3339
        .get(19..)
        .map_or("", |rest| rest.trim_start_matches(|char: char| char == '.' || char.is_ascii_digit()))
}

/// A name that strangers chose: it turns no text around it.
pub(super) fn name(name: &str) -> Markup {
    html! { bdi { (name) } }
}

/// What is known of a bucket or a range.
pub(super) fn known(known: Known) -> Markup {
    let (class, words) = match known {
        Known::Complete => ("complete", "complete"),
        Known::Open => ("open", "open: still filling"),
        Known::Partial => ("partial", "partial: not all is known"),
        Known::Unknown => ("unknown", "unknown: nothing is known, which is not zero"),
    };
    html! { span class={ "state " (class) } { (words) } }
}

/// The same in one word, for tables.
pub(super) fn known_short(known: Known) -> Markup {
    html! { span class={ "state " (known.name()) } { (known.name()) } }
}

/// Until when all is in, and who is silent.
pub(super) fn completeness(complete_until: Option<&str>, missing: &[Missing]) -> Markup {
    html! {
        @match complete_until {
            Some(until) => p { "All is in until " (moment(until)) "." },
            None => p.warning { "Nothing has been counted yet." },
        }
        @if !missing.is_empty() {
            p.warning {
                @if missing.len() == 1 { "1 node is silent: " } @else { (missing.len()) " nodes are silent: " }
                "what they received since is not in these counts. "
                @for (at, node) in missing.iter().take(SILENT_MAX).enumerate() {
                    @if at > 0 { ", " }
                    "node " (node.node)
                    @if let Some(region) = &node.region { " in " (name(region)) }
                    " since " (moment(&node.since))
                }
                @if missing.len() > SILENT_MAX { ", and " (missing.len() - SILENT_MAX) " more" }
                "."
            }
        }
    }
}

/// Silent nodes that are told one by one.
const SILENT_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_clock_and_keep_their_seconds() {
        assert_eq!(clock("2026-11-20T13:00:00+01:00"), "2026-11-20 13:00");
        assert_eq!(clock("2026-11-20T13:00:10Z"), "2026-11-20 13:00:10");
        assert_eq!(clock("soon"), "soon");
        let offsets = ["2026-11-20T13:00:00+01:00", "2026-11-20T13:00:00.120Z", "soon"].map(offset);
        assert_eq!(offsets, ["+01:00", "Z", ""]);
    }

    #[test]
    fn rates_and_lengths_of_time_are_in_the_unit_that_fits() {
        let rates = [0.0, 1.25, 99.94, 100.4, 12_345.6].map(per_second_in_words);
        assert_eq!(rates, ["0/s", "1.2/s", "99.9/s", "100/s", "12,346/s"]);
        assert!(rate(None).into_string().contains("not known"));
        let differences = [None, Some(0.0), Some(2.5), Some(-250.0)].map(more_or_less);
        assert_eq!(differences, ["–", "0/s", "+2.5/s", "−250/s"]);
        let lengths = [0.0004, 0.02, 2.34, 72.4, 600.0, 9_000.0, 400_000.0].map(duration);
        assert_eq!(lengths, ["< 1 ms", "20 ms", "2.3 s", "72 s", "10 min", "2.5 h", "5 days"]);
        let now = Timestamp::parse_rfc3339("2026-11-20T12:44:54Z").unwrap();
        assert_eq!(behind("2026-11-20T13:44:49+01:00", now), "5 s");
        assert_eq!(behind("2026-11-20T12:44:59Z", now), "< 1 ms");
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        assert_eq!(count(Some(1_204)).into_string(), "1,204");
        assert!(count(None).into_string().contains("not known"));
        assert_eq!(
            (share(Some(1), Some(3)), share(None, Some(3)), share(Some(0), Some(0))),
            ("33.3 %".into(), "–".into(), "–".into())
        );
        assert_eq!(
            (growth(Some(3), Some(2)), growth(Some(3), Some(0)), growth(None, Some(1))),
            (Some(0.5), None, None)
        );
        assert_eq!(
            (change(Some(0.25)), change(Some(-1.0)), change(None)),
            ("+25.0 %".into(), "-100.0 %".into(), "–".into())
        );
    }
}
