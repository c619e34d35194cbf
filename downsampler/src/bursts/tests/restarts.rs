//! Whatever bursts where, and whenever whoever watches is started anew: a whole tells what none of its parts tells.

use std::collections::HashMap;

use flagmeter_ledger::{AlertKind, Alerted, LastSaid, Said, Subject, new_alerts};
use flagmeter_store::RowState;
use proptest::prelude::*;

use super::{
    counts::{Asked, Counts, with_wholes},
    panel::Panel,
    weeks::Past,
    *,
};

/// The first minutes are ordinary.
const ORDINARY: usize = 180;
/// An environment counts so often in ten seconds.
const EACH: u64 = 2;
const ENVIRONMENTS: [(&str, &str); 4] = [("web", "a"), ("web", "b"), ("app", "a"), ("app", "b")];

/// Some minutes in which some environments count so many times of what is ordinary.
#[derive(Debug, Clone)]
struct Stretch {
    minutes: usize,
    who: [bool; 4],
    times: u64,
    /// Who watches is started anew at its end.
    restarts: bool,
}

fn stretch(who: impl Strategy<Value = [bool; 4]>) -> impl Strategy<Value = Stretch> {
    // Of seven times nobody says anything alone.
    let times = prop::sample::select(&[1_u64, 7, 30, 900]);
    (1..12_usize, who, times, any::<bool>()).prop_map(|(minutes, who, times, restarts)| Stretch {
        minutes,
        who,
        times,
        restarts,
    })
}

fn of(at: usize) -> Environment {
    let name = |text: &str| Name::new(text).unwrap();
    let (project, environment) = ENVIRONMENTS[at];
    Environment { customer: name("acme"), project: name(project), environment: name(environment) }
}

/// Whoever watches, and what the ledger has.
struct Watch {
    panel: Panel,
    /// What each environment counted in ten seconds of each minute.
    minutes: Vec<[u64; 4]>,
    told: Vec<Alert>,
}

impl Watch {
    fn new() -> Self {
        let mut watch = Self {
            panel: Panel::new((at(0), at(0)), &Map::new(), Vec::new()),
            minutes: Vec::new(),
            told: Vec::new(),
        };
        watch.minutes(ORDINARY, [EACH; 4]).unwrap();
        watch
    }

    fn last(&self, of: &Subject) -> Option<&Alerted> {
        self.told.iter().map(|alert| &alert.alerted).rfind(|alerted| alerted.of == *of)
    }

    /// Minutes from this one on, as they are in a store.
    fn counts(&self, from: usize, seconds: i64) -> Counts {
        let parts = usize::try_from(60 / seconds).unwrap();
        let row = |environment: usize| {
            let minutes = self.minutes[from..].iter().map(|minute| minute[environment] * 6 / parts as u64);
            minutes.flat_map(|count| vec![count; parts]).collect()
        };
        let start = |minute: usize| at(60 * i64::try_from(minute).unwrap());
        Counts {
            from: start(from),
            seconds,
            states: vec![RowState::Complete; parts * (self.minutes.len() - from)],
            complete_until: Some(start(self.minutes.len())),
            rows: with_wholes((0..4).map(|environment| (of(environment), row(environment))).collect()),
        }
    }

    fn minutes(&mut self, minutes: usize, counts: [u64; 4]) -> Result<(), TestCaseError> {
        for _ in 0..minutes {
            self.minutes.push(counts);
            let counts = self.counts(self.minutes.len() - 1, 10);
            self.take(&counts)?;
        }
        Ok(())
    }

    fn take(&mut self, counts: &Counts) -> Result<(), TestCaseError> {
        for found in self.panel.feed(counts, &Past::new(Asked::Environments)) {
            let last = |found: &Alerted| {
                Ok(self.last(&found.of).map(|Alerted { kind, said, since, seen_at, .. }| LastSaid {
                    kind: *kind,
                    said: *said,
                    since: *since,
                    seen_at: *seen_at,
                    muted: None,
                }))
            };
            let end = Position::new(self.told.len() as u64);
            let new = new_alerts(&[found], (last, |_: &Alerted| Ok(None)), end, at(0)).unwrap();
            for alert in new {
                let Alerted { of, kind, said, .. } = &alert.alerted;
                let environments = (0..4).map(|environment| Subject::from(self::of(environment)));
                let mut parts = environments.filter(|part| part != of && of.covers(part));
                let tells = |part: Subject| {
                    self.last(&part).is_some_and(|told| told.said == Said::Began && told.kind == *kind)
                };
                let is_told_twice = *said == Said::Began && parts.any(tells);
                prop_assert!(!is_told_twice, "{alert:?}\n{:?}", self.told);
                self.told.push(alert);
            }
        }
        Ok(())
    }

    /// Another one takes over, with what the ledger and the store have.
    fn restart(&mut self) -> Result<(), TestCaseError> {
        let now = self.minutes.len();
        let tells_from = (now - 60) / 5 * 5;
        let minute = |minute: usize| at(60 * i64::try_from(minute).unwrap());
        let mut standing: HashMap<Subject, Alert> = HashMap::new();
        for alert in &self.told {
            standing.insert(alert.alerted.of.clone(), alert.clone());
        }
        let since = minute(tells_from).plus_seconds(-COOL_DOWN_SECONDS);
        standing.retain(|_, alert| !alert.alerted.said.is_over() || alert.alerted.seen_at > since);
        let there_since = (0..4).map(|environment| (of(environment), at(0))).collect();
        self.panel = Panel::new((at(0), minute(tells_from)), &there_since, standing.into_values().collect());
        let all = self.minutes.split_off(tells_from);
        let counts = self.counts(0, 60);
        self.take(&counts)?;
        self.minutes.extend(all);
        let counts = self.counts(tells_from, 10);
        self.take(&counts)
    }

    fn run(stretches: &[Stretch]) -> Result<Self, TestCaseError> {
        let mut watch = Self::new();
        for Stretch { minutes, who, times, restarts } in stretches {
            watch.minutes(*minutes, who.map(|is_in| if is_in { EACH * times } else { EACH }))?;
            if *restarts {
                watch.restart()?;
            }
        }
        // In the end all is over.
        watch.minutes(30, [EACH; 4])?;
        watch.restart()?;
        for alert in &watch.told {
            let of = &alert.alerted.of;
            prop_assert!(watch.last(of).is_some_and(|last| last.said.is_over()), "{of}: {:?}", watch.told);
            prop_assert_eq!(alert.alerted.kind, AlertKind::Burst);
        }
        Ok(watch)
    }
}

fn is_whole(alert: &Alert) -> bool {
    !matches!(alert.alerted.of, Subject::Environment(_))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_whole_is_not_told_while_a_part_tells_and_all_is_over_in_the_end(
        stretches in prop::collection::vec(stretch(any::<[bool; 4]>()), 1..12),
    ) {
        Watch::run(&stretches)?;
    }

    #[test]
    fn what_one_environment_does_alone_no_whole_tells(
        stretches in prop::collection::vec(stretch(Just([true, false, false, false])), 1..12),
    ) {
        let watch = Watch::run(&stretches)?;
        prop_assert!(!watch.told.iter().any(is_whole), "{:?}", watch.told);
    }
}

/// After what is over its environment keeps quiet for a while, and so does whoever knows of it from the ledger alone.
#[test]
fn a_whole_keeps_quiet_with_its_part_also_after_a_restart() {
    let stretch =
        |minutes, times, restarts| Stretch { minutes, who: [true, false, false, false], times, restarts };
    let stretches =
        [stretch(4, 30, false), stretch(8, 1, false), stretch(4, 900, true), stretch(4, 900, false)];
    let told = Watch::run(&stretches).unwrap().told;
    let said: Vec<_> = told.iter().map(|alert| (alert.alerted.of.sort(), alert.alerted.said)).collect();
    assert_eq!(said, [("environment", Said::Began), ("environment", Said::Calm)]);
}

/// So that the properties above are of something.
#[test]
fn wholes_and_parts_are_told_at_all() {
    let all = |times| Stretch { minutes: 8, who: [true; 4], times, restarts: true };
    let told = |times| Watch::run(&[all(times)]).unwrap().told;
    let of =
        |told: Vec<Alert>| told.into_iter().map(|alert| alert.alerted.of.to_string()).collect::<Vec<_>>();
    assert_eq!(of(told(7))[0], "acme/app");
    assert!(of(told(30)).iter().all(|of| of.split('/').count() == 3));
}
