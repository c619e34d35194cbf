//! `flagmeter doctor`: looks at all that a stage needs and at what runs, and says in plain words what is wrong and what
//! to do.
//!
//! It changes nothing, and goes on where something is wrong: one look tells everything. What it looks at: the
//! configuration, the data folder and its disk, the registry, the runtime flags, Kafka and InfluxDB with their topics, buckets, rights and
//! clocks, the processes that run, and the way of a count as a server sees it.

mod finding;
mod machine;
mod running;
mod servers;

use finding::{Finding, Report};

use crate::{
    Error, Result,
    config::{Config, SettingArgs},
    http::Url,
};

/// What `flagmeter doctor` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// Whose needs to look at
    #[arg(value_enum, default_value = "serve")]
    stage: Stage,
    /// A server of the API, to be asked for the way of a count
    #[arg(long, env = "FLAGMETER_URL")]
    url: Option<Url>,
    /// Operator's token for --url
    #[arg(long, env = "FLAGMETER_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Where a process tells its metrics; any number of times [default: as the configuration says]
    #[arg(long, value_name = "URL")]
    process: Vec<Url>,
    /// As one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingArgs,
}

/// Which stage's configuration it is: each needs other things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stage {
    Serve,
    Edge,
    Ingest,
    Downsampler,
    Queries,
}

impl Stage {
    /// Whether it has a data folder.
    const fn has_folder(self) -> bool {
        !matches!(self, Self::Ingest)
    }

    /// Whether it keeps what it acknowledged on its own disk.
    const fn has_journal(self) -> bool {
        matches!(self, Self::Serve | Self::Edge)
    }

    /// Whether it needs the registry.
    const fn has_registry(self) -> bool {
        matches!(self, Self::Serve | Self::Edge | Self::Queries)
    }

    /// Whether it works with the log in Kafka.
    const fn has_log(self) -> bool {
        matches!(self, Self::Edge | Self::Ingest)
    }

    /// Whether it works with the ledger in Kafka.
    const fn has_ledger(self) -> bool {
        matches!(self, Self::Downsampler | Self::Queries)
    }

    /// Whether it works with InfluxDB.
    const fn has_influx(self) -> bool {
        matches!(self, Self::Ingest | Self::Downsampler | Self::Queries)
    }
}

/// Looks at everything. [`Error::Unwell`] where something is wrong.
pub(crate) async fn run(args: DoctorArgs) -> Result<()> {
    let mut report = Report::new(args.json);
    match args.settings.load() {
        Ok((config, _)) => {
            report.tell(Finding::ok("configuration", "it can be read, and its settings fit each other"));
            look(&config, &args, &mut report).await;
        }
        Err(Error::Config(why)) => report.tell(Finding::wrong("configuration", why)),
        Err(error) => return Err(error),
    }
    match report.end()? {
        0 => Ok(()),
        wrong => Err(Error::Unwell { wrong }),
    }
}

async fn look(config: &Config, args: &DoctorArgs, report: &mut Report) {
    let stage = args.stage;
    if stage.has_folder() {
        machine::folder(config, stage.has_journal(), report);
    }
    if stage.has_registry() {
        report.tell(machine::registry(config));
    }
    machine::runtime_flags(config, report).await;
    if stage.has_log() {
        report.tell(servers::log(config).await);
    }
    if stage.has_ledger() {
        report.tell(servers::ledger(config).await);
    }
    if stage.has_influx() {
        servers::influx(config, report).await;
    }
    let own = running::own(config);
    for url in if args.process.is_empty() { &own } else { &args.process } {
        running::process(url, report).await;
    }
    running::pipeline(args.url.as_ref(), args.token.as_deref(), report).await;
}
