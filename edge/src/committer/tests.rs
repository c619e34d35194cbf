//! What the committer keeps and what it turns away, group by group.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64},
};

use flagmeter_log::{NewRecord, Producer};
use flagmeter_model::{Environment, ManualClock, Meter, Name, NodeId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::{Committer, Shared};
use crate::{
    Config,
    inbox::{Inbox, Outcome, Part, Submission, Turned},
    metrics::Metrics,
    wire::{Bounds, Door, flagsmith_v1},
};

/// A log that is never written to.
struct Nowhere;

#[async_trait::async_trait]
impl Producer for Nowhere {
    fn partitions(&self) -> u32 {
        3
    }

    async fn append(&self, _: Vec<NewRecord>) -> flagmeter_log::Result<()> {
        Ok(())
    }
}

struct Rig {
    _folder: tempfile::TempDir,
    committer: Committer,
    /// Those who wait for an answer.
    waiting: Vec<oneshot::Receiver<Outcome>>,
}

impl Rig {
    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::new(NodeId::new(1).unwrap(), folder.path().join("journal.sqlite"));
        change(&mut config);
        let shared = Arc::new(Shared {
            inbox: Inbox::new(100, 1 << 20),
            received: Mutex::default(),
            full: AtomicBool::new(false),
            full_environments: Mutex::default(),
            waiting_bytes: AtomicU64::new(0),
        });
        let metrics = Arc::new(Metrics::register(&prometheus::Registry::new()).unwrap());
        let clock = Arc::new(ManualClock::at(Timestamp::parse_rfc3339("2026-11-20T12:45:00Z").unwrap()));
        let committer = Committer::open(shared, Arc::new(Nowhere), Arc::new(config), clock, metrics).unwrap();
        Self { _folder: folder, committer, waiting: Vec::new() }
    }

    /// A request that can still be turned away.
    fn open(&mut self, environment: &str, body: &str) -> Submission {
        let (waiter, answer) = oneshot::channel();
        self.waiting.push(answer);
        Submission { waiter: Some(waiter), ..acknowledged(environment, body) }
    }

    fn commit(&mut self, submissions: &[Submission]) -> Vec<Outcome> {
        self.committer.commit(submissions);
        self.committer.group.outcomes.clone()
    }

    fn sum(&self, of: Meter) -> u64 {
        let points = self.committer.tally.points();
        points
            .iter()
            .filter(|point| self.committer.live.series(point.series).meter == of)
            .map(|p| p.count)
            .sum()
    }
}

/// A request that was answered from memory.
fn acknowledged(environment: &str, body: &str) -> Submission {
    let name = |text: &str| Name::new(text).unwrap();
    let environment = Environment { customer: name("c"), project: name("p"), environment: name(environment) };
    let bounds = Bounds { entries_max: 10_000, ..Bounds::for_tests() };
    let taken = flagsmith_v1::parse(body.as_bytes(), &bounds).unwrap();
    let parts = vec![Part { environment: Arc::new(environment), taken }];
    Submission {
        door: Door::FlagsmithV1,
        parts,
        once: None,
        request: None,
        span: tracing::Span::none(),
        waiter: None,
    }
}

fn flags(tag: char, number: u32) -> String {
    let flags: Vec<_> = (0..number).map(|n| format!("\"{tag}{n}\":1")).collect();
    format!("{{{}}}", flags.join(","))
}

const ENVIRONMENT_FULL: Outcome = Outcome::Turned(Turned::EnvironmentFull);

#[test]
fn what_was_acknowledged_from_memory_is_kept_though_the_journal_is_full() {
    let mut rig = Rig::with(|config| config.journal_bytes_max = 1);
    assert_eq!(rig.commit(&[acknowledged("a", r#"{"f":2}"#)]), [Outcome::Committed]);
    let open = rig.open("a", r#"{"f":100}"#);
    let group = [acknowledged("a", r#"{"f":3}"#), open, acknowledged("b", r#"{"f":4}"#)];
    let turned = Outcome::Turned(Turned::Full);
    assert_eq!(rig.commit(&group), [Outcome::Committed, turned, Outcome::Committed]);
    assert_eq!((rig.sum(Meter::Evaluations), rig.sum(Meter::Received)), (9, 9));
}

#[test]
fn an_environment_takes_its_share_of_the_points_and_leaves_the_rest_to_others() {
    let mut rig = Rig::with(|config| config.points_waiting_max = 400);
    let first = rig.open("a", &flags('x', 60));
    let again = rig.open("a", &flags('x', 60));
    assert_eq!(rig.commit(&[first, again]), [Outcome::Committed, Outcome::Committed]);
    let again = rig.open("a", &flags('x', 60));
    let more = rig.open("a", &flags('y', 60));
    let (over, other) = (rig.open("a", &flags('z', 1)), rig.open("b", &flags('z', 1)));
    let outcomes = rig.commit(&[again, more, over, other]);
    let kept = Outcome::Committed;
    assert_eq!(outcomes, [kept.clone(), kept.clone(), ENVIRONMENT_FULL, kept.clone()], "points count once");
    let (over, kept_all_the_same) = (rig.open("a", &flags('x', 1)), acknowledged("a", &flags('x', 1)));
    assert_eq!(rig.commit(&[over, kept_all_the_same]), [ENVIRONMENT_FULL, kept.clone()]);
    rig.committer.seal(false).unwrap();
    let after = rig.open("a", &flags('z', 1));
    assert_eq!(rig.commit(&[after]), [kept]);
}

#[test]
fn an_environment_never_counts_more_in_a_seal_than_a_store_takes() {
    let mut rig = Rig::with(|_| {});
    let most = format!("{{{}}}", vec!["\"f\":1000000000"; 10_000].join(","));
    let mut submissions: Vec<_> = (0..20).map(|_| rig.open("a", &most)).collect();
    submissions.push(rig.open("b", &most));
    let outcomes = rig.commit(&submissions);
    assert!(outcomes[..14].iter().all(|outcome| *outcome == Outcome::Committed));
    assert!(outcomes[14..20].iter().all(|outcome| *outcome == ENVIRONMENT_FULL), "nothing of them is added");
    assert_eq!(outcomes[20], Outcome::Committed);
    assert_eq!(rig.sum(Meter::Received), 15 * 10_000_000_000_000);
}
