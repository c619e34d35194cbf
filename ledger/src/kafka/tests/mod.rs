//! The ledger on a real broker.

mod books;
mod churn;
mod conformance;
mod leaders;

use std::path::{Path, PathBuf};

use flagmeter_log::kafka::{self, topic::Settings};
use tempfile::TempDir;

use super::{Config, KafkaLedger, create};
use crate::Result;

/// A topic of a test's own, and a folder for the books of those that read it.
pub(super) struct Topic {
    log: kafka::Config,
    folder: TempDir,
}

/// The broker under test.
fn brokers() -> String {
    std::env::var("FLAGMETER_TEST_KAFKA")
        .expect("no Kafka: run `./services run cargo test --features flagmeter/kafka -- --include-ignored`, or set FLAGMETER_TEST_KAFKA to host:port")
}

/// One broker has one copy.
fn settings() -> Settings {
    Settings { replication: 1, min_insync_replicas: 1, ..Settings::default() }
}

impl Topic {
    async fn new() -> Result<Self> {
        let log = kafka::Config::new(brokers(), format!("test-{:016x}", rand::random::<u64>()));
        let made = Self { log, folder: tempfile::tempdir().expect("a folder") };
        create(&made.config()).await?;
        Ok(made)
    }

    fn path(&self, book: &str) -> PathBuf {
        self.folder.path().join(book)
    }

    fn config(&self) -> Config {
        Config::beside(&self.log, &settings())
    }

    /// The ledger as a process has it whose book is this file.
    async fn open(&self, book: &str) -> Result<KafkaLedger> {
        KafkaLedger::open(self.config(), crate::Config { path: self.path(book) }).await
    }
}

/// A copy of a book's files as they are at this instant is what a killed process leaves.
fn copy(from: &Path, to: &Path) {
    for part in ["", "-wal"] {
        let file = |path: &Path| PathBuf::from(format!("{}{part}", path.display()));
        if file(from).exists() {
            std::fs::copy(file(from), file(to)).expect("copied");
        }
    }
}
