//! Promise 3 where money is concerned: of each hour that is closed, the newest revision says what the hour comes to; and
//! revisions follow each other without a gap.

use std::collections::{BTreeMap, BTreeSet};

use flagmeter_ledger::{Hours, Ledger, Position, Row, Scope};
use flagmeter_model::{Environment, Meter, Tier, TimeRange, Timestamp};
use flagmeter_store::{AxisChoice, Filter, Read, Store, TierChoice};

use super::{
    Report, Result,
    tiers::{Difference, LOOKS, PAUSE, Pair, Patience, Waiting},
};

/// Rows that are read at once.
const PAGE_ROWS: usize = 10_000;
/// Hours in one question.
const HOURS_MAX: i64 = 31 * 24;

/// Counts of hours, by their start and meter.
type Counts = BTreeMap<(Timestamp, Meter), u64>;

/// Compares the hours of one environment that are closed.
pub(super) async fn compare(
    (store, ledger): (&dyn Store, &dyn Ledger),
    environment: &Environment,
    range: TimeRange,
    patience: &mut Patience,
    report: &mut Report,
) -> Result<()> {
    let Some(closed) = ledger.standing().await?.closed else { return Ok(()) };
    report.closed_until = Some(report.closed_until.map_or(closed, |other| other.min(closed)));
    let hour = Tier::Hour.seconds();
    let range = TimeRange::new(range.from.ceil_to(hour), range.to.min(closed).floor_to(hour));
    let Some(range) = seen(store, environment, range).await? else { return Ok(()) };
    let mut from = range.from;
    while from < range.to {
        let piece = TimeRange::new(from, from.plus_seconds(HOURS_MAX * hour).min(range.to));
        compare_hours((store, ledger), environment, piece, patience, report).await?;
        from = piece.to;
    }
    Ok(())
}

/// The part of a range in which the environment was counted.
async fn seen(store: &dyn Store, environment: &Environment, range: TimeRange) -> Result<Option<TimeRange>> {
    let seen = super::tiers::seen(store, environment).await?;
    Ok(seen.map(|seen| seen.intersection(range)).filter(|range| !range.is_empty()))
}

async fn compare_hours(
    (store, ledger): (&dyn Store, &dyn Ledger),
    environment: &Environment,
    range: TimeRange,
    patience: &mut Patience,
    report: &mut Report,
) -> Result<()> {
    let newest = billed(ledger, environment, range, report).await?;
    let mut found = differences(&counted(store, environment, range).await?, &newest);
    let mut excused = BTreeSet::new();
    // An hour that was rolled up again is marked until the ledger has it.
    let pair = Pair { fine: Tier::Quarter, coarse: Tier::Hour };
    for look in 1..LOOKS {
        if found.is_empty() {
            break;
        }
        patience.pause(PAUSE * (1 << (look - 1))).await;
        let waiting = Waiting::read(store, environment, pair, range.to).await?;
        waiting.excuse(Tier::Hour, &mut found, &mut excused);
        let newest = billed(ledger, environment, range, &mut Report::default()).await?;
        let again = differences(&counted(store, environment, range).await?, &newest);
        found.retain(|difference| again.contains(difference));
    }
    for difference in found {
        let Difference { start, what, fine, coarse } = difference;
        report
            .differs(|| format!("{environment} {start}: {what} is {fine} in 1h and {coarse} in the ledger"));
    }
    report.waiting = report.waiting.saturating_add(u64::try_from(excused.len()).unwrap_or(u64::MAX));
    Ok(())
}

/// What the ledger says of the hours of an environment. Its rows are counted, and looked at one by one.
async fn billed(
    ledger: &dyn Ledger,
    environment: &Environment,
    range: TimeRange,
    report: &mut Report,
) -> Result<Counts> {
    let scope = Scope {
        customers: vec![environment.customer.clone()],
        projects: vec![environment.project.clone()],
        environments: vec![environment.environment.clone()],
    };
    let (mut newest, mut after) = (Counts::new(), None);
    let mut revisions: BTreeMap<(Timestamp, Meter), u32> = BTreeMap::new();
    loop {
        let (scope, as_of, limit) = (scope.clone(), Position::MAX, PAGE_ROWS);
        let page = ledger.hours(Hours { scope, meters: Vec::new(), range, as_of, after, limit }).await?;
        for row in &page.rows {
            let key = (row.hour, row.meter);
            let revision = revisions.entry(key).or_default();
            let before = newest.insert(key, row.count).unwrap_or_default();
            *revision += 1;
            if (*revision, before) != (row.revision, row.previous) || row.count <= before {
                report.differs(|| {
                    format!(
                        "{environment} {}: revision {} of {} follows on {} with {before}, and says {} after {}",
                        row.hour,
                        row.revision,
                        row.meter,
                        *revision - 1,
                        row.count,
                        row.previous
                    )
                });
            }
            report.ledger_rows += 1;
        }
        if !page.more {
            return Ok(newest);
        }
        after = page.rows.last().map(Row::key);
    }
}

/// What the store says of them.
async fn counted(store: &dyn Store, environment: &Environment, range: TimeRange) -> Result<Counts> {
    let hour = Tier::Hour.seconds();
    let next = |edge: &Timestamp| Some(edge.plus_seconds(hour)).filter(|&next| next <= range.to);
    let edges: Vec<Timestamp> = std::iter::successors(Some(range.from), next).collect();
    let filter = Filter {
        customers: vec![environment.customer.clone()],
        projects: vec![environment.project.clone()],
        environments: vec![environment.environment.clone()],
        ..Filter::default()
    };
    let mut counts = Counts::new();
    for meter in Meter::ALL.into_iter().filter(|meter| meter.is_usage()) {
        let (filter, edges) = (filter.clone(), edges.clone());
        let (group_by, tiers, axis) = (Vec::new(), TierChoice::Only(Tier::Hour), AxisChoice::Totals);
        let answer = store
            .read(&Read { meter, edges: edges.clone(), filter, group_by, tiers, axis, groups_max: 1 })
            .await?;
        for row in &answer.rows {
            let counted = edges.iter().zip(&row.counts).filter(|(_, count)| **count > 0);
            counts.extend(counted.map(|(hour, count)| ((*hour, meter), *count)));
        }
    }
    Ok(counts)
}

fn differences(counted: &Counts, billed: &Counts) -> BTreeSet<Difference> {
    let keys: BTreeSet<_> = counted.keys().chain(billed.keys()).collect();
    let of = |counts: &Counts, key: &(Timestamp, Meter)| counts.get(key).copied().unwrap_or_default();
    let difference = |key: &(Timestamp, Meter)| Difference {
        start: key.0,
        what: format!("the total of {}", key.1),
        fine: of(counted, key),
        coarse: of(billed, key),
    };
    keys.into_iter().map(difference).filter(|difference| difference.fine != difference.coarse).collect()
}
