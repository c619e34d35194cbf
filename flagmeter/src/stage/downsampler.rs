//! `flagmeter downsampler`: rolls up what is in InfluxDB. It keeps nothing itself, and several do no harm.

use super::{Process, Started};
use crate::{
    Result,
    process::{Closing, ProcessArgs, Stages, readiness::Needs},
};

/// Runs a downsampler.
pub(crate) async fn run(args: ProcessArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<()>> {
    let store = process.influx().await?;
    stages.downsampler(process.with(), &store, None);
    let greeting = format!("downsampler works on {}", process.config.influx.url);
    let then = Box::new(|| "what is not rolled up yet waits in InfluxDB");
    let closing = Closing { what: "the connections", parts: (), then };
    Ok(Started { greeting, needs: Needs { store: Some(store), edge: None }, closing })
}
