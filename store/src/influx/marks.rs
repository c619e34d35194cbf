//! Windows that must be rolled up again.
//!
//! Each marking is a point of its own: (environment, tier, writer, time, start). A writer is a process that runs once;
//! its times grow with each call, and hold the start of the window in their last digits. So no marking overwrites
//! another one. A token holds the writer and the time; clearing writes the very same point once more, with `open=0`.
//!
//! So that marks that were cleared long ago need not be read, `retain` sweeps: it announces up to where it is going to
//! look (`marks_sweeping`), looks, and if no mark is open there says so (`marks_swept`). Readers begin there. Whoever
//! marks looks at the announcement after the mark is stored, and marks again if it lies behind: either the sweeper
//! sees the mark, or the marker sees the sweeper.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicI64, Ordering},
};

use flagmeter_model::{Clock, Environment, Tier, TimeRange, Timestamp, Window};

use super::{
    InfluxStore, blocking,
    client::WriteFailure,
    csv::Row,
    line::Lines,
    ql::{ENVIRONMENT_TAGS, Where},
    registers::{self, Register},
    schema::{MARK, NS_PER_MS, source},
    tiers::columns,
};
use crate::{Error, Filter, Mark, NewMark, Result};

/// What the first value of an answer is called; the tier stands behind the last two.
const LABEL: &str = "mark";
const WAITING: &str = "waiting_";
const WINDOW: &str = "window_";
/// Windows that marks are asked for at a time, at first and at most.
const WINDOWS_FIRST: i64 = 8;
const WINDOWS_MAX: i64 = 1 << 20;
/// Markings of one window that are read at a time.
const ROWS_MAX: usize = 100_000;
/// Bits of a token that hold the writer.
const WRITER_BITS: u32 = 23;
/// 2020-01-01T00:00:00Z, where the times of tokens begin, in ms: so they last until 2089.
const TOKENS_FROM_MS: i64 = 1_577_836_800_000;
/// How often a mark is set again because of sweepers that are ahead.
const TRIES_MAX: usize = 5;

/// Who marks: one for each opening of a store.
#[derive(Debug)]
pub(super) struct Marker {
    writer: u32,
    /// The last time used, in ms since [`TOKENS_FROM_MS`].
    last_ms: AtomicI64,
    /// How many windows marks were last asked for at a time.
    windows: AtomicI64,
}

impl Marker {
    /// A marker that no other process is.
    pub(super) fn new() -> Self {
        Self {
            writer: rand::random_range(0..1 << WRITER_BITS),
            last_ms: AtomicI64::new(0),
            windows: AtomicI64::new(WINDOWS_FIRST),
        }
    }

    /// A token that was never given before, for all marks of one call.
    fn token(&self, now: Timestamp) -> Token {
        let now = now.as_millis() - TOKENS_FROM_MS;
        let next = |last: i64| Some(now.max(last.saturating_add(1)));
        let last = self.last_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap_or_default();
        Token { writer: self.writer, ms: now.max(last.saturating_add(1)) }
    }
}

/// Who marked, and in which call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    writer: u32,
    ms: i64,
}

impl Token {
    fn packed(self) -> u64 {
        (self.ms.cast_unsigned() << WRITER_BITS) | u64::from(self.writer)
    }

    fn unpacked(token: u64) -> Self {
        let writer = u32::try_from(token & ((1 << WRITER_BITS) - 1)).unwrap_or_default();
        Self { writer, ms: (token >> WRITER_BITS).cast_signed() }
    }

    /// The time of the point that marks a window, in nanoseconds: two windows of one token have two.
    fn time(self, start: Timestamp) -> i64 {
        let ms = self.ms.saturating_add(TOKENS_FROM_MS);
        ms.saturating_mul(NS_PER_MS).saturating_add(start.as_seconds() / 60 % NS_PER_MS)
    }

    fn of_point(writer: u32, time: i64) -> Self {
        Self { writer, ms: time.div_euclid(NS_PER_MS) - TOKENS_FROM_MS }
    }
}

/// Marks windows. Returns once no sweeper can have missed them.
pub(super) async fn mark(store: &InfluxStore, marks: &[NewMark]) -> Result<()> {
    if marks.iter().any(|mark| mark.window.tier() == Tier::Raw) {
        return Err(Error::Unanswerable("raw points are not rolled up, and so never marked".into()));
    }
    if marks.is_empty() {
        return Ok(());
    }
    let mut now = store.clock.now();
    for _ in 0..TRIES_MAX {
        let token = store.marker.token(now);
        let marked = |mark: &NewMark| (mark.window, mark.environment.clone(), token);
        put(store, marks.iter().map(marked).collect(), true).await?;
        let Some(sweeping) = registers::read(store).await?.get(Register::Sweeping) else { return Ok(()) };
        if sweeping <= token.time(Timestamp::EPOCH) {
            return Ok(());
        }
        let ahead = Timestamp::from_millis_clamped(sweeping / NS_PER_MS).plus_millis(1);
        now = store.clock.now().max(ahead);
    }
    Err(Error::Unavailable(
        "marks are swept faster than they can be set: check the clocks of the downsamplers".to_owned(),
    ))
}

/// Takes away markings that were read.
pub(super) async fn clear(store: &InfluxStore, marks: &[Mark]) -> Result<()> {
    let markings = marks.iter().flat_map(|mark| {
        let tokens = mark.tokens.iter().map(|&token| Token::unpacked(token));
        tokens.map(|token| (mark.window, mark.environment.clone(), token))
    });
    match put(store, markings.collect(), false).await {
        // The server takes nothing that is as old as what it forgets; of the rest it has taken what it was given.
        Err(WriteFailure::Refused(why)) => {
            tracing::debug!(why, "marks that InfluxDB forgets could not be cleared");
            Ok(())
        }
        cleared => Ok(cleared?),
    }
}

/// Writes the points of markings.
async fn put(
    store: &InfluxStore,
    markings: Vec<(Window, Environment, Token)>,
    is_open: bool,
) -> Result<(), WriteFailure> {
    let lines_max = store.config.body_lines_max;
    let body = move |markings: &[(Window, Environment, Token)]| {
        let mut lines = Lines::with_capacity(markings.len());
        for (window, environment, token) in markings {
            put_line(&mut lines, *window, environment, *token, is_open);
        }
        lines.finish()
    };
    let bodies = blocking(move || Ok(markings.chunks(lines_max).map(body).collect())).await;
    store.client.try_write_all(&store.buckets.state, bodies.map_err(WriteFailure::Failed)?).await
}

fn put_line(lines: &mut Lines, window: Window, environment: &Environment, token: Token, is_open: bool) {
    let mut line = lines.line(MARK);
    line.environment(environment);
    line.tag("tier", window.tier().name());
    line.number_tag("writer", u64::from(token.writer));
    line.integer("open", i64::from(is_open));
    line.integer("start", window.start().as_millis());
    line.end(token.time(window.start()));
}

/// Marks that are open, asked for what `select` says: a statement for each tier, the finer ones first. A parent is marked
/// before its child is cleared, so whoever sees the child cleared sees the parent marked.
fn statements(store: &InfluxStore, tiers: &[Tier], select: impl Fn(Tier) -> String, which: &str) -> String {
    let from = store.known().get(Register::Swept).unwrap_or_default();
    let source = source(&store.buckets.state, MARK);
    let one = |&tier: &Tier| {
        let select = select(tier);
        format!(
            "SELECT {select} FROM {source} WHERE time >= {from} AND \"tier\" = '{tier}' AND \"open\" = 1{which}"
        )
    };
    tiers.iter().map(one).collect::<Vec<_>>().join(";")
}

/// Asks how many marks wait, and where they begin and end. However many there are, the answer is short.
pub(super) fn waiting(store: &InfluxStore, tiers: &[Tier], filter: &Filter) -> String {
    let select = |tier| format!("count(\"start\") AS \"{WAITING}{tier}\", min(\"start\"), max(\"start\")");
    statements(store, tiers, select, &Where::environments_of(filter))
}

/// Asks which windows that begin in a range are marked: each once, whoever is meant by the filter and however often
/// it was marked.
pub(super) fn windows(store: &InfluxStore, filter: &Filter, range: TimeRange) -> String {
    if range.is_empty() {
        return String::new();
    }
    let select = |tier| format!("distinct(\"start\") AS \"{WINDOW}{tier}\"");
    let which = format!("{}{}", starting(range), Where::environments_of(filter));
    statements(store, &Tier::ROLLED, select, &which)
}

fn starting(range: TimeRange) -> String {
    let (from, to) = (range.from.as_millis(), range.to.as_millis());
    format!(" AND \"start\" >= {from} AND \"start\" < {to}")
}

/// What [`waiting`] and [`windows`] answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    /// Markings that are open.
    pub(super) count: u64,
    /// Where the first and the last marked window of each tier begin.
    ends: BTreeMap<Tier, (Timestamp, Timestamp)>,
    /// The marked windows that were asked for.
    pub(super) windows: Vec<Window>,
}

impl Waiting {
    /// Takes one row in. Whether it was one of these answers.
    pub(super) fn take(&mut self, row: &Row<'_>) -> Result<bool> {
        let label = row.label();
        let tier = |prefix| {
            let name: &str = label.strip_prefix(prefix)?;
            Tier::ROLLED.into_iter().find(|tier| tier.name() == name)
        };
        if let Some(tier) = tier(WAITING) {
            // The server finds each of the three by itself, while marks come and go: what was there all the time is
            // within the ends that it found, and one of them may be missing.
            let at = |value| row.number(value)?.map(|_| row.millis(value)).transpose();
            let (first, last) = (at(1)?, at(2)?);
            let count = row.number(0)?.unwrap_or_default();
            self.count = self.count.saturating_add(count.unsigned_abs());
            if let (Some(first), Some(last)) = (first.or(last), last.or(first)) {
                self.ends.insert(tier, (first.min(last), last.max(first)));
            }
        } else if let Some(tier) = tier(WINDOW) {
            self.windows.push(Window::starting(tier, row.millis(0)?).map_err(|_| damaged())?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Where the first window of a tier begins that is marked.
    pub(super) fn first(&self, tier: Tier) -> Option<Timestamp> {
        self.ends.get(&tier).map(|&(first, _)| first)
    }
}

fn damaged() -> Error {
    Error::Damaged("a mark that cannot be read".to_owned())
}

/// Markings of one tier, put together by window.
#[derive(Debug, Default)]
struct Gathered(BTreeMap<(Window, Environment), BTreeSet<u64>>);

impl Gathered {
    /// Takes one row of the answer to [`stretch`] in.
    fn take(&mut self, row: &Row<'_>, tier: Tier) -> Result<()> {
        let window = Window::starting(tier, row.millis(0)?).map_err(|_| damaged())?;
        let environment = row.environment(1)?;
        let writer = row.text(4).parse().map_err(|_| damaged())?;
        let token = Token::of_point(writer, row.nanoseconds()?).packed();
        self.0.entry((window, environment)).or_default().insert(token);
        Ok(())
    }

    /// The marks in the order of time and environment.
    fn into_marks(self) -> impl Iterator<Item = Mark> {
        self.0.into_iter().map(|((window, environment), tokens)| Mark {
            window,
            environment,
            tokens: tokens.into_iter().collect(),
        })
    }
}

/// The first marks of a tier whose windows end at or before `until`.
///
/// They are asked for a stretch at a time, from where they begin: as many windows as held about as many marks as were
/// wanted the last time.
pub(super) async fn first(
    store: &InfluxStore,
    tier: Tier,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Mark>> {
    let answer = match tier {
        Tier::Raw => return Ok(Vec::new()),
        tier => store.client.query(&waiting(store, &[tier], &Filter::default())).await?,
    };
    let mut waiting = Waiting::default();
    super::csv::visit(&answer, |row| waiting.take(row).map(drop))?;
    let Some(&(mut from, last)) = waiting.ends.get(&tier) else { return Ok(Vec::new()) };
    let end = until.floor_to(tier.seconds()).min(last.plus_seconds(tier.seconds()));
    let mut marks = Vec::new();
    while from < end && marks.len() < limit {
        let windows = store.marker.windows.load(Ordering::Relaxed);
        let to = from.plus_seconds(tier.seconds().saturating_mul(windows)).min(end);
        let (found, rows) = match stretch(store, tier, TimeRange::new(from, to), windows == 1).await {
            Err(Error::TooMany { .. }) if windows > 1 => {
                store.marker.windows.store(windows / 2, Ordering::Relaxed);
                continue;
            }
            found => found?,
        };
        marks.extend(found);
        let next = if rows > limit.saturating_mul(4) { windows / 2 } else { windows.saturating_mul(2) };
        store.marker.windows.store(next.clamp(1, WINDOWS_MAX), Ordering::Relaxed);
        from = to;
        if windows == 1 && rows >= ROWS_MAX {
            // There may be more of this window, which come before all later ones.
            break;
        }
    }
    marks.truncate(limit);
    Ok(marks)
}

/// The marks of the windows that begin in a stretch, and how many markings they are made of. Where it is one window, so
/// many at most: a marking that is not told is not cleared, and comes the next time.
async fn stretch(
    store: &InfluxStore,
    tier: Tier,
    range: TimeRange,
    is_one: bool,
) -> Result<(impl Iterator<Item = Mark>, usize)> {
    let select = |_| format!("\"start\" AS \"{LABEL}\"{}, \"writer\"", columns(&ENVIRONMENT_TAGS));
    let limit = if is_one { format!(" LIMIT {ROWS_MAX}") } else { String::new() };
    let question = statements(store, &[tier], select, &format!("{}{limit}", starting(range)));
    let answer = store.client.query(&question).await?;
    blocking(move || {
        let (mut gathered, mut rows) = (Gathered::default(), 0);
        super::csv::visit(&answer, |row| {
            rows += 1;
            gathered.take(row, tier)
        })?;
        Ok((gathered.into_marks(), rows))
    })
    .await
}

/// Moves `marks_swept` up to the first mark that is open, but not to what was marked in the last `age_ms`.
pub(super) async fn sweep(store: &InfluxStore, age_ms: i64) -> Result<()> {
    let swept = store.known().get(Register::Swept).unwrap_or_default();
    let source = source(&store.buckets.state, MARK);
    let first_open = |until: i64| {
        let source = &source;
        async move {
            let question = format!(
                "SELECT \"open\" AS \"{LABEL}\" FROM {source} \
                 WHERE time >= {swept} AND time < {until} AND \"open\" = 1 LIMIT 1"
            );
            let answer = store.client.query(&question).await?;
            let mut first = None;
            super::csv::visit(&answer, |row| {
                first = Some(row.nanoseconds()?);
                Ok(())
            })?;
            Ok::<_, Error>(first)
        }
    };
    let aged = store.clock.now().plus_millis(-age_ms).as_millis().saturating_mul(NS_PER_MS);
    let until = first_open(aged).await?.unwrap_or(aged);
    // A whole millisecond: the marks of one call stay together.
    let until = until - until.rem_euclid(NS_PER_MS);
    if until <= swept {
        return Ok(());
    }
    registers::raise(store, &[(Register::Sweeping, until)]).await?;
    if first_open(until).await?.is_none() {
        registers::raise(store, &[(Register::Swept, until)]).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_token_tells_its_points_and_its_points_tell_it(
            writer in 0..1_u32 << WRITER_BITS,
            ms in 0..1_i64 << 41,
            minute in 0..150_000_000_i64,
        ) {
            let token = Token { writer, ms };
            prop_assert_eq!(Token::unpacked(token.packed()), token);
            let time = token.time(Timestamp::from_seconds_clamped(minute * 60));
            prop_assert_eq!(Token::of_point(writer, time), token);
            prop_assert!(time >= token.time(Timestamp::EPOCH));
        }

        #[test]
        fn tokens_of_a_marker_grow_however_its_clock_jumps(clock in prop::collection::vec(0..10_000_i64, 1..40)) {
            let marker = Marker::new();
            let mut last = None;
            for at in clock {
                let token = marker.token(Timestamp::from_millis_clamped(TOKENS_FROM_MS + at)).packed();
                prop_assert!(Some(token) > last);
                last = Some(token);
            }
        }
    }

    #[test]
    fn marks_that_come_and_go_while_they_are_looked_at_are_no_damage() {
        let at = Timestamp::from_seconds_clamped;
        for (values, count, ends) in [
            ("2,60000,120000", 2, Some((60, 120))),
            ("0,60000,60000", 0, Some((60, 60))),
            (",60000,60000", 0, Some((60, 60))),
            ("1,,60000", 1, Some((60, 60))),
            ("1,60000,", 1, Some((60, 60))),
            ("1,120000,60000", 1, Some((60, 120))),
            ("1,,", 1, None),
        ] {
            let body = format!("name,tags,time,{WAITING}1m,min,max\nmark,,0,{values}\n");
            let mut waiting = Waiting::default();
            super::super::csv::visit(body.as_bytes(), |row| waiting.take(row).map(drop)).unwrap();
            let found = waiting.ends.get(&Tier::Minute).copied();
            assert_eq!(
                (waiting.count, found),
                (count, ends.map(|(from, to)| (at(from), at(to)))),
                "{values}"
            );
        }
    }

    #[test]
    fn windows_of_one_call_have_times_of_their_own() {
        let token = Token { writer: 7, ms: 9 };
        // Thirty days of minutes: more than can be late.
        let times: BTreeSet<_> =
            (0..43_200).map(|minute| token.time(Timestamp::from_seconds_clamped(minute * 60))).collect();
        assert_eq!(times.len(), 43_200);
    }
}
