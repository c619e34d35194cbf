//! `flagmeter downsampler`: rolls up what is in InfluxDB, and closes hours in the ledger. It keeps nothing itself but what
//! it has read of the ledger, and several do no harm.

use std::sync::Arc;

use flagmeter_ledger::Ledger;

use super::{Process, Started};
use crate::{
    Result,
    process::{Closing, ProcessArgs, Stages, folder::Folder, readiness::Needs},
};

/// Runs a downsampler.
pub(crate) async fn run(args: ProcessArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<(Arc<dyn Ledger>, Folder)>> {
    let folder = Folder::share(&process.config.data.path)?;
    let store = process.influx().await?;
    let ledger = process.ledger(&folder).await?;
    stages.downsampler(process.with(), &store, Arc::clone(&ledger));
    process.watch_ledger(stages, &ledger)?;
    let greeting = format!(
        "downsampler works on {}, closes hours in the topic {}, and keeps what it has read of it in {}",
        process.config.influx.url,
        process.ledger_topic(),
        folder.path().display()
    );
    let then = Box::new(|| "what is not rolled up yet waits in InfluxDB");
    let closing = Closing { what: "the connections", parts: (ledger, folder), then };
    Ok(Started { greeting, needs: Needs { store: Some(store), edge: None }, closing })
}
