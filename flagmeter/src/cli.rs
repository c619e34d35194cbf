//! The command line.

use std::{future::Future, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[cfg(feature = "kafka")]
use crate::stage;
use crate::{
    Error, Result,
    audit::{self, AuditArgs},
    bursts::{self, BurstsCommand},
    config::{self, SettingArgs},
    demo::{self, DemoArgs},
    doctor::{self, DoctorArgs},
    flags::{self, FlagsCommand},
    mute::{self, MuteArgs},
    output,
    process::{ProcessArgs, ServeArgs},
    registry,
    send::{self, SendArgs},
    serve,
    store::{self, StoreCommand},
    token::{self, TokenCommand},
    top::{self, TopArgs},
    topic::TopicCommand,
};

/// Counts feature-flag evaluations, each one exactly once, from the SDK to the invoice.
#[derive(Debug, Parser)]
#[command(name = "flagmeter", version, args_conflicts_with_subcommands = true, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything in one process, with an embedded log and store (what flagmeter does without a command)
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Show a living pipeline: several customers, days of history, and a fleet of SDK clients
    #[command(after_help = DEMO_EXAMPLES)]
    Demo(DemoArgs),
    /// Run an edge node: the doors for SDKs, and seals into Kafka
    #[command(after_help = EDGE_EXAMPLES)]
    Edge(ServeArgs),
    /// Run an ingester: from Kafka into InfluxDB
    #[command(after_help = INGEST_EXAMPLES)]
    Ingest(ProcessArgs),
    /// Run a downsampler: minutes, quarters and hours in InfluxDB, and the ledger in Kafka
    #[command(after_help = DOWNSAMPLER_EXAMPLES)]
    Downsampler(ProcessArgs),
    /// Answer queries: the API and the web page over InfluxDB and the ledger
    #[command(after_help = QUERIES_EXAMPLES)]
    Queries(ServeArgs),
    /// Make and check the topics in Kafka
    #[command(after_help = TOPIC_EXAMPLES)]
    Topic {
        #[command(subcommand)]
        command: TopicCommand,
    },
    /// Make and check the buckets in InfluxDB
    #[command(after_help = STORE_EXAMPLES)]
    Store {
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Send a load of real SDK requests, and tell what was acknowledged
    #[command(after_help = SEND_EXAMPLES)]
    Send(SendArgs),
    /// Prove that all tiers agree and that every count has a fate
    #[command(after_help = AUDIT_EXAMPLES)]
    Audit(AuditArgs),
    /// Look at a deployment, and say in plain words what is wrong and what to do
    #[command(after_help = DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),
    /// Show live rates in the terminal: who counts how much, what changes, and bursts of the last hour
    #[command(after_help = TOP_EXAMPLES)]
    Top(TopArgs),
    /// Mute bursts and drops for a while, because of a launch or a load test: they are kept, and nobody is told
    #[command(after_help = MUTE_EXAMPLES)]
    Mute(MuteArgs),
    /// Replay counts of files through the rule that finds bursts
    #[command(after_help = BURSTS_EXAMPLES)]
    Bursts {
        #[command(subcommand)]
        command: BurstsCommand,
    },
    /// Look at runtime flags: flagmeter's own settings that change while it runs
    #[command(after_help = FLAGS_EXAMPLES)]
    Flags {
        #[command(subcommand)]
        command: FlagsCommand,
    },
    /// Make, list and revoke API tokens, beside a running server too
    #[command(after_help = TOKEN_EXAMPLES)]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Check a registry of customers, environments and keys
    #[command(after_help = REGISTRY_EXAMPLES)]
    Registry {
        #[command(subcommand)]
        command: RegistryCommand,
    },
    /// Print and check the configuration
    #[command(after_help = CONFIG_EXAMPLES)]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
}

#[derive(Debug, Subcommand)]
enum RegistryCommand {
    /// Say `ok` and how much is in it, or which line is wrong
    #[command(after_help = REGISTRY_EXAMPLES)]
    Check {
        /// The registry
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print every setting: what it means, its value, and where that comes from; a valid TOML file
    #[command(after_help = CONFIG_EXAMPLES)]
    Print(SettingArgs),
    /// Say `ok`, or what is wrong in one sentence
    #[command(after_help = CONFIG_EXAMPLES)]
    Check {
        /// The file: short for --config FILE
        file: Option<PathBuf>,
        #[command(flatten)]
        settings: SettingArgs,
    },
}

const EXAMPLES: &str = "\
Examples:
  flagmeter                                   everything, in ./flagmeter-data, on 127.0.0.1:8080
  flagmeter demo                              the same with something to look at
  flagmeter --data /var/lib/flagmeter --listen 0.0.0.0:8080
  flagmeter config print                      every setting with its explanation";

const SERVE_EXAMPLES: &str = "\
Examples:
  flagmeter serve
  flagmeter serve --data /var/lib/flagmeter --listen 0.0.0.0:8080
  flagmeter serve --set retention.raw=14d --set logging.format=json
  FLAGMETER_RETENTION_RAW=14d flagmeter serve
SIGTERM or Ctrl-C stops it in order; a second one at once. Nothing that was acknowledged is lost either way,
unless edge.ack is \"memory\".";

const DEMO_EXAMPLES: &str = "\
Examples:
  flagmeter demo
  flagmeter demo --keep                       go on with the data of the last time
  flagmeter demo --listen 127.0.0.1:9000";

const EDGE_EXAMPLES: &str = "\
Examples:
  flagmeter edge --data /var/lib/flagmeter --set edge.node=1 --set edge.region=eu-west --set kafka.brokers=kafka:9092
  FLAGMETER_EDGE_NODE=2 FLAGMETER_KAFKA_BROKERS=kafka:9092 flagmeter edge --listen 0.0.0.0:8080
Give each edge a number and a data folder of its own. SIGTERM stops it in order: it hands on what it holds.";

const INGEST_EXAMPLES: &str = "\
Examples:
  FLAGMETER_INFLUX_TOKEN=… flagmeter ingest --set kafka.brokers=kafka:9092 --set influx.url=http://influxdb:8086
  flagmeter ingest --set kafka.instance=ingest-1 --set influx.token_file=/run/secrets/influx_token
Run as many as you like, up to the number of partitions: they share these. It needs no data folder.";

const DOWNSAMPLER_EXAMPLES: &str = "\
Examples:
  FLAGMETER_INFLUX_TOKEN=… flagmeter downsampler --set kafka.brokers=kafka:9092 --set influx.url=http://influxdb:8086
  flagmeter downsampler --data /var/lib/flagmeter --set influx.token_file=/run/secrets/influx_token
A second one stands by: two at once do no harm. Its data folder holds a copy of the ledger in Kafka, which is made
again where it is gone.";

const QUERIES_EXAMPLES: &str = "\
Examples:
  FLAGMETER_INFLUX_TOKEN=… flagmeter queries --listen 0.0.0.0:8080 --set kafka.brokers=kafka:9092 \
    --set influx.url=http://influxdb:8086
  flagmeter queries --data /var/lib/flagmeter --set registry.file=/etc/flagmeter/registry.toml
`flagmeter token create operator --data DIR` makes a token in its data folder, also while it runs.";

const TOPIC_EXAMPLES: &str = "\
Examples:
  flagmeter topic create
  flagmeter topic check --set kafka.brokers=kafka-1:9092,kafka-2:9092";

const STORE_EXAMPLES: &str = "\
Examples:
  FLAGMETER_INFLUX_TOKEN=… flagmeter store init
  flagmeter store check --set influx.token_file=/run/secrets/influx_token";

const SEND_EXAMPLES: &str = "\
Examples:
  flagmeter send --key fm_env_… --rate 500 --duration 30s
  flagmeter send --key fm_env_… --rate max --clients 64 --door flagsmith-v2
  flagmeter send --key fm_env_… --door counts --shape burst --duration 2m --record sent.jsonl
  flagmeter send --key fm_env_… --compare --token fm_…
  flagmeter send --url http://edge-1:8080 --key fm_env_… --compare --queries http://queries:8080 --token fm_…";

const AUDIT_EXAMPLES: &str = "\
Examples:
  flagmeter audit                             the data folder of a stopped server
  flagmeter audit --from -24h
  flagmeter audit --url http://127.0.0.1:8080 --token fm_…
  flagmeter audit --url http://127.0.0.1:8080 --token fm_… --against sent.jsonl
The exit status is 1 when something does not agree; the first differences are printed.";

const DOCTOR_EXAMPLES: &str = "\
Examples:
  flagmeter doctor                            the data folder, and the process that works on it
  flagmeter doctor --url http://127.0.0.1:8080 --token fm_…
  flagmeter doctor edge --config /etc/flagmeter.toml --process http://edge-1:9464 --process http://edge-2:9464
  FLAGMETER_INFLUX_TOKEN=… flagmeter doctor ingest --set kafka.brokers=kafka:9092 --json
It changes nothing. The exit status is 1 when something is wrong.";

const TOP_EXAMPLES: &str = "\
Examples:
  flagmeter top --token-file ~/.flagmeter-token
  FLAGMETER_TOKEN=fm_… flagmeter top --url http://127.0.0.1:8080
  flagmeter top --by flag --customer acme
  flagmeter top --once --json | jq '.lines[] | select(.bursts != [])'
Keys: q quits, s sorts, / filters, p pauses, arrows scroll. Where stdout is no terminal it prints one table and ends.
NO_COLOR=1 leaves colours out.";

const MUTE_EXAMPLES: &str = "\
Examples:
  flagmeter mute acme --for 2h --reason 'load test'
  flagmeter mute acme/web/production --from 2026-11-23T18:00:00Z --to 2026-11-23T20:00:00Z --reason 'launch of the search'
  flagmeter mute --customer 'a/b' --project web --for 90m --reason 'names with slashes'
  flagmeter mute acme --for 1h --reason \"deploy $ID\" --key \"deploy-$ID\"
  flagmeter mute list
  flagmeter mute end mute_3c3e76676dc2392abcf7b8cdcc76a6e3
It asks a running server, with an operator's token in FLAGMETER_TOKEN or in a file. What goes on when a mute is over is
told then: docs/bursts.md.";

const BURSTS_EXAMPLES: &str = "\
Examples:
  flagmeter bursts replay counts.csv
  curl … | flagmeter bursts replay -";

const FLAGS_EXAMPLES: &str = "\
Examples:
  flagmeter flags list
  flagmeter flags check flags.json
  flagmeter flags evaluate flags.json log-compression --customer acme
What they are and how to roll one out: docs/runtime-flags.md.";

const TOKEN_EXAMPLES: &str = "\
Examples:
  flagmeter token create operator --note 'on call'
  flagmeter token create customer --customer acme --expires 90d
  flagmeter token list
  flagmeter token revoke 0123456789ab";

const REGISTRY_EXAMPLES: &str = "\
Examples:
  flagmeter registry check flagmeter-data/registry.toml";

const CONFIG_EXAMPLES: &str = "\
Examples:
  flagmeter config print > settings.toml      another name than the file that it reads
  flagmeter config check settings.toml";

/// Runs what the command line asks for.
pub(crate) fn run() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(format!("flagmeter: {error}"));
            ExitCode::from(error.exit_status())
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(args) => block_on(serve::run(args)),
        Command::Demo(args) => block_on(demo::run(args)),
        #[cfg(feature = "kafka")]
        Command::Edge(args) => block_on(stage::edge(args)),
        #[cfg(feature = "kafka")]
        Command::Ingest(args) => block_on(stage::ingest(args)),
        #[cfg(feature = "kafka")]
        Command::Downsampler(args) => block_on(stage::downsampler(args)),
        #[cfg(feature = "kafka")]
        Command::Queries(args) => block_on(stage::queries(args)),
        #[cfg(feature = "kafka")]
        Command::Topic { command } => block_on(crate::topic::run(command)),
        #[cfg(not(feature = "kafka"))]
        Command::Edge(_)
        | Command::Ingest(_)
        | Command::Downsampler(_)
        | Command::Queries(_)
        | Command::Topic { .. } => Err(Error::WithoutKafka),
        Command::Store { command } => block_on(store::run(command)),
        Command::Send(args) => block_on(send::run(args)),
        Command::Audit(args) => block_on(audit::run(args)),
        Command::Doctor(args) => block_on(doctor::run(args)),
        Command::Top(args) => block_on(top::run(args)),
        Command::Mute(args) => block_on(mute::run(args)),
        Command::Bursts { command } => bursts::run(command),
        Command::Flags { command } => flags::run(command),
        Command::Token { command } => token::run(command),
        Command::Registry { command: RegistryCommand::Check { file } } => registry::check(&file),
        Command::Config { command: ConfigCommand::Print(settings) } => {
            let (_, sources) = settings.load()?;
            output::say(config::print(&sources).trim_end());
            Ok(())
        }
        Command::Config { command: ConfigCommand::Check { file, mut settings } } => {
            settings.config = file.or(settings.config);
            settings.load()?;
            output::say("ok");
            Ok(())
        }
    }
}

/// Runs a command to its end. What still runs then is left behind: a command that must wait for its tasks does.
fn block_on(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Error::System)?;
    let ended = runtime.block_on(command);
    runtime.shutdown_background();
    ended
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples_in_its_help() {
        fn check(command: &clap::Command) {
            let name = command.get_name();
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.starts_with("Examples:\n"), "{name} shows no examples");
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn no_command_means_serve() {
        let cli = Cli::try_parse_from(["flagmeter", "--listen", "127.0.0.1:9000"]).unwrap();
        assert!(cli.command.is_none());
        assert!(Cli::try_parse_from(["flagmeter", "serve", "--listen", "127.0.0.1:9000"]).is_ok());
    }
}
