//! Whoever writes last, the answer is the same; whatever a name holds, it stays a name.

use flagmeter_model::{Environment, Meter, Name, SeriesKey, Tier};

use super::Influx;
use crate::{
    AxisChoice, Dimension, Filter, Read, Result, Row, ScanRow, Store, TierChoice,
    conformance::{
        Harness,
        fixture::{
            HOUR, MINUTE, QUARTER, Seal, assert_agree, at, environment, flag, roll_up, series, settle, write,
        },
    },
    influx::{
        InfluxStore,
        line::{LineBody, Lines},
        registers::{self, Register},
        schema::{COUNT, TOTAL, nanoseconds},
    },
};

/// What a downsampler writes that read the first minute when `count` was all there was.
fn old_minute(one: &Environment, key: &SeriesKey, count: u64) -> LineBody {
    let mut lines = Lines::default();
    lines.count(COUNT, one, key, count, nanoseconds(at(0)));
    lines.total(TOTAL, one, Meter::Evaluations, None, count, nanoseconds(at(0)));
    lines.finish()
}

async fn answers(store: &InfluxStore) -> Result<Vec<Vec<Row>>> {
    let mut answers = Vec::new();
    for tiers in [TierChoice::Cover, TierChoice::Only(Tier::Minute), TierChoice::Only(Tier::Hour)] {
        for axis in [AxisChoice::Series, AxisChoice::Totals] {
            let edges = if tiers == TierChoice::Only(Tier::Hour) {
                vec![at(0), at(HOUR)]
            } else {
                vec![at(0), at(MINUTE), at(QUARTER), at(HOUR)]
            };
            let read = Read {
                meter: Meter::Evaluations,
                edges,
                filter: Filter::default(),
                group_by: vec![Dimension::Customer],
                tiers,
                axis,
                groups_max: 10,
            };
            answers.push(store.read(&read).await?.rows);
        }
    }
    Ok(answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn a_downsampler_that_slept_between_reading_and_writing_changes_nothing() {
    let harness = Influx::new().await.unwrap();
    let store = &*harness.store;
    let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
    let seal = |seq, second, count| Seal::new(1, seq).unwrap().count(&one, &a, second, count);
    write(store, &[seal(1, 0, 5), seal(2, QUARTER, 100)]).await.unwrap();
    // It reads 5, and sleeps.
    roll_up(store, 0, HOUR).await.unwrap();
    write(store, &[seal(3, 10, 2)]).await.unwrap();
    write(store, &[seal(4, 20, 1)]).await.unwrap();
    settle(store).await.unwrap();
    assert_agree(store, &one).await.unwrap();
    let before = answers(store).await.unwrap();
    // What it writes is less than what is there; what another one writes is more, as it saw a part of it.
    for count in [5, 8, 7] {
        let minutes = store.buckets.tier(Tier::Minute);
        store.client.write(minutes, &old_minute(&one, &a, count)).await.unwrap();
        assert_eq!(answers(store).await.unwrap(), before, "after {count} was written late");
        assert_agree(store, &one).await.unwrap();
    }
    write(store, &[seal(5, 30, 1)]).await.unwrap();
    settle(store).await.unwrap();
    assert_agree(store, &one).await.unwrap();
}

/// Retention looked before the mark was there, and moved the floors after.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn a_late_count_that_a_floor_passes_once_it_is_marked_reaches_the_hours() {
    let harness = Influx::new().await.unwrap();
    let store = &*harness.store;
    let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
    write(store, &[Seal::new(1, 1).unwrap().count(&one, &a, 0, 5)]).await.unwrap();
    roll_up(store, 0, 2 * HOUR).await.unwrap();
    let written = write(store, &[Seal::new(1, 2).unwrap().count(&one, &a, 10, 2)]).await.unwrap();
    assert_eq!((written.dirty, written.past_retention), (1, 0));
    let floors =
        [Tier::Raw, Tier::Minute, Tier::Quarter].map(|tier| (Register::Floor(tier), nanoseconds(at(HOUR))));
    registers::raise(store, &floors).await.unwrap();
    settle(store).await.unwrap();
    assert_eq!(series(store, &one, Tier::Hour).await.unwrap()[&(0, a)], 7);
    assert_eq!(store.state().await.unwrap().dirty, 0);
}

/// Names that would be taken for other ones if tags were read as InfluxDB writes them in a row.
const NAMES: [&str; 6] = ["x,sdk=y", "x", "x\\", "' OR '1'='1", "a\"b, c", "%5C"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn names_that_look_like_tags_or_questions_are_told_apart() {
    let harness = Influx::new().await.unwrap();
    let store = &*harness.store;
    let one = environment("one").unwrap();
    let mut seal = Seal::new(1, 1).unwrap();
    let mut expected = Vec::new();
    for (count, (name, sdk)) in (1..).zip(NAMES.iter().flat_map(|name| [(name, None), (name, Some("y"))])) {
        let (name, sdk) = (Name::new(name).unwrap(), sdk.map(|sdk| Name::new(sdk).unwrap()));
        seal = seal.count(&one, &SeriesKey { sdk: sdk.clone(), ..SeriesKey::flag(name.clone()) }, 0, count);
        expected.push(Row { group: vec![Some(name), sdk], counts: vec![count] });
    }
    write(store, &[seal]).await.unwrap();
    let by_name = Read {
        meter: Meter::Evaluations,
        edges: vec![at(0), at(MINUTE)],
        filter: Filter::default(),
        group_by: vec![Dimension::Name, Dimension::Sdk],
        tiers: TierChoice::Cover,
        axis: AxisChoice::Any,
        groups_max: 100,
    };
    for row in &expected {
        let names = row.group.first().cloned().flatten().into_iter().collect();
        let filter = Filter { names, sdks: vec![row.group[1].clone()], ..Filter::default() };
        let answer = store.read(&Read { filter: filter.clone(), ..by_name.clone() }).await.unwrap();
        assert_eq!(answer.rows, std::slice::from_ref(row));
        assert_eq!(store.catalogue(Meter::Evaluations, &filter, 10).await.unwrap().len(), 1, "{row:?}");
    }
    expected.sort_unstable_by(|a, b| a.group.cmp(&b.group));
    assert_eq!(store.read(&by_name).await.unwrap().rows, expected);
    roll_up(store, 0, HOUR).await.unwrap();
    assert_eq!(store.read(&by_name).await.unwrap().rows, expected, "from minutes");
    assert_agree(store, &one).await.unwrap();
}

/// More buckets than one statement asks for, of several lengths, and more stretches that were rolled up again than
/// are left out one by one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs InfluxDB: ./services run cargo test -- --include-ignored"]
async fn long_charts_add_up_where_every_other_window_was_rolled_up_again() {
    let harness = Influx::new().await.unwrap();
    let store = &*harness.store;
    let one = environment("one").unwrap();
    let counted = |seq: u64, step: i64, name: &str| {
        let name = flag(name).unwrap();
        (0..240_i64).filter(|minute| minute % step == 0).fold(Seal::new(1, seq).unwrap(), |seal, minute| {
            seal.count(&one, &name, minute * MINUTE, minute.unsigned_abs() + 1)
        })
    };
    write(store, &[counted(1, 1, "a"), counted(2, 3, "b")]).await.unwrap();
    roll_up(store, 0, 4 * HOUR).await.unwrap();
    write(store, &[counted(3, 2, "a")]).await.unwrap();
    settle(store).await.unwrap();
    assert_agree(store, &one).await.unwrap();
    let minute = |minute: i64| at(minute * MINUTE);
    let edges = (0..=200).chain((203..240).step_by(3)).chain([240]).map(minute).collect::<Vec<_>>();
    let expected = |step: i64, again: i64| -> Vec<u64> {
        let of = |minute: i64| minute.unsigned_abs() + 1;
        let sum = |from: i64, to: i64| {
            let first = (from..to).filter(|minute| minute % step == 0).map(of).sum::<u64>();
            first + (from..to).filter(|minute| again > 0 && minute % again == 0).map(of).sum::<u64>()
        };
        let minutes: Vec<i64> =
            edges.iter().map(|edge| edge.millis_since(at(0)) / (MINUTE * 1_000)).collect();
        minutes.windows(2).map(|pair| sum(pair[0], pair[1])).collect()
    };
    let read = Read {
        meter: Meter::Evaluations,
        edges: edges.clone(),
        filter: Filter::default(),
        group_by: vec![Dimension::Name],
        tiers: TierChoice::Only(Tier::Minute),
        axis: AxisChoice::Any,
        groups_max: 9,
    };
    for tiers in [TierChoice::Only(Tier::Minute), TierChoice::Cover, TierChoice::Only(Tier::Raw)] {
        let rows = store.read(&Read { tiers, ..read.clone() }).await.unwrap().rows;
        let counts: Vec<_> = rows.into_iter().map(|row| row.counts).collect();
        assert_eq!(counts, [expected(1, 2), expected(3, 0)], "{tiers:?}");
    }
    let scan = crate::Scan {
        environment: one.clone(),
        tier: Tier::Minute,
        range: flagmeter_model::TimeRange::new(at(0), at(2 * MINUTE)),
    };
    let rows: Vec<ScanRow> = store.scan(&scan).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.totals[0]).collect::<Vec<_>>(), [3, 2]);
}
