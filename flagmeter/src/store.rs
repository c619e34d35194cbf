//! `flagmeter store`: makes the buckets in InfluxDB, and checks them.

use std::sync::Arc;

use flagmeter_model::SystemClock;
use flagmeter_store::influx::{self, InfluxStore};

use crate::{Result, config::SettingArgs, output, process::settings};

/// What `flagmeter store` is asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StoreCommand {
    /// Make the buckets that are not there, with the retention that the settings say
    #[command(after_help = "\
Examples:
  FLAGMETER_INFLUX_TOKEN=… flagmeter store init --set influx.url=http://influxdb:8086
  flagmeter store init --set influx.token_file=/run/secrets/influx_token")]
    Init(SettingArgs),
    /// Say `ok`, or what is wrong and how to mend it
    #[command(after_help = "Examples:\n  FLAGMETER_INFLUX_TOKEN=… flagmeter store check")]
    Check(SettingArgs),
}

/// Does it.
pub(crate) async fn run(command: StoreCommand) -> Result<()> {
    let (StoreCommand::Init(arguments) | StoreCommand::Check(arguments)) = &command;
    let (config, _) = arguments.load()?;
    let influx = settings::influx_config(&config)?;
    let (url, prefix) = (influx.url.clone(), influx.prefix.clone());
    match command {
        StoreCommand::Init(_) => {
            let done = influx::init(&influx).await?;
            for what in &done {
                output::say(what);
            }
            if done.is_empty() {
                output::say(format!("the buckets {prefix}_… are there, and as they should be"));
            }
        }
        StoreCommand::Check(_) => {
            InfluxStore::open(influx, Arc::new(SystemClock)).await?;
            output::say(format!("ok: the buckets {prefix}_… at {url}"));
        }
    }
    Ok(())
}
