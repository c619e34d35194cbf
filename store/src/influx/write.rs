//! Raw points, and what follows from them.
//!
//! The order is what keeps counts from being lost. Environments and minutes are told before their first points. Then
//! the counts, then their totals; then the frontier and the floor are read, and what lies behind the frontier is
//! marked: either the roll-up that was announced sees the points, or the points see the announcement. Dead letters and
//! the nodes' progress come last, so that no watermark is stored before what it speaks of. Whatever fails, all of it is
//! repeated, and comes to the same points.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use flagmeter_model::{Environment, Meter, Tier, Timestamp, Window};
use futures_util::{
    StreamExt,
    stream::{self, FuturesUnordered},
};

use super::{
    InfluxStore,
    ahead::{Room, Stored},
    blocking,
    client::WriteFailure,
    letters::{self, Count},
    line::{LineBody, Lines},
    marks,
    plan::{Plan, Points, halves, lines},
    progress::{Memory, Told, took_too_long},
    registers::{self, Register, Registers},
    schema::{ENVIRONMENT, MINUTE, nanoseconds},
};
use crate::{DeadLetter, Error, NewMark, Result, Write, Written};

/// Environments and minutes that are remembered as told; beyond it they are told again.
const TOLD_MAX: usize = 100_000;

/// What was told before the first points of it.
#[derive(Debug, Default)]
pub(super) struct Announced {
    environments: HashSet<Environment>,
    minutes: HashSet<Window>,
}

/// Writes points, marks, dead letters and progress, in this order. The counts may be there already.
pub(super) async fn write(store: &InfluxStore, write: Arc<Write>) -> Result<Written> {
    let stored = match store.ahead.take(&write) {
        Some(stored) => stored,
        None => counts(store, &write, store.ahead.room()).await?,
    };
    let Stored { mut plan, refused, floor, began, .. } = stored;
    if !plan.slots.is_empty() {
        for (point, why) in &refused {
            plan.refuse(&write, *point, why);
        }
        let refused: Vec<Points> = refused.into_iter().map(|(point, _)| point).collect();
        plan = totals(store, plan, &write, refused).await?;
    }
    let mut written = Written {
        points: plan.points,
        past_retention: plan.past_retention,
        overflow: plan.overflow,
        ..Written::default()
    };
    if !plan.slots.is_empty() {
        written.dirty = mark(store, &mut plan, &write, floor).await?;
    }
    settle(store, plan, &write, began, &mut written).await?;
    Ok(written)
}

/// Writes the counts before it is their turn: wherever they stand among other writes, they are the same points, and
/// nothing tells that they are there.
pub(super) async fn ahead(store: &InfluxStore, write: &Arc<Write>) {
    let room = store.ahead.turn().await;
    match counts(store, write, room).await {
        Ok(stored) => store.ahead.keep(stored),
        Err(error) => tracing::debug!(%error, "counts could not be stored ahead of their turn"),
    }
}

/// Where raw points begin: what lies before is not stored any more.
async fn floor(store: &InfluxStore, now: Timestamp) -> Result<Option<Timestamp>> {
    let registers = match store.known() {
        unknown if unknown == Registers::default() => registers::read(store).await?,
        known => known,
    };
    let forgotten = store.config.forgotten(Tier::Raw, now).map(|at| at.ceil_to(Tier::Minute.seconds()));
    Ok(registers.floors().raw.max(forgotten))
}

/// Tells environments and minutes that were not told before by this process.
async fn announce(store: &InfluxStore, plan: &Plan, write: &Write) -> Result<()> {
    let (mut environments, mut minutes) = (plan.environments(write), plan.minutes(write));
    {
        let told = store.announced.lock();
        environments.retain(|environment| !told.environments.contains(*environment));
        minutes.retain(|minute| !told.minutes.contains(minute));
    }
    let (mut meta, mut raw) = (Lines::default(), Lines::default());
    for environment in &environments {
        let mut line = meta.line(ENVIRONMENT);
        line.environment(environment);
        line.integer("seen", 1);
        line.end(0);
    }
    for minute in &minutes {
        let mut line = raw.line(MINUTE);
        line.integer("seen", 1);
        line.end(nanoseconds(minute.start()));
    }
    let (meta, raw) = (meta.finish(), raw.finish());
    let minutes_told = async {
        match store.client.try_write(store.buckets.tier(Tier::Raw), &raw).await {
            // A minute that the server does not keep: neither will it take the points.
            Ok(()) | Err(WriteFailure::Refused(_)) => Ok(()),
            Err(WriteFailure::Failed(error)) => Err(error),
        }
    };
    tokio::try_join!(store.client.write(&store.buckets.meta, &meta), minutes_told)?;
    let mut told = store.announced.lock();
    if told.environments.len() > TOLD_MAX {
        told.environments.clear();
    }
    if told.minutes.len() > TOLD_MAX {
        told.minutes.clear();
    }
    told.environments.extend(environments.into_iter().cloned());
    told.minutes.extend(minutes);
    Ok(())
}

/// Tells what is told first, and writes the counts, several bodies at a time. When it returns, none is on its way any
/// more.
async fn counts(store: &InfluxStore, write: &Arc<Write>, room: Room<'_>) -> Result<Stored> {
    let began = store.clock.now();
    let floor = floor(store, began).await?;
    let plan = blocking({
        let write = Arc::clone(write);
        move || Ok(Plan::new(&write, floor))
    })
    .await?;
    let mut refused = Vec::new();
    if !plan.slots.is_empty() {
        announce(store, &plan, write).await?;
        refused = send_all(store, write, plan.pieces(store.config.body_lines_max), room).await?;
    }
    Ok(Stored { write: Arc::clone(write), plan, refused, floor, began })
}

/// Sends pieces as there is room for them, and gives the points that the server refuses. After a failure no further
/// one is sent.
async fn send_all(
    store: &InfluxStore,
    write: &Arc<Write>,
    pieces: Vec<Vec<Points>>,
    mut room: Room<'_>,
) -> Result<Vec<(Points, String)>> {
    let mut running = FuturesUnordered::new();
    let mut refused = Ok(Vec::new());
    let mut take = |done: Result<Vec<(Points, String)>>| match (&mut refused, done) {
        (Ok(all), Ok(more)) => all.extend(more),
        (Ok(_), Err(error)) => refused = Err(error),
        (Err(_), _) => {}
    };
    let mut is_well = true;
    for piece in pieces {
        let place = loop {
            tokio::select! {
                biased;
                Some(done) = running.next(), if !running.is_empty() => {
                    is_well &= Result::is_ok(&done);
                    take(done);
                }
                place = room.place() => break place,
            }
        };
        if !is_well {
            break;
        }
        running.push(async move {
            let _place = place;
            send(store, write, piece).await
        });
    }
    room.pass_on();
    while let Some(done) = running.next().await {
        take(done);
    }
    refused
}

/// Writes some counts. Where the server refuses a line, halves are tried until it is found.
async fn send(store: &InfluxStore, write: &Arc<Write>, points: Vec<Points>) -> Result<Vec<(Points, String)>> {
    let bucket = store.buckets.tier(Tier::Raw);
    let (mut waiting, mut refused) = (vec![points], Vec::new());
    while let Some(points) = waiting.pop() {
        let (body, points) = encoded(Arc::clone(write), points).await?;
        match store.client.try_write(bucket, &body).await {
            Ok(()) => {}
            Err(WriteFailure::Failed(error)) => return Err(error),
            Err(WriteFailure::Refused(why)) => match halves(&points) {
                Some(halves) => waiting.extend(halves),
                None => refused.extend(points.into_iter().map(|point| (point, why.clone()))),
            },
        }
    }
    Ok(refused)
}

async fn encoded(write: Arc<Write>, points: Vec<Points>) -> Result<(LineBody, Vec<Points>)> {
    blocking(move || Ok((lines(&write, &points).finish(), points))).await
}

/// Writes the totals of what was taken, several bodies at a time. When it returns, none is on its way any more.
async fn totals(store: &InfluxStore, plan: Plan, write: &Arc<Write>, refused: Vec<Points>) -> Result<Plan> {
    // A slot has a total for each meter at most.
    let slots_max = store.config.body_lines_max.div_ceil(Meter::ALL.len());
    let refused = Arc::new(refused);
    let pieces: Vec<Vec<Points>> = plan.slots.chunks(slots_max).map(<[Points]>::to_vec).collect();
    let sent = pieces.into_iter().map(|slots| send_totals(store, write, &refused, slots));
    let done: Vec<Result<()>> =
        stream::iter(sent).buffer_unordered(store.config.bodies_in_flight).collect().await;
    done.into_iter().collect::<Result<()>>()?;
    Ok(plan)
}

/// Writes the totals of some slots. Where the server refuses them, halves are tried: there may be too many. One slot that
/// is refused belongs to counts that were taken a moment ago: all of it is planned again, and what is refused by then is
/// set aside with its counts. Its totals alone are not: they would not agree with the counts any more.
async fn send_totals(
    store: &InfluxStore,
    write: &Arc<Write>,
    refused: &Arc<Vec<Points>>,
    slots: Vec<Points>,
) -> Result<()> {
    let mut waiting = vec![slots];
    while let Some(mut slots) = waiting.pop() {
        let (write, refused) = (Arc::clone(write), Arc::clone(refused));
        let body;
        (body, slots) =
            blocking(move || Ok((Plan::totals(&write, &slots, &refused).finish(), slots))).await?;
        match store.client.try_write(store.buckets.tier(Tier::Raw), &body).await {
            Ok(()) => {}
            Err(WriteFailure::Refused(_)) if slots.len() > 1 => {
                let second = slots.split_off(slots.len() / 2);
                waiting.extend([second, slots]);
            }
            Err(WriteFailure::Refused(why)) => {
                return Err(Error::Unavailable(format!(
                    "InfluxDB takes counts, but not their totals; the write is repeated: {why}"
                )));
            }
            Err(WriteFailure::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

/// Reads what was announced meanwhile, and marks the minutes that lie behind it. How many they are.
async fn mark(store: &InfluxStore, plan: &mut Plan, write: &Write, floor: Option<Timestamp>) -> Result<u64> {
    let registers = registers::read(store).await?;
    let late: Vec<NewMark> = registers.frontiers().minute.announced.map_or_else(Vec::new, |announced| {
        let late = plan.minutes_until(write, announced).into_iter();
        late.map(|(window, environment)| NewMark { window, environment: environment.clone() }).collect()
    });
    marks::mark(store, &late).await?;
    if let Some(passed) = registers.floors().raw.filter(|&raw| Some(raw) > floor) {
        plan.passed(write, passed);
    }
    Ok(late.len() as u64)
}

/// Stores dead letters, and how far the nodes have got.
async fn settle(
    store: &InfluxStore,
    plan: Plan,
    write: &Write,
    began: Timestamp,
    written: &mut Written,
) -> Result<()> {
    for letter in &write.dead_letters {
        put_letter(store, letter, Count::Replaced).await?;
    }
    // Before the progress: whoever sees a node must know how many partitions there are to wait for.
    if write.partitions > store.known().partitions() {
        registers::raise(store, &[(Register::Partitions, write.partitions.into())]).await?;
    }
    let partitions: BTreeSet<u32> = write.batches.iter().map(|record| record.partition).collect();
    if !partitions.is_empty() {
        // Taken out: it is put back when everything is stored, and asked for again when something fails.
        let mut memory = store.memory.lock().await;
        let mut kept = Memory::renewed(store, memory.take(), &partitions).await?;
        let (told, letters) = tell(store, plan, write, &mut kept, began)?;
        for (reason, letter) in &letters {
            put_letter(store, letter, Count::KeptIfUnknown).await?;
            *written.dead_letters.entry(*reason).or_default() += 1;
        }
        let (state, meta) = (told.state.finish(), told.meta.finish());
        store.client.write(&store.buckets.meta, &meta).await?;
        store.client.write(&store.buckets.state, &state).await?;
        if took_too_long(began, store.clock.now()) {
            return Err(Error::Unavailable("a write to InfluxDB took half an hour: it is repeated".into()));
        }
        *memory = Some(kept);
    }
    Ok(())
}

/// What the records say of their nodes, and the letters of what was set aside.
fn tell(
    store: &InfluxStore,
    mut plan: Plan,
    write: &Write,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<(Told, Vec<(&'static str, DeadLetter)>)> {
    let known = &mut memory.known;
    let before = known.covered().clone();
    let (mut changed, mut letters) = (BTreeSet::new(), Vec::new());
    for (position, record) in write.batches.iter().enumerate() {
        if let Some(refused) = plan.refused.remove(&position) {
            letters.extend(refused.into_dead_letter(record, known.may_be_repeat(record), now)?);
        }
        if known.apply(record, store.config.node_timeout_ms) {
            changed.insert((record.partition, record.batch.node));
        }
    }
    Ok((Told::new(&before, known, &changed, now), letters))
}

/// A body of its own, as a letter may be megabytes long.
async fn put_letter(store: &InfluxStore, letter: &DeadLetter, count: Count) -> Result<()> {
    let mut lines = Lines::default();
    letters::put(&mut lines, letter, count);
    store.client.write(&store.buckets.meta, &lines.finish()).await
}
