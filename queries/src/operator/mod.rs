//! `/v1/operator/…`: what those see who run it, and nobody else: the edges, the way of a count with how it goes at each
//! stage, whose traffic is large or changes, and whose is out of the ordinary; and what was planned, so that it wakes nobody.

pub(crate) mod bursts;
pub(crate) mod mutes;
pub(crate) mod nodes;
pub(crate) mod pipeline;
pub(crate) mod top;

/// So many in so many seconds, as counts per second to four places.
fn per_second(count: u64, seconds: u32) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 15 digits")]
    let rate = count as f64 / f64::from(seconds.max(1));
    to_four_places(rate)
}

fn to_four_places(number: f64) -> f64 {
    (number * 10_000.0).round() / 10_000.0
}
