//! The flags of an environment that are watched, fed by minutes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    iter,
};

use flagmeter_bursts::SLOT_SECONDS;
use flagmeter_ledger::{Alert, AlertKind, Alerted, Subject};
use flagmeter_model::{Environment, Meter, Name, TimeRange, Timestamp};
use flagmeter_store::Store;

use super::{
    BEHIND_SECONDS_MAX, CATCH_UP_SECONDS,
    choice::Chosen,
    counts::{Asked, Counts, first_counts},
    learning::{begins, learn},
    metrics::Watched,
    series::{GRAIN_SECONDS, Series},
    waiting::Waiting,
    weeks::Past,
};
use crate::Result;

/// What is read and fed in one piece.
const MINUTE_SECONDS: i64 = 60;
const AT_ONCE_SECONDS: i64 = 3_600;

/// What was told last of all that is watched.
pub(super) struct Standing(BTreeMap<Subject, Alerted>);

/// The flags of an environment.
#[derive(Debug)]
pub(super) struct Bunch {
    detectors: Detectors,
    past: Past,
}

/// What is fed.
#[derive(Debug)]
struct Detectors {
    environment: Subject,
    flags: BTreeMap<Subject, Waiting>,
    /// From here on what is found is told.
    tells_from: Timestamp,
    /// The end of what was fed.
    end: Timestamp,
}

impl Standing {
    pub(super) fn new(standing: Vec<Alert>) -> Self {
        let alerts = standing.into_iter().map(|alert| alert.alerted);
        let evaluations = alerts.filter(|alerted| alerted.meter == Meter::Evaluations);
        Self(evaluations.map(|alerted| (alerted.of.clone(), alerted)).collect())
    }

    /// Flags that something goes on of.
    pub(super) fn going(&self) -> Chosen {
        let mut going = Chosen::new();
        for alerted in self.0.values().filter(|alerted| !alerted.said.is_over()) {
            if let Subject::Flag(environment, flag) = &alerted.of {
                going.entry(environment.clone()).or_default().insert(flag.clone());
            }
        }
        going
    }

    /// Whether something of this kind went on of it then.
    fn goes_on(&self, of: &Subject, kind: AlertKind, at: Timestamp) -> bool {
        self.0.get(of).is_some_and(|told| {
            told.kind == kind && told.since <= at && (!told.said.is_over() || at <= told.seen_at)
        })
    }
}

impl Bunch {
    /// Makes detectors that know what they would know if they had always been there; `None` while too little is known.
    pub(super) async fn begin(
        store: &dyn Store,
        (environment, names): (&Environment, &BTreeSet<Name>),
        standing: &Standing,
        until: Timestamp,
    ) -> Result<Option<Self>> {
        let asked = Asked::Flags(environment.clone(), names.iter().cloned().collect());
        let tells_from = until.plus_seconds(-CATCH_UP_SECONDS).floor_to(SLOT_SECONDS);
        let from = begins(tells_from);
        let there_since = first_counts(store, &asked, until).await?;
        let of_environment = Subject::from(environment.clone());
        let told = standing.0.get(&of_environment).cloned();
        let of_all = told.map(|told| {
            let mut series = Series::new(of_environment.clone(), None);
            series.resume(told, tells_from);
            series
        });
        let flag = |name: &Name| {
            let of = Subject::Flag(environment.clone(), name.clone());
            let since = there_since.get(&of).copied().filter(|hour| *hour < from);
            let mut series = Series::new(of.clone(), since);
            series.resume_at(tells_from);
            if let Some(told) = standing.0.get(&of) {
                series.resume(told.clone(), tells_from);
            }
            series.resume_behind(of_all.iter());
            (of, Waiting::new(series))
        };
        let flags = names.iter().map(flag).collect();
        let mut detectors = Detectors { environment: of_environment, flags, tells_from, end: from };
        let mut past = Past::new(asked);
        let feed = |counts: &Counts, past: &Past| {
            let _told_already = detectors.feed(counts, past, standing);
            detectors.end
        };
        let is_all = learn(store, &mut past, tells_from, feed).await?;
        Ok(is_all.then_some(Self { detectors, past }))
    }

    /// Whether these are its flags.
    pub(super) fn is_of(&self, names: &BTreeSet<Name>) -> bool {
        let is_flag = |of: &Subject| of.flag().is_some_and(|flag| names.contains(flag));
        names.len() == self.detectors.flags.len() && self.detectors.flags.keys().all(is_flag)
    }

    /// Whether more is missing than is worth being taken step by step.
    pub(super) const fn is_behind(&self, until: Timestamp) -> bool {
        until.millis_since(self.detectors.end) > 1_000 * BEHIND_SECONDS_MAX
    }

    /// Takes the minutes that follow, as many as are settled.
    pub(super) async fn step(
        &mut self,
        store: &dyn Store,
        standing: &Standing,
        until: Timestamp,
        found: &mut VecDeque<Alerted>,
    ) -> Result<()> {
        let until = until.floor_to(MINUTE_SECONDS);
        while self.detectors.end < until {
            let range = TimeRange::new(
                self.detectors.end,
                self.detectors.end.plus_seconds(AT_ONCE_SECONDS).min(until),
            );
            self.past.load(store, range).await?;
            let counts = Counts::read(store, self.past.asked(), range, MINUTE_SECONDS).await?;
            found.extend(self.detectors.feed(&counts, &self.past, standing));
            self.past.forget_before(self.detectors.end);
            if self.detectors.end < range.to {
                break;
            }
        }
        Ok(())
    }

    /// Takes over what goes on in the ledger and is not seen here: who told of it is gone, or sees it otherwise.
    pub(super) fn take_over(&mut self, standing: &Standing) {
        let Detectors { flags, end, .. } = &mut self.detectors;
        for (of, Waiting { series, .. }) in flags {
            if let Some(told) = standing.0.get(of).filter(|told| series.is_stale(told, *end)) {
                series.resume(told.clone(), *end);
            }
        }
    }

    /// What was told to have begun, as it is now; `None` where it does not go on, as far as is seen here.
    pub(super) fn goes_on(&self, told: &Alerted) -> Option<Alerted> {
        let Detectors { flags, end, .. } = &self.detectors;
        let Waiting { series, .. } = flags.get(&told.of)?;
        let is_watched = told.meter == Meter::Evaluations && series.going() == Some(told.kind);
        is_watched.then(|| series.now(told, *end)).flatten()
    }

    /// What is watched of it.
    pub(super) fn watched(&self, watched: &mut Watched) {
        for flag in self.detectors.flags.values() {
            watched.add(&flag.series, flag.is_told());
        }
    }
}

impl Detectors {
    fn feed(&mut self, counts: &Counts, past: &Past, standing: &Standing) -> Vec<Alerted> {
        let settled = counts.settled();
        let rows: Vec<_> = self.flags.keys().map(|of| counts.row(of, iter::empty())).collect();
        let mut found = Vec::new();
        for (bucket, start, share) in (0..settled).flat_map(|bucket| counts.grains(bucket)) {
            let end = start.plus_seconds(GRAIN_SECONDS);
            for (flag, row) in self.flags.values_mut().zip(&rows) {
                let weeks = |of: &Subject, slot, since| past.weeks(slot, (of, since), &iter::empty());
                let count = counts.count(*row, bucket).map(|count| share.of(count));
                let found_here = flag.series.take((start, count), weeks);
                let goes_on = |_: &Subject, kind| standing.goes_on(&self.environment, kind, end);
                found.extend(flag.tell(found_here, end, goes_on).filter(|_| end > self.tells_from));
            }
        }
        self.end = counts.start(settled);
        found
    }
}
