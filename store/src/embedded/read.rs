//! Answers from one snapshot.

use flagmeter_model::{Environment, Meter};
use rusqlite::Connection;

use crate::{Answer, DeadLetter, Error, Filter, Read, Result, Scan, ScanRow, SeriesSeen};

fn unanswerable<T>() -> Result<T> {
    Err(Error::Unanswerable("the reading side is not there yet".into()))
}

pub(super) fn read(_connection: &Connection, _read: &Read, _node_timeout_ms: i64) -> Result<Answer> {
    unanswerable()
}

pub(super) fn scan(_connection: &Connection, _scan: &Scan) -> Result<Vec<ScanRow>> {
    unanswerable()
}

pub(super) fn environments(_connection: &Connection) -> Result<Vec<Environment>> {
    unanswerable()
}

pub(super) fn catalogue(
    _connection: &Connection,
    _meter: Meter,
    _filter: &Filter,
) -> Result<Vec<SeriesSeen>> {
    unanswerable()
}

pub(super) fn dead_letters(
    _connection: &Connection,
    _after: Option<(u32, u64)>,
    _limit: usize,
) -> Result<Vec<DeadLetter>> {
    unanswerable()
}
