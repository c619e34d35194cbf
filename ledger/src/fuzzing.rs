//! What fuzz targets reach of this crate. Only there in their builds: see `fuzz/`.

use crate::codec::{Gathering, encode};

/// Records of a ledger's topic: what is read can be written, and is read as the same again.
pub fn record(bytes: &[u8]) {
    if let Ok(Some(entry)) = Gathering::default().take(bytes) {
        let mut gathering = Gathering::default();
        let mut again = None;
        for record in encode(&entry).unwrap_or_default() {
            again = gathering.take(&record).ok().flatten();
        }
        assert_eq!(again, Some(entry));
    }
}
