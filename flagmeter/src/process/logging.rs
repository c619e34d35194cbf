//! The program's own log lines, on stderr.

use std::io;

use tracing_subscriber::{Layer as _, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use super::sampling::Sampling;
use crate::{
    Error, Result,
    config::{LogFormat, Logging},
};

/// Starts logging, for the whole process.
pub(crate) fn start(logging: &Logging) -> Result<()> {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = match logging.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let level = logging.level.to_filter();
    let started = tracing_subscriber::registry().with(level).with(lines.with_filter(Sampling)).try_init();
    started.map_err(|error| Error::System(io::Error::other(error)))
}
