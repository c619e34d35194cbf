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

    /// A record was fetched. One of a partition that is not owned, or from before where fetching is, is left out.
    pub(super) fn push(&mut self, mut record: Record) {
        let Some(held) = self.owned.get_mut(&record.partition) else { return };
        if record.offset < held.position {
            return;
        }
        held.position = record.offset.saturating_add(1);
        held.newest = held.newest.max(record.appended_at);
        record.appended_at = held.newest;
        if record.offset >= held.committed {
            held.uncommitted.push_back((record.offset, record.appended_at));
        }
        self.bytes = self.bytes.saturating_add(record.payload.len());
        held.waiting.push_back(record);
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

    /// Of these positions those that a commit would move forward.
    pub(super) fn forward(&self, positions: &Positions) -> Positions {
        let ahead = |&(&partition, &position): &(&Partition, &u64)| {
            self.owned.get(&partition).is_some_and(|held| position > held.committed)
        };
        positions.iter().filter(ahead).map(|(&partition, &position)| (partition, position)).collect()
    }

    /// Whether everything before these ends was fetched, of the partitions that are still owned.
    pub(super) fn has_reached(&self, ends: &Positions) -> bool {
        self.owned.iter().all(|(partition, held)| ends.get(partition).is_none_or(|&end| held.position >= end))
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

    /// What a group and a reader do.
    #[derive(Debug, Clone)]
    enum Step {
        Come(Partition),
        Go(Partition),
        Fetch(Partition, u64, usize),
        Marks(Partition, u64),
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
            4 => (0..200_usize).prop_map(Step::Read),
            2 => (partition.clone(), 0..40_u64).prop_map(|(at, position)| Step::Commit(at, position)),
            1 => (partition, 0..40_u64).prop_map(|(at, position)| Step::Seek(at, position)),
        ]
    }

    /// The same, kept plainly: what the broker has as committed, and per owned partition the records fetched since
    /// it came, with how many of them were read.
    #[derive(Default)]
    struct Model {
        committed: [u64; 3],
        owned: BTreeMap<Partition, (u64, u64, Vec<Record>, usize)>,
    }

    proptest! {
        #[test]
        fn records_are_read_once_in_their_order_whoever_comes_and_goes(steps in prop::collection::vec(step(), 0..200)) {
            let (mut model, mut prefetched) = (Model::default(), Prefetched::default());
            for step in steps {
                match step {
                    Step::Come(at) => {
                        let begin = model.committed[at as usize];
                        model.owned.insert(at, (begin, begin, Vec::new(), 0));
                        prefetched.come(at, begin, begin);
                    }
                    Step::Go(at) => {
                        model.owned.remove(&at);
                        prefetched.go(at);
                    }
                    Step::Fetch(at, gap, bytes) => {
                        let offset = model.owned.get(&at).map_or(gap, |owned| owned.1 + gap);
                        prefetched.push(record(at, offset, bytes));
                        // A repeat, as after fetching paused.
                        prefetched.push(record(at, offset, bytes));
                        if let Some(owned) = model.owned.get_mut(&at) {
                            owned.1 = offset + 1;
                            owned.2.push(record(at, offset, bytes));
                        }
                    }
                    Step::Marks(at, marks) => {
                        if let Some(owned) = model.owned.get_mut(&at) {
                            owned.1 += marks;
                            prefetched.reach(at, owned.1);
                        }
                    }
                    Step::Read(bytes_max) => {
                        let waits = model.owned.values().any(|owned| owned.3 < owned.2.len());
                        let records = prefetched.take(bytes_max);
                        prop_assert_eq!(records.is_empty(), !waits, "one at least, if there is any");
                        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
                        prop_assert!(records.len() == 1 || bytes <= bytes_max);
                        for record in records {
                            let owned = model.owned.get_mut(&record.partition).unwrap();
                            prop_assert_eq!(&record, &owned.2[owned.3]);
                            owned.3 += 1;
                        }
                    }
                    Step::Commit(at, position) => {
                        let owned = model.owned.contains_key(&at);
                        let committed = &mut model.committed[at as usize];
                        let expected: Positions =
                            (owned && position > *committed).then_some((at, position)).into_iter().collect();
                        prop_assert_eq!(prefetched.forward(&[(at, position)].into()), expected.clone());
                        for (at, position) in expected {
                            *committed = position;
                            prefetched.commit(at, position);
                        }
                    }
                    Step::Seek(at, position) => {
                        let owned = model.owned.get_mut(&at);
                        prop_assert_eq!(prefetched.seek(at, position), owned.is_some());
                        if let Some(owned) = owned {
                            *owned = (position, position, Vec::new(), 0);
                        }
                    }
                }
                let waiting: usize = model.owned.values().flat_map(|it| &it.2[it.3..]).map(|it| it.payload.len()).sum();
                prop_assert_eq!(prefetched.bytes(), waiting);
                let ends: Positions = model.owned.iter().map(|(&at, owned)| (at, owned.1 + 2)).collect();
                prop_assert_eq!(prefetched.has_reached(&ends), ends.is_empty());
                let mut lag = Lag::default();
                for (&at, (begun, _, records, _)) in &model.owned {
                    let committed = model.committed[at as usize];
                    let open: Vec<_> = records.iter().filter(|record| record.offset >= committed).collect();
                    lag.records += open.len() as u64 + begun.saturating_sub(committed) + 2;
                    lag.oldest = lag.oldest.into_iter().chain(open.first().map(|record| record.appended_at)).min();
                }
                prop_assert_eq!(prefetched.lag(&ends), lag);
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
