//! The ledger in Kafka, as the stages have it that close hours or tell of them: with a book of their own.

use std::{sync::Arc, time::Duration};

use flagmeter_ledger::{Config, Error as LedgerError, Ledger, Position, kafka::KafkaLedger};
use prometheus::IntGauge;
use tokio::time::{Instant, sleep};
use tracing::{error, info};

use super::Process;
use crate::{
    Error, Result,
    process::{Stages, folder::Folder, metrics::register, settings, until_there},
};

/// How often it is looked whether the ledger is read to its end, at work and before.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

impl Process {
    /// Its topic.
    pub(super) fn ledger_topic(&self) -> String {
        settings::ledger_config(&self.config).topic().to_owned()
    }

    fn kafka(&self) -> String {
        format!("Kafka at {}", self.config.kafka.brokers)
    }

    /// Waits for Kafka, checks the ledger's topic, and begins to read it into the first of the folder's books that no
    /// other process has.
    pub(super) async fn ledger(&self, folder: &Folder) -> Result<Arc<dyn Ledger>> {
        let (server, config) = (self.kafka(), settings::ledger_config(&self.config));
        let open = async || {
            let mut number = 1;
            loop {
                let book = Config { path: folder.book(number) };
                match KafkaLedger::open(config.clone(), book).await {
                    Err(LedgerError::InUse { .. }) => number += 1,
                    opened => return Ok(opened?),
                }
            }
        };
        let patience = self.config.startup.servers_max;
        Ok(Arc::new(until_there(&server, patience, &self.readiness, open).await?))
    }

    /// Waits until it is read to its end: for as long as rows come, and without one no longer than for a server.
    pub(super) async fn read_to_its_end(&self, ledger: &Arc<dyn Ledger>) -> Result<()> {
        let (mut rows, mut since) = (Position::START, Instant::now());
        loop {
            let error = match ledger.standing().await {
                Ok(_) => return Ok(()),
                Err(error) if error.is_retryable() => error,
                Err(error) => return Err(error.into()),
            };
            let known = *ledger.end().borrow();
            if known > rows {
                (rows, since) = (known, Instant::now());
            } else if since.elapsed() > self.config.startup.servers_max {
                return Err(Error::NotThere {
                    server: self.kafka(),
                    waited_seconds: since.elapsed().as_secs(),
                    reason: Box::new(error.into()),
                });
            }
            self.readiness.waits_for(format!("reading the ledger, {rows} rows so far: {error}"));
            sleep(LOOK_AGAIN_AFTER).await;
        }
    }

    /// Tells from now on whether it is read to its end. Where it is not, what was read is answered all the same.
    pub(super) fn watch_ledger(&self, stages: &mut Stages, ledger: &Arc<dyn Ledger>) -> Result<()> {
        let (told, ledger) = (Told::new(&self.metrics)?, Arc::clone(ledger));
        stages.help("the watch over the ledger", |stop| async move {
            stop.run_until_cancelled(watch(ledger, told)).await;
            Ok(())
        });
        Ok(())
    }
}

/// What is told of it.
struct Told {
    rows: IntGauge,
    stalled: IntGauge,
    is_stalled: bool,
}

impl Told {
    fn new(registry: &prometheus::Registry) -> Result<Self> {
        let gauge = |name: &str, help: &str| register(registry, IntGauge::new(name, help));
        Ok(Self {
            rows: gauge("flagmeter_ledger_rows", "Rows of the ledger that this process has read.")?,
            stalled: gauge(
                "flagmeter_ledger_stalled",
                "1 while the ledger's topic is not read to its end: bills and the feed end with what was read before.",
            )?,
            is_stalled: false,
        })
    }

    fn tell(&mut self, rows: Position, looked: &Result<(), LedgerError>) {
        self.rows.set(i64::try_from(rows.get()).unwrap_or(i64::MAX));
        self.stalled.set(looked.is_err().into());
        match looked {
            Err(error) if !self.is_stalled => {
                error!(%error, "the ledger is not read to its end: bills and the feed end with what was read before");
            }
            Ok(()) if self.is_stalled => info!("the ledger is read to its end again"),
            _ => {}
        }
        self.is_stalled = looked.is_err();
    }
}

async fn watch(ledger: Arc<dyn Ledger>, mut told: Told) {
    loop {
        let looked = ledger.standing().await.map(drop);
        let rows = *ledger.end().borrow();
        told.tell(rows, &looked);
        sleep(LOOK_EVERY).await;
    }
}
