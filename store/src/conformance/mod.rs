//! What every backend must show. A backend's tests implement [`Harness`] and call
//! [`store_conformance!`](crate::store_conformance), which makes a test of each check.
//!
//! A check panics where the backend breaks the contract, and returns an error where it fails altogether.

#![expect(clippy::missing_panics_doc, reason = "a check panics where the backend breaks the contract")]

pub mod crashing;
pub mod fixture;
pub mod marking;
pub mod progressing;
pub mod reading;
pub mod retaining;
pub mod rolling;
pub mod writing;

use std::sync::Arc;

use async_trait::async_trait;
use flagmeter_model::ManualClock;

use crate::{Result, Store};

/// The silence, by the log's time, after which the stores under test call a node missing.
pub const NODE_TIMEOUT_MS: i64 = 60_000;

/// A backend under test, with data of its own that is empty at first.
#[async_trait]
pub trait Harness: Sized + Send + Sync {
    /// Makes an empty store with a node timeout of [`NODE_TIMEOUT_MS`]; its clock stands at
    /// [`fixture::START`].
    async fn new() -> Result<Self>;
    /// The store's clock.
    fn clock(&self) -> &ManualClock;
    /// The open store: the same one until the next crash.
    fn store(&self) -> Arc<dyn Store>;
    /// Opens what a process leaves behind that is killed at this instant. Stores given out before may still be
    /// there; they belong to the dead.
    async fn crash(&mut self) -> Result<()>;
}

/// Makes a `#[tokio::test]` of each check, for a type that implements [`Harness`], with the attributes that stand
/// before it, such as `#[ignore = "needs a server"]`.
#[macro_export]
macro_rules! store_conformance {
    (@files $attributes:tt $harness:ty: $($file:ident $checks:tt)+) => {
        $(
            mod $file {
                use super::*;
                $crate::store_conformance! { @checks $attributes $harness: $file $checks }
            }
        )+
    };
    (@checks $attributes:tt $harness:ty: $file:ident { $($check:ident,)+ }) => {
        $( $crate::store_conformance! { @check $attributes $harness: $file $check } )+
    };
    (@check [$($attribute:tt)*] $harness:ty: $file:ident $check:ident) => {
        $($attribute)*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            $crate::conformance::$file::$check::<$harness>().await.unwrap();
        }
    };
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::store_conformance! { @files [$(#[$attribute])*] $harness:
            writing {
                points_are_kept_by_environment_minute_and_series,
                writing_again_changes_nothing,
                nodes_seals_and_parts_are_told_apart,
                series_that_differ_in_one_word_are_told_apart,
                totals_are_kept_by_meter,
                whatever_is_written_adds_up,
                a_batch_without_counts_is_only_heard,
                dead_letters_are_kept_whole_and_replace_themselves,
                counts_too_large_to_add_up_are_set_aside_and_stop_nothing,
                what_is_stored_ahead_of_its_turn_is_stored_once,
            }
            marking {
                points_behind_the_frontier_mark_their_minutes,
                the_announced_frontier_never_moves_back,
                marks_come_in_the_order_of_time_and_within_bounds,
                a_mark_set_again_survives_being_cleared,
                a_token_is_never_given_twice,
                raw_points_are_never_marked,
            }
            rolling {
                every_tier_adds_up_along_both_axes,
                rolling_up_again_changes_nothing,
                late_points_reach_every_tier,
                windows_of_nobody_are_nothing,
                ranges_off_the_grid_are_refused,
                roll_ups_and_late_points_at_once_lose_nothing,
            }
            progressing {
                progress_is_kept_by_partition_and_node,
                progress_never_moves_back,
                the_region_of_a_node_is_that_of_its_newest_seal,
                a_batch_without_a_watermark_leaves_it,
                a_farewell_holds_until_the_node_is_heard_again,
                covered_spans_become_one_where_they_touch,
                a_clock_that_is_ahead_promises_nothing_to_come,
                a_node_whose_clock_is_ahead_was_there_all_the_same,
                positions_are_kept_with_the_points,
                the_most_partitions_that_were_told_are_kept,
                a_partition_that_was_not_read_holds_the_answers_open,
            }
            retaining {
                floors_stop_at_what_is_not_rolled_up,
                floors_stop_at_marks,
                no_floor_passes_the_finer_tiers_floor,
                floors_never_move_back,
                what_lies_behind_a_floor_goes_and_coarser_tiers_stay,
                windows_whose_finer_tier_is_gone_are_left_as_they_are,
                counts_older_than_the_raw_floor_are_set_aside,
                repeats_of_counts_that_retention_took_are_nothing,
            }
            reading {
                answers_agree_before_between_and_after_every_roll_up,
                late_counts_are_in_the_next_answer,
                one_environments_late_counts_leave_the_others_coarse,
                filters_and_groups_take_apart_what_they_name,
                days_of_23_and_25_hours_are_whole,
                zones_off_the_full_hour_are_exact,
                what_cannot_be_answered_is_refused,
                no_counts_and_no_knowledge_are_told_apart,
                missing_nodes_are_shown,
                nodes_are_told_apart_by_what_they_handed_on,
                nodes_are_told_as_long_as_raw_points_are_kept,
                nothing_is_complete_beyond_the_stores_clock,
                what_retention_took_is_not_rounded,
                audits_see_each_tier_and_axis_by_itself,
                a_scan_shows_windows_as_they_are_kept,
                the_catalogue_tells_first_and_last_seen,
                dead_letters_come_in_pages,
                any_history_answers_like_a_plain_list,
            }
            crashing {
                what_was_written_survives,
                every_step_of_the_downsampler_survives,
                a_step_that_was_cut_off_can_be_repeated,
                a_roll_up_that_was_cut_off_can_be_repeated,
            }
        }
    };
}
