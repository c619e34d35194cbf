//! Bounds of what the journal remembers.

use bytes::Bytes;
use flagmeter_model::{Seq, Timestamp};

use super::{Journal, SealRows};
use crate::inbox::{Once, Reply};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds_clamped(1_790_000_000 + seconds)
}

fn marks(first: u128, number: u128, reply: &'static [u8]) -> Vec<Once> {
    let reply = Reply { status: 202, body: Bytes::from_static(reply) };
    (first..first + number).map(|key| Once { key: key.to_be_bytes(), reply: reply.clone() }).collect()
}

fn seal(journal: &mut Journal, marks_from: Timestamp, marks_max: u64) -> u64 {
    let rows = SealRows {
        seq: Seq::new(1),
        sealed_at: at(0),
        watermark: at(0),
        records: Vec::new(),
        received: Vec::new(),
        marks_from,
        marks_max,
    };
    journal.seal(&rows).unwrap()
}

#[test]
fn more_marks_are_forgotten_than_come_in() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("journal.sqlite")).unwrap();
    journal.commit(&[], &marks(0, 25_000, b"{}"), at(0)).unwrap();
    assert_eq!(seal(&mut journal, at(-60), 10), 24_990, "a load that goes on leaves no growing rest");
    assert_eq!(journal.marks(), 10);
    journal.commit(&[], &marks(25_000, 30, b"{}"), at(10)).unwrap();
    assert_eq!(seal(&mut journal, at(5), 25), 5, "the ten old ones are not early");
    assert_eq!(journal.marks(), 25);
}

#[test]
fn large_replies_push_out_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let mut journal = Journal::open(&path).unwrap();
    for second in 0..100 {
        journal.commit(&[], &marks(second, 1, &[b' '; 4_000]), at(i64::try_from(second).unwrap())).unwrap();
    }
    let bytes = journal.marks_bytes;
    drop(journal);
    let mut journal = Journal::open(&path).unwrap();
    assert_eq!(journal.marks_bytes, bytes, "known again after a start");
    assert_eq!(seal(&mut journal, at(-60), 1_000), 38);
    assert_eq!((journal.marks(), journal.marks_bytes), (62, 62 * 4_064));
    assert_eq!(journal.reply(&37_u128.to_be_bytes()).unwrap(), None);
    assert!(journal.reply(&38_u128.to_be_bytes()).unwrap().is_some(), "the newest stay");
}
