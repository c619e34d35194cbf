//! The topic: made once, and checked whenever a stage starts.

use std::time::{Duration, Instant};

use rdkafka::{
    admin::{AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    Config,
    broker::{self, ASK_TIMEOUT, Plain},
    reach,
};
use crate::{Error, Result};

/// How long a new topic may take until it can be used.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
const READY_PAUSE: Duration = Duration::from_millis(50);

/// What the topic is to be like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Partitions, from 1 to [`Settings::PARTITIONS_MAX`]: so many ingesters can share the work.
    pub partitions: u32,
    /// Copies of each record.
    pub replication: u16,
    /// Copies that must be in sync for an append to succeed.
    pub min_insync_replicas: u16,
    /// How long a record is kept, stored or not: an ingester that is away for longer loses records. Or
    /// [`Settings::FOR_EVER`].
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            partitions: 16,
            replication: 3,
            min_insync_replicas: 2,
            retention: Duration::from_hours(7 * 24),
        }
    }
}

impl Settings {
    /// Partitions at most: every seal has a record in each.
    pub const PARTITIONS_MAX: u32 = 1_024;
    /// No record ever goes.
    pub const FOR_EVER: Duration = Duration::MAX;

    /// Checks each setting; the first that cannot be is an [`Error::Config`].
    pub fn check(&self) -> Result<()> {
        let refused = |setting: &str, reason: String| Err(Error::Config { setting: setting.into(), reason });
        if !(1..=Self::PARTITIONS_MAX).contains(&self.partitions) {
            let reason = format!("{} is out of range: set 1 to {}", self.partitions, Self::PARTITIONS_MAX);
            return refused("partitions", reason);
        }
        if self.replication == 0 {
            return refused("replication", "0 copies keep nothing: set 1 or more".into());
        }
        if self.min_insync_replicas == 0 || self.min_insync_replicas > self.replication {
            let reason = format!(
                "{} is out of range: set 1 to {}, the number of copies",
                self.min_insync_replicas, self.replication
            );
            return refused("min_insync_replicas", reason);
        }
        if self.retention < Duration::from_hours(1) {
            let reason = format!("{} s is too short: set an hour or more", self.retention.as_secs());
            return refused("retention", reason);
        }
        Ok(())
    }

    /// The topic's properties, and what is wrong with another value of each.
    fn properties(&self, config: &Config) -> Vec<Property> {
        // A batch has a frame of its own around the record.
        let bytes = config.record_bytes_max.saturating_add(1 << 12);
        let is_for_ever = self.retention == Self::FOR_EVER;
        let (compacts, goes) = if is_for_ever {
            (
                "compaction takes records that are to be kept for ever",
                "records go that are to be kept for ever",
            )
        } else {
            ("compaction takes records that are not stored yet", "records may go before they are stored")
        };
        let mut properties = vec![
            Property {
                name: "cleanup.policy",
                wanted: "delete".into(),
                why: compacts,
                suits: |there, wanted| there == wanted,
            },
            Property {
                name: "retention.ms",
                wanted: if is_for_ever { "-1".into() } else { self.retention.as_millis().to_string() },
                why: goes,
                suits: no_less_or_unlimited,
            },
            Property {
                name: "retention.bytes",
                wanted: "-1".into(),
                why: goes,
                suits: |there, _| there.starts_with('-'),
            },
            Property {
                name: "min.insync.replicas",
                wanted: self.min_insync_replicas.to_string(),
                why: "an acknowledged record could be lost with a broker",
                suits: no_less,
            },
            Property {
                name: "max.message.bytes",
                wanted: bytes.to_string(),
                why: "records of kafka.record_bytes_max would be refused",
                suits: no_less,
            },
        ];
        if !is_for_ever {
            properties.push(Property {
                name: "message.timestamp.type",
                wanted: "LogAppendTime".into(),
                why: "silence and lag are measured by the broker's clock",
                suits: |there, wanted| there == wanted,
            });
        }
        properties
    }
}

/// A property of the topic that the promises need.
struct Property {
    name: &'static str,
    wanted: String,
    /// What another value leads to.
    why: &'static str,
    /// Whether what is there serves as well.
    suits: fn(there: &str, wanted: &str) -> bool,
}

fn no_less(there: &str, wanted: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().ok();
    matches!((number(there), number(wanted)), (Some(there), Some(wanted)) if there >= wanted)
}

fn no_less_or_unlimited(there: &str, wanted: &str) -> bool {
    there == "-1" || (wanted != "-1" && no_less(there, wanted))
}

/// What [`create`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It made the topic.
    Made,
    /// The topic was there already, and is as it should be.
    WasThere,
}

/// Makes the topic, or checks the one that is there.
pub async fn create(config: &Config, settings: &Settings) -> Result<Created> {
    settings.check()?;
    let (config, settings) = (config.clone(), settings.clone());
    with_admin(config, async move |admin, config| {
        let properties = settings.properties(config);
        let partitions = i32::try_from(settings.partitions).unwrap_or(i32::MAX);
        let replication = TopicReplication::Fixed(settings.replication.into());
        let topic = properties
            .iter()
            .fold(NewTopic::new(&config.topic, partitions, replication), |topic, property| {
                topic.set(property.name, &property.wanted)
            });
        let made = admin.create_topics([&topic], &options()).await;
        match made.map(|mut results| results.pop()) {
            Ok(Some(Ok(_))) => {
                until_ready(admin, config).await?;
                tracing::info!(topic = config.topic, partitions = settings.partitions, "the topic is made");
                Ok(Created::Made)
            }
            Ok(Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists)))) => {
                examine(admin, config, &settings).await.map(|_| Created::WasThere)
            }
            Ok(Some(Err((_, RDKafkaErrorCode::InvalidReplicationFactor)))) => Err(Error::Topic {
                topic: config.topic.clone(),
                reason: format!(
                    "the cluster has fewer brokers than the {} copies that are set: lower kafka.replication, or add brokers",
                    settings.replication
                ),
            }),
            Ok(Some(Err((_, code)))) => Err(broker::failed("making the topic", config, &KafkaError::AdminOp(code))),
            Ok(None) => Err(broker::failed("making the topic", config, &KafkaError::Canceled)),
            Err(error) => Err(broker::failed("making the topic", config, &error)),
        }
    })
    .await
}

/// Checks that the topic is there and as the promises need it. Returns how many partitions it has.
///
/// Whatever is wrong with it is an [`Error::Topic`], whose sentence says how to mend it.
pub async fn check(config: &Config, settings: &Settings) -> Result<u32> {
    settings.check()?;
    let (config, settings) = (config.clone(), settings.clone());
    with_admin(config, async move |admin, config| examine(admin, config, &settings).await).await
}

/// Does `work` with an admin client, whose making and end block.
async fn with_admin<T: Send + 'static>(
    config: Config,
    work: impl AsyncFnOnce(&AdminClient<Plain>, &Config) -> Result<T> + Send + 'static,
) -> Result<T> {
    config.check()?;
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        reach::check(&config)?;
        let admin: AdminClient<Plain> =
            config.admin().create_with_context(Plain).map_err(|error| broker::not_made(&error))?;
        runtime.block_on(work(&admin, &config))
    })
    .await
    // The runtime is shutting down.
    .map_err(|_| Error::Closed)?
}

/// Waits until every partition of a topic that was just made has a broker that leads it.
async fn until_ready(admin: &AdminClient<Plain>, config: &Config) -> Result<()> {
    let deadline = Instant::now() + READY_TIMEOUT;
    loop {
        let is_led = broker::described(admin.inner(), config, ASK_TIMEOUT, |topic| {
            topic.partitions().iter().all(|partition| partition.leader() >= 0)
        });
        match is_led {
            Ok(true) => return Ok(()),
            Ok(false) | Err(Error::Topic { .. }) if Instant::now() < deadline => {
                tokio::time::sleep(READY_PAUSE).await;
            }
            Ok(false) => {
                return Err(Error::Unavailable(
                    "the topic was made, and some of its partitions have no leader: see that all brokers run"
                        .into(),
                ));
            }
            Err(error) => return Err(error),
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ASK_TIMEOUT)).operation_timeout(Some(ASK_TIMEOUT))
}

async fn examine(admin: &AdminClient<Plain>, config: &Config, settings: &Settings) -> Result<u32> {
    let wrong = |reason: String| Error::Topic { topic: config.topic.clone(), reason };
    let (partitions, copies) = broker::described(admin.inner(), config, ASK_TIMEOUT, |topic| {
        let partitions = topic.partitions();
        (partitions.len(), partitions.iter().map(|partition| partition.replicas().len()).min().unwrap_or(0))
    })?;
    let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
    if partitions < settings.partitions {
        return Err(wrong(format!(
            "it has {partitions} partitions and {} are set: set kafka.partitions to {partitions}, or add some with \
             `kafka-topics --alter --topic {} --partitions {}`",
            settings.partitions, config.topic, settings.partitions
        )));
    }
    if copies < settings.replication.into() {
        return Err(wrong(format!(
            "it has {copies} copies and {} are set: set kafka.replication to {copies}, or add copies with \
             `kafka-reassign-partitions`",
            settings.replication
        )));
    }
    let resource = [ResourceSpecifier::Topic(&config.topic)];
    let answer = admin.describe_configs(&resource, &options()).await;
    let failed = |error: &KafkaError| broker::failed("asking for the topic's properties", config, error);
    let described =
        answer.map_err(|error| failed(&error))?.pop().ok_or_else(|| failed(&KafkaError::Canceled))?;
    let described = described.map_err(|code| failed(&KafkaError::AdminOp(code)))?;
    match misfit(&described, config, settings) {
        Some(reason) => Err(wrong(reason)),
        None => Ok(partitions),
    }
}

/// What is wrong with the topic's properties, if anything.
fn misfit(there: &ConfigResource, config: &Config, settings: &Settings) -> Option<String> {
    let properties = settings.properties(config);
    let misfits = properties.iter().filter_map(|property| {
        let value = there.get(property.name).and_then(|entry| entry.value.clone()).unwrap_or_default();
        (!(property.suits)(&value, &property.wanted)).then_some((property, value))
    });
    let misfits: Vec<_> = misfits.collect();
    if misfits.is_empty() {
        return None;
    }
    let what: Vec<_> = misfits
        .iter()
        .map(|(property, value)| format!("its {} is {value}, by which {}", property.name, property.why))
        .collect();
    let fix: Vec<_> =
        misfits.iter().map(|(property, _)| format!("{}={}", property.name, property.wanted)).collect();
    Some(format!(
        "{}: mend it with `kafka-configs --alter --entity-type topics --entity-name {} --add-config {}`",
        what.join(", and "),
        config.topic,
        fix.join(",")
    ))
}

#[cfg(test)]
mod tests {
    use rdkafka::admin::{ConfigEntry, ConfigSource, OwnedResourceSpecifier};

    use super::*;

    fn topic(change: Option<(&str, &str)>) -> ConfigResource {
        let config = Config::new("localhost:9092", "flagmeter");
        let entries = Settings::default().properties(&config).into_iter().map(|property| {
            let changed = change.filter(|(name, _)| *name == property.name);
            ConfigEntry {
                name: property.name.into(),
                value: Some(changed.map_or(property.wanted, |(_, value)| value.into())),
                source: ConfigSource::DynamicTopic,
                is_read_only: false,
                is_default: false,
                is_sensitive: false,
            }
        });
        ConfigResource {
            specifier: OwnedResourceSpecifier::Topic("flagmeter".into()),
            entries: entries.collect(),
        }
    }

    fn misfit_of(change: Option<(&str, &str)>) -> Option<String> {
        misfit(&topic(change), &Config::new("localhost:9092", "flagmeter"), &Settings::default())
    }

    #[test]
    fn what_is_as_it_should_be_or_better_suits() {
        assert_eq!(misfit_of(None), None);
        let better =
            [("retention.ms", "-1"), ("min.insync.replicas", "3"), ("max.message.bytes", "99999999")];
        for change in better {
            assert_eq!(misfit_of(Some(change)), None);
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_command_that_mends_it() {
        let wrong = [
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("message.timestamp.type", "CreateTime"),
            ("retention.ms", "1000"),
            ("retention.bytes", "1000"),
            ("min.insync.replicas", "1"),
            ("max.message.bytes", "1048588"),
            ("max.message.bytes", ""),
        ];
        for (name, value) in wrong {
            let reason = misfit_of(Some((name, value))).unwrap();
            assert!(reason.starts_with(&format!("its {name} is {value}, by which ")), "{reason}");
            let wanted = &Settings::default().properties(&Config::new("", ""));
            let wanted = wanted.iter().find(|property| property.name == name).unwrap();
            assert!(reason.ends_with(&format!("--add-config {name}={}`", wanted.wanted)), "{reason}");
        }
    }

    #[test]
    fn settings_that_cannot_be_are_refused() {
        let good = Settings::default();
        good.check().unwrap();
        let bad = [
            Settings { partitions: 0, ..good.clone() },
            Settings { partitions: 1_025, ..good.clone() },
            Settings { replication: 0, ..good.clone() },
            Settings { min_insync_replicas: 4, ..good.clone() },
            Settings { min_insync_replicas: 0, ..good.clone() },
            Settings { retention: Duration::from_secs(59), ..good },
        ];
        for settings in bad {
            assert!(matches!(settings.check(), Err(Error::Config { .. })), "{settings:?}");
        }
    }
}
