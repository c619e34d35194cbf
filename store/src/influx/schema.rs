//! What is called what in InfluxDB, and which time stands for which thing.
//!
//! | bucket | measurement | tags | fields | time |
//! | --- | --- | --- | --- | --- |
//! | raw | `count` | the series | `count` | [`raw_time`] |
//! | raw | `total` | environment, meter, `part` | `count` | [`raw_time`] |
//! | raw | `minute` | | `seen` | start of the minute |
//! | 1m, 15m, 1h | `count`, `total` | the series; environment, meter | `count` | start of the window |
//! | 1m, 15m, 1h | `count_again`, `total_again` | the same | the same | [`again_time`] |
//! | state | `mark` | environment, `tier`, `writer` | `start` (ms), `open` (1 or 0) | the token |
//! | state, meta | `progress` | `partition`, `node` | `told`: see `progress` | seq in quarters of a second, part in ns |
//! | state, meta | `covered` | `from` (ms) | `until` (ms) | until |
//! | meta | `register` | `name` | `set` | the value |
//! | meta | `environment` | environment | `seen` | 0 |
//! | meta | `dead_letter` | `partition` | see `letters` | the offset in ns |
//!
//! What must be read together is one field: the server stores the fields of a point one after the other, and gives
//! those that are there already to whoever asks meanwhile.
//!
//! The tags of a series: `customer`, `project`, `environment`, `meter`, `name`, and `variant` and `sdk` where it has
//! them. Times are nanoseconds, counts i64. A tag's text goes through [`tag_text`] and comes back through
//! [`text_of_tag`].

use std::borrow::Cow;

use flagmeter_model::{NodeId, Seq, Slot, Tier, Timestamp, Window};

use super::csv::damaged;
use crate::Result;

/// Minutes that hold a raw point, or are about to.
pub(super) const MINUTE: &str = "minute";
/// Counts of series: raw points, and windows as they were rolled up first.
pub(super) const COUNT: &str = "count";
/// Totals per meter and environment.
pub(super) const TOTAL: &str = "total";
/// Windows of series that were rolled up again.
pub(super) const COUNT_AGAIN: &str = "count_again";
/// Windows of totals that were rolled up again.
pub(super) const TOTAL_AGAIN: &str = "total_again";
/// Windows that must be rolled up again.
pub(super) const MARK: &str = "mark";
/// How far nodes have got.
pub(super) const PROGRESS: &str = "progress";
/// When a node was there.
pub(super) const COVERED: &str = "covered";
/// Frontiers, floors and the like: what only grows.
pub(super) const REGISTER: &str = "register";
/// Environments that were ever counted for.
pub(super) const ENVIRONMENT: &str = "environment";
/// Dead letters.
pub(super) const DEAD_LETTER: &str = "dead_letter";

/// Nanoseconds in a millisecond.
pub(super) const NS_PER_MS: i64 = 1_000_000;
/// Bits of a seal's number in the time of a raw point.
const SEQ_BITS: u32 = 23;

/// The buckets' names.
#[derive(Debug, Clone)]
pub(super) struct Buckets {
    tiers: [String; Tier::ALL.len()],
    /// Marks, progress and covered spans: what changes all the time.
    pub(super) state: String,
    /// What is kept for ever.
    pub(super) meta: String,
}

impl Buckets {
    pub(super) fn new(prefix: &str) -> Self {
        let tier = |tier| match tier {
            Tier::Raw => format!("{prefix}_raw"),
            tier => format!("{prefix}_{}", tier.name()),
        };
        Self { tiers: Tier::ALL.map(tier), state: format!("{prefix}_state"), meta: format!("{prefix}_meta") }
    }

    /// The bucket of a tier.
    pub(super) fn tier(&self, tier: Tier) -> &str {
        let [raw, minute, quarter, hour] = &self.tiers;
        match tier {
            Tier::Raw => raw,
            Tier::Minute => minute,
            Tier::Quarter => quarter,
            Tier::Hour => hour,
        }
    }

    /// All of them, those of the tiers first.
    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.tiers.iter().chain([&self.state, &self.meta]).map(String::as_str)
    }
}

/// A measurement of a bucket as InfluxQL names it after `FROM`. Both are plain words.
pub(super) fn source(bucket: &str, measurement: &str) -> String {
    format!("\"{bucket}\".\"autogen\".\"{measurement}\"")
}

/// The text of a tag as InfluxDB can keep it.
///
/// Line protocol cannot say a backslash before a separator. So a backslash is kept as `%5C`, and a `%` that would be
/// misread as the beginning of `%5C` or `%25` as `%25`; everything else stays as it is.
pub(super) fn tag_text(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') && !text.contains("%5C") && !text.contains("%25") {
        return Cow::Borrowed(text);
    }
    let mut kept = String::with_capacity(text.len() + 8);
    for (at, character) in text.char_indices() {
        let rest = text.get(at..).unwrap_or_default();
        match character {
            '\\' => kept.push_str("%5C"),
            '%' if rest.starts_with("%5C") || rest.starts_with("%25") => kept.push_str("%25"),
            other => kept.push(other),
        }
    }
    Cow::Owned(kept)
}

/// The text that became this tag by [`tag_text`].
pub(super) fn text_of_tag(kept: &str) -> Cow<'_, str> {
    if !kept.contains("%5C") && !kept.contains("%25") {
        return Cow::Borrowed(kept);
    }
    let mut text = String::with_capacity(kept.len());
    let mut rest = kept;
    while let Some(at) = rest.find('%') {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let (character, length) = match from {
            from if from.starts_with("%5C") => ('\\', 3),
            from if from.starts_with("%25") => ('%', 3),
            _ => ('%', 1),
        };
        text.push(character);
        rest = from.get(length..).unwrap_or_default();
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// An instant in nanoseconds; every [`Timestamp`] fits.
pub(super) const fn nanoseconds(at: Timestamp) -> i64 {
    at.as_millis() * NS_PER_MS
}

/// The instant that a time in nanoseconds lies in; an error if there is none.
pub(super) fn instant(nanoseconds: i64) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(nanoseconds.div_euclid(NS_PER_MS))?)
}

/// The time of a raw point: inside its slot, another one for each (node, seq). A node's numbers come again after
/// 2^23 quarters of a second, 24 days: longer than a count may be late, so that no slot meets a number twice.
pub(super) fn raw_time(slot: Slot, node: NodeId, seq: Seq) -> i64 {
    let seq = seq.get() & ((1 << SEQ_BITS) - 1);
    let inside = (u64::from(node.get()) << SEQ_BITS) | seq;
    nanoseconds(slot.start()).saturating_add(inside.cast_signed())
}

/// The node of the raw point at a [`raw_time`].
pub(super) fn node_of(raw_time: i64) -> Result<NodeId> {
    let inside = raw_time.rem_euclid(Slot::SECONDS * 1_000_000_000);
    let node = u16::try_from(inside >> SEQ_BITS).unwrap_or(u16::MAX);
    NodeId::new(node).map_err(|_| damaged("a raw point of a node that there is not"))
}

/// The time of a window that was rolled up again: inside the window, told by the value, so that saying the same twice
/// is one point, and saying different things never overwrites.
///
/// Of two values that differ by a multiple of the window's length (60,000,000,000 for minutes) one is lost. Counts only
/// grow, so that the greater one is written later, and stays.
pub(super) fn again_time(window: Window, value: u64) -> i64 {
    let length = window.tier().seconds().unsigned_abs() * 1_000_000_000;
    nanoseconds(window.start()).saturating_add((value % length.max(1)).cast_signed())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tag_comes_back_and_holds_no_backslash(text in "[a%5C2\\\\ ,=🚩]{1,12}") {
            let kept = tag_text(&text);
            prop_assert!(!kept.contains('\\'), "{kept}");
            prop_assert_eq!(text_of_tag(&kept), text.as_str());
        }

        #[test]
        fn raw_points_lie_inside_their_slot(
            number in 0..900_000_000_u32,
            node in 0..=NodeId::MAX,
            seq: u64,
        ) {
            let slot = Slot::from_number(number).unwrap();
            let time = raw_time(slot, NodeId::new(node).unwrap(), Seq::new(seq));
            prop_assert_eq!(Slot::containing(instant(time).unwrap()), slot);
            prop_assert_eq!(node_of(time).unwrap().get(), node);
        }

        #[test]
        fn windows_rolled_up_again_lie_inside_their_window(
            second in 0..9_000_000_000_i64,
            value in 0..=i64::MAX.unsigned_abs(),
        ) {
            for tier in Tier::ROLLED {
                let window = Window::containing(tier, Timestamp::from_seconds_clamped(second));
                let at = instant(again_time(window, value)).unwrap();
                prop_assert_eq!(Window::containing(tier, at), window);
            }
        }
    }

    #[test]
    fn different_tags_stay_different() {
        let texts = ["\\", "%5C", "%255C", "%25", "%", "%2\\", "%2%5C", "5C", "a\\,b", "a,b"];
        let kept: BTreeSet<_> = texts.map(tag_text).into();
        assert_eq!(kept.len(), texts.len());
        assert_eq!(tag_text("50% off, 100%"), "50% off, 100%", "plain text stays plain");
    }

    #[test]
    fn each_node_and_seal_has_a_time_of_its_own() {
        let slot = Slot::from_number(7).unwrap();
        let mut times = BTreeSet::new();
        for node in [0, 1, NodeId::MAX] {
            for seq in [0, 1, (1 << SEQ_BITS) - 1] {
                assert!(times.insert(raw_time(slot, NodeId::new(node).unwrap(), Seq::new(seq))));
            }
        }
    }
}
