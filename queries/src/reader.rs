//! Reading the store: within a time, not too many at once, and only what was scoped.

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use flagmeter_ledger::{
    AlertPage, Alerts, Closing, CrossingPage, Crossings, EpisodePage, Episodes, Error as LedgerError, Feed,
    Hours, Ledger, Mute, MuteId, MutePage, Mutes, Muting, Page, Position,
};
use flagmeter_model::{Meter, Name, Tier, Timestamp};
use flagmeter_store::{
    Answer, AxisChoice, Dimension, Error as StoreError, Mark, Read, SeriesSeen, State, Store, TierChoice,
};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout_at},
};

use crate::{
    Config, Error, Result,
    access::{Principal, Scoped},
    bursts::marks::Missing,
    metrics::Metrics,
    room::Room,
};

/// What is asked of the store.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What is counted.
    pub(crate) meter: Meter,
    /// The edges of the buckets.
    pub(crate) edges: Vec<Timestamp>,
    /// Which series.
    pub(crate) scope: Scoped,
    /// What to tell apart.
    pub(crate) group_by: Vec<Dimension>,
    /// Groups at most.
    pub(crate) groups_max: usize,
}

/// The store and the ledger, as queries see them.
pub(crate) struct Reader {
    store: Arc<dyn Store>,
    /// None where no ledger is kept.
    ledger: Option<Arc<dyn Ledger>>,
    turns: Turns,
    /// Of these, the ones that live streams may have at once.
    live: Turns,
    /// One permit for each row of the answers that are not sent yet.
    rows: Arc<Semaphore>,
    rows_held_max: u32,
    /// Of the ledger alone: its rows are in a file beside us, and wait for no store.
    ledger_turns: Turns,
    /// By customer. There are no more of them than have tokens.
    customers: Mutex<HashMap<Name, Shares>>,
    customer_reads_max: usize,
    read_timeout: Duration,
    series_max: usize,
    metrics: Metrics,
    /// Whether the last chart had to be drawn without its marks.
    marks_missing: Missing,
}

/// Questions to the ledger alone at once, and of these a customer's. Each is short, and none waits for another machine.
const LEDGER_READS_MAX: usize = 16;
const CUSTOMER_LEDGER_READS_MAX: usize = 4;

/// What a customer may have at once: neither takes from the other.
#[derive(Debug, Clone)]
struct Shares {
    store: Turns,
    ledger: Turns,
}

/// So many at once.
#[derive(Debug, Clone)]
struct Turns {
    permits: Arc<Semaphore>,
    at_once: usize,
}

impl Turns {
    fn new(at_once: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))), at_once }
    }

    async fn take(&self, deadline: Instant) -> Result<OwnedSemaphorePermit> {
        match timeout_at(deadline, Arc::clone(&self.permits).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Error::Busy { at_once: self.at_once }),
        }
    }
}

/// The reads of one request: it waits once for its turn, and all together have one deadline.
pub(crate) struct Reading<'r> {
    reader: &'r Reader,
    deadline: Instant,
    /// Of those that its customer, or live streams together, may have.
    share: Option<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
}

/// The same of the ledger alone. A store that is slow holds none of it back, and it holds back no question to the store.
pub(crate) struct LedgerReading<'r> {
    reader: &'r Reader,
    deadline: Instant,
    share: Option<OwnedSemaphorePermit>,
    _turn: OwnedSemaphorePermit,
}

impl Reader {
    /// A reader of both.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        ledger: Option<Arc<dyn Ledger>>,
        config: &Config,
        metrics: Metrics,
    ) -> Self {
        let permits_max = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let rows_held_max = u32::try_from(config.rows_held_max).unwrap_or(u32::MAX).min(permits_max);
        Self {
            store,
            ledger,
            turns: Turns::new(config.reads_max),
            live: Turns::new(config.live.reads_max),
            ledger_turns: Turns::new(LEDGER_READS_MAX),
            rows: Arc::new(Semaphore::new(rows_held_max as usize)),
            rows_held_max,
            customers: Mutex::default(),
            customer_reads_max: config.customer_reads_max,
            read_timeout: config.read_timeout,
            series_max: config.series_max,
            metrics,
            marks_missing: Missing::default(),
        }
    }

    /// Waits for the turn of a request.
    pub(crate) async fn begin(&self, principal: &Principal) -> Result<Reading<'_>> {
        let deadline = Instant::now() + self.read_timeout;
        let share = match principal.customer() {
            Some(customer) => {
                let turns = self.shares_of(customer).store;
                Some(turns.take(deadline).await?)
            }
            None => None,
        };
        let turn = self.turns.take(deadline).await?;
        Ok(Reading { reader: self, deadline, share, _turn: turn })
    }

    /// Waits for the turn of a request that asks the ledger alone.
    pub(crate) async fn begin_of_ledger(&self, principal: &Principal) -> Result<LedgerReading<'_>> {
        let deadline = Instant::now() + self.read_timeout;
        let share = match principal.customer() {
            Some(customer) => {
                let turns = self.shares_of(customer).ledger;
                Some(turns.take(deadline).await?)
            }
            None => None,
        };
        let turn = self.ledger_turns.take(deadline).await?;
        Ok(LedgerReading { reader: self, deadline, share, _turn: turn })
    }

    /// Waits for the turn of a question that many have at once: it is none of any customer's, and live streams together
    /// never have all turns.
    pub(crate) async fn begin_for_many(&self) -> Result<Reading<'_>> {
        let deadline = Instant::now() + self.read_timeout;
        let share = Some(self.live.take(deadline).await?);
        let turn = self.turns.take(deadline).await?;
        Ok(Reading { reader: self, deadline, share, _turn: turn })
    }

    /// The last row of the ledger that is known here, and whenever more is.
    pub(crate) fn ledger_end(&self) -> Result<watch::Receiver<Position>> {
        Ok(self.ledger()?.end())
    }

    /// The last crossing that is known here, and whenever more is.
    pub(crate) fn crossed_end(&self) -> Result<watch::Receiver<Position>> {
        Ok(self.ledger()?.crossed_end())
    }

    /// The last alert that is known here, and whenever more is.
    pub(crate) fn alerts_end(&self) -> Result<watch::Receiver<Position>> {
        Ok(self.ledger()?.alerts_end())
    }

    fn ledger(&self) -> Result<&dyn Ledger> {
        self.ledger.as_deref().ok_or(Error::NoLedger)
    }

    /// The next rows of an answer that is being sent: it has its room already, and waits for a turn of its own, so that
    /// a slow reader of it takes none.
    pub(crate) async fn further_hours(&self, hours: Hours) -> Result<Page> {
        let deadline = Instant::now() + self.read_timeout;
        let _turn = self.turns.take(deadline).await?;
        self.of_ledger(deadline, self.ledger()?.hours(hours)).await
    }

    async fn of_ledger<T>(
        &self,
        deadline: Instant,
        answer: impl Future<Output = flagmeter_ledger::Result<T>> + Send,
    ) -> Result<T> {
        let too_late = |_| {
            let reason = format!("no answer within {} s", self.read_timeout.as_secs());
            Err(LedgerError::Unavailable(reason))
        };
        Ok(timeout_at(deadline, answer).await.unwrap_or_else(too_late)?)
    }

    fn shares_of(&self, customer: &Name) -> Shares {
        let mut customers = self.customers.lock();
        let shares = || Shares {
            store: Turns::new(self.customer_reads_max),
            ledger: Turns::new(CUSTOMER_LEDGER_READS_MAX),
        };
        customers.entry(customer.clone()).or_insert_with(shares).clone()
    }

    /// Room for so many rows, in which the share is kept until they are sent.
    async fn room(
        &self,
        deadline: Instant,
        rows: usize,
        share: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Room> {
        let rows = u32::try_from(rows).unwrap_or(u32::MAX).min(self.rows_held_max);
        match timeout_at(deadline, Arc::clone(&self.rows).acquire_many_owned(rows)).await {
            Ok(Ok(rows)) => Ok(Room { _rows: rows, _share: share.take() }),
            Ok(Err(_)) | Err(_) => Err(Error::Busy { at_once: self.turns.at_once }),
        }
    }

    async fn until<T>(
        &self,
        deadline: Instant,
        patience: Duration,
        answer: impl Future<Output = flagmeter_store::Result<T>> + Send,
    ) -> Result<T> {
        match timeout_at(deadline, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                // A question that is too large is the asker's error, not the store's.
                if !matches!(error, StoreError::Unanswerable(_) | StoreError::TooMany { .. }) {
                    self.metrics.store_failed(error.is_retryable());
                }
                Err(error.into())
            }
            Err(_) => {
                self.metrics.store_failed(true);
                Err(Error::Timeout { seconds: patience.as_secs() })
            }
        }
    }
}

impl Reading<'_> {
    /// Answers a question.
    pub(crate) async fn read(&self, question: Question) -> Result<Answer> {
        let read = Read {
            meter: question.meter,
            edges: question.edges,
            filter: question.scope.filter().clone(),
            group_by: question.group_by,
            tiers: TierChoice::Cover,
            axis: AxisChoice::Any,
            groups_max: question.groups_max,
        };
        self.within(self.reader.store.read(&read)).await
    }

    /// The series that were ever counted, at most so many as are looked at.
    pub(crate) async fn catalogue(&self, meter: Meter, scope: &Scoped) -> Result<Vec<SeriesSeen>> {
        self.within(self.reader.store.catalogue(meter, scope.filter(), self.reader.series_max)).await
    }

    /// What is known of nodes, frontiers and floors.
    pub(crate) async fn state(&self) -> Result<State> {
        self.within(self.reader.store.state()).await
    }

    /// Windows of a tier that must be rolled up again, the first so many that end at or before `until`.
    pub(crate) async fn marks(&self, tier: Tier, until: Timestamp, limit: usize) -> Result<Vec<Mark>> {
        self.within(self.reader.store.marks(tier, until, limit)).await
    }

    /// Rows of the ledger in the order of bills.
    pub(crate) async fn hours(&self, hours: Hours) -> Result<Page> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.hours(hours)).await
    }

    /// Since when these hours are what they are, where all of them are closed.
    pub(crate) async fn settled(&self, hours: Hours) -> Result<Option<Position>> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.settled(hours)).await
    }

    /// Rows of the ledger in the order in which they became known.
    pub(crate) async fn feed(&self, feed: Feed) -> Result<Page> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.feed(feed)).await
    }

    /// Crossings in the order in which they became known.
    pub(crate) async fn crossings(&self, crossings: Crossings) -> Result<CrossingPage> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.crossings(crossings)).await
    }

    /// Alerts in the order in which they became known.
    pub(crate) async fn alerts(&self, alerts: Alerts) -> Result<AlertPage> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.alerts(alerts)).await
    }

    /// What goes on at any time of a range.
    pub(crate) async fn episodes(&self, episodes: Episodes) -> Result<EpisodePage> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.episodes(episodes)).await
    }

    /// Whether charts have to do without their marks.
    pub(crate) fn marks_missing(&self) -> &Missing {
        &self.reader.marks_missing
    }

    /// The last closing of a ledger that ends with `as_of`.
    pub(crate) async fn closing(&self, as_of: Position) -> Result<Option<Closing>> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.closing(as_of)).await
    }

    /// Waits until there is room for an answer of so many rows.
    pub(crate) async fn room_for(&mut self, rows: usize) -> Result<Room> {
        self.reader.room(self.deadline, rows, &mut self.share).await
    }

    async fn within<T>(&self, answer: impl Future<Output = flagmeter_store::Result<T>> + Send) -> Result<T> {
        self.reader.until(self.deadline, self.reader.read_timeout, answer).await
    }
}

impl LedgerReading<'_> {
    /// Mutes, those that are over last first.
    pub(crate) async fn mutes(&self, mutes: Mutes) -> Result<MutePage> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.mutes(mutes)).await
    }

    /// Makes a mute. Where no answer comes in time it may be made all the same: whoever asks again says the same id.
    pub(crate) async fn mute(&self, muting: Muting, at: Timestamp) -> Result<Mute> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.mute(muting, at)).await
    }

    /// Ends a mute.
    pub(crate) async fn end_mute(&self, id: MuteId, by: String, at: Timestamp) -> Result<Option<Mute>> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.end_mute(id, by, at)).await
    }

    /// What goes on at any time of a range.
    pub(crate) async fn episodes(&self, episodes: Episodes) -> Result<EpisodePage> {
        self.reader.of_ledger(self.deadline, self.reader.ledger()?.episodes(episodes)).await
    }

    /// Waits until there is room for an answer of so many rows.
    pub(crate) async fn room_for(&mut self, rows: usize) -> Result<Room> {
        self.reader.room(self.deadline, rows, &mut self.share).await
    }
}
