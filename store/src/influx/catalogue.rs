//! Who and what was ever counted.

use std::collections::BTreeMap;

use flagmeter_model::{Environment, Meter, Series, Tier, TimeRange, Timestamp};

use super::{
    InfluxStore, csv,
    ql::{ENVIRONMENT_TAGS, Where},
    schema::{ENVIRONMENT, source},
    state::standing,
    tiers::{Axis, Counted, columns},
};
use crate::{Error, Filter, Result, SeriesSeen};

/// The environments, in order.
pub(super) async fn environments(store: &InfluxStore) -> Result<Vec<Environment>> {
    let source = source(&store.buckets.meta, ENVIRONMENT);
    let question =
        format!("SELECT \"seen\"{} FROM {source} WHERE {}", columns(&ENVIRONMENT_TAGS), Where::always());
    let answer = store.client.query(&question).await?;
    let mut environments = Vec::new();
    csv::visit(&answer, |row| {
        environments.push(row.environment(1)?);
        Ok(())
    })?;
    environments.sort_unstable();
    environments.dedup();
    Ok(environments)
}

/// First and last time, by tier.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    /// In hours: there is no series without.
    hour: Option<(Timestamp, Timestamp)>,
    /// In minutes, and in raw points that are not rolled up.
    minute: Option<(Timestamp, Timestamp)>,
}

/// The series of one meter that the filter means, in order.
///
/// Hours are kept for ever; minutes tell more exactly while they are kept, and raw points what is not rolled up yet.
pub(super) async fn catalogue(
    store: &InfluxStore,
    meter: Meter,
    filter: &Filter,
    series_max: usize,
) -> Result<Vec<SeriesSeen>> {
    let standing = standing(store, filter).await?;
    let marked = Tier::ROLLED.into_iter().filter_map(|tier| standing.waiting.first(tier));
    let rolled = standing.frontiers.minute.whole.unwrap_or(Timestamp::EPOCH);
    let raw_from = marked.fold(rolled, Timestamp::min).floor_to(Tier::Minute.seconds());
    let minute_floor = standing.floors.minute.unwrap_or(Timestamp::EPOCH);

    let mut seen: BTreeMap<Series, Seen> = BTreeMap::new();
    for (tier, from) in [(Tier::Hour, Timestamp::EPOCH), (Tier::Minute, minute_floor), (Tier::Raw, raw_from)]
    {
        let from = standing.floors.of(tier).map_or(from, |floor| floor.max(from));
        let range = TimeRange::new(from, Timestamp::MAX);
        let conditions = Where::within(range).meter(meter).filter(filter);
        let answer = store.client.query(&first_and_last(store, tier, &conditions).join(";")).await?;
        csv::visit(&answer, |row| {
            let series = Counted::of(row, 1)?.into_series();
            let series = series.ok_or_else(|| csv::damaged("a series without a name"))?;
            let at = row.time()?.floor_to(tier.seconds().max(Tier::Minute.seconds()));
            if seen.len() == series_max && !seen.contains_key(&series) {
                return Err(Error::TooMany { what: "series", max: series_max });
            }
            let seen = seen.entry(series).or_default();
            let seen = if tier == Tier::Hour { &mut seen.hour } else { &mut seen.minute };
            let (first, last) = seen.get_or_insert((at, at));
            (*first, *last) = (at.min(*first), at.max(*last));
            Ok(())
        })?;
    }
    Ok(seen.into_iter().filter_map(|(series, seen)| told(series, seen, minute_floor)).collect())
}

/// Asks for the first and the last point of each series of a tier.
fn first_and_last(store: &InfluxStore, tier: Tier, conditions: &Where) -> [String; 2] {
    let bucket = store.buckets.tier(tier);
    let mut from = source(bucket, Axis::Series.measurement());
    if tier != Tier::Raw {
        from = format!("{from}, {}", source(bucket, Axis::Series.again()));
    }
    let tags = columns(Axis::Series.tags());
    ["first", "last"].map(|which| {
        format!(
            "SELECT \"at\"{tags} FROM (SELECT {which}(\"count\") AS \"at\" FROM {from} WHERE {conditions} \
             GROUP BY {})",
            tags.trim_start_matches(", ")
        )
    })
}

fn told(series: Series, seen: Seen, minute_floor: Timestamp) -> Option<SeriesSeen> {
    let (first_seen, last_seen) = match (seen.hour, seen.minute) {
        (Some((first, _)), Some((_, last))) if first < minute_floor => (first, last),
        (_, Some(seen)) | (Some(seen), None) => seen,
        (None, None) => return None,
    };
    Some(SeriesSeen { series, first_seen, last_seen })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_tell_while_they_are_kept_and_hours_afterwards() {
        let at = |minute: i64| Timestamp::from_seconds_clamped(1_000_000 * 3_600 + minute * 60);
        let series = || {
            let name = || flagmeter_model::Name::new("a").unwrap();
            let environment = Environment { customer: name(), project: name(), environment: name() };
            Series { environment, key: flagmeter_model::SeriesKey::flag(name()) }
        };
        let seen = |hour: Option<(i64, i64)>, minute: Option<(i64, i64)>, floor| {
            let pair = |(first, last)| (at(first), at(last));
            let seen = Seen { hour: hour.map(pair), minute: minute.map(pair) };
            told(series(), seen, at(floor)).map(|seen| (seen.first_seen, seen.last_seen))
        };
        assert_eq!(seen(Some((0, 120)), Some((7, 130)), 0), Some((at(7), at(130))));
        assert_eq!(seen(Some((0, 120)), Some((67, 130)), 60), Some((at(0), at(130))));
        assert_eq!(seen(Some((0, 60)), None, 120), Some((at(0), at(60))));
        assert_eq!(seen(None, Some((7, 7)), 0), Some((at(7), at(7))));
        assert_eq!(seen(None, None, 0), None);
    }
}
