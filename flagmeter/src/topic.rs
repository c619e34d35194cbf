//! `flagmeter topic`: makes the topics in Kafka, that of the log and that of the ledger, and checks them.

#[cfg(feature = "kafka")]
use flagmeter_ledger::kafka as ledger;
#[cfg(feature = "kafka")]
use flagmeter_log::kafka::topic::{self, Created};

use crate::config::SettingArgs;
#[cfg(feature = "kafka")]
use crate::{Result, output, process::settings};

/// What `flagmeter topic` is asked for.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TopicCommand {
    /// Make the topic as the settings of Kafka say, and that of the ledger; check them where they are there already
    #[command(after_help = "\
Examples:
  flagmeter topic create --set kafka.brokers=kafka-1:9092,kafka-2:9092
  flagmeter topic create --set kafka.replication=1 --set kafka.min_insync_replicas=1     on a single broker")]
    Create(SettingArgs),
    /// Say `ok`, or what is wrong with the topics and how to mend it
    #[command(after_help = "Examples:\n  flagmeter topic check --set kafka.brokers=kafka-1:9092")]
    Check(SettingArgs),
}

/// Does it.
#[cfg(feature = "kafka")]
pub(crate) async fn run(command: TopicCommand) -> Result<()> {
    let (TopicCommand::Create(arguments) | TopicCommand::Check(arguments)) = &command;
    let (config, _) = arguments.load()?;
    let (kafka, wanted) = (settings::kafka_config(&config), settings::topic_settings(&config));
    let (name, of_ledger) = (&kafka.topic, settings::ledger_config(&config));
    match command {
        TopicCommand::Create(_) => {
            match topic::create(&kafka, &wanted).await? {
                Created::Made => output::say(format!(
                    "the topic {name} is made: {} partitions, {} copies of each record",
                    wanted.partitions, wanted.replication
                )),
                Created::WasThere => output::say(format!("the topic {name} is there, and as it should be")),
            }
            output::say(match ledger::create(&of_ledger).await? {
                Created::Made => {
                    format!("the topic {} of the ledger is made: it is kept for ever", of_ledger.topic())
                }
                Created::WasThere => {
                    format!("the topic {} of the ledger is there, and as it should be", of_ledger.topic())
                }
            });
        }
        TopicCommand::Check(_) => {
            let partitions = topic::check(&kafka, &wanted).await?;
            ledger::check(&of_ledger).await?;
            output::say(format!(
                "ok: the topic {name} has {partitions} partitions, and the ledger is in {}",
                of_ledger.topic()
            ));
        }
    }
    Ok(())
}
