//! What all processes share that run until a signal comes: the folder, the listeners, the log lines, the stages and
//! the order in which these end.

pub(crate) mod folder;
pub(crate) mod listener;
mod logging;
pub(crate) mod metrics;
pub(crate) mod readiness;
pub(crate) mod sampling;
pub(crate) mod settings;
mod stages;
mod start;
mod unread;
#[cfg(feature = "kafka")]
mod waiting;
pub(crate) mod webhook;

use std::net::SocketAddr;

#[cfg(feature = "kafka")]
pub(crate) use self::waiting::until_there;
pub(crate) use self::{
    logging::start as start_logging,
    stages::{Closing, Stages},
    start::With,
};
use crate::{
    Result,
    config::{Config, SettingArgs, Sources},
};

/// What every process is asked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ProcessArgs {
    /// Address of /metrics, /healthz and /readyz: short for --set listen.metrics=ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

impl ProcessArgs {
    /// Reads and checks the configuration.
    pub(crate) fn load(mut self) -> Result<(Config, Sources)> {
        if let Some(address) = self.metrics {
            self.settings.say("--metrics", "listen.metrics", address.to_string());
        }
        self.settings.load()
    }
}

/// What a process is asked for that takes requests.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address of what it answers (the SDKs' doors, the API, the web page): short for --set listen.http=ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) process: ProcessArgs,
}

impl ServeArgs {
    /// Reads and checks the configuration.
    pub(crate) fn load(mut self) -> Result<(Config, Sources)> {
        if let Some(address) = self.listen {
            self.process.settings.say("--listen", "listen.http", address.to_string());
        }
        self.process.load()
    }
}
