//! Mutes as the server tells of them, in words. Pure.

use flagmeter_model::Timestamp;
use serde::Deserialize;

/// A mute.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Mute {
    id: String,
    customer: String,
    project: Option<String>,
    environment: Option<String>,
    /// Whether the registry knows what it is of.
    registered: bool,
    state: String,
    from: String,
    to: String,
    until: String,
    reason: String,
    made_by: String,
    ended_at: Option<String>,
}

/// Some of them.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    /// As they came, so that what is printed as JSON has all that the server tells.
    pub(super) mutes: Vec<serde_json::Value>,
    pub(super) next: Option<String>,
}

impl Mute {
    /// What is muted.
    fn of(&self) -> String {
        let parts = [Some(&self.customer), self.project.as_ref(), self.environment.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/")
    }

    /// That it is made.
    pub(super) fn made(&self) -> String {
        let (of, Self { id, from, to, reason, .. }) = (self.of(), self);
        let is = match self.state.as_str() {
            "planned" => "is going to be muted",
            "over" => "was muted",
            _ => "is muted",
        };
        let lasts = lasts(from, to).map(|lasts| format!(" ({lasts})")).unwrap_or_default();
        let then = if self.state == "over" {
            "; it is over".to_owned()
        } else {
            format!("; end it with: flagmeter mute end {id}")
        };
        format!("{of} {is} from {from} to {to}{lasts}: {reason}{then}")
    }

    /// Why nothing is muted though the key was taken: it stands for a mute that is over.
    pub(super) fn spent(&self, key: &str) -> Option<String> {
        (self.state == "over").then(|| {
            let (of, Self { id, until, .. }) = (self.of(), self);
            format!(
                "nothing is muted: the key {key:?} stands for the mute {id} of {of}, which was over at {until}; give each \
                 mute a key of its own, such as one with the date in it"
            )
        })
    }

    /// What its maker should know, if there is anything.
    pub(super) fn warning(&self) -> Option<String> {
        (!self.registered).then(|| {
            format!(
                "warning: the registry does not know {}; if that is a typo, end this mute, because nothing else is muted by it",
                self.of()
            )
        })
    }

    /// That it is over.
    pub(super) fn ended(&self) -> String {
        let (of, Self { from, to, until, .. }) = (self.of(), self);
        match &self.ended_at {
            None => format!("the mute of {of} was over at {to}: there is nothing to end"),
            // RFC 3339 in UTC: texts are in the order of times.
            Some(ended_at) if parsed(ended_at) < parsed(from) => {
                format!("the mute of {of} from {from} to {to} is called off since {ended_at}")
            }
            Some(_) => format!("{of} is muted no more since {until}; it was to last until {to}"),
        }
    }
}

/// As a table: those in force, then those to come, then those that are over.
pub(super) fn table(mut mutes: Vec<Mute>) -> String {
    if mutes.is_empty() {
        return "nothing is muted".to_owned();
    }
    let place = |mute: &Mute| match mute.state.as_str() {
        "active" => 0,
        "planned" => 1,
        _ => 2,
    };
    // Those that are over stay as they come, the last one first.
    mutes.sort_by(|one, other| {
        place(one).cmp(&place(other)).then_with(|| match place(one) {
            0 => one.until.cmp(&other.until),
            1 => one.from.cmp(&other.from),
            _ => std::cmp::Ordering::Equal,
        })
    });
    let head = ["state", "from", "until", "of", "made by", "why", "id"].map(str::to_owned);
    let row = |mute: Mute| {
        let of = mute.of();
        [mute.state, seconds(&mute.from), seconds(&mute.until), of, mute.made_by, mute.reason, mute.id]
    };
    let rows: Vec<_> = std::iter::once(head).chain(mutes.into_iter().map(row)).collect();
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cells(cell)).max();
    let widths: Vec<usize> = (0..7).map(|column| width(column).unwrap_or_default()).collect();
    let line = |row: &[String; 7]| {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell}{}", " ".repeat(width.saturating_sub(cells(cell)))));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Of a terminal.
fn cells(text: &str) -> usize {
    unicode_width::UnicodeWidthStr::width(text)
}

fn parsed(text: &str) -> Option<Timestamp> {
    Timestamp::parse_rfc3339(text).ok()
}

/// Without what is below a second, which nobody plans by.
fn seconds(text: &str) -> String {
    parsed(text).map_or_else(|| text.to_owned(), |at| at.floor_to(1).to_string())
}

/// A length of time as people say it: `2 h`, `1 d 30 min`.
fn lasts(from: &str, to: &str) -> Option<String> {
    let mut seconds = parsed(to)?.millis_since(parsed(from)?) / 1_000;
    let mut parts = Vec::new();
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")] {
        if seconds >= unit {
            parts.push(format!("{} {name}", seconds / unit));
            seconds %= unit;
        }
    }
    (!parts.is_empty()).then(|| parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mute(state: &str) -> Mute {
        Mute {
            id: "mute_00".into(),
            customer: "acme".into(),
            project: Some("web".into()),
            environment: None,
            registered: true,
            state: state.into(),
            from: "2026-11-23T18:00:00Z".into(),
            to: "2026-11-23T20:00:00Z".into(),
            until: "2026-11-23T20:00:00Z".into(),
            reason: "launch".into(),
            made_by: "0123456789ab, on call".into(),
            ended_at: None,
        }
    }

    #[test]
    fn what_is_made_is_said_with_how_to_end_it() {
        assert_eq!(
            mute("active").made(),
            "acme/web is muted from 2026-11-23T18:00:00Z to 2026-11-23T20:00:00Z (2 h): launch; end it with: flagmeter \
             mute end mute_00"
        );
        let planned = Mute { environment: Some("live".into()), ..mute("planned") }.made();
        assert!(planned.starts_with("acme/web/live is going to be muted from "), "{planned}");
        let over = Mute { project: None, ..mute("over") }.made();
        assert!(over.starts_with("acme was muted ") && over.ends_with("launch; it is over"), "{over}");
        assert_eq!(mute("active").warning(), None);
        let warning = Mute { registered: false, ..mute("active") }.warning().unwrap();
        assert!(warning.starts_with("warning: the registry does not know acme/web; "), "{warning}");
    }

    #[test]
    fn a_key_of_a_mute_that_is_over_is_spent() {
        for state in ["active", "planned"] {
            assert_eq!(mute(state).spent("nightly"), None, "{state}");
        }
        let spent = mute("over").spent("nightly").unwrap();
        assert!(
            spent.starts_with(
                "nothing is muted: the key \"nightly\" stands for the mute mute_00 of acme/web, "
            )
        );
        assert!(spent.contains("was over at 2026-11-23T20:00:00Z"), "{spent}");
    }

    #[test]
    fn what_is_ended_is_said_as_it_is() {
        assert_eq!(
            mute("over").ended(),
            "the mute of acme/web was over at 2026-11-23T20:00:00Z: there is nothing to end"
        );
        let ended = |at: &str| Mute { ended_at: Some(at.into()), until: at.into(), ..mute("over") }.ended();
        assert_eq!(
            ended("2026-11-23T19:00:00.500Z"),
            "acme/web is muted no more since 2026-11-23T19:00:00.500Z; it was to last until 2026-11-23T20:00:00Z"
        );
        assert_eq!(
            ended("2026-11-23T17:59:59Z"),
            "the mute of acme/web from 2026-11-23T18:00:00Z to 2026-11-23T20:00:00Z is called off since \
             2026-11-23T17:59:59Z"
        );
    }

    #[test]
    fn a_table_begins_with_what_is_in_force() {
        let at = |from: &str, until: &str, state: &str, customer: &str| Mute {
            from: from.into(),
            until: until.into(),
            customer: customer.into(),
            project: None,
            ..mute(state)
        };
        let table = table(vec![
            at("2026-11-24T18:00:00Z", "2026-11-25T18:00:00Z", "planned", "later"),
            at("2026-11-23T18:00:00.25Z", "2026-11-23T20:00:00Z", "active", "now"),
            at("2026-11-24T08:00:00Z", "2026-11-26T18:00:00Z", "planned", "結帳"),
            at("2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", "over", "before"),
        ]);
        assert_eq!(
            table,
            "state    from                  until                 of      made by                why     id\n\
             active   2026-11-23T18:00:00Z  2026-11-23T20:00:00Z  now     0123456789ab, on call  launch  mute_00\n\
             planned  2026-11-24T08:00:00Z  2026-11-26T18:00:00Z  結帳    0123456789ab, on call  launch  mute_00\n\
             planned  2026-11-24T18:00:00Z  2026-11-25T18:00:00Z  later   0123456789ab, on call  launch  mute_00\n\
             over     2026-11-23T08:00:00Z  2026-11-23T09:00:00Z  before  0123456789ab, on call  launch  mute_00"
        );
        assert_eq!(super::table(Vec::new()), "nothing is muted");
    }

    #[test]
    fn a_length_of_time_is_said_as_people_do() {
        for (to, said) in [
            ("2026-11-23T18:00:01Z", Some("1 s")),
            ("2026-11-23T19:30:00Z", Some("1 h 30 min")),
            ("2026-11-25T18:00:00Z", Some("2 d")),
            ("2026-11-23T18:00:00Z", None),
            ("x", None),
        ] {
            assert_eq!(lasts("2026-11-23T18:00:00Z", to).as_deref(), said);
        }
    }
}
