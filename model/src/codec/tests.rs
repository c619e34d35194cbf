use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::{
    Environment, EnvironmentCounts, Meter, Name, NodeId, Seq, SeriesKey, Slot, SlotCounts, Timestamp,
};

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn any_name() -> impl Strategy<Value = Name> {
    prop_oneof![4 => "[a-c]{1,2}", 1 => "[^\\pC]{1,20}"].prop_map(|text| name(&text))
}

fn any_environment() -> impl Strategy<Value = Environment> {
    (any_name(), any_name(), any_name()).prop_map(|(customer, project, environment)| Environment {
        customer,
        project,
        environment,
    })
}

fn any_series() -> impl Strategy<Value = SeriesKey> {
    let optional = || prop::option::of(any_name());
    (prop::sample::select(Meter::ALL.to_vec()), any_name(), optional(), optional())
        .prop_map(|(meter, name, variant, sdk)| SeriesKey { meter, name, variant, sdk })
}

type Counts = BTreeMap<Slot, BTreeMap<SeriesKey, u64>>;

fn any_counts() -> impl Strategy<Value = Counts> {
    let slot = (0..918_311_040_u32).prop_map(|number| Slot::from_number(number).expect("a slot"));
    let count = prop_oneof![1..100_u64, Just(i64::MAX.unsigned_abs())];
    prop::collection::btree_map(slot, prop::collection::btree_map(any_series(), count, 1..4), 0..3)
}

fn environment_counts((environment, slots): (Environment, Counts)) -> EnvironmentCounts {
    let series: BTreeSet<SeriesKey> = slots.values().flat_map(BTreeMap::keys).cloned().collect();
    let series: Vec<SeriesKey> = series.into_iter().collect();
    let position = |key: &SeriesKey| series.binary_search(key).expect("is there").try_into().expect("few");
    let slots = slots
        .into_iter()
        .map(|(slot, counts)| SlotCounts {
            slot,
            series: counts.keys().map(position).collect(),
            counts: counts.into_values().collect(),
        })
        .collect();
    EnvironmentCounts { environment, series, slots }
}

fn any_batch() -> impl Strategy<Value = Batch> {
    let time = || (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis_clamped);
    let environments = prop::collection::btree_map(any_environment(), any_counts(), 0..4)
        .prop_map(|counts| counts.into_iter().map(environment_counts).collect());
    let head = (0..=NodeId::MAX, any::<u64>(), any::<u16>(), any::<bool>(), prop::option::of(any_name()));
    (head, time(), time(), prop::option::of(0..1_000_000_i64), environments).prop_map(
        |((node, seq, part, farewell, region), sealed_at, covers_from, covered_ms, environments)| Batch {
            node: NodeId::new(node).expect("a node"),
            seq: Seq::new(seq),
            part,
            sealed_at,
            covers_from,
            watermark: covered_ms.map(|covered_ms| covers_from.plus_millis(covered_ms)),
            farewell,
            region,
            environments,
        },
    )
}

proptest! {
    #[test]
    fn a_batch_comes_back_from_every_encoding(batch in any_batch()) {
        prop_assert_eq!(batch.validate(), Ok(()));
        for encoding in ContentEncoding::ALL {
            let record = encode(&batch, encoding).expect("encodes");
            prop_assert_eq!(decode(&record), Ok(batch.clone()), "{:?}", encoding);
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic(record: Vec<u8>) {
        prop_assert!(decode(&record).is_err());
    }

    #[test]
    fn a_damaged_record_never_panics_and_is_valid_if_it_is_read(
        batch in any_batch(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for encoding in ContentEncoding::ALL {
            let mut record = encode(&batch, encoding).expect("encodes");
            for (at, byte) in &changes {
                let at = at.index(record.len());
                record[at] = *byte;
            }
            if let Ok(read) = decode(&record) {
                prop_assert_eq!(read.validate(), Ok(()));
            }
        }
    }

    #[test]
    fn a_record_cut_anywhere_is_an_error(batch in any_batch(), at: prop::sample::Index) {
        for encoding in ContentEncoding::ALL {
            let record = encode(&batch, encoding).expect("encodes");
            prop_assert!(decode(&record[..at.index(record.len())]).is_err(), "{:?}", encoding);
        }
    }

    #[test]
    fn points_are_what_was_counted(batch in any_batch()) {
        let points = batch.environments.iter().flat_map(EnvironmentCounts::points);
        let points: Vec<u64> = points.map(|(.., count)| count).collect();
        let slots = batch.environments.iter().flat_map(|counts| &counts.slots);
        let counted: Vec<u64> = slots.flat_map(|slot| &slot.counts).copied().collect();
        prop_assert_eq!(points.len(), batch.points());
        prop_assert_eq!(points, counted);
    }
}

/// The batch of the records in `fixtures/`, which were written once and never again.
fn golden() -> Batch {
    let environment = |customer: &str| Environment {
        customer: name(customer),
        project: name("web"),
        environment: name("production"),
    };
    let flag = |flag: &str| SeriesKey::flag(name(flag));
    let slot = |number| Slot::from_number(number).expect("a slot");
    let at = |text| Timestamp::parse_rfc3339(text).expect("a time");
    Batch {
        node: NodeId::new(1_023).expect("a node"),
        seq: Seq::new(1_795_178_694),
        part: 2,
        sealed_at: at("2026-11-20T12:44:54.250Z"),
        covers_from: at("2026-11-20T12:44:53Z"),
        watermark: Some(at("2026-11-20T12:44:54.200Z")),
        farewell: true,
        region: None,
        environments: vec![
            EnvironmentCounts {
                environment: environment("acme"),
                series: vec![
                    flag("checkout-v2"),
                    SeriesKey {
                        variant: Some(name("on")),
                        sdk: Some(name("flagsmith-python/4.0.1")),
                        ..flag("checkout-v2")
                    },
                    SeriesKey { meter: Meter::Requests, ..flag("identities") },
                    SeriesKey { meter: Meter::Received, ..flag("flagsmith.v2") },
                    SeriesKey { meter: Meter::Duplicate, ..flag("counts.v1") },
                    SeriesKey { meter: Meter::Rejected, ..flag("time_out_of_range") },
                ],
                slots: vec![
                    SlotCounts {
                        slot: slot(179_517_868),
                        series: vec![0, 1],
                        counts: vec![1, i64::MAX as u64],
                    },
                    SlotCounts {
                        slot: slot(179_517_869),
                        series: vec![0, 2, 3, 4, 5],
                        counts: vec![7, 2, 12, 1, 3],
                    },
                ],
            },
            EnvironmentCounts {
                environment: environment("Žluťoučký kůň \"&\" 馬"),
                series: vec![],
                slots: vec![],
            },
        ],
    }
}

#[test]
fn records_of_version_1_are_read_for_ever() {
    for (encoding, record) in [
        (ContentEncoding::Identity, include_bytes!("fixtures/v1.json").as_slice()),
        (ContentEncoding::Gzip, include_bytes!("fixtures/v1.json.gz")),
        (ContentEncoding::Zstd, include_bytes!("fixtures/v1.json.zst")),
    ] {
        assert_eq!(ContentEncoding::sniff(record), encoding);
        assert_eq!(decode(record), Ok(golden()), "{encoding:?}");
    }
}

#[test]
fn version_1_is_still_written_as_it_was() {
    let written = encode(&golden(), ContentEncoding::Identity).expect("encodes");
    assert_eq!(written, include_bytes!("fixtures/v1.json"), "a change of the form is a new version");
}

/// The golden record with a change to its document.
fn decode_changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Batch> {
    let mut document = serde_json::from_slice(include_bytes!("fixtures/v1.json")).expect("JSON");
    change(&mut document);
    decode(document.to_string().as_bytes())
}

#[test]
fn a_newer_version_is_told_from_a_damaged_record() {
    let newer = decode_changed(|document| document["version"] = 2.into());
    assert_eq!(newer, Err(Error::VersionUnknown { found: 2, known: 1 }));
    let unlike = decode(br#"{"version":7,"frames":[]}"#);
    assert_eq!(unlike, Err(Error::VersionUnknown { found: 7, known: 1 }));
    for record in
        [&br#"{"version":0,"batch":{}}"#[..], br#"{"version":1}"#, br#"{"batch":{}}"#, b"{}", b"", b"null"]
    {
        assert!(matches!(decode(record), Err(Error::Malformed(_))), "{}", record.escape_ascii());
    }
    let zero = decode_changed(|document| document["version"] = 0.into());
    assert!(matches!(zero, Err(Error::Malformed(_))), "{zero:?}");
}

#[test]
fn a_region_stands_in_the_record_of_a_node_that_has_one() {
    let somewhere = Batch { region: Some(name("eu-west")), ..golden() };
    let record = encode(&somewhere, ContentEncoding::Identity).expect("encodes");
    let document: serde_json::Value = serde_json::from_slice(&record).expect("JSON");
    assert_eq!(document["batch"]["region"], "eu-west");
    assert_eq!(decode(&record), Ok(somewhere));
    let wrong = decode_changed(|document| document["batch"]["region"] = "a\nb".into());
    assert!(matches!(wrong, Err(Error::Malformed(_))), "{wrong:?}");
}

#[test]
fn fields_that_are_not_known_yet_are_passed_over() {
    let more = decode_changed(|document| {
        document["batch"]["zone"] = "eu".into();
        document["signed_by"] = 4.into();
    });
    assert_eq!(more, Ok(golden()));
}

#[test]
fn a_batch_that_breaks_a_promise_is_refused() {
    let counts = "/batch/environments/0";
    let changes: [(&str, String, serde_json::Value); 12] = [
        ("environments out of order", "/batch/environments/0/environment/customer".into(), "žž".into()),
        ("covers_from after the watermark", "/batch/covers_from".into(), 1_795_178_694_201_i64.into()),
        ("series out of order", format!("{counts}/series/0/n"), "zz".into()),
        ("slots out of order", format!("{counts}/slots/0/slot"), 179_517_869.into()),
        ("a slot beyond time", format!("{counts}/slots/1/slot"), u32::MAX.into()),
        ("a series without count", format!("{counts}/slots/0/counts"), serde_json::json!([1])),
        ("a series twice", format!("{counts}/slots/0/series"), serde_json::json!([1, 1])),
        ("a series that is not there", format!("{counts}/slots/0/series/1"), 6.into()),
        ("a count of zero", format!("{counts}/slots/0/counts/0"), 0.into()),
        ("a count beyond i64", format!("{counts}/slots/0/counts/0"), (1_u64 << 63).into()),
        ("a node beyond ten bits", "/batch/node".into(), 1_024.into()),
        ("a name with a line break", format!("{counts}/series/0/n"), "a\nb".into()),
    ];
    for (what, path, value) in changes {
        let refused = decode_changed(|document| *document.pointer_mut(&path).expect("is there") = value);
        assert!(
            matches!(refused, Err(Error::Malformed(_) | Error::TimeOutOfRange(_))),
            "{what}: {refused:?}"
        );
    }
}

#[test]
fn a_record_that_grows_beyond_the_limit_is_refused() {
    let spaces = vec![b' '; Limits::RECORD_BYTES_MAX + 1];
    let refusal = Err(Error::TooLarge { bytes_max: Limits::RECORD_BYTES_MAX });
    assert_eq!(decode(&spaces), refusal);
    for encoding in [ContentEncoding::Gzip, ContentEncoding::Zstd] {
        let bomb = compress(spaces.clone(), encoding).expect("encodes");
        assert!(bomb.len() < 1 << 20);
        assert_eq!(decode(&bomb), refusal, "{encoding:?}");
    }
}
