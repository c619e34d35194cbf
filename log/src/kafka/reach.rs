//! Whether the brokers can be spoken to, and what stands in the way.
//!
//! librdkafka tries again whatever happened, so whoever waits for an answer learns only that none came. That a
//! certificate or a password is not accepted is told beside, to clients that listen. So the first that is asked of the
//! brokers is asked by a client that does nothing else.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    config::{ClientConfig, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode as Code},
    producer::{BaseProducer, DeliveryResult, Producer, ProducerContext},
};

use super::{
    Config,
    broker::{self, ASK_TIMEOUT},
};
use crate::{Error, Result};

/// How long one question waits before it is looked whether something was told.
const ASK: Duration = Duration::from_secs(1);
/// How long is listened after that.
const LISTEN: Duration = Duration::from_millis(20);

/// What stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Obstacle {
    /// The brokers' certificate is not accepted: for whom it was made, or by whom.
    Certificate,
    /// It is made out to other names than those by which the brokers are called.
    Name,
    /// User or password, or the way in which they are told: what the brokers say about it.
    Login(String),
    /// They want to know who it is.
    Anonymous,
    /// TLS begins, and they hang up.
    Tls,
    /// They hang up on whoever begins without TLS.
    Plain,
    /// Anything else about TLS: what OpenSSL says.
    Other(String),
}

impl Obstacle {
    /// What an error is about, if it is one of these.
    fn of(code: Option<Code>, says: &str) -> Option<Self> {
        match code? {
            Code::SSL
                if ["certificate could not be verified", "verify broker certificate"]
                    .iter()
                    .any(|word| says.contains(word)) =>
            {
                Some(Self::Certificate)
            }
            Code::SSL => Some(Self::Other(without_prefix(says))),
            Code::Authentication | Code::SaslAuthenticationFailed => Some(Self::Login(without_prefix(says))),
            _ => Self::of_hanging_up(says),
        }
    }

    /// What it is about that a broker hung up, by when it did: before its first answer, or before its second.
    fn of_hanging_up(says: &str) -> Option<Self> {
        let has = |what: &str| says.contains(what);
        if has("connecting to a PLAINTEXT broker listener") {
            Some(Self::Tls)
        } else if has("Disconnected") && has("in state APIVERSION_QUERY") && !has("ssl://") {
            Some(Self::Plain)
        } else if has("Disconnected") && has("in state UP") && !has("sasl_") {
            Some(Self::Anonymous)
        } else {
            None
        }
    }

    /// Whether it stays as long as nobody changes a setting, here or there. The others are met as well where a broker
    /// starts behind somebody who takes its connections already.
    const fn is_settled(&self) -> bool {
        matches!(self, Self::Certificate | Self::Name | Self::Login(_))
    }

    /// What is wrong, and what mends it.
    fn told(&self) -> String {
        match self {
            Self::Certificate => {
                "their certificate has expired, or is signed by nobody who is trusted here: set \
                ssl.ca.location in kafka.properties to the certificate of the CA that signed it"
                    .into()
            }
            Self::Name => {
                "their certificate is made out to other names: give them those names in kafka.brokers, and \
                in their advertised.listeners"
                    .into()
            }
            Self::Login(says) => format!(
                "they do not take user and password ({says}): see sasl.mechanism, sasl.username and sasl.password in \
                 kafka.properties"
            ),
            Self::Anonymous => "they hang up on whoever gives no user: set security.protocol=SASL_SSL, \
                sasl.mechanism, sasl.username and sasl.password in kafka.properties"
                .into(),
            Self::Tls => {
                "they hang up when TLS begins: if they speak none at this port, give the port for TLS in \
                kafka.brokers, or set security.protocol in kafka.properties to PLAINTEXT or SASL_PLAINTEXT"
                    .into()
            }
            Self::Plain => "they hang up on whoever begins without TLS: if this is their port for TLS, set \
                security.protocol in kafka.properties to SASL_SSL, or to SSL where no user is asked for"
                .into(),
            Self::Other(says) => format!("TLS fails: {says}"),
        }
    }
}

/// What is said, without the broker's name before it, which may be one that nobody has set, and the timing behind.
fn without_prefix(says: &str) -> String {
    let says = says.rsplit_once(" (after ").map_or(says, |(before, _)| before);
    let says = says.split_once("/bootstrap: ").map_or(says, |(_, after)| after);
    let says = says.split_once("SASL authentication error: ").map_or(says, |(_, after)| after);
    says.trim_end_matches(['.', ' ']).to_owned()
}

/// The context of a client that hears what stands in the way.
#[derive(Debug, Default)]
struct Listening(Mutex<Option<Obstacle>>);

impl Listening {
    fn heard(&self) -> Option<Obstacle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hear(&self, obstacle: Obstacle) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One of several brokers may only be starting.
        if !heard.as_ref().is_some_and(Obstacle::is_settled) {
            *heard = Some(obstacle);
        }
    }
}

impl ClientContext for Listening {
    /// What is in these lines is said in the end. That a broker hung up stands only here.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(target: "librdkafka", facility, "{message}");
        if let Some(obstacle) = Obstacle::of_hanging_up(message) {
            self.hear(obstacle);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        match Obstacle::of(broker::code(&error), reason) {
            Some(obstacle) => self.hear(obstacle),
            None => broker::told(&error, reason),
        }
    }
}

impl ProducerContext for Listening {
    type DeliveryOpaque = ();

    /// Nothing is sent.
    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

/// Asks the brokers for the topic, and does not mind the answer.
///
/// [`Error::Refused`] where they are there and a setting stands in the way, [`Error::Unavailable`] where they are not,
/// or may only be starting. Blocks.
pub(super) fn check(config: &Config) -> Result<()> {
    let Some(mut obstacle) = look(&config.admin(), config, Obstacle::is_settled)? else { return Ok(()) };
    if obstacle == Obstacle::Certificate && is_of_other_names(config) {
        obstacle = Obstacle::Name;
    }
    let (brokers, reason) = (config.brokers.clone(), obstacle.told());
    let refused = Error::Refused { brokers, reason };
    Err(if obstacle.is_settled() { refused } else { Error::Unavailable(refused.to_string()) })
}

/// Whether the certificate would be accepted but for the names in it: OpenSSL's word on it does not reach us. Nothing
/// is said to such a broker, and no password.
fn is_of_other_names(config: &Config) -> bool {
    let kept = config.properties.iter().filter(|(name, _)| !name.starts_with("sasl."));
    let mut properties: BTreeMap<String, String> =
        kept.map(|(name, value)| (name.clone(), value.clone())).collect();
    properties.insert("security.protocol".into(), "ssl".into());
    properties.insert("ssl.endpoint.identification.algorithm".into(), "none".into());
    let nameless = Config { properties, ..config.clone() };
    // A broker that wants a user hangs up, once its certificate is accepted.
    !matches!(look(&nameless.admin(), &nameless, |_| true), Ok(Some(Obstacle::Certificate)))
}

/// Asks until there is an answer (`None`), an obstacle that decides, or no time left.
fn look(client: &ClientConfig, config: &Config, decides: fn(&Obstacle) -> bool) -> Result<Option<Obstacle>> {
    let client: BaseProducer<Listening> =
        client.create_with_context(Listening::default()).map_err(|error| broker::not_made(&error))?;
    let deadline = Instant::now() + ASK_TIMEOUT;
    loop {
        let asked = client.client().fetch_metadata(Some(&config.topic), ASK);
        client.poll(LISTEN);
        let is_late = Instant::now() >= deadline;
        match (asked, client.client().context().heard()) {
            (Ok(_), _) => return Ok(None),
            (Err(_), Some(obstacle)) if is_late || decides(&obstacle) => return Ok(Some(obstacle)),
            (Err(error), None) if is_late => {
                return Err(broker::failed("asking for the topic", config, &error));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_librdkafka_tells_beside_is_understood() {
        // Word for word; the tests with real brokers see that they still are.
        let at = "sasl_ssl://127.0.0.1:9093/bootstrap: ";
        let failed = format!("{at}SSL handshake failed: ");
        let verify = "error:0A000086:SSL routines::certificate verify failed: broker certificate could not be verified";
        let login = "Authentication failed during authentication due to invalid credentials";
        let hung_up = "Disconnected: connection closed by peer: receive 0 after POLLIN (after 2ms in state";
        let cases = [
            (
                Code::SSL,
                format!("{failed}{verify} (after 3ms in state SSL_HANDSHAKE)"),
                Some(Obstacle::Certificate),
            ),
            (
                Code::SSL,
                format!("{failed}error:0A000410: handshake failure (after 3ms in state SSL_HANDSHAKE)"),
                Some(Obstacle::Other("SSL handshake failed: error:0A000410: handshake failure".into())),
            ),
            (
                Code::Authentication,
                format!("{at}SASL authentication error: {login} (after 7ms in state AUTH_REQ)"),
                Some(Obstacle::Login(login.into())),
            ),
            (
                Code::BrokerTransportFailure,
                format!("{failed}Disconnected: connecting to a PLAINTEXT broker listener? (after 1ms)"),
                Some(Obstacle::Tls),
            ),
            (
                Code::BrokerTransportFailure,
                format!("localhost:9093/bootstrap: {hung_up} APIVERSION_QUERY)"),
                Some(Obstacle::Plain),
            ),
            (
                Code::BrokerTransportFailure,
                format!("ssl://localhost:9093/bootstrap: {hung_up} UP)"),
                Some(Obstacle::Anonymous),
            ),
            (Code::BrokerTransportFailure, format!("{at}{hung_up} UP)"), None),
            (Code::BrokerTransportFailure, format!("{at}Connect to ipv4#127.0.0.1:1 failed"), None),
        ];
        for (code, says, meant) in cases {
            assert_eq!(Obstacle::of(Some(code), &says), meant, "{says}");
        }
        assert_eq!(Obstacle::of(None, "anything"), None);
    }

    #[test]
    fn what_may_go_by_itself_does_not_hide_what_stays() {
        let listening = Listening::default();
        let hear = |code, says: &str| listening.error(KafkaError::Global(code), says);
        let line = "ssl://localhost:9093/bootstrap: Disconnected: SSL connection closed by peer (after 6ms in state UP)";
        listening.log(RDKafkaLogLevel::Info, "FAIL", line);
        assert_eq!(listening.heard(), Some(Obstacle::Anonymous));
        hear(Code::BrokerTransportFailure, "Disconnected: connecting to a PLAINTEXT broker listener?");
        assert_eq!(listening.heard(), Some(Obstacle::Tls));
        hear(Code::SSL, "broker certificate could not be verified");
        hear(Code::BrokerTransportFailure, "Disconnected: connecting to a PLAINTEXT broker listener?");
        hear(Code::BrokerTransportFailure, "Connection refused");
        assert_eq!(listening.heard(), Some(Obstacle::Certificate));
    }
}
