//! `flagmeter queries`: the API and the web page over InfluxDB. Its data folder holds the API tokens.

use std::sync::Arc;

use flagmeter_queries::Parts;
use tokio::sync::watch;

use super::{Process, Started};
use crate::{
    Result, audit,
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
    super::run(config, open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<Folder>> {
    let Process { config, clock, metrics, .. } = process;
    // Several that answer may share their tokens.
    let folder = Folder::share(&config.data.path)?;
    let (listener, address) = listener::bind(config.listen.http, "listen.http").await?;
    let registry_file =
        RegistryFile::open(folder::registry_file(config), folder.registry_good_copy(), metrics)?;
    let tokens = Arc::new(token::open_at(folder.path(), Arc::clone(clock))?);
    let store = process.influx().await?;
    let audit = audit::route::router(audit::route::Parts {
        store: Arc::clone(&store),
        ledger: None,
        tokens: Arc::clone(&tokens),
        clock: Arc::clone(clock),
        edge: None,
    });
    let (awake, stopping) = watch::channel(());
    let parts = Parts {
        config: settings::queries_config(config),
        store: Arc::clone(&store),
        ledger: None,
        tokens,
        registry: registry_file.subscribe(),
        in_flight: None,
        stopping,
        clock: Arc::clone(clock),
        metrics,
    };
    let router = flagmeter_queries::router(parts, audit)?;
    stages.listener(process.with(), listener, router, awake);
    stages.registry(process.with(), registry_file);
    let greeting = format!(
        "queries listens on http://{address}, reads {}, and keeps its tokens in {}",
        config.influx.url,
        folder.path().display()
    );
    let then = Box::new(|| "nothing was left undone");
    let closing = Closing { what: "the data folder", parts: folder, then };
    Ok(Started { greeting, needs: Needs { store: Some(store), edge: None }, closing })
}
