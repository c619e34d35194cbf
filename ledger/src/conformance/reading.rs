//! Pages of the feed and of bills.

use flagmeter_model::{Meter, TimeRange};

use super::{
    Harness,
    fixture::{all, append, bill, counted, hour, name, row, told},
};
use crate::{Counted, Feed, Hours, Ledger, Position, Result, Row, Scope};

fn of(customer: &str) -> Scope {
    Scope { customers: vec![name(customer)], ..Scope::default() }
}

/// The whole feed of a scope, a page after the other; and how many pages it took.
async fn pages(ledger: &dyn Ledger, scope: &Scope, limit: usize) -> Result<(Vec<Row>, usize)> {
    let (mut rows, mut after, mut pages) = (Vec::new(), Position::START, 0);
    loop {
        let feed = Feed { scope: scope.clone(), after, until: Position::MAX, limit };
        let page = ledger.feed(feed).await?;
        pages += 1;
        assert!(page.rows.len() <= limit && page.looked_to >= after);
        assert!(page.rows.iter().all(|row| after < row.position && row.position <= page.looked_to));
        rows.extend(page.rows);
        after = page.looked_to;
        if !page.more {
            return Ok((rows, pages));
        }
    }
}

/// Page by page it is the same as at once; `until` ends it.
pub(crate) async fn the_feed_comes_in_pages<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(30)).await?;
    for at in 0..10 {
        append(&*ledger, &[counted("acme", at, 1), counted("beta", at, 2)], Some(at + 1)).await?;
    }
    let rows = all(&*ledger).await?;
    assert_eq!(rows.len(), 20);
    for limit in [1, 3, 19, 20, 21] {
        assert_eq!(pages(&*ledger, &Scope::default(), limit).await?.0, rows);
    }
    let (after, until) = (Position::new(4), Position::new(9));
    let middle = Feed { scope: Scope::default(), after, until, limit: 100 };
    let page = ledger.feed(middle).await?;
    assert_eq!(Some(page.rows.as_slice()), rows.get(4..9));
    assert_eq!((page.looked_to, page.more), (until, false));
    let beyond = Feed { scope: Scope::default(), after: Position::new(50), until: Position::MAX, limit: 5 };
    assert_eq!(ledger.feed(beyond).await?.looked_to, Position::new(50), "a cursor never moves back");
    Ok(())
}

/// What belongs to others is stepped over, once.
pub(crate) async fn a_feed_of_one_customer_goes_on_where_others_were<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(30)).await?;
    for at in 0..8 {
        let who = if at % 4 == 0 { "acme" } else { "beta" };
        append(&*ledger, &[counted(who, at, 1)], None).await?;
    }
    let (rows, _) = pages(&*ledger, &of("acme"), 1).await?;
    assert_eq!(told(&rows), [row("acme", 0, 1, (1, 0), false), row("acme", 4, 1, (1, 0), false)]);
    let feed = Feed { scope: of("acme"), after: Position::START, until: Position::MAX, limit: 10 };
    assert_eq!(ledger.feed(feed).await?.looked_to, Position::new(8));
    assert_eq!(pages(&*ledger, &of("nobody"), 3).await?, (Vec::new(), 1));
    Ok(())
}

/// Environments in the order of their names, whatever order they came in; hours and revisions within.
pub(crate) async fn bills_come_in_pages_in_the_order_of_names_and_hours<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(30)).await?;
    append(&*ledger, &[counted("zeta", 1, 4), counted("beta", 2, 5)], Some(3)).await?;
    append(&*ledger, &[counted("acme", 2, 6), counted("beta", 1, 7)], None).await?;
    append(&*ledger, &[counted("beta", 1, 8)], None).await?;
    let expected = [
        row("acme", 2, 1, (6, 0), true),
        row("beta", 1, 1, (7, 0), true),
        row("beta", 1, 2, (8, 7), true),
        row("beta", 2, 1, (5, 0), false),
        row("zeta", 1, 1, (4, 0), false),
    ];
    for limit in [1, 2, 3, 5, 100] {
        assert_eq!(told(&bill(&*ledger, &Scope::default(), Position::MAX, limit).await?), expected);
    }
    let beta = bill(&*ledger, &of("beta"), Position::MAX, 2).await?;
    assert_eq!(Some(told(&beta).as_slice()), expected.get(1..4));
    Ok(())
}

/// The same question has the same answer, whatever came later.
pub(crate) async fn a_bill_as_of_a_position_never_changes<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    ledger.announce(hour(30)).await?;
    let mut bills = Vec::new();
    for round in 1..6 {
        append(
            &*ledger,
            &[counted("acme", 1, round), counted("beta", i64::try_from(round).unwrap_or(0), 3)],
            None,
        )
        .await?;
        let end = ledger.standing().await?.end;
        bills.push((end, bill(&*ledger, &Scope::default(), end, 100).await?));
    }
    for (end, before) in bills {
        assert_eq!(bill(&*ledger, &Scope::default(), end, 2).await?, before);
    }
    Ok(())
}

/// It settles with the closing of its last hour or with its last correction, on whichever page, and no row of others
/// unsettles it.
pub(crate) async fn a_bill_settles_and_stays_whatever_else_comes<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    let hours = |customers: &[&str], from, to| Hours {
        scope: Scope { customers: customers.iter().map(|text| name(text)).collect(), ..Scope::default() },
        meters: Vec::new(),
        range: TimeRange::new(hour(from), hour(to)),
        as_of: Position::MAX,
        after: None,
        limit: 1,
    };
    assert_eq!(ledger.settled(hours(&[], 0, 1)).await?, None);
    ledger.announce(hour(30)).await?;
    append(&*ledger, &[counted("acme", 1, 1), counted("beta", 1, 2), counted("zeta", 1, 2)], Some(2)).await?;
    append(&*ledger, &[counted("acme", 1, 5), counted("acme", 2, 1), counted("beta", 3, 2)], Some(4)).await?;
    append(&*ledger, &[Counted { meter: Meter::Requests, ..counted("acme", 2, 9) }], None).await?;
    for (customers, from, to, position) in [
        (&["acme"][..], 1, 2, Some(4)),
        (&["acme"], 1, 3, Some(7)),
        (&["beta"], 0, 2, Some(3)),
        (&["beta"], 1, 3, Some(6)),
        (&["zeta", "beta"], 0, 2, Some(3)),
        (&["nobody"], 0, 2, Some(3)),
        (&[], 0, 4, Some(7)),
        (&[], 4, 5, None),
    ] {
        let (asked, expected) = (hours(customers, from, to), position.map(Position::new));
        assert_eq!(ledger.settled(asked.clone()).await?, expected, "{customers:?} {from} {to}");
        let page = ledger.hours(asked.clone()).await?;
        let last = page.rows.last().map(Row::key);
        assert_eq!(ledger.settled(Hours { after: last, ..asked.clone() }).await?, expected);
        // As of then it has the same rows.
        let as_of = expected.unwrap_or(Position::MAX);
        assert_eq!(ledger.hours(Hours { as_of, ..asked }).await?.rows, page.rows);
    }
    let as_of = |position| Hours { as_of: Position::new(position), ..hours(&["acme"], 1, 3) };
    assert_eq!(ledger.settled(as_of(6)).await?, Some(Position::new(6)));
    assert_eq!(ledger.settled(as_of(5)).await?, None);
    let evaluations = Hours { meters: vec![Meter::Evaluations], ..hours(&["acme"], 1, 3) };
    assert_eq!(ledger.settled(evaluations).await?, Some(Position::new(6)));
    Ok(())
}

/// How far was closed, as a reader knew it who had seen so many rows.
pub(crate) async fn closings_are_known_as_of_each_position<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let ledger = harness.ledger();
    assert_eq!(ledger.closing(Position::MAX).await?, None);
    ledger.announce(hour(30)).await?;
    append(&*ledger, &[counted("acme", 0, 1)], Some(1)).await?;
    append(&*ledger, &[counted("acme", 2, 1)], Some(3)).await?;
    // Nothing was counted, so no row tells of it.
    append(&*ledger, &[], Some(5)).await?;
    let until = async |position| -> Result<_> {
        Ok(ledger.closing(Position::new(position)).await?.map(|closing| closing.until))
    };
    assert_eq!(until(0).await?, None);
    assert_eq!(until(1).await?, Some(hour(1)));
    assert_eq!(until(2).await?, Some(hour(5)));
    assert_eq!(ledger.closing(Position::MAX).await?.map(|closing| closing.end), Some(Position::new(2)));
    Ok(())
}

/// Who waits for rows is woken.
pub(crate) async fn the_end_is_told_when_it_moves<H: Harness>() -> Result<()> {
    let harness = H::new().await?;
    let (ledger, other) = (harness.ledger(), harness.other().await?);
    let (mut here, mut there) = (ledger.end(), other.end());
    assert_eq!(*here.borrow_and_update(), Position::START);
    ledger.announce(hour(1)).await?;
    append(&*ledger, &[counted("acme", 0, 1)], Some(1)).await?;
    for end in [&mut here, &mut there] {
        let moved = end.wait_for(|&end| end == Position::new(1)).await;
        assert!(moved.is_ok(), "the ledger is there");
    }
    Ok(())
}
