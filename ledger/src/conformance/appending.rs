//! What makes a row, and what does not.

use std::collections::BTreeMap;

use flagmeter_model::{Meter, NodeId};
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::{
    Harness,
    fixture::{all, append, counted, hour, row, told},
};
use crate::{Appended, Counted, Error, Position, Result};

/// The first row of an hour closes it; each that comes later says what it corrects.
pub(crate) async fn the_first_revision_closes_and_the_next_ones_correct<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(2)).await?;
    let appended = append(&*ledger, &[counted("acme", 1, 7), counted("acme", 0, 5)], Some(2)).await?;
    assert_eq!(appended, Appended { closings: 2, corrections: 0, end: Position::new(2) });
    let node = NodeId::new(7).map_err(|error| Error::Damaged(error.to_string()))?;
    let late = Counted { complete: false, missing: vec![node], ..counted("acme", 0, 8) };
    let appended = append(&*ledger, &[late], None).await?;
    assert_eq!(appended, Appended { closings: 0, corrections: 1, end: Position::new(3) });
    let rows = all(&*ledger).await?;
    let expected =
        [row("acme", 0, 1, (5, 0), false), row("acme", 1, 1, (7, 0), false), row("acme", 0, 2, (8, 5), true)];
    assert_eq!(told(&rows), expected);
    let numbers: Vec<u64> = rows.iter().map(|row| row.position.get()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let known: Vec<_> =
        rows.iter().map(|row| (row.complete, row.missing.clone(), row.difference())).collect();
    assert_eq!(known, [(true, vec![], 5), (true, vec![], 7), (false, vec![node], 3)]);
    assert!(rows.iter().all(|row| row.closed_at == hour(500)));
    Ok(())
}

/// A repeat of an append is none.
pub(crate) async fn appending_again_changes_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(3)).await?;
    let counts = [counted("acme", 0, 5), counted("beta", 1, 6)];
    append(&*ledger, &counts, Some(3)).await?;
    let before = (all(&*ledger).await?, ledger.standing().await?);
    let appended = append(&*ledger, &counts, Some(3)).await?;
    assert_eq!(appended, Appended { closings: 0, corrections: 0, end: Position::new(2) });
    ledger.announce(hour(3)).await?;
    assert_eq!((all(&*ledger).await?, ledger.standing().await?), before);
    Ok(())
}

/// Who slept between reading and appending says less than is known by now.
pub(crate) async fn who_looked_earlier_changes_nothing<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(2)).await?;
    // The one who found the late counts is faster than the one who closes.
    append(&*ledger, &[counted("acme", 0, 9)], None).await?;
    let appended = append(&*ledger, &[counted("acme", 0, 5), counted("acme", 1, 1)], Some(2)).await?;
    assert_eq!((appended.closings, appended.corrections), (1, 0));
    assert_eq!(
        told(&all(&*ledger).await?),
        [row("acme", 0, 1, (9, 0), false), row("acme", 1, 1, (1, 0), false)]
    );
    Ok(())
}

/// One hour beyond the announced frontier, and nothing of the append is there.
pub(crate) async fn nothing_is_appended_that_was_not_announced<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let refused =
        |result: Result<Appended>| assert!(matches!(result, Err(Error::NotAnnounced { .. })), "{result:?}");
    refused(append(&*ledger, &[counted("acme", 0, 5)], None).await);
    ledger.announce(hour(1)).await?;
    refused(append(&*ledger, &[counted("acme", 0, 5), counted("acme", 1, 5)], None).await);
    refused(append(&*ledger, &[counted("acme", 0, 5)], Some(2)).await);
    assert_eq!(all(&*ledger).await?, []);
    let standing = ledger.standing().await?;
    assert_eq!((standing.announced, standing.closed, standing.end), (Some(hour(1)), None, Position::START));
    Ok(())
}

/// An hour without a row that was closed said: nothing. A count that comes later corrects that.
pub(crate) async fn an_hour_that_was_closed_without_a_count_is_corrected<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(2)).await?;
    let appended = append(&*ledger, &[counted("beta", 0, 0)], Some(2)).await?;
    assert_eq!(appended, Appended::default(), "nothing counted is no row");
    append(&*ledger, &[counted("acme", 1, 3)], None).await?;
    assert_eq!(told(&all(&*ledger).await?), [row("acme", 1, 1, (3, 0), true)]);
    Ok(())
}

/// Whoever is late with a frontier moves it nowhere.
pub(crate) async fn frontiers_never_move_back<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(5)).await?;
    append(&*ledger, &[], Some(4)).await?;
    ledger.announce(hour(3)).await?;
    append(&*ledger, &[], Some(2)).await?;
    let standing = ledger.standing().await?;
    assert_eq!((standing.announced, standing.closed), (Some(hour(5)), Some(hour(4))));
    Ok(())
}

/// Fates are no usage; half an hour is none; and an hour stands once in an append.
pub(crate) async fn what_is_not_billable_is_refused<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(5)).await?;
    let wrong = [
        vec![Counted { meter: Meter::Rejected, ..counted("acme", 0, 1) }],
        vec![Counted { hour: hour(0).plus_seconds(60), ..counted("acme", 0, 1) }],
        vec![counted("acme", 0, u64::MAX)],
        vec![counted("acme", 0, 1), counted("acme", 0, 2)],
    ];
    for counted in wrong {
        let refused = append(&*ledger, &counted, None).await;
        assert!(matches!(refused, Err(Error::NotBillable(_))), "{refused:?}");
    }
    assert_eq!(all(&*ledger).await?, []);
    Ok(())
}

/// Two downsamplers do the same work at once.
pub(crate) async fn two_at_once_append_each_revision_once<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let (one, other) = (harness.ledger(), harness.other().await?);
    one.announce(hour(20)).await?;
    let counts = |extra: u64| (0..20).map(|at| counted("acme", at, 100 + extra)).collect::<Vec<_>>();
    for round in 0..5 {
        let counts = counts(round);
        let (first, second) =
            tokio::join!(append(&*one, &counts, Some(20)), append(&*other, &counts, Some(20)));
        let (first, second) = (first?, second?);
        assert_eq!(first.closings + first.corrections + second.closings + second.corrections, 20);
    }
    let standing = other.standing().await?;
    assert_eq!(standing, one.standing().await?);
    let rows = all(&*one).await?;
    assert_eq!(rows.len(), 100);
    for (at, row) in (1..).zip(&rows) {
        assert_eq!(row.position.get(), at);
    }
    assert_eq!(rows, all(&*other).await?);
    Ok(())
}

/// What was there when a process was killed is there again.
pub(crate) async fn what_was_appended_survives<H: Harness>() -> Result<()> {
    let mut harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(4)).await?;
    append(&*ledger, &[counted("acme", 0, 5), counted("beta", 0, 5)], Some(3)).await?;
    let before = (ledger.standing().await?, all(&*ledger).await?, ledger.closing(Position::MAX).await?);
    drop(ledger);
    harness.crash().await?;
    let ledger = harness.ledger();
    let after = (ledger.standing().await?, all(&*ledger).await?, ledger.closing(Position::MAX).await?);
    assert_eq!(after, before);
    assert_eq!(*ledger.end().borrow(), Position::new(2));
    append(&*ledger, &[counted("acme", 1, 5)], None).await?;
    assert_eq!(ledger.standing().await?.end, Position::new(3));
    Ok(())
}

/// (customer, hour, count) of each append, and how far it closes.
type History = Vec<(Vec<(u8, i64, u64)>, Option<i64>, bool)>;

fn history() -> impl Strategy<Value = History> {
    let counts = prop::collection::btree_map((0..3_u8, 0..6_i64), 0..50_u64, 0..6);
    let counts = counts.prop_map(|map| map.into_iter().map(|((who, at), count)| (who, at, count)).collect());
    prop::collection::vec((counts, prop::option::of(1..7_i64), prop::bool::weighted(0.1)), 1..12)
}

/// Whatever is appended in which order, with crashes between: revisions without gaps, each more than the one before,
/// the differences add up to the greatest count, and each prefix of the feed is what was known at that point.
pub(crate) async fn any_history_is_kept_like_a_plain_list<H: Harness>() -> Result<()> {
    let mut runner = TestRunner::deterministic();
    for _ in 0..12 {
        let history =
            history().new_tree(&mut runner).map_err(|why| Error::Damaged(why.to_string()))?.current();
        let mut harness = H::new().await?;
        harness.ledger().announce(hour(6)).await?;
        let mut greatest: BTreeMap<(String, i64), u64> = BTreeMap::new();
        let mut moments = vec![greatest.clone()];
        let mut closed = None;
        for (counts, until, crash) in &history {
            let counts: Vec<Counted> = counts
                .iter()
                .map(|&(who, at, count)| counted(&format!("customer-{who}"), at, count))
                .collect();
            let until = until.map(|until| until.min(6));
            let appended = append(&*harness.ledger(), &counts, until).await?;
            closed = closed.max(until);
            let mut by_hour = counts.clone();
            by_hour.sort_by_key(|counted| (counted.hour, counted.environment.clone()));
            for counted in by_hour {
                let key =
                    (counted.environment.customer.to_string(), counted.hour.as_seconds() / 3_600 - 490_000);
                let known = greatest.get(&key).copied().unwrap_or_default();
                if counted.count > known {
                    greatest.insert(key, counted.count);
                    moments.push(greatest.clone());
                }
            }
            assert_eq!(appended.end.get(), moments.len() as u64 - 1);
            if *crash {
                harness.crash().await?;
            }
        }
        let ledger = harness.ledger();
        assert_eq!(ledger.standing().await?.closed, closed.map(hour));
        let mut table: BTreeMap<(String, i64), u64> = BTreeMap::new();
        let mut revisions: BTreeMap<(String, i64), u32> = BTreeMap::new();
        for (at, (customer, number, revision, count, previous, _)) in (1..).zip(told(&all(&*ledger).await?)) {
            let key = (customer, number);
            let last = revisions.insert(key.clone(), revision).unwrap_or_default();
            assert_eq!(revision, last + 1, "revisions have no gaps");
            let before = table.insert(key, count).unwrap_or_default();
            assert_eq!(before, previous, "each says what it corrects");
            assert_eq!(Some(&table), moments.get(at), "a prefix of the feed is what was known at a moment");
        }
        assert_eq!(table, greatest);
    }
    Ok(())
}
