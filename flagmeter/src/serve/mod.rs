//! `flagmeter serve`: all stages in one process, on the embedded log and store.

mod first_start;
pub(crate) mod folder;
mod listener;
mod logging;
pub(crate) mod metrics;
mod server;
mod stages;

use std::{net::SocketAddr, sync::Arc};

use flagmeter_model::SystemClock;

pub(crate) use self::{
    logging::start as start_logging,
    server::{Server, Start, arrived},
    stages::{downsampler_config, edge_config, store_config},
};
use crate::{
    Result,
    config::{Config, SettingArgs, Sources},
    output,
    serve::folder::Folder,
    signals::Signals,
};

/// What `flagmeter serve` is asked for.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ServeArgs {
    /// Address of the SDKs' doors, the API and the web page: short for --set listen.http=ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// Address of /metrics and /healthz: short for --set listen.metrics=ADDRESS
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,
    #[command(flatten)]
    pub(crate) settings: SettingArgs,
}

impl ServeArgs {
    /// Reads and checks the configuration.
    pub(crate) fn load(mut self) -> Result<(Config, Sources)> {
        if let Some(address) = self.listen {
            self.settings.say("--listen", "listen.http", address.to_string());
        }
        if let Some(address) = self.metrics {
            self.settings.say("--metrics", "listen.metrics", address.to_string());
        }
        self.settings.load()
    }
}

/// Serves until a signal comes.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let (config, _) = args.load()?;
    logging::start(&config.logging)?;
    let mut signals = Signals::listen()?;
    let folder = Folder::take(&config.data.path)?;
    let start = Start { config, folder, clock: Arc::new(SystemClock), covers_from: None };
    let server = start.server().await?;
    output::say(server.greeting());
    if let Some(welcome) = first_start::welcome(&server)? {
        output::say(welcome);
    }
    server.until_told_to_stop(&mut signals).await;
    server.stop(&mut signals).await
}
