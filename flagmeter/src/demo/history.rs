//! Days of history, through the door that everybody uses.

use std::{f64::consts::PI, sync::Arc, time::Duration};

use flagmeter_model::{Slot, Timestamp};
use rand::{Rng as _, SeedableRng as _, rngs::SmallRng};
use tokio::task::JoinSet;

use super::cast::{ENTRIES, Role, roles};
use crate::{
    Error, Result,
    http::{Connection, Url},
    output::{LiveLine, grouped},
    send::{COUNT_MEAN, Door, Entry, Post},
};

/// One entry per flag and variant for so many seconds: the charts show no more, and it is quick.
const GRAIN_SECONDS: i64 = 300;
/// Of what is so new, charts show minutes.
const FINE_SECONDS: i64 = 12 * 3_600;
const FINE_GRAIN_SECONDS: i64 = 60;
/// How long a burst lasts.
const BURST_SECONDS: i64 = 1_200;
/// Entries of one post.
const ENTRIES_MAX: usize = 2_000;
/// For so long from the start code still asks for flags that are retired.
const RETIRED_AFTER_SECONDS: i64 = 86_400;
/// How often a post is repeated while the server asks to wait.
const TRIES: u32 = 100;

/// Posts the history of `[from, to)` of every environment, as if the fleet had been there with this rate.
pub(super) async fn fill(url: &Url, rate: f64, from: Timestamp, to: Timestamp) -> Result<()> {
    let mut posting = JoinSet::new();
    let posted = Arc::new(std::sync::atomic::AtomicU64::new(0));
    for (number, role) in roles().enumerate() {
        let (url, posted) = (url.clone(), Arc::clone(&posted));
        posting.spawn(async move {
            let mut connection = Connection::new(url.clone());
            for (part, entries) in points(role, rate, from, to, number).chunks(ENTRIES_MAX).enumerate() {
                let once = format!("history-{number}-{part}");
                let entries_posted = u64::try_from(entries.len()).unwrap_or(0);
                let post = Post::new(Door::Counts, role.environment.sdk, Some(once), entries.iter().copied());
                deliver(&mut connection, &url, role, &post).await?;
                posted.fetch_add(entries_posted, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(())
        });
    }
    let mut line = LiveLine::new();
    let mut tick = tokio::time::interval(Duration::from_millis(200));
    loop {
        tokio::select! {
            ended = posting.join_next() => match ended {
                None => break,
                Some(ended) => ended.unwrap_or(Err(Error::StageEnded("the history")))?,
            },
            _ = tick.tick() => {
                let posted = posted.load(std::sync::atomic::Ordering::Relaxed);
                line.show(&format!("filling in history since {from}: {} entries", grouped(posted)));
            }
        }
    }
    line.end();
    Ok(())
}

/// Posts until it is acknowledged.
async fn deliver(connection: &mut Connection, url: &Url, role: Role, post: &Post) -> Result<()> {
    let failed = |reason: String| Error::Http { url: format!("{url}/v1/counts"), reason };
    let mut last = String::new();
    for _ in 0..TRIES {
        let request = post.request(&url.authority, &role.key(), role.environment.sdk).map_err(failed)?;
        match connection.ask(request).await {
            Ok(answer) if answer.status == 202 => return Ok(()),
            Ok(answer) => {
                last = format!("answered {}: {}", answer.status, String::from_utf8_lossy(&answer.body));
            }
            Err(broken) => last = broken.reason,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(failed(last))
}

/// What one environment counted: a rhythm of days and weekends, noise, and now and then a burst.
fn points(role: Role, rate: f64, from: Timestamp, to: Timestamp, seed: usize) -> Vec<Entry<'static>> {
    let mut rng = SmallRng::seed_from_u64(u64::try_from(seed).unwrap_or(0));
    let mut entries = Vec::new();
    let mut at = from.floor_to(Slot::SECONDS);
    let mut burst_until = from;
    while at < to {
        let is_fine = at >= to.plus_seconds(-FINE_SECONDS);
        let grain = if is_fine { FINE_GRAIN_SECONDS } else { GRAIN_SECONDS };
        let chance = if is_fine { 1.0 / 2_000.0 } else { 1.0 / 400.0 };
        if role.environment.bursts && rng.random_bool(chance) {
            burst_until = at.plus_seconds(BURST_SECONDS);
        }
        let burst = if at < burst_until { 5.0 } else { 1.0 };
        let level = role.counts(rate, at, grain) * burst;
        for (index, flag) in role.project.flags.iter().enumerate() {
            let rank = rank(index);
            let evaluated = level / rank * rng.random_range(0.8..1.2);
            if flag.retired && at >= from.plus_seconds(RETIRED_AFTER_SECONDS) {
                continue;
            }
            // Each flag is on for another part of the users.
            let on_part = 0.9 / rank.sqrt();
            for (on, part) in [(true, on_part), (false, 1.0 - on_part)] {
                let count = whole(evaluated * part);
                if count > 0 {
                    entries.push(Entry { flag: flag.name, on, count, at: Some(at) });
                }
            }
        }
        at = at.plus_seconds(grain);
    }
    entries
}

/// The most used has rank 1.
fn rank(index: usize) -> f64 {
    f64::from(u32::try_from(index).unwrap_or(0)) + 1.0
}

impl Role {
    /// Counts of its most used flag in so many seconds of the history, as the fleet would make them at that time.
    fn counts(&self, rate: f64, at: Timestamp, seconds: i64) -> f64 {
        let flags = self.flags_in_use().count();
        let entries = rank(flags.min(ENTRIES)) - 1.0;
        #[expect(clippy::cast_precision_loss, reason = "some minutes")]
        let all = self.posts_per_second(rate, at) * seconds as f64 * entries * COUNT_MEAN;
        all / (0..flags).map(|index| 1.0 / rank(index)).sum::<f64>().max(1.0)
    }
}

/// How busy it is, 0.1 to 1: little at night, less at weekends.
pub(super) fn rhythm(at: Timestamp, hours_east: f64) -> f64 {
    let day_seconds = 86_400.0;
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 fit")]
    let local = at.as_seconds() as f64 + hours_east * 3_600.0;
    let hour = local.rem_euclid(day_seconds) / 3_600.0;
    // 1970-01-01 was a Thursday.
    let weekday = (local / day_seconds).floor().rem_euclid(7.0);
    let weekend = if (2.0..4.0).contains(&weekday) { 0.55 } else { 1.0 };
    let sun = (((hour - 7.0) / 15.0) * PI).sin();
    let awake = if (7.0..22.0).contains(&hour) { sun.max(0.0) } else { 0.0 };
    (0.1 + 0.9 * awake) * weekend
}

fn whole(number: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "kept between 0 and a million on the line itself"
    )]
    let whole = number.round().clamp(0.0, 1_000_000.0) as u64;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nights_and_weekends_are_quiet() {
        let at = |text: &str| rhythm(Timestamp::parse_rfc3339(text).unwrap(), 1.0);
        let (noon, night) = (at("2026-11-18T13:30:00Z"), at("2026-11-18T02:00:00Z"));
        assert!(noon > 0.9 && night < 0.2, "{noon} {night}");
        assert!(at("2026-11-21T13:30:00Z") < noon, "a Saturday");
    }

    #[test]
    fn history_lies_in_its_range_and_is_the_same_every_time() {
        let role = roles().next().unwrap();
        let from = Timestamp::from_seconds_clamped(1_795_176_000);
        let to = from.plus_seconds(86_400);
        let points = || points(role, 60.0, from, to, 7);
        let first = points();
        assert!(first.len() > 2_000, "{}", first.len());
        assert!(first.iter().all(|entry| entry.at.is_some_and(|at| from <= at && at < to)));
        let sum = |entries: Vec<Entry<'_>>| entries.iter().map(|entry| entry.count).sum::<u64>();
        assert_eq!(sum(first), sum(points()));
    }

    #[test]
    fn retired_flags_are_those_of_the_first_day() {
        let role = roles().next().unwrap();
        let from = Timestamp::from_seconds_clamped(1_795_176_000);
        let points = points(role, 60.0, from, from.plus_seconds(2 * 86_400), 7);
        let last = |name| points.iter().rfind(|entry| entry.flag == name).and_then(|entry| entry.at).unwrap();
        let (retired, used) = (last("spring-sale"), last("checkout-v2"));
        assert!(retired < from.plus_seconds(86_400) && used > from.plus_seconds(86_400), "{retired} {used}");
    }
}
