//! Bodies that strangers send to the edge, in each wire format: no panic, and every count has a fate.

#![no_main]

use flagmeter_edge::wire::{Bounds, Taken, counts_v1, flagsmith_proxy, flagsmith_v1, flagsmith_v2};
use flagmeter_model::{Limits, Name, Timestamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (door, body) = input;
    let bounds = Bounds {
        entries_max: 50,
        at_min: Timestamp::from_seconds_clamped(1_700_000_000),
        at_max: Timestamp::from_seconds_clamped(1_800_000_000),
    };
    match door % 4 {
        0 => drop(counts_v1::parse(body, &bounds).map(judge)),
        1 => drop(flagsmith_v1::parse(body, &bounds).map(judge)),
        2 => drop(flagsmith_v2::parse(body, &bounds).map(judge)),
        _ => {
            let mut taken = Taken::default();
            if flagsmith_proxy::parse(body, &bounds, |row| row.add_to(&mut taken)).is_ok() {
                judge(taken);
            }
        }
    }
});

fn judge(taken: Taken) {
    let entries: u64 = taken.entries.iter().map(|entry| entry.count).sum();
    let rejected: u64 = taken.rejected.iter().map(|(_, weight)| weight).sum();
    assert_eq!(taken.received, entries + rejected, "{taken:?}");
    assert!(taken.entries.len() <= taken.accepted as usize && taken.accepted <= 50, "{taken:?}");
    for entry in taken.entries.iter() {
        assert!((1..=Limits::ENTRY_COUNT_MAX).contains(&entry.count));
        assert!(Name::check(entry.name).is_ok() && entry.variant.is_none_or(|it| Name::check(it).is_ok()));
    }
}
