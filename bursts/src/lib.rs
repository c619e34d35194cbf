//! Bursts: which traffic is out of the ordinary, as a pure function over counts.
//!
//! One [`Detector`] watches one series of counts: a customer, a project, an environment or a flag. What goes in: its
//! counts of every ten seconds (or of every minute, from a file), in order, each known or not known; and for each five
//! minutes what the same minutes of earlier weeks were ([`Weeks`]). What comes out: an [`Event`] when a burst or a drop
//! begins, and when it is over.
//!
//! # How it decides
//!
//! 1. **What is expected** ([`Expected`]): the median over up to four weeks of what the same quarter of an hour of the week
//!    was, once as a mean and once as its highest minute, because jobs drift by a few minutes from week to
//!    week. Both are scaled by the level: how much more than that there was in the last hour, as the median of twelve
//!    ratios, the last ten minutes left out so that a burst does not make itself ordinary.
//! 2. **How uneven it is**: the median absolute deviation of the logarithms of count to expectation over the last
//!    hours, of minutes, of pairs of them and of five minutes. Of a series that goes up and down by itself more is needed.
//! 3. **Whether this is more**: `z = (x - λ) / √(λ + (sλ)²)`, the distance in standard deviations of a Poisson count
//!    whose mean is itself uncertain by the share s. A burst is far out, and many times what is expected, and many counts,
//!    all at once and for a while ([`Rule`]).
//!
//! Until two weeks are known of the same minutes of the week a detector is learning, and has a rule of its own that
//! compares with the highest five minutes of the last week.
//!
//! # Invariants
//!
//! - What is not known is never zero: it begins nothing and ends nothing.
//! - The same counts give the same events, whatever the time is when they are looked at: a recorded file says what would
//!   have been said.
//! - A series costs the same memory for ever: a week of hours, six hours of ratios, eight minutes of counts.
//!   [`History`], for those who have no store to ask, is four weeks of slots.
//! - Nothing here changes any traffic.

mod detector;
mod event;
mod expected;
mod history;
mod learned;
mod recent;
mod rule;

pub use detector::{Before, Detector};
pub use event::{Alert, Band, Event, Kind, Over};
pub use expected::{Expected, Seen, Week, Weeks};
pub use history::History;
pub use recent::{Count, Grain};
pub use rule::Rule;

/// Seconds of a slot of the week: what a baseline is made of.
pub const SLOT_SECONDS: i64 = 300;
/// Seconds of a week: the slots of it come again after so many.
pub const WEEK_SECONDS: i64 = 7 * 86_400;
