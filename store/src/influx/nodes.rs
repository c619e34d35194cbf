//! What each edge node handed on: the times of raw points tell.

use flagmeter_model::Tier;

use super::{
    InfluxStore, blocking, csv,
    ql::Where,
    registers,
    schema::{node_of, source},
    tiers::Axis,
};
use crate::{ByNode, NodeCounts, Result, answering::NodeSums};

/// Sums by node, value by value: inside the database they could only be told by time.
pub(super) async fn by_node(store: &InfluxStore, asked: &ByNode) -> Result<Vec<NodeCounts>> {
    let range = asked.range(registers::read(store).await?.floors().raw)?;
    let axis = if asked.filter.takes_all_keys() { Axis::Totals } else { Axis::Series };
    let source = source(store.buckets.tier(Tier::Raw), axis.measurement());
    let conditions = Where::within(range).meter(asked.meter).filter(&asked.filter);
    let answer = store.client.query(&format!("SELECT \"count\" FROM {source} WHERE {conditions}")).await?;
    let asked = asked.clone();
    blocking(move || {
        let mut sums = NodeSums::new(&asked);
        csv::visit(&answer, |row| sums.add(node_of(row.nanoseconds()?)?, row.time()?, row.count(0)?))?;
        Ok(sums.into_counts())
    })
    .await
}
