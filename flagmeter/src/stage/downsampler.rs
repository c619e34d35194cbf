//! `flagmeter downsampler`: rolls up what is in InfluxDB. It keeps nothing itself, and several do no harm.

use std::sync::Arc;

use super::{Process, Started};
use crate::{
    Result,
    process::{Closing, ProcessArgs, Stages, readiness::Needs, settings},
};

/// Runs a downsampler.
pub(crate) async fn run(args: ProcessArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<()>> {
    let Process { config, clock, metrics, .. } = process;
    let store = process.influx().await?;
    stages.start("the downsampler", "the downsampler goes round once more", {
        let (config, store, clock, metrics) =
            (settings::downsampler_config(config), Arc::clone(&store), Arc::clone(clock), metrics.clone());
        |stop| async move { Ok(flagmeter_downsampler::run(config, store, clock, &metrics, stop).await?) }
    });
    let greeting = format!("downsampler works on {}", config.influx.url);
    let closing =
        Closing { what: "the connections", parts: (), then: "what is not rolled up yet waits in InfluxDB" };
    Ok(Started { greeting, needs: Needs { store: Some(store), edge: None }, closing })
}
