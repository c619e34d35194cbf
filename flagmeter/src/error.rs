//! Why a command did not do it.

use std::{io, net::SocketAddr, path::PathBuf};

/// Every way in which a command ends badly. Each is one sentence for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command line asks for what cannot be.
    #[error("{0}")]
    Usage(String),
    /// A setting is wrong: the sentence names it, its value and the fix.
    #[error("{0}")]
    Config(String),
    /// Another process works on the data folder.
    #[error(
        "the data folder {path} is in use by another flagmeter: stop that one first, or choose another \
         folder with --data"
    )]
    FolderInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A server works on the data folder that is to be audited.
    #[error(
        "the data folder {path} is in use: ask the server that uses it, with `flagmeter audit --url http://… \
         --token …`"
    )]
    AuditInUse {
        /// The folder.
        path: PathBuf,
    },
    /// A newer program has written the data folder.
    #[error(
        "the data folder {path} has version {found:?}, which this program does not read (it reads {known}): \
         use the newer flagmeter that wrote it, or choose another folder with --data"
    )]
    FolderNewer {
        /// The folder.
        path: PathBuf,
        /// What its version file says.
        found: String,
        /// What this build reads.
        known: u32,
    },
    /// The data folder cannot be written.
    #[error(
        "the data folder {path} cannot be written ({reason}): give this user the right to, or choose \
         another folder with --data"
    )]
    FolderReadOnly {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// There is no data folder where one is needed.
    #[error("there is no data folder {path}: name one with --data, or start `flagmeter serve` to make it")]
    FolderMissing {
        /// The folder.
        path: PathBuf,
    },
    /// A folder that is none of ours.
    #[error(
        "{path} is no data folder of flagmeter (there is no file `version` in it) and is left as it is: name \
         the right one with --data"
    )]
    FolderForeign {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} ({reason}): set {setting} to another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The setting that names it.
        setting: &'static str,
        /// What the system says.
        reason: io::Error,
    },
    /// A registry that cannot be used.
    #[error("the registry {path} cannot be used: {reason}")]
    Registry {
        /// The file.
        path: PathBuf,
        /// The line that is wrong, and why.
        reason: String,
    },
    /// A definition of runtime flags that cannot be used.
    #[error("the runtime flags {path} cannot be used: {reason}")]
    Flags {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of counts that cannot be used.
    #[error("the counts {path} cannot be used: {reason}")]
    Counts {
        /// The file.
        path: PathBuf,
        /// The line that is wrong, and why.
        reason: String,
    },
    /// Runtime flags cannot be set up.
    #[error(transparent)]
    Rollout(#[from] flagmeter_rollout::Error),
    /// The edge failed.
    #[error(transparent)]
    Edge(#[from] flagmeter_edge::Error),
    /// Ingest failed.
    #[error(transparent)]
    Ingest(#[from] flagmeter_ingest::Error),
    /// The downsampler failed.
    #[error(transparent)]
    Downsampler(#[from] flagmeter_downsampler::Error),
    /// The queries stage failed.
    #[error(transparent)]
    Queries(#[from] flagmeter_queries::Error),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] flagmeter_log::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] flagmeter_store::Error),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] flagmeter_ledger::Error),
    /// A server did not answer as it should.
    #[error("{url}: {reason}")]
    Http {
        /// What was asked.
        url: String,
        /// What came of it.
        reason: String,
    },
    /// A load of which nothing arrived.
    #[error("nothing was acknowledged: the troubles above say why")]
    NothingAcknowledged,
    /// A record that holds nothing against the server.
    #[error("nothing in it was acknowledged, so there is nothing to compare: {0}")]
    NothingToCompare(PathBuf),
    /// A signal came while a load was compared.
    #[error("stopped before the load was compared")]
    ComparisonStopped,
    /// What was asked for is not in this build.
    #[cfg(not(feature = "kafka"))]
    #[error(
        "this build of flagmeter has no Kafka: build it with `cargo build --release --features flagmeter/kafka`"
    )]
    WithoutKafka,
    /// A server that a start needs did not come up in time.
    #[cfg(feature = "kafka")]
    #[error("{server} is not there, after waiting {waited_seconds} s for it (startup.servers_max): {reason}")]
    NotThere {
        /// The server.
        server: String,
        /// How long it was waited for.
        waited_seconds: u64,
        /// What the last try ended with.
        reason: Box<Error>,
    },
    /// A proof failed: the differences have been printed.
    #[error("{0}")]
    Disagreement(String),
    /// `flagmeter doctor` found something; what has been printed.
    #[error("{wrong} {} to be mended: see above", if *wrong == 1 { "thing is" } else { "things are" })]
    Unwell {
        /// How many.
        wrong: usize,
    },
    /// A stage ended without being told to.
    #[error("{0} ended by itself: see the log lines above")]
    StageEnded(&'static str),
    /// A second signal came while stopping.
    #[error(
        "stopped at once: the next start goes on where this one was; what an edge has acknowledged is on its disk, \
         unless edge.ack is \"memory\""
    )]
    StoppedAtOnce,
    /// The program cannot do its own housekeeping.
    #[error("the system refuses: {0}")]
    System(io::Error),
}

impl Error {
    /// Whether the same may succeed later, without anybody mending anything here.
    #[cfg(feature = "kafka")]
    pub(crate) const fn is_retryable(&self) -> bool {
        match self {
            Self::Log(error) => error.is_retryable(),
            Self::Store(error) => error.is_retryable(),
            Self::Ledger(error) => error.is_retryable(),
            _ => false,
        }
    }

    /// What the process says to whoever started it.
    pub(crate) const fn exit_status(&self) -> u8 {
        if matches!(self, Self::Usage(_)) { 2 } else { 1 }
    }
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;
