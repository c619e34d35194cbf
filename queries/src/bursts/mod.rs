//! `GET /v1/bursts`: what was out of the ordinary within a range, for whoever may see these counts.
//!
//! An alert is of a customer, a project, an environment or a flag. Which of them are meant is said by the same filters as in
//! `/v1/usage`: each that is given must name what the alert is of. So a chart of one flag marks what was alerted of that
//! flag, and not what its whole environment did.

pub(crate) mod marks;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use chrono_tz::Tz;
use flagmeter_ledger::{Episode, EpisodePage, Episodes, Position};
use flagmeter_model::{Meter, Name, TimeRange, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, Result,
    access::Principal,
    caching::{self, Stays, Tag},
    civil,
    operator::bursts::ToldAlert,
    parameters::{Parameters, name},
    problem::Refusals,
    usage::plan::METERS,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[
    name::FROM,
    name::TO,
    name::TZ,
    name::METER,
    name::CUSTOMER,
    name::PROJECT,
    name::ENVIRONMENT,
    name::FLAG,
    name::LIMIT,
];
/// Bursts and drops of an answer, where nothing is said and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 1_000;
const MINUTE_SECONDS: i64 = 60;

/// The answer of `/v1/bursts`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Told {
    /// Bursts and drops, in the order in which they began; where there are more than fit, the last ones.
    bursts: Vec<Burst>,
    /// Whether there are more, which began before these: ask for a shorter range, or for less.
    more: bool,
}

/// A burst or a drop, from its beginning on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Burst {
    /// The name of the alert that it began, the same wherever it is told.
    #[schema(example = "alert_3c3e76676dc2392abcf7b8cdcc76a6e3")]
    id: String,
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    customer: Name,
    /// In which project; null is all of the customer.
    #[schema(required, value_type = Option<String>, example = "web")]
    project: Option<Name>,
    /// In which environment; null is all of the project.
    #[schema(required, value_type = Option<String>, example = "production")]
    environment: Option<Name>,
    /// Of which flag; null is all of the environment.
    #[schema(required, value_type = Option<String>, example = json!(null))]
    flag: Option<Name>,
    /// What is counted: `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    meter: &'static str,
    /// `burst`, or `drop`: traffic that stops.
    #[schema(example = "burst")]
    kind: &'static str,
    /// When it began, by the clocks of the zone.
    #[schema(example = "2026-11-20T12:40:00Z")]
    since: String,
    /// The end of the counts in which it was seen to be over; null while it goes on.
    #[schema(required, example = "2026-11-20T13:05:00Z")]
    until: Option<String>,
    /// Why it is over: `calm`, `new_level` (so much is expected now) or `unknown` (nothing is known any more). Null while it
    /// goes on.
    #[schema(required, example = "calm")]
    why: Option<&'static str>,
    /// What was expected of a minute when it began.
    #[schema(example = "100")]
    expected: String,
    /// Less would have been out of the ordinary.
    #[schema(example = "78")]
    low: String,
    /// And more than this.
    #[schema(example = "122")]
    high: String,
    /// The highest minute that is told of it; of a drop, the lowest.
    #[schema(example = "500")]
    peak: String,
    /// How many times of what was expected that is.
    #[schema(example = 5.0)]
    ratio: f64,
    /// Counts beyond what was expected, as last told; of a drop, those that were missing.
    #[schema(example = "800")]
    excess: String,
    /// Whether it was decided by the rule for traffic of which too few weeks are known.
    #[schema(example = false)]
    learning: bool,
    /// Whether it is muted, as planned: then nobody was told of it.
    #[schema(example = false)]
    muted: bool,
    /// Path and query of the page that shows it.
    #[schema(example = "/usage?customer=acme&project=web&environment=production&meter=evaluations")]
    chart: String,
}

/// What a link tells of a burst or a drop: that it was there, and no name and no count.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldByLink {
    /// Bursts and drops, in the order in which they began; where there are more than fit, the last ones.
    bursts: Vec<BurstByLink>,
    /// Whether there are more, which began before these.
    more: bool,
}

/// A burst or a drop, without names.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BurstByLink {
    /// `burst`, or `drop`: traffic that stops.
    #[schema(example = "burst")]
    kind: &'static str,
    /// When it began.
    #[schema(example = "2026-11-20T12:40:00Z")]
    since: String,
    /// The end of the counts in which it was seen to be over; null while it goes on.
    #[schema(required, example = "2026-11-20T13:05:00Z")]
    until: Option<String>,
    /// The highest minute of it in times of what was expected; of a drop, the lowest.
    #[schema(example = 5.0)]
    ratio: f64,
    /// Whether a planned mute covers it.
    #[schema(example = false)]
    muted: bool,
}

/// When it began and was over, by the clocks of a zone.
fn times(episode: &Episode, zone: Tz) -> (String, Option<String>) {
    let at = |at| civil::rfc3339(zone, at);
    (at(episode.began.alerted.since), episode.until().map(at))
}

#[expect(clippy::cast_precision_loss, reason = "how many times, for people")]
fn ratio(episode: &Episode) -> f64 {
    episode.percent() as f64 / 100.0
}

impl ToldByLink {
    /// Of what is marked.
    pub(crate) fn of(page: &EpisodePage, zone: Tz) -> Self {
        let one = |episode: &Episode| {
            let (since, until) = times(episode, zone);
            let kind = episode.began.alerted.kind.name();
            let muted = episode.began.muted.is_some();
            BurstByLink { kind, since, until, ratio: ratio(episode), muted }
        };
        Self { bursts: page.episodes.iter().map(one).collect(), more: page.more }
    }
}

impl Burst {
    fn of(episode: Episode, zone: Tz) -> Self {
        let (ratio, (since, until)) = (ratio(&episode), times(&episode, zone));
        let Episode { began, over } = episode;
        let began = ToldAlert::from(began);
        let (id, expected, low, high) = (began.id.clone(), began.expected, began.low, began.high);
        let (began_excess, began_peak, began_chart) = (began.excess, began.peak, began.chart);
        // What is over says how much it was in the end, and where that is to be seen.
        let (why, excess, peak, chart) = match over.map(ToldAlert::from) {
            Some(over) => (over.why, over.excess, over.peak, over.chart),
            None => (None, began_excess, began_peak, began_chart),
        };
        Self {
            id,
            customer: began.customer,
            project: began.project,
            environment: began.environment,
            flag: began.flag,
            meter: began.meter,
            kind: began.kind,
            since,
            until,
            why,
            expected,
            low,
            high,
            peak,
            ratio,
            excess,
            learning: began.learning,
            muted: began.muted.is_some(),
            chart,
        }
    }
}

/// Bursts and drops
///
/// What was out of the ordinary at any time of the range, which begins at a full minute, each from its beginning to its end.
/// Customers see their own. Where a filter is given, the alert must be of one of its values: one of a whole environment is not
/// of a flag.
#[utoipa::path(
    get,
    path = "/v1/bursts",
    tag = "usage",
    security(("token" = [])),
    params(
        ("from" = Option<String>, Query, description = "Start: RFC 3339, a date, or a time before now such as -24h, -30d, -15m. Default -24h.", example = "-24h"),
        ("to" = Option<String>, Query, description = "End, not included: the same, or `now`, the default.", example = "now"),
        ("tz" = Option<String>, Query, description = "IANA time zone whose dates are meant, and whose clocks tell the times of the answer. Default: the customer's own zone, else UTC.", example = "Europe/Berlin"),
        ("meter" = Option<String>, Query, description = "`evaluations` or `requests`. Default: both."),
        ("customer" = Option<Vec<String>>, Query, description = "Only these customers. Repeat for several."),
        ("project" = Option<Vec<String>>, Query, description = "Only these projects. Repeat for several."),
        ("environment" = Option<Vec<String>>, Query, description = "Only these environments. Repeat for several."),
        ("flag" = Option<Vec<String>>, Query, description = "Only what was alerted of these flags. Repeat for several."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 1000, description = "So many at most, those that began last. Default 100."),
    ),
    responses(
        (status = 200, description = "The bursts and drops, with a strong `ETag`", body = Told),
        (status = 304, description = "They are still those whose `ETag` was sent as `If-None-Match`"),
        Refusals,
    )
)]
pub(crate) async fn bursts(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response> {
    let parameters = Parameters::read(&uri, KNOWN)?;
    let zone = parameters.zone(app.zone_of(&principal))?;
    let range = parameters.range(app.clock.now(), zone, "-24h")?;
    let asked = ask(&parameters, &principal, range)?;
    respond(&app, &principal, &headers, zone, Some(asked), |EpisodePage { episodes, more }| Told {
        bursts: episodes.into_iter().map(|episode| Burst::of(episode, zone)).collect(),
        more,
    })
    .await
}

fn ask(parameters: &Parameters, principal: &Principal, range: TimeRange) -> Result<Episodes> {
    let scope = principal.scope(parameters.filter()?)?;
    let meter = |text: &str| Meter::ALL.into_iter().find(|meter| meter.is_usage() && meter.name() == text);
    Ok(Episodes {
        scope: scope.of_ledger(),
        flags: scope.filter().names.clone(),
        meter: parameters.choice(name::METER, meter, METERS)?,
        range,
        limit: parameters.number(name::LIMIT, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
    })
}

/// The answer with its tag. Every viewer of a chart asks again and again, and is mostly told that nothing is new: that is said
/// before anything is read, as a list depends on the question and on the last alert that is known, and on nothing else.
pub(crate) async fn respond<T: Serialize>(
    app: &App,
    principal: &Principal,
    headers: &HeaderMap,
    zone: Tz,
    asked: Option<Episodes>,
    told: impl FnOnce(EpisodePage) -> T,
) -> Result<Response> {
    let asked = asked.map(|asked| steady(asked, app.clock.now()));
    // Looked at before the list is: one that is newer than its tag is asked for once more, and none is older.
    let end = if asked.is_some() { *app.reader.alerts_end()?.borrow() } else { Position::START };
    let question = format!("{asked:?}");
    // Another version may tell the same in other words.
    let version = env!("CARGO_PKG_VERSION");
    let tag = Tag::of([
        version.as_bytes(),
        zone.name().as_bytes(),
        question.as_bytes(),
        end.get().to_be_bytes().as_slice(),
    ]);
    let mut response = Response::default();
    if !tag.is_known(headers) {
        let mut reading = app.reader.begin_of_ledger(principal).await?;
        let page = match asked {
            Some(asked) => reading.episodes(asked).await?,
            None => EpisodePage::default(),
        };
        let rows = page.episodes.len();
        let room = reading.room_for(rows).await?;
        app.metrics.rows(rows);
        response = room.json(&told(page))?;
    }
    caching::answer(headers, &tag, Stays::WhileTagged, || Ok(response))
}

/// The same question for as long as it may be: a range that moves along with the clock begins at a full minute, and one that
/// ends now or later has no end, as nothing that is known has yet to begin.
fn steady(mut asked: Episodes, now: Timestamp) -> Episodes {
    asked.range.from = asked.range.from.floor_to(MINUTE_SECONDS);
    if asked.range.to >= now {
        asked.range.to = Timestamp::MAX;
    }
    asked
}
