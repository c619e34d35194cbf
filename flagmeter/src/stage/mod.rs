//! One stage in a process of its own, on Kafka and InfluxDB: `flagmeter edge`, `ingest`, `downsampler`, `queries`.
//!
//! Metrics and health are there from the first moment. The stage begins once its servers are there, and stops in order
//! when a signal comes; what cannot be mended by waiting ends the process with one sentence.

mod downsampler;
mod edge;
mod ingest;
mod ledger;
mod queries;

use std::{net::SocketAddr, sync::Arc};

use flagmeter_log::kafka;
use flagmeter_model::{Clock, SystemClock};
use flagmeter_store::{Store, influx::InfluxStore};

pub(crate) use self::{
    downsampler::run as downsampler, edge::run as edge, ingest::run as ingest, queries::run as queries,
};
use crate::{
    Result,
    config::Config,
    output,
    process::{
        self, Closing, Stages, With, listener, metrics,
        readiness::{Needs, Readiness},
        settings, until_there,
    },
    signals::Signals,
};

/// What every stage starts from.
struct Process {
    config: Config,
    clock: Arc<dyn Clock>,
    metrics: prometheus::Registry,
    /// Where those are.
    metrics_at: SocketAddr,
    readiness: Readiness,
}

/// A stage that has started.
struct Started<T> {
    /// Said at the start.
    greeting: String,
    needs: Needs,
    closing: Closing<T>,
}

/// Runs a stage, by its `name`, from `open` until a signal comes, or until it ends by itself.
async fn run<T: Send + 'static>(
    config: Config,
    name: &str,
    open: impl AsyncFnOnce(&Process, &mut Stages) -> Result<Started<T>>,
) -> Result<()> {
    process::start_logging(&config, name)?;
    let mut signals = Signals::listen()?;
    let mut stages = Stages::default();
    let process = Process::begin(config, &mut stages).await?;
    let started = tokio::select! {
        started = open(&process, &mut stages) => started?,
        () = signals.next() => {
            output::note("stopped before it was ready: nothing was begun");
            return Ok(());
        }
    };
    let Started { greeting, needs, closing } = started;
    stages.traces(process.with())?;
    output::say(format!(
        "flagmeter {}: {greeting} (metrics on http://{}/metrics)",
        env!("CARGO_PKG_VERSION"),
        process.metrics_at
    ));
    process.readiness.works_with(needs);
    stages.until_told_to_stop(&mut signals).await;
    process.readiness.stops();
    stages.stop(closing, &mut signals).await
}

impl Process {
    async fn begin(config: Config, stages: &mut Stages) -> Result<Self> {
        let (listener, metrics_at) = listener::bind(config.listen.metrics, "listen.metrics").await?;
        let (metrics, readiness) = (metrics::of_process()?, Readiness::default());
        let process = Self { config, clock: Arc::new(SystemClock), metrics, metrics_at, readiness };
        stages.metrics(process.with(), listener);
        Ok(process)
    }

    fn with(&self) -> With<'_> {
        let Self { config, clock, metrics, readiness, .. } = self;
        With { config, clock, metrics, readiness }
    }

    /// Waits for Kafka, checks the topic, and opens one end of the log.
    async fn with_kafka<T>(&self, mut open: impl AsyncFnMut(kafka::Config) -> Result<T>) -> Result<T> {
        let (config, topic) = (settings::kafka_config(&self.config), settings::topic_settings(&self.config));
        let server = format!("Kafka at {}", config.brokers);
        until_there(&server, self.config.startup.servers_max, &self.readiness, async || {
            kafka::topic::check(&config, &topic).await?;
            open(config.clone()).await
        })
        .await
    }

    /// Waits for InfluxDB, and opens the store in it.
    async fn influx(&self) -> Result<Arc<dyn Store>> {
        let config = settings::influx_config(&self.config)?;
        let server = format!("InfluxDB at {}", config.url);
        let store = until_there(&server, self.config.startup.servers_max, &self.readiness, async || {
            Ok(InfluxStore::open(config.clone(), Arc::clone(&self.clock)).await?)
        });
        Ok(Arc::new(store.await?))
    }
}
