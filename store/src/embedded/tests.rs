//! The embedded store against the contract, and what only it can show.

use std::{fs, sync::Arc};

use async_trait::async_trait;
use flagmeter_model::{Limits, ManualClock, Meter, Name, SeriesKey, Tier};
use rusqlite::Connection;
use tempfile::TempDir;

use super::{Config, EmbeddedStore};
use crate::{
    AxisChoice, Dimension, Error, Filter, Floors, Read, Result, Rolling, Store, TierChoice,
    conformance::{
        Harness, NODE_TIMEOUT_MS,
        fixture::{
            HOUR, Held, Seal, assert_agree, at, environment, flag, held, range, roll_up, series, totals_of,
            window, write,
        },
    },
};

struct Embedded {
    folder: TempDir,
    clock: ManualClock,
    store: Arc<dyn Store>,
}

impl Embedded {
    fn open(folder: TempDir, clock: ManualClock) -> Result<Self> {
        let config = Config {
            node_timeout_ms: NODE_TIMEOUT_MS,
            // Small enough that some checks begin with an empty cache.
            series_cached_max: 10,
            ..Config::new(folder.path().join("store.sqlite"))
        };
        let store = Arc::new(EmbeddedStore::open(config, Arc::new(clock.clone()))?);
        Ok(Self { folder, clock, store })
    }
}

#[async_trait]
impl Harness for Embedded {
    async fn new() -> Result<Self> {
        Self::open(tempfile::tempdir().unwrap(), ManualClock::at(at(0)))
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The file and its log of writes as they lie there, while the store is open: nothing gets a chance to be
    /// tidied up.
    async fn crash(&mut self) -> Result<()> {
        let left = tempfile::tempdir().unwrap();
        for name in ["store.sqlite", "store.sqlite-wal"] {
            fs::copy(self.folder.path().join(name), left.path().join(name)).unwrap();
        }
        *self = Self::open(left, self.clock.clone())?;
        Ok(())
    }
}

crate::store_conformance!(Embedded);

fn sql(harness: &Embedded, statement: &str) {
    Connection::open(harness.folder.path().join("store.sqlite")).unwrap().execute_batch(statement).unwrap();
}

/// An embedded store can be made to hold nothing where there was something only by hand.
#[tokio::test]
async fn a_window_whose_finer_windows_hold_nothing_is_removed() {
    let one = environment("one").unwrap();
    for by_name in [false, true] {
        let harness = Embedded::new().await.unwrap();
        let seal = Seal::new(1, 1).unwrap().count(&one, &flag("a").unwrap(), 0, 1);
        write(&*harness.store, &[seal]).await.unwrap();
        roll_up(&*harness.store, 0, HOUR).await.unwrap();
        sql(&harness, "DELETE FROM raw");
        for tier in Tier::ROLLED {
            assert_eq!(series(&*harness.store, &one, tier).await.unwrap().len(), 1);
            let rolling = if by_name {
                Rolling::Windows(vec![window(tier, 0, &one)])
            } else {
                Rolling::Range(tier, range(0, HOUR))
            };
            harness.store.roll(&rolling).await.unwrap();
            assert_eq!(series(&*harness.store, &one, tier).await.unwrap(), Held::new(), "{tier}");
        }
    }
}

#[tokio::test]
async fn a_damaged_block_is_said_and_stops_only_what_reads_it() {
    let harness = Embedded::new().await.unwrap();
    let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
    let seal = |seq, second| Seal::new(1, seq).unwrap().count(&one, &a, second, 1);
    write(&*harness.store, &[seal(1, 0), seal(2, HOUR)]).await.unwrap();
    let minutes = |from, to| Rolling::Range(Tier::Minute, range(from, to));
    // A series number that is far beyond any, then bytes that are no block at all.
    for block in ["01010103feffffff1f01", "01ff", "", "7a"] {
        sql(&harness, &format!("UPDATE raw SET block = x'{block}' WHERE seq = 1"));
        let error = harness.store.roll(&minutes(0, HOUR)).await.unwrap_err();
        assert!(matches!(error, Error::Damaged(_)), "{error}");
        assert!(!error.is_retryable());
    }
    assert_eq!(harness.store.roll(&minutes(HOUR, 2 * HOUR)).await.unwrap().windows, 1);
    write(&*harness.store, &[seal(1, 0)]).await.unwrap();
    assert_eq!(harness.store.roll(&minutes(0, HOUR)).await.unwrap().windows, 1, "written again, it is whole");
}

/// Ingest sets a record aside when a value in it is refused. That must not happen to good records because the file
/// beside them is damaged.
#[tokio::test]
async fn what_does_not_read_back_is_damage_and_never_the_records_fault() {
    let damages = [
        "UPDATE environments SET customer = char(10)",
        "UPDATE series SET name = char(10)",
        "UPDATE series SET variant = char(10)",
        "UPDATE series SET sdk = char(10)",
        "UPDATE progress SET node = 5000",
        "UPDATE progress SET watermark = -9223372036854775808",
        "UPDATE covered SET until = 9223372036854775807",
        "UPDATE standing SET minute_announced = 9223372036854775807",
        "UPDATE dirty SET start = start + 1",
        "UPDATE dead_letters SET found_at = 9223372036854775807",
    ];
    let one = environment("one").unwrap();
    for damage in damages {
        let mut harness = Embedded::new().await.unwrap();
        harness.store.announce(at(HOUR)).await.unwrap();
        let seal = |seq, count| {
            Seal::new(1, seq).unwrap().count(&one, &flag("a").unwrap(), 0, count).covering(0, 10)
        };
        write(&*harness.store, &[seal(1, 1), seal(2, u64::MAX >> 1)]).await.unwrap();
        sql(&harness, damage);
        // Nothing is in memory any more.
        harness.crash().await.unwrap();
        let store = &*harness.store;
        let outcomes = [
            write(store, &[seal(3, 1)]).await.err(),
            store.state().await.err(),
            store.marks(Tier::Minute, at(HOUR), 9).await.err(),
            store.roll(&Rolling::Range(Tier::Minute, range(0, HOUR))).await.err(),
            store.read(&question()).await.err(),
            store.dead_letters(None, 9).await.err(),
        ];
        let errors: Vec<_> = outcomes.into_iter().flatten().collect();
        assert!(!errors.is_empty(), "{damage}");
        assert!(errors.iter().all(|error| matches!(error, Error::Damaged(_))), "{damage}: {errors:?}");
    }
}

fn question() -> Read {
    Read {
        meter: Meter::Evaluations,
        edges: vec![at(0), at(HOUR)],
        filter: Filter::default(),
        group_by: vec![Dimension::Name],
        tiers: TierChoice::Cover,
        axis: AxisChoice::Any,
        groups_max: 10,
    }
}

impl Embedded {
    fn with(config: impl FnOnce(Config) -> Config) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::at(at(0)));
        let config = config(Config::new(folder.path().join("store.sqlite")));
        let store = Arc::new(EmbeddedStore::open(config, Arc::new(clock.clone())).unwrap());
        Self { folder, clock, store }
    }
}

fn named(meter: Meter, name: &str, variant: Option<&str>) -> SeriesKey {
    let variant = variant.map(|variant| Name::new(variant).unwrap());
    SeriesKey { meter, variant, ..flag(name).unwrap() }
}

#[tokio::test]
async fn too_many_series_fold_and_all_totals_stay_exact() {
    let harness = Embedded::with(|config| Config { series_per_environment_max: 16, ..config });
    let (store, one, other) = (&*harness.store, environment("one").unwrap(), Limits::OTHER);
    let mut seals = Vec::new();
    for seq in 0..10_u64 {
        let mut seal = Seal::new(1, seq).unwrap();
        for number in 0..5_u64 {
            let flag = format!("flag-{}", seq * 5 + number);
            for variant in [None, Some("on"), Some("off")] {
                seal = seal.count(&one, &named(Meter::Evaluations, &flag, variant), 0, number + 1);
            }
        }
        // Fates are always told apart.
        seal = seal.count(&one, &named(Meter::Rejected, &format!("reason-{seq}"), None), 0, 1);
        seals.push(seal);
    }
    let mut folded = 0;
    for seal in &seals {
        folded += write(store, std::slice::from_ref(seal)).await.unwrap().folded;
    }
    // 16 of 150 are told apart.
    assert_eq!(folded, 150 - 16);
    let (before, totals) = held(store, &one, Tier::Raw).await.unwrap();
    assert_eq!(totals[&0], [450, 0, 0, 0, 10]);
    assert_eq!(totals_of(&before), totals);
    let usage: Vec<_> = before.keys().filter(|(_, key)| key.meter.is_usage()).collect();
    assert_eq!(usage.iter().filter(|(_, key)| key.name.as_str() == other).count(), 2, "{usage:?}");
    assert!(usage.len() <= 16 + 16 / 8 + 2, "{usage:?}");
    assert_eq!(before.len() - usage.len(), 10);

    // In any order, and all in one step: everything stands where it stood.
    seals.reverse();
    assert_eq!(write(store, &seals).await.unwrap().folded, folded);
    assert_eq!(held(store, &one, Tier::Raw).await.unwrap().0, before);
    roll_up(store, 0, HOUR).await.unwrap();
    assert_agree(store, &one).await.unwrap();
}

#[tokio::test]
async fn what_is_counted_for_in_every_write_is_not_read_again_however_large_it_is() {
    let harness = Embedded::with(|config| Config { series_cached_max: 2, ..config });
    let store = &*harness.store;
    let seal = |of: &str, seq| {
        let of = environment(of).unwrap();
        let names = ["a", "b", "c", "d"].map(|name| flag(name).unwrap());
        let seal = Seal::new(1, seq).unwrap();
        names.iter().fold(seal, |seal, key| seal.count(&of, key, 0, 1))
    };
    write(store, &[seal("one", 1)]).await.unwrap();
    // Whoever reads it again finds it damaged.
    sql(&harness, "UPDATE series SET name = char(10) || number");
    for seq in 2..5 {
        store.announce(at(HOUR)).await.unwrap();
        write(store, &[seal("one", seq)]).await.unwrap();
    }
    for seq in 5..7 {
        write(store, &[seal("two", seq)]).await.unwrap();
    }
    let error = write(store, &[seal("one", 7)]).await.unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "it was forgotten: {error}");
}

#[tokio::test]
async fn a_failed_write_leaves_nothing_and_the_next_one_is_whole() {
    let harness = Embedded::new().await.unwrap();
    let (one, a) = (environment("one").unwrap(), flag("a").unwrap());
    let seal = Seal::new(1, 1).unwrap().count(&one, &a, 0, 1).covering(0, 10);
    sql(
        &harness,
        "CREATE TRIGGER full BEFORE INSERT ON progress BEGIN SELECT raise(ABORT, 'as if full'); END",
    );
    assert!(write(&*harness.store, std::slice::from_ref(&seal)).await.is_err());
    assert!(harness.store.environments().await.unwrap().is_empty());
    assert_eq!(harness.store.state().await.unwrap(), crate::State::default());
    sql(&harness, "DROP TRIGGER full");
    write(&*harness.store, &[seal]).await.unwrap();
    assert_eq!(series(&*harness.store, &one, Tier::Raw).await.unwrap(), Held::from([((0, a), 1)]));
    assert_eq!(harness.store.state().await.unwrap().progress.len(), 1);
}

#[tokio::test]
async fn a_node_that_goes_on_takes_one_row_however_long() {
    let harness = Embedded::new().await.unwrap();
    for second in 0..20_u32 {
        let from = i64::from(second);
        let ahead = Seal::new(1, second.into()).unwrap().covering(from, from + 1);
        // And backwards, so that the start of the span moves as well.
        let behind = Seal::new(2, second.into()).unwrap().covering(-from - 1, -from);
        write(&*harness.store, &[ahead, behind]).await.unwrap();
    }
    let file = Connection::open(harness.folder.path().join("store.sqlite")).unwrap();
    let rows =
        |table| file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0));
    assert_eq!(rows("covered"), Ok(1));
    assert_eq!(rows("progress"), Ok(2));
}

#[tokio::test]
async fn a_second_opening_is_refused_and_the_file_is_free_after_the_first() {
    let Embedded { folder, clock, store } = Embedded::new().await.unwrap();
    let config = Config::new(folder.path().join("store.sqlite"));
    let open = || EmbeddedStore::open(config.clone(), Arc::new(clock.clone()));
    let error = open().unwrap_err();
    assert!(error.to_string().contains("another process is using it: stop that one"), "{error}");
    drop(store);
    open().unwrap();
}

#[tokio::test]
async fn the_file_shrinks_after_retention_and_stays_the_same_in_a_steady_state() {
    let harness = Embedded::new().await.unwrap();
    let seal = Seal::new(1, 1).unwrap().count(&environment("one").unwrap(), &flag("a").unwrap(), 0, 1);
    write(&*harness.store, &[seal]).await.unwrap();
    let mut sizes = Vec::new();
    for hour in 1..5 {
        let rows = format!(
            "WITH RECURSIVE rows(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 10000)
             INSERT INTO raw SELECT {} + n % 60 * 60, 1, 1, n, 0, 1, 0, 0, 0, 0, randomblob(2000) FROM rows;
             PRAGMA wal_checkpoint(TRUNCATE)",
            at(hour * HOUR).as_seconds()
        );
        sql(&harness, &rows);
        let file = harness.folder.path().join("store.sqlite");
        let full = fs::metadata(&file).unwrap().len();
        assert!(full > 20_000_000, "{full}");
        for tier in Tier::ROLLED {
            harness.store.advance(tier, at((hour + 1) * HOUR)).await.unwrap();
        }
        let floors = Floors { raw: Some(at((hour + 1) * HOUR)), ..Floors::default() };
        // As the downsampler does.
        while harness.store.retain(floors).await.unwrap().more {}
        sql(&harness, "PRAGMA wal_checkpoint(TRUNCATE)");
        sizes.push(fs::metadata(&file).unwrap().len());
    }
    assert!(sizes.iter().all(|&size| size < 5_000_000), "{sizes:?}");
}
