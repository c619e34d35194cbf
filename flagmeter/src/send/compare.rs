//! What was acknowledged against what is there.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use flagmeter_model::{Slot, TimeRange, Timestamp};
use serde_json::Value;

use super::{record::Sent, tally::Fate};
use crate::{
    Error, Result,
    http::{Connection, Url, percent_encoded},
    output::{self, grouped},
};

/// How long the server may take until the answer is complete.
const COMPLETE_WITHIN: Duration = Duration::from_mins(2);
const POLL_EVERY: Duration = Duration::from_millis(250);
/// Rows of one answer, about: half of what a server gives by default.
const ROWS_PER_ANSWER: usize = 50_000;
/// Flags asked for at once: half of the groups that a server tells apart in one answer.
const FLAGS_PER_ANSWER: usize = 500;
/// Differences that are shown.
const SHOWN_MAX: usize = 20;

/// Buckets of one answer: half of what a server takes by default.
const SLOTS_PER_ANSWER: usize = 5_000;

/// Waits until the server's answer is complete for the time of the load, and compares it flag by flag: what is
/// there must be no less than what was acknowledged, and no more than that and what got no answer.
/// Something must have been acknowledged: nothing agrees with anything.
pub(crate) async fn compare(url: &Url, token: &str, sent: &Sent) -> Result<()> {
    let stored = complete_answer(url, token, sent).await?;
    let differences = differences(&sent.flags, &stored);
    if differences.is_empty() {
        output::say(format!(
            "agrees: {} counts acknowledged, {} stored, in {} flags",
            grouped(sent.acknowledged()),
            grouped(stored.all),
            sent.flags.len()
        ));
        return Ok(());
    }
    for line in differences.iter().take(SHOWN_MAX) {
        output::say(line);
    }
    Err(Error::Disagreement(format!("{} of {} flags disagree", differences.len(), sent.flags.len())))
}

/// A line for every flag that does not agree.
fn differences(sent: &BTreeMap<String, Fate>, stored: &Stored) -> Vec<String> {
    let mut lines = Vec::new();
    for (flag, fate) in sent {
        let count = stored.flags.get(flag).copied().unwrap_or(0);
        let most = fate.acknowledged.saturating_add(fate.unknown);
        if count < fate.acknowledged {
            let missing = grouped(fate.acknowledged - count);
            lines.push(format!(
                "{flag}: {missing} counts missing: {count} stored, {} acknowledged",
                fate.acknowledged
            ));
        } else if count > most {
            let twice = grouped(count - most);
            lines.push(format!("{flag}: {twice} counts too many: {count} stored, {most} sent"));
        }
    }
    let by_flag: u64 = stored.flags.values().sum();
    match stored.all.cmp(&by_flag) {
        Ordering::Equal => {}
        Ordering::Greater => lines.push(format!(
            "{} counts stored under names that were never sent (a limit may have folded names)",
            grouped(stored.all - by_flag)
        )),
        Ordering::Less => lines.push(format!(
            "{} counts more in the answers by flag than in those of all flags together",
            grouped(by_flag - stored.all)
        )),
    }
    lines
}

/// What the server has of a load.
#[derive(Debug)]
struct Stored {
    /// The sums of the flags that were sent.
    flags: BTreeMap<String, u64>,
    /// The sum of everything, under whatever name.
    all: u64,
}

async fn complete_answer(url: &Url, token: &str, sent: &Sent) -> Result<Stored> {
    let mut connection = Connection::new(url.clone());
    let complete = async {
        while !ask(&mut connection, url, token, "/v1/usage?from=-1m").await?.is_complete_until(sent.range.to)
        {
            tokio::time::sleep(POLL_EVERY).await;
        }
        Ok(())
    };
    tokio::time::timeout(COMPLETE_WITHIN, complete).await.unwrap_or_else(|_| {
        Err(Error::Http {
            url: url.to_string(),
            reason: format!("is not complete until {} within {} s", sent.range.to, COMPLETE_WITHIN.as_secs()),
        })
    })?;
    let mut sums = BTreeMap::new();
    let flags: Vec<&String> = sent.flags.keys().collect();
    for flags in flags.chunks(FLAGS_PER_ANSWER) {
        let only = flags.iter().fold(String::new(), |only, flag| only + "&flag=" + &percent_encoded(flag));
        for piece in pieces(sent.range, flags.len()) {
            let path = format!("{}&group_by=flag{only}", question(piece, &sent.sdk));
            ask(&mut connection, url, token, &path).await?.add_to(&mut sums);
        }
    }
    let mut all = 0_u64;
    for piece in pieces(sent.range, 1) {
        let answer = ask(&mut connection, url, token, &question(piece, &sent.sdk)).await?;
        all = all.saturating_add(answer.total());
    }
    Ok(Stored { flags: sums, all })
}

/// All that is stored of a load, in buckets of one slot.
fn question(range: TimeRange, sdk: &str) -> String {
    format!("/v1/usage?from={}&to={}&resolution=10s&sdk={}", range.from, range.to, percent_encoded(sdk))
}

/// The slots of a load, in pieces whose answers have at most [`SLOTS_PER_ANSWER`] buckets and about
/// [`ROWS_PER_ANSWER`] rows.
fn pieces(range: TimeRange, flags: usize) -> impl Iterator<Item = TimeRange> {
    // Counts without a time of their own lie in the slot in which they arrived: look a little beyond.
    let from = range.from.floor_to(Slot::SECONDS).plus_seconds(-Slot::SECONDS);
    let to = range.to.ceil_to(Slot::SECONDS).plus_seconds(Slot::SECONDS);
    let slots = (ROWS_PER_ANSWER / flags.max(1)).clamp(1, SLOTS_PER_ANSWER);
    let slots = i64::try_from(slots).unwrap_or(i64::MAX);
    let seconds = slots.saturating_mul(Slot::SECONDS);
    std::iter::successors(Some(from), move |start| Some(start.plus_seconds(seconds)))
        .take_while(move |start| *start < to)
        .map(move |start| TimeRange::new(start, start.plus_seconds(seconds).min(to)))
}

/// What `/v1/usage` answered.
struct Answer(Value);

async fn ask(connection: &mut Connection, url: &Url, token: &str, path: &str) -> Result<Answer> {
    let body = connection.get(path, Some(token)).await?;
    let unreadable =
        |error: serde_json::Error| Error::Http { url: format!("{url}{path}"), reason: error.to_string() };
    serde_json::from_slice(&body).map(Answer).map_err(unreadable)
}

impl Answer {
    fn is_complete_until(&self, time: Timestamp) -> bool {
        let until = self.0["complete_until"].as_str().and_then(|at| Timestamp::parse_rfc3339(at).ok());
        until.is_some_and(|until| until >= time)
    }

    fn total(&self) -> u64 {
        self.0["total"].as_u64().unwrap_or(0)
    }

    /// Adds the counts to the sums by flag.
    fn add_to(&self, sums: &mut BTreeMap<String, u64>) {
        for row in self.0["rows"].as_array().into_iter().flatten() {
            let count = row["count"].as_u64().unwrap_or(0);
            if let (Some(flag), true) = (row["flag"].as_str(), count > 0) {
                let sum: &mut u64 = sums.entry(flag.to_owned()).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(acknowledged: u64, unknown: u64, stored: u64) -> Vec<String> {
        let sent = BTreeMap::from([("a".to_owned(), Fate { acknowledged, unknown })]);
        differences(&sent, &Stored { flags: BTreeMap::from([("a".to_owned(), stored)]), all: stored })
    }

    #[test]
    fn what_got_no_answer_may_be_there_or_not_and_everything_else_must_agree() {
        assert!(told(5, 0, 5).is_empty() && told(5, 2, 5).is_empty() && told(5, 2, 7).is_empty());
        assert_eq!(told(5, 2, 4), ["a: 1 counts missing: 4 stored, 5 acknowledged"]);
        assert_eq!(told(5, 2, 8), ["a: 1 counts too many: 8 stored, 7 sent"]);
    }

    #[test]
    fn counts_under_names_that_were_never_sent_are_told() {
        let sent = BTreeMap::from([("a".to_owned(), Fate { acknowledged: 5, unknown: 0 })]);
        let stored = Stored { flags: BTreeMap::from([("a".to_owned(), 5)]), all: 7 };
        let lines = differences(&sent, &stored);
        assert!(lines.len() == 1 && lines[0].starts_with("2 counts stored under names"), "{lines:?}");
        let lines = differences(&sent, &Stored { all: 4, ..stored });
        assert!(
            lines.len() == 1 && lines[0].starts_with("1 counts more in the answers by flag"),
            "{lines:?}"
        );
    }

    #[test]
    fn a_long_load_of_many_flags_is_asked_for_in_pieces_that_touch() {
        let at = |seconds| Timestamp::EPOCH.plus_seconds(seconds);
        let load = TimeRange::new(at(1_003), at(1_599));
        assert_eq!(pieces(load, 100).collect::<Vec<_>>(), [TimeRange::new(at(990), at(1_610))]);
        let of_many = pieces(load, 1_000).collect::<Vec<_>>();
        assert_eq!(of_many, [TimeRange::new(at(990), at(1_490)), TimeRange::new(at(1_490), at(1_610))]);
        assert_eq!(pieces(load, 1_000_000).count(), 62);
        // Three days of one flag: more buckets than one answer has.
        let days = pieces(TimeRange::new(at(0), at(3 * 86_400)), 1).collect::<Vec<_>>();
        let longest = days.iter().map(|piece| piece.to.millis_since(piece.from) / 10_000).max();
        assert_eq!((days.len(), longest), (6, Some(5_000)));
    }
}
