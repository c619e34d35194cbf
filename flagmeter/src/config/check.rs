//! Settings that must fit each other.

use std::time::Duration;

use super::{sources::Sources, table::Config};
use crate::{Error, Result};

/// Raw points live at least this much longer than the accepted lateness: a late count has to be rolled up
/// before its raw point goes.
const RAW_MARGIN: Duration = Duration::from_hours(1);

/// The first pair that does not fit is the error.
pub(super) fn check(config: &Config, sources: &Sources) -> Result<()> {
    let fits = |fits: bool, one: &str, other: &str, fix: &str| {
        if fits {
            return Ok(());
        }
        Err(Error::Config(format!("{} but {}: {fix}", sources.quote(one), sources.quote(other))))
    };
    let (listen, edge, retention) = (&config.listen, &config.edge, &config.retention);
    fits(
        listen.http != listen.metrics || listen.http.port() == 0,
        "listen.metrics",
        "listen.http",
        "give each its own port",
    )?;
    fits(
        edge.accepted_lateness.saturating_add(RAW_MARGIN) <= retention.raw,
        "edge.accepted_lateness",
        "retention.raw",
        "raw points must be kept at least an hour longer than late counts are taken",
    )?;
    fits(
        retention.raw <= retention.minute,
        "retention.minute",
        "retention.raw",
        "minutes must be kept at least as long as raw points",
    )?;
    fits(
        retention.minute <= retention.quarter,
        "retention.quarter",
        "retention.minute",
        "quarters must be kept at least as long as minutes",
    )?;
    fits(
        edge.body_bytes_max <= edge.body_decompressed_bytes_max,
        "edge.body_decompressed_bytes_max",
        "edge.body_bytes_max",
        "a body may not be allowed to be larger than what it decompresses to",
    )
}
