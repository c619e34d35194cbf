//! A load: clients that post at their times, each over a connection of its own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_model::{Clock, Timestamp};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use serde::Deserialize;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    door::{Door, Entry, Post},
    record::Record,
    shape::{Flags, Shape},
    tally::{Fate, Live, Tally},
};
use crate::http::{Answer, Broken, Connection, Url};

/// Longest wait before a post is repeated.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long a post is repeated after the load is over, before its fate is called unknown.
const GIVE_UP_AFTER: Duration = Duration::from_mins(1);
/// Largest count of one entry; the least is 1, and all in between are as likely.
const COUNT_MAX: u64 = 20;
/// The mean of the counts of an entry.
pub(crate) const COUNT_MEAN: f64 = 10.5;

/// What to send, where to, and how fast.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) url: Url,
    pub(crate) door: Door,
    /// Environment keys; the clients take turns.
    pub(crate) keys: Vec<String>,
    /// The name by which the load can be told from everything else that is counted.
    pub(crate) sdk: String,
    pub(crate) flags: Arc<Flags>,
    /// Different flags in a post.
    pub(crate) entries: usize,
    /// Posts a second of all clients together; `None`: as fast as they are acknowledged.
    pub(crate) rate: Option<f64>,
    pub(crate) shape: Shape,
    pub(crate) clients: usize,
    pub(crate) duration: Duration,
    pub(crate) record: Option<Arc<Record>>,
}

impl Load {
    /// Sends until the time is over or it is told to stop; then every client finishes what it has begun.
    pub(crate) async fn run(
        self,
        clock: Arc<dyn Clock>,
        live: Arc<Live>,
        stop: CancellationToken,
    ) -> Option<Tally> {
        let mut sum = Tally::new(self.flags.len())?;
        let load = Arc::new(self);
        let started = Instant::now();
        let mut clients = JoinSet::new();
        for number in 0..load.clients {
            let client = Client {
                number,
                load: Arc::clone(&load),
                clock: Arc::clone(&clock),
                live: Arc::clone(&live),
                stop: stop.clone(),
                started,
                connection: Connection::new(load.url.clone()),
                tally: Tally::new(load.flags.len())?,
                rng: SmallRng::from_os_rng(),
            };
            clients.spawn(client.run());
        }
        while let Some(ended) = clients.join_next().await {
            if let Ok(tally) = ended {
                sum.add(&tally);
            }
        }
        Some(sum)
    }

    fn key(&self, client: usize) -> (usize, &str) {
        let index = client % self.keys.len().max(1);
        (index, self.keys.get(index).map_or("", String::as_str))
    }
}

struct Client {
    number: usize,
    load: Arc<Load>,
    clock: Arc<dyn Clock>,
    live: Arc<Live>,
    stop: CancellationToken,
    started: Instant,
    connection: Connection,
    tally: Tally,
    rng: SmallRng,
}

/// How a post ended.
enum Ending {
    /// With these entries turned away, by their position.
    Acknowledged(Vec<usize>),
    /// The server said no: nothing of it is counted.
    Refused,
    /// No answer came, or one that does not tell.
    Unknown,
}

/// Why a post was not acknowledged at one try.
struct Trouble {
    what: String,
    /// Whether the same post may be acknowledged later.
    passes: bool,
    /// Whether it may have been counted all the same.
    maybe_counted: bool,
    retry_after: Option<Duration>,
}

impl Trouble {
    fn answered(answer: &Answer) -> Self {
        let back_pressure = matches!(answer.status, 429 | 503);
        Self {
            what: format!("answered {}", answer.status),
            passes: back_pressure || matches!(answer.status, 408 | 500..),
            maybe_counted: answer.status >= 500 && !back_pressure,
            retry_after: answer.retry_after,
        }
    }

    fn broken(Broken { reason, maybe_done }: Broken) -> Self {
        Self { what: reason, passes: true, maybe_counted: maybe_done, retry_after: None }
    }
}

impl Client {
    async fn run(mut self) -> Tally {
        let load = Arc::clone(&self.load);
        let (mut picked, mut counts) = (Vec::new(), Vec::new());
        // Clients begin spread over their interval, not all at once.
        let spread: f64 = self.rng.random();
        let mut due = self.interval(Duration::ZERO).mul_f64(spread);
        while due < load.duration && self.wait_until(due).await {
            let due_at = if load.rate.is_some() { self.started + due } else { Instant::now() };
            load.flags.pick(load.entries, &mut self.rng, &mut picked);
            counts.clear();
            counts.extend(picked.iter().map(|_| self.rng.random_range(1..=COUNT_MAX)));
            self.post(&picked, &counts, due_at).await;
            due = if load.rate.is_some() { due + self.interval(due) } else { self.started.elapsed() };
        }
        self.tally
    }

    /// Time between two posts of this client, `at` after the start.
    fn interval(&self, at: Duration) -> Duration {
        let Some(rate) = self.load.rate else { return Duration::ZERO };
        // A ramp begins at a hundredth, not at nothing, or its first post would never be due.
        let factor = self.load.shape.factor(at, self.load.duration).max(0.01);
        #[expect(clippy::cast_precision_loss, reason = "a number of clients")]
        let seconds = self.load.clients as f64 / (rate * factor).max(1e-6);
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(Duration::from_hours(24))
    }

    /// Waits until a post is due; `false` when the load is to stop before.
    async fn wait_until(&self, due: Duration) -> bool {
        if self.stop.is_cancelled() {
            return false;
        }
        let wait = due.saturating_sub(self.started.elapsed());
        wait.is_zero() || self.stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some()
    }

    async fn post(&mut self, picked: &[usize], counts: &[u64], due_at: Instant) {
        let load = Arc::clone(&self.load);
        let at = self.clock.now();
        let entries = picked.iter().zip(counts).map(|(&flag, &count)| Entry {
            flag: load.flags.name(flag),
            on: !(flag + self.number).is_multiple_of(3),
            count,
            at: (load.door == Door::Counts).then_some(at),
        });
        let once = load
            .door
            .is_repeatable()
            .then(|| format!("{:x}-{:x}-{:x}", self.rng.random::<u64>(), self.number, self.tally.posts));
        let post = Post::new(load.door, &load.sdk, once, entries);
        let ending = self.deliver(&post).await;
        self.tally.posts += 1;
        self.tally.counts = self.tally.counts.saturating_add(counts.iter().sum());
        self.settle(picked, counts, at, &ending);
        if let Ending::Acknowledged(_) = ending {
            self.tally.latency(due_at.elapsed());
        }
    }

    /// Posts, and repeats the post as its SDK would.
    async fn deliver(&mut self, post: &Post) -> Ending {
        let load = Arc::clone(&self.load);
        let (_, key) = load.key(self.number);
        let mut backoff = Duration::from_millis(50);
        let mut maybe_counted = false;
        loop {
            let asked = match post.request(&load.url.authority, key, &load.sdk) {
                Ok(request) => self.connection.ask(request).await,
                Err(reason) => Err(Broken { reason, maybe_done: false }),
            };
            let trouble = match asked {
                Ok(answer) if answer.status == post.door.acknowledged() => {
                    return Ending::Acknowledged(turned_away(post.door, &answer.body));
                }
                Ok(answer) => Trouble::answered(&answer),
                Err(broken) => Trouble::broken(broken),
            };
            self.live.trouble();
            self.tally.trouble(trouble.what);
            maybe_counted |= trouble.maybe_counted;
            let too_late = self.started.elapsed() > load.duration.saturating_add(GIVE_UP_AFTER);
            if !trouble.passes || !post.door.is_repeatable() || too_late || self.stop.is_cancelled() {
                return if maybe_counted { Ending::Unknown } else { Ending::Refused };
            }
            self.tally.retries += 1;
            let wait = trouble.retry_after.unwrap_or(backoff).min(BACKOFF_MAX);
            let jitter: f64 = self.rng.random_range(0.5..1.0);
            let _stopped = self.stop.run_until_cancelled(tokio::time::sleep(wait.mul_f64(jitter))).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn settle(&mut self, picked: &[usize], counts: &[u64], at: Timestamp, ending: &Ending) {
        let mut acknowledged = 0_u64;
        for (index, (&flag, &count)) in picked.iter().zip(counts).enumerate() {
            let fate = match ending {
                Ending::Acknowledged(away) if !away.contains(&index) => {
                    acknowledged += count;
                    Fate { acknowledged: count, unknown: 0 }
                }
                Ending::Acknowledged(_) | Ending::Refused => {
                    self.tally.rejected = self.tally.rejected.saturating_add(count);
                    continue;
                }
                Ending::Unknown => Fate { acknowledged: 0, unknown: count },
            };
            if let Some(sum) = self.tally.flags.get_mut(flag) {
                *sum = sum.plus(fate);
            }
            if let Some(record) = &self.load.record {
                record.take(self.load.key(self.number).0, self.load.flags.name(flag), at, fate);
            }
        }
        if let Ending::Acknowledged(_) = ending {
            self.live.acknowledged(acknowledged);
        }
    }
}

/// The entries of an acknowledged post that were turned away all the same, by their position.
fn turned_away(door: Door, body: &[u8]) -> Vec<usize> {
    #[derive(Deserialize)]
    struct Reply {
        #[serde(default)]
        rejected: Vec<Rejected>,
    }
    #[derive(Deserialize)]
    struct Rejected {
        index: usize,
    }
    if door != Door::Counts {
        return Vec::new();
    }
    serde_json::from_slice::<Reply>(body)
        .map(|reply| reply.rejected.into_iter().map(|entry| entry.index).collect())
        .unwrap_or_default()
}
