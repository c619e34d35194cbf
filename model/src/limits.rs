//! Bounds that hold everywhere. What an operator may change is configuration, not here.

/// The bounds of the model.
#[derive(Debug)]
pub struct Limits;

impl Limits {
    /// Longest name, in bytes of UTF-8.
    pub const NAME_BYTES_MAX: usize = 256;
    /// Largest count of one entry in one request. A flush of ten seconds that holds more is not a count but
    /// a mistake; and u64 sums have room for 10^10 such entries.
    pub const ENTRY_COUNT_MAX: u64 = 1_000_000_000;
    /// Largest log record after decompression, in bytes.
    pub const RECORD_BYTES_MAX: usize = 64 * 1024 * 1024;
    /// The name that stands for everything beyond a limit.
    pub const OTHER: &'static str = "__other__";
}
