//! The table of settings. A setting is declared here once: its section, name, type, default and explanation.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use flagmeter_edge::Ack;
use flagmeter_model::{Name, NodeId};

use super::{
    sources::Sources,
    value::{LogFilter, LogFormat, Properties, Secret, Share, Size, Value},
};
use crate::Result;

/// One line of the table.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The TOML table it stands in.
    pub(crate) section: &'static str,
    /// Its name there.
    pub(crate) name: &'static str,
    /// What holds when nobody says anything.
    pub(crate) default: &'static str,
    /// What it means, in lines.
    pub(crate) about: &'static [&'static str],
    /// Whether TOML writes its values without quotes.
    pub(crate) bare: bool,
    /// What is shown instead of a text that holds a secret.
    pub(crate) hidden: fn(&str) -> Option<String>,
}

macro_rules! settings {
    ($(
        $(#[doc = $section_about:literal])+
        $section:ident: $Section:ident $(needs $feature:literal)? {
            $( $(#[doc = $about:literal])+ $name:ident: $kind:ty = $default:literal, )+
        }
    )+) => {
        /// The effective configuration, by section.
        #[derive(Debug, Clone)]
        pub(crate) struct Config {
            $(
                $(#[doc = $section_about])+
                $(#[cfg_attr(not(feature = $feature), expect(dead_code, reason = "read where the feature is"))])?
                pub(crate) $section: $Section,
            )+
        }

        $(
            $(#[doc = $section_about])+
            $(#[cfg_attr(not(feature = $feature), expect(dead_code, reason = "read where the feature is"))])?
            #[derive(Debug, Clone)]
            pub(crate) struct $Section {
                $( $(#[doc = $about])+ pub(crate) $name: $kind, )+
            }
        )+

        /// Every setting, in the order in which they are printed.
        pub(super) const SETTINGS: &[Setting] = &[$($(
            Setting {
                section: stringify!($section),
                name: stringify!($name),
                default: $default,
                about: &[$($about),+],
                bare: <$kind as Value>::BARE,
                hidden: <$kind as Value>::hidden,
            },
        )+)+];

        /// Every section with its explanation, in the order in which they are printed.
        pub(super) const SECTIONS: &[(&str, &[&str])] = &[$((stringify!($section), &[$($section_about),+])),+];

        impl Config {
            /// Parses every setting; the first that is wrong is the error.
            pub(super) fn build(sources: &Sources) -> Result<Self> {
                Ok(Self { $(
                    $section: $Section { $(
                        $name: sources.value(stringify!($section), stringify!($name))?,
                    )+ },
                )+ })
            }
        }
    };
}

impl RegistrySection {
    /// Whether it lies at a place of its own, not in the data folder.
    pub(crate) fn is_elsewhere(&self) -> bool {
        !self.file.as_os_str().is_empty()
    }
}

settings! {
    /// Where everything is kept.
    data: Data {
        /// The folder of the journal, the log, the store, the ledger, the registry and the tokens. One process at a time,
        /// but for downsamplers and queries, which may share theirs.
        path: PathBuf = "./flagmeter-data",
    }

    /// Where to listen. Port 0 takes any that is free.
    listen: Listen {
        /// Address of the SDKs' doors, the API and the web page.
        http: SocketAddr = "127.0.0.1:8080",
        /// Address of /metrics, /healthz and /readyz, which ask for no token: keep it inside.
        metrics: SocketAddr = "127.0.0.1:9464",
        /// Connections at a time; further ones wait until they are taken.
        connections_max: usize = "10000",
        /// A connection that sends no request for this long is closed.
        idle_max: Duration = "75s",
        /// A connection whose client takes nothing of an answer for this long is closed.
        unread_max: Duration = "60s",
    }

    /// The program's own log lines, on stderr.
    logging: Logging {
        /// How they look: "text" or "json".
        format: LogFormat = "text",
        /// How much is logged: "error", "warn", "info", "debug", or directives such as `info,flagmeter_edge=debug`.
        level: LogFilter = "info",
    }

    /// The way of a batch as spans, told to a collector of OpenTelemetry: docs/traces.md. Needs a build with the feature `otel`.
    traces: Traces needs "otel" {
        /// Where they are posted, over OTLP and HTTP: a base such as `http://127.0.0.1:4318`, or https in a build with the
        /// feature `tls` as well. Empty: that of `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (taken as it is) or of
        /// `OTEL_EXPORTER_OTLP_ENDPOINT` (a base) if one is set, else nowhere.
        endpoint: String = "",
        /// Share of requests that are traced, from 0 to 1, where their sender does not say by a traceparent whether they are.
        ratio: Share = "0.001",
        /// Requests that are traced in a second at most: half of them those whose senders say so, half those of the ratio.
        requests_per_second_max: u32 = "100",
        /// Share of seals that are traced, with all that becomes of them: the same in all processes of a deployment.
        seals_ratio: Share = "1",
        /// A name for the deployment: the same in all its processes, and another one than that of others that tell the same
        /// collector. Traces of seals are named by it.
        deployment: String = "flagmeter",
    }

    /// Customers, projects, environments and their keys.
    registry: RegistrySection {
        /// The registry's file, which must be there; empty means registry.toml in the data folder, made at the first start.
        file: PathBuf = "",
        /// How often the file is looked at for changes.
        poll_interval: Duration = "1s",
    }

    /// Flagmeter's own settings that change while it runs: docs/runtime-flags.md.
    runtime_flags: RuntimeFlagsSection {
        /// The file that defines them, in flagd's format; a change is taken while it runs. Empty: the safe defaults hold.
        file: PathBuf = "",
        /// An http address to fetch it from instead, or https in a build with the feature `tls`.
        url: String = "",
        /// How often the file is looked at, or the address asked, for changes.
        poll_interval: Duration = "2s",
        /// The key of an environment under which flagmeter counts the decisions of these flags itself. Never shown. Empty:
        /// they are not counted.
        exposures_key: Secret = "",
        /// Where processes that are no edge post these counts: an edge, as http://host:port. Empty: only edges count theirs.
        exposures_url: String = "",
    }

    /// The doors for SDKs.
    edge: Edge {
        /// Number of this edge node, 0 to 1023: no two edges at a time may have the same.
        node: NodeId = "0",
        /// Where it stands, such as eu-west: shown wherever nodes are.
        region: Option<Name> = "",
        /// What a 2xx promises: "disk", or "memory": then a crash loses some milliseconds of what was acknowledged.
        ack: Ack = "disk",
        /// Oldest time that a count may name, back from its arrival. Raw points must be kept longer than this.
        accepted_lateness: Duration = "6d",
        /// Farthest time ahead of its arrival that a count may name.
        accepted_ahead: Duration = "10m",
        /// How long an idempotency key is remembered.
        idempotency_retention: Duration = "1d",
        /// Idempotency keys that are remembered, 256 bytes each on average with the reply; beyond it the oldest are
        /// forgotten early, which is counted.
        idempotency_keys_max: u64 = "10000000",
        /// Size of the journal at which senders are asked to wait until seals are handed on.
        journal_bytes_max: Size = "1GiB",
        /// Largest body of a request as it arrives, compressed or not.
        body_bytes_max: Size = "1MiB",
        /// Largest body of a request after decompression.
        body_decompressed_bytes_max: Size = "8MiB",
        /// Largest sum of the bodies that are being read at the same time; small ones are not counted.
        bodies_bytes_max: Size = "256MiB",
        /// Longest time that a body may take to arrive.
        body_timeout: Duration = "20s",
        /// Entries that are taken of one request; the rest are rejected one by one.
        entries_max: usize = "10000",
        /// Series kept apart per environment; beyond it variants, then names, fold into "__other__".
        series_per_environment_max: usize = "100000",
        /// A series that was not counted for this long leaves the memory.
        series_idle: Duration = "15m",
        /// Points (series and slot) that wait for a seal; above it senders are asked to wait, and those of an
        /// environment that has a quarter of them.
        points_waiting_max: usize = "1000000",
        /// Requests that wait for a commit; above it senders are asked to wait.
        requests_waiting_max: usize = "16384",
    }

    /// The log between the edge and ingest, where everything is one process.
    log: Log {
        /// Size at which it takes no more until ingest has caught up.
        bytes_max: Size = "8GiB",
        /// How long a record is kept after it was stored: a store put back from a backup catches up from here.
        retain_committed: Duration = "1h",
    }

    /// Kafka, the log between `flagmeter edge` and `flagmeter ingest`, and the ledger beside it.
    kafka: Kafka needs "kafka" {
        /// Some of the brokers, as host:port with commas between: they tell of the others.
        brokers: String = "127.0.0.1:9092",
        /// The topic; the ledger's is called like it, with -ledger behind. `flagmeter topic create` makes them as it is set
        /// here; each start checks what it uses.
        topic: String = "flagmeter",
        /// Partitions of the topic: so many ingesters can share the work.
        partitions: u32 = "16",
        /// Copies of each record, on as many brokers.
        replication: u16 = "3",
        /// Copies that must be in sync for a seal to be taken.
        min_insync_replicas: u16 = "2",
        /// How long the topic keeps a record, stored or not: an ingester that is away for longer loses records.
        retention: Duration = "7d",
        /// Largest record; the topic takes as much.
        record_bytes_max: Size = "4MiB",
        /// Bytes of records that an ingester fetches ahead of what it stores.
        prefetch_bytes_max: Size = "16MiB",
        /// How long an edge tries to hand a seal on before it says that Kafka does not answer, and begins again.
        append_timeout: Duration = "30s",
        /// With records in the topic, and none fetched for this long, an ingester connects anew.
        stall_after: Duration = "60s",
        /// The consumer group that all ingesters share.
        group: String = "flagmeter",
        /// A name for this ingester that no other has: its partitions wait for it while it restarts. Empty: they
        /// go to the others at once.
        instance: String = "",
        /// Properties of librdkafka, such as "sasl.mechanism=SCRAM-SHA-512, ssl.ca.location=ca.pem,
        /// sasl.username=edge, sasl.password=…"; a comma in a value is written twice. TLS and SASL need a build with
        /// the feature `tls`: docs/tls.md.
        properties: Properties = "",
    }

    /// The store of points and windows, where everything is one process.
    store: StoreSection {
        /// Reads at a time; further ones wait.
        readers: usize = "2",
        /// Series kept apart per environment, over all time; beyond it variants, then names, fold into "__other__".
        series_per_environment_max: usize = "1000000",
    }

    /// InfluxDB, the store of `flagmeter ingest`, `downsampler` and `queries`.
    influx: Influx {
        /// Where it listens.
        url: String = "http://127.0.0.1:8086",
        /// The organization, by its name.
        org: String = "flagmeter",
        /// A token that may read and write the buckets, and for `flagmeter store init` make them. Never shown.
        token: Secret = "",
        /// A file that holds the token, instead.
        token_file: PathBuf = "",
        /// A file with the certificate of the CA that signed the server's, in PEM, where the system does not know that
        /// CA. For https, which needs a build with the feature `tls`.
        ca_file: PathBuf = "",
        /// What the names of the buckets begin with.
        prefix: String = "flagmeter",
        /// How long a connection may take to be made.
        connect_timeout: Duration = "5s",
        /// How long one write of many lines may take.
        write_timeout: Duration = "30s",
        /// How long one answer may take.
        query_timeout: Duration = "1m",
    }

    /// From the log into the store.
    ingest: Ingest {
        /// Bytes of log records that are stored in one step, about.
        read_bytes_max: Size = "2MiB",
    }

    /// Rolling up: 1m, 15m, 1h.
    downsampler: Downsampler {
        /// How often it goes round.
        interval: Duration = "1s",
        /// A node unheard of for this long, by the log's time, is left out and shown as missing.
        node_timeout: Duration = "60s",
    }

    /// What money is based on.
    billing: Billing {
        /// How long after its end has passed an hour is closed: a node that fell silent may return until then without a
        /// correction.
        grace: Duration = "15m",
        /// Where crossings of plans' thresholds, and bursts, are posted, signed: an http address, or https in a build with
        /// the feature `tls`. Empty: nowhere. docs/billing.md, docs/bursts.md.
        webhook_url: String = "",
        /// What they are signed with: whsec_ and 24 to 64 random bytes in base64. Never shown.
        webhook_secret: Secret = "",
        /// A file that holds the secret, instead.
        webhook_secret_file: PathBuf = "",
    }

    /// Traffic that is out of the ordinary: docs/bursts.md.
    bursts: Bursts {
        /// Whether the downsampler watches for bursts and drops, and keeps what it finds in the ledger.
        watch: bool = "true",
        /// Flags of an environment that are watched one by one: the largest of the last day, of the 200 largest environments
        /// that have several, and 2000 in all. 0: none, the burst of a flag shows where it moves its environment.
        flags: usize = "10",
        /// What links to charts begin with in what is posted, such as `https://flagmeter.example.com`. Empty: they are
        /// paths.
        link_base: String = "",
    }

    /// How long each tier is kept. Hours are kept for ever.
    retention: Retention {
        /// Raw points of 10 seconds.
        raw: Duration = "7d",
        /// Windows of 1 minute.
        minute: Duration = "30d",
        /// Windows of 15 minutes.
        quarter: Duration = "400d",
    }

    /// The API.
    queries: Queries {
        /// Rows in one answer; a question with more is refused and told how to ask for less.
        rows_max: usize = "200000",
        /// Questions that read the store at a time; further ones wait for their turn.
        reads_max: usize = "16",
        /// How long a question may wait for its turn and for the store.
        read_timeout: Duration = "20s",
        /// Live streams at a time. Each holds a connection for as long as someone watches: leave a tenth of
        /// `listen.connections_max` to everyone else.
        live_viewers_max: usize = "5000",
        /// Live streams at a time of one customer, and of one token of billing or an operator.
        live_viewers_max_per_customer: usize = "1000",
        /// Different questions at a time that live streams ask: each is computed once for all who watch it.
        live_queries_max: usize = "250",
        /// Different questions at a time of one customer, and of one token of billing or an operator.
        live_queries_max_per_customer: usize = "32",
        /// Rows in one answer of a live stream; all of it is kept, and sent to whoever comes.
        live_rows_max: usize = "10000",
        /// Rows of all answers that live streams keep, some hundred bytes each.
        live_rows_held_max: usize = "500000",
        /// Of `queries.reads_max`, how many live streams may take at a time.
        live_reads_max: usize = "4",
    }

    /// Starting on Kafka and InfluxDB.
    startup: Startup needs "kafka" {
        /// How long a start waits for them: they may be coming up beside it.
        servers_max: Duration = "2m",
    }

    /// Stopping in order.
    shutdown: Shutdown {
        /// How long open requests may take to finish.
        requests_max: Duration = "10s",
        /// How long ingest may take to store what it has to; what is left then waits in the log.
        drain_max: Duration = "30s",
    }
}
