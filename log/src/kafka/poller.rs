//! The thread that speaks to the group: it goes on fetching and handing over partitions while the store is slow.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::Ordering,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use flagmeter_model::Timestamp;
use rdkafka::{
    Message,
    consumer::Consumer,
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::sync::oneshot;

use super::{
    Config, broker,
    fenced::Fenced,
    membership::{self, Member, Membership, Shared, Standing},
};
use crate::{Partition, Positions, Record, Result};

/// How long one look into the queue waits; so long may a command lie.
const POLL: Duration = Duration::from_millis(20);
/// How often it is asked how far fetching is while nobody waits for that.
const REACH_EVERY: Duration = Duration::from_secs(1);
/// How long a seek may take to begin.
const SEEK_TIMEOUT: Duration = Duration::from_secs(10);
/// Between a member that failed and the next.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// What the reading end asks of the thread, because it must not happen beside a fetch.
pub(super) enum Command {
    /// Go on from these positions. The answer has those of the partitions that are still owned.
    Seek { positions: Positions, reply: oneshot::Sender<Result<Positions>> },
}

/// The current member, for calls that may be made from any thread. `None` once it is over.
pub(super) struct Current(RwLock<Option<Arc<Member>>>);

impl Current {
    pub(super) fn new(member: Member) -> Self {
        Self(RwLock::new(Some(Arc::new(member))))
    }

    pub(super) fn get(&self) -> Option<Arc<Member>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, member: Option<Member>) -> Option<Arc<Member>> {
        std::mem::replace(&mut self.0.write().unwrap_or_else(PoisonError::into_inner), member.map(Arc::new))
    }
}

/// Makes the members of one reading end, one after the other.
pub(super) struct Membering {
    pub(super) config: Config,
    pub(super) group: String,
    pub(super) instance: Option<String>,
    pub(super) shared: Arc<Shared>,
}

impl Membering {
    /// A new member, which joins the group.
    pub(super) fn join(&self) -> Result<Member> {
        let mut state = self.shared.state();
        state.member = state.member.saturating_add(1);
        state.prefetched.clear();
        (state.standing, state.is_paused) = (Standing::Joining, false);
        let membership = Membership {
            shared: Arc::clone(&self.shared),
            topic: self.config.topic.clone(),
            member: state.member,
        };
        drop(state);
        let member: Member = self
            .config
            .consumer(&self.group, self.instance.as_deref())
            .create_with_context(membership)
            .map_err(|error| broker::not_made(&error))?;
        member
            .subscribe(&[&self.config.topic])
            .map_err(|error| broker::failed("joining the group", &self.config, &error))?;
        Ok(member)
    }
}

/// The thread's work.
pub(super) struct Poller {
    pub(super) membering: Membering,
    pub(super) current: Arc<Current>,
    pub(super) commands: Receiver<Command>,
    pub(super) stall: Stall,
    pub(super) reached_at: Instant,
    pub(super) fenced: Fenced,
}

impl Poller {
    /// Works until nobody reads any more, and leaves the group.
    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.membering.shared);
        let mut seeks: Vec<Seeking> = Vec::new();
        while !shared.closing.load(Ordering::Relaxed) && shared.state().standing != Standing::Taken {
            match self.commands.try_recv() {
                Ok(Command::Seek { positions, reply }) => seeks.push(Seeking::new(positions, reply)),
                Err(TryRecvError::Empty) => {}
                // The reading end is gone.
                Err(TryRecvError::Disconnected) => break,
            }
            let Some(member) = self.current.get() else { break };
            match member.poll(POLL) {
                Some(Ok(message)) => self.take_over(&message),
                Some(Err(error)) => self.hear(&error),
                // Nothing came for a moment: how far fetching is may have changed by the log's own marks alone.
                None if shared.state().looks > 0 || self.reached_at.elapsed() >= REACH_EVERY => {
                    self.reach(&member);
                }
                None => {}
            }
            seeks.retain_mut(|seeking| !seeking.go_on(&member, &self.membering));
            self.pause_or_resume(&member);
            if self.stall.is_due() && self.is_stalled(&member) {
                self.renew("stalled");
            } else if shared.state().standing == Standing::Broken {
                std::thread::sleep(RENEW_PAUSE);
                self.renew("failed");
            }
        }
        // Here, where it may block: the last of its owners leaves the group.
        drop(self.current.replace(None));
        shared.tell();
    }

    /// A message that was fetched.
    fn take_over(&mut self, message: &BorrowedMessage<'_>) {
        let (Ok(partition), Ok(offset)) = (message.partition().try_into(), message.offset().try_into())
        else {
            return;
        };
        let record = Record {
            partition,
            offset,
            appended_at: Timestamp::from_millis_clamped(message.timestamp().to_millis().unwrap_or(0)),
            payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        };
        let shared = &self.membering.shared;
        let mut state = shared.state();
        if let Some(position) = state.prefetched.push(record) {
            tracing::error!(
                partition,
                position,
                offset,
                "the log goes on before where this consumer was: what follows is read, and what was cut away is read no \
                 more if it was not fetched. Either the topic is a new one, or brokers lost records \
                 (unclean.leader.election.enable)"
            );
        }
        shared.metrics.prefetched_bytes.set(signed(state.prefetched.bytes()));
        drop(state);
        shared.tell();
    }

    fn hear(&mut self, error: &KafkaError) {
        let shared = &self.membering.shared;
        let mut state = shared.state();
        match error {
            KafkaError::MessageConsumptionFatal(RDKafkaErrorCode::FencedInstanceId) => {
                let is_taken = self.fenced.is_by_another(Instant::now());
                state.standing = if is_taken { Standing::Taken } else { Standing::Broken };
            }
            KafkaError::MessageConsumptionFatal(_) => {
                tracing::error!(%error, "the log's consumer cannot go on: it is made anew");
                state.standing = Standing::Broken;
            }
            other => state.trouble = Some(broker::explained(other)),
        }
        drop(state);
        shared.tell();
    }

    /// Finds out how far fetching is, the log's own marks included. What came before is taken over already.
    fn reach(&mut self, member: &Member) {
        let shared = &self.membering.shared;
        self.reached_at = Instant::now();
        let Ok(positions) = member.position().and_then(|list| membership::read(&list)) else { return };
        let mut state = shared.state();
        for (partition, position) in positions {
            state.prefetched.reach(partition, position);
        }
        shared.metrics.partitions.set(signed(state.prefetched.owned().count()));
        drop(state);
        shared.tell();
    }

    /// Stops fetching when enough waits to be read, and goes on when half of it is read.
    fn pause_or_resume(&mut self, member: &Member) {
        let shared = &self.membering.shared;
        let mut state = shared.state();
        let (bytes, bytes_max) = (state.prefetched.bytes(), self.membering.config.prefetch_bytes_max);
        let pauses = if state.is_paused { bytes > bytes_max / 2 } else { bytes >= bytes_max };
        if pauses == state.is_paused {
            return;
        }
        let owned: Positions = state.prefetched.owned().map(|partition| (partition, 0)).collect();
        let done = membership::list(&self.membering.config.topic, &owned)
            .and_then(|list| if pauses { member.pause(&list) } else { member.resume(&list) });
        match done {
            Ok(()) => {
                state.is_paused = pauses;
                self.stall.rested();
            }
            Err(error) => {
                tracing::warn!(%error, pauses, "fetching could not be paused or resumed: trying again");
            }
        }
    }

    /// Whether some partition's records are there and do not come.
    fn is_stalled(&mut self, member: &Member) -> bool {
        let shared = Arc::clone(&self.membering.shared);
        let owned: Vec<Partition> = {
            let state = shared.state();
            if state.is_paused { Vec::new() } else { state.prefetched.owned().collect() }
        };
        self.reach(member);
        // Brokers that do not answer are away, and no client does better.
        let ends = membership::ends(member, &self.membering.config.topic, &owned).unwrap_or_default();
        let behind = shared.state().prefetched.behind(&ends);
        let stalled = self.stall.seen(&behind);
        if !stalled.is_empty() {
            tracing::error!(
                seconds = self.membering.config.stall_after.as_secs(),
                partitions = ?stalled,
                ?ends,
                "the log has records of these partitions and none of them comes: the consumer is made anew"
            );
        }
        !stalled.is_empty()
    }

    /// A new member in place of the one that does not go on.
    fn renew(&mut self, reason: &str) {
        let shared = &self.membering.shared;
        shared.metrics.renewals.with_label_values(&[reason]).inc();
        self.stall.rested();
        match self.membering.join() {
            Ok(member) => leave(self.current.replace(Some(member))),
            Err(error) => {
                tracing::error!(%error, "the log's consumer could not be made anew: trying again");
                shared.state().standing = Standing::Broken;
            }
        }
        shared.tell();
    }
}

/// Leaves the group, beside everything else: a member that does not go on may not come to an end either.
fn leave(member: Option<Arc<Member>>) {
    if let Err(error) = std::thread::Builder::new().name("log-leave".into()).spawn(move || drop(member)) {
        tracing::warn!(%error, "no thread to leave the group");
    }
}

/// Whether a consumer stalls: in one partition is as bad as in all of them.
pub(super) struct Stall {
    after: Duration,
    looked_at: Instant,
    /// Of the partitions that were behind when it was looked last: where they were, and since when they have been there.
    behind: BTreeMap<Partition, (u64, Instant)>,
}

impl Stall {
    pub(super) fn new(after: Duration) -> Self {
        Self { after, looked_at: Instant::now(), behind: BTreeMap::new() }
    }

    /// Nothing was to come for a moment.
    fn rested(&mut self) {
        self.behind.clear();
    }

    /// Whether it is time to look.
    fn is_due(&self) -> bool {
        self.looked_at.elapsed() >= self.after / 2
    }

    /// Where the partitions are that are behind; which of them have been there too long.
    fn seen(&mut self, behind: &Positions) -> Vec<Partition> {
        let now = Instant::now();
        self.looked_at = now;
        let before = std::mem::take(&mut self.behind);
        self.behind = behind
            .iter()
            .map(|(&partition, &position)| match before.get(&partition) {
                Some(&(was_at, since)) if was_at == position => (partition, (position, since)),
                _ => (partition, (position, now)),
            })
            .collect();
        let stalled = self.behind.iter().filter(|(_, (_, since))| now.duration_since(*since) >= self.after);
        stalled.map(|(&partition, _)| partition).collect()
    }
}

/// A seek that is under way.
struct Seeking {
    left: Positions,
    done: Positions,
    deadline: Instant,
    reply: Option<oneshot::Sender<Result<Positions>>>,
}

impl Seeking {
    fn new(positions: Positions, reply: oneshot::Sender<Result<Positions>>) -> Self {
        Self {
            left: positions,
            done: Positions::new(),
            deadline: Instant::now() + SEEK_TIMEOUT,
            reply: Some(reply),
        }
    }

    /// Tries; whether it is over. A partition that has just come cannot be sought in for a moment.
    fn go_on(&mut self, member: &Member, membering: &Membering) -> bool {
        let shared = &membering.shared;
        self.left.retain(|&partition, _| shared.state().prefetched.owns(partition));
        let sought = membership::list(&membering.config.topic, &self.left).and_then(|list| {
            if list.count() == 0 { Ok(list) } else { member.seek_partitions(list, SEEK_TIMEOUT) }
        });
        let error = match sought {
            Ok(list) => {
                let mut failed = None;
                for element in list.elements() {
                    let Ok(partition) = Partition::try_from(element.partition()) else { continue };
                    match element.error() {
                        Ok(()) => {
                            if let Some(position) = self.left.remove(&partition) {
                                shared.state().prefetched.seek(partition, position);
                                self.done.insert(partition, position);
                            }
                        }
                        Err(error) => failed = Some(error),
                    }
                }
                failed
            }
            Err(error) => Some(error),
        };
        let answer = match error {
            None => Ok(std::mem::take(&mut self.done)),
            Some(_) if Instant::now() < self.deadline => return false,
            Some(error) => Err(broker::failed("a seek", &membering.config, &error)),
        };
        if let Some(reply) = self.reply.take() {
            // Whoever does not wait for the answer any more has no need of it.
            drop(reply.send(answer));
        }
        true
    }
}

fn signed(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
