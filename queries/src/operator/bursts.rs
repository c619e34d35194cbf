//! `GET /v1/operator/bursts`: traffic that is out of the ordinary, in the order in which it became known.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_ledger::{Alert, AlertKind, AlertPage, Alerts, Contributor, Position};
use flagmeter_model::Name;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, Result,
    access::Principal,
    billing::{LIMIT_DEFAULT, LIMIT_MAX, cursor::AlertedTo, known_here},
    parameters::{Parameters, name},
    problem::Refusals,
    room::Room,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[name::ACTIVE, name::AFTER, name::CUSTOMER, name::KIND, name::LIMIT];
/// What may be asked for.
pub(crate) const KINDS: &[&str] = &[AlertKind::Burst.name(), AlertKind::Drop.name()];

/// The answer of `/v1/operator/bursts`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Bursts {
    /// What began and what is over, in the order in which this became known.
    pub(crate) alerts: Vec<ToldAlert>,
    /// `after=` of the next request.
    next: String,
    /// Whether there is more already: ask again at once.
    pub(crate) more: bool,
}

/// That a burst, or a drop, began or is over: each told once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldAlert {
    /// Its name, the same wherever and whenever it is told.
    #[schema(example = "alert_3c3e76676dc2392abcf7b8cdcc76a6e3")]
    pub(crate) id: String,
    /// Whose.
    #[schema(value_type = String, example = "acme")]
    pub(crate) customer: Name,
    /// In which project; null is all of the customer.
    #[schema(required, value_type = Option<String>, example = "web")]
    pub(crate) project: Option<Name>,
    /// In which environment; null is all of the project.
    #[schema(required, value_type = Option<String>, example = "production")]
    pub(crate) environment: Option<Name>,
    /// Of which flag; null is all of the environment.
    #[schema(required, value_type = Option<String>, example = json!(null))]
    pub(crate) flag: Option<Name>,
    /// What is counted: `evaluations` or `requests`.
    #[schema(example = "evaluations")]
    pub(crate) meter: &'static str,
    /// `burst`, or `drop`: traffic that stops.
    #[schema(example = "burst")]
    pub(crate) kind: &'static str,
    /// `began` or `over`.
    #[schema(example = "began")]
    pub(crate) said: &'static str,
    /// Why it is over: `calm`, `new_level` (so much is expected now) or `unknown` (nothing is known any more). Null for what
    /// began.
    #[schema(required, example = json!(null))]
    pub(crate) why: Option<&'static str>,
    /// When it began.
    #[schema(example = "2026-11-20T12:40:00Z")]
    pub(crate) since: String,
    /// The end of the counts in which this was seen.
    #[schema(example = "2026-11-20T12:42:00Z")]
    pub(crate) seen_at: String,
    /// When this was found.
    #[schema(example = "2026-11-20T12:42:04Z")]
    pub(crate) alerted_at: String,
    /// Counts of the last minute, in decimal digits. Null where they are not known, which is never zero.
    #[schema(required, example = "500")]
    pub(crate) observed: Option<String>,
    /// What is expected of a minute.
    #[schema(example = "100")]
    pub(crate) expected: String,
    /// Less would be out of the ordinary.
    #[schema(example = "78")]
    pub(crate) low: String,
    /// And more than this.
    #[schema(example = "122")]
    pub(crate) high: String,
    /// How many times of what is expected that is. Null where it is not known.
    #[schema(required, example = 5.0)]
    pub(crate) ratio: Option<f64>,
    /// Counts beyond what is expected since it began; of a drop, those that are missing.
    #[schema(example = "800")]
    pub(crate) excess: String,
    /// The highest minute of it so far; of a drop, the lowest.
    #[schema(example = "500")]
    pub(crate) peak: String,
    /// Whether it was decided by the rule for traffic of which too few weeks are known.
    #[schema(example = false)]
    pub(crate) learning: bool,
    /// Where most of it comes from. Empty for what is over.
    pub(crate) contributors: Vec<ToldContributor>,
    /// Path and query of the page that shows it.
    #[schema(example = "/usage?customer=acme&project=web&environment=production&meter=evaluations")]
    pub(crate) chart: String,
}

/// A part of the traffic, since it began and in as much time before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ToldContributor {
    /// What it is: a `project` (of a customer), an `environment` (of a project), a `flag`, an `sdk`, or a `node`: an edge node.
    #[schema(example = "flag")]
    pub(crate) by: &'static str,
    /// Its name, of a node its number in decimal digits; null is all that comes without one.
    #[schema(required, value_type = Option<String>, example = "checkout")]
    pub(crate) name: Option<Name>,
    /// Its counts since it began, in decimal digits.
    #[schema(example = "900")]
    count: String,
    /// Its counts in as much time before.
    #[schema(example = "100")]
    before: String,
}

impl From<Alert> for ToldAlert {
    fn from(alert: Alert) -> Self {
        let (alerted_at, alerted) = (alert.alerted_at.to_string(), alert.alerted);
        let (id, chart, said) = (alerted.id(), alerted.chart(), alerted.said());
        #[expect(clippy::cast_precision_loss, reason = "how many times, for people")]
        let ratio = alerted.percent.map(|percent| percent as f64 / 100.0);
        Self {
            id,
            customer: alerted.of.customer().clone(),
            project: alerted.of.project().cloned(),
            environment: alerted.of.environment().cloned(),
            flag: alerted.of.flag().cloned(),
            meter: alerted.meter.name(),
            kind: alerted.kind.name(),
            said,
            why: alerted.said.why(),
            since: alerted.since.to_string(),
            seen_at: alerted.seen_at.to_string(),
            alerted_at,
            observed: alerted.observed.map(|observed| observed.to_string()),
            expected: alerted.expected.to_string(),
            low: alerted.low.to_string(),
            high: alerted.high.to_string(),
            ratio,
            excess: alerted.excess.to_string(),
            peak: alerted.peak.to_string(),
            learning: alerted.is_learning,
            contributors: alerted.contributors.into_iter().map(ToldContributor::from).collect(),
            chart,
        }
    }
}

impl From<Contributor> for ToldContributor {
    fn from(Contributor { part, name, count, before }: Contributor) -> Self {
        Self { by: part.name(), name, count: count.to_string(), before: before.to_string() }
    }
}

/// Bursts and drops, in the order in which they became known
///
/// For operators. What began and what is over are told once each. Read it from the beginning, and go on after `next`: none
/// is ever missed, changed or taken back. With `active=true` those alone that are not over: what goes on now.
#[utoipa::path(
    get,
    path = "/v1/operator/bursts",
    tag = "operator",
    security(("token" = [])),
    params(
        ("customer" = Option<Vec<String>>, Query, description = "Of these customers; may be repeated. Default: all."),
        ("kind" = Option<String>, Query, description = "`burst` or `drop`. Default: both."),
        ("active" = Option<bool>, Query, description = "Those alone that began and are not over. Default false."),
        ("after" = Option<String>, Query, description = "`next` of the answer before. Default: from the first one."),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 10_000, description = "Alerts at most. Default 1000."),
    ),
    responses(
        (status = 200, description = "The alerts", body = Bursts),
        (status = 409, description = "The cursor knows more than the ledger, which was restored from an older copy", content_type = "application/problem+json", body = crate::problem::Problem),
        Refusals,
    )
)]
pub(crate) async fn bursts(State(app): State<Arc<App>>, principal: Principal, uri: Uri) -> Result<Response> {
    let (bursts, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&bursts)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(Bursts, Room)> {
    principal.only_operators("the bursts of all customers")?;
    let after = parameters.one(name::AFTER)?;
    let after = after.map(|text| AlertedTo::from_cursor(name::AFTER, text)).transpose()?;
    let asked = Alerts {
        customers: principal.scope(parameters.filter()?)?.of_ledger().customers,
        kind: parameters.choice(name::KIND, AlertKind::from_name, KINDS)?,
        active: parameters.is(name::ACTIVE)?,
        after: after.map_or(Position::START, |after| after.0),
        limit: parameters.number(name::LIMIT, LIMIT_MAX)?.unwrap_or(LIMIT_DEFAULT),
    };
    known_here(&app.reader.alerts_end()?, asked.after).await?;
    let mut reading = app.reader.begin(principal).await?;
    let AlertPage { alerts, looked_to, more } = reading.alerts(asked).await?;
    let room = reading.room_for(alerts.len()).await?;
    app.metrics.rows(alerts.len());
    let alerts = alerts.into_iter().map(ToldAlert::from).collect();
    Ok((Bursts { alerts, next: AlertedTo(looked_to).cursor(), more }, room))
}
