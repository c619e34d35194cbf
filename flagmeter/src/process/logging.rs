//! The program's own log lines, on stderr.

use std::io;

use crate::{
    Error, Result,
    config::{LogFormat, Logging},
};

/// Starts logging, for the whole process.
pub(crate) fn start(logging: &Logging) -> Result<()> {
    let lines = tracing_subscriber::fmt().with_env_filter(logging.level.to_filter()).with_writer(io::stderr);
    let started = match logging.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Error::System(io::Error::other(error)))
}
