//! What every backend must show. A backend's tests implement [`Harness`] and call `ledger_conformance!`, which makes a
//! test of each check.
//!
//! A check panics where the backend breaks the contract, and returns an error where it fails altogether.

pub(crate) mod alerting;
pub(crate) mod appending;
pub(crate) mod crossing;
pub(crate) mod episode;
pub(crate) mod fixture;
pub(crate) mod muting;
pub(crate) mod reading;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{Ledger, Result};

/// A backend under test, with data of its own that is empty at first.
#[async_trait]
pub(crate) trait Harness: Sized + Send + Sync {
    /// Makes an empty ledger.
    async fn new() -> Result<Self>;
    /// The open ledger: the same one until the next crash.
    fn ledger(&self) -> Arc<dyn Ledger>;
    /// The ledger as another process has it; the same one where only one process can have it.
    async fn other(&self) -> Result<Arc<dyn Ledger>>;
    /// Opens what a process leaves behind that is killed at this instant.
    async fn crash(&mut self) -> Result<()>;
}

/// Makes a `#[tokio::test]` of each check, for a type that implements [`Harness`], with the attributes that stand
/// before it, such as `#[ignore = "needs a server"]`.
macro_rules! ledger_conformance {
    (@files $attributes:tt $harness:ty: $($file:ident $checks:tt)+) => {
        $(
            mod $file {
                use super::*;
                ledger_conformance! { @checks $attributes $harness: $file $checks }
            }
        )+
    };
    (@checks $attributes:tt $harness:ty: $file:ident { $($check:ident,)+ }) => {
        $( ledger_conformance! { @check $attributes $harness: $file $check } )+
    };
    (@check [$($attribute:tt)*] $harness:ty: $file:ident $check:ident) => {
        $($attribute)*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $check() {
            $crate::conformance::$file::$check::<$harness>().await.unwrap();
        }
    };
    ($(#[$attribute:meta])* $harness:ty) => {
        ledger_conformance! { @files [$(#[$attribute])*] $harness:
            alerting {
                what_begins_and_what_is_over_take_turns,
                series_have_nothing_to_do_with_each_other,
                alerts_come_in_pages,
                alerts_of_two_and_after_a_crash_are_kept_once,
                what_stands_is_told_to_who_begins_to_watch,
                what_is_no_alert_is_refused,
                alerts_are_delivered_beside_crossings,
            }
            appending {
                the_first_revision_closes_and_the_next_ones_correct,
                appending_again_changes_nothing,
                who_looked_earlier_changes_nothing,
                nothing_is_appended_that_was_not_announced,
                an_hour_that_was_closed_without_a_count_is_corrected,
                frontiers_never_move_back,
                what_is_not_billable_is_refused,
                two_at_once_append_each_revision_once,
                what_was_appended_survives,
                any_history_is_kept_like_a_plain_list,
            }
            crossing {
                a_crossing_is_kept_once,
                crossings_come_in_pages,
                crossings_of_two_and_after_a_crash_are_kept_once,
                what_was_not_crossed_is_refused,
                what_was_delivered_is_kept,
            }
            muting {
                a_mute_is_kept_once_and_ended_once,
                a_mute_that_cannot_be_is_refused,
                mutes_come_in_pages_those_that_are_over_last_first,
                mutes_of_two_and_after_a_crash_are_kept_once,
                what_a_mute_covers_is_kept_muted_from_its_beginning_to_its_end,
                times_of_a_mute_have_edges,
                what_somebody_was_told_to_have_begun_is_told_to_be_over,
                what_outlasts_its_mute_is_told_once,
                any_history_tells_what_is_not_muted_and_each_once,
            }
            episode {
                what_goes_on_in_a_range_is_found_by_its_edges,
                what_outlasts_its_mute_is_one_episode,
                episodes_are_those_that_a_filter_means,
                the_newest_episodes_are_kept_and_it_is_said_that_there_are_more,
                episodes_are_found_like_in_a_plain_list,
            }
            reading {
                the_feed_comes_in_pages,
                a_feed_of_one_customer_goes_on_where_others_were,
                bills_come_in_pages_in_the_order_of_names_and_hours,
                a_bill_as_of_a_position_never_changes,
                a_bill_settles_and_stays_whatever_else_comes,
                closings_are_known_as_of_each_position,
                the_end_is_told_when_it_moves,
            }
        }
    };
}

pub(crate) use ledger_conformance;
