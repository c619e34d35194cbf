//! Where a period leads, if its rest goes as the weeks before went. Pure.
//!
//! With `C` the hour until which everything is in, and week `k` the 168 hours that end `k - 1` weeks before `C`: the rest
//! of the period would come to `R(k)`, if each of its hours counted as much as the same hour of week `k`. The projection is
//! what was counted before `C` and the mean of `R(k)` over the last four weeks; its range is made with the least and the
//! greatest of them. That is a seasonal naive forecast, averaged (Hyndman and Athanasopoulos, Forecasting: Principles and
//! Practice, third edition, 5.2). It knows no growth and no holidays, and its range is what was seen, not a probability.

use flagmeter_model::{TimeRange, Timestamp};
use flagmeter_store::RowState;

const HOUR_SECONDS: i64 = 3_600;
const WEEK_HOURS: usize = 168;
const WEEK_SECONDS: i64 = 604_800;
/// Weeks that it is made from.
const WEEKS: usize = 4;
/// Fewer than these say nothing of how weeks differ.
const WEEKS_MIN: usize = 2;
/// How far back is looked: one week more tells whether the last of them was counted from its beginning.
pub(super) const LOOK_BACK_SECONDS: i64 = WEEK_SECONDS * 5;

/// Hours of a meter, as the store has them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hours<'a> {
    /// Start of the first one.
    pub(super) from: Timestamp,
    /// One per hour.
    pub(super) counts: &'a [u64],
    /// What is known of each.
    pub(super) states: &'a [RowState],
}

impl Hours<'_> {
    /// The sum of the hours that begin in the range.
    pub(super) fn sum(&self, range: TimeRange) -> u128 {
        let at = |time: Timestamp| hours(self.from, time).min(self.counts.len());
        let counts = self.counts.get(at(range.from)..at(range.to)).unwrap_or_default();
        counts.iter().copied().map(u128::from).sum()
    }

    /// The hours of the week that begins then, if something is known of each.
    fn week(&self, from: Timestamp) -> Option<&[u64]> {
        let first = (from >= self.from).then(|| hours(self.from, from))?;
        let hours = first..first.checked_add(WEEK_HOURS)?;
        let states = self.states.get(hours.clone())?;
        (!states.contains(&RowState::Unknown)).then(|| self.counts.get(hours))?
    }

    /// Start of the first hour in the range in which anything was counted.
    fn first(&self, range: TimeRange) -> Option<Timestamp> {
        let hours = (0_i64..)
            .zip(self.counts)
            .map(|(hour, count)| (self.from.plus_seconds(hour * HOUR_SECONDS), count));
        hours.filter(|(start, count)| range.contains(*start) && **count > 0).map(|(start, _)| start).next()
    }
}

/// Full hours between two times; none if the second is not later.
fn hours(from: Timestamp, to: Timestamp) -> usize {
    usize::try_from(to.millis_since(from) / (HOUR_SECONDS * 1_000)).unwrap_or_default()
}

/// What is known of the period that runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    /// The period.
    pub(super) period: TimeRange,
    /// `C`: everything before this full hour is in.
    pub(super) counted_until: Timestamp,
    /// What was counted of the period before it.
    pub(super) before: u128,
    /// What was counted of the period at all.
    pub(super) used: u128,
}

/// A week, and what the rest of the period comes to if it goes as that week went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Week {
    pub(super) range: TimeRange,
    pub(super) rest: u128,
}

/// What a period will come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Projection {
    pub(super) count: u128,
    pub(super) low: u128,
    pub(super) high: u128,
    /// The weeks that it is made from, the last one first.
    pub(super) weeks: Vec<Week>,
}

/// Projects; `None` where fewer than two weeks are known.
pub(super) fn project(running: Running, counts: &Hours<'_>) -> Option<Projection> {
    let weeks = weeks(running, counts);
    if weeks.len() < WEEKS_MIN {
        return None;
    }
    let rests = || weeks.iter().map(|week| week.rest);
    // What is counted of the hours since is known already, if not all of it.
    let with = |rest: u128| (running.before + rest).max(running.used);
    Some(Projection {
        count: with(rests().sum::<u128>() / weeks.len() as u128),
        low: with(rests().min()?),
        high: with(rests().max()?),
        weeks,
    })
}

fn weeks(running: Running, counts: &Hours<'_>) -> Vec<Week> {
    let Running { period, counted_until, .. } = running;
    let back = |weeks: i64| counted_until.plus_seconds(-weeks * WEEK_SECONDS);
    let oldest = TimeRange::new(back(5), back(4));
    // Before its first count a customer was not there: these hours are no zeros.
    let began = match counts.first(oldest) {
        Some(_) => Some(oldest.to),
        None => counts.first(TimeRange::new(back(4), counted_until)),
    };
    let Some(began) = began else { return Vec::new() };
    let rest_from = counted_until.max(period.from);
    let ahead = hours(counted_until, rest_from);
    let rest = hours(rest_from, period.to);
    let week = |(number, _): (i64, usize)| {
        let range = TimeRange::new(back(number), back(number - 1));
        let counted = counts.week(range.from).filter(|_| began <= range.from)?;
        let hours = counted.iter().cycle().skip(ahead % WEEK_HOURS).take(rest);
        Some(Week { range, rest: hours.copied().map(u128::from).sum() })
    };
    (1_i64..).zip(0..WEEKS).filter_map(week).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_760_000_400;

    fn hour(number: i64) -> Timestamp {
        Timestamp::from_seconds_clamped(START + number * HOUR_SECONDS)
    }

    fn known(counts: &[u64]) -> Vec<RowState> {
        vec![RowState::Complete; counts.len()]
    }

    /// Of a period of so many hours that began `since` hours before the end of what was counted.
    fn running(counts: &[u64], since: i64, length: i64) -> Running {
        let end = i64::try_from(counts.len()).unwrap();
        let period = TimeRange::new(hour(end - since), hour(end - since + length));
        let counted = Hours { from: hour(0), counts, states: &known(counts) };
        let used = counted.sum(TimeRange::new(period.from, hour(end)));
        Running { period, counted_until: hour(end), before: used, used }
    }

    fn projected(running: Running, counts: &[u64], states: &[RowState]) -> Option<Projection> {
        project(running, &Hours { from: hour(0), counts, states })
    }

    #[test]
    fn the_rest_goes_as_each_of_the_last_weeks_went() {
        // Five weeks, the count of an hour is that of its week; the period ends in ten hours.
        let counts: Vec<u64> =
            [7, 10, 20, 30, 40].into_iter().flat_map(|count| vec![count; WEEK_HOURS]).collect();
        let running = running(&counts, 5, 15);
        let projection = projected(running, &counts, &known(&counts)).unwrap();
        assert_eq!((projection.low, projection.count, projection.high), (200 + 100, 200 + 250, 200 + 400));
        let rests: Vec<_> = projection.weeks.iter().map(|week| week.rest).collect();
        assert_eq!(rests, [400, 300, 200, 100]);
        assert_eq!(projection.weeks[0].range.to, running.counted_until);
    }

    #[test]
    fn hours_are_those_of_the_week_also_where_the_period_is_still_to_begin() {
        // Only the hour before the end of each week counts.
        let counts: Vec<u64> = (0..5 * 168).map(|hour| u64::from(hour % 168 == 167)).collect();
        for (since, length, rest) in
            [(0, 167, 0), (0, 168, 1), (0, 168 * 4 + 167, 4), (-167, 1, 1), (-168, 167, 0), (-200, 136, 1)]
        {
            let running = running(&counts, since, length);
            let projection = projected(running, &counts, &known(&counts)).unwrap();
            assert_eq!((projection.low, projection.high), (rest, rest), "{since} {length}");
        }
    }

    #[test]
    fn too_little_is_said_to_be_and_a_week_of_which_nothing_is_known_is_left_out() {
        let week = |count: u64| vec![count; WEEK_HOURS];
        let weeks = |counts: &[u64], states: &[RowState]| {
            projected(running(counts, 1, 10), counts, states).map_or(0, |projection| projection.weeks.len())
        };
        let whole = vec![week(1); 5].concat();
        assert_eq!(weeks(&whole, &known(&whole)), 4);
        let mut hole = known(&whole);
        hole[168 * 2] = RowState::Unknown;
        hole[168 * 3] = RowState::Partial;
        assert_eq!(weeks(&whole, &hole), 3);
        // Nothing at all, a week, two of them, and two that begin in the middle of one.
        for (counts, expected) in [
            (vec![week(0); 5].concat(), 0),
            ([vec![week(0); 4].concat(), week(1)].concat(), 0),
            ([vec![week(0); 3].concat(), vec![week(1); 2].concat()].concat(), 2),
            ([vec![0; 168 * 2 + 1], vec![1; 168 * 3 - 1]].concat(), 2),
            (vec![week(1); 2].concat(), 2),
            (vec![1; 300], 0),
            (Vec::new(), 0),
        ] {
            assert_eq!(weeks(&counts, &known(&counts)), expected, "{} hours", counts.len());
        }
        // A quiet night at the beginning is no reason, where there were counts before it.
        let quiet: Vec<u64> = (0..168 * 5).map(|hour| u64::from(hour % 24 > 6)).collect();
        assert_eq!(weeks(&quiet, &known(&quiet)), 4);
    }

    #[test]
    fn what_is_counted_already_is_never_projected_away() {
        let counts = vec![1; 168 * 5];
        let running = Running { used: 1_000_000, ..running(&counts, 10, 20) };
        let projection = projected(running, &counts, &known(&counts)).unwrap();
        assert_eq!((projection.low, projection.count, projection.high), (1_000_000, 1_000_000, 1_000_000));
    }

    proptest! {
        #[test]
        fn a_projection_lies_in_its_range_and_beyond_what_is_used(
            counts in prop::collection::vec(0_u64..1_000, 168 * 3..168 * 6),
            since in -100_i64..400, length in 1_i64..745, more in 0_u128..5_000
        ) {
            let mut running = running(&counts, since, length);
            running.used += more;
            if let Some(projection) = projected(running, &counts, &known(&counts)) {
                prop_assert!(projection.low <= projection.count && projection.count <= projection.high);
                prop_assert!(running.used <= projection.low);
                prop_assert!((WEEKS_MIN..=WEEKS).contains(&projection.weeks.len()));
            }
        }

        #[test]
        fn what_repeats_from_week_to_week_is_projected_exactly(
            week in prop::collection::vec(0_u64..1_000, 168), since in -100_i64..400, length in 1_i64..745
        ) {
            prop_assume!(week.iter().any(|count| *count > 0));
            let all: Vec<u64> = week.iter().cycle().take(168 * 12).copied().collect();
            let counts = &all[..168 * 5];
            let running = running(counts, since, length);
            prop_assume!(running.period.to > running.counted_until);
            let projection = projected(running, counts, &known(counts)).unwrap();
            let truth = Hours { from: hour(0), counts: &all, states: &[] }.sum(running.period);
            prop_assert_eq!((projection.low, projection.count, projection.high), (truth, truth, truth));
        }
    }
}
