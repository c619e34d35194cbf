//! `flagmeter serve`: all stages in one process, on the embedded log and store.

mod first_start;
mod server;

use std::sync::Arc;

use flagmeter_model::SystemClock;

pub(crate) use self::server::{Server, Start, arrived};
use crate::{
    Result, output,
    process::{self, ServeArgs, folder::Folder},
    signals::Signals,
};

/// Serves until a signal comes.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let (config, _) = args.load()?;
    process::start_logging(&config, "serve")?;
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
