//! `flagmeter send`: a load of real SDK requests.
//!
//! Times are those at which a post was *due*, not those at which a busy client got round to it: a server that
//! stalls shows in the latencies of all posts that had to wait.

pub(crate) mod compare;
mod door;
mod load;
mod record;
mod shape;
mod tally;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_model::{Clock, SystemClock, TimeRange};
use tokio_util::sync::CancellationToken;

use self::record::Record;
pub(crate) use self::{
    door::{Door, Entry, Post},
    load::{COUNT_MEAN, Load},
    record::Sent,
    shape::{Flags, Shape},
    tally::{Live, Seen},
};
use crate::{
    Error, Result,
    config::parse_duration,
    http::Url,
    output::{self, LiveLine, grouped},
    registry::secret,
    signals,
};

/// What `flagmeter send` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct SendArgs {
    /// Where to
    #[arg(long, default_value = "http://127.0.0.1:8080", env = "FLAGMETER_URL")]
    url: Url,
    /// Environment key; repeat it for several environments
    #[arg(long, required = true, env = "FLAGMETER_KEY", hide_env_values = true, value_name = "KEY")]
    key: Vec<String>,
    /// Which SDK to speak like
    #[arg(long, value_enum, default_value = "flagsmith-v1")]
    door: Door,
    /// Posts a second, or `max`: as fast as they are acknowledged
    #[arg(long, default_value = "100", value_parser = parse_rate)]
    rate: Rate,
    /// How the rate goes over the time
    #[arg(long, value_enum, default_value = "steady")]
    shape: Shape,
    /// How long
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    duration: Duration,
    /// Connections
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    clients: u32,
    /// Different flags, the n-th evaluated 1/n as often as the first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    flags: u32,
    /// Flags in one post
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    entries: u32,
    /// Name of the SDK in the series [default: one that no other load has]
    #[arg(long)]
    sdk: Option<String>,
    /// Write what was acknowledged, for `flagmeter audit --against FILE`
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Compare with /v1/usage at the end, all of it; needs a token
    #[arg(long, requires = "token")]
    compare: bool,
    /// Where --compare asks, if that is another address than where the load goes to: that of `flagmeter queries`
    #[arg(long, value_name = "URL", requires = "compare")]
    queries: Option<Url>,
    /// API token for --compare
    #[arg(long, env = "FLAGMETER_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

/// Posts a second; `None` is as fast as possible.
#[derive(Debug, Clone, Copy)]
struct Rate(Option<f64>);

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate(None));
    }
    let rate: f64 = text.parse().unwrap_or_default();
    if rate.is_finite() && rate > 0.0 {
        Ok(Rate(Some(rate)))
    } else {
        Err("write posts a second, such as 100 or 0.5, or max".into())
    }
}

/// Sends, reports, and compares if asked.
pub(crate) async fn run(args: SendArgs) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sdk = args.sdk.clone().unwrap_or_else(|| secret("flagmeter-send/"));
    let record = args.record.as_ref().map(|path| Record::create(path, &sdk)).transpose()?.map(Arc::new);
    let flags = Arc::new(Flags::zipf(args.flags as usize));
    let load = Load {
        url: args.url.clone(),
        door: args.door,
        keys: args.key,
        sdk: sdk.clone(),
        flags: Arc::clone(&flags),
        entries: args.entries as usize,
        rate: args.rate.0,
        shape: args.shape,
        clients: args.clients as usize,
        duration: args.duration,
        record: record.clone(),
    };
    output::note(format!("sending to {} for {:?} as {sdk}; Ctrl-C ends it early", args.url, args.duration));
    let (from, started) = (clock.now(), Instant::now());
    let (live, stop) = (Arc::new(Live::default()), CancellationToken::new());
    let mut signals = signals::Signals::listen()?;
    let mut shown = LiveLine::new();
    let mut work = std::pin::pin!(load.run(Arc::clone(&clock), Arc::clone(&live), stop.clone()));
    let mut before = Seen::default();
    let tally = loop {
        tokio::select! {
            tally = &mut work => break tally,
            () = signals.next(), if !stop.is_cancelled() => stop.cancel(),
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                let now = live.seen();
                shown.show(&format!(
                    "{:>4} s  {:>9} posts/s  {:>11} counts/s  {} troubles",
                    started.elapsed().as_secs(),
                    grouped(now.posts - before.posts),
                    grouped(now.acknowledged - before.acknowledged),
                    grouped(now.troubles),
                ));
                before = now;
            }
        }
    };
    shown.end();
    let Some(tally) = tally else {
        return Err(Error::System(std::io::Error::other("the histogram of latencies cannot be made")));
    };
    if let Some(record) = record {
        record.finish()?;
    }
    output::say(tally.report(started.elapsed()));
    if tally.total().acknowledged == 0 {
        return Err(Error::NothingAcknowledged);
    }
    match args.token {
        Some(token) if args.compare => {
            let names = (0..flags.len()).map(|flag| flags.name(flag).to_owned());
            let range = TimeRange::new(from, clock.now().plus_seconds(1));
            let sent = Sent { sdk, range, flags: names.zip(tally.flags).collect() };
            tokio::select! {
                compared = compare::compare(args.queries.as_ref().unwrap_or(&args.url), &token, &sent) => compared,
                () = signals.next() => Err(Error::ComparisonStopped),
            }
        }
        _ => Ok(()),
    }
}
