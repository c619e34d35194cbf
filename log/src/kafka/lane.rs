//! Which lane the seals of an edge's journal are numbered in ([`Lane`]).
//!
//! Those who had the number of a node last stand in the note of its [claim](super::claim), each with its lane, the last
//! one first. A journal keeps its lane as long as no other one of them has it. The journal's own copy is a small file
//! beside it: an edge that starts while the brokers are away goes on in its lane.

use std::{
    fmt,
    fs::File,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use flagmeter_model::Lane;

use crate::{Error, Result};

/// A journal's place among those that have, or had, one number.
#[derive(Debug)]
pub(super) struct Place {
    path: Option<PathBuf>,
    journal: u64,
    lane: Arc<AtomicU8>,
}

impl Place {
    /// The place that a file tells, or one that no other journal has. Without a file it lasts as long as the process.
    pub(super) fn open(path: Option<PathBuf>) -> Result<Self> {
        let found = path.as_deref().map(read).transpose()?.flatten();
        // By far the most journals never meet another one, and those that do are told by the claim.
        let (journal, lane) = found.unwrap_or_else(|| (rand::random(), rand::random_range(0..Lane::COUNT)));
        Ok(Self { path, journal, lane: Arc::new(AtomicU8::new(lane)) })
    }

    /// Where to look which lane it is now.
    pub(super) fn lane(&self) -> Arc<AtomicU8> {
        Arc::clone(&self.lane)
    }

    /// Puts this journal first, in a lane that none of the others has.
    pub(super) fn settle(&self, history: &mut History) {
        let lane = history.put_first(self.journal, self.lane.load(Ordering::Relaxed));
        self.lane.store(lane, Ordering::Relaxed);
    }

    /// Writes the file, once the claim is left: with a file an edge starts while no broker answers.
    pub(super) fn keep(&self) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let lane = self.lane.load(Ordering::Relaxed);
        write(path, &format!("{:016x}:{lane}\n", self.journal))
            .map_err(|error| Error::Open { path: path.clone(), reason: error.to_string() })
    }
}

fn read(path: &Path) -> Result<Option<(u64, u8)>> {
    let refuse = |reason: String| Error::Open { path: path.to_owned(), reason };
    match std::fs::read_to_string(path) {
        Ok(text) => match entry(text.trim()) {
            Some(entry) => Ok(Some(entry)),
            None => Err(refuse("it does not tell a lane; move it away, and a new one is made".to_owned())),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(refuse(error.to_string())),
    }
}

/// Whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn entry(text: &str) -> Option<(u64, u8)> {
    let (journal, lane) = text.split_once(':')?;
    let lane = lane.parse().ok().and_then(Lane::new)?;
    Some((u64::from_str_radix(journal, 16).ok()?, lane.get()))
}

/// Journals that had a number, each with its lane, the last one first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct History(Vec<(u64, u8)>);

impl History {
    /// Reads what [`Display`](fmt::Display) writes. What is no entry is passed over.
    pub(super) fn read(text: &str) -> Self {
        Self(text.split(' ').filter_map(entry).collect())
    }

    /// Puts a journal first; its lane. With more journals than lanes the one that was longest ago gives its own.
    fn put_first(&mut self, journal: u64, wanted: u8) -> u8 {
        self.0.retain(|(other, _)| *other != journal);
        let is_free = |lane: &u8| self.0.iter().all(|(_, taken)| taken != lane);
        let free = [wanted].into_iter().chain(0..Lane::COUNT).find(is_free);
        let lane = free.or_else(|| self.0.pop().map(|(_, lane)| lane)).unwrap_or(wanted);
        self.0.insert(0, (journal, lane));
        self.0.truncate(Lane::COUNT.into());
        lane
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (journal, lane) in &self.0 {
            write!(f, "{between}{journal:016x}:{lane}")?;
            between = " ";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn those_that_had_the_number_last_never_share_a_lane(
            claims in prop::collection::vec((0..6_u64, 0..Lane::COUNT), 1..40),
        ) {
            let mut history = History::default();
            let mut lanes = std::collections::BTreeMap::new();
            for (journal, first) in claims {
                let wanted = lanes.get(&journal).copied().unwrap_or(first);
                let stays = history.0.contains(&(journal, wanted));
                let lane = history.put_first(journal, wanted);
                prop_assert!(!stays || lane == wanted, "a journal that is known keeps its lane");
                lanes.insert(journal, lane);
                prop_assert_eq!(history.0[0], (journal, lane));
                let taken: std::collections::BTreeSet<_> = history.0.iter().map(|(_, lane)| lane).collect();
                prop_assert_eq!(taken.len(), history.0.len());
                prop_assert_eq!(History::read(&history.to_string()), history.clone());
            }
        }
    }

    #[test]
    fn a_place_is_found_again_and_gives_way_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = || Some(folder.path().join("lane"));
        let first = Place::open(path()).unwrap();
        let lane = first.lane().load(Ordering::Relaxed);
        let mut history = History(vec![(first.journal.wrapping_add(1), lane)]);
        assert!(!folder.path().join("lane").exists(), "nothing is claimed yet");
        first.settle(&mut history);
        first.keep().unwrap();
        let moved = first.lane().load(Ordering::Relaxed);
        assert_ne!(moved, lane);
        let again = Place::open(path()).unwrap();
        assert_eq!((again.journal, again.lane().load(Ordering::Relaxed)), (first.journal, moved));
        std::fs::write(folder.path().join("lane"), "7").unwrap();
        assert!(Place::open(path()).unwrap_err().to_string().contains("move it away"));
    }

    #[test]
    fn a_note_of_somebody_else_is_passed_over() {
        assert_eq!(History::read("\0"), History::default());
        assert_eq!(History::read("0123456789abcdef 1f:9 x:1 1f:2"), History(vec![(0x1f, 2)]));
    }
}
