//! `flagmeter edge`: doors for SDKs, a journal on this disk, and seals into Kafka.

use std::sync::Arc;

use flagmeter_edge::Edge;
use flagmeter_log::kafka::{self, Producer};

use super::{Process, Started};
use crate::{
    Result,
    process::{
        Closing, ServeArgs, Stages,
        folder::{self, Folder},
        listener,
        readiness::Needs,
        settings,
    },
    registry::RegistryFile,
};

/// Runs an edge node.
pub(crate) async fn run(args: ServeArgs) -> Result<()> {
    let (config, _) = args.load()?;
    super::run(config, open).await
}

/// Waits for Kafka where the edge starts for the first time. One that has run here before takes posts into its journal
/// at once: the topic was as it should be then, and is looked at again with the first append.
async fn open_producer(process: &Process, folder: &Folder) -> Result<Producer> {
    let Process { config, metrics, .. } = process;
    let has_run_before = folder.lane().exists();
    let of_this_edge = |kafka: kafka::Config| kafka::Config {
        lane_path: Some(folder.lane()),
        partitions: has_run_before.then_some(config.kafka.partitions),
        ..kafka
    };
    if has_run_before {
        let kafka = of_this_edge(settings::kafka_config(config));
        let partitions = match kafka::topic::check(&kafka, &settings::topic_settings(config)).await {
            Ok(found) => found,
            Err(error) if error.is_retryable() => config.kafka.partitions,
            Err(error) => return Err(error.into()),
        };
        let kafka = kafka::Config { partitions: Some(partitions), ..kafka };
        return Ok(Producer::open(kafka, config.edge.node, metrics).await?);
    }
    process
        .with_kafka(async |kafka| Ok(Producer::open(of_this_edge(kafka), config.edge.node, metrics).await?))
        .await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<Folder>> {
    let Process { config, clock, metrics, .. } = process;
    let folder = Folder::take(&config.data.path)?;
    let (listener, address) = listener::bind(config.listen.http, "listen.http").await?;
    let registry_file =
        RegistryFile::open(folder::registry_file(config), folder.registry_good_copy(), metrics)?;
    let node = config.edge.node;
    let producer = open_producer(process, &folder).await?;
    let mut edge_config = settings::edge_config(config, folder.journal(), None);
    edge_config.record_bytes_max = edge_config.record_bytes_max.min(config.kafka.record_bytes_max.bytes());
    let edge = Arc::new(Edge::open(
        edge_config,
        Arc::new(producer),
        registry_file.subscribe(),
        Arc::clone(clock),
        metrics,
    )?);
    stages.listener(process.with(), listener, edge.router());
    stages.edge(Arc::clone(&edge));
    stages.registry(process.with(), registry_file);
    let region = config.edge.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
    let greeting = format!(
        "edge {node}{region} listens on http://{address}, hands on to the topic {} at {}, and keeps its journal in {}",
        config.kafka.topic,
        config.kafka.brokers,
        folder.path().display()
    );
    let closing = Closing {
        what: "the data folder",
        parts: folder,
        then: "everything that was acknowledged is in Kafka, or in the journal for the next start",
    };
    Ok(Started { greeting, needs: Needs { edge: Some(edge), store: None }, closing })
}
