//! Somebody who looks at the charts all the time, and knows what must and what can be in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use flagmeter_model::{TimeRange, Timestamp};
use serde_json::Value;

use super::load::{Ledger, held};
use crate::http;

const EVERY: Duration = Duration::from_millis(200);
/// What is asked in turn.
const QUESTIONS: [(&str, &str); 4] = [("-5m", "10s"), ("-2h", "1m"), ("-2h", "15m"), ("-2h", "1h")];

/// Numbers of a run.
#[derive(Debug, Default, Clone)]
pub(super) struct Seen {
    pub(super) answers: u64,
    /// Refusals and silences.
    pub(super) errors: u64,
    /// Windows of answers, by their state.
    pub(super) windows: BTreeMap<String, u64>,
    /// Nodes that were shown as missing.
    pub(super) missing: BTreeSet<u16>,
}

/// Where a question can be asked.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) address: String,
    pub(super) token: String,
}

/// Asks until it is told to stop. Anything that it cannot believe fails the scenario.
pub(super) struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    watchers: Vec<JoinHandle<()>>,
}

impl Watch {
    /// A watcher for each door.
    pub(super) fn begin(doors: &[Door], ledger: &Arc<Ledger>) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let watchers = doors.iter().map(|door| {
            let (door, ledger) = (door.clone(), Arc::clone(ledger));
            let (stop, seen) = (Arc::clone(&stop), Arc::clone(&seen));
            thread::spawn(move || {
                for question in QUESTIONS.iter().cycle() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    ask(&door, question, &ledger, &seen);
                    thread::sleep(EVERY);
                }
            })
        });
        Self { watchers: watchers.collect(), stop, seen }
    }

    /// What was seen. Fails if any of it was wrong.
    pub(super) fn end(&mut self) -> Seen {
        self.stop.store(true, Ordering::SeqCst);
        for watcher in self.watchers.drain(..) {
            watcher.join().expect("every answer can be believed");
        }
        self.seen()
    }

    /// What was seen so far.
    pub(super) fn seen(&self) -> Seen {
        held(&self.seen).clone()
    }

    /// Fails as soon as something was wrong, rather than at the end.
    pub(super) fn check(&self) {
        let failed = self.watchers.iter().any(JoinHandle::is_finished);
        assert!(!failed, "an answer was wrong: see above");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for watcher in self.watchers.drain(..) {
            // It is told already why the scenario has failed.
            let _ended = watcher.join();
        }
    }
}

fn ask(door: &Door, question: &(&str, &str), ledger: &Ledger, seen: &Mutex<Seen>) {
    let (from, resolution) = question;
    let path = format!("/v1/usage?from={from}&to=now&resolution={resolution}&group_by=flag");
    let authorization = format!("Bearer {}", door.token);
    let answer = http::get(&door.address, &path, &[("authorization", &authorization)]);
    let Some(answer) = answer.filter(|answer| answer.status == 200 || is_honest(answer)) else {
        held(seen).errors += 1;
        return;
    };
    if answer.status != 200 {
        held(seen).errors += 1;
        return;
    }
    let answer: Value = serde_json::from_str(&answer.body).expect("JSON");
    let believed = Chart::read(&answer).and_then(|chart| chart.check(ledger).map(|()| chart));
    match believed {
        Ok(chart) => held(seen).note(&chart),
        Err(why) => panic!("{} {path}: {why}\n{answer}", door.address),
    }
}

/// An error that says so, in the shape of all errors, and when to ask again.
fn is_honest(answer: &http::Answer) -> bool {
    let problem: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let is_honest =
        answer.status == 503 && problem["detail"].is_string() && answer.header("retry-after").is_some();
    assert!(is_honest, "no way to fail: {answer:?}");
    true
}

impl Seen {
    fn note(&mut self, chart: &Chart) {
        self.answers += 1;
        self.missing.extend(chart.missing.keys());
        for window in chart.windows.values() {
            *self.windows.entry(window.state.clone()).or_default() += 1;
        }
    }
}

/// An answer of `/v1/usage` by flag.
struct Chart {
    complete_until: Option<Timestamp>,
    /// Since when each missing node is.
    missing: BTreeMap<u16, Timestamp>,
    windows: BTreeMap<Timestamp, Window>,
}

struct Window {
    range: TimeRange,
    state: String,
    counts: BTreeMap<String, u64>,
}

impl Chart {
    fn read(answer: &Value) -> Result<Self, String> {
        let time = |value: &Value| {
            let text = value.as_str().ok_or_else(|| format!("{value} is no time"))?;
            Timestamp::parse_rfc3339(text).map_err(|error| error.to_string())
        };
        let mut missing = BTreeMap::new();
        for node in answer["missing_nodes"].as_array().ok_or("no list of missing nodes")? {
            let number = node["node"].as_u64().and_then(|number| u16::try_from(number).ok());
            missing.insert(number.ok_or("no number of a node")?, time(&node["since"])?);
        }
        let mut windows: BTreeMap<Timestamp, Window> = BTreeMap::new();
        for row in answer["rows"].as_array().ok_or("no rows")? {
            let range = TimeRange::new(time(&row["start"])?, time(&row["end"])?);
            let state = row["state"].as_str().ok_or("no state")?.to_owned();
            let window = windows.entry(range.from).or_insert_with(|| Window {
                range,
                state: state.clone(),
                counts: BTreeMap::new(),
            });
            if window.state != state {
                return Err(format!("{} is {state} and {}", range.from, window.state));
            }
            match (row["count"].as_u64(), row["flag"].as_str()) {
                (Some(_), _) if state == "unknown" => return Err(format!("a count of the unknown: {row}")),
                (None, _) if state != "unknown" => return Err(format!("no count: {row}")),
                (Some(count), Some(flag)) => *window.counts.entry(flag.to_owned()).or_default() += count,
                // Nothing was counted, or nothing is known: the row tells the state alone.
                _ => {}
            }
        }
        if windows.is_empty() {
            return Err("an answer without a row".to_owned());
        }
        let complete_until = Some(&answer["complete_until"]).filter(|until| !until.is_null()).map(time);
        Ok(Self { complete_until: complete_until.transpose()?, missing, windows })
    }

    /// Whether it can be: never more than was sent, and where it says that all is there, all that was acknowledged
    /// before the time until which it says so.
    fn check(&self, ledger: &Ledger) -> Result<(), String> {
        for window in self.windows.values() {
            let at_most = ledger.at_most(window.range);
            for (flag, count) in &window.counts {
                let most = at_most.get(flag).copied().unwrap_or(0);
                if *count > most {
                    return Err(format!(
                        "{flag} at {}: {count}, but only {most} were sent",
                        window.range.from
                    ));
                }
            }
            if window.state == "complete" {
                self.check_complete(window, ledger)?;
            }
        }
        Ok(())
    }

    fn check_complete(&self, window: &Window, ledger: &Ledger) -> Result<(), String> {
        let until = self.complete_until.filter(|until| *until >= window.range.to);
        let until = until.ok_or_else(|| format!("{} is complete before it is over", window.range.from))?;
        let before = |node| self.missing.get(&node).map_or(until, |since| until.min(*since));
        for (flag, least) in ledger.at_least(window.range, before) {
            let count = window.counts.get(&flag).copied().unwrap_or(0);
            if count < least {
                return Err(format!(
                    "{flag} at {} is complete with {count}, but {least} were acknowledged",
                    window.range.from
                ));
            }
        }
        Ok(())
    }
}
