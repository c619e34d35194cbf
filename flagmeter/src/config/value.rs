//! The types that settings have, and how they are written.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use flagmeter_edge::Ack;
use flagmeter_log::is_secret;
use flagmeter_model::{Name, NodeId};
use tracing_subscriber::EnvFilter;

/// A type that a setting can have. The error says how such a value is written.
pub(super) trait Value: Sized {
    /// Whether TOML writes it bare; else it is a string.
    const BARE: bool = false;

    fn parse(text: &str) -> Result<Self, String>;

    /// What is shown instead of a text that holds a secret; `None` where the text may be shown as it is.
    fn hidden(_text: &str) -> Option<String> {
        None
    }
}

/// What stands where a secret is not shown.
const SECRET: &str = "…";

/// A text for nobody's eyes; empty where none is set.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "not set" } else { "set" })
    }
}

/// Properties of a client, written `a=b, c=d`; a comma in a value is written twice.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Properties(pub(crate) BTreeMap<String, String>);

impl Properties {
    /// As they are written, with each value as `shown` has it.
    fn written(&self, shown: impl Fn(&str, &str) -> String) -> String {
        let pairs =
            self.0.iter().map(|(name, value)| format!("{name}={}", shown(name, value).replace(',', ",,")));
        pairs.collect::<Vec<_>>().join(", ")
    }

    fn without_secrets(&self) -> String {
        self.written(|name, value| if is_secret(name) { SECRET.to_owned() } else { value.to_owned() })
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.without_secrets())
    }
}

/// A number of bytes, written `64MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    /// As the length of something in memory.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

/// A part of a whole, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share(pub(crate) f64);

/// How the program's own log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How much is logged: a level, or directives such as `info,flagmeter_edge=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// What has failed, and nothing else.
    pub(crate) fn errors() -> Self {
        Self("error".into())
    }

    /// What log lines are held against.
    pub(crate) fn to_filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Value for LogFilter {
    /// A word that is no level would be taken for the name of a part of the program, and silence all others.
    fn parse(text: &str) -> Result<Self, String> {
        let is_level = |word: &str| {
            ["off", "error", "warn", "info", "debug", "trace"]
                .iter()
                .any(|level| word.eq_ignore_ascii_case(level))
        };
        let is_directive = |directive: &str| match directive.rsplit_once('=') {
            Some((target, level)) => !target.is_empty() && is_level(level),
            None => is_level(directive),
        };
        if text.split(',').all(is_directive) && EnvFilter::try_new(text).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        let levels = r#""error", "warn", "info", "debug", "trace" or "off""#;
        Err(format!(r#"choose {levels}, or write directives such as "info,flagmeter_edge=debug""#))
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }
}

impl Value for String {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Value for Secret {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }

    fn hidden(text: &str) -> Option<String> {
        (!text.is_empty()).then(|| SECRET.to_owned())
    }
}

impl Value for Properties {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            "write pairs with commas between, such as \"security.protocol=SSL, client.id=edge\", and a comma \
             in a value twice"
                .to_owned()
        };
        let mut properties = BTreeMap::new();
        // No name and no value holds a control character.
        for pair in text.replace(",,", "\0").split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let (name, value) = (name.trim_end().to_owned(), value.trim_start().replace('\0', ","));
            if name.is_empty() || properties.insert(name, value).is_some() {
                return Err(wrong());
            }
        }
        Ok(Self(properties))
    }

    fn hidden(text: &str) -> Option<String> {
        match Self::parse(text) {
            Ok(properties) => {
                let holds_secret = properties.0.keys().any(|name| is_secret(name));
                holds_secret.then(|| properties.without_secrets())
            }
            // Whatever it is, it may hold one.
            Err(_) => Some(SECRET.to_owned()),
        }
    }
}

/// A name that may be left out: empty.
impl Value for Option<Name> {
    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(None);
        }
        Name::new(text).map(Some).map_err(|error| format!("{error}: choose another, or leave it empty"))
    }
}

impl Value for SocketAddr {
    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|_| "write an address and a port, such as 127.0.0.1:8080 or [::]:8080".to_owned())
    }
}

impl Value for Duration {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || r#"write a time such as "500ms", "10s", "5m", "36h" or "7d""#.to_owned();
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let millis_each = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 7 * 86_400_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(millis_each).map(Self::from_millis).ok_or_else(wrong)
    }
}

impl Value for Size {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || r#"write a size such as "512KiB", "64MiB" or "2GiB""#.to_owned();
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let bytes_each = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "TiB" => 1_u64 << 40,
            _ => return Err(wrong()),
        };
        number.checked_mul(bytes_each).map(Self).ok_or_else(wrong)
    }
}

impl Value for Share {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let share = text.trim().parse().ok().filter(|share| (0.0..=1.0).contains(share));
        share.map(Self).ok_or_else(|| "write a share from 0 to 1, such as 0.01".to_owned())
    }
}

impl Value for NodeId {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("choose a number from 0 to {}, another one for each edge", Self::MAX);
        text.parse::<u16>().ok().and_then(|number| Self::new(number).ok()).ok_or_else(wrong)
    }
}

impl Value for LogFormat {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(r#"choose "text" or "json""#.into()),
        }
    }
}

impl Value for Ack {
    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "disk" => Ok(Self::Disk),
            "memory" => Ok(Self::Memory),
            _ => Err(r#"choose "disk" or "memory""#.into()),
        }
    }
}

/// A number of things, at least one.
impl Value for bool {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "write true or false".into())
    }
}

impl Value for u64 {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|&number| number > 0).ok_or_else(|| "write a whole number from 1 up".into())
    }
}

/// A number of things in memory, at least one.
impl Value for usize {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        u64::parse(text)?.try_into().map_err(|_| "write a smaller number: memory has no room for it".into())
    }
}

/// A number of few things, at least one.
impl Value for u32 {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        u64::parse(text)?.try_into().map_err(|_| format!("write a number up to {}", Self::MAX))
    }
}

/// A number of very few things, at least one.
impl Value for u16 {
    const BARE: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        u64::parse(text)?.try_into().map_err(|_| format!("write a number up to {}", Self::MAX))
    }
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|letter: char| !letter.is_ascii_digit())?);
    // Nothing that is configured can be nothing: no time to wait is a busy loop, no room takes nothing.
    Some((number.parse().ok().filter(|&number| number > 0)?, unit.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_people_write_them() {
        assert_eq!(Duration::parse("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(Duration::parse("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(Duration::parse(" 2 h"), Ok(Duration::from_hours(2)));
        assert_eq!(Size::parse("64MiB"), Ok(Size(64 << 20)));
    }

    #[test]
    fn a_share_is_from_nothing_to_all() {
        for (text, share) in [("0", 0.0), ("0.001", 0.001), ("1", 1.0), (" 0.5 ", 0.5)] {
            assert_eq!(Share::parse(text), Ok(Share(share)));
        }
        for wrong in ["", "-0.1", "1.1", "NaN", "half", "10%", "inf"] {
            assert!(Share::parse(wrong).unwrap_err().contains("0.01"), "{wrong}");
        }
    }

    #[test]
    fn log_levels_and_directives_are_taken_and_other_words_refused() {
        for good in ["info", "WARN", "off", "info,flagmeter_edge=debug", "warn,flagmeter_log::embedded=trace"]
        {
            assert!(LogFilter::parse(good).is_ok(), "{good}");
        }
        for wrong in
            ["warning", "", "info,", "verbose", "flagmeter_edge", "info,flagmeter_edge=loud", "=info"]
        {
            assert!(LogFilter::parse(wrong).unwrap_err().contains("\"warn\""), "{wrong}");
        }
    }

    #[test]
    fn properties_are_pairs_and_keep_their_commas() {
        let properties = Properties::parse(" a = b,c=1=2, d=x,,y ,").unwrap();
        let pairs: Vec<(&str, &str)> =
            properties.0.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "b"), ("c", "1=2"), ("d", "x,y")]);
        let written = properties.written(|_, value| value.to_owned());
        assert_eq!(Properties::parse(&written), Ok(properties));
        assert_eq!(Properties::parse(""), Ok(Properties::default()));
        for wrong in ["a", "=b", "a=b, c", "a=b, a=c"] {
            assert!(Properties::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_never_shown() {
        assert_eq!(Secret::hidden("hush"), Some("…".into()));
        assert_eq!(Secret::hidden(""), None);
        assert_eq!(format!("{:?}", Secret("hush".into())), "set");
        let text = "sasl.username=edge, sasl.password=hush";
        assert_eq!(Properties::hidden(text).as_deref(), Some("sasl.password=…, sasl.username=edge"));
        assert!(!format!("{:?}", Properties::parse(text).unwrap()).contains("hush"));
        let key = "sasl.oauthbearer.assertion.private.key.passphrase=hush";
        assert!(!format!("{:?}", Properties::parse(key).unwrap()).contains("hush"));
        assert_eq!(Properties::hidden("client.id=edge"), None);
        assert_eq!(Properties::hidden("sasl.password"), Some("…".into()), "what cannot be read is not shown");
    }

    #[test]
    fn what_is_ambiguous_or_too_large_is_refused() {
        for text in
            ["", "7", "d", "-1d", "1.5h", "7 days", "0s", "99999999999999999999s", "18446744073709551615w"]
        {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
        for text in ["64", "64MB", "64mib", "MiB", "18446744073709551615TiB"] {
            assert!(Size::parse(text).is_err(), "{text}");
        }
    }
}
