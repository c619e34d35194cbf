//! The writing end.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Opened, writer::Command, writer::check_partition};
use crate::{NewRecord, Producer, Result};

pub(super) struct EmbeddedProducer(Arc<Opened>);

impl EmbeddedProducer {
    pub(super) const fn new(log: Arc<Opened>) -> Self {
        Self(log)
    }
}

#[async_trait]
impl Producer for EmbeddedProducer {
    fn partitions(&self) -> u32 {
        self.0.partitions
    }

    async fn append(&self, records: Vec<NewRecord>) -> Result<()> {
        for record in &records {
            check_partition(record.partition, self.0.partitions)?;
        }
        self.0.ask(|reply| Command::Append { records, reply }).await
    }
}
