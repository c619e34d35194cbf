//! How far the nodes have got, and when at least one of them was there.
//!
//! What a seal says of its node stands in one field ([`text_of`]): the server stores the fields of a point one after
//! the other, and whoever asks meanwhile would get half of it.
//!
//! A statement about a node is a point at the time that its seal's number tells (it counts quarters of a
//! second; the part stands in nanoseconds): the newest seal is the last point. That the node was there `from` one time
//! `until` another is a point at `until`, in the series of `from`: the longest span is the last point, and the set of
//! all spans is their union. Spans are cut by the hour, so that they begin at few different times.
//!
//! Both lie in the state bucket for as long as they are young. What is older than [`YOUNG_MS`] when it is told goes to
//! the meta bucket, which is kept for ever; and `retain` copies there what lies before `progress_kept`, where readers
//! of the state bucket begin. That is an hour ago and more: what was young when it was told is not overtaken unless a
//! clock is half an hour off.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use flagmeter_model::{Name, NodeId, NodeProgress, Seq, Spans, TimeRange, Timestamp};
use tokio::time::Instant;

use super::{
    InfluxStore,
    csv::{self, Row},
    line::Lines,
    registers::{self, Register, Registers},
    schema::{COVERED, NS_PER_MS, PROGRESS, nanoseconds, source},
};
use crate::{Error, Positioned, Result, cover::without, heard::Heard};

/// What the first values of the answers are called.
pub(super) const LABELS: [&str; 2] = ["progress", "covered"];
/// The field that holds what a seal says of its node.
const TOLD: &str = "told";
/// What is younger than this is told in the state bucket.
const YOUNG_MS: i64 = 30 * 60_000;
/// What is older than this is copied to the meta bucket.
const OLD_MS: i64 = 60 * 60_000;
/// Spans are cut at multiples of this in the state bucket.
const CELL_SECONDS: i64 = 3_600;
/// …and of this in the meta bucket.
const KEPT_CELL_SECONDS: i64 = 30 * 86_400;
/// Latest time that the database takes; seals with greater numbers lie there.
const TIME_MAX: i64 = i64::MAX - 2;
/// A partition that was not written to for this long may have been written to by another ingester.
const TRUSTED: Duration = Duration::from_secs(10);

/// What is known of the nodes.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    nodes: BTreeMap<(u32, NodeId), Heard>,
    covered: Spans,
}

impl Known {
    /// Takes one row of the answer to [`statements`] in.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<()> {
        if row.label() == "covered" { self.take_span(row) } else { self.take_node(row) }
    }

    fn take_node(&mut self, row: &Row<'_>) -> Result<()> {
        let heard = heard_of(row.text(0)).ok_or_else(damaged)?;
        let partition = row.text(1).parse().map_err(|_| damaged())?;
        let node = row.text(2).parse().ok().and_then(|node| NodeId::new(node).ok()).ok_or_else(damaged)?;
        let key = (partition, node);
        if self.nodes.get(&key).is_none_or(|known| (known.seq, known.part) <= (heard.seq, heard.part)) {
            self.nodes.insert(key, heard);
        }
        Ok(())
    }

    fn take_span(&mut self, row: &Row<'_>) -> Result<()> {
        let (until, from) = (row.millis(0)?, row.millis(1)?);
        self.covered.insert(TimeRange::new(from, until));
        Ok(())
    }

    /// As the views of nodes are told, in the order of partition and node; and the covered time.
    pub(super) fn told(self) -> (Vec<NodeProgress>, Spans) {
        let told = |((partition, node), heard): (_, Heard)| heard.told(partition, node);
        (self.nodes.into_iter().map(told).collect(), self.covered)
    }

    /// When at least one node was there.
    pub(super) const fn covered(&self) -> &Spans {
        &self.covered
    }

    pub(super) fn may_be_repeat(&self, record: &Positioned) -> bool {
        self.nodes.get(&(record.partition, record.batch.node)).is_some_and(|heard| heard.may_include(record))
    }

    /// Takes in what a record says of its node. Whether the progress of the node has changed.
    pub(super) fn apply(&mut self, record: &Positioned, node_timeout_ms: i64) -> bool {
        let key = (record.partition, record.batch.node);
        let heard_at = self.nodes.get(&key).map(|heard| heard.appended_at);
        if let Some(range) = record.covers(heard_at, node_timeout_ms) {
            self.covered.insert(range);
        }
        let Some(heard) = Heard::after(self.nodes.get(&key), record) else { return false };
        let is_new = self.nodes.get(&key) != Some(&heard);
        self.nodes.insert(key, heard);
        is_new
    }
}

/// What the writer remembers, so that it need not ask with each write. It is dropped when a write fails, and asked
/// for again.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) known: Known,
    written_at: BTreeMap<u32, Instant>,
}

impl Memory {
    /// The memory, asked for again if another ingester may have written to one of these partitions.
    pub(super) async fn renewed(
        store: &InfluxStore,
        memory: Option<Self>,
        partitions: &BTreeSet<u32>,
    ) -> Result<Self> {
        let now = Instant::now();
        let is_trusted = |memory: &Self, partition: &u32| {
            memory.written_at.get(partition).is_some_and(|at| now.duration_since(*at) < TRUSTED)
        };
        let mut memory = match memory {
            Some(memory) if partitions.iter().all(|partition| is_trusted(&memory, partition)) => memory,
            old => {
                let written_at = old.unwrap_or_default().written_at;
                Self { known: read(store).await?, written_at }
            }
        };
        memory.written_at.extend(partitions.iter().map(|&partition| (partition, now)));
        Ok(memory)
    }
}

/// The statements that ask for all of it: from the meta bucket, and from the state bucket what is not kept there.
pub(super) fn statements(store: &InfluxStore) -> String {
    let [progress, covered] = LABELS;
    let kept = store.known().get(Register::Kept).unwrap_or(i64::MIN + 2);
    let both = |measurement: &str, select: &str, by: &str| {
        let [meta, state] =
            [&store.buckets.meta, &store.buckets.state].map(|bucket| source(bucket, measurement));
        format!(
            "SELECT {select} FROM {meta} GROUP BY {by};\
             SELECT {select} FROM {state} WHERE time >= {kept} GROUP BY {by}"
        )
    };
    let nodes = format!("last(\"{TOLD}\") AS \"{progress}\", \"partition\", \"node\"");
    let spans = format!("last(\"until\") AS \"{covered}\", \"from\"");
    format!("{};{}", both(PROGRESS, &nodes, "\"partition\", \"node\""), both(COVERED, &spans, "\"from\""))
}

async fn read(store: &InfluxStore) -> Result<Known> {
    let answer = store.client.query(&statements(store)).await?;
    let mut known = Known::default();
    csv::visit(&answer, |row| known.take(row))?;
    Ok(known)
}

/// Whether it took so long to tell that what was young may have been missed by who keeps it.
pub(super) fn took_too_long(began: Timestamp, now: Timestamp) -> bool {
    now.millis_since(began) > OLD_MS - YOUNG_MS
}

/// Lines for the two buckets.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) state: Lines,
    pub(super) meta: Lines,
}

impl Told {
    /// What has changed of these nodes, and of the covered time.
    pub(super) fn new(
        before: &Spans,
        known: &Known,
        changed: &BTreeSet<(u32, NodeId)>,
        now: Timestamp,
    ) -> Self {
        let young = nanoseconds(now.plus_millis(-YOUNG_MS));
        let mut told = Self::default();
        for key in changed {
            if let Some(heard) = known.nodes.get(key) {
                let time = progress_time(heard);
                put_node(if time < young { &mut told.meta } else { &mut told.state }, *key, heard, time);
            }
        }
        for span in known.covered.iter().filter(|&span| !before.covers(span)) {
            told.span(span, before, young);
        }
        told
    }

    /// What of a span was not covered before, by the hour; in the meta bucket by the month.
    fn span(&mut self, span: TimeRange, before: &Spans, young: i64) {
        for piece in without(span, before) {
            let from = piece.from.floor_to(CELL_SECONDS).max(span.from);
            let mut old = None;
            for cell in cells(TimeRange::new(from, piece.to), CELL_SECONDS) {
                if nanoseconds(cell.to) < young {
                    old = Some(cell.to);
                } else {
                    put_span(&mut self.state, cell);
                }
            }
            if let Some(until) = old {
                let from = piece.from.floor_to(KEPT_CELL_SECONDS).max(span.from);
                cells(TimeRange::new(from, until), KEPT_CELL_SECONDS)
                    .for_each(|cell| put_span(&mut self.meta, cell));
            }
        }
    }
}

/// A range cut at multiples of `seconds`.
fn cells(range: TimeRange, seconds: i64) -> impl Iterator<Item = TimeRange> {
    let mut from = range.from;
    std::iter::from_fn(move || {
        let to = from.floor_to(seconds).plus_seconds(seconds).min(range.to);
        let cell = TimeRange::new(from, to);
        from = to;
        Some(cell).filter(|cell| !cell.is_empty())
    })
}

fn put_span(lines: &mut Lines, span: TimeRange) {
    let mut line = lines.line(COVERED);
    line.number_tag("from", span.from.as_millis().unsigned_abs());
    line.integer("until", span.to.as_millis());
    line.end(nanoseconds(span.to));
}

fn progress_time(heard: &Heard) -> i64 {
    heard.seq.as_millis().saturating_mul(NS_PER_MS).saturating_add(heard.part.into()).min(TIME_MAX)
}

fn put_node(lines: &mut Lines, (partition, node): (u32, NodeId), heard: &Heard, time: i64) {
    let mut line = lines.line(PROGRESS);
    line.number_tag("node", node.get().into());
    line.number_tag("partition", partition.into());
    line.text(TOLD, &text_of(heard));
    line.end(time);
}

/// Number and part of the seal, watermark and `heard_at` in milliseconds, 1 if these were the last words; then the
/// region, where there is one.
fn text_of(heard: &Heard) -> String {
    let Heard { seq, part, watermark, appended_at, farewell, region } = heard;
    let (watermark, appended_at) = (watermark.as_millis(), appended_at.as_millis());
    let region = region.as_deref().unwrap_or_default();
    format!("{} {part} {watermark} {appended_at} {} {region}", seq.get(), u8::from(*farewell))
}

/// What [`text_of`] tells; `None` if it is nothing of that kind.
fn heard_of(text: &str) -> Option<Heard> {
    let mut words = text.splitn(6, ' ');
    let instant = |word: &str| Timestamp::from_millis(word.parse().ok()?).ok();
    Some(Heard {
        seq: Seq::new(words.next()?.parse().ok()?),
        part: words.next()?.parse().ok()?,
        watermark: instant(words.next()?)?,
        appended_at: instant(words.next()?)?,
        farewell: match words.next()? {
            "0" => false,
            "1" => true,
            _ => return None,
        },
        region: Some(words.next()?).filter(|region| !region.is_empty()).map(Name::new).transpose().ok()?,
    })
}

fn damaged() -> Error {
    Error::Damaged("a node's progress cannot be read".to_owned())
}

/// Copies what is old and the last that is known to the meta bucket, and tells readers to begin behind it.
pub(super) async fn keep(store: &InfluxStore, registers: &Registers) -> Result<()> {
    let until = store.clock.now().plus_millis(-OLD_MS).floor_to(60);
    let time = nanoseconds(until);
    if registers.get(Register::Kept).is_some_and(|kept| kept >= time) {
        return Ok(());
    }
    let known = read(store).await?;
    let mut lines = Lines::default();
    for (key, heard) in &known.nodes {
        let at = progress_time(heard);
        // A node that was heard since has younger progress, which is kept when it is old.
        if at < time {
            put_node(&mut lines, *key, heard, at);
        }
    }
    for span in known.covered.iter().flat_map(|span| cells(span, KEPT_CELL_SECONDS)) {
        let old = TimeRange::new(span.from, span.to.min(until));
        if !old.is_empty() {
            put_span(&mut lines, old);
        }
    }
    store.client.write(&store.buckets.meta, &lines.finish()).await?;
    registers::raise(store, &[(Register::Kept, time)]).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard() -> impl Strategy<Value = Heard> {
        let region = prop_oneof![Just(String::new()), "[ -~]{1,20}", any::<String>()];
        (any::<(u64, u16, bool)>(), 0..=Timestamp::MAX.as_millis(), 0..=Timestamp::MAX.as_millis(), region)
            .prop_map(|((seq, part, farewell), watermark, appended_at, region)| Heard {
                seq: Seq::new(seq),
                part,
                watermark: Timestamp::from_millis_clamped(watermark),
                appended_at: Timestamp::from_millis_clamped(appended_at),
                farewell,
                region: Name::new(&region).ok(),
            })
    }

    proptest! {
        #[test]
        fn what_is_told_of_a_node_reads_back(heard in heard()) {
            prop_assert_eq!(heard_of(&text_of(&heard)), Some(heard));
        }

        #[test]
        fn whatever_the_text_it_is_read_or_refused(text in prop_oneof!["[0-9 -]{0,40}", any::<String>()]) {
            if let Some(heard) = heard_of(&text) {
                prop_assert_eq!(heard_of(&text_of(&heard)), Some(heard));
            }
        }
    }
}
