//! `flagmeter audit` at the command line.

use std::{collections::BTreeMap, env, path::PathBuf, sync::Arc, time::Duration};

use flagmeter_ledger::{Config as LedgerConfig, EmbeddedLedger};
use flagmeter_model::{Clock, SystemClock, TimeRange, Timestamp};
use flagmeter_store::embedded::EmbeddedStore;

use super::{Audit, NO_WINDOW, Report, has_window};
use crate::{
    Error, Result,
    config::{SettingArgs, millis, parse_duration},
    http::{Connection, Url},
    output::{self, LiveLine, grouped},
    process::{folder::Folder, settings},
    send::{Sent, compare},
    serve::arrived,
};

/// How long a server may take: it reads everything that it keeps.
const ANSWER_WITHIN: Duration = Duration::from_hours(1);

/// What `flagmeter audit` is asked for.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct AuditArgs {
    /// From when on: RFC 3339, or back from now such as -24h [default: everything that is kept]
    #[arg(long, allow_hyphen_values = true)]
    from: Option<String>,
    /// Up to when: RFC 3339, or back from now such as -1h [default: now]
    #[arg(long, allow_hyphen_values = true)]
    to: Option<String>,
    // The variable is not read by clap, to which it would be as good as the flag.
    #[arg(
        long,
        conflicts_with = "data",
        help = "Ask a running server, whose data folder is in use [env: FLAGMETER_URL, unless there is --data]"
    )]
    url: Option<Url>,
    /// Operator's token for --url
    #[arg(long, env = "FLAGMETER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Compare a running server with what `flagmeter send --record FILE` wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to", "data"])]
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
    if !has_window(range, now) {
        return Err(Error::Usage(format!("{NO_WINDOW}: widen --from and --to")));
    }
    let report = match (server(&args, env::var("FLAGMETER_URL").ok())?, &args.against) {
        (Some((url, token)), Some(path)) => {
            let sent = Sent::read(path)?;
            if sent.acknowledged() == 0 {
                return Err(Error::NothingToCompare(path.clone()));
            }
            return compare::compare(&url, token, &sent).await;
        }
        (Some((url, token)), None) => ask(&url, token, range).await?,
        (None, Some(_)) => {
            return Err(Error::Usage("--against holds a running server: name it with --url".into()));
        }
        (None, None) => read_folder(&args.settings, range, now).await?,
    };
    tell(&report)
}

/// Which server to ask, and with which token; `None` for a data folder.
fn server(args: &AuditArgs, variable: Option<String>) -> Result<Option<(Url, &str)>> {
    let named = match (&args.url, variable) {
        (Some(url), _) => Some(url.clone()),
        (None, Some(text)) if args.settings.data.is_none() && !text.is_empty() => {
            Some(text.parse().map_err(|fix| Error::Usage(format!("FLAGMETER_URL is {text:?}: {fix}")))?)
        }
        _ => None,
    };
    let Some(url) = named else { return Ok(None) };
    let token = args.token.as_deref().ok_or_else(|| {
        Error::Usage(format!("{url} asks for a token: give an operator's with --token or FLAGMETER_TOKEN"))
    })?;
    Ok(Some((url, token)))
}

async fn ask(url: &Url, token: &str, range: TimeRange) -> Result<Report> {
    output::note(format!("asking {url} to compare everything that it keeps"));
    let path = format!("/v1/audit?from={}&to={}", range.from, range.to);
    let body = Connection::with_patience(url.clone(), ANSWER_WITHIN).get(&path, Some(token)).await?;
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
    let store = Arc::new(EmbeddedStore::open(settings::store_config(&config, &folder), Arc::clone(&clock))?);
    let arrived = arrived(&config, &folder, clock).await?;
    let mut line = LiveLine::new();
    let ledger = EmbeddedLedger::open(&LedgerConfig { path: folder.ledger() })?;
    let audit = Audit { store, ledger: Some(Arc::new(ledger)), range, now };
    let report = audit
        .run(|| arrived.clone(), |done, all| line.show(&format!("environments compared: {done} of {all}")))
        .await;
    line.end();
    Ok(report?)
}

fn tell(report: &Report) -> Result<()> {
    let mut customers: BTreeMap<&str, ([u64; 4], Option<u64>)> = BTreeMap::new();
    for fates in &report.fates {
        let customer = fates.environment.customer.as_str();
        let (sums, in_flight) = customers.entry(customer).or_insert(([0; 4], Some(0)));
        let row = [fates.received, fates.stored, fates.duplicate, fates.rejected];
        sums.iter_mut().zip(row).for_each(|(sum, count)| *sum = sum.saturating_add(count));
        *in_flight = in_flight.zip(fates.in_flight).map(|(sum, count)| sum.saturating_add(count));
    }
    for (customer, ([received, stored, duplicate, rejected], in_flight)) in customers {
        output::say(format!(
            "{customer}: received {} = stored {} + duplicate {} + rejected {}; {}",
            grouped(received),
            grouped(stored),
            grouped(duplicate),
            grouped(rejected),
            in_flight.map_or_else(
                || "what waits at the edges is not seen from here".to_owned(),
                |count| format!("in flight besides {}", grouped(count))
            ),
        ));
    }
    if report.dead_letter_counts > 0 {
        output::say(format!("among the dead letters: {} counts", grouped(report.dead_letter_counts)));
    }
    if report.fates.iter().any(|fates| fates.in_flight > Some(0)) {
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
        let ledger = report.closed_until.map_or_else(String::new, |until| {
            format!(" = ledger ({} rows, closed until {until})", grouped(report.ledger_rows))
        });
        output::say(format!("agrees: raw = 1m = 15m = 1h = totals{ledger}, and {fates}: {compared}"));
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
        return Ok(now.plus_millis(millis(back).saturating_neg()));
    }
    Timestamp::parse_rfc3339(text).map_err(|error| Error::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        audit: AuditArgs,
    }

    fn parse(args: &[&str]) -> Result<AuditArgs, clap::Error> {
        Command::try_parse_from(["audit"].iter().chain(args)).map(|command| command.audit)
    }

    #[test]
    fn a_folder_that_is_named_beats_the_variable_and_not_the_flag() {
        let variable = || Some("http://meter:1".to_owned());
        let url = |args: &[&str]| {
            let args = parse(args).unwrap();
            server(&args, variable()).map(|named| named.map(|(url, _)| url.authority))
        };
        assert_eq!(url(&["--token", "t"]).unwrap().as_deref(), Some("meter:1"));
        assert_eq!(url(&["--token", "t", "--url", "http://other:2"]).unwrap().as_deref(), Some("other:2"));
        assert_eq!(url(&["--token", "t", "--data", "folder"]).unwrap(), None);
        assert!(matches!(url(&[]), Err(Error::Usage(_))), "a server wants a token");
        assert!(parse(&["--data", "folder", "--url", "http://other:2", "--token", "t"]).is_err());
        assert!(parse(&["--against", "sent.jsonl", "--from", "-1h"]).is_err());
    }
}
