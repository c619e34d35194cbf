//! Entries as records: JSON, which an auditor can read without this program.
//!
//! A record is one piece of an entry. An entry has several where its rows do not fit into one; whoever reads takes the
//! entry in when the last one is there. Counts and positions are decimal strings, because not every reader of JSON
//! takes large numbers as they are; times are RFC 3339.

mod mute;
mod wire;

#[cfg(test)]
mod tests;

use flagmeter_model::{Tier, Window};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use self::{
    mute::{WireMute, WireMuteEnd},
    wire::{Instant, Number, WireAlert, WireClosing, WireCrossing, WireRow},
};
use crate::{Alert, Crossing, Entry, Mute, MuteEnd, Position, Row};

/// The versions that are written: the second one has crossings, the third one alerts and mutes, and each is written where
/// there are any.
const ROWS: u64 = 1;
const CROSSINGS: u64 = 2;
const ALERTS: u64 = 3;
/// Rows of a piece, in bytes, before the next one is begun. One row comes on top: less than 64 KiB.
const PIECE_BYTES: usize = 512 << 10;

/// What stands in every version.
#[derive(Deserialize)]
struct Versioned {
    v: u64,
}

/// A record. `R` is a row.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Piece<R> {
    v: u64,
    /// Its number within the entry, from 0.
    #[serde(rename = "piece")]
    number: u32,
    /// The entry goes on with the next record.
    more: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    announced: Option<Instant>,
    rows: Vec<R>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closing: Option<WireClosing>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    crossings: Vec<WireCrossing>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    delivered: Option<Number>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    alerts: Vec<WireAlert>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alerts_delivered: Option<Number>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mutes: Vec<WireMute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    mute_ends: Vec<WireMuteEnd>,
}

/// The version that an entry is written in: the first that has all that it holds.
const fn version(entry: &Entry) -> u64 {
    let has_mutes = !entry.mutes.is_empty() || !entry.mute_ends.is_empty();
    if has_mutes || !entry.alerts.is_empty() || entry.alerts_delivered.is_some() {
        ALERTS
    } else if !entry.crossings.is_empty() || entry.delivered.is_some() {
        CROSSINGS
    } else {
        ROWS
    }
}

/// An entry as the records that it is made of.
pub(crate) fn encode(entry: &Entry) -> Result<Vec<Vec<u8>>, String> {
    encode_in(entry, PIECE_BYTES)
}

fn encode_in(entry: &Entry, piece_bytes: usize) -> Result<Vec<Vec<u8>>, String> {
    let mut pieces: Vec<Vec<Box<RawValue>>> = vec![Vec::new()];
    let mut bytes = 0_usize;
    for row in &entry.rows {
        let text = serde_json::value::to_raw_value(&WireRow::of(row)).map_err(|error| error.to_string())?;
        if bytes >= piece_bytes {
            pieces.push(Vec::new());
            bytes = 0;
        }
        bytes = bytes.saturating_add(text.get().len());
        if let Some(piece) = pieces.last_mut() {
            piece.push(text);
        }
    }
    let last = pieces.len().saturating_sub(1);
    let record = |(number, rows): (usize, Vec<Box<RawValue>>)| {
        let piece = Piece {
            v: version(entry),
            number: u32::try_from(number).map_err(|error| error.to_string())?,
            more: number < last,
            announced: entry.announced.filter(|_| number == 0).map(Instant),
            rows,
            closing: entry.closing.filter(|_| number == last).map(WireClosing::of),
            crossings: entry.crossings.iter().filter(|_| number == last).map(WireCrossing::of).collect(),
            delivered: entry.delivered.filter(|_| number == last).map(Number::of),
            alerts: entry.alerts.iter().filter(|_| number == last).map(WireAlert::of).collect(),
            alerts_delivered: entry.alerts_delivered.filter(|_| number == last).map(Number::of),
            mutes: entry.mutes.iter().filter(|_| number == last).map(WireMute::of).collect(),
            mute_ends: entry.mute_ends.iter().filter(|_| number == last).map(WireMuteEnd::of).collect(),
        };
        serde_json::to_vec(&piece).map_err(|error| error.to_string())
    };
    pieces.into_iter().enumerate().map(record).collect()
}

/// Puts the pieces of entries together.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// What is there of an entry whose last piece is to come, and the number of that which is next.
    begun: Entry,
    next: u32,
}

impl Gathering {
    /// Takes the next record; the entry that it ends. An error is a sentence about the record, which is not taken then.
    pub(crate) fn take(&mut self, record: &[u8]) -> Result<Option<Entry>, String> {
        let unreadable = |error: serde_json::Error| format!("it cannot be read: {error}");
        let Versioned { v } = serde_json::from_slice(record).map_err(unreadable)?;
        if !(ROWS..=ALERTS).contains(&v) {
            return Err(format!(
                "it is of version {v} and this program knows {ALERTS}: a newer flagmeter wrote it, upgrade this one"
            ));
        }
        let piece: Piece<WireRow> = serde_json::from_slice(record).map_err(unreadable)?;
        if piece.number != self.next {
            return Err(format!("it is piece {} of an entry where {} comes next", piece.number, self.next));
        }
        if (piece.number > 0 && piece.announced.is_some()) || (piece.more && piece.closing.is_some()) {
            return Err("a frontier stands in the middle of an entry".into());
        }
        if (!piece.crossings.is_empty() || piece.delivered.is_some()) && (v < CROSSINGS || piece.more) {
            return Err("crossings stand where none may".into());
        }
        if (!piece.alerts.is_empty() || piece.alerts_delivered.is_some()) && (v < ALERTS || piece.more) {
            return Err("alerts stand where none may".into());
        }
        if (!piece.mutes.is_empty() || !piece.mute_ends.is_empty()) && (v < ALERTS || piece.more) {
            return Err("mutes stand where none may".into());
        }
        let delivered = piece.delivered.map(Number::position).transpose()?;
        let crossings = crossings(piece.crossings)?;
        let alerts_delivered = piece.alerts_delivered.map(Number::position).transpose()?;
        let alerts = alerts(piece.alerts)?;
        let (mutes, mute_ends) = (mutes(piece.mutes)?, mute_ends(piece.mute_ends)?);
        let rows = rows(piece.rows, self.begun.rows.last())?;
        self.begun.announced = self.begun.announced.or(piece.announced.map(|at| at.0));
        self.begun.rows.extend(rows);
        self.begun.closing = piece.closing.map(WireClosing::closing);
        (self.begun.crossings, self.begun.delivered) = (crossings, delivered);
        (self.begun.alerts, self.begun.alerts_delivered) = (alerts, alerts_delivered);
        (self.begun.mutes, self.begun.mute_ends) = (mutes, mute_ends);
        if piece.more {
            self.next = self.next.saturating_add(1);
            return Ok(None);
        }
        self.next = 0;
        let entry = std::mem::take(&mut self.begun);
        Ok(Some(entry))
    }

    /// Whether the next record begins an entry.
    #[cfg(test)]
    pub(crate) const fn is_empty(&self) -> bool {
        self.next == 0
    }
}

/// The rows of a piece that follow on `last`.
fn rows(wire: Vec<WireRow>, last: Option<&Row>) -> Result<Vec<Row>, String> {
    let mut rows: Vec<Row> = Vec::with_capacity(wire.len());
    for row in wire {
        let before = rows.last().or(last);
        let follows = before.is_none_or(|before| before.position.next() == row.position());
        let shared = before.map(|before| &before.environment);
        let row = row.row(shared)?;
        if !follows {
            return Err(format!("row {} does not follow on the one before it", row.position));
        }
        check(&row).map_err(|why| format!("row {} {why}", row.position))?;
        rows.push(row);
    }
    Ok(rows)
}

/// The crossings of an entry.
fn crossings(wire: Vec<WireCrossing>) -> Result<Vec<Crossing>, String> {
    let mut crossings: Vec<Crossing> = Vec::with_capacity(wire.len());
    for crossing in wire {
        let crossing = crossing.crossing()?;
        let number = crossing.number;
        if crossings.last().is_some_and(|before| before.number.next() != number) || number == Position::START
        {
            return Err(format!("crossing {number} does not follow on the one before it"));
        }
        crossing.crossed.check().map_err(|why| format!("crossing {number} {why}"))?;
        crossings.push(crossing);
    }
    Ok(crossings)
}

/// The alerts of an entry.
fn alerts(wire: Vec<WireAlert>) -> Result<Vec<Alert>, String> {
    let mut alerts: Vec<Alert> = Vec::with_capacity(wire.len());
    for alert in wire {
        let alert = alert.alert()?;
        let number = alert.number;
        if alerts.last().is_some_and(|before| before.number.next() != number) || number == Position::START {
            return Err(format!("alert {number} does not follow on the one before it"));
        }
        alert.alerted.check().map_err(|why| format!("alert {number} {why}"))?;
        alerts.push(alert);
    }
    Ok(alerts)
}

/// The mutes of an entry.
fn mutes(wire: Vec<WireMute>) -> Result<Vec<Mute>, String> {
    let mut mutes: Vec<Mute> = Vec::with_capacity(wire.len());
    for mute in wire {
        let mute = mute.mute()?;
        let number = mute.number;
        if mutes.last().is_some_and(|before| before.number.next() != number) || number == Position::START {
            return Err(format!("mute {number} does not follow on the one before it"));
        }
        mute.muting.check().map_err(|why| format!("mute {number} cannot be: {why}"))?;
        mutes.push(mute);
    }
    Ok(mutes)
}

/// Those that were ended.
fn mute_ends(wire: Vec<WireMuteEnd>) -> Result<Vec<MuteEnd>, String> {
    let end = |wire: WireMuteEnd| {
        let end = wire.end();
        end.check().map_err(|why| format!("the end of {} cannot be: {why}", end.id))?;
        Ok(end)
    };
    wire.into_iter().map(end).collect()
}

/// What every row keeps to, whatever stands before it.
fn check(row: &Row) -> Result<(), &'static str> {
    let kept = i64::MAX.unsigned_abs();
    if row.position == Position::START {
        return Err("stands before the first");
    }
    if !row.meter.is_usage() {
        return Err("counts what nobody is billed for");
    }
    if Window::starting(Tier::Hour, row.hour).is_err() {
        return Err("is not of an hour");
    }
    if row.count > kept || row.count <= row.previous {
        return Err("counts no more than the one that it follows");
    }
    if (row.revision == 1) != (row.previous == 0) || row.revision == 0 {
        return Err("is not the revision that it says");
    }
    if row.revision > 1 && !row.correction {
        return Err("is a later revision and no correction");
    }
    if !row.missing.array_windows().all(|[one, next]| one < next) {
        return Err("does not list the nodes that are missing in order");
    }
    Ok(())
}
