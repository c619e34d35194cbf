//! The words of flagmeter: what a count *is*, before anything is done with it.
//!
//! # The way of a count through this crate
//!
//! An SDK says "`checkout` was evaluated 12 times". The edge turns that into a [`SeriesKey`] in an
//! [`Environment`], lays it in a [`Slot`] of 10 seconds, adds it up with its like, and once a second seals
//! what it has into [`Batch`]es, which [`encode`] turns into log records. Ingest [`decode`]s them, the store
//! keeps them as raw points, and the downsampler adds raw points up into [`Window`]s of each [`Tier`] once
//! the [`low_watermark`] says that nothing more can arrive on time.
//!
//! What goes in: bytes and numbers from strangers. What comes out: values that are valid by construction, or
//! an [`Error`] that says which rule was broken.
//!
//! # Invariants
//!
//! - No I/O, no async, no global state. Time enters through [`Clock`] alone.
//! - The identity of a raw point is (environment, series, slot, node, seq): it is in the data, so that every
//!   hop may repeat and no hop may count twice.
//! - [`decode`] reads every version and every encoding that [`encode`] ever wrote, for ever.
//! - Windows are half-open, aligned in UTC and stamped by their start.

mod clock;
mod codec;
mod error;
mod limits;
mod name;
mod node;
mod registry;
mod seal;
mod series;
mod spans;
mod time;
mod watermark;
mod window;

pub use clock::{Clock, ManualClock, SystemClock};
pub use codec::{ContentEncoding, compress, decode, decompress, encode};
pub use error::{Error, Result};
pub use limits::Limits;
pub use name::Name;
pub use node::{Lane, NodeId, Seq};
pub use registry::{
    Customer, EnvironmentKey, ListedFlag, ListedFlags, Plan, Project, RegisteredEnvironment, Registry,
    RegistryError, Threshold,
};
pub use seal::{Batch, EnvironmentCounts, SlotCounts};
pub use series::{Environment, Meter, Series, SeriesKey};
pub use spans::Spans;
pub use time::{Slot, TimeRange, Timestamp};
pub use watermark::{
    LowWatermark, MissingNode, NodeProgress, NodeStanding, NodeState, low_watermark, node_standings,
};
pub use window::{Tier, Window};
