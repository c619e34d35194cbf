//! `GET /v1/billing/hours`: what each hour came to, in the order of bills.

mod export;
pub(crate) mod plan;
mod provisional;
mod sheet;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
};
use flagmeter_ledger::{Page, Row};
use flagmeter_model::Timestamp;
use plan::{Asked, Form, Format};
use provisional::Beyond;
use serde::Serialize;
use sheet::Sheet;
use utoipa::ToSchema;

use super::{
    as_json,
    cursor::Snapshot,
    json, known_customers,
    row::{BilledHour, HourState, Line},
    snapshot_of,
};
use crate::{
    App, Result,
    access::Principal,
    caching::{self, Stays, Tag},
    parameters::{Parameters, name},
    problem::Refusals,
    reader::Reading,
    room::Room,
};

/// The answer of `/v1/billing/hours`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BillingHours {
    /// Start of the range.
    #[schema(example = "2026-11-01T00:00:00Z")]
    pub(crate) from: String,
    /// End of the range.
    #[schema(example = "2026-12-01T00:00:00Z")]
    pub(crate) to: String,
    /// How much is settled of the range: no more than of its last hour.
    pub(crate) state: HourState,
    /// The ledger that this is read from, as it stood; of a final range, as it stood when the range was closed or last
    /// corrected. With this as `as_of=` the same request has the same bytes for ever.
    pub(crate) as_of: String,
    /// All hours that end at or before this are final: those that have no row counted nothing. Of a final range its end,
    /// so that no later hour changes the answer. Null before the first.
    #[schema(required, example = "2026-11-20T13:00:00Z")]
    pub(crate) final_until: Option<String>,
    /// Everything before this is in. Null before the first count, where the whole range is final, and where it is asked
    /// with `as_of=`.
    #[schema(required, example = "2026-11-20T14:44:50Z")]
    pub(crate) complete_until: Option<String>,
    /// The rows: by customer, project, environment, hour, meter and revision. On the last page, those of the hours that
    /// are not final follow in the same order.
    pub(crate) rows: Vec<BilledHour>,
    /// `after=` of the next page. Null on the last one.
    #[schema(required)]
    pub(crate) next: Option<String>,
}

/// Counts per hour, for bills
///
/// Each hour of an environment is `open`, `closing` or `final`. A final hour never changes: a count that comes later makes
/// a further revision, and the one with the greatest number says what the hour comes to. Hours without a row counted
/// nothing. All pages are of one snapshot of the ledger, `as_of`; asked with it, only final hours are told, and the answer
/// has the same bytes for ever. Asked without it, the answer to a final range has the same bytes and tag until one of its
/// own hours is corrected. In CSV and Parquet, what JSON says beside the rows stands in headers that begin with
/// `flagmeter-`; without `limit=` all rows are sent.
#[utoipa::path(
    get,
    path = "/v1/billing/hours",
    tag = "billing",
    security(("token" = [])),
    params(
        ("from" = String, Query, description = "Start: a full hour in RFC 3339.", example = "2026-11-01T00:00:00Z"),
        ("to" = String, Query, description = "End, not included: a full hour in RFC 3339.", example = "2026-12-01T00:00:00Z"),
        ("customer" = Option<Vec<String>>, Query, description = "Only these customers. Repeat for several."),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only these environments. Repeat for several."),
        ("meter" = Option<String>, Query, description = "`evaluations` or `requests`. Default: both."),
        ("as_of" = Option<String>, Query, description = "As the ledger stood then: `as_of` or `next` of an earlier answer to a token that reads the same. Default: as it stands, with the hours that are not final."),
        ("after" = Option<String>, Query, description = "`next` of the page before."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Rows of final hours on a page. Default 1000; in CSV and Parquet all."),
        ("format" = Option<String>, Query, description = "`json` (the default), `csv`, or `parquet`, whose columns are those of CSV; else the Accept header decides. In CSV a name that begins with =, +, - or @ has a ' before it, so that no spreadsheet takes it for a formula."),
    ),
    responses(
        (status = 200, description = "The hours", content(
            (BillingHours = "application/json"),
            (String = "text/csv", example = "customer,project,environment,meter,hour,state,revision,count,difference,correction,complete,missing_nodes,closed_at\nacme,web,production,evaluations,2026-11-20T13:00:00Z,final,1,1204,1204,false,true,,2026-11-20T14:15:04Z\n"),
            (Vec<u8> = "application/vnd.apache.parquet")
        )),
        (status = 304, description = "What `If-None-Match` names is still the answer"),
        (status = 409, description = "The cursor knows more than the ledger, which was restored from an older copy", content_type = "application/problem+json", body = crate::problem::Problem),
        Refusals,
    )
)]
pub(crate) async fn hours(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let asked = plan::ask(&Parameters::read(&uri, plan::KNOWN)?, &headers, &principal)?;
    let (snapshot, reading) = begin(&app, &principal, &asked).await?;
    let stays = if asked.is_live() { Stays::WhileTagged } else { Stays::Forever };
    if let (None, Format::Sheet(form)) = (asked.limit, asked.format) {
        let export = export::Export { asked: &asked, form, snapshot, stays, headers: &headers };
        return export.begin(&app, reading).await;
    }
    let Read { head, page, beyond, room } = read(&app, &asked, snapshot, reading).await?;
    let bytes = match asked.format {
        Format::Json => json(&head.with_rows(&page.rows, &beyond))?,
        Format::Sheet(form) => sheet(form, &page.rows, &beyond)?,
    };
    // In CSV the snapshot stands beside the bytes, and the cursor to the next page with it: of an old one nobody must go on.
    caching::answer(&headers, &Tag::of([bytes.as_slice(), head.as_of.as_bytes()]), stays, || {
        Ok(match asked.format {
            Format::Json => as_json(room.body(bytes)),
            Format::Sheet(form) => (head.headers(form), room.body(bytes)).into_response(),
        })
    })
}

/// A page of what is asked, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(BillingHours, Room)> {
    let asked = plan::ask(parameters, &HeaderMap::new(), principal)?;
    let (snapshot, reading) = begin(app, principal, &asked).await?;
    let Read { head, page, beyond, room } = read(app, &asked, snapshot, reading).await?;
    Ok((head.with_rows(&page.rows, &beyond), room))
}

/// Takes a turn, and finds the snapshot that is asked of.
async fn begin<'a>(app: &'a App, principal: &Principal, asked: &Asked) -> Result<(Snapshot, Reading<'a>)> {
    let reading = app.reader.begin(principal).await?;
    known_customers(app, &reading, principal, &asked.scope).await?;
    let (parameter, given) = asked.snapshot().unzip();
    let snapshot = snapshot_of(app, &reading, parameter.unwrap_or(name::AS_OF), given).await?;
    let snapshot = if given.is_some() { snapshot } else { settled(&reading, asked, snapshot).await? };
    Ok((snapshot, reading))
}

/// A page, as it was read.
struct Read {
    head: Head,
    page: Page,
    beyond: Beyond,
    room: Room,
}

async fn read(app: &App, asked: &Asked, snapshot: Snapshot, mut reading: Reading<'_>) -> Result<Read> {
    let page = reading.hours(asked.question(snapshot)).await?;
    let beyond = provisional::read(app, &reading, asked, snapshot, !page.more).await?;
    let rows = page.rows.len() + beyond.rows.len();
    let room = reading.room_for(rows).await?;
    app.metrics.rows(rows);
    let head = Head::new(asked, snapshot, &beyond, &page);
    Ok(Read { head, page, beyond, room })
}

/// Of a final range, the first snapshot since which it is what it is: nothing that comes to other hours or customers
/// changes a byte of its answer. Of any other range, the one that was found.
async fn settled(reading: &Reading<'_>, asked: &Asked, found: Snapshot) -> Result<Snapshot> {
    let until = Some(asked.range.to);
    if until > found.until {
        return Ok(found);
    }
    let settled = reading.settled(asked.question(found)).await?;
    Ok(settled.map_or(found, |end| Snapshot { end, until }))
}

fn sheet(form: Form, rows: &[Row], beyond: &Beyond) -> Result<Vec<u8>> {
    let mut sheet = Sheet::new(form)?;
    sheet.lines(rows.iter().map(Line::from))?;
    sheet.lines(beyond.rows.iter().map(Line::from))?;
    sheet.end()?;
    sheet.take()
}

/// What an answer says beside its rows.
#[derive(Debug)]
struct Head {
    from: String,
    to: String,
    state: HourState,
    as_of: String,
    final_until: Option<String>,
    complete_until: Option<String>,
    next: Option<String>,
}

impl Head {
    fn new(asked: &Asked, snapshot: Snapshot, beyond: &Beyond, page: &Page) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let last = page.rows.last().filter(|_| page.more);
        let to = Some(asked.range.to);
        let state = if to <= snapshot.until {
            HourState::Final
        } else if to <= beyond.complete_until {
            HourState::Closing
        } else {
            HourState::Open
        };
        Self {
            from: asked.range.from.to_string(),
            to: asked.range.to.to_string(),
            state,
            as_of: snapshot.cursor(asked.owner.as_ref()),
            final_until: text(snapshot.until),
            complete_until: text(beyond.complete_until),
            next: last.map(|last| asked.next(snapshot, last.key())),
        }
    }

    fn with_rows(&self, rows: &[Row], beyond: &Beyond) -> BillingHours {
        let lines = rows.iter().map(Line::from).chain(beyond.rows.iter().map(Line::from));
        BillingHours {
            from: self.from.clone(),
            to: self.to.clone(),
            state: self.state,
            as_of: self.as_of.clone(),
            final_until: self.final_until.clone(),
            complete_until: self.complete_until.clone(),
            rows: lines.map(BilledHour::from).collect(),
            next: self.next.clone(),
        }
    }

    fn headers(&self, form: Form) -> HeaderMap {
        form.headers(&[
            ("flagmeter-from", Some(&self.from)),
            ("flagmeter-to", Some(&self.to)),
            ("flagmeter-state", Some(self.state.name())),
            ("flagmeter-as-of", Some(&self.as_of)),
            ("flagmeter-final-until", self.final_until.as_deref()),
            ("flagmeter-complete-until", self.complete_until.as_deref()),
            ("flagmeter-next", self.next.as_deref()),
        ])
    }
}
