//! What was sent, written down: JSON lines that `flagmeter audit --against` holds the server against.
//!
//! The first line tells which load it was; every other one the fate of one flag's counts in one second. A
//! flag and second may have several lines: they add up.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    path::{Path, PathBuf},
};

use flagmeter_model::{TimeRange, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::tally::Fate;
use crate::{Error, Result};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Title {
    sdk: String,
}

/// Every other line.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Which of the environment keys, from 0, in the order of the command line: keys themselves stay out.
    environment: usize,
    flag: String,
    second: Timestamp,
    acknowledged: u64,
    #[serde(default)]
    unknown: u64,
}

/// A record that is being written.
#[derive(Debug)]
pub(crate) struct Record {
    path: PathBuf,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    file: BufWriter<File>,
    /// The second that is being added up.
    second: Timestamp,
    fates: HashMap<(usize, String), Fate>,
    failed: Option<std::io::Error>,
}

impl Record {
    pub(super) fn create(path: &Path, sdk: &str) -> Result<Self> {
        let failed = |reason: std::io::Error| Error::File { path: path.to_owned(), reason };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        serde_json::to_writer(&mut file, &Title { sdk: sdk.to_owned() })
            .map_err(|error| failed(error.into()))?;
        file.write_all(b"\n").map_err(failed)?;
        let inner = Inner { file, second: Timestamp::EPOCH, fates: HashMap::new(), failed: None };
        Ok(Self { path: path.to_owned(), inner: Mutex::new(inner) })
    }

    /// Takes the fate of one entry.
    pub(super) fn take(&self, environment: usize, flag: &str, at: Timestamp, fate: Fate) {
        let mut inner = self.inner.lock();
        let second = at.floor_to(1);
        if second != inner.second {
            inner.write();
            inner.second = second;
        }
        let sum = inner.fates.entry((environment, flag.to_owned())).or_default();
        *sum = sum.plus(fate);
    }

    /// Writes the rest.
    pub(super) fn finish(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        inner.write();
        let flushed = inner.file.flush();
        match inner.failed.take().map_or(flushed, Err) {
            Ok(()) => Ok(()),
            Err(reason) => Err(Error::File { path: self.path.clone(), reason }),
        }
    }
}

impl Inner {
    fn write(&mut self) {
        for ((environment, flag), fate) in self.fates.drain() {
            let Fate { acknowledged, unknown } = fate;
            let line = Line { environment, flag, second: self.second, acknowledged, unknown };
            let written = serde_json::to_writer(&mut self.file, &line)
                .map_err(std::io::Error::from)
                .and_then(|()| self.file.write_all(b"\n"));
            if let Err(error) = written {
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// What a load sent, to hold the server against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The name that the load gave itself.
    pub(crate) sdk: String,
    /// From the first to after the last second.
    pub(crate) range: TimeRange,
    /// By flag.
    pub(crate) flags: BTreeMap<String, Fate>,
}

impl Sent {
    /// What must be there.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.flags.values().fold(0, |sum, fate| sum.saturating_add(fate.acknowledged))
    }

    /// Reads a record back.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let failed = |reason: std::io::Error| Error::File { path: path.to_owned(), reason };
        let mut lines = BufReader::new(File::open(path).map_err(failed)?).lines();
        let title = lines.next().transpose().map_err(failed)?.unwrap_or_default();
        let Title { sdk } = serde_json::from_str(&title).map_err(|error| failed(error.into()))?;
        let mut sent =
            Self { sdk, range: TimeRange::new(Timestamp::MAX, Timestamp::EPOCH), flags: BTreeMap::new() };
        for line in lines {
            let line = line.map_err(failed)?;
            let line: Line = serde_json::from_str(&line).map_err(|error| failed(error.into()))?;
            sent.range.from = sent.range.from.min(line.second);
            sent.range.to = sent.range.to.max(line.second.plus_seconds(1));
            let sum = sent.flags.entry(line.flag).or_default();
            *sum = sum.plus(Fate { acknowledged: line.acknowledged, unknown: line.unknown });
        }
        Ok(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_recorded_reads_back_as_sums_by_flag() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sent.jsonl");
        let record = Record::create(&path, "sdk/1").unwrap();
        let at = Timestamp::from_millis_clamped(1_795_178_696_500);
        let known = |acknowledged| Fate { acknowledged, unknown: 0 };
        record.take(0, "a", at, known(3));
        record.take(1, "a", at, known(4));
        record.take(0, "a", at.plus_seconds(5), Fate { acknowledged: 0, unknown: 9 });
        record.take(0, "b", at.plus_seconds(5), known(1));
        record.finish().unwrap();
        let sent = Sent::read(&path).unwrap();
        assert_eq!(sent.sdk, "sdk/1");
        assert_eq!(sent.range, TimeRange::new(at.floor_to(1), at.floor_to(1).plus_seconds(6)));
        assert_eq!(sent.flags["a"], Fate { acknowledged: 7, unknown: 9 });
        assert_eq!(sent.flags["b"], known(1));
    }
}
