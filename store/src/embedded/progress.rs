//! How far the nodes have got, when at least one was there, and where ingest goes on in the log.

use std::collections::BTreeMap;

use flagmeter_model::{Name, NodeId, NodeProgress, Seq, Spans, TimeRange, Timestamp};
use rusqlite::{Connection, params};

use super::{block::unreadable, standing::time_at};
use crate::{Error, Positioned, Result, heard::Heard};

/// What is known of the nodes and the log, with what has changed since it was last stored.
#[derive(Debug)]
pub(super) struct Progress {
    nodes: BTreeMap<(u32, NodeId), Heard>,
    covered: Spans,
    positions: BTreeMap<u32, u64>,
    changed_nodes: Vec<(u32, NodeId)>,
    /// The spans as they are stored, if they have changed.
    covered_before: Option<Spans>,
}

impl Progress {
    pub(super) fn load(connection: &Connection) -> Result<Self> {
        Ok(Self {
            nodes: nodes(connection)?,
            covered: covered(connection)?,
            positions: positions(connection)?,
            changed_nodes: Vec::new(),
            covered_before: None,
        })
    }

    /// Whether a record was taken before, as the positions tell: then it changes nothing that has been deleted
    /// since.
    pub(super) fn is_repeat(&self, record: &Positioned) -> bool {
        self.positions.get(&record.partition).is_some_and(|&next| record.offset < next)
    }

    /// Whether this record of the node has been applied in the partition, or a later one: then it may be one that
    /// was appended twice. (Or not: a journal that was moved to another node hands on late.)
    pub(super) fn may_be_repeat(&self, record: &Positioned) -> bool {
        self.nodes.get(&(record.partition, record.batch.node)).is_some_and(|node| node.may_include(record))
    }

    /// Takes in what a record says of its node. Nothing goes back: of a seal that is older than the newest only
    /// the time that it covers counts.
    pub(super) fn apply(&mut self, record: &Positioned, node_timeout_ms: i64) {
        let key = (record.partition, record.batch.node);
        let heard_at = self.nodes.get(&key).map(|node| node.appended_at);
        self.cover(record.covers(heard_at, node_timeout_ms));
        let Some(heard) = Heard::after(self.nodes.get(&key), record) else { return };
        self.nodes.insert(key, heard);
        if !self.changed_nodes.contains(&key) {
            self.changed_nodes.push(key);
        }
    }

    fn cover(&mut self, range: Option<TimeRange>) {
        if let Some(range) = range.filter(|&range| !self.covered.covers(range)) {
            self.covered_before.get_or_insert_with(|| self.covered.clone());
            self.covered.insert(range);
        }
    }

    /// Stores what was applied, and the log's positions, which never go back.
    pub(super) fn store(&mut self, connection: &Connection, positions: &BTreeMap<u32, u64>) -> Result<()> {
        self.store_nodes(connection)?;
        self.store_covered(connection)?;
        let mut insert = connection
            .prepare_cached("INSERT OR REPLACE INTO positions (partition, next) VALUES (?1, ?2)")?;
        for (&partition, &next) in positions {
            let known = self.positions.entry(partition).or_default();
            *known = next.max(*known);
            insert.execute(params![partition, known.cast_signed()])?;
        }
        Ok(())
    }

    fn store_nodes(&mut self, connection: &Connection) -> Result<()> {
        let mut insert = connection.prepare_cached(
            "INSERT OR REPLACE INTO progress (partition, node, seq, part, watermark, heard_at, farewell, region)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for key in self.changed_nodes.drain(..) {
            let Some(node) = self.nodes.get(&key) else { continue };
            insert.execute(params![
                key.0,
                key.1.get(),
                node.seq.get().cast_signed(),
                node.part,
                node.watermark.as_millis(),
                node.appended_at.as_millis(),
                node.farewell,
                node.region.as_deref()
            ])?;
        }
        Ok(())
    }

    fn store_covered(&mut self, connection: &Connection) -> Result<()> {
        let Some(before) = self.covered_before.take() else { return Ok(()) };
        let mut delete = connection.prepare_cached("DELETE FROM covered WHERE since = ?1")?;
        let mut insert =
            connection.prepare_cached("INSERT OR REPLACE INTO covered (since, until) VALUES (?1, ?2)")?;
        for gone in without(&before, &self.covered) {
            delete.execute([gone.from.as_millis()])?;
        }
        for new in without(&self.covered, &before) {
            insert.execute([new.from.as_millis(), new.to.as_millis()])?;
        }
        Ok(())
    }
}

/// The spans of one set that are not spans of the other.
fn without<'a>(of: &'a Spans, others: &'a Spans) -> impl Iterator<Item = TimeRange> + 'a {
    let mut others = others.iter().peekable();
    of.iter().filter(move |span| {
        while others.next_if(|other| other.from < span.from).is_some() {}
        others.peek() != Some(span)
    })
}

/// Per partition the next record that is wanted.
pub(super) fn positions(connection: &Connection) -> Result<BTreeMap<u32, u64>> {
    let mut select = connection.prepare_cached("SELECT partition, next FROM positions")?;
    let mut rows = select.query([])?;
    let mut positions = BTreeMap::new();
    while let Some(row) = rows.next()? {
        positions.insert(row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(positions)
}

/// How far the nodes have got, in the order of partition and node.
pub(super) fn node_progress(connection: &Connection) -> Result<Vec<NodeProgress>> {
    let nodes = nodes(connection)?.into_iter();
    let told = |((partition, node), heard): (_, Heard)| heard.told(partition, node);
    Ok(nodes.map(told).collect())
}

/// When at least one node was there to receive.
pub(super) fn covered(connection: &Connection) -> Result<Spans> {
    let mut select = connection.prepare_cached("SELECT since, until FROM covered ORDER BY since")?;
    let mut rows = select.query([])?;
    let mut covered = Spans::new();
    while let Some(row) = rows.next()? {
        covered.insert(TimeRange::new(known(time_at(row, 0)?)?, known(time_at(row, 1)?)?));
    }
    Ok(covered)
}

fn nodes(connection: &Connection) -> Result<BTreeMap<(u32, NodeId), Heard>> {
    let mut select = connection.prepare_cached(
        "SELECT partition, node, seq, part, watermark, heard_at, farewell, region FROM progress",
    )?;
    let mut rows = select.query([])?;
    let mut nodes = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let node = Heard {
            seq: Seq::new(row.get::<_, i64>(2)?.cast_unsigned()),
            part: row.get(3)?,
            watermark: known(time_at(row, 4)?)?,
            appended_at: known(time_at(row, 5)?)?,
            farewell: row.get(6)?,
            region: row
                .get::<_, Option<String>>(7)?
                .map(|name| Name::new(&name))
                .transpose()
                .map_err(unreadable)?,
        };
        nodes.insert((row.get(0)?, NodeId::new(row.get(1)?).map_err(unreadable)?), node);
    }
    Ok(nodes)
}

fn known(at: Option<Timestamp>) -> Result<Timestamp> {
    at.ok_or_else(|| Error::Damaged("a time is missing".into()))
}
