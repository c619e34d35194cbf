//! What the downsampler and the views of nodes need to know.

use flagmeter_model::{NodeProgress, Spans, Tier, Timestamp, Window};

use super::{
    InfluxStore, csv, letters, marks, progress,
    registers::{self, Registers},
    schema::{MINUTE, nanoseconds, source},
};
use crate::{Filter, Floors, Frontiers, Mark, Result, State};

/// What every reader needs to know, asked in one question: it is no older than the call.
///
/// The marks are read before the frontiers and floors, those of the finer tiers first. Whoever reads points afterwards
/// misses none that was written before the call.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) frontiers: Frontiers,
    pub(super) floors: Floors,
    pub(super) progress: Vec<NodeProgress>,
    pub(super) partitions: u32,
    pub(super) covered: Spans,
    /// Those that wait, of all tiers, in the order of tier, time and environment.
    pub(super) marks: Vec<Mark>,
}

/// Asks for the standing, with the marks of the environments that a filter means.
pub(super) async fn standing(store: &InfluxStore, filter: &Filter) -> Result<Standing> {
    Ok(ask(store, filter, "").await?.0)
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

async fn ask(store: &InfluxStore, filter: &Filter, further: &str) -> Result<(Standing, Rest)> {
    let question = format!(
        "{};{};{}{further}",
        marks::statements(store, &Tier::ROLLED, filter),
        registers::statement(store),
        progress::statements(store),
    );
    let answer = store.client.query(&question).await?;
    let (mut marks, mut registers) = (marks::Gathered::default(), Registers::default());
    let (mut known, mut rest) = (progress::Known::default(), Rest::default());
    csv::visit(&answer, |row| {
        match row.label() {
            marks::LABEL => marks.take(row)?,
            registers::LABEL => registers.take(row)?,
            letters::LABEL => (rest.dead_letters, rest.dead_letter_counts) = letters::sums(row)?,
            RAW_FIRST => rest.raw_first = Some(row.time()?),
            _ => known.take(row)?,
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
        marks: marks.into_marks()?,
    };
    Ok((standing, rest))
}

/// The state.
pub(super) async fn state(store: &InfluxStore) -> Result<State> {
    let (mut standing, mut rest) = ask(store, &Filter::default(), &further(store)).await?;
    if rest.raw_first.is_some_and(|first| Some(first) < standing.floors.raw) {
        // The floor has moved on since it was last heard of; now it is known.
        (standing, rest) = ask(store, &Filter::default(), &further(store)).await?;
    }
    let Standing { frontiers, floors, progress, partitions, covered, marks } = standing;
    let first = |tier| marks.iter().map(|mark| mark.window).filter(|window| window.tier() == tier).min();
    Ok(State {
        progress,
        partitions,
        covered,
        frontiers,
        floors,
        raw_first: rest.raw_first,
        dirty: marks.len() as u64,
        dirty_first: Tier::ROLLED.map(|tier| first(tier).map(Window::start)),
        dead_letters: rest.dead_letters,
        dead_letter_counts: rest.dead_letter_counts,
    })
}

fn further(store: &InfluxStore) -> String {
    let floor = store.known().floors().raw.unwrap_or(Timestamp::EPOCH);
    format!(
        ";{};SELECT first(\"seen\") AS \"{RAW_FIRST}\" FROM {} WHERE time >= {}",
        letters::statement(store),
        source(store.buckets.tier(Tier::Raw), MINUTE),
        nanoseconds(floor)
    )
}
