//! One transaction for each append, and what is done when it does not go well.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use flagmeter_model::NodeId;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::{
    Config,
    broker::{self, ASK_TIMEOUT, Plain},
    claim::Claim,
    lane::Place,
    metrics::ProducerMetrics,
    producer::check_partition,
    reach,
};
use crate::{Error, NewRecord, Result};

/// How long one call waits for the broker. A call that was cut off goes on where it was when it is made again.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the claim is left again. Kafka forgets it after a week.
const REMINDED_AFTER: Duration = Duration::from_hours(24);
/// Between two calls of which the first failed at once.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// The life of a transactional producer. Every call blocks.
pub(super) struct Transactions {
    config: Config,
    node: NodeId,
    claim: Claim,
    place: Place,
    /// When the sign was left last.
    claimed: Instant,
    metrics: ProducerMetrics,
    /// Nobody waits any more.
    closing: Arc<AtomicBool>,
    client: Option<BaseProducer<Plain>>,
    /// How many the topic has, once a broker said so.
    partitions: Option<u32>,
    state: State,
}

/// Where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// No broker was heard yet.
    Unheard,
    /// The number is to be taken over from whoever had it.
    New,
    /// It is taken over. Another that started at the same time may have left its sign over this one's.
    Confirming,
    /// The next transaction can begin.
    Ready,
    /// These records were sent, and their commit was asked for. Whether it happened is not known yet.
    Committing(Vec<NewRecord>),
    /// What was sent is to be given up.
    Aborting,
    /// The broker says that someone else has the number. Whether that is so is not known yet.
    Fenced,
    /// Someone else has the number.
    Gone,
}

/// What an error asks for.
#[derive(Debug, PartialEq, Eq)]
enum Remedy {
    /// The same call again: it goes on where it was.
    Again,
    /// Giving up the transaction.
    Abort,
    /// Finding out who has the number.
    Look,
    /// A new client.
    Renew,
}

impl Transactions {
    pub(super) fn new(
        config: Config,
        node: NodeId,
        metrics: ProducerMetrics,
        closing: Arc<AtomicBool>,
        place: Place,
    ) -> Self {
        let claim = Claim::new(&config, node);
        let (client, partitions, state) = (None, None, State::Unheard);
        Self {
            config,
            node,
            claim,
            place,
            claimed: Instant::now(),
            metrics,
            closing,
            client,
            partitions,
            state,
        }
    }

    /// Takes the number over. What another producer left unfinished under it is given up, and its next call fails.
    pub(super) fn take_over(&mut self) -> Result<()> {
        self.until("taking over the node's number", |this| {
            this.advance(&[])?;
            Ok(this.state == State::Ready)
        })
    }

    /// How many partitions the topic has; `None` until a broker said so.
    pub(super) const fn partitions(&self) -> Option<u32> {
        self.partitions
    }

    /// Appends all records, or says why not. After an error that is not known to be final, the same records may be
    /// offered again: if they were appended after all, they are not appended twice by that, as long as the client
    /// lives. Where it had to be made anew in the middle of a commit, nobody can tell any more what became of that:
    /// then they may be, and readers bear it.
    pub(super) fn append(&mut self, records: &[NewRecord]) -> Result<()> {
        let bytes_max = self.config.record_bytes_max;
        if let Some(record) = records.iter().find(|record| record.payload.len() > bytes_max) {
            return Err(Error::TooLarge { bytes: record.payload.len(), bytes_max });
        }
        if records.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        self.until("an append", |this| this.advance(records))?;
        self.metrics.append_seconds.observe(began.elapsed().as_secs_f64());
        self.remind();
        Ok(())
    }

    /// Leaves the sign again before Kafka forgets it: whoever takes the number over has to find who had it.
    fn remind(&mut self) {
        if self.claimed.elapsed() < REMINDED_AFTER {
            return;
        }
        self.claimed = Instant::now();
        if let Err(error) = self.claim.leave(&self.config, &self.place) {
            tracing::warn!(node = %self.node, %error, "the claim on the node's number could not be left again");
        }
    }

    /// Goes from state to state until `step` says that it is done.
    fn until(&mut self, what: &str, mut step: impl FnMut(&mut Self) -> Result<bool, Trouble>) -> Result<()> {
        let deadline = Instant::now().checked_add(self.config.append_timeout);
        let mut given_up: Option<Error> = None;
        loop {
            if self.closing.load(Ordering::Relaxed) {
                return Err(Error::Closed);
            }
            let error = match step(self) {
                Ok(true) => return Ok(()),
                Ok(false) if self.state == State::Ready => match given_up.take() {
                    // What was sent is given up now, and nobody has seen it.
                    Some(error) => return Err(error),
                    None => continue,
                },
                Ok(false) => continue,
                Err(Trouble::Ours(error)) => return Err(error),
                Err(Trouble::Broker(error)) => error,
            };
            let remedy = remedy(&error);
            tracing::debug!(node = %self.node, state = ?self.state.name(), %error, ?remedy, "{what} met an error");
            let failure = broker::failed(what, &self.config, &error);
            match remedy {
                Remedy::Again => {}
                Remedy::Abort => self.state = State::Aborting,
                Remedy::Look => {
                    self.client = None;
                    self.state = State::Fenced;
                }
                Remedy::Renew => {
                    self.renew();
                    return Err(failure);
                }
            }
            // What is met once is answered at once. What comes back may do so without end.
            if remedy == Remedy::Again || given_up.is_some() {
                if deadline.is_none_or(|deadline| Instant::now() >= deadline) {
                    return Err(failure);
                }
                std::thread::sleep(PAUSE);
            }
            if remedy != Remedy::Again {
                given_up = Some(failure);
            }
        }
    }

    /// One step on the way to these records being appended; true if they are.
    fn advance(&mut self, records: &[NewRecord]) -> Result<bool, Trouble> {
        match &self.state {
            State::Unheard => {
                self.hear().map_err(Trouble::Ours)?;
                self.state = State::New;
            }
            State::New => {
                self.client()?.init_transactions(CALL_TIMEOUT)?;
                self.state = State::Confirming;
            }
            State::Confirming => {
                self.claim.confirm(&self.config, &self.place).map_err(Trouble::Ours)?;
                self.state = State::Ready;
            }
            State::Ready => {
                if records.is_empty() {
                    return Ok(true);
                }
                let partitions = self.partitions.unwrap_or_default();
                for record in records {
                    check_partition(record.partition, partitions).map_err(Trouble::Ours)?;
                }
                self.client()?.begin_transaction()?;
                // From here on the transaction has to be ended one way or the other.
                self.state = State::Aborting;
                self.send(records)?;
                self.state = State::Committing(records.to_vec());
            }
            State::Committing(sent) => {
                let is_ours = sent == records;
                let client = self.client()?;
                deliver(client);
                client.commit_transaction(CALL_TIMEOUT)?;
                self.metrics.transactions.with_label_values(&["committed"]).inc();
                self.state = State::Ready;
                return Ok(is_ours);
            }
            State::Aborting => {
                let client = self.client()?;
                // It waits for what became of each record, and does not ask: nobody else does while it waits.
                deliver(client);
                client.abort_transaction(CALL_TIMEOUT)?;
                self.metrics.transactions.with_label_values(&["given_up"]).inc();
                // It may have failed for what this client believes of the brokers: librdkafka can take a partition
                // for one without a leader for ever, though it hears of the leader every half minute.
                self.renew();
            }
            State::Fenced => {
                if !self.claim.holds(&self.config).map_err(Trouble::Ours)? {
                    self.state = State::Gone;
                    return Err(Trouble::Ours(Error::Fenced { node: self.node }));
                }
                tracing::warn!(node = %self.node, "the broker gave a transaction up that took too long: going on with a new client");
                self.renew();
            }
            State::Gone => return Err(Trouble::Ours(Error::Fenced { node: self.node })),
        }
        Ok(false)
    }

    /// Goes on with a new client, which takes the number over as the first one did.
    fn renew(&mut self) {
        self.metrics.renewals.inc();
        self.client = None;
        self.state = State::New;
    }

    /// The first that is asked of the brokers: how many partitions there are. Then the number is claimed.
    fn hear(&mut self) -> Result<()> {
        reach::check(&self.config).map_err(|error| match error {
            // An edge that is at work goes on: what stands in the way may be mended on the brokers' side.
            refused @ Error::Refused { .. } => Error::Unavailable(refused.to_string()),
            other => other,
        })?;
        let client = broker::asking(&self.config.admin())?;
        let found = broker::partitions(&client, &self.config, ASK_TIMEOUT)?;
        let set = self.config.partitions.unwrap_or(found);
        if found < set {
            let topic = self.config.topic.clone();
            let reason = format!(
                "it has {found} partitions, and what waits here is for the {set} that are set: add some with \
                 `kafka-topics --alter --topic {topic} --partitions {set}`"
            );
            return Err(Error::Topic { topic, reason });
        }
        self.claim.leave(&self.config, &self.place)?;
        self.partitions = Some(found);
        if found > set {
            // Nothing is lost by that: what was cut for fewer stays in its partitions.
            tracing::warn!(
                node = %self.node,
                "the topic has {found} partitions, and this edge began with {set} while Kafka was away: nothing that it \
                 counts becomes complete until it is restarted; set kafka.partitions to {found}"
            );
        }
        Ok(())
    }

    /// Leaves the claim, and does not take the number over.
    #[cfg(test)]
    pub(super) fn claim_only(&mut self) {
        assert!(self.advance(&[]).is_ok_and(|done| !done) && self.state == State::New);
    }

    /// Sends records, and does not ask for their commit.
    #[cfg(test)]
    pub(super) fn begin_only(&mut self, records: &[NewRecord]) {
        assert!(self.advance(records).is_ok_and(|done| !done) && matches!(self.state, State::Committing(_)));
        deliver(self.client.as_ref().unwrap());
    }

    /// Puts all records on their way.
    fn send(&mut self, records: &[NewRecord]) -> Result<(), Trouble> {
        let topic = self.config.topic.clone();
        let client = self.client()?;
        for record in records {
            let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
            let mut wanted =
                BaseRecord::<(), [u8]>::to(&topic).partition(partition).payload(&record.payload[..]);
            let deadline = Instant::now() + CALL_TIMEOUT;
            while let Err((error, back)) = client.send(wanted) {
                let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                if !is_full || Instant::now() >= deadline {
                    return Err(error.into());
                }
                client.poll(Duration::from_millis(1));
                wanted = back;
            }
        }
        Ok(())
    }

    fn client(&mut self) -> Result<&BaseProducer<Plain>, Trouble> {
        if self.client.is_none() {
            let id = self.config.transactional_id(self.node);
            let client = self.config.producer(&id).create_with_context(Plain);
            self.client = Some(client.map_err(|error| Trouble::Ours(broker::not_made(&error)))?);
        }
        self.client.as_ref().ok_or(Trouble::Ours(Error::Closed))
    }
}

impl State {
    /// Without the records.
    const fn name(&self) -> &'static str {
        match self {
            Self::Unheard => "unheard",
            Self::New => "new",
            Self::Confirming => "confirming",
            Self::Ready => "ready",
            Self::Committing(_) => "committing",
            Self::Aborting => "aborting",
            Self::Fenced => "fenced",
            Self::Gone => "gone",
        }
    }
}

/// An error of the broker, which may be mended here, or one of ours.
enum Trouble {
    Broker(KafkaError),
    Ours(Error),
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self::Broker(error)
    }
}

/// Waits until the brokers have answered for everything that is on its way, at most [`CALL_TIMEOUT`]. A commit
/// would do so too, but looks only ten times a second.
pub(super) fn deliver(client: &BaseProducer<Plain>) {
    let deadline = Instant::now() + CALL_TIMEOUT;
    while client.in_flight_count() > 0 && Instant::now() < deadline {
        client.poll(Duration::from_millis(1));
    }
}

fn remedy(error: &KafkaError) -> Remedy {
    use RDKafkaErrorCode as Code;
    let code = error.rdkafka_error_code();
    if matches!(code, Some(Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch)) {
        return Remedy::Look;
    }
    match error {
        KafkaError::Transaction(error) if error.is_fatal() => Remedy::Renew,
        KafkaError::Transaction(error) if error.txn_requires_abort() => Remedy::Abort,
        KafkaError::Transaction(error) if error.is_retriable() => Remedy::Again,
        KafkaError::Flush(Code::OperationTimedOut) => Remedy::Again,
        // The cause is not told: it may be another producer.
        KafkaError::MessageProduction(Code::Fatal) => Remedy::Look,
        KafkaError::MessageProduction(_) => Remedy::Abort,
        _ => Remedy::Renew,
    }
}
