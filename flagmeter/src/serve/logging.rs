//! The program's own log lines, on stderr.

use std::io;

use tracing_subscriber::EnvFilter;

use crate::{
    Error, Result,
    config::{LogFormat, Logging},
};

/// Starts logging, for the whole process.
pub(crate) fn start(logging: &Logging) -> Result<()> {
    let filter = EnvFilter::try_new(&logging.level).map_err(|error| {
        let level = &logging.level;
        Error::Config(format!(
            "logging.level is {level:?}: {error}; write \"info\", or directives such as \"info,flagmeter_edge=debug\""
        ))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match logging.format {
        LogFormat::Text => lines.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Error::System(io::Error::other(error)))
}
