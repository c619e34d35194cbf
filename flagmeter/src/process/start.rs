//! Starting the stages: the same in one process as in many.

use std::sync::Arc;

use axum::Router;
use flagmeter_downsampler::{Bursts, Watch, Webhook};
use flagmeter_edge::Edge;
use flagmeter_ledger::Ledger;
use flagmeter_log::Consumer;
use flagmeter_model::{Clock, Name, Registry};
use flagmeter_queries::Heartbeat;
use flagmeter_rollout::RuntimeFlags;
use flagmeter_store::Store;
use tokio::{net::TcpListener, sync::watch};

use super::{
    Stages, listener, metrics,
    readiness::{self, Readiness},
    settings, webhook,
};
use crate::{
    Result,
    config::Config,
    flags::{Exposer, FlagWatch, To},
    registry::{RegistryFile, allowances},
    traces,
};

/// What stages work with.
#[derive(Clone, Copy)]
pub(crate) struct With<'a> {
    pub(crate) config: &'a Config,
    pub(crate) clock: &'a Arc<dyn Clock>,
    pub(crate) metrics: &'a prometheus::Registry,
    pub(crate) readiness: &'a Readiness,
}

impl Stages {
    /// Answers requests, those about health as well. When it is told to stop, `awake` is dropped: that ends what waits for
    /// something to happen, so that open requests finish.
    pub(crate) fn listener<T: Send + 'static>(
        &mut self,
        with: With<'_>,
        listener: TcpListener,
        router: Router,
        awake: T,
    ) {
        let bounds = settings::listener_bounds(with.config);
        let router = traces::of_requests(router).merge(readiness::router(with.readiness.clone()));
        self.start("the listener", "no new requests; finishing those that are open", |stop| {
            let told = stop.clone();
            async move {
                let ending = async {
                    told.cancelled().await;
                    drop(awake);
                };
                // It serves until it is told.
                let (served, ()) = tokio::join!(listener::serve(listener, router, bounds, stop), ending);
                served
            }
        });
    }

    /// Seals what arrives and hands it on.
    pub(crate) fn edge(&mut self, edge: Arc<Edge>) {
        self.start("the edge", "the edge seals what it holds and hands it on", |stop| async move {
            Ok(edge.run(stop).await?)
        });
    }

    /// Stores what is in the log.
    pub(crate) fn ingest(
        &mut self,
        with: With<'_>,
        ingest: flagmeter_ingest::Config,
        consumer: Box<dyn Consumer>,
        store: &Arc<dyn Store>,
    ) {
        let (store, clock, metrics) = (Arc::clone(store), Arc::clone(with.clock), with.metrics.clone());
        self.start("ingest", "ingest stores what it has read", |stop| async move {
            Ok(flagmeter_ingest::run(ingest, consumer, store, clock, &metrics, stop).await?)
        });
    }

    /// Rolls up what is stored, and closes hours.
    pub(crate) fn downsampler(&mut self, with: With<'_>, store: &Arc<dyn Store>, ledger: Arc<dyn Ledger>) {
        let config = settings::downsampler_config(with.config);
        let (store, clock, metrics) = (Arc::clone(store), Arc::clone(with.clock), with.metrics.clone());
        self.start("the downsampler", "the downsampler goes round once more", |stop| async move {
            Ok(flagmeter_downsampler::run(config, store, Some(ledger), clock, &metrics, stop).await?)
        });
    }

    /// Watches the thresholds of plans, beside everything else.
    pub(crate) fn thresholds(
        &mut self,
        with: With<'_>,
        (store, ledger): (&Arc<dyn Store>, &Arc<dyn Ledger>),
        registry: watch::Receiver<Arc<Registry>>,
    ) -> Result<()> {
        let parts = (Arc::clone(store), Arc::clone(ledger));
        let watch = Watch::new(parts, allowances(registry), Arc::clone(with.clock), with.metrics)?;
        self.help("the thresholds of plans", |stop| async move { Ok(watch.run(stop).await?) });
        Ok(())
    }

    /// Watches for bursts where that is wished, beside everything else.
    pub(crate) fn bursts(
        &mut self,
        with: With<'_>,
        (store, ledger): (&Arc<dyn Store>, &Arc<dyn Ledger>),
        flags: Arc<RuntimeFlags>,
    ) -> Result<()> {
        if !with.config.bursts.watch {
            return Ok(());
        }
        let parts = (Arc::clone(store), Arc::clone(ledger));
        let is_watched = Box::new(move |customer: &Name| flags.burst_detection(customer.as_str()));
        let (settings, clock) = (&with.config.bursts, Arc::clone(with.clock));
        let bursts = Bursts::new(parts, is_watched, settings.flags, clock, with.metrics)?;
        self.help("the watch for bursts", |stop| async move { Ok(bursts.run(stop).await?) });
        Ok(())
    }

    /// Tells crossings of thresholds and alerts to the address that is set, if one is; `shared` where other processes may
    /// as well.
    pub(crate) fn webhook(&mut self, with: With<'_>, ledger: &Arc<dyn Ledger>, shared: bool) -> Result<()> {
        let Some(config) = webhook::config(with.config, shared)? else { return Ok(()) };
        let webhook = Webhook::new(config, Arc::clone(ledger), Arc::clone(with.clock), with.metrics)?;
        self.help("the webhook", |stop| async move { Ok(webhook.run(stop).await?) });
        Ok(())
    }

    /// Measures how long counts take until a question shows them.
    pub(crate) fn heartbeat(&mut self, with: With<'_>, store: &Arc<dyn Store>) -> Result<()> {
        let config = settings::queries_config(with.config);
        let heartbeat = Heartbeat::new(&config, Arc::clone(store), Arc::clone(with.clock), with.metrics)?;
        self.help("the heartbeat", |stop| async move {
            heartbeat.run(stop.cancelled_owned()).await;
            Ok(())
        });
        Ok(())
    }

    /// Takes changes of the registry.
    pub(crate) fn registry(&mut self, with: With<'_>, file: RegistryFile) {
        let interval = with.config.registry.poll_interval;
        self.help("the registry", move |stop| file.watch(interval, stop));
    }

    /// Takes changes of runtime flags, and counts decisions by them where that is set: at the doors of this process, or
    /// at those of an edge elsewhere.
    pub(crate) fn flags(
        &mut self,
        with: With<'_>,
        process: &'static str,
        watch: FlagWatch,
        registry: Option<watch::Receiver<Arc<Registry>>>,
        doors: Option<Router>,
    ) -> Result<()> {
        let section = &with.config.runtime_flags;
        let (key, url) = (section.exposures_key.0.clone(), &section.exposures_url);
        // The address was checked with the configuration.
        let to = doors.map(To::Doors).or_else(|| url.parse().ok().map(To::Edge));
        if let Some(to) = to.filter(|_| !key.is_empty()) {
            let exposer = Exposer::new(watch.flags(), to, (key, process), with.metrics)?;
            self.help("the counting of runtime flags", |stop| exposer.run(stop));
        }
        let interval = section.poll_interval;
        self.help("the runtime flags", move |stop| watch.run(interval, registry, stop));
        Ok(())
    }

    /// Exports traces, where that is wished. Started last: what ends before it is in them.
    pub(crate) fn traces(&mut self, with: With<'_>) -> Result<()> {
        if let Some(exporter) = traces::exporter(with.metrics)? {
            self.help("the traces", |stop| exporter.run(stop));
        }
        Ok(())
    }

    /// Tells metrics and health, on an address of their own.
    pub(crate) fn metrics(&mut self, with: With<'_>, listener: TcpListener) {
        let bounds = settings::listener_bounds(with.config);
        let router = metrics::router(with.metrics.clone(), with.readiness.clone());
        self.help("the metrics", |stop| listener::serve(listener, router, bounds, stop));
    }
}
