//! What every answer by edge node must show.

use flagmeter_model::Meter;

use super::{
    OTHER, WEB, filters,
    world::{World, evaluations, name},
};
use crate::{
    ByNode, Error, Filter, Floors, NodeCounts, Result,
    conformance::{
        Harness,
        fixture::{HOUR, at, node},
    },
};

/// All evaluations between the edges.
fn asked(edges: impl IntoIterator<Item = i64>) -> ByNode {
    ByNode {
        meter: Meter::Evaluations,
        edges: edges.into_iter().map(at).collect(),
        filter: Filter::default(),
    }
}

/// Each count is that of the node that handed it on, by slot, before and after it is rolled up, and whatever comes twice.
pub async fn nodes_are_told_apart_by_what_they_handed_on<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    for second in (0..600).step_by(50) {
        for number in [0, 7, 1_023] {
            // The same series, slot and number of a seal for all of them: only the node differs.
            let count = u64::from(number) + 1;
            let counted = [
                evaluations(WEB, "checkout/on/js", second, count),
                evaluations(WEB, "banner", second + 10, 2 * count),
                evaluations(OTHER, "search", second, 3 * count),
            ];
            world.send(number, (second - 50, second + 50), counted).await?;
        }
    }
    world.repeat(4, true).await?;
    for until in [0, 300, HOUR] {
        world.roll_up(until).await?;
        for edges in [vec![0, 600], vec![10, 60, 70, 610], vec![-60, 0], vec![590, 600, 660]] {
            for filter in filters()? {
                let asked = ByNode { filter, ..asked(edges.clone()) };
                let told = world.store.by_node(&asked).await?;
                assert_eq!(told, world.by_node(&asked), "asked {asked:?}");
            }
        }
    }
    let all = world.store.by_node(&asked([0, 600])).await?;
    let nodes: Vec<_> = all.iter().map(|NodeCounts { node, counts }| (node.get(), counts[0])).collect();
    assert_eq!(nodes, [(0, 12 * 6), (7, 12 * 6 * 8), (1_023, 12 * 6 * 1_024)]);
    let requests = ByNode { meter: Meter::Requests, ..asked([0, 600]) };
    assert_eq!(world.store.by_node(&requests).await?, [], "another meter");
    let nobody = Filter { customers: vec![name("nobody")?], ..Filter::default() };
    assert_eq!(world.store.by_node(&ByNode { filter: nobody, ..asked([0, 600]) }).await?, []);
    Ok(())
}

/// What is gone is not said to be nothing, nor is what cannot be told.
pub async fn nodes_are_told_as_long_as_raw_points_are_kept<H: Harness>() -> Result<()> {
    let mut world = World::<H>::new().await?;
    for hour in 0..3 {
        let second = hour * HOUR;
        world.send(4, (second, second + HOUR), [evaluations(WEB, "checkout", second, 5)]).await?;
    }
    world.roll_up(3 * HOUR).await?;
    while world.store.retain(Floors { raw: Some(at(HOUR)), ..Floors::default() }).await?.more {}
    assert_eq!(world.store.state().await?.floors.raw, Some(at(HOUR)));
    let kept = world.store.by_node(&asked([HOUR, 2 * HOUR, 3 * HOUR])).await?;
    assert_eq!(kept, [NodeCounts { node: node(4)?, counts: vec![5, 5] }]);
    for refused in
        [asked([HOUR - 10, 2 * HOUR]), asked([HOUR, HOUR + 5]), asked([HOUR]), asked([2 * HOUR, HOUR])]
    {
        let told = world.store.by_node(&refused).await;
        assert!(matches!(told, Err(Error::Unanswerable(_))), "{refused:?}: {told:?}");
    }
    Ok(())
}
