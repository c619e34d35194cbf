//! Where the server is, and how it is used.

use std::{fmt, path::PathBuf, time::Duration};

use flagmeter_model::{Tier, Timestamp};

use crate::{Error, Result};

/// How much sooner than the server forgets something it is not sent any more.
const FORGOTTEN_MARGIN_MS: i64 = 3_600_000;

/// Days, as durations.
const fn days(days: u64) -> Duration {
    Duration::from_secs(days * 86_400)
}

/// The server, what is kept there for how long, and how patient we are.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// Where the server listens, such as `http://influxdb:8086`.
    pub url: String,
    /// The organization, by its name.
    pub org: String,
    /// A token that may read and write the buckets; for [`init`](super::init()) one that may make them too.
    pub token: String,
    /// Certificates in PEM that are trusted besides those of the system, for `https`: the file's.
    pub ca_file: Option<PathBuf>,
    /// What the names of the buckets begin with: letters, digits, `-` and `_`, at most 40.
    pub prefix: String,
    /// How long raw points are kept. The server keeps them, and what tells marks and progress, twice as long, so
    /// that a downsampler that was away loses nothing. `None`: for ever.
    pub retain_raw: Option<Duration>,
    /// How long minutes are kept; on the server longer by as much as raw points are kept, at least by a week. `None`:
    /// for ever.
    pub retain_minute: Option<Duration>,
    /// How long quarters are kept; on the server as much longer as minutes. `None`: for ever.
    pub retain_quarter: Option<Duration>,
    /// A node unheard of for longer than this, by the log's time, is missing.
    pub node_timeout_ms: i64,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long one write of a body may take.
    pub write_timeout: Duration,
    /// How long one answer may take.
    pub query_timeout: Duration,
    /// Tries of one write or question before the call fails, at least 1. It can be made again as a whole.
    pub tries_max: u32,
    /// How long to wait before the second try; each further wait is twice as long.
    pub retry_first: Duration,
    /// The longest wait between two tries, unless the server asks for a longer one; it is granted a minute.
    pub retry_max: Duration,
    /// Bodies that are on their way at once for one write.
    pub bodies_in_flight: usize,
    /// Lines of one body.
    pub body_lines_max: usize,
    /// Bytes of one answer at most; a longer one is an error.
    pub answer_bytes_max: usize,
}

impl Config {
    /// The defaults for a server.
    pub fn new(url: impl Into<String>, org: impl Into<String>, token: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            org: org.into(),
            token: token.into(),
            ca_file: None,
            prefix: "flagmeter".to_owned(),
            retain_raw: Some(days(7)),
            retain_minute: Some(days(30)),
            retain_quarter: Some(days(400)),
            node_timeout_ms: 60_000,
            connect_timeout: Duration::from_secs(5),
            write_timeout: Duration::from_secs(30),
            query_timeout: Duration::from_mins(1),
            tries_max: 5,
            retry_first: Duration::from_millis(200),
            retry_max: Duration::from_secs(10),
            bodies_in_flight: 4,
            body_lines_max: 10_000,
            answer_bytes_max: 512 << 20,
        }
    }

    /// For how much longer than is asked the server keeps minutes and quarters.
    fn margin(&self) -> Duration {
        self.retain_raw.unwrap_or_default().max(days(7))
    }

    /// How long the server keeps a tier. `None`: for ever.
    pub(super) fn on_server(&self, tier: Tier) -> Option<Duration> {
        match tier {
            Tier::Raw => self.retain_raw.map(|kept| kept.saturating_mul(2)),
            Tier::Minute => self.retain_minute.map(|kept| kept.saturating_add(self.margin())),
            Tier::Quarter => self.retain_quarter.map(|kept| kept.saturating_add(self.margin())),
            Tier::Hour => None,
        }
    }

    /// What lies before this the server forgets soon, or has forgotten: nothing is written there any more. `None`: it
    /// keeps everything.
    pub(super) fn forgotten(&self, tier: Tier, now: Timestamp) -> Option<Timestamp> {
        let kept = i64::try_from(self.on_server(tier)?.as_millis()).unwrap_or(i64::MAX);
        Some(now.plus_millis(FORGOTTEN_MARGIN_MS.saturating_sub(kept)))
    }

    /// Checks each setting: the first that cannot be is an [`Error::Configuration`].
    pub fn check(&self) -> Result<()> {
        let is_plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        let wrong = |what: String| Err(Error::Configuration(what));
        if self.prefix.is_empty() || self.prefix.len() > 40 || !is_plain(&self.prefix) {
            return wrong(format!(
                "the prefix of the buckets {:?} must be 1 to 40 letters, digits, - and _",
                self.prefix
            ));
        }
        if self.org.is_empty() || self.token.is_empty() {
            return wrong("InfluxDB needs an organization and a token: give both".to_owned());
        }
        if self.ca_file.is_some() && !self.url.starts_with("https:") {
            return wrong(format!(
                "influx.ca_file is set, and nobody shows a certificate at {:?}: begin influx.url with https://, or set \
                 no influx.ca_file",
                self.url
            ));
        }
        if self.ca_file.is_some() && !cfg!(feature = "tls") {
            return wrong(
                "influx.ca_file is set, and this build of flagmeter has no TLS: build it with `--features tls`"
                    .to_owned(),
            );
        }
        if self.tries_max == 0 || self.bodies_in_flight == 0 || self.body_lines_max == 0 {
            return wrong(
                "tries, bodies in flight and lines of a body for InfluxDB must be 1 at least".to_owned(),
            );
        }
        Ok(())
    }
}

/// Without the token.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("org", &self.org)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
