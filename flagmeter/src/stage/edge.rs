//! `flagmeter edge`: doors for SDKs, a journal on this disk, and seals into Kafka.

use std::{sync::Arc, time::Duration};

use flagmeter_edge::Edge;
use flagmeter_log::kafka::{self, Producer};
use tracing::warn;

use super::{Process, Started};
use crate::{
    Result,
    flags::{self, FlagWatch},
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
    super::run(config, "edge", open).await
}

/// How long an edge that has run before waits for Kafka, which may take a while over a first answer.
const GLANCE: Duration = Duration::from_secs(3);

/// Waits for Kafka where the edge starts for the first time. One that has run here before takes posts into its journal
/// without it: the topic was as it should be then. What it needs most of it is looked at again with the first append.
async fn open_producer(process: &Process, folder: &Folder) -> Result<Producer> {
    let Process { config, metrics, .. } = process;
    let node = config.edge.node;
    let of_this_edge = |kafka: kafka::Config| kafka::Config { lane_path: Some(folder.lane()), ..kafka };
    if folder.lane().exists() {
        let kafka = of_this_edge(settings::kafka_config(config));
        let topic = settings::topic_settings(config);
        let why = match tokio::time::timeout(GLANCE, kafka::topic::check(&kafka, &topic)).await {
            Ok(Ok(_)) => None,
            // A certificate or a password may be mended on the brokers' side: no reason to turn posts away.
            Ok(Err(error @ flagmeter_log::Error::Refused { .. })) => Some(error.to_string()),
            Ok(Err(error)) if !error.is_retryable() => return Err(error.into()),
            Ok(Err(_)) | Err(_) => Some(format!("Kafka at {} does not answer", kafka.brokers)),
        };
        if let Some(why) = why {
            warn!("{why}; what is counted waits for it on this disk");
            let kafka = kafka::Config { partitions: Some(config.kafka.partitions), ..kafka };
            return Ok(Producer::open(kafka, node, metrics).await?);
        }
    }
    process.with_kafka(async |kafka| Ok(Producer::open(of_this_edge(kafka), node, metrics).await?)).await
}

async fn open(process: &Process, stages: &mut Stages) -> Result<Started<Folder>> {
    let Process { config, clock, metrics, .. } = process;
    let folder = Folder::take(&config.data.path)?;
    let registry_file =
        RegistryFile::open(folder::registry_file(config), folder.registry_good_copy(), metrics)?;
    let good_copy = Some(folder.flags_good_copy());
    let flag_watch = FlagWatch::open(config, "edge", clock, metrics, good_copy).await?;
    let node = config.edge.node;
    let producer = open_producer(process, &folder).await?;
    let mut edge_config = settings::edge_config(config, folder.journal(), None);
    edge_config.encoding_of = flags::encoding_of(flag_watch.flags());
    edge_config.record_bytes_max = edge_config.record_bytes_max.min(config.kafka.record_bytes_max.bytes());
    let edge = Arc::new(Edge::open(
        edge_config,
        Arc::new(producer),
        registry_file.subscribe(),
        Arc::clone(clock),
        metrics,
    )?);
    let (listener, address) = listener::bind(config.listen.http, "listen.http").await?;
    stages.listener(process.with(), listener, edge.router(), ());
    stages.edge(Arc::clone(&edge));
    let registry = registry_file.subscribe();
    stages.flags(process.with(), "edge", flag_watch, Some(registry), Some(edge.router()))?;
    stages.registry(process.with(), registry_file);
    let region = config.edge.region.as_ref().map_or_else(String::new, |region| format!(" in {region}"));
    let greeting = format!(
        "edge {node}{region} listens on http://{address}, hands on to the topic {} at {}, and keeps its journal in {}",
        config.kafka.topic,
        config.kafka.brokers,
        folder.path().display()
    );
    let stopped = Arc::clone(&edge);
    let then = Box::new(move || match stopped.waiting_bytes() {
        0 => "everything that was acknowledged is in Kafka",
        _ => "what Kafka has not taken is in the journal, for the next start with this data folder",
    });
    let closing = Closing { what: "the data folder", parts: folder, then };
    Ok(Started { greeting, needs: Needs { edge: Some(edge), store: None }, closing })
}
