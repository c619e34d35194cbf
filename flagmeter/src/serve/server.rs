//! A whole server: started in one order, stopped in the other.

use std::{collections::BTreeMap, fmt, future::Future, net::SocketAddr, sync::Arc};

use axum::Router;
use flagmeter_edge::Edge;
use flagmeter_log::embedded::Log;
use flagmeter_model::{Clock, Environment, NodeId, Registry, Timestamp};
use flagmeter_queries::{InFlight, Parts, access::Tokens};
use flagmeter_store::{Store, embedded::EmbeddedStore};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{first_start, folder, folder::Folder, listener, metrics as exposition, stages};
use crate::{
    Error, Result,
    audit::{self, Arrived, Due},
    config::Config,
    output,
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

/// A task of the server, with its own way to be told to stop.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    /// What is said when it is told to stop; nothing for what only helps the others.
    stopping: Option<&'static str>,
    stop: CancellationToken,
    task: JoinHandle<Result<()>>,
}

/// A running server.
pub(crate) struct Server {
    /// In the order in which they are stopped: that in which a count goes.
    stages: Vec<Stage>,
    /// Cancelled when a stage ends that was not told to.
    broken: CancellationToken,
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
        let metrics = prometheus::Registry::new();
        let registry_file = RegistryFile::open(registry_path, folder.registry_good_copy(), &metrics)?;
        let registry = registry_file.subscribe();
        let tokens = Arc::new(token::open_at(folder.path(), Arc::clone(&clock))?);
        let store: Arc<dyn Store> =
            Arc::new(EmbeddedStore::open(stages::store_config(&config, &folder), Arc::clone(&clock))?);
        let log = Log::open(stages::log_config(&config, &folder), Arc::clone(&clock))?;
        let edge = Arc::new(Edge::open(
            stages::edge_config(&config, folder.journal(), covers_from),
            log.producer(),
            registry.clone(),
            Arc::clone(&clock),
            &metrics,
        )?);
        let router = router(
            Parts {
                config: stages::queries_config(&config),
                store: Arc::clone(&store),
                tokens: Arc::clone(&tokens),
                registry: registry.clone(),
                in_flight: None,
                clock: Arc::clone(&clock),
                metrics: &metrics,
            },
            &edge,
            config.edge.node,
        )?;
        let consumer = log.consumer()?;
        let bounds = stages::listener_bounds(&config);
        let mut stages = Stages::default();
        stages.start("the listener", Some("no new requests; finishing those that are open"), |stop| {
            listener::serve(http, router, bounds, stop)
        });
        stages.start("the edge", Some("the edge seals what it holds and hands it on"), |stop| async move {
            Ok(edge.run(stop).await?)
        });
        stages.start("ingest", Some("ingest stores what is in the log"), {
            let (config, store, clock, metrics) =
                (stages::ingest_config(&config), Arc::clone(&store), Arc::clone(&clock), metrics.clone());
            |stop| async move { Ok(flagmeter_ingest::run(config, consumer, store, clock, &metrics, stop).await?) }
        });
        stages.start("the downsampler", Some("the downsampler goes round once more"), {
            let (config, store, metrics) =
                (stages::downsampler_config(&config), Arc::clone(&store), metrics.clone());
            |stop| async move { Ok(flagmeter_downsampler::run(config, store, clock, &metrics, stop).await?) }
        });
        stages.start("the registry", None, {
            let interval = config.registry.poll_interval;
            move |stop| async move {
                registry_file.watch(interval, stop).await;
                Ok(())
            }
        });
        stages.start("the metrics", None, |stop| {
            listener::serve(metrics_listener, exposition::router(metrics), bounds, stop)
        });
        let Stages { started: stages, broken, .. } = stages;
        let parts = Opened { store, _log: log, tokens, registry, config, folder };
        Ok(Server { stages, broken, parts, http: http_at, metrics: metrics_at })
    }
}

/// What had arrived at the edge of a stopped server, by its journal, and whether any of it is still on its way.
pub(crate) async fn arrived(config: &Config, folder: &Folder, clock: Arc<dyn Clock>) -> Result<Arrived> {
    if !folder.journal().exists() {
        return Ok(Arrived { received: BTreeMap::new(), due: Due::Now });
    }
    let log = Log::open(stages::log_config(config, folder), Arc::clone(&clock))?;
    let (_, nobody) = watch::channel(Arc::default());
    let edge_config = stages::edge_config(config, folder.journal(), None);
    let edge = Edge::open(edge_config, log.producer(), nobody, clock, &prometheus::Registry::new())?;
    let nothing_waits = edge.waiting_bytes() == 0 && log.consumer()?.lag().await?.records == 0;
    Ok(Arrived { received: edge.received(), due: if nothing_waits { Due::Now } else { Due::WhenServed } })
}

/// Everything that is answered on the one address: doors, API, page, and the audit.
fn router(parts: Parts<'_>, edge: &Arc<Edge>, node: NodeId) -> Result<Router> {
    let in_flight: Arc<dyn InFlight> = Arc::new(OfEdge(Arc::clone(edge)));
    let audit = audit::route::router(audit::route::Parts {
        store: Arc::clone(&parts.store),
        tokens: Arc::clone(&parts.tokens),
        clock: Arc::clone(&parts.clock),
        in_flight: Arc::clone(&in_flight),
        node,
    });
    let others = edge.router().merge(audit);
    Ok(flagmeter_queries::router(Parts { in_flight: Some(in_flight), ..parts }, others)?)
}

/// The stages while they are being started.
#[derive(Default)]
struct Stages {
    started: Vec<Stage>,
    broken: CancellationToken,
    tasks: TaskTracker,
}

impl Stages {
    fn start<F>(
        &mut self,
        name: &'static str,
        stopping: Option<&'static str>,
        run: impl FnOnce(CancellationToken) -> F,
    ) where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let stop = CancellationToken::new();
        let work = run(stop.clone());
        let (told, broken) = (stop.clone(), self.broken.clone().drop_guard());
        let task = self.tasks.spawn(async move {
            // Dropped by a panic as well: a stage that is gone is noticed however it went.
            let broken = broken;
            let ended = work.await;
            if told.is_cancelled() {
                broken.disarm();
                return ended;
            }
            ended.and(Err(Error::StageEnded(name)))
        });
        self.started.push(Stage { name, stopping, stop, task });
    }
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
        tokio::select! {
            () = signals.next() => {}
            () = self.broken.cancelled() => {}
        }
    }

    /// Stops in order. A further signal ends it at once.
    pub(crate) async fn stop(self, signals: &mut Signals) -> Result<()> {
        tokio::select! {
            stopped = self.stop_in_order() => stopped,
            () = signals.next() => Err(Error::StoppedAtOnce),
        }
    }

    async fn stop_in_order(self) -> Result<()> {
        let mut first_error = None;
        for Stage { name, stopping, stop, task } in self.stages {
            if let Some(what) = stopping {
                output::note(format!("stopping: {what}"));
            }
            stop.cancel();
            let ended = task.await.unwrap_or(Err(Error::StageEnded(name)));
            if let Err(error) = ended {
                tracing::error!(%error, "{name} ended badly");
                first_error.get_or_insert(error);
            }
        }
        output::note("stopping: closing the store and the log");
        // Closing waits for the disk.
        let closed = tokio::task::spawn_blocking(move || drop(self.parts)).await;
        match (first_error, closed) {
            (Some(error), _) => Err(error),
            (None, Err(_)) => Err(Error::StageEnded("closing")),
            (None, Ok(())) => {
                output::note("stopped: everything that was acknowledged is stored");
                Ok(())
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Starts one stage; whether its end is noticed, and what it ends with.
    async fn end_of<F>(told: bool, run: impl FnOnce(CancellationToken) -> F) -> (bool, Option<Result<()>>)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let mut stages = Stages::default();
        stages.start("a stage", None, run);
        let stage = stages.started.remove(0);
        if told {
            stage.stop.cancel();
        }
        let ended = stage.task.await.ok();
        (stages.broken.is_cancelled(), ended)
    }

    #[tokio::test]
    async fn a_stage_that_ends_by_itself_is_noticed_also_when_it_panics() {
        let panics = end_of(false, |_| async { panic!("on purpose") }).await;
        assert!(matches!(panics, (true, None)), "{panics:?}");
        let returns = end_of(false, |_| async { Ok(()) }).await;
        assert!(matches!(returns, (true, Some(Err(Error::StageEnded(_))))), "{returns:?}");
        let told = end_of(true, |stop| async move {
            stop.cancelled().await;
            Ok(())
        });
        assert!(matches!(told.await, (false, Some(Ok(())))));
    }
}
