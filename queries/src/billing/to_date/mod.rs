//! `GET /v1/billing/usage-to-date`: what a customer used of its plan in the period that runs, and where that leads.
//!
//! What is final is read from the ledger, the hours since then and those of the weeks before from the store's totals: one
//! question for each meter.

mod projection;
pub(crate) mod shape;

use std::{collections::BTreeMap, sync::Arc};

use axum::{extract::State, http::Uri, response::Response};
use flagmeter_model::{Meter, Plan, TimeRange, Timestamp, low_watermark};
use projection::{Hours, LOOK_BACK_SECONDS, Running, project};
use shape::{MeterToDate, MeterUse, UsageToDate, shape};

use super::{Calendar, cursor::Snapshot, each, known_customers, snapshot_of, whose};
use crate::{
    App, Error, Result,
    access::{Principal, Scoped},
    answer::{Known, Missing, shown},
    civil,
    parameters::{Parameters, name},
    problem::Refusals,
    reader::{Question, Reading},
    room::Room,
};

/// The parameters of `/v1/billing/usage-to-date`.
pub(crate) const KNOWN: &[&str] = &[name::CUSTOMER];

const HOUR_SECONDS: i64 = 3_600;
/// How far back the store is asked at most, where nothing came in for long.
const LOOK_BACK_SECONDS_MAX: i64 = 12 * 604_800;

/// What a customer used of its plan in the period that runs
///
/// With the thresholds that are crossed, and a projection to the end of the period that says how it was made. The period is
/// that of the customer's plan in the registry; without one, the month of its zone. What is final is taken from the ledger,
/// the rest from what is counted so far: `complete_until` says until when that is all.
#[utoipa::path(
    get,
    path = "/v1/billing/usage-to-date",
    tag = "billing",
    security(("token" = [])),
    params(
        ("customer" = Option<String>, Query, description = "Whose. Needed unless the token is that of a customer.", example = "acme"),
    ),
    responses(
        (status = 200, description = "Usage to date", body = UsageToDate),
        Refusals,
    )
)]
pub(crate) async fn usage_to_date(
    State(app): State<Arc<App>>,
    principal: Principal,
    uri: Uri,
) -> Result<Response> {
    let (to_date, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&to_date)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(UsageToDate, Room)> {
    let scope = principal.scope(parameters.filter()?)?;
    let customer = whose(&scope, "Usage to date is that of one customer: give it once.")?;
    let (plan, calendar) = {
        let registry = app.registry.borrow();
        let registered = registry.customer(&customer);
        (registered.and_then(|customer| customer.plan.clone()), Calendar::of(registered))
    };
    let mut reading = app.reader.begin(principal).await?;
    known_customers(app, &reading, principal, &scope).await?;
    let now = app.clock.now();
    let period = calendar.period(now);
    whole(calendar, period)?;
    let snapshot = snapshot_of(app, &reading, name::CUSTOMER, None).await?;
    let state = reading.state().await?;
    let low = low_watermark(&state.progress, state.partitions, app.config.node_timeout_ms);
    let complete_until = low.complete_until(now);
    let asked = Asked { scope, period, snapshot, complete_until, now };
    let meters = asked.meters(&reading, plan.as_ref(), calendar).await?;
    let zone = calendar.zone;
    let room = reading.room_for(meters.len()).await?;
    let to_date = UsageToDate {
        customer,
        tz: zone.name(),
        billing_day: calendar.day,
        from: civil::rfc3339(zone, period.from),
        to: civil::rfc3339(zone, period.to),
        final_until: shown(zone, snapshot.until),
        complete_until: shown(zone, complete_until),
        missing_nodes: Missing::list(&low.missing, zone),
        meters,
    };
    Ok((to_date, room))
}

/// Refuses a period that would split an hour. The registry takes no such plan, but customers without one.
fn whole(calendar: Calendar, period: TimeRange) -> Result<()> {
    let splits = [period.from, period.to].into_iter().any(|edge| edge != edge.floor_to(HOUR_SECONDS));
    if !splits {
        return Ok(());
    }
    Err(Error::parameter(
        name::CUSTOMER,
        format!(
            "In {} its month begins within an hour of UTC, and what is billed are such hours: they are not split. Give it \
             a plan in the registry, with a time_zone that is full hours off.",
            calendar.zone_name()
        ),
    ))
}

/// What is asked.
struct Asked {
    scope: Scoped,
    period: TimeRange,
    snapshot: Snapshot,
    complete_until: Option<Timestamp>,
    now: Timestamp,
}

impl Asked {
    /// Until when hours are read from the ledger.
    fn settled_until(&self) -> Timestamp {
        self.snapshot.until.unwrap_or_default().clamp(self.period.from, self.period.to)
    }

    /// Until when everything is in, in full hours; never before what is final.
    fn counted_until(&self) -> Option<Timestamp> {
        self.complete_until.map(|until| until.floor_to(HOUR_SECONDS)).max(self.snapshot.until)
    }

    /// The hours that the store is asked for: of the period so far, and of the weeks that a projection is made from.
    fn edges(&self) -> Vec<Timestamp> {
        let to = self.now.floor_to(HOUR_SECONDS).plus_seconds(HOUR_SECONDS);
        let weeks = self.counted_until().map(|until| until.plus_seconds(-LOOK_BACK_SECONDS));
        let from = weeks.map_or(self.period.from, |from| from.min(self.period.from));
        let from = from.max(to.plus_seconds(-LOOK_BACK_SECONDS_MAX));
        let hours = to.millis_since(from) / (HOUR_SECONDS * 1_000);
        (0..=hours).map(|hour| from.plus_seconds(hour * HOUR_SECONDS)).collect()
    }

    async fn meters(
        &self,
        reading: &Reading<'_>,
        plan: Option<&Plan>,
        calendar: Calendar,
    ) -> Result<Vec<MeterToDate>> {
        let mut settled: BTreeMap<Meter, u128> = BTreeMap::new();
        let range = TimeRange::new(self.period.from, self.settled_until());
        if !range.is_empty() {
            each(reading, &self.scope, self.snapshot, range, |row| {
                *settled.entry(row.meter).or_default() += u128::from(row.difference());
                Ok(())
            })
            .await?;
        }
        let edges = self.edges();
        let mut meters = Vec::new();
        for meter in Meter::ALL.into_iter().filter(|meter| meter.is_usage()) {
            let question = Question {
                meter,
                edges: edges.clone(),
                scope: self.scope.clone(),
                group_by: Vec::new(),
                groups_max: 1,
            };
            let answer = reading.read(question).await?;
            let counts = Hours {
                from: edges.first().copied().unwrap_or_default(),
                counts: answer.rows.first().map_or(&[][..], |row| row.counts.as_slice()),
                states: &answer.states,
            };
            let settled = settled.get(&meter).copied().unwrap_or_default();
            meters.push(shape(self.used(meter, settled, &edges, &counts), plan, calendar.zone));
        }
        Ok(meters)
    }

    fn used(&self, meter: Meter, settled: u128, edges: &[Timestamp], counts: &Hours<'_>) -> MeterUse {
        let period = edges.partition_point(|edge| *edge < self.period.from);
        let of_period =
            |states| Known::of_all(edges.get(period..).unwrap_or_default(), states, self.complete_until);
        let state = of_period(counts.states.get(period..).unwrap_or_default());
        // What stands in the ledger is known, also where the store has no word of it any more.
        let state = if state == Known::Unknown && settled > 0 { Known::Partial } else { state };
        let since = |until: Timestamp| settled + counts.sum(TimeRange::new(self.settled_until(), until));
        let used = since(self.period.to);
        let projection = self.counted_until().and_then(|counted_until| {
            let running = Running { period: self.period, counted_until, before: since(counted_until), used };
            project(running, counts).map(|projection| (running, projection))
        });
        MeterUse { meter, state, settled, used, projection }
    }
}
