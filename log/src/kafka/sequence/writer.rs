//! Appending to a sequence.

use std::{
    fmt,
    time::{Duration, Instant},
};

use rdkafka::{
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::{
    Error, Result,
    kafka::{
        Config,
        broker::{self, Plain},
        transactions::{CALL_TIMEOUT, PAUSE, deliver},
    },
};

/// How long a transaction may last, unless the operator says so: readers wait for a dead writer's end for no longer than
/// this and the ten seconds after which brokers look.
const TRANSACTION_MS: &str = "10000";

/// Appends to a sequence under a name that all its writers share. Its calls block.
pub struct Writer {
    config: Config,
    id: String,
    /// While this one has the sequence, as far as it knows.
    client: Option<BaseProducer<Plain>>,
}

impl Writer {
    /// One that has not taken over yet. No broker is asked.
    pub fn new(config: Config, id: impl Into<String>) -> Self {
        Self { config, id: id.into(), client: None }
    }

    /// Whether this one took over last, as far as it knows. Another may have done so since: then the next append fails.
    pub const fn has_taken_over(&self) -> bool {
        self.client.is_some()
    }

    /// Takes the sequence over. What another writer, or this one, had not committed is given up; what was committed is
    /// in the sequence when this returns.
    pub fn take_over(&mut self, deadline: Instant) -> Result<()> {
        self.client = None;
        let mut client = self.config.producer(&self.id);
        for property in ["transaction.timeout.ms", "message.timeout.ms"] {
            if !self.config.properties.contains_key(property) {
                client.set(property, TRANSACTION_MS);
            }
        }
        let client: BaseProducer<Plain> =
            client.create_with_context(Plain).map_err(|error| broker::not_made(&error))?;
        again(deadline, || client.init_transactions(CALL_TIMEOUT))
            .map_err(|error| broker::failed("taking over", &self.config, &error))?;
        self.client = Some(client);
        Ok(())
    }

    /// Appends these, in order, together: readers see all or none.
    ///
    /// After an error it must take over again. That another one took over is [`Error::Unavailable`] as everything else:
    /// whoever appends may take over again, and find out what is there.
    pub fn append(&mut self, payloads: &[Vec<u8>], deadline: Instant) -> Result<()> {
        let Some(client) = self.client.take() else {
            return Err(Error::Unavailable("an append comes after taking over".into()));
        };
        let done = self.send(&client, payloads, deadline).and_then(|()| {
            again(deadline, || {
                deliver(&client);
                client.commit_transaction(CALL_TIMEOUT)
            })
        });
        done.map_err(|error| broker::failed("an append", &self.config, &error))?;
        self.client = Some(client);
        Ok(())
    }

    /// Begins a transaction, and puts all records on their way.
    fn send(&self, client: &BaseProducer<Plain>, payloads: &[Vec<u8>], deadline: Instant) -> KafkaResult<()> {
        client.begin_transaction()?;
        for payload in payloads {
            let mut wanted = BaseRecord::<(), [u8]>::to(&self.config.topic).partition(0).payload(payload);
            while let Err((error, back)) = client.send(wanted) {
                let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !is_full || Instant::now() >= deadline {
                    return Err(error);
                }
                client.poll(Duration::from_millis(1));
                wanted = back;
            }
        }
        Ok(())
    }

    /// Sends records, and does not ask for their commit.
    #[cfg(test)]
    pub(crate) fn begin_only(&self, payloads: &[Vec<u8>]) {
        let client = self.client.as_ref().unwrap();
        self.send(client, payloads, Instant::now() + CALL_TIMEOUT).unwrap();
        deliver(client);
    }

    /// Asks for the commit of what was sent.
    #[cfg(test)]
    pub(crate) fn commit_only(&self) -> KafkaResult<()> {
        self.client.as_ref().unwrap().commit_transaction(CALL_TIMEOUT)
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("id", &self.id)
            .field("has_taken_over", &self.has_taken_over())
            .finish_non_exhaustive()
    }
}

/// Makes a call until it ends: one that was cut off goes on where it was.
fn again(deadline: Instant, call: impl Fn() -> KafkaResult<()>) -> KafkaResult<()> {
    loop {
        let error = match call() {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let is_cut_off = match &error {
            KafkaError::Transaction(error) => error.is_retriable(),
            KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
            _ => false,
        };
        if !is_cut_off || Instant::now() >= deadline {
            return Err(error);
        }
        std::thread::sleep(PAUSE);
    }
}
