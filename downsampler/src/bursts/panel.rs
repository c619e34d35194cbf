//! The detectors of all environments, fed in step. Nothing in here waits for anything.

use std::collections::BTreeMap;

use flagmeter_bursts::{Alert as Found, Before, Detector, Event, Grain, Kind, Over, Rule};
use flagmeter_ledger::{Alert, AlertKind, Alerted, Said, Subject};
use flagmeter_model::{Environment, Meter, Timestamp};

use super::{counts::Counts, metrics::Watched, weeks::Past};

/// Ten seconds: what detectors are fed with.
pub(super) const GRAIN_SECONDS: i64 = Grain::TenSeconds.seconds();

/// All detectors.
#[derive(Debug)]
pub(super) struct Panel {
    series: BTreeMap<Environment, Series>,
    /// From here on what is found is told.
    tells_from: Timestamp,
    /// The end of what was fed.
    end: Timestamp,
}

/// The detector of an environment.
#[derive(Debug)]
struct Series {
    detector: Detector,
    /// Its first count. Nothing is known of it before that, which is not zero.
    there_since: Option<Timestamp>,
    /// Until when what it finds is told already, and how that ended.
    resumes: Option<(Timestamp, Before)>,
    /// What goes on, as it was told.
    going: Option<Going>,
}

#[derive(Debug)]
struct Going {
    began: Alerted,
    /// Counts beyond what is expected, or below.
    excess: f64,
}

impl Series {
    fn new(there_since: Option<Timestamp>) -> Self {
        let detector = Detector::new(Rule::default(), Grain::TenSeconds);
        Self { detector, there_since, resumes: None, going: None }
    }
}

impl Panel {
    /// Begins at `from`. What is found from `tells_from` on is told; `standing` is what was told of each environment last,
    /// and `there_since` the hour of its first count.
    pub(super) fn new(
        (from, tells_from): (Timestamp, Timestamp),
        there_since: &BTreeMap<Environment, Timestamp>,
        standing: Vec<Alert>,
    ) -> Self {
        let mut series: BTreeMap<Environment, Series> = BTreeMap::new();
        for (environment, hour) in there_since {
            // The first minute shows when it is fed, if it is.
            let mut of = Series::new(Some(*hour).filter(|hour| *hour < from));
            of.resumes = Some((tells_from, Before::Nothing));
            series.insert(environment.clone(), of);
        }
        for Alert { alerted, .. } in standing {
            let Subject::Environment(environment) = &alerted.of else { continue };
            let of = series.entry(environment.clone()).or_insert_with(|| Series::new(Some(alerted.since)));
            let until = alerted.seen_at.ceil_to(GRAIN_SECONDS).max(tells_from);
            let before = if alerted.said.is_over() {
                Before::Over { at: alerted.seen_at }
            } else {
                Before::Going {
                    kind: detectors_kind(alerted.kind),
                    since: alerted.since,
                    extreme: alerted.peak,
                    learned: alerted.is_learning.then(|| of_count(alerted.expected)),
                }
            };
            of.resumes = Some((until, before));
            if !alerted.said.is_over() {
                of.going = Some(Going { excess: of_count(alerted.excess), began: alerted });
            }
        }
        Self { series, tells_from, end: from }
    }

    /// The end of what was fed.
    pub(super) const fn end(&self) -> Timestamp {
        self.end
    }

    /// Takes the buckets that follow, as many as are settled, and says what is to be told. Longer ones are spread evenly.
    pub(super) fn feed(&mut self, counts: &Counts, past: &Past) -> Vec<Alerted> {
        for environment in counts.rows.keys() {
            self.series.entry(environment.clone()).or_insert_with(|| Series::new(None));
        }
        let mut told = Vec::new();
        let settled = counts.settled();
        for (environment, series) in &mut self.series {
            let row = counts.rows.get(environment);
            for bucket in 0..settled {
                let count = row.and_then(|row| row.get(bucket)).copied().unwrap_or_default();
                if count > 0 && series.there_since.is_none() {
                    series.there_since = Some(counts.start(bucket));
                }
                let known = counts.is_complete(bucket).then_some(count);
                for (start, count) in grains(counts.start(bucket), counts.seconds, known) {
                    let found = series.take((start, count), environment, past);
                    told.extend(found.filter(|_| start >= self.tells_from));
                }
            }
        }
        self.end = counts.start(settled);
        told.sort_by(|one, other| one.seen_at.cmp(&other.seen_at).then_with(|| one.of.cmp(&other.of)));
        told
    }

    /// What is watched now.
    pub(super) fn watched(&self) -> Watched {
        self.series.values().fold(Watched::default(), |mut watched, series| {
            *(if series.detector.is_learning() { &mut watched.learning } else { &mut watched.known }) += 1;
            match &series.going {
                Some(Going { began: Alerted { kind: AlertKind::Burst, .. }, .. }) => watched.bursts += 1,
                Some(Going { began: Alerted { kind: AlertKind::Drop, .. }, .. }) => watched.drops += 1,
                None => {}
            }
            watched
        })
    }
}

/// A bucket in grains of ten seconds.
fn grains(
    start: Timestamp,
    seconds: i64,
    count: Option<u64>,
) -> impl Iterator<Item = (Timestamp, Option<u64>)> {
    let parts = (seconds / GRAIN_SECONDS).max(1).unsigned_abs();
    (0..parts).map(move |part| {
        // The rest is in the first ones.
        let share = |count: u64| count / parts + u64::from(part < count % parts);
        (start.plus_seconds(part.cast_signed() * GRAIN_SECONDS), count.map(share))
    })
}

impl Series {
    fn take(
        &mut self,
        (start, count): (Timestamp, Option<u64>),
        environment: &Environment,
        past: &Past,
    ) -> Option<Alerted> {
        let count = count.filter(|_| self.there_since.is_some());
        let there_since = self.there_since.unwrap_or(Timestamp::MAX);
        let event = self.detector.take(start, count, |slot| past.weeks(slot, environment, there_since));
        let end = start.plus_seconds(GRAIN_SECONDS);
        if let Some((until, before)) = self.resumes {
            if end >= until {
                self.detector.go_on_from(before, end);
                self.resumes = None;
            }
            return None;
        }
        if let (Some(going), Some(count)) = (&mut self.going, count) {
            let beyond = of_count(count) - of_count(going.began.expected) / 6.0;
            going.excess += if going.began.kind == AlertKind::Burst { beyond } else { -beyond };
        }
        match event? {
            Event::Begins(found) => {
                let began = begins(environment, &found);
                self.going = Some(Going { began: began.clone(), excess: found.excess });
                Some(began)
            }
            Event::Ends { at, extreme, over, .. } => {
                let Going { began, excess } = self.going.take()?;
                let observed = self.detector.last_minute();
                Some(Alerted {
                    said: match over {
                        Over::Calm => Said::Calm,
                        Over::NewLevel => Said::NewLevel,
                        Over::Unknown => Said::Unknown,
                    },
                    seen_at: at,
                    observed,
                    percent: observed
                        .map(|observed| percent(of_count(observed) / of_count(began.expected.max(1)))),
                    excess: whole(excess),
                    peak: extreme,
                    contributors: Vec::new(),
                    ..began
                })
            }
        }
    }
}

fn begins(environment: &Environment, found: &Found) -> Alerted {
    let expected = whole(found.expected.middle);
    Alerted {
        of: environment.clone().into(),
        meter: Meter::Evaluations,
        kind: match found.kind {
            Kind::Burst => AlertKind::Burst,
            Kind::Drop => AlertKind::Drop,
        },
        said: Said::Began,
        since: found.since,
        seen_at: found.seen_at,
        observed: Some(found.observed),
        expected,
        low: whole(found.expected.low).min(expected),
        high: whole(found.expected.high).max(expected),
        percent: Some(percent(found.ratio)),
        excess: whole(found.excess),
        peak: found.observed,
        is_learning: found.is_learning,
        contributors: Vec::new(),
    }
}

const fn detectors_kind(kind: AlertKind) -> Kind {
    match kind {
        AlertKind::Burst => Kind::Burst,
        AlertKind::Drop => Kind::Drop,
    }
}

fn percent(ratio: f64) -> u64 {
    whole(100.0 * ratio)
}

/// The nearest count, none below nothing.
fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between nothing and what the ledger keeps"
    )]
    let whole = number.round().clamp(0.0, 9e18) as u64;
    whole
}

fn of_count(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "what is out of the ordinary shows in the first digits")]
    let count = count as f64;
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_is_spread_over_its_grains_to_the_last_count() {
        let spread: Vec<_> = grains(Timestamp::EPOCH, 60, Some(20)).collect();
        let counts: Vec<_> = spread.iter().filter_map(|(_, count)| *count).collect();
        assert_eq!(counts, [4, 4, 3, 3, 3, 3]);
        assert_eq!(spread[5].0, Timestamp::from_seconds_clamped(50));
        assert!(
            grains(Timestamp::EPOCH, 60, None).all(|(_, count)| count.is_none()),
            "unknown is never zero"
        );
        assert_eq!(grains(Timestamp::EPOCH, 10, Some(7)).collect::<Vec<_>>(), [(Timestamp::EPOCH, Some(7))]);
    }
}
