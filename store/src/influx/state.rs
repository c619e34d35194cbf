//! What the downsampler and the views of nodes need to know.

use flagmeter_model::{NodeProgress, Spans, Tier, TimeRange, Timestamp};

use super::{
    InfluxStore, csv, letters,
    marks::{self, Waiting},
    progress,
    registers::{self, Registers},
    schema::{MINUTE, nanoseconds, source},
};
use crate::{Filter, Floors, Frontiers, Result, State};

/// What every reader needs to know, asked in one question: it is no older than the call.
///
/// The marks are read before the frontiers and floors, those of the finer tiers first. Whoever reads points afterwards
/// misses none that was written before the call. Progress is read before the number of partitions, which is told before
/// it: nobody takes the nodes that were heard for all that there are.
///
/// Of marks no more is read than how many they are and where they begin, or which windows are marked: there may be
/// millions of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) frontiers: Frontiers,
    pub(super) floors: Floors,
    pub(super) progress: Vec<NodeProgress>,
    pub(super) partitions: u32,
    pub(super) covered: Spans,
    /// What was asked for of the marks.
    pub(super) waiting: Waiting,
}

/// Asks for the standing, with how many marks wait of the environments that a filter means.
pub(super) async fn standing(store: &InfluxStore, filter: &Filter) -> Result<Standing> {
    Ok(ask(store, &marks::waiting(store, &Tier::ROLLED, filter), "").await?.0)
}

/// Asks for the standing, with the windows that begin in a range and are marked for any environment that a filter means.
pub(super) async fn standing_in(store: &InfluxStore, filter: &Filter, range: TimeRange) -> Result<Standing> {
    Ok(ask(store, &marks::windows(store, filter, range), "").await?.0)
}

/// What only [`state`] needs.
#[derive(Debug, Default)]
struct Rest {
    dead_letters: u64,
    dead_letter_counts: u64,
    raw_first: Option<Timestamp>,
}

/// Label of the first minute that holds a raw point.
const RAW_FIRST: &str = "raw_first";

async fn ask(store: &InfluxStore, marks: &str, further: &str) -> Result<(Standing, Rest)> {
    let (progress, registers) = (progress::statements(store), registers::statement(store));
    let mut question = vec![marks, &progress, &registers, further];
    question.retain(|statements| !statements.is_empty());
    let question = question.join(";");
    let answer = store.client.query(&question).await?;
    let (mut waiting, mut registers) = (Waiting::default(), Registers::default());
    let (mut known, mut rest) = (progress::Known::default(), Rest::default());
    csv::visit(&answer, |row| {
        match row.label() {
            registers::LABEL => registers.take(row)?,
            letters::LABEL => (rest.dead_letters, rest.dead_letter_counts) = letters::sums(row)?,
            RAW_FIRST => rest.raw_first = Some(row.time()?),
            label if progress::LABELS.contains(&label) => known.take(row)?,
            _ if waiting.take(row)? => {}
            _ => return Err(csv::damaged("an answer that was not asked for")),
        }
        Ok(())
    })?;
    let registers = store.learn(&registers);
    let (progress, covered) = known.told();
    let standing = Standing {
        frontiers: registers.frontiers(),
        floors: registers.floors(),
        progress,
        partitions: registers.partitions(),
        covered,
        waiting,
    };
    Ok((standing, rest))
}

/// The state.
pub(super) async fn state(store: &InfluxStore) -> Result<State> {
    let marks = || marks::waiting(store, &Tier::ROLLED, &Filter::default());
    let (mut standing, mut rest) = ask(store, &marks(), &further(store)).await?;
    if rest.raw_first.is_some_and(|first| Some(first) < standing.floors.raw) {
        // The floor has moved on since it was last heard of; now it is known.
        (standing, rest) = ask(store, &marks(), &further(store)).await?;
    }
    let Standing { frontiers, floors, progress, partitions, covered, waiting } = standing;
    Ok(State {
        progress,
        partitions,
        covered,
        frontiers,
        floors,
        raw_first: rest.raw_first,
        dirty: waiting.count,
        dirty_first: Tier::ROLLED.map(|tier| waiting.first(tier)),
        dead_letters: rest.dead_letters,
        dead_letter_counts: rest.dead_letter_counts,
    })
}

fn further(store: &InfluxStore) -> String {
    let floor = store.known().floors().raw.unwrap_or(Timestamp::EPOCH);
    format!(
        "{};SELECT first(\"seen\") AS \"{RAW_FIRST}\" FROM {} WHERE time >= {}",
        letters::statement(store),
        source(store.buckets.tier(Tier::Raw), MINUTE),
        nanoseconds(floor)
    )
}
