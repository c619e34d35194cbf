//! The one thread that adds up, writes the journal and seals.
//!
//! Everything that decides what is counted happens here, one thing after the other: so a watermark cannot
//! overtake a count, and a key cannot be looked up between its counts and its mark.

mod encode;
mod group;
mod load;
mod seal;
mod series;
mod tally;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use flagmeter_log::{NewRecord, Producer};
use flagmeter_model::{Clock, Environment, Meter, Seq, Timestamp};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use self::{
    encode::Encoder,
    group::{Before, Group},
    load::{Load, Loads},
    seal::Header,
    series::EnvironmentId,
};
pub(crate) use self::{
    group::Fates,
    load::{REQUEST_RECEIVED_MAX, memory_received_max},
    series::{LiveSeries, SeriesRef},
    tally::{Point, Tally},
};
use crate::{
    Config, Result,
    inbox::{Inbox, Order, Outcome, Submission, Turned},
    journal::{Journal, SealRows, row},
    metrics::Metrics,
    requests::Followed,
    traces::Traced,
};

/// What the committer shares with the rest of the edge.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) inbox: Inbox,
    /// What every environment has received and that is on disk, over all time.
    pub(crate) received: Mutex<HashMap<Arc<Environment>, u64, RandomState>>,
    /// Too much waits: requests need not even be read.
    pub(crate) full: AtomicBool,
    /// The environments of which too much waits.
    pub(crate) full_environments: Mutex<HashSet<Arc<Environment>, RandomState>>,
    /// Bytes of counts and records that wait in the journal.
    pub(crate) waiting_bytes: AtomicU64,
}

/// The committer.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    journal: Journal,
    live: LiveSeries,
    /// What was committed since the last seal.
    tally: Tally,
    group: Group,
    /// What every environment that received something since the last seal has given.
    loads: Loads,
    /// Requests that are followed, whose counts were committed since the last seal.
    followed: Followed,
    traced: Traced,
    last: Option<(Seq, Timestamp)>,
    /// Since when this process is there to receive without a break, for the next seal.
    covers_from: Timestamp,
    producer: Arc<dyn Producer>,
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
}

impl Committer {
    /// Opens the journal and takes up what no seal covers.
    pub(crate) fn open(
        shared: Arc<Shared>,
        producer: Arc<dyn Producer>,
        config: Arc<Config>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Result<Self> {
        let journal = Journal::open(&config.journal_path)?;
        let last = journal.last_seal()?;
        let mut live = LiveSeries::new(config.series_per_environment_max);
        let mut tally = Tally::default();
        let mut loads = Loads::default();
        {
            let mut received = shared.received.lock();
            for (environment, total) in journal.received()? {
                received.insert(Arc::new(environment), total);
            }
            journal.unsealed(|bytes| {
                row::read(bytes, &mut live, |point| {
                    tally.add(point);
                })
            })?;
            for point in tally.points() {
                let series = live.series(point.series);
                let load: &mut Load = loads.entry(series.environment).or_default();
                load.add(Load { points: 1, received: 0 });
                if series.meter == Meter::Received {
                    load.add(Load { points: 0, received: point.count });
                    let environment = live.environment_of(series.environment).clone();
                    let total = received.entry(environment).or_insert(0);
                    *total = total.saturating_add(point.count);
                }
            }
        }
        let started_at = clock.now();
        let asserted = config.covers_from.filter(|_| last.is_none());
        let committer = Self {
            shared,
            journal,
            live,
            tally,
            group: Group::default(),
            loads,
            followed: Followed::default(),
            traced: Traced::default(),
            last,
            covers_from: asserted.unwrap_or(started_at),
            producer,
            config,
            clock,
            metrics,
        };
        for (&environment, &load) in &committer.loads {
            committer.note_if_full(environment, load);
        }
        committer.show();
        Ok(committer)
    }

    /// Does what comes in, until it is told to end.
    pub(crate) fn run(mut self) {
        let shared = self.shared.clone();
        let _end = End(&shared);
        let (mut submissions, mut orders) = (Vec::new(), Vec::new());
        loop {
            shared.inbox.take(&mut submissions, &mut orders);
            if !submissions.is_empty() {
                self.commit(&submissions);
                self.answer(&mut submissions);
            }
            for order in orders.drain(..) {
                match order {
                    Order::Seal { farewell, done } => {
                        let sealed = self.seal(farewell);
                        self.show();
                        let _ = done.send(sealed);
                    }
                    Order::Next { after, bytes_max, done } => {
                        let mut waiting = self.journal.outbox(after, bytes_max);
                        if let Ok(waiting) = &mut waiting {
                            waiting.seals = self.traced.handed_out(waiting.through);
                        }
                        let _ = done.send(waiting);
                    }
                    Order::HandedOn { through } => self.journal.handed_on(through),
                    Order::Close { done } => {
                        let closed = self.journal.forget_handed_on();
                        self.show();
                        drop(self);
                        let _ = done.send(closed);
                        return;
                    }
                    Order::Abandon => return,
                    #[cfg(test)]
                    Order::Tamper { with, done } => {
                        with(&mut self.journal);
                        let _ = done.send(());
                    }
                }
            }
            self.show();
        }
    }

    /// Commits requests as one group; the outcomes are in the group afterwards.
    fn commit(&mut self, submissions: &[Submission]) {
        self.group.clear();
        let span = self.traced.commit(submissions);
        if let Err(error) = span.in_scope(|| self.write(submissions)) {
            tracing::error!(%error, requests = submissions.len(), "nothing of a group could be written");
            span.record("error.type", "journal");
            self.metrics.commit_failures.inc();
            self.group.outcomes.clear();
            self.group.outcomes.resize(submissions.len(), Outcome::Turned(Turned::DiskFailed));
        }
    }

    fn write(&mut self, submissions: &[Submission]) -> Result<()> {
        let started = Instant::now();
        let before = Before {
            journal: &self.journal,
            tally: &self.tally,
            loads: &self.loads,
            is_full: self.is_full(),
            config: &self.config,
            clock: &*self.clock,
        };
        for submission in submissions {
            self.group.add(submission, &mut self.live, &before)?;
        }
        let group = &self.group;
        let kept = group.kept();
        if kept == 0 {
            return Ok(());
        }
        if !group.tally.is_empty() || !group.marks.is_empty() {
            let counts = row::write(&group.tally.by_number(&self.live), &self.live);
            self.journal.commit(&counts, &group.marks, self.clock.now())?;
        }
        self.tally.add_all(&group.tally);
        let mut received = self.shared.received.lock();
        for (&environment, &load) in &group.loads {
            let total = received.entry(self.live.environment_of(environment).clone()).or_insert(0);
            *total = total.saturating_add(load.received);
        }
        drop(received);
        for (&environment, &load) in &group.loads {
            let waits = self.loads.entry(environment).or_default();
            waits.add(load);
            let waits = *waits;
            self.note_if_full(environment, waits);
        }
        self.metrics.committed(kept, started.elapsed(), &group.fates);
        for (&(environment, fold), &count) in &group.folds {
            let environment = self.live.environment_of(environment).to_string();
            self.metrics.folds.with_label_values(&[&environment, fold]).inc_by(count);
        }
        Ok(())
    }

    fn answer(&mut self, submissions: &mut Vec<Submission>) {
        for (submission, outcome) in submissions.drain(..).zip(self.group.outcomes.drain(..)) {
            if outcome == Outcome::Committed {
                if let Some(request) = submission.request {
                    self.followed.add(request);
                }
                self.traced.committed(submission.span);
            }
            match submission.waiter {
                // Whoever gave up waiting will ask again.
                Some(waiter) => drop(waiter.send(outcome)),
                None if matches!(outcome, Outcome::Turned(_)) => {
                    let lost: u64 = submission.parts.iter().map(|part| part.taken.received).sum();
                    self.metrics.memory_lost.inc_by(lost);
                }
                None => {}
            }
        }
    }

    fn is_full(&self) -> bool {
        self.journal.bytes() >= self.config.journal_bytes_max
            || self.tally.len() >= self.config.points_waiting_max
    }

    /// Tells the doors of an environment that has no room left before the next seal.
    fn note_if_full(&self, environment: EnvironmentId, load: Load) {
        if load.is_full(&self.config) {
            let environment = self.live.environment_of(environment).clone();
            self.shared.full_environments.lock().insert(environment);
        }
    }

    /// Makes a seal of what was committed since the last. While the log is away, seals without counts are left
    /// out: they would fill the journal, and the first seal after them covers their time.
    fn seal(&mut self, farewell: bool) -> Result<()> {
        if !farewell && self.journal.waits_for_the_log() {
            return Ok(());
        }
        let started = Instant::now();
        self.try_seal(farewell).inspect_err(|_| self.metrics.seal_failures.inc())?;
        self.metrics.sealed(started.elapsed());
        Ok(())
    }

    fn try_seal(&mut self, farewell: bool) -> Result<()> {
        let now = self.clock.now();
        let seq = Seq::next(self.last.map(|(seq, _)| seq), now, self.producer.lane());
        let watermark = self.last.map_or(now, |(_, watermark)| watermark.max(now));
        let header = Header {
            node: self.config.node,
            seq,
            sealed_at: now,
            covers_from: self.covers_from.min(watermark),
            watermark,
            farewell,
            region: self.config.region.clone(),
        };
        let span = self.traced.seal(self.config.node, seq, self.tally.len());
        let made = span.in_scope(|| self.write_seal(&header));
        let forgotten_early = made.inspect_err(|_| {
            span.record("error.type", "journal");
        })?;
        self.metrics.marks_forgotten_early.inc_by(forgotten_early);
        self.last = Some((seq, watermark));
        self.covers_from = watermark;
        self.followed.sealed(self.config.node, seq);
        self.traced.sealed(&span, self.config.node, seq, self.journal.outbox_end());
        self.tally.clear();
        self.loads.clear();
        self.shared.full_environments.lock().clear();
        let idle = self.config.series_idle.as_secs() / self.config.seal_interval.as_secs().max(1);
        self.live.sealed(u32::try_from(idle).unwrap_or(u32::MAX));
        Ok(())
    }

    /// Moves what was added up to the outbox. How many marks were forgotten early.
    fn write_seal(&mut self, header: &Header) -> Result<u64> {
        let points = self.tally.by_name(&self.live);
        let batches = seal::batches(
            &points,
            &self.live,
            header,
            (self.producer.partitions(), self.config.record_bytes_max),
            &self.config.encoding_of,
        )?;
        let mut encoder = Encoder::new(&self.metrics.records);
        let mut records = Vec::with_capacity(batches.len());
        for sealed in &batches {
            let payload = encoder.encode(&sealed.batch, sealed.encoding)?.into();
            records.push(NewRecord { partition: sealed.partition, payload });
        }
        let retention = i64::try_from(self.config.idempotency_retention.as_millis()).unwrap_or(i64::MAX);
        let rows = SealRows {
            seq: header.seq,
            sealed_at: header.sealed_at,
            watermark: header.watermark,
            records,
            received: self.received(),
            marks_from: header.sealed_at.plus_millis(retention.saturating_neg()),
            marks_max: self.config.idempotency_keys_max,
        };
        self.journal.seal(&rows)
    }

    /// What the environments that received something since the last seal ever received.
    fn received(&self) -> Vec<(Arc<Environment>, u64)> {
        let received = self.shared.received.lock();
        let environments = self.loads.keys().map(|&id| self.live.environment_of(id));
        environments.map(|env| (env.clone(), received.get(env).copied().unwrap_or(0))).collect()
    }

    /// Shows how full the journal is.
    fn show(&self) {
        self.shared.full.store(self.is_full(), Ordering::Relaxed);
        self.shared.waiting_bytes.store(self.journal.bytes(), Ordering::Relaxed);
        self.metrics.journal_bytes.set(signed(self.journal.bytes()));
        self.metrics.outbox_records.set(signed(self.journal.outbox_records()));
        self.metrics.marks.set(signed(self.journal.marks()));
        self.metrics.series_live.set(signed(self.live.len() as u64));
        self.metrics.points_waiting.set(signed(self.tally.len() as u64));
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// However the committer ends, nobody waits for it in vain.
struct End<'s>(&'s Shared);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.inbox.die();
    }
}
