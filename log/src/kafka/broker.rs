//! What brokers say, in our words.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext,
    client::Client,
    config::{ClientConfig, RDKafkaLogLevel},
    consumer::ConsumerContext,
    error::{KafkaError, RDKafkaErrorCode},
    metadata::MetadataTopic,
    producer::{DeliveryResult, ProducerContext},
};

use crate::{Error, Result};

use super::Config;

/// How long a broker may take to answer a single question.
pub(super) const ASK_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it is told that no broker is there.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// What is said where a property needs OpenSSL.
const WITHOUT_TLS: &str = "this build of flagmeter has no TLS and no SCRAM: build it with `--features tls`";

/// librdkafka's lines go where ours go.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{message}");
        }
        // What it calls an error is most often a broker that is away for a moment.
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// An error that concerns a whole client. The calls that it makes fail will say what it means for them. librdkafka
/// tells that no broker is there ten times a second, as long as it lasts.
pub(super) fn told(error: &KafkaError, reason: &str) {
    static DOWN_TOLD: Mutex<Option<Instant>> = Mutex::new(None);
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown)
        && !is_due(&mut DOWN_TOLD.lock().unwrap_or_else(PoisonError::into_inner), Instant::now())
    {
        return;
    }
    tracing::warn!(target: "librdkafka", %error, "{reason}");
}

/// Whether something that is told at most once in [`TOLD_EVERY`] is to be told now.
fn is_due(told: &mut Option<Instant>, now: Instant) -> bool {
    let is_due = told.is_none_or(|told| now.duration_since(told) >= TOLD_EVERY);
    if is_due {
        *told = Some(now);
    }
    is_due
}

/// The context of a client that has nothing to tell but its lines.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Plain;

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        told(&error, reason);
    }
}

impl ConsumerContext for Plain {}

impl ProducerContext for Plain {
    type DeliveryOpaque = ();

    /// The end of the transaction tells what became of its records.
    fn delivery(&self, _: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {}
}

/// A client could not be made: a property that librdkafka refuses, or that contradicts another.
pub(super) fn not_made(error: &KafkaError) -> Error {
    match error {
        KafkaError::ClientConfig(_, why, name, _) if is_left_out(why) => {
            Error::Config { setting: format!("properties.{name}"), reason: WITHOUT_TLS.into() }
        }
        KafkaError::ClientCreation(why) if is_left_out(why) => {
            Error::Config { setting: "properties.sasl.mechanisms".into(), reason: WITHOUT_TLS.into() }
        }
        KafkaError::ClientConfig(_, why, name, value) => {
            // The value may be a secret, and librdkafka repeats it.
            let reason = if value.is_empty() { why.clone() } else { why.replace(value.as_str(), "…") };
            Error::Config { setting: format!("properties.{name}"), reason }
        }
        other => Error::Config { setting: "properties".into(), reason: other.to_string() },
    }
}

/// Whether librdkafka knows what is asked for, and was built without it.
fn is_left_out(why: &str) -> bool {
    ["OpenSSL not available at build time", "recompile librdkafka"].iter().any(|says| why.contains(says))
}

/// A call failed. Whatever it was, it may be mended from outside while we go on asking.
pub(super) fn failed(what: &str, config: &Config, error: &KafkaError) -> Error {
    let mend = mend(code(error)).unwrap_or("see that the brokers run and can be reached");
    Error::Unavailable(format!("{what} failed at {}: {error}; {mend}", config.brokers))
}

/// An error that was told beside, with what mends it where that is known.
pub(super) fn explained(error: &KafkaError) -> String {
    mend(code(error)).map_or_else(|| error.to_string(), |mend| format!("{error}; {mend}"))
}

/// What mends it, where it is a matter of rights or settings.
fn mend(code: Option<RDKafkaErrorCode>) -> Option<&'static str> {
    use RDKafkaErrorCode as Code;
    Some(match code? {
        Code::TopicAuthorizationFailed => {
            "grant this user Read, Write and DescribeConfigs on the topic, and Create to make it"
        }
        Code::GroupAuthorizationFailed => "grant this user Read on the group",
        Code::TransactionalIdAuthorizationFailed => "grant this user Write on the transactional id",
        Code::ClusterAuthorizationFailed => "grant this user IdempotentWrite on the cluster",
        Code::SaslAuthenticationFailed | Code::Authentication => "see kafka.properties for user and password",
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => {
            "make the topic with `flagmeter topic create`"
        }
        _ => return None,
    })
}

/// The code of an error, also where rdkafka does not give it.
pub(super) fn code(error: &KafkaError) -> Option<RDKafkaErrorCode> {
    match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    }
}

/// A client that only asks.
pub(super) fn asking(config: &ClientConfig) -> Result<Client<Plain>> {
    let native = config.create_native_config().map_err(|error| not_made(&error))?;
    let kind = rdkafka::types::RDKafkaType::RD_KAFKA_PRODUCER;
    Client::new(config, native, kind, Plain).map_err(|error| not_made(&error))
}

/// How many partitions the topic has.
pub(super) fn partitions<C: ClientContext>(
    client: &Client<C>,
    config: &Config,
    timeout: Duration,
) -> Result<u32> {
    described(client, config, timeout, |topic| topic.partitions().len())
        .map(|partitions| u32::try_from(partitions).unwrap_or(u32::MAX))
}

/// What the brokers say about the topic. [`Error::Topic`] if it is not there.
pub(super) fn described<C: ClientContext, T>(
    client: &Client<C>,
    config: &Config,
    timeout: Duration,
    read: impl FnOnce(&MetadataTopic) -> T,
) -> Result<T> {
    let metadata = client
        .fetch_metadata(Some(&config.topic), timeout)
        .map_err(|error| failed("asking for the topic", config, &error))?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == config.topic);
    let code = topic.and_then(MetadataTopic::error).map(RDKafkaErrorCode::from);
    match (topic, code) {
        (Some(topic), None) if !topic.partitions().is_empty() => Ok(read(topic)),
        (_, None | Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
            let reason = format!(
                "it is not there: make it with `flagmeter topic create`, or see kafka.topic and {}",
                config.brokers
            );
            Err(Error::Topic { topic: config.topic.clone(), reason })
        }
        (_, Some(code)) => Err(failed("asking for the topic", config, &KafkaError::MetadataFetch(code))),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaConfRes;

    use super::*;

    #[test]
    fn an_outage_is_told_now_and_then() {
        let (mut told, began) = (None, Instant::now());
        let due = |tenths: u32| is_due(&mut told, began + Duration::from_millis(100) * tenths);
        assert_eq!((0..300).map(due).filter(|is_due| *is_due).count(), 3, "in half a minute");
    }

    #[test]
    fn a_property_that_is_refused_is_said_without_its_value() {
        let said = |value: &str| {
            let why = format!("Invalid value \"{value}\" here");
            let refused = RDKafkaConfRes::RD_KAFKA_CONF_INVALID;
            not_made(&KafkaError::ClientConfig(refused, why, "linger.ms".into(), value.into())).to_string()
        };
        assert_eq!(said("hush"), "kafka.properties.linger.ms: Invalid value \"…\" here");
        assert_eq!(said(""), "kafka.properties.linger.ms: Invalid value \"\" here");
    }

    #[test]
    fn a_failure_says_what_to_mend() {
        let config = Config::new("broker-1:9092", "flagmeter");
        let said = |code| failed("an append", &config, &KafkaError::MessageProduction(code)).to_string();
        let cases = [
            (
                RDKafkaErrorCode::TopicAuthorizationFailed,
                "Read, Write and DescribeConfigs on the topic, and Create",
            ),
            (RDKafkaErrorCode::GroupAuthorizationFailed, "Read on the group"),
            (RDKafkaErrorCode::TransactionalIdAuthorizationFailed, "Write on the transactional id"),
            (RDKafkaErrorCode::UnknownTopicOrPartition, "`flagmeter topic create`"),
            (RDKafkaErrorCode::AllBrokersDown, "see that the brokers run"),
        ];
        for (code, mend) in cases {
            let said = said(code);
            assert!(said.contains("an append failed at broker-1:9092") && said.contains(mend), "{said}");
        }
    }
}
