//! What is known of a bucket.

use flagmeter_model::{LowWatermark, MissingNode, Slot, Spans, TimeRange, Timestamp};

use crate::RowState;

/// What is known of the nodes, and so of every bucket.
#[derive(Debug, Clone)]
pub struct Knowledge<'a> {
    /// Everything before this is in.
    pub complete_until: Option<Timestamp>,
    /// Nodes that are silent, and since when.
    pub missing: &'a [MissingNode],
    /// When at least one node was there to receive, breaks that SDKs bear included.
    pub covered: Spans,
}

impl<'a> Knowledge<'a> {
    /// From the low watermark, which counts in whole slots, and the times in which a node was there.
    ///
    /// A break of up to `node_timeout_ms`, such as a restart, is no outage: SDKs flush every 10 to 60 s and keep
    /// what they could not send, so their counts arrive, if a little late.
    pub fn new(low: &'a LowWatermark, covered: &Spans, node_timeout_ms: i64) -> Self {
        let complete_until = low.at.map(|at| at.floor_to(Slot::SECONDS));
        Self { complete_until, missing: &low.missing, covered: covered.bridged(node_timeout_ms) }
    }

    /// The state of a bucket that can be answered at its grain; `counted` tells whether anything was counted
    /// in it. (A bucket that cannot is [`RowState::Unknown`].)
    pub fn state(&self, bucket: TimeRange, counted: bool) -> RowState {
        let somebody_was_there = self.covered.touches(bucket);
        if !counted && !somebody_was_there {
            return RowState::Unknown;
        }
        match self.complete_until {
            Some(until) if bucket.to <= until => {
                let all_were_asked = self.missing.iter().all(|missing| missing.since >= bucket.to);
                if all_were_asked && self.covered.covers(bucket) {
                    RowState::Complete
                } else {
                    RowState::Partial
                }
            }
            Some(until) if bucket.from < until => RowState::Open,
            _ if counted => RowState::Open,
            _ => RowState::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use flagmeter_model::NodeId;

    use super::*;

    const BREAK_MS: i64 = 5_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_seconds_clamped(second)
    }

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange::new(at(from), at(to))
    }

    fn known(until: Option<i64>, missing: &[i64], covered: &[(i64, i64)]) -> (LowWatermark, Spans) {
        let missing = missing
            .iter()
            .map(|&since| MissingNode { node: NodeId::new(7).unwrap(), since: at(since), region: None })
            .collect();
        let low = LowWatermark { at: until.map(at), missing };
        (low, covered.iter().map(|&(from, to)| range(from, to)).collect())
    }

    #[track_caller]
    fn assert_states(
        (low, covered): &(LowWatermark, Spans),
        bucket: (i64, i64),
        without_counts: RowState,
        with_counts: RowState,
    ) {
        let known = Knowledge::new(low, covered, BREAK_MS);
        let bucket = range(bucket.0, bucket.1);
        assert_eq!(known.state(bucket, false), without_counts, "without counts");
        assert_eq!(known.state(bucket, true), with_counts, "with counts");
    }

    use RowState::{Complete, Open, Partial, Unknown};

    #[test]
    fn a_bucket_before_the_low_watermark_that_was_covered_throughout_is_complete() {
        let known = known(Some(600), &[], &[(0, 700)]);
        assert_states(&known, (0, 600), Complete, Complete);
        assert_states(&known, (540, 600), Complete, Complete);
    }

    #[test]
    fn the_low_watermark_counts_in_whole_slots() {
        let (low, covered) = known(Some(605), &[], &[(0, 700)]);
        assert_eq!(Knowledge::new(&low, &covered, BREAK_MS).complete_until, Some(at(600)));
    }

    #[test]
    fn a_bucket_that_reaches_past_the_low_watermark_is_open() {
        assert_states(&known(Some(600), &[], &[(0, 700)]), (590, 610), Open, Open);
        assert_states(&known(Some(600), &[100], &[(0, 700)]), (590, 610), Open, Open);
    }

    #[test]
    fn a_bucket_after_the_low_watermark_is_open_only_with_counts() {
        assert_states(&known(Some(600), &[], &[(0, 700)]), (600, 610), Unknown, Open);
        assert_states(&known(None, &[], &[]), (600, 610), Unknown, Open);
    }

    #[test]
    fn a_bucket_in_which_no_node_was_there_is_unknown_and_never_a_zero() {
        let known = known(Some(900), &[], &[(0, 100), (500, 900)]);
        assert_states(&known, (200, 300), Unknown, Partial);
        assert_states(&known, (100, 500), Unknown, Partial);
    }

    #[test]
    fn a_bucket_in_which_a_node_was_there_for_a_part_only_is_partial() {
        let known = known(Some(900), &[], &[(0, 100), (500, 900)]);
        assert_states(&known, (50, 150), Partial, Partial);
        assert_states(&known, (490, 510), Partial, Partial);
        assert_states(&known, (0, 900), Partial, Partial);
    }

    #[test]
    fn a_restart_is_no_outage() {
        let known = known(Some(900), &[], &[(0, 100), (105, 900)]);
        assert_states(&known, (60, 120), Complete, Complete);
        assert_states(&known, (100, 105), Complete, Complete);
    }

    #[test]
    fn a_missing_node_makes_every_bucket_partial_that_ends_after_it_fell_silent() {
        let known = known(Some(900), &[300], &[(0, 900)]);
        assert_states(&known, (200, 300), Complete, Complete);
        assert_states(&known, (200, 301), Partial, Partial);
        assert_states(&known, (400, 500), Partial, Partial);
    }
}
