//! What a consumer holds of its partitions: records that wait to be read, and which of them are committed.

use std::collections::{BTreeMap, VecDeque};

use flagmeter_model::Timestamp;

use crate::{Lag, Partition, Positions, Record};

/// The partitions that a consumer owns.
#[derive(Debug, Default)]
pub(super) struct Prefetched {
    owned: BTreeMap<Partition, Held>,
    /// The partition that the next read begins with: each has its turn.
    turn: Partition,
    /// Of the records that wait.
    bytes: usize,
}

/// One of them.
#[derive(Debug)]
struct Held {
    /// Fetched, and not read yet.
    waiting: VecDeque<Record>,
    /// Of the records that were fetched and are not committed, read or not: offset, and when it was appended.
    uncommitted: VecDeque<(u64, Timestamp)>,
    /// The offset that is known to be committed.
    committed: u64,
    /// Where fetching began.
    begun_at: u64,
    /// Everything before it was fetched; the log's own marks between the records count.
    position: u64,
    /// When the newest of the fetched records was appended.
    newest: Timestamp,
}

impl Prefetched {
    /// A partition has come. Fetching begins at `position`; nothing that was known of it before counts any more.
    pub(super) fn come(&mut self, partition: Partition, committed: u64, position: u64) {
        self.go(partition);
        let held = Held {
            waiting: VecDeque::new(),
            uncommitted: VecDeque::new(),
            committed,
            begun_at: position,
            position,
            newest: Timestamp::EPOCH,
        };
        self.owned.insert(partition, held);
    }

    /// A partition has gone, and with it what waits.
    pub(super) fn go(&mut self, partition: Partition) {
        if let Some(held) = self.owned.remove(&partition) {
            self.bytes = self.bytes.saturating_sub(held.bytes());
        }
    }

    /// A record was fetched. One of a partition that is not owned is left out.
    ///
    /// The client never goes back by itself: not after a pause, and not after a seek. So a record from before where
    /// fetching is shows that the log was cut, and that the offset is given to another record now. Then everything
    /// from there on is new; what was fetched before stays. Returns where fetching was.
    pub(super) fn push(&mut self, mut record: Record) -> Option<u64> {
        let held = self.owned.get_mut(&record.partition)?;
        let went_back = (record.offset < held.position).then_some(held.position);
        if went_back.is_some() {
            held.uncommitted.clear();
            held.committed = held.committed.min(record.offset);
            held.begun_at = record.offset;
        }
        held.position = record.offset.saturating_add(1);
        held.newest = held.newest.max(record.appended_at);
        record.appended_at = held.newest;
        if record.offset >= held.committed {
            held.uncommitted.push_back((record.offset, record.appended_at));
        }
        self.bytes = self.bytes.saturating_add(record.payload.len());
        held.waiting.push_back(record);
        went_back
    }

    /// Everything before `position` was fetched.
    pub(super) fn reach(&mut self, partition: Partition, position: u64) {
        if let Some(held) = self.owned.get_mut(&partition) {
            held.position = held.position.max(position);
        }
    }

    /// Records that wait, in their order: at least one if there is any, and no further one once `bytes_max` would be
    /// passed.
    pub(super) fn take(&mut self, bytes_max: usize) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes: usize = 0;
        let order: Vec<_> =
            self.owned.range(self.turn..).chain(self.owned.range(..self.turn)).map(|(&at, _)| at).collect();
        let next_turn = order.get(1).or(order.first()).copied();
        'partitions: for partition in order {
            let Some(held) = self.owned.get_mut(&partition) else { continue };
            while let Some(record) = held.waiting.front() {
                let more = bytes.saturating_add(record.payload.len());
                if more > bytes_max && !records.is_empty() {
                    break 'partitions;
                }
                bytes = more;
                records.extend(held.waiting.pop_front());
            }
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        if !records.is_empty() {
            self.turn = next_turn.unwrap_or(0);
        }
        records
    }

    /// Everything before `position` is committed.
    pub(super) fn commit(&mut self, partition: Partition, position: u64) {
        let Some(held) = self.owned.get_mut(&partition) else { return };
        held.committed = held.committed.max(position);
        while held.uncommitted.front().is_some_and(|&(offset, _)| offset < held.committed) {
            held.uncommitted.pop_front();
        }
    }

    /// Of these positions those that a commit would move forward. One that fetching has not got to is of records that
    /// were read before the partition went, or before its log was cut: those that have its place now are to come.
    pub(super) fn forward(&self, positions: &Positions) -> Positions {
        let ahead = |&(partition, position): &(&Partition, &u64)| {
            let held = self.owned.get(partition);
            held.is_some_and(|held| *position > held.committed && *position <= held.position)
        };
        positions.iter().filter(ahead).map(|(&partition, &position)| (partition, position)).collect()
    }

    /// Whether everything before these ends was fetched, of the partitions that are still owned.
    pub(super) fn has_reached(&self, ends: &Positions) -> bool {
        self.behind(ends).is_empty()
    }

    /// Where the owned partitions are that have not reached these ends.
    pub(super) fn behind(&self, ends: &Positions) -> Positions {
        let is_behind = |&(partition, held): &(&Partition, &Held)| {
            ends.get(partition).is_some_and(|&end| held.position < end)
        };
        self.owned.iter().filter(is_behind).map(|(&partition, held)| (partition, held.position)).collect()
    }

    /// What is not committed, in a log with these ends.
    pub(super) fn lag(&self, ends: &Positions) -> Lag {
        let mut lag = Lag::default();
        for (partition, held) in &self.owned {
            let end = ends.get(partition).copied().unwrap_or(0);
            // A seek may have passed some over.
            let passed_over = held.begun_at.saturating_sub(held.committed);
            let beyond = end.saturating_sub(held.position);
            let records = u64::try_from(held.uncommitted.len()).unwrap_or(u64::MAX);
            lag.records =
                lag.records.saturating_add(records).saturating_add(passed_over).saturating_add(beyond);
            let oldest = held.uncommitted.front().map(|&(_, at)| at);
            lag.oldest = lag.oldest.into_iter().chain(oldest).min();
        }
        lag
    }

    /// Goes on from `position`. Whether the partition is owned.
    pub(super) fn seek(&mut self, partition: Partition, position: u64) -> bool {
        let Some(held) = self.owned.get(&partition) else { return false };
        self.come(partition, held.committed, position);
        true
    }

    pub(super) fn owned(&self) -> impl Iterator<Item = Partition> + '_ {
        self.owned.keys().copied()
    }

    pub(super) fn owns(&self, partition: Partition) -> bool {
        self.owned.contains_key(&partition)
    }

    /// Of the records that wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.owned.values().all(|held| held.waiting.is_empty())
    }

    /// All partitions have gone.
    pub(super) fn clear(&mut self) {
        self.owned.clear();
        self.bytes = 0;
    }
}

impl Held {
    fn bytes(&self) -> usize {
        self.waiting.iter().map(|record| record.payload.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(partition: Partition, offset: u64, bytes: usize) -> Record {
        let appended_at = Timestamp::from_seconds_clamped(offset.cast_signed());
        Record { partition, offset, appended_at, payload: vec![0; bytes].into() }
    }

    /// What a group, the brokers and a reader do.
    #[derive(Debug, Clone)]
    enum Step {
        Come(Partition),
        Go(Partition),
        Fetch(Partition, u64, usize),
        Marks(Partition, u64),
        /// The log ends so far before where fetching was, and the next record has that place.
        Cut(Partition, u64),
        Read(usize),
        Commit(Partition, u64),
        Seek(Partition, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let partition = 0..3_u32;
        prop_oneof![
            1 => partition.clone().prop_map(Step::Come),
            1 => partition.clone().prop_map(Step::Go),
            6 => (partition.clone(), 0..3_u64, 0..50_usize).prop_map(|(at, gap, bytes)| Step::Fetch(at, gap, bytes)),
            1 => (partition.clone(), 0..3_u64).prop_map(|(at, marks)| Step::Marks(at, marks)),
            1 => (partition.clone(), 1..5_u64).prop_map(|(at, back)| Step::Cut(at, back)),
            4 => (0..200_usize).prop_map(Step::Read),
            2 => (partition.clone(), 0..40_u64).prop_map(|(at, position)| Step::Commit(at, position)),
            1 => (partition, 0..40_u64).prop_map(|(at, position)| Step::Seek(at, position)),
        ]
    }

    /// A partition, kept plainly.
    #[derive(Default)]
    struct Plain {
        begun: u64,
        position: u64,
        newest: Timestamp,
        /// Fetched since it came, and how many of them were read.
        fetched: Vec<Record>,
        read: usize,
        /// How many of them the log had before it was cut.
        cut: usize,
    }

    impl Plain {
        fn at(position: u64) -> Self {
            Self { begun: position, position, newest: Timestamp::EPOCH, ..Self::default() }
        }

        fn fetch(&mut self, mut record: Record) {
            self.position = record.offset + 1;
            self.newest = self.newest.max(record.appended_at);
            record.appended_at = self.newest;
            self.fetched.push(record);
        }
    }

    /// The same, kept plainly: what the broker has as committed, and the partitions that are owned.
    #[derive(Default)]
    struct Model {
        committed: [u64; 3],
        owned: BTreeMap<Partition, Plain>,
    }

    impl Model {
        /// Brokers and the group.
        fn elsewhere(&mut self, step: &Step, prefetched: &mut Prefetched) {
            match *step {
                Step::Come(at) => {
                    let begin = self.committed[at as usize];
                    self.owned.insert(at, Plain::at(begin));
                    prefetched.come(at, begin, begin);
                }
                Step::Go(at) => {
                    self.owned.remove(&at);
                    prefetched.go(at);
                }
                Step::Fetch(at, gap, bytes) => {
                    let fetched = record(at, self.owned.get(&at).map_or(gap, |it| it.position + gap), bytes);
                    assert_eq!(prefetched.push(fetched.clone()), None);
                    if let Some(owned) = self.owned.get_mut(&at) {
                        owned.fetch(fetched);
                    }
                }
                Step::Marks(at, marks) => {
                    if let Some(owned) = self.owned.get_mut(&at) {
                        owned.position += marks;
                        prefetched.reach(at, owned.position);
                    }
                }
                Step::Cut(at, back) => {
                    let Some(owned) = self.owned.get_mut(&at).filter(|it| it.position > 0) else { return };
                    let was = owned.position;
                    let next = record(at, was.saturating_sub(back), 1);
                    assert_eq!(prefetched.push(next.clone()), Some(was));
                    (owned.begun, owned.cut) = (next.offset, owned.fetched.len());
                    let committed = &mut self.committed[at as usize];
                    *committed = next.offset.min(*committed);
                    owned.fetch(next);
                }
                Step::Read(_) | Step::Commit(..) | Step::Seek(..) => {}
            }
        }

        /// The reader.
        fn here(&mut self, step: &Step, prefetched: &mut Prefetched) {
            match *step {
                Step::Read(bytes_max) => {
                    let waits = self.owned.values().any(|owned| owned.read < owned.fetched.len());
                    let records = prefetched.take(bytes_max);
                    assert_eq!(records.is_empty(), !waits, "one at least, if there is any");
                    let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
                    assert!(records.len() <= 1 || bytes <= bytes_max);
                    for record in records {
                        let owned = self.owned.get_mut(&record.partition).unwrap();
                        assert_eq!(record, owned.fetched[owned.read]);
                        owned.read += 1;
                    }
                }
                Step::Commit(at, position) => {
                    let committed = &mut self.committed[at as usize];
                    let fetched_to = self.owned.get(&at).map_or(0, |owned| owned.position);
                    let expected: Positions = (*committed < position && position <= fetched_to)
                        .then_some((at, position))
                        .into_iter()
                        .collect();
                    assert_eq!(prefetched.forward(&[(at, position)].into()), expected);
                    for (at, position) in expected {
                        *committed = position;
                        prefetched.commit(at, position);
                    }
                }
                Step::Seek(at, position) => {
                    let owned = self.owned.get_mut(&at);
                    assert_eq!(prefetched.seek(at, position), owned.is_some());
                    if let Some(owned) = owned {
                        *owned = Plain::at(position);
                    }
                }
                _ => {}
            }
        }

        fn check(&self, prefetched: &Prefetched) {
            let waiting = self.owned.values().flat_map(|it| &it.fetched[it.read..]);
            assert_eq!(prefetched.bytes(), waiting.map(|it| it.payload.len()).sum::<usize>());
            let ends = |beyond| self.owned.iter().map(|(&at, owned)| (at, owned.position + beyond)).collect();
            assert!(prefetched.has_reached(&ends(0)));
            assert_eq!(prefetched.has_reached(&ends(2)), self.owned.is_empty());
            let mut lag = Lag::default();
            for (&at, owned) in &self.owned {
                let committed = self.committed[at as usize];
                let open: Vec<_> =
                    owned.fetched[owned.cut..].iter().filter(|it| it.offset >= committed).collect();
                lag.records += open.len() as u64 + owned.begun.saturating_sub(committed) + 2;
                lag.oldest = lag.oldest.into_iter().chain(open.first().map(|it| it.appended_at)).min();
            }
            assert_eq!(prefetched.lag(&ends(2)), lag);
        }
    }

    proptest! {
        #[test]
        fn records_are_read_once_in_their_order_whoever_comes_and_goes(steps in prop::collection::vec(step(), 0..200)) {
            let (mut model, mut prefetched) = (Model::default(), Prefetched::default());
            for step in steps {
                model.elsewhere(&step, &mut prefetched);
                model.here(&step, &mut prefetched);
                model.check(&prefetched);
            }
        }
    }

    #[test]
    fn times_never_go_back_within_a_partition() {
        let mut prefetched = Prefetched::default();
        prefetched.come(0, 0, 0);
        for (offset, seconds) in [(0, 10), (1, 5), (2, 20)] {
            let appended_at = Timestamp::from_seconds_clamped(seconds);
            prefetched.push(Record { appended_at, ..record(0, offset, 1) });
        }
        let times: Vec<_> =
            prefetched.take(100).iter().map(|it| it.appended_at.as_millis() / 1_000).collect();
        assert_eq!(times, [10, 10, 20]);
    }
}
