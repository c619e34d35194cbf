//! `flagmeter audit` at the command line.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use flagmeter_model::{Clock, SystemClock, TimeRange, Timestamp};
use flagmeter_store::embedded::EmbeddedStore;

use super::{Audit, Report};
use crate::{
    Error, Result,
    config::{SettingArgs, parse_duration},
    http::{Connection, Url},
    output::{self, LiveLine, grouped},
    send::{Sent, compare},
    serve::{arrived, folder::Folder, store_config},
};

/// What `flagmeter audit` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AuditArgs {
    /// From when on: RFC 3339, or back from now such as -24h [default: everything that is kept]
    #[arg(long, allow_hyphen_values = true)]
    from: Option<String>,
    /// Up to when: RFC 3339, or back from now such as -1h [default: now]
    #[arg(long, allow_hyphen_values = true)]
    to: Option<String>,
    /// Ask a running server, whose data folder is in use
    #[arg(long, env = "FLAGMETER_URL", requires = "token")]
    url: Option<Url>,
    /// Operator's token for --url
    #[arg(long, env = "FLAGMETER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Compare a running server with what `flagmeter send --record FILE` wrote
    #[arg(long, value_name = "FILE", requires = "url")]
    against: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Audits, and prints what it found.
pub(crate) async fn run(args: AuditArgs) -> Result<()> {
    let now = SystemClock.now();
    let moment = |text: Option<&str>, default| text.map_or(Ok(default), |text| parse_moment(text, now));
    let range = TimeRange::new(
        moment(args.from.as_deref(), Timestamp::EPOCH)?,
        moment(args.to.as_deref(), Timestamp::MAX)?,
    );
    let report = match (&args.url, args.token.as_deref()) {
        (Some(url), Some(token)) => {
            if let Some(path) = &args.against {
                return compare::compare(url, token, &Sent::read(path)?).await;
            }
            ask(url, token, range).await?
        }
        _ => read_folder(&args.settings, range, now).await?,
    };
    tell(&report)
}

async fn ask(url: &Url, token: &str, range: TimeRange) -> Result<Report> {
    output::note(format!("asking {url} to compare everything that it keeps"));
    let path = format!("/v1/audit?from={}&to={}", range.from, range.to);
    let body = Connection::new(url.clone()).get(&path, Some(token)).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Error::Http { url: format!("{url}{path}"), reason: error.to_string() })
}

async fn read_folder(settings: &SettingArgs, range: TimeRange, now: Timestamp) -> Result<Report> {
    let (config, _) = settings.load()?;
    let folder = Folder::take_existing(&config.data.path).map_err(|error| match error {
        Error::FolderInUse { path } => Error::AuditInUse { path },
        other => other,
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = Arc::new(EmbeddedStore::open(store_config(&config, &folder), Arc::clone(&clock))?);
    let arrived = arrived(&config, &folder, clock).await?;
    let mut line = LiveLine::new();
    let audit = Audit { store, range, now };
    let report = audit
        .run(|| arrived.clone(), |done, all| line.show(&format!("environments compared: {done} of {all}")))
        .await;
    line.end();
    Ok(report?)
}

fn tell(report: &Report) -> Result<()> {
    let mut customers: BTreeMap<&str, [u64; 5]> = BTreeMap::new();
    for fates in &report.fates {
        let sums = customers.entry(fates.environment.customer.as_str()).or_default();
        let row = [fates.received, fates.stored, fates.duplicate, fates.rejected, fates.in_flight];
        sums.iter_mut().zip(row).for_each(|(sum, count)| *sum = sum.saturating_add(count));
    }
    for (customer, [received, stored, duplicate, rejected, in_flight]) in customers {
        output::say(format!(
            "{customer}: received {} = stored {} + duplicate {} + rejected {}; in flight besides {}",
            grouped(received),
            grouped(stored),
            grouped(duplicate),
            grouped(rejected),
            grouped(in_flight)
        ));
    }
    if report.dead_letter_counts > 0 {
        output::say(format!("among the dead letters: {} counts", grouped(report.dead_letter_counts)));
    }
    if report.fates.iter().any(|fates| fates.in_flight > 0) {
        output::say("what is in flight is on disk, and a running server stores it");
    }
    for difference in &report.first_differences {
        output::say(difference);
    }
    let compared = format!(
        "{} environments, {} windows, {} series in them, {} windows waiting to be rolled up again",
        grouped(report.environments),
        grouped(report.windows),
        grouped(report.points),
        grouped(report.waiting)
    );
    if report.agrees() {
        let fates = match report.in_dead_letters {
            0 => "every count has a fate".to_owned(),
            counts => format!("every count has a fate but for {} among the dead letters", grouped(counts)),
        };
        output::say(format!("agrees: raw = 1m = 15m = 1h = totals, and {fates}: {compared}"));
        return Ok(());
    }
    output::say(format!("compared {compared}"));
    Err(Error::Disagreement(format!("{} differences; the first stand above", grouped(report.differences))))
}

/// RFC 3339, `now`, or a time back from now such as `-24h`.
fn parse_moment(text: &str, now: Timestamp) -> Result<Timestamp> {
    if text == "now" {
        return Ok(now);
    }
    if let Some(back) = text.strip_prefix('-') {
        let back = parse_duration(back).map_err(|fix| Error::Usage(format!("{text:?} is no time: {fix}")))?;
        return Ok(now.plus_millis(i64::try_from(back.as_millis()).unwrap_or(i64::MAX).saturating_neg()));
    }
    Timestamp::parse_rfc3339(text).map_err(|error| Error::Usage(error.to_string()))
}
