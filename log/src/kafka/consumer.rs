//! The reading end.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::Ordering,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    Config,
    broker::{self, ASK_TIMEOUT},
    fenced::Fenced,
    membership::{self, Member, Shared, Standing},
    metrics::ConsumerMetrics,
    poller::{Command, Current, Membering, Poller, Stall},
    producer::check_partition,
};
use crate::{Error, Lag, Partition, Positions, Record, Result};

/// How long a read without a wait looks for what is there, and how long a seek waits for the partitions.
const LOOK_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a lag waits for what is there: a figure for people must not hold up the records.
const LAG_TIMEOUT: Duration = Duration::from_secs(2);
/// How often it is asked how many partitions there are.
const PARTITIONS_EVERY: Duration = Duration::from_secs(30);
/// How long a drop waits until the group was left, so that the others need not find out by themselves.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(5);

/// One consumer of a group: it reads the partitions that the group gives it.
pub struct Consumer {
    config: Config,
    instance: Option<String>,
    shared: Arc<Shared>,
    current: Arc<Current>,
    commands: Sender<Command>,
    partitions_asked_at: Instant,
    /// Ends when the thread does.
    left: Mutex<Receiver<()>>,
}

impl Consumer {
    /// Joins the group. All consumers of one group share the topic's partitions.
    ///
    /// With an `instance`, a name that no other consumer of the group has at the same time, the partitions wait for it
    /// while it restarts, up to `session.timeout.ms`; without, they go to the others at once.
    ///
    /// [`Error::Config`] and [`Error::Topic`] say what to set or to mend; [`Error::Unavailable`] if the brokers do
    /// not answer. The metrics are registered once it is open.
    pub async fn open(
        config: Config,
        group: &str,
        instance: Option<String>,
        metrics: &prometheus::Registry,
    ) -> Result<Self> {
        config.check()?;
        for (setting, name) in [("group", Some(group)), ("instance", instance.as_deref())] {
            if name.is_some_and(str::is_empty) {
                return Err(Error::Config {
                    setting: setting.into(),
                    reason: "it is empty: set a name".into(),
                });
            }
        }
        let measured = ConsumerMetrics::new()?;
        let shared = Arc::new(Shared::new(measured.clone()));
        let all = Arc::clone(&shared);
        let membering = Membering {
            config: config.clone(),
            group: group.into(),
            instance: instance.clone(),
            shared: Arc::clone(&shared),
        };
        let (member, membering) = blocking(move || {
            let client = broker::asking(&membering.config.admin())?;
            let partitions = broker::partitions(&client, &membering.config, ASK_TIMEOUT)?;
            all.partitions.fetch_max(partitions, Ordering::Relaxed);
            Ok((membering.join()?, membering))
        })
        .await?;
        let current = Arc::new(Current::new(member));
        let (commands, queue) = mpsc::channel();
        let (leaving, left) = mpsc::channel::<()>();
        let poller = Poller {
            stall: Stall::new(config.stall_after),
            membering,
            current: Arc::clone(&current),
            commands: queue,
            reached_at: std::time::Instant::now(),
            fenced: Fenced::default(),
        };
        let work = move || {
            poller.run();
            drop(leaving);
        };
        std::thread::Builder::new()
            .name("log-consumer".into())
            .spawn(work)
            .map_err(|error| Error::Unavailable(format!("no thread to consume with: {error}")))?;
        measured.register(metrics)?;
        Ok(Self {
            config,
            instance,
            shared,
            current,
            commands,
            partitions_asked_at: Instant::now(),
            left: Mutex::new(left),
        })
    }

    /// How many partitions it has at this moment.
    #[cfg(test)]
    pub(super) fn owned_now(&self) -> usize {
        self.shared.state().prefetched.owned().count()
    }

    /// Stops fetching of a partition, which the thread does not know of.
    #[cfg(test)]
    pub(super) fn hold_back(&self, partition: Partition) {
        let list = membership::list(&self.config.topic, &[(partition, 0)].into()).unwrap();
        self.current.get().unwrap().pause(&list).unwrap();
    }

    /// Why nothing comes any more, if that is so.
    fn check_alive(&self) -> Result<()> {
        match (self.shared.state().standing, &self.instance) {
            (Standing::Taken, Some(instance)) => Err(Error::InstanceTaken { instance: instance.clone() }),
            (Standing::Taken, None) => Err(Error::Closed),
            _ => Ok(()),
        }
    }

    fn take(&self, bytes_max: usize) -> Vec<Record> {
        let mut state = self.shared.state();
        let records = state.prefetched.take(bytes_max);
        self.shared.metrics.prefetched_bytes.set(i64::try_from(state.prefetched.bytes()).unwrap_or(i64::MAX));
        records
    }

    /// Waits until `holds` or the deadline. Whether it holds.
    async fn until(
        &self,
        deadline: Option<Instant>,
        mut holds: impl FnMut(&membership::State) -> bool + Send,
    ) -> Result<bool> {
        loop {
            self.check_alive()?;
            if holds(&self.shared.state()) {
                return Ok(true);
            }
            let changed = self.shared.changed.notified();
            match deadline {
                Some(deadline) => {
                    if timeout_at(deadline, changed).await.is_err() {
                        return Ok(false);
                    }
                }
                None => changed.await,
            }
        }
    }

    /// The partitions that this consumer has, once the group has given it any.
    async fn owned(&self, deadline: Instant) -> Result<Vec<Partition>> {
        if self.until(Some(deadline), |state| state.standing == Standing::Joined).await? {
            return Ok(self.shared.state().prefetched.owned().collect());
        }
        Err(self.silent("the group has not given this consumer its partitions yet"))
    }

    /// The ends of the partitions that this consumer has.
    async fn ends(&mut self, owned: Vec<Partition>) -> Result<Positions> {
        let ask_partitions = self.partitions_asked_at.elapsed() >= PARTITIONS_EVERY;
        if ask_partitions {
            self.partitions_asked_at = Instant::now();
        }
        let shared = Arc::clone(&self.shared);
        self.ask("asking for the ends", move |member, config| {
            if ask_partitions && let Ok(found) = broker::partitions(member.client(), config, ASK_TIMEOUT) {
                shared.partitions.fetch_max(found, Ordering::Relaxed);
            }
            membership::ends(member, &config.topic, &owned)
        })
        .await
    }

    /// Waits until everything is fetched that was there when it was called, or until `enough`.
    async fn look(
        &mut self,
        wait: Duration,
        mut enough: impl FnMut(&membership::State) -> bool + Send,
    ) -> Result<Positions> {
        let deadline = Instant::now() + wait;
        let owned = self.owned(deadline).await?;
        let Ok(ends) = timeout_at(deadline, self.ends(owned)).await else {
            return Err(self.silent("the brokers did not say in time where the log ends"));
        };
        let ends = ends?;
        let _looking = Looking::begin(&self.shared);
        // While partitions are shared out anew, those that have gone may come back, and not from their ends.
        let seen = |state: &membership::State| {
            enough(state) || (state.standing == Standing::Joined && state.prefetched.has_reached(&ends))
        };
        if self.until(Some(deadline), seen).await? {
            return Ok(ends);
        }
        Err(self.silent("records are in the log and did not come in time"))
    }

    fn silent(&self, what: &str) -> Error {
        let trouble =
            self.shared.state().trouble.clone().map_or(String::new(), |trouble| format!(": {trouble}"));
        Error::Unavailable(format!("{what}{trouble}; see that the brokers at {} run", self.config.brokers))
    }

    /// Asks the brokers, on a thread that may block.
    async fn ask<T: Send + 'static>(
        &self,
        what: &'static str,
        question: impl FnOnce(&Member, &Config) -> KafkaResult<T> + Send + 'static,
    ) -> Result<T> {
        let (member, config) = (self.current.get().ok_or(Error::Closed)?, self.config.clone());
        blocking(move || question(&member, &config).map_err(|error| broker::failed(what, &config, &error)))
            .await
    }
}

#[async_trait]
impl crate::Consumer for Consumer {
    fn partitions(&self) -> u32 {
        self.shared.partitions.load(Ordering::Relaxed)
    }

    async fn read(&mut self, bytes_max: usize, wait: Duration) -> Result<Vec<Record>> {
        let has_some = |state: &membership::State| !state.prefetched.is_empty();
        self.check_alive()?;
        let records = self.take(bytes_max);
        if !records.is_empty() {
            return Ok(records);
        }
        if wait.is_zero() {
            self.look(LOOK_TIMEOUT, has_some).await?;
        } else {
            self.until(Instant::now().checked_add(wait), has_some).await?;
        }
        Ok(self.take(bytes_max))
    }

    async fn seek(&mut self, positions: &Positions) -> Result<Positions> {
        for &partition in positions.keys() {
            check_partition(partition, crate::Consumer::partitions(self))?;
        }
        let owned = self.owned(Instant::now() + LOOK_TIMEOUT).await?;
        let wanted: Vec<_> =
            owned.into_iter().filter(|partition| positions.contains_key(partition)).collect();
        let places = self
            .ask("asking where partitions begin", move |member, config| {
                membership::places(member, &config.topic, &wanted)
            })
            .await?;
        let metrics = &self.shared.metrics;
        let reachable = |(&partition, &wanted): (&Partition, &u64)| {
            places.get(&partition).map(|place| (partition, place.reachable(partition, Some(wanted), metrics)))
        };
        let begins: Positions = positions.iter().filter_map(reachable).collect();
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Seek { positions: begins, reply }).map_err(|_| Error::Closed)?;
        let mut sought = answer.await.map_err(|_| Error::Closed)??;
        sought.retain(|partition, begin| positions.get(partition) == Some(begin));
        Ok(sought)
    }

    async fn commit(&mut self, positions: &Positions) -> Result<()> {
        self.check_alive()?;
        let ahead = self.shared.state().prefetched.forward(positions);
        if ahead.is_empty() {
            return Ok(());
        }
        let member = self.current.get().ok_or(Error::Closed)?;
        let (config, wanted) = (self.config.clone(), ahead.clone());
        let committed = blocking(move || {
            let list = membership::list(&config.topic, &wanted);
            Ok(list.and_then(|list| member.commit(&list, CommitMode::Sync)))
        });
        match committed.await? {
            Ok(()) => {
                let mut state = self.shared.state();
                for (&partition, &position) in &ahead {
                    state.prefetched.commit(partition, position);
                }
                Ok(())
            }
            Err(error) if has_lost_its_place(&error) => {
                tracing::info!(%error, ?ahead, "partitions have gone to another consumer: it reads again what was not committed");
                Ok(())
            }
            Err(error) => Err(broker::failed("a commit", &self.config, &error)),
        }
    }

    async fn lag(&mut self) -> Result<Lag> {
        let ends = self.look(LAG_TIMEOUT, |state| state.is_paused).await?;
        Ok(self.shared.state().prefetched.lag(&ends))
    }
}

/// Whether the group says that this consumer's partitions are not its own any more.
fn has_lost_its_place(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::IllegalGeneration
                | RDKafkaErrorCode::UnknownMemberId
                | RDKafkaErrorCode::AssignmentLost
                | RDKafkaErrorCode::FencedInstanceId
        )
    )
}

/// Leaves the group, and waits for that no longer than a moment.
impl Drop for Consumer {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // The thread sends nothing: its end is what is waited for.
        let left = self.left.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ended = left.recv_timeout(LEAVE_TIMEOUT);
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("config", &self.config)
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

/// A call that waits until everything up to some end is fetched.
struct Looking<'s>(&'s Shared);

impl<'s> Looking<'s> {
    fn begin(shared: &'s Shared) -> Self {
        shared.state().looks += 1;
        Self(shared)
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.looks = state.looks.saturating_sub(1);
    }
}

/// Does what blocks, off the async threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        // The runtime is shutting down.
        .map_err(|_| Error::Closed)?
}
