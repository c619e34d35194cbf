//! The store: raw points in, windows of each tier along two axes, and answers out.
//!
//! # The way of a count through this crate
//!
//! Ingest [`write`](Store::write)s decoded batches; they become raw points, and windows that were already
//! rolled up are marked dirty in the same step. The downsampler [`announce`](Store::announce)s up to where it
//! closes minutes, [`roll`](Store::roll)s windows up from the finer tier, [`advance`](Store::advance)s, and
//! [`clear`](Store::clear)s marks. Queries [`read`](Store::read): [`cover`] takes the coarsest tier that is whole for
//! each part of the range and the finer ones for the rest, so that an answer is never staler than the points.
//!
//! # Invariants
//!
//! - Only this crate knows how data is kept. Backends: [`embedded`] (SQLite, one process) and [`influx`] (InfluxDB, as
//!   many processes as are needed).
//! - Every write is absolute: written again it replaces itself, and nothing is ever added to what is there.
//! - A point behind the announced minute frontier is never stored without its minute being marked dirty.
//! - The totals of a window are written by the same call, from the same points, as its series.
//! - An answer comes from one snapshot where the backend has any. A store that cannot answer says so; it never answers
//!   with nothing.
//! - Every backend passes [`conformance`].

mod answering;
pub mod conformance;
mod contract;
pub mod cover;
pub mod embedded;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod heard;
pub mod influx;
mod read;
mod refused;
mod write;

pub use contract::Store;
pub use error::{Error, Result};
pub use read::{
    Answer, AxisChoice, ByNode, Cell, CoveredPart, Dimension, Filter, GroupKey, NodeCounts, Read, Row,
    RowState, Scan, ScanRow, SeriesSeen, TierChoice, Totals,
};
pub use write::{
    DeadLetter, Floors, Frontier, Frontiers, Mark, NewMark, Positioned, Retained, Rolled, Rolling, State,
    Write, Written,
};
