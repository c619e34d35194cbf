//! `flagmeter queries`: the API and the web page over InfluxDB and the ledger. Its data folder holds the API tokens, and
//! what it has read of the ledger.

use std::sync::Arc;

use flagmeter_ledger::Ledger;
use flagmeter_queries::Parts;
use tokio::sync::watch;

use super::{Process, Started};
use crate::{
    Result, audit,
    flags::FlagWatch,
    process::{
        Closing, ServeArgs, Stages,
        folder::{self, Folder},
        listener,
        readiness::Needs,
        settings,
    },
    registry::RegistryFile,
    token,
};

/// Answers queries.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, "queries", open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<(Arc<dyn Ledger>, Folder)>> {
    let Process { config, clock, metrics, .. } = process;
    // Several that answer may share their tokens; each has a book of the ledger.
    let folder = Folder::share(&config.data.path)?;
    let (listener, address) = listener::bind(config.listen.http, "listen.http").await?;
    let registry_file =
        RegistryFile::open(folder::registry_file(config), folder.registry_good_copy(), metrics)?;
    let tokens = Arc::new(token::open_at(folder.path(), Arc::clone(clock))?);
    let store = process.influx().await?;
    let ledger = process.ledger(&folder).await?;
    process.read_to_its_end(&ledger).await?;
    let audit = audit::route::router(audit::route::Parts {
        store: Arc::clone(&store),
        ledger: Some(Arc::clone(&ledger)),
        tokens: Arc::clone(&tokens),
        clock: Arc::clone(clock),
        edge: None,
    });
    let (awake, stopping) = watch::channel(());
    let parts = Parts {
        config: settings::queries_config(config),
        store: Arc::clone(&store),
        ledger: Some(Arc::clone(&ledger)),
        tokens,
        registry: registry_file.subscribe(),
        in_flight: None,
        stopping,
        clock: Arc::clone(clock),
        metrics,
    };
    let router = flagmeter_queries::router(parts, audit)?;
    let good_copy = Some(folder.flags_good_copy());
    let flags = FlagWatch::open(config, "queries", clock, metrics, good_copy).await?;
    stages.flags(process.with(), "queries", flags, Some(registry_file.subscribe()), None)?;
    stages.listener(process.with(), listener, router, awake);
    stages.registry(process.with(), registry_file);
    process.watch_ledger(stages, &ledger)?;
    stages.heartbeat(process.with(), &store)?;
    let greeting = format!(
        "queries listens on http://{address}, reads {} and the topic {}, and keeps its tokens in {}",
        config.influx.url,
        process.ledger_topic(),
        folder.path().display()
    );
    let then = Box::new(|| "nothing was left undone");
    let closing = Closing { what: "the data folder", parts: (ledger, folder), then };
    Ok(Started { greeting, needs: Needs { store: Some(store), edge: None }, closing })
}
