//! `flagmeter demo`: a server with something to look at.
//!
//! Nothing in it is made up behind the server's back: days of history go in through `POST /v1/counts`, and a
//! fleet of clients that speak like SDKs do keeps counting while it runs.

mod cast;
mod fleet;
mod history;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use flagmeter_model::{Clock, SystemClock, Tier, Timestamp, low_watermark};
use flagmeter_queries::access::{NewToken, Role};
use tokio_util::sync::CancellationToken;

use self::fleet::Fleet;
use crate::{
    Error, Result,
    config::{Config, LogFilter, millis},
    http::Url,
    output::{self, LiveLine, grouped},
    process::{
        ServeArgs,
        folder::{Folder, registry_file, write_whole},
        start_logging,
    },
    send::{Live, Seen},
    serve::{Server, Start},
    signals::Signals,
};

/// Where a demo keeps its data unless told otherwise.
const FOLDER: &str = "./flagmeter-demo";
/// Tells a demo's folder, which may be emptied, from any other.
const MARKER: &str = "this-is-a-demo";

/// How long the fleet may take to finish what it has begun.
const HOME_WITHIN: Duration = Duration::from_secs(5);

/// What `flagmeter demo` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoArgs {
    /// Go on with the data of the last time instead of starting afresh
    #[arg(long)]
    keep: bool,
    /// Days of history, 0 to 5
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(0..=5))]
    days: u8,
    /// How lively the fleet is: posts of SDKs a second, at noon
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    #[command(flatten)]
    serve: ServeArgs,
}

impl DemoArgs {
    fn load(&self) -> Result<Config> {
        let mut serve = self.serve.clone();
        serve.process.settings.data.get_or_insert_with(|| PathBuf::from(FOLDER));
        let (mut config, sources) = serve.load()?;
        // A demo writes its registry: that is never the file that another configuration names.
        config.registry.file = PathBuf::new();
        // Log lines would break the live line, unless somebody asks for them.
        if sources.is_default("logging.level") {
            config.logging.level = LogFilter::errors();
        }
        Ok(config)
    }
}

/// Fills in the history, lets the fleet loose, and shows what flows until a signal comes.
pub(crate) async fn run(args: DemoArgs) -> Result<()> {
    let started = Instant::now();
    let config = args.load()?;
    start_logging(&config, "demo")?;
    let mut signals = Signals::listen()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    let (folder, fresh) = prepare(&config, args.keep, now)?;
    let from = now.plus_seconds(-86_400 * i64::from(args.days)).floor_to(Tier::Hour.seconds());
    let covers_from = (fresh && args.days > 0).then_some(from);
    let server = Start { config, folder, clock: Arc::clone(&clock), covers_from }.server().await?;
    output::say(server.greeting());
    let url: Url = server.url().parse().map_err(Error::Usage)?;

    let quit = CancellationToken::new();
    let shown = {
        let mut show = std::pin::pin!(async {
            if fresh && args.days > 0 {
                output::note(format!("filling in {} days of history through POST /v1/counts", args.days));
                let filled = async {
                    history::fill(&url, f64::from(args.rate), from, now).await?;
                    settle(&server, clock.now()).await
                };
                match quit.run_until_cancelled(filled).await {
                    Some(filled) => filled?,
                    None => return Ok(()),
                }
            }
            let token = server.tokens().create(operator(), "demo")?.text;
            output::say(addresses(&server.url(), &token, started.elapsed()));
            let live = Arc::new(Live::default());
            let fleet = Fleet::start(&url, f64::from(args.rate), &clock, &live, &quit);
            flow(&server, &live, clock.as_ref(), &quit).await?;
            output::note("stopping: the fleet goes home");
            fleet.finish().await;
            Ok(())
        });
        tokio::select! {
            shown = &mut show => shown,
            () = server.until_told_to_stop(&mut signals) => {
                quit.cancel();
                // A server that has lost a stage may keep the fleet waiting.
                tokio::time::timeout(HOME_WITHIN, show).await.unwrap_or(Ok(()))
            }
        }
    };
    server.stop(&mut signals).await?;
    shown
}

/// Takes the folder, and empties it unless it is to be kept. Whether it is empty now.
fn prepare(config: &Config, keep: bool, now: Timestamp) -> Result<(Folder, bool)> {
    let path = &config.data.path;
    let marker = path.join(MARKER);
    let used = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    if used && !marker.exists() {
        return Err(Error::Config(format!(
            "{} is not a demo's folder and will not be emptied: choose another with --data",
            path.display()
        )));
    }
    let folder = Folder::take(path)?;
    let failed = |reason| Error::File { path: path.clone(), reason };
    let fresh = !keep || !registry_file(config).exists();
    if fresh {
        empty(path).map_err(failed)?;
        write_whole(&marker, "`flagmeter demo` empties this folder whenever it starts.\n").map_err(failed)?;
        write_whole(&registry_file(config), &cast::registry(now.to_chrono().date_naive())).map_err(failed)?;
    }
    Ok((folder, fresh))
}

/// Removes what servers make; the lock is held and the version stands.
fn empty(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let stays = ["lock", "version", MARKER].iter().any(|name| entry.file_name() == *name);
        if !stays && entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn operator() -> NewToken {
    NewToken { role: Role::Operator, note: Some("for a look at the demo".into()), expires_at: None }
}

/// Waits until the history is stored and rolled up, showing how far that is.
async fn settle(server: &Server, until: Timestamp) -> Result<()> {
    let mut shown = LiveLine::new();
    loop {
        let state = server.store().state().await?;
        let stored = until_when(server, &state).is_some_and(|at| at >= until);
        let rolled = Tier::ROLLED.iter().zip(state.dirty_first).all(|(&tier, dirty)| {
            // Marks beyond the frontier wait for their windows to be over.
            let whole = state.frontiers.whole(tier);
            whole.is_some_and(|whole| dirty.is_none_or(|dirty| dirty >= whole))
        });
        if stored && rolled {
            shown.end();
            return Ok(());
        }
        shown.show(&format!("rolling up: {} windows to go", grouped(state.dirty)));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everything before this is stored.
fn until_when(server: &Server, state: &flagmeter_store::State) -> Option<Timestamp> {
    let timeout = millis(server.config().downsampler.node_timeout);
    low_watermark(&state.progress, state.partitions, timeout).at
}

/// The live line, until it is told to stop.
async fn flow(server: &Server, live: &Live, clock: &dyn Clock, quit: &CancellationToken) -> Result<()> {
    let mut shown = LiveLine::new();
    let mut before = Seen::default();
    while quit.run_until_cancelled(tokio::time::sleep(Duration::from_secs(1))).await.is_some() {
        let (now, state) = (live.seen(), server.store().state().await?);
        let stored = until_when(server, &state).map_or("nothing yet".to_owned(), |at| {
            format!("{} s ago", clock.now().millis_since(at).max(0) / 1_000)
        });
        shown.show(&format!(
            "{:>4} posts/s {:>7} counts/s acknowledged, stored until {stored}, {} dirty, {} in all",
            grouped(now.posts - before.posts),
            grouped(now.acknowledged - before.acknowledged),
            grouped(state.dirty),
            grouped(now.acknowledged),
        ));
        before = now;
    }
    shown.end();
    Ok(())
}

fn addresses(url: &str, token: &str, took: Duration) -> String {
    format!(
        "\nReady after {:.1} s. Open {url}/ and sign in with\n\
         \n  {token}\n\
         \nor ask from here:\n\
         \n  by customer   curl -sS '{url}/v1/usage?from=-24h&to=now&resolution=1h&group_by=customer' \\\n                  \
         -H 'Authorization: Bearer {token}'\
         \n  every fate    curl -sS '{url}/v1/reconcile' -H 'Authorization: Bearer {token}'\n\
         \nThe API that reads: {url}/openapi.json. Ctrl-C stops it in order.\n",
        took.as_secs_f64()
    )
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    /// With `more` on the command line.
    fn config(path: &Path, more: &[&str]) -> Config {
        #[derive(clap::Parser)]
        struct Command {
            #[command(flatten)]
            demo: DemoArgs,
        }
        let data = ["demo", "--data", path.to_str().unwrap()];
        Command::parse_from(data.iter().chain(more)).demo.load().unwrap()
    }

    #[test]
    fn a_registry_that_is_configured_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let (path, configured) = (temp.path().join("demo"), temp.path().join("registry.toml"));
        fs::write(&configured, "# precious\n").unwrap();
        let setting = format!("registry.file={}", configured.display());
        let config = config(&path, &["--set", &setting]);
        prepare(&config, false, Timestamp::EPOCH).unwrap();
        assert_eq!(fs::read_to_string(&configured).unwrap(), "# precious\n");
        assert!(path.join("registry.toml").exists());
    }

    #[test]
    fn only_a_demos_own_folder_is_emptied() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("demo");
        let (folder, fresh) = prepare(&config(&path, &[]), false, Timestamp::EPOCH).unwrap();
        assert!(fresh);
        drop(folder);
        fs::write(path.join("store.sqlite"), "old").unwrap();
        let (folder, fresh) = prepare(&config(&path, &[]), true, Timestamp::EPOCH).unwrap();
        assert!(!fresh && path.join("store.sqlite").exists(), "kept");
        drop(folder);
        prepare(&config(&path, &[]), false, Timestamp::EPOCH).unwrap();
        assert!(!path.join("store.sqlite").exists(), "emptied");

        let other = temp.path().join("other");
        fs::create_dir(&other).unwrap();
        fs::write(other.join("precious"), "").unwrap();
        let error = prepare(&config(&other, &[]), false, Timestamp::EPOCH).unwrap_err();
        assert!(error.to_string().contains("not a demo's folder"), "{error}");
        assert!(other.join("precious").exists());
    }
}
