//! What every ledger promises, with a process that finds its book again and with one that has to make it anew.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Topic, copy};
use crate::{
    Ledger, Result,
    conformance::{Harness, ledger_conformance},
    kafka::KafkaLedger,
};

/// `KEEPS`: a crash leaves the book as it was at that instant.
struct Kafka<const KEEPS: bool> {
    topic: Topic,
    books: u32,
    ledger: Option<Arc<KafkaLedger>>,
}

#[async_trait]
impl<const KEEPS: bool> Harness for Kafka<KEEPS> {
    async fn new() -> Result<Self> {
        let topic = Topic::new().await?;
        let ledger = Some(Arc::new(topic.open("0").await?));
        Ok(Self { topic, books: 0, ledger })
    }

    fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone().expect("it is open")
    }

    async fn other(&self) -> Result<Arc<dyn Ledger>> {
        Ok(Arc::new(self.topic.open("other").await?))
    }

    async fn crash(&mut self) -> Result<()> {
        let before = self.books.to_string();
        self.books += 1;
        let after = self.books.to_string();
        if KEEPS {
            copy(&self.topic.path(&before), &self.topic.path(&after));
        }
        self.ledger = None;
        self.ledger = Some(Arc::new(self.topic.open(&after).await?));
        Ok(())
    }
}

mod with_its_book {
    use super::*;

    ledger_conformance!(
        #[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
        Kafka<true>
    );
}

mod with_an_empty_book {
    use super::*;

    ledger_conformance!(
        #[ignore = "needs Kafka: ./services run cargo test --features flagmeter/kafka -- --include-ignored"]
        Kafka<false>
    );
}
