//! What fuzz targets reach of this crate. Only there in their builds: see `fuzz/`.

pub use crate::{
    embedded::fuzzing::blocks,
    influx::fuzzing::{answer, line, text_of_tag},
};
