use std::sync::Arc;

use flagmeter_model::{Environment, Meter, Name, NodeId, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::{AlertKind, Alerted, Closing, Contributor, Crossed, Part, Said, Subject};

fn name() -> impl Strategy<Value = Name> {
    prop_oneof!["[a-z]{1,8}", "[\\PC\"\\\\]{1,20}"].prop_filter_map("no name", |text| Name::new(&text).ok())
}

fn environment() -> impl Strategy<Value = Arc<Environment>> {
    (name(), name(), name())
        .prop_map(|(customer, project, environment)| Arc::new(Environment { customer, project, environment }))
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_000_i64).prop_map(Timestamp::from_millis_clamped)
}

prop_compose! {
    /// A row whose position is to be set.
    fn row()(
        environment in environment(),
        requests in any::<bool>(),
        hour in 0..1_000_000_i64,
        revision in 1..5_u32,
        previous in 1..i64::MAX.unsigned_abs() - 10,
        difference in 1..10_u64,
        (correction, complete) in any::<(bool, bool)>(),
        missing in prop::collection::btree_set(0..=NodeId::MAX, 0..5),
        closed_at in time(),
    ) -> Row {
        let previous = if revision == 1 { 0 } else { previous };
        Row {
            position: Position::START,
            environment,
            meter: if requests { Meter::Requests } else { Meter::Evaluations },
            hour: Timestamp::from_seconds_clamped(hour * 3_600),
            revision,
            count: previous + difference,
            previous,
            correction: correction || revision > 1,
            complete,
            missing: missing.into_iter().map(|number| NodeId::new(number).unwrap()).collect(),
            closed_at,
        }
    }
}

prop_compose! {
    fn crossed()(
        customer in name(),
        requests in any::<bool>(),
        (period, at) in (time(), time()),
        percent in 1..=1_000_u16,
        hard in any::<bool>(),
        included in 1..=i64::MAX.unsigned_abs() / 10,
        more in 0..10_u64,
    ) -> (Crossed, Timestamp) {
        let least = (u128::from(included) * u128::from(percent)).div_ceil(100);
        let used = u64::try_from(least).unwrap().saturating_add(more).min(i64::MAX.unsigned_abs());
        let meter = if requests { Meter::Requests } else { Meter::Evaluations };
        (Crossed { customer, meter, period, percent, hard, included, used }, at)
    }
}

prop_compose! {
    fn contributor()(
        part in prop::sample::select(&Part::ALL),
        name in prop::option::of(name()),
        (count, before) in (0..=i64::MAX.unsigned_abs(), 0..1_000_u64),
    ) -> Contributor {
        Contributor { part, name, count, before }
    }
}

fn subject() -> impl Strategy<Value = Subject> {
    (environment(), name(), 0..4).prop_map(|(environment, flag, sort)| {
        let environment = Environment::clone(&environment);
        let Environment { customer, project, .. } = environment.clone();
        match sort {
            0 => Subject::Customer(customer),
            1 => Subject::Project { customer, project },
            2 => Subject::Environment(environment),
            _ => Subject::Flag(environment, flag),
        }
    })
}

prop_compose! {
    fn alerted()(
        of in subject(),
        (requests, drop, is_learning) in any::<(bool, bool, bool)>(),
        said in prop::sample::select(&Said::ALL),
        (since, seconds, at) in (time(), 0..1_000_i64, time()),
        mut band in any::<[u32; 3]>(),
        is_known in any::<bool>(),
        [observed, percent, excess, peak] in [0..=i64::MAX.unsigned_abs(), 0..=999, 0..=999, 0..=999],
        contributors in prop::collection::vec(contributor(), 0..10),
    ) -> (Alerted, Timestamp) {
        band.sort_unstable();
        let [low, expected, high] = band.map(u64::from);
        let meter = if requests { Meter::Requests } else { Meter::Evaluations };
        let kind = if drop { AlertKind::Drop } else { AlertKind::Burst };
        let seen_at = since.plus_seconds(seconds);
        let [observed, percent] = [observed, percent].map(|count| is_known.then_some(count));
        (Alerted {
            of, meter, kind, said, since, seen_at, observed, expected, low, high, percent, excess, peak,
            is_learning, contributors,
        }, at)
    }
}

prop_compose! {
    fn entry()(
        announced in prop::option::of(time()),
        rows in prop::collection::vec(row(), 0..20),
        before in 0..1_000_000_000_000_000_000_u64,
        closing in prop::option::of((time(), time())),
        crossed in prop::collection::vec(crossed(), 0..4),
        (delivered, alerts_delivered) in (
            prop::option::of(0..=i64::MAX.unsigned_abs()), prop::option::of(0..=i64::MAX.unsigned_abs())
        ),
        alerted in prop::collection::vec(alerted(), 0..4),
    ) -> Entry {
        let position = |at: usize| Position::new(before + 1 + at as u64);
        let end = Position::new(before + rows.len() as u64);
        Entry {
            announced,
            rows: rows.into_iter().enumerate().map(|(at, row)| Row { position: position(at), ..row }).collect(),
            closing: closing.map(|(until, at)| Closing { until, at, end }),
            delivered: delivered.map(Position::new),
            crossings: (0..).zip(crossed).map(|(at, (crossed, crossed_at))| {
                Crossing { number: position(at), crossed, crossed_at }
            }).collect(),
            alerts: (0..).zip(alerted).map(|(at, (alerted, alerted_at))| {
                Alert { number: position(at), alerted, alerted_at }
            }).collect(),
            alerts_delivered: alerts_delivered.map(Position::new),
        }
    }
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written_in_however_many_pieces(
        entries in prop::collection::vec(entry(), 1..4),
        piece_bytes in prop_oneof![Just(1_usize), 1..5_000_usize, Just(PIECE_BYTES)],
    ) {
        let mut gathering = Gathering::default();
        for entry in entries {
            let records = encode_in(&entry, piece_bytes).unwrap();
            let (last, before) = records.split_last().unwrap();
            for record in before {
                prop_assert!(record.len() < piece_bytes + (64 << 10));
                prop_assert_eq!(gathering.take(record), Ok(None));
            }
            if piece_bytes == 1 {
                prop_assert_eq!(records.len(), entry.rows.len().max(1));
            }
            prop_assert_eq!(gathering.take(last), Ok(Some(entry)));
            prop_assert!(gathering.is_empty());
        }
    }

    #[test]
    fn whatever_a_record_says_it_is_read_or_refused(record in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Gathering::default().take(&record).is_err());
    }

    #[test]
    fn a_record_that_was_cut_is_refused(entry in entry(), cut in any::<prop::sample::Index>()) {
        let record = encode(&entry).unwrap().remove(0);
        prop_assert!(Gathering::default().take(&record[..cut.index(record.len())]).is_err());
    }
}

/// As it lies in topics: it is read for ever.
const RECORD: &str = r#"{"v":1,"piece":0,"more":false,"rows":[{"position":"7","customer":"acme","project":"web","environment":"production","meter":"evaluations","hour":"2026-11-21T17:00:00Z","revision":2,"count":"9223372036854775807","previous":"5","correction":true,"complete":false,"missing":[3,7],"closed_at":"2026-11-21T18:01:00.500Z"}],"closing":{"until":"2026-11-21T18:00:00Z","at":"2026-11-21T18:01:00Z","end":"7"}}"#;

#[test]
fn records_of_version_1_are_read_and_written_like_this() {
    let entry = Gathering::default().take(RECORD.as_bytes()).unwrap().unwrap();
    assert_eq!(entry.rows[0].count, i64::MAX.unsigned_abs());
    assert_eq!(entry.closing.unwrap().end, Position::new(7));
    assert_eq!(String::from_utf8(encode(&entry).unwrap().remove(0)).unwrap(), RECORD);
}

#[test]
fn what_cannot_be_is_refused_with_a_sentence() {
    let wrong = [
        ("\"v\":1", "\"v\":4", "version 4 and this program knows 3: a newer flagmeter wrote it"),
        ("\"more\"", "\"less\"", "unknown field `less`"),
        ("\"piece\":0", "\"piece\":1", "it is piece 1 of an entry where 0 comes next"),
        ("\"more\":false", "\"more\":true", "a frontier stands in the middle"),
        ("\"5\"", "\"05\"", "writes in another way"),
        ("\"5\"", "5", "invalid type"),
        ("\"5\"", "\"9223372036854775807\"", "row 7 counts no more"),
        ("\"9223372036854775807\"", "\"9223372036854775808\"", "row 7 counts no more"),
        ("\"position\":\"7\"", "\"position\":\"0\"", "stands before the first"),
        ("\"position\":\"7\"", "\"position\":\"9999999999999999999\"", "is no position"),
        ("evaluations", "rejected", "nobody is billed for"),
        ("T17:00:00Z", "T17:00:00+00:00", "writes in another way"),
        ("T17:00:00Z", "T17:30:00Z", "is not of an hour"),
        ("\"revision\":2", "\"revision\":1", "is not the revision"),
        ("\"correction\":true", "\"correction\":false", "no correction"),
        ("[3,7]", "[7,3]", "in order"),
        ("[3,7]", "[3,1024]", "cannot be read"),
    ];
    for (from, to, says) in wrong {
        let record = RECORD.replacen(from, to, 1);
        assert_ne!(record, RECORD, "{from}");
        let refused = Gathering::default().take(record.as_bytes()).unwrap_err();
        assert!(refused.contains(says), "{to}: {refused}");
    }
}

/// As it lies in topics: it is read for ever.
const CROSSING: &str = r#"{"v":2,"piece":0,"more":false,"rows":[],"crossings":[{"number":"3","customer":"acme","meter":"evaluations","period":"2026-10-31T23:00:00Z","percent":80,"hard":true,"included":"1000","used":"800","crossed_at":"2026-11-21T18:01:00.500Z"}]}"#;

#[test]
fn records_of_version_2_are_read_and_written_like_this() {
    let entry = Gathering::default().take(CROSSING.as_bytes()).unwrap().unwrap();
    let crossing = &entry.crossings[0];
    assert_eq!((crossing.number, crossing.crossed.used), (Position::new(3), 800));
    // It is told to others by this name, for ever.
    assert_eq!(crossing.crossed.id(), "crossing_59e9e50a5f8204812521b83206117d72");
    assert_eq!(String::from_utf8(encode(&entry).unwrap().remove(0)).unwrap(), CROSSING);
    let delivered = r#"{"v":2,"piece":0,"more":false,"rows":[],"delivered":"3"}"#;
    let entry = Gathering::default().take(delivered.as_bytes()).unwrap().unwrap();
    assert_eq!(entry, Entry { delivered: Some(Position::new(3)), ..Entry::default() });
    assert_eq!(String::from_utf8(encode(&entry).unwrap().remove(0)).unwrap(), delivered);
    for (from, to, says) in [
        ("\"v\":2", "\"v\":1", "where none may"),
        ("\"more\":false", "\"more\":true", "where none may"),
        ("\"800\"", "\"799\"", "was not crossed"),
        ("\"number\":\"3\"", "\"number\":\"0\"", "does not follow"),
        ("\"number\":\"3\"", "\"number\":\"9999999999999999999\"", "is no place"),
        ("evaluations", "received", "nobody is billed for"),
        ("\"hard\"", "\"soft\"", "unknown field"),
    ] {
        let record = CROSSING.replacen(from, to, 1);
        assert_ne!(record, CROSSING, "{from}");
        let refused = Gathering::default().take(record.as_bytes()).unwrap_err();
        assert!(refused.contains(says), "{to}: {refused}");
    }
}

/// As it lies in topics: it is read for ever.
const ALERT: &str = r#"{"v":3,"piece":0,"more":false,"rows":[],"alerts":[{"number":"3","customer":"acme","project":"web","environment":"production","flag":"checkout","meter":"evaluations","kind":"burst","said":"began","since":"2026-11-21T18:00:00Z","seen_at":"2026-11-21T18:02:00Z","observed":"500","expected":"100","low":"78","high":"122","percent":"500","excess":"800","peak":"500","learning":true,"contributors":[{"part":"flag","name":"checkout","count":"900","before":"100"},{"part":"sdk","count":"1000","before":"200"}],"alerted_at":"2026-11-21T18:02:01.500Z"}]}"#;

#[test]
fn records_of_version_3_are_read_and_written_like_this() {
    let (entry, mut record) =
        (Gathering::default().take(ALERT.as_bytes()).unwrap().unwrap(), ALERT.to_owned());
    let alert = &entry.alerts[0];
    assert_eq!((alert.number, alert.alerted.said), (Position::new(3), Said::Began));
    // It is told to others by this name, for ever.
    assert_eq!(alert.alerted.id(), "alert_3c3e76676dc2392abcf7b8cdcc76a6e3");
    assert_eq!(String::from_utf8(encode(&entry).unwrap().remove(0)).unwrap(), ALERT);
    for (left_out, of) in [
        (r#","flag":"checkout""#, "acme/web/production"),
        (r#","environment":"production""#, "acme/web"),
        (r#","project":"web""#, "acme"),
    ] {
        record = record.replacen(left_out, "", 1);
        let entry = Gathering::default().take(record.as_bytes()).unwrap().unwrap();
        assert_eq!(entry.alerts[0].alerted.of.to_string(), of);
        assert_eq!(String::from_utf8(encode(&entry).unwrap().remove(0)).unwrap(), record);
    }
    let delivered = r#"{"v":3,"piece":0,"more":false,"rows":[],"alerts_delivered":"3"}"#;
    let entry = Gathering::default().take(delivered.as_bytes()).unwrap().unwrap();
    assert_eq!(entry, Entry { alerts_delivered: Some(Position::new(3)), ..Entry::default() });
    assert_eq!(String::from_utf8(encode(&entry).unwrap().remove(0)).unwrap(), delivered);
    for (from, to, says) in [
        ("\"v\":3", "\"v\":2", "where none may"),
        ("\"more\":false", "\"more\":true", "where none may"),
        ("\"number\":\"3\"", "\"number\":\"0\"", "does not follow"),
        ("\"number\":\"3\"", "\"number\":\"9999999999999999999\"", "is no place"),
        ("\"low\":\"78\"", "\"low\":\"101\"", "beside its band"),
        ("18:00:00Z", "18:03:00Z", "began after it was seen"),
        ("\"burst\"", "\"rise\"", "an unknown word: rise"),
        ("\"began\"", "\"begins\"", "an unknown word: begins"),
        ("\"part\":\"sdk\"", "\"part\":\"os\"", "an unknown word: os"),
        (",\"environment\":\"production\"", "", "a part of what it does not name"),
        (",\"project\":\"web\"", "", "a part of what it does not name"),
        ("evaluations", "received", "nobody watches"),
        ("\"learning\"", "\"muted\"", "unknown field"),
    ] {
        let record = ALERT.replacen(from, to, 1);
        assert_ne!(record, ALERT, "{from}");
        let refused = Gathering::default().take(record.as_bytes()).unwrap_err();
        assert!(refused.contains(says), "{to}: {refused}");
    }
}
