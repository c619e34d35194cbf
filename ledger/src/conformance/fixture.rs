//! What the checks are made of.

use flagmeter_model::{Environment, Meter, Name, TimeRange, Timestamp};

use crate::{Append, Appended, Counted, Feed, Hours, Ledger, Position, Result, Row, Scope, Subject};

/// The instant so many hours after that in which the checks take place.
pub(crate) const fn hour(number: i64) -> Timestamp {
    Timestamp::from_seconds_clamped((490_000 + number) * 3_600)
}

/// A name.
pub(crate) fn name(text: &str) -> Name {
    Name::new(text).unwrap_or_else(|_| Name::other())
}

/// The production of a customer's one project.
pub(crate) fn production(customer: &str) -> Environment {
    Environment { customer: name(customer), project: name("web"), environment: name("production") }
}

/// What an alert of a customer may be of, each a part of the one before: the last a flag of its [`production`].
pub(crate) fn subjects(customer: &str) -> [Subject; 4] {
    let Environment { customer, project, .. } = production(customer);
    let flag = Subject::Flag(production(&customer), name("checkout"));
    [
        Subject::Customer(customer.clone()),
        Subject::Project { customer: customer.clone(), project },
        production(&customer).into(),
        flag,
    ]
}

/// Evaluations of a customer's [`production`] in the hour that begins at [`hour`].
pub(crate) fn counted(customer: &str, number: i64, count: u64) -> Counted {
    Counted {
        environment: production(customer),
        meter: Meter::Evaluations,
        hour: hour(number),
        count,
        complete: true,
        missing: Vec::new(),
    }
}

/// Appends these, and closes until `closed` if that is given.
pub(crate) async fn append(
    ledger: &dyn Ledger,
    counted: &[Counted],
    closed: Option<i64>,
) -> Result<Appended> {
    ledger.append(Append { counted: counted.to_vec(), closed: closed.map(hour), at: hour(500) }).await
}

/// The whole feed, read in one page.
pub(crate) async fn all(ledger: &dyn Ledger) -> Result<Vec<Row>> {
    let feed =
        Feed { scope: Scope::default(), after: Position::START, until: Position::MAX, limit: usize::MAX };
    Ok(ledger.feed(feed).await?.rows)
}

/// Customer, hour, revision, count, what it was before, and whether it corrects.
pub(crate) type Told = (String, i64, u32, u64, u64, bool);

/// What rows say.
pub(crate) fn told(rows: &[Row]) -> Vec<Told> {
    let one = |row: &Row| {
        let number = row.hour.as_seconds() / 3_600 - 490_000;
        let customer = row.environment.customer.to_string();
        (customer, number, row.revision, row.count, row.previous, row.correction)
    };
    rows.iter().map(one).collect()
}

/// [`Told`] in short.
pub(crate) fn row(customer: &str, hour: i64, revision: u32, counts: (u64, u64), correction: bool) -> Told {
    (customer.to_owned(), hour, revision, counts.0, counts.1, correction)
}

/// All hours of a scope, as of a position, a page of `limit` rows after the other.
pub(crate) async fn bill(
    ledger: &dyn Ledger,
    scope: &Scope,
    as_of: Position,
    limit: usize,
) -> Result<Vec<Row>> {
    let mut rows: Vec<Row> = Vec::new();
    loop {
        let page = ledger
            .hours(Hours {
                scope: scope.clone(),
                meters: Vec::new(),
                range: TimeRange::new(hour(-1_000), hour(1_000)),
                as_of,
                after: rows.last().map(Row::key),
                limit,
            })
            .await?;
        assert!(page.rows.len() <= limit, "no page is longer than asked for");
        rows.extend(page.rows);
        if !page.more {
            return Ok(rows);
        }
    }
}
