//! What `/v1/usage` and `/v1/live` answer, kept by group and bucket. Pure.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_model::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The groups beyond the limit of an answer, together.
pub(super) const OTHERS: &str = "(all others)";

/// What is known of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Known {
    Complete,
    Open,
    Partial,
    Unknown,
}

/// An answer, or a delta to the one before, as it comes.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    from: String,
    complete_until: Option<String>,
    missing_nodes: Vec<Missing>,
    /// Of a delta, where the groups are others than before.
    groups: Option<Vec<BTreeMap<String, Option<String>>>>,
    rows: Vec<Row>,
}

#[derive(Debug, Deserialize)]
struct Missing {
    node: u16,
    region: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    start: String,
    state: Known,
    count: Option<u64>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// A bucket: what is known of it, and its start as the server writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bucket {
    pub(super) state: Known,
    pub(super) start: String,
}

/// An answer as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Board {
    /// Everything before this is in, as a time and as the server writes it.
    pub(super) complete_until: Option<(Timestamp, String)>,
    /// Nodes that are silent.
    pub(super) missing: Vec<String>,
    /// By the second at which they begin.
    pub(super) buckets: BTreeMap<i64, Bucket>,
    /// Counts by group and bucket. A bucket of which nothing is known has none.
    pub(super) groups: BTreeMap<String, BTreeMap<i64, u64>>,
}

impl Board {
    /// Takes an answer, and forgets what was before.
    pub(super) fn replace(&mut self, told: Told, by: &str) -> Result<(), String> {
        *self = Self::default();
        self.take(told, by)
    }

    /// Goes on with what changed, as docs/live.md says.
    pub(super) fn take(&mut self, told: Told, by: &str) -> Result<(), String> {
        let from = second(&told.from)?;
        self.complete_until = match told.complete_until {
            Some(text) => Some((time(&text)?, text)),
            None => None,
        };
        self.missing = told.missing_nodes.into_iter().map(Missing::shown).collect();
        self.buckets.retain(|start, _| *start >= from);
        for counts in self.groups.values_mut() {
            counts.retain(|start, _| *start >= from);
        }
        if let Some(groups) = told.groups {
            let of =
                |group: BTreeMap<String, Option<String>>| shown(group.get(by).and_then(Option::as_deref));
            let kept: BTreeSet<String> = groups.into_iter().map(of).collect();
            self.groups.retain(|group, _| kept.contains(group));
        }
        for row in told.rows {
            self.take_row(row, by)?;
        }
        Ok(())
    }

    fn take_row(&mut self, row: Row, by: &str) -> Result<(), String> {
        let Row { start, state, count, mut others } = row;
        let at = second(&start)?;
        self.buckets.insert(at, Bucket { state, start });
        // Where nobody was counted at all, a row tells what is known of its bucket and of no group.
        if let Some(group) = others.remove(by) {
            let group = shown(group.as_str());
            let counts = self.groups.entry(group).or_default();
            match count {
                Some(count) => counts.insert(at, count),
                None => counts.remove(&at),
            };
        }
        Ok(())
    }
}

impl Missing {
    fn shown(self) -> String {
        self.region.map_or_else(|| self.node.to_string(), |region| format!("{} ({region})", self.node))
    }
}

/// The name of a group as people see it.
fn shown(group: Option<&str>) -> String {
    match group {
        None => "(none)".to_owned(),
        Some("__other__") => OTHERS.to_owned(),
        Some(name) => name.to_owned(),
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse_rfc3339(text).map_err(|error| error.to_string())
}

fn second(text: &str) -> Result<i64, String> {
    time(text).map(Timestamp::as_seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: Value) -> Told {
        serde_json::from_value(value).unwrap()
    }

    fn row(minute: u32, flag: &str, count: Option<u64>) -> Value {
        let state = if count.is_some() { "open" } else { "unknown" };
        json!({"start": format!("2026-11-20T12:{minute:02}:00Z"), "end": "", "state": state, "count": count, "flag": flag})
    }

    fn answer(from: u32, rows: &[Value]) -> Value {
        json!({
            "from": format!("2026-11-20T12:{from:02}:00Z"), "complete_until": "2026-11-20T12:44:50Z",
            "missing_nodes": [{"node": 3, "region": "eu-west", "since": ""}, {"node": 4, "region": null, "since": ""}],
            "rows": rows,
        })
    }

    fn counts(board: &Board) -> Vec<(&str, Vec<u64>)> {
        board
            .groups
            .iter()
            .map(|(group, counts)| (group.as_str(), counts.values().copied().collect()))
            .collect()
    }

    #[test]
    fn a_snapshot_and_a_delta_are_the_answer_of_the_moment() {
        let mut board = Board::default();
        let rows = [row(43, "a", Some(1)), row(43, "b", Some(2)), row(44, "a", Some(3)), row(44, "b", None)];
        board.replace(told(answer(43, &rows)), "flag").unwrap();
        assert_eq!(counts(&board), [("a", vec![1, 3]), ("b", vec![2])]);
        assert_eq!(board.missing, ["3 (eu-west)", "4"]);
        let mut delta =
            answer(44, &[row(44, "a", Some(5)), row(45, "a", Some(6)), row(45, "__other__", Some(9))]);
        delta["groups"] = json!([{"flag": "a"}, {"flag": "__other__"}]);
        board.take(told(delta), "flag").unwrap();
        assert_eq!(counts(&board), [("(all others)", vec![9]), ("a", vec![5, 6])]);
        assert_eq!(board.buckets.len(), 2, "what lies before the range is gone");
        board.replace(told(answer(45, &[row(45, "c", Some(7))])), "flag").unwrap();
        assert_eq!(counts(&board), [("c", vec![7])]);
    }

    #[test]
    fn a_bucket_that_becomes_unknown_keeps_no_count() {
        let mut board = Board::default();
        board.replace(told(answer(43, &[row(43, "a", Some(1))])), "flag").unwrap();
        board.take(told(answer(43, &[row(43, "a", None)])), "flag").unwrap();
        assert_eq!(counts(&board), [("a", vec![])]);
        assert_eq!(board.buckets.values().next().unwrap().state, Known::Unknown);
    }

    #[test]
    fn rows_without_a_group_tell_of_their_bucket_alone() {
        let mut board = Board::default();
        let empty = json!({"start": "2026-11-20T12:43:00Z", "end": "", "state": "complete", "count": 0});
        board.replace(told(answer(43, &[empty])), "flag").unwrap();
        assert_eq!((board.groups.len(), board.buckets.len()), (0, 1));
        let wrong = json!({"start": "yesterday", "end": "", "state": "complete", "count": 0});
        assert!(board.replace(told(answer(43, &[wrong])), "flag").is_err());
    }
}
