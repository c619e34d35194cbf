//! `/v1/billing/…`: the ledger, for those who make bills of it.
//!
//! # The way of a question
//!
//! Its parameters are read strictly; what it may see is narrowed to its token; the [`Snapshot`] of the
//! ledger that it is asked of is found: the one its cursor names, or the ledger as it stands. Everything after that is
//! read as of the snapshot.
//!
//! # Invariants
//!
//! - The same question to the same snapshot has the same bytes for ever: nothing of the moment is in such an answer.
//! - All pages of an answer are of one snapshot.
//! - What is not final is never a revision, and stands only in answers that were not asked as of a snapshot.
//! - A cursor leads nobody to rows that its token does not read.

mod columns;
pub(crate) mod cursor;
pub(crate) mod feed;
pub(crate) mod hours;
pub(crate) mod period;
pub(crate) mod row;
pub(crate) mod statement;
mod text;
pub(crate) mod thresholds;
pub(crate) mod to_date;

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use cursor::Snapshot;
use flagmeter_ledger::{Hours, Position, Row};
use flagmeter_model::{Name, TimeRange, Timestamp};
use parking_lot::Mutex;
pub use period::Calendar;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, sleep, timeout_at},
};

use crate::{
    App, Error, Result,
    access::{Principal, Scoped},
    moment,
    parameters::name,
    reader::Reading,
};

/// Rows of a page at most, and where nothing else is asked.
pub(crate) const LIMIT_MAX: usize = 10_000;
pub(crate) const LIMIT_DEFAULT: usize = 1_000;

/// A cursor may come from another process that answers, and is ahead of this one by a moment: for so long it is waited
/// for, looking again and again.
const CATCH_UP: Duration = Duration::from_secs(2);
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// Rows of the ledger that are read at a time where all of a range are added up.
const READ_ROWS: usize = 8_192;

/// Who waits for news of the ledger: bounded altogether, and for each customer.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Closed when the process is told to stop.
    stopping: watch::Receiver<()>,
    all: Arc<Semaphore>,
    customers: Mutex<HashMap<Name, Arc<Semaphore>>>,
}

/// A place among those who wait.
struct Place {
    stopping: watch::Receiver<()>,
    _all: OwnedSemaphorePermit,
    _customer: Option<OwnedSemaphorePermit>,
}

impl Waiting {
    const ALL_MAX: usize = 1_000;
    const CUSTOMER_MAX: usize = 16;

    /// Nobody waits yet.
    pub(crate) fn new(stopping: watch::Receiver<()>) -> Self {
        Self { stopping, all: Arc::new(Semaphore::new(Self::ALL_MAX)), customers: Mutex::default() }
    }

    /// A place, if there is one left.
    fn place(&self, principal: &Principal) -> Option<Place> {
        let all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        let own = principal.customer().map(|customer| {
            let mut customers = self.customers.lock();
            let places = customers.entry(customer.clone());
            Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(Self::CUSTOMER_MAX))))
        });
        let customer = match own {
            Some(places) => Some(places.try_acquire_owned().ok()?),
            None => None,
        };
        Some(Place { stopping: self.stopping.clone(), _all: all, _customer: customer })
    }
}

/// How long anyone may wait for news, in seconds.
const WAIT_SECONDS_MAX: i64 = 60;

/// How long is waited for news, as a request says it.
fn wait(text: &str) -> Result<Duration> {
    let seconds = moment::parse_span(text).ok().filter(|seconds| (1..=WAIT_SECONDS_MAX).contains(seconds));
    let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
    seconds.map(Duration::from_secs).ok_or_else(|| {
        Error::parameter(name::WAIT, format!("It must be from 1s to {WAIT_SECONDS_MAX}s, such as 30s."))
    })
}

impl Place {
    /// Waits until there is more; false when the time is over, or the process is told to stop.
    async fn news(&self, end: &mut watch::Receiver<Position>, deadline: Instant) -> bool {
        let mut stopping = self.stopping.clone();
        let stopped = async { while stopping.changed().await.is_ok() {} };
        tokio::select! {
            changed = timeout_at(deadline, end.changed()) => matches!(changed, Ok(Ok(()))),
            () = stopped => false,
        }
    }
}

/// The snapshot that is asked for by the parameter `name`, once this process knows as much; the ledger as it stands
/// where none is.
async fn snapshot_of(
    app: &App,
    reading: &Reading<'_>,
    name: &'static str,
    asked: Option<Snapshot>,
) -> Result<Snapshot> {
    let until = async |end| Ok::<_, Error>(reading.closing(end).await?.map(|closing| closing.until));
    let ledger_end = app.reader.ledger_end()?;
    let Some(asked) = asked else {
        let end = *ledger_end.borrow();
        return Ok(Snapshot { end, until: until(end).await? });
    };
    let deadline = Instant::now() + CATCH_UP;
    loop {
        let knows_rows = *ledger_end.borrow() >= asked.end;
        if knows_rows && until(asked.end).await? >= asked.until {
            return Ok(asked);
        }
        if Instant::now() >= deadline {
            return Err(Error::LedgerBehind { name });
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// Waits a while until this process knows as much as the cursor.
pub(crate) async fn known_here(end: &watch::Receiver<Position>, after: Position) -> Result<()> {
    let deadline = Instant::now() + CATCH_UP;
    while after > *end.borrow() {
        if Instant::now() >= deadline {
            return Err(Error::LedgerBehind { name: name::AFTER });
        }
        sleep(LOOK_AGAIN_AFTER).await;
    }
    Ok(())
}

/// Refuses customers that there never were. Those of a customer's own token are not looked for: whoever asks for
/// another one was told already that it may not, whether there is such a one or not.
pub(crate) async fn known_customers(
    app: &App,
    reading: &Reading<'_>,
    principal: &Principal,
    scope: &Scoped,
) -> Result<()> {
    if principal.customer().is_some() {
        return Ok(());
    }
    for customer in &scope.filter().customers {
        let is_registered = app.registry.borrow().customer(customer).is_some();
        if !is_registered && !has_rows(reading, customer).await? {
            return Err(Error::parameter(
                name::CUSTOMER,
                format!("There is no customer {customer:?}, neither in the registry nor in the ledger."),
            ));
        }
    }
    Ok(())
}

async fn has_rows(reading: &Reading<'_>, customer: &Name) -> Result<bool> {
    let any = Hours {
        scope: flagmeter_ledger::Scope { customers: vec![customer.clone()], ..Default::default() },
        meters: Vec::new(),
        range: TimeRange::new(Timestamp::EPOCH, Timestamp::MAX),
        as_of: Position::MAX,
        after: None,
        limit: 1,
    };
    Ok(!reading.hours(any).await?.rows.is_empty())
}

/// The one customer that is asked for; `needed` says that there must be one.
fn whose(scope: &Scoped, needed: &'static str) -> Result<Name> {
    match scope.filter().customers.as_slice() {
        [customer] => Ok(customer.clone()),
        _ => Err(Error::parameter(name::CUSTOMER, needed)),
    }
}

/// Hands on each row of the range, in the order of bills.
async fn each(
    reading: &Reading<'_>,
    scope: &Scoped,
    snapshot: Snapshot,
    range: TimeRange,
    mut take: impl FnMut(Row) -> Result<()>,
) -> Result<()> {
    let mut question = Hours {
        scope: scope.of_ledger(),
        meters: Vec::new(),
        range,
        as_of: snapshot.end,
        after: None,
        limit: READ_ROWS,
    };
    loop {
        let page = reading.hours(question.clone()).await?;
        question.after = page.rows.last().map(Row::key);
        page.rows.into_iter().try_for_each(&mut take)?;
        if !page.more {
            return Ok(());
        }
    }
}

/// What an answer in CSV says beside its rows, and that it is one, of this name.
fn csv_headers(file: &'static str, said: &[(&'static str, Option<&str>)]) -> HeaderMap {
    file_headers("text/csv; charset=utf-8; header=present", file, said)
}

/// What a file says beside its rows, and that it is one, of this media type and name.
fn file_headers(
    media_type: &'static str,
    file: &'static str,
    said: &[(&'static str, Option<&str>)],
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(file));
    for (name, value) in said {
        // Times, numbers and words of ours: always a header value.
        if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// The bytes of JSON.
fn json(answer: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(answer).map_err(|error| Error::Encoding(error.to_string()))
}

/// That it is JSON.
fn as_json(body: axum::body::Body) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}
