//! `flagmeter ingest`: from Kafka into InfluxDB. It keeps nothing itself.

use flagmeter_ingest::AtStop;
use flagmeter_log::kafka::Consumer;

use super::{Process, Started};
use crate::{
    Result,
    flags::FlagWatch,
    process::{Closing, ProcessArgs, Stages, readiness::Needs, settings},
};

/// Runs an ingester.
pub(crate) async fn run(args: ProcessArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, "ingest", open).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<()>> {
    let Process { config, metrics, .. } = process;
    let store = process.influx().await?;
    let group = &config.kafka.group;
    let instance = (!config.kafka.instance.is_empty()).then(|| config.kafka.instance.clone());
    let consumer = process
        .with_kafka(async |kafka| Ok(Consumer::open(kafka, group, instance.clone(), metrics).await?))
        .await?;
    // Edges go on writing to the log, and another ingester reads on: a stop waits for no empty log.
    let ingest_config =
        flagmeter_ingest::Config { at_stop: AtStop::Leave, ..settings::ingest_config(config) };
    let flags = FlagWatch::open(config, "ingest", &process.clock, metrics, None).await?;
    stages.flags(process.with(), "ingest", flags, None, None)?;
    stages.ingest(process.with(), ingest_config, Box::new(consumer), &store);
    let name = instance.map_or_else(String::new, |instance| format!(" {instance}"));
    let greeting = format!(
        "ingest{name} in the group {group} reads the topic {} at {} and writes to {}",
        config.kafka.topic, config.kafka.brokers, config.influx.url
    );
    let then = Box::new(|| "what is not stored yet waits in Kafka");
    let closing = Closing { what: "the connections", parts: (), then };
    Ok(Started { greeting, needs: Needs { store: Some(store), edge: None }, closing })
}
