//! The detector of one series, and what of it was told.

use flagmeter_bursts::{Alert as Found, Before, Detector, Event, Grain, Kind, Over, Rule, Weeks};
use flagmeter_ledger::{AlertKind, Alerted, Said, Subject};
use flagmeter_model::{Meter, Timestamp};

use super::STALE_SECONDS;

/// Ten seconds: what detectors are fed with.
pub(super) const GRAIN_SECONDS: i64 = Grain::TenSeconds.seconds();

/// The detector of a series.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) of: Subject,
    detector: Detector,
    /// Its first count. Nothing is known of it before that, which is not zero.
    pub(super) there_since: Option<Timestamp>,
    /// Until when what it finds is told already, and how that ended.
    resumes: Option<(Timestamp, Before)>,
    /// What goes on, as it was found or told.
    going: Option<Going>,
}

#[derive(Debug)]
struct Going {
    began: Alerted,
    /// Counts beyond what is expected, or below.
    excess: f64,
}

impl Series {
    pub(super) fn new(of: Subject, there_since: Option<Timestamp>) -> Self {
        let detector = Detector::new(Rule::default(), Grain::TenSeconds);
        Self { of, detector, there_since, resumes: None, going: None }
    }

    /// One that was the same as this one until now.
    pub(super) fn like(&self, of: Subject, now: Timestamp) -> Self {
        let mut detector = self.detector.clone();
        detector.go_on_from(Before::Nothing, now);
        Self { of, detector, there_since: self.there_since, resumes: None, going: None }
    }

    /// It has counted nothing that was told, until `until` at least.
    pub(super) fn resume_at(&mut self, until: Timestamp) {
        let (own, before) = self.resumes.unwrap_or((until, Before::Nothing));
        self.resumes = Some((own.max(until), before));
    }

    /// It goes on from what was told of it last, at `until` at the earliest.
    pub(super) fn resume(&mut self, told: Alerted, until: Timestamp) {
        let until = told.seen_at.ceil_to(GRAIN_SECONDS).max(until);
        let before = if told.said.is_over() {
            Before::Over { at: told.seen_at }
        } else {
            Before::Going {
                kind: detectors_kind(told.kind),
                since: told.since,
                extreme: told.peak,
                learned: told.is_learning.then(|| of_count(told.expected)),
            }
        };
        self.resumes = Some((until, before));
        if !told.said.is_over() {
            self.going = Some(Going { excess: of_count(told.excess), began: told });
        }
    }

    /// Whether somebody else told of this as what goes on, long before `end`, and it is not seen here.
    pub(super) fn is_stale(&self, told: &Alerted, end: Timestamp) -> bool {
        !told.said.is_over()
            && self.going.is_none()
            && end.millis_since(told.seen_at) >= 1_000 * STALE_SECONDS
    }

    /// What it finds was told by these others, until the last word about them: somebody watched then. Where nothing was told
    /// of itself it keeps quiet after the last of them that was over, as it would have done beside it.
    pub(super) fn resume_behind<'a>(&mut self, others: impl Iterator<Item = &'a Self>) {
        for (until, before) in others.filter_map(|other| other.resumes) {
            self.resume_at(until);
            let Some((_, own)) = &mut self.resumes else { continue };
            match (&own, before) {
                (Before::Nothing, Before::Over { .. }) => *own = before,
                (Before::Over { at: own_at }, Before::Over { at }) if at > *own_at => *own = before,
                _ => {}
            }
        }
    }

    /// What goes on.
    pub(super) fn going(&self) -> Option<AlertKind> {
        self.going.as_ref().map(|going| going.began.kind)
    }

    pub(super) fn is_learning(&self) -> bool {
        self.detector.is_learning()
    }

    /// What goes on, as it is at `end`; `None` where the last minute was nothing special.
    pub(super) fn as_it_is(&self, end: Timestamp) -> Option<Alerted> {
        self.now(&self.going.as_ref()?.began, end)
    }

    /// The same of what was told of it, be it by another one.
    pub(super) fn now(&self, told: &Alerted, end: Timestamp) -> Option<Alerted> {
        let Going { excess, .. } = self.going.as_ref()?;
        let (peak, observed) = (self.detector.worst()?, self.detector.last_minute()?);
        Some(Alerted {
            seen_at: end,
            observed: Some(observed),
            percent: Some(percent(of_count(observed) / of_count(told.expected.max(1)))),
            excess: whole(*excess),
            peak,
            contributors: Vec::new(),
            ..told.clone()
        })
    }

    /// Takes the count of the grain that began at `start`, and says what is found. `weeks` is asked for the same slot of
    /// earlier weeks, since when the series is there.
    pub(super) fn take(
        &mut self,
        (start, count): (Timestamp, Option<u64>),
        weeks: impl FnOnce(&Subject, Timestamp, Timestamp) -> Weeks,
    ) -> Option<Alerted> {
        if count.is_some_and(|count| count > 0) && self.there_since.is_none() {
            self.there_since = Some(start);
        }
        let count = count.filter(|_| self.there_since.is_some());
        let there_since = self.there_since.unwrap_or(Timestamp::MAX);
        let of = &self.of;
        let event = self.detector.take(start, count, |slot| weeks(of, slot, there_since));
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
                let began = begins(&self.of, &found);
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

fn begins(of: &Subject, found: &Found) -> Alerted {
    let expected = whole(found.expected.middle);
    Alerted {
        of: of.clone(),
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
