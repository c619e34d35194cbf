//! A whole server: started in one order, stopped in the other.

use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use axum::Router;
use flagmeter_edge::Edge;
use flagmeter_ledger::{Config as LedgerConfig, EmbeddedLedger, Ledger};
use flagmeter_log::embedded::Log;
use flagmeter_model::{Clock, Environment, NodeId, Registry, Timestamp};
use flagmeter_queries::{InFlight, Parts, access::Tokens};
use flagmeter_store::{Store, embedded::EmbeddedStore};
use tokio::sync::watch;

use super::first_start;
use crate::{
    Result,
    audit::{self, Arrived, Due},
    config::Config,
    flags::{self, FlagWatch},
    process::{
        Closing, Stages, With,
        folder::{self, Folder},
        listener, metrics,
        readiness::{Needs, Readiness},
        settings,
    },
    registry::RegistryFile,
    signals::Signals,
    token,
};

/// What a server is started from.
pub(crate) struct Start {
    pub(crate) config: Config,
    pub(crate) folder: Folder,
    pub(crate) clock: Arc<dyn Clock>,
    /// For a fresh folder whose history is about to be imported: since when it is to count as covered.
    pub(crate) covers_from: Option<Timestamp>,
}

/// A running server.
pub(crate) struct Server {
    stages: Stages,
    readiness: Readiness,
    parts: Opened,
    http: SocketAddr,
    metrics: SocketAddr,
}

/// What is open while the server runs, closed in this order.
struct Opened {
    store: Arc<dyn Store>,
    _log: Log,
    tokens: Arc<Tokens>,
    registry: watch::Receiver<Arc<Registry>>,
    config: Config,
    folder: Folder,
}

/// What the edge of this process has received, for the in-flight view.
struct OfEdge(Arc<Edge>);

impl InFlight for OfEdge {
    fn received(&self) -> BTreeMap<Environment, u64> {
        self.0.received()
    }
}

impl Start {
    /// Opens everything and starts the stages. Nothing is left running when it fails.
    pub(crate) async fn server(self) -> Result<Server> {
        let Self { config, folder, clock, covers_from } = self;
        let (http, http_at) = listener::bind(config.listen.http, "listen.http").await?;
        let (metrics_listener, metrics_at) = listener::bind(config.listen.metrics, "listen.metrics").await?;
        first_start::make_registry(&config, &folder)?;
        let registry_path = folder::registry_file(&config);
        let metrics = metrics::of_process()?;
        let registry_file = RegistryFile::open(registry_path, folder.registry_good_copy(), &metrics)?;
        let registry = registry_file.subscribe();
        let good_copy = Some(folder.flags_good_copy());
        let flag_watch = FlagWatch::open(&config, "serve", &clock, &metrics, good_copy).await?;
        let tokens = Arc::new(token::open_at(folder.path(), Arc::clone(&clock))?);
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(settings::store_config(&config, &folder), Arc::clone(&clock))?);
        let log = Log::open(settings::log_config(&config, &folder), Arc::clone(&clock))?;
        let edge = Arc::new(Edge::open(
            flagmeter_edge::Config {
                encoding_of: flags::encoding_of(flag_watch.flags()),
                ..settings::edge_config(&config, folder.journal(), covers_from)
            },
            log.producer(),
            registry.clone(),
            Arc::clone(&clock),
            &metrics,
        )?);
        let ledger: Arc<dyn Ledger> =
            Arc::new(EmbeddedLedger::open(&LedgerConfig { path: folder.ledger() })?);
        let (awake, stopping) = watch::channel(());
        let router = router(
            Parts {
                config: settings::queries_config(&config),
                store: Arc::clone(&store),
                ledger: Some(Arc::clone(&ledger)),
                tokens: Arc::clone(&tokens),
                registry: registry.clone(),
                in_flight: None,
                stopping,
                clock: Arc::clone(&clock),
                metrics: &metrics,
            },
            &edge,
            config.edge.node,
        )?;
        let consumer = log.consumer()?;
        let readiness = Readiness::default();
        readiness.works_with(Needs { edge: Some(Arc::clone(&edge)), store: Some(Arc::clone(&store)) });
        let mut stages = Stages::default();
        let with = With { config: &config, clock: &clock, metrics: &metrics, readiness: &readiness };
        stages.listener(with, http, router, awake);
        let doors = edge.router();
        stages.edge(edge);
        stages.ingest(with, settings::ingest_config(&config), consumer, &store);
        stages.downsampler(with, &store, Arc::clone(&ledger));
        stages.thresholds(with, (&store, &ledger), registry.clone())?;
        stages.bursts(with, (&store, &ledger), flag_watch.flags())?;
        stages.webhook(with, &ledger, false)?;
        stages.heartbeat(with, &store)?;
        stages.flags(with, "serve", flag_watch, Some(registry.clone()), Some(doors))?;
        stages.registry(with, registry_file);
        stages.metrics(with, metrics_listener);
        stages.traces(with)?;
        let parts = Opened { store, _log: log, tokens, registry, config, folder };
        Ok(Server { stages, readiness, parts, http: http_at, metrics: metrics_at })
    }
}

/// What had arrived at the edge of a stopped server, by its journal, and whether any of it is still on its way.
pub(crate) async fn arrived(config: &Config, folder: &Folder, clock: Arc<dyn Clock>) -> Result<Arrived> {
    if !folder.journal().exists() {
        return Ok(Arrived { received: BTreeMap::new(), due: Due::Now });
    }
    let log = Log::open(settings::log_config(config, folder), Arc::clone(&clock))?;
    let (_, nobody) = watch::channel(Arc::default());
    let edge_config = settings::edge_config(config, folder.journal(), None);
    let edge = Edge::open(edge_config, log.producer(), nobody, clock, &prometheus::Registry::new())?;
    let nothing_waits = edge.waiting_bytes() == 0 && log.consumer()?.lag().await?.records == 0;
    Ok(Arrived { received: edge.received(), due: if nothing_waits { Due::Now } else { Due::WhenServed } })
}

/// Everything that is answered on the one address: doors, API, page, and the audit.
fn router(parts: Parts<'_>, edge: &Arc<Edge>, node: NodeId) -> Result<Router> {
    let in_flight: Arc<dyn InFlight> = Arc::new(OfEdge(Arc::clone(edge)));
    let audit = audit::route::router(audit::route::Parts {
        store: Arc::clone(&parts.store),
        ledger: parts.ledger.clone(),
        tokens: Arc::clone(&parts.tokens),
        clock: Arc::clone(&parts.clock),
        edge: Some((Arc::clone(&in_flight), node)),
    });
    let others = edge.router().merge(audit);
    Ok(flagmeter_queries::router(Parts { in_flight: Some(in_flight), ..parts }, others)?)
}

impl Server {
    /// Where the doors, the API and the page are.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http)
    }

    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.parts.store
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.parts.tokens
    }

    pub(crate) fn registry(&self) -> Arc<Registry> {
        self.parts.registry.borrow().clone()
    }

    pub(crate) fn config(&self) -> &Config {
        &self.parts.config
    }

    pub(crate) fn greeting(&self) -> String {
        format!(
            "flagmeter {} listens on {} (metrics on http://{}/metrics) and keeps its data in {}",
            env!("CARGO_PKG_VERSION"),
            self.url(),
            self.metrics,
            self.parts.folder.path().display(),
        )
    }

    /// Returns when a signal comes, or when a stage ends by itself: then what was wrong is told by
    /// [`stop`](Self::stop).
    pub(crate) async fn until_told_to_stop(&self, signals: &mut Signals) {
        self.stages.until_told_to_stop(signals).await;
    }

    /// Stops in order. A further signal ends it at once.
    pub(crate) async fn stop(self, signals: &mut Signals) -> Result<()> {
        self.readiness.stops();
        let closing = Closing {
            what: "the store and the log",
            parts: self.parts,
            then: Box::new(|| "everything that was acknowledged is stored"),
        };
        self.stages.stop(closing, signals).await
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("http", &self.http)
            .field("metrics", &self.metrics)
            .finish_non_exhaustive()
    }
}
