//! `flagmeter downsampler`: rolls up what is in InfluxDB, and closes hours in the ledger. It keeps nothing itself but what
//! it has read of the ledger, and several do no harm.

use std::sync::Arc;

use flagmeter_ledger::Ledger;
use flagmeter_store::Store;

use super::{Process, Started};
use crate::{
    Result,
    flags::FlagWatch,
    process::{
        Closing, ProcessArgs, Stages,
        folder::{self, Folder},
        readiness::Needs,
    },
    registry::RegistryFile,
};

/// Runs a downsampler.
pub(crate) async fn run(args: ProcessArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, "downsampler", open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<(Arc<dyn Ledger>, Folder)>> {
    let folder = Folder::share(&process.config.data.path)?;
    let store = process.influx().await?;
    let ledger = process.ledger(&folder).await?;
    let Process { config, clock, metrics, .. } = process;
    let good_copy = Some(folder.flags_good_copy());
    let flags = FlagWatch::open(config, "downsampler", clock, metrics, good_copy).await?;
    stages.downsampler(process.with(), &store, Arc::clone(&ledger));
    process.watch_ledger(stages, &ledger)?;
    watch_plans(process, stages, &folder, (&store, &ledger))?;
    stages.bursts(process.with(), (&store, &ledger), flags.flags())?;
    stages.flags(process.with(), "downsampler", flags, None, None)?;
    stages.webhook(process.with(), &ledger, true)?;
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

/// Watches the plans of the registry, where this process has one. Roll-ups do without.
fn watch_plans(
    process: &Process,
    stages: &mut Stages,
    folder: &Folder,
    parts: (&Arc<dyn Store>, &Arc<dyn Ledger>),
) -> Result<()> {
    let path = folder::registry_file(&process.config);
    let good_copy = folder.registry_good_copy();
    if !path.exists() && !good_copy.exists() {
        tracing::info!(path = %path.display(), "there is no registry here: thresholds of plans are not watched");
        return Ok(());
    }
    match RegistryFile::open(path, good_copy, &process.metrics) {
        Ok(registry) => {
            stages.thresholds(process.with(), parts, registry.subscribe())?;
            stages.registry(process.with(), registry);
        }
        Err(error) => {
            tracing::error!(%error, "thresholds of plans are not watched until this process starts again");
        }
    }
    Ok(())
}
