//! The one that writes.

use std::sync::Arc;

use flagmeter_model::Clock;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{Config, interning::Interner, progress::Progress, standing::Standing};
use crate::Result;

/// The writer's connection and what it remembers.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) node_timeout_ms: i64,
    pub(super) series_cached_max: usize,
    series_per_environment_max: usize,
    memory: Option<Memory>,
}

/// What the file says, so that it need not be asked. Nobody else writes it.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) interner: Interner,
    pub(super) standing: Standing,
    pub(super) progress: Progress,
}

impl Writer {
    pub(super) fn new(connection: Connection, clock: Arc<dyn Clock>, config: &Config) -> Self {
        let &Config { node_timeout_ms, series_cached_max, series_per_environment_max, .. } = config;
        Self {
            connection,
            clock,
            node_timeout_ms,
            series_cached_max,
            series_per_environment_max,
            memory: None,
        }
    }

    /// Does all of `work` or nothing of it; durable when it returns.
    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Memory) -> Result<T>,
    ) -> Result<T> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Taken out: if anything fails on the way it is not put back, and read from the file the next time.
        let mut memory = match self.memory.take() {
            Some(memory) => memory,
            None => Memory::load(&tx, self.series_per_environment_max)?,
        };
        let done = work(&tx, &mut memory)?;
        tx.commit()?;
        self.memory = Some(memory);
        Ok(done)
    }
}

impl Memory {
    fn load(connection: &Connection, series_per_environment_max: usize) -> Result<Self> {
        Ok(Self {
            interner: Interner::new(series_per_environment_max),
            standing: Standing::load(connection)?,
            progress: Progress::load(connection)?,
        })
    }
}
