//! What a real broker cannot be made to do.

use prometheus::proto::MetricFamily;
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey as Api, RDKafkaRespErr as Answer},
};

use super::{
    super::{
        claim::Claim,
        lane::{History, Place},
        metrics::ProducerMetrics,
        transactions::Transactions,
    },
    *,
};
use crate::{Error, conformance::read_all};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Brokers that do as they are told, with a topic.
fn cluster(partitions: i32) -> (Cluster, Config) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("flagmeter", partitions, 1).unwrap();
    let mut config = Config::new(cluster.bootstrap_servers(), "flagmeter");
    config.append_timeout = Duration::from_secs(5);
    (cluster, config)
}

async fn producer(config: &Config, metrics: &prometheus::Registry) -> Producer {
    Producer::open(config.clone(), node(), metrics).await.unwrap()
}

async fn consumer(config: &Config, metrics: &prometheus::Registry) -> Consumer {
    Consumer::open(config.clone(), "group", None, metrics).await.unwrap()
}

/// A counter with this label.
fn counted(metrics: &prometheus::Registry, name: &str, label: &str) -> u64 {
    let families = metrics.gather();
    let metrics = families.iter().filter(|family| family.name() == name).flat_map(MetricFamily::get_metric);
    let wanted = metrics.filter(|metric| metric.get_label().iter().all(|it| it.value() == label));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small count")]
    wanted.map(|metric| metric.get_counter().get_value() as u64).sum()
}

/// Offers the record until it is taken; how often that failed.
async fn insist(producer: &Producer, payload: &str) -> usize {
    let mut failures = 0;
    while let Err(error) = producer.append(vec![record(0, payload.to_owned())]).await {
        assert!(error.is_retryable(), "{error}");
        failures += 1;
        assert!(failures < 10, "{error}");
    }
    failures
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_must_be_given_up_leaves_nothing_and_the_next_one_goes_through() {
    let (cluster, config) = cluster(1);
    let metrics = prometheus::Registry::new();
    let producer = producer(&config, &metrics).await;
    cluster.request_errors(Api::Produce, &[Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let error = producer.append(vec![record(0, "0")]).await.unwrap_err();
    assert!(matches!(&error, Error::Unavailable(_)) && error.is_retryable(), "{error}");
    assert!(error.to_string().contains("Message size too large"), "{error}");
    // The mock misses the number of the message that it refused, once.
    let failures = insist(&producer, "1").await;
    assert!(failures <= 1, "{failures}");
    let given_up = counted(&metrics, "flagmeter_log_transactions_total", "given_up");
    assert_eq!(given_up, 1 + failures as u64);
    assert_eq!(
        counted(&metrics, "flagmeter_log_producer_renewals_total", ""),
        given_up,
        "what made it fail may be what its client believed"
    );
    assert_eq!(counted(&metrics, "flagmeter_log_transactions_total", "committed"), 1);
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), [1].into());
}

/// So many that the broker has answered for some before the last one is sent.
fn many() -> Vec<NewRecord> {
    (0..50_000_u32).map(|number| record(0, number.to_string())).collect()
}

/// What became of those that were sent by then is still to be asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_fails_while_its_records_are_sent_is_given_up_and_the_next_one_goes_through() {
    let (cluster, config) = cluster(1);
    let metrics = prometheus::Registry::new();
    let producer = producer(&config, &metrics).await;
    cluster.request_errors(Api::AddPartitionsToTxn, &[Answer::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED]);
    let error = producer.append(many()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert_eq!(insist(&producer, "1").await, 0);
    assert_eq!(counted(&metrics, "flagmeter_log_transactions_total", "given_up"), 1);
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), [1].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_brokers_do_not_let_be_given_up_is_said_in_time() {
    let (cluster, mut config) = cluster(1);
    config.append_timeout = Duration::from_millis(300);
    let producer = producer(&config, &prometheus::Registry::new()).await;
    cluster.request_errors(Api::Produce, &[Answer::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    cluster.request_errors(Api::EndTxn, &vec![Answer::RD_KAFKA_RESP_ERR_UNKNOWN; 200_000]);
    let append = producer.append(vec![record(0, "0")]);
    let error = tokio::time::timeout(Duration::from_secs(10), append).await.unwrap().unwrap_err();
    assert!(error.is_retryable(), "{error}");
    cluster.clear_request_errors(Api::EndTxn);
    insist(&producer, "1").await;
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), [1].into());
}

/// The records that come next are told "fatal", and not why.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_is_fenced_while_its_records_are_sent_does_not_take_its_number_back() {
    let (cluster, config) = cluster(1);
    let producer = producer(&config, &prometheus::Registry::new()).await;
    let other = Claim::new(&config, node());
    tokio::task::block_in_place(|| other.leave_over(&config, &History::default()));
    cluster.request_errors(Api::AddPartitionsToTxn, &[Answer::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    let error = producer.append(many()).await.unwrap_err();
    assert!(matches!(error, Error::Fenced { .. }), "{error}");
}

/// Both found nobody, and by chance the same lane.
#[test]
fn of_two_that_start_at_once_none_keeps_a_lane_that_both_have() {
    let (_cluster, config) = cluster(1);
    let place = Place::open(None).unwrap();
    let lane = place.lane();
    let drawn = lane.load(Ordering::Relaxed);
    let metrics = ProducerMetrics::new().unwrap();
    let mut first = Transactions::new(config.clone(), node(), metrics, Arc::default(), place);
    first.claim_only();
    let other = History::read(&format!("1:{drawn}"));
    Claim::new(&config, node()).leave_over(&config, &other);
    first.take_over().unwrap();
    assert_ne!(lane.load(Ordering::Relaxed), drawn);
}

#[test]
fn a_claim_that_the_broker_cannot_tell_is_not_taken_for_nobodys() {
    let (_cluster, config) = cluster(1);
    let nowhere = Config { topic: "nowhere".into(), ..config.clone() };
    assert!(Claim::new(&config, node()).holds(&config).unwrap(), "nobody has left any");
    assert!(Claim::new(&nowhere, node()).holds(&nowhere).unwrap_err().is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coordinator_that_loads_or_moves_is_waited_for() {
    let (cluster, config) = cluster(1);
    let loading = [Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 2];
    cluster.request_errors(Api::InitProducerId, &loading);
    let moving = [Answer::RD_KAFKA_RESP_ERR_NOT_COORDINATOR; 5];
    cluster.request_errors(Api::OffsetFetch, &moving);
    cluster.request_errors(Api::OffsetCommit, &moving);
    let producer = producer(&config, &prometheus::Registry::new()).await;
    cluster.request_errors(Api::AddPartitionsToTxn, &[Answer::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS; 3]);
    cluster.request_errors(
        Api::EndTxn,
        &[
            Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
            Answer::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
            Answer::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
        ],
    );
    assert_eq!(insist(&producer, "0").await, 0);
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    assert_eq!(read_all(&mut consumer).await.unwrap().len(), 1);
}

/// The commit's answer is lost with the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_asked_again_and_not_made_twice() {
    let (cluster, config) = cluster(1);
    let producer = producer(&config, &prometheus::Registry::new()).await;
    cluster.request_errors(Api::EndTxn, &[Answer::RD_KAFKA_RESP_ERR__TRANSPORT; 2]);
    assert_eq!(insist(&producer, "0").await, 0);
    assert_eq!(insist(&producer, "1").await, 0);
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    assert_eq!(read_all(&mut consumer).await.unwrap().len(), 2);
}

/// The brokers go away in the middle, for longer than an append waits.
#[tokio::test(flavor = "multi_thread")]
async fn an_append_whose_end_is_not_known_is_found_out_about_by_the_next_one() {
    let (cluster, mut config) = cluster(1);
    config.append_timeout = Duration::from_millis(300);
    let producer = producer(&config, &prometheus::Registry::new()).await;
    assert_eq!(insist(&producer, "0").await, 0);
    let left_open = async |payload: &'static str| {
        cluster.request_errors(Api::EndTxn, &[Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 200]);
        let error = producer.append(vec![record(0, payload)]).await.unwrap_err();
        assert!(error.is_retryable(), "{error}");
        cluster.clear_request_errors(Api::EndTxn);
    };
    left_open("1").await;
    insist(&producer, "1").await;
    insist(&producer, "2").await;
    // The end of one append says nothing about another.
    left_open("3").await;
    insist(&producer, "4").await;
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    let records = read_all(&mut consumer).await.unwrap();
    assert_eq!((records.len(), numbers(&records)), (5, (0..5).collect()), "once each");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_are_away_are_waited_for_and_nothing_is_lost() {
    let (cluster, mut config) = cluster(2);
    config.append_timeout = Duration::from_secs(1);
    let producer = producer(&config, &prometheus::Registry::new()).await;
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    append(&producer, 0..4).await;
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), (0..4).collect());
    cluster.broker_down(-1).unwrap();
    let error = producer.append(vec![record(0, "4"), record(1, "5")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    assert!(consumer.read(1_000, Duration::from_millis(10)).await.unwrap().is_empty(), "it only waits");
    cluster.broker_up(-1).unwrap();
    while let Err(error) = producer.append(vec![record(0, "4"), record(1, "5")]).await {
        assert!(error.is_retryable(), "{error}");
    }
    let records = tokio::time::timeout(SOON, async {
        let mut records = Vec::new();
        while records.len() < 2 {
            records.extend(consumer.read(1_000, Duration::from_secs(1)).await.unwrap());
        }
        records
    });
    assert_eq!(numbers(&records.await.unwrap()), [4, 5].into());
}

/// An edge restarts while the brokers are away, and maybe with another setting.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_opens_without_brokers_where_it_knows_the_partitions_and_compares_them_later() {
    let (cluster, mut config) = cluster(2);
    config.append_timeout = Duration::from_millis(300);
    cluster.broker_down(-1).unwrap();
    let opened = async |partitions| {
        let config = Config { partitions: Some(partitions), ..config.clone() };
        let producer = producer(&config, &prometheus::Registry::new()).await;
        assert_eq!(producer.partitions(), partitions);
        producer
    };
    let (right, more, fewer) = (opened(2).await, opened(3).await, opened(1).await);
    let error = right.append(vec![record(1, "0")]).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    cluster.broker_up(-1).unwrap();
    insist(&fewer, "0").await;
    // From a journal that was cut for as many as there are, before the restart.
    fewer.append(vec![record(0, "1"), record(1, "2")]).await.unwrap();
    assert_eq!(fewer.partitions(), 1, "it does not change");
    insist(&right, "3").await;
    // One that is opened now asks nobody either.
    for producer in [&more, &opened(3).await] {
        for partition in [2, 0] {
            let error = producer.append(vec![record(0, "4"), record(partition, "5")]).await.unwrap_err();
            assert!(matches!(error, Error::Topic { .. }) && !error.is_retryable(), "{error}");
            let told = error.to_string();
            assert!(told.contains("it has 2 partitions, and what waits here is for the 3"), "{told}");
            assert!(told.contains("`kafka-topics --alter --topic flagmeter --partitions 3`"), "{told}");
        }
    }
    right.append(vec![record(1, "6")]).await.expect("those have not taken its number");
    let error = right.append(vec![record(0, "7"), record(2, "8")]).await.unwrap_err();
    assert!(matches!(error, Error::NoSuchPartition { partition: 2, partitions: 2 }), "{error}");
    right.append(vec![record(0, "9")]).await.unwrap();
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    let records = read_all(&mut consumer).await.unwrap();
    assert_eq!((records.len(), numbers(&records)), (6, [0, 1, 2, 3, 6, 9].into()));
}

/// The topic may have another number of partitions than an edge that starts for the first time was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_does_not_know_the_partitions_is_not_opened_before_it_has_its_number() {
    let (cluster, mut config) = cluster(2);
    config.append_timeout = Duration::from_millis(300);
    cluster.request_errors(
        Api::InitProducerId,
        &vec![Answer::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS; 10_000],
    );
    let error = Producer::open(config.clone(), node(), &prometheus::Registry::new()).await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    config.partitions = Some(2);
    assert_eq!(producer(&config, &prometheus::Registry::new()).await.partitions(), 2);
}

/// Fetches that fail for ever, while everything else answers: a client that is stuck.
#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_stalls_is_made_anew() {
    let (cluster, mut config) = cluster(1);
    config.stall_after = Duration::from_millis(600);
    let (of_producer, of_consumer) = (prometheus::Registry::new(), prometheus::Registry::new());
    let producer = producer(&config, &of_producer).await;
    let mut consumer = consumer(&config, &of_consumer).await;
    append(&producer, 0..3).await;
    let records = read_all(&mut consumer).await.unwrap();
    consumer.commit(&after(&records[..2])).await.unwrap();
    cluster.request_errors(Api::Fetch, &vec![Answer::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR; 10_000]);
    append(&producer, 3..5).await;
    let stalled = async {
        while counted(&of_consumer, "flagmeter_log_consumer_renewals_total", "stalled") < 1 {
            drop(consumer.read(1_000, Duration::from_millis(50)).await.unwrap());
        }
    };
    tokio::time::timeout(SOON, stalled).await.unwrap();
    cluster.clear_request_errors(Api::Fetch);
    let again = tokio::time::timeout(SOON, async {
        let mut records = Vec::new();
        while records.len() < 3 {
            records.extend(consumer.read(1_000, Duration::from_secs(1)).await.unwrap());
        }
        records
    });
    assert_eq!(numbers(&again.await.unwrap()), (2..5).collect(), "from the committed position");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_is_made_anew_when_a_single_partition_stalls_and_the_others_go_on() {
    let (_cluster, mut config) = cluster(2);
    config.stall_after = Duration::from_millis(600);
    config.properties.insert("session.timeout.ms".into(), "6000".into());
    config.properties.insert("heartbeat.interval.ms".into(), "200".into());
    let (of_producer, of_consumer) = (prometheus::Registry::new(), prometheus::Registry::new());
    let producer = producer(&config, &of_producer).await;
    let mut consumer = consumer(&config, &of_consumer).await;
    append(&producer, 0..2).await;
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), [0, 1].into());
    consumer.hold_back(1);
    let mut seen = BTreeSet::new();
    let comes = async {
        let mut next = 2;
        while !seen.contains(&3) {
            append(&producer, next..next + 2).await;
            next += 2;
            seen.extend(numbers(&consumer.read(usize::MAX, Duration::from_millis(50)).await.unwrap()));
        }
    };
    tokio::time::timeout(SOON, comes).await.unwrap();
    assert_eq!(counted(&of_consumer, "flagmeter_log_consumer_renewals_total", "stalled"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lag_that_brokers_are_slow_to_tell_does_not_hold_the_records_up() {
    let (cluster, config) = cluster(1);
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    until_owns(&mut consumer, 1).await;
    cluster.broker_round_trip_time(1, Duration::from_secs(20)).unwrap();
    let asked = std::time::Instant::now();
    assert!(consumer.lag().await.unwrap_err().is_retryable());
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
    cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_refused_by_a_group_that_has_moved_on_and_that_is_no_failure() {
    let (cluster, mut config) = cluster(1);
    config.properties.insert("session.timeout.ms".into(), "6000".into());
    config.properties.insert("heartbeat.interval.ms".into(), "200".into());
    let producer = producer(&config, &prometheus::Registry::new()).await;
    let mut consumer = consumer(&config, &prometheus::Registry::new()).await;
    append(&producer, 0..3).await;
    let records = read_all(&mut consumer).await.unwrap();
    for answer in [Answer::RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, Answer::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID]
    {
        cluster.request_errors(Api::OffsetCommit, &[answer]);
        consumer.commit(&after(&records)).await.unwrap();
        // It joins anew, and finds that nothing was committed. Until it has its partitions again it does not know.
        let again = async {
            loop {
                match consumer.lag().await {
                    Ok(lag) if lag.records == 3 => break,
                    Ok(_) => {}
                    Err(error) => assert!(error.is_retryable(), "{error}"),
                }
            }
        };
        tokio::time::timeout(SOON, again).await.unwrap();
    }
    cluster.request_errors(Api::OffsetCommit, &[Answer::RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS]);
    let error = consumer.commit(&after(&records)).await.unwrap_err();
    assert!(error.is_retryable(), "it may still have its partitions: {error}");
    consumer.commit(&after(&records)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_that_is_told_that_its_name_is_taken_takes_it_back_once() {
    let (cluster, mut config) = cluster(1);
    config.properties.insert("session.timeout.ms".into(), "6000".into());
    config.properties.insert("heartbeat.interval.ms".into(), "100".into());
    let producer = producer(&config, &prometheus::Registry::new()).await;
    let metrics = prometheus::Registry::new();
    let mut consumer =
        Consumer::open(config.clone(), "group", Some("ingest-1".to_owned()), &metrics).await.unwrap();
    append(&producer, 0..3).await;
    assert_eq!(numbers(&read_all(&mut consumer).await.unwrap()), (0..3).collect());
    cluster.request_errors(Api::Heartbeat, &[Answer::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID]);
    append(&producer, 3..5).await;
    let mut seen = BTreeSet::new();
    let again = async {
        // From the committed position, as nothing was committed.
        while seen.len() < 5 {
            seen.extend(numbers(&consumer.read(usize::MAX, Duration::from_millis(50)).await.unwrap()));
        }
    };
    tokio::time::timeout(SOON, again).await.unwrap();
    cluster.request_errors(Api::Heartbeat, &[Answer::RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID]);
    let told = async {
        loop {
            if let Err(error) = consumer.read(usize::MAX, Duration::from_millis(50)).await {
                return error;
            }
        }
    };
    let error = tokio::time::timeout(SOON, told).await.unwrap();
    assert!(matches!(&error, Error::InstanceTaken { instance } if instance == "ingest-1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_do_not_answer_and_properties_that_cannot_be_are_said_at_the_start() {
    let metrics = prometheus::Registry::new();
    let nobody =
        Config { append_timeout: Duration::from_millis(10), ..Config::new("127.0.0.1:1", "flagmeter") };
    let error = Producer::open(nobody.clone(), node(), &metrics).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("127.0.0.1:1"), "{error}");
    let mut unknown = nobody.clone();
    unknown.properties.insert("sasl.passphrase".into(), "hush".into());
    let error = Consumer::open(unknown, "group", None, &metrics).await.unwrap_err();
    assert!(matches!(error, Error::Config { .. }), "{error}");
    assert!(
        error.to_string().contains("kafka.properties.sasl.passphrase") && !error.to_string().contains("hush"),
        "{error}"
    );
    let error = Consumer::open(nobody, "", None, &metrics).await.unwrap_err();
    assert_eq!(error.to_string(), "kafka.group: it is empty: set a name");
    assert!(metrics.gather().is_empty(), "a second try can register them");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_without_tls_says_so_and_one_with_it_takes_its_properties() {
    for (protocol, mechanism) in
        [("ssl", None), ("sasl_ssl", Some("PLAIN")), ("sasl_plaintext", Some("SCRAM-SHA-512"))]
    {
        let mut config =
            Config { append_timeout: Duration::from_millis(10), ..Config::new("127.0.0.1:1", "flagmeter") };
        let sasl = mechanism.map(|mechanism| ("sasl.mechanisms", mechanism));
        let properties =
            [("security.protocol", protocol), ("sasl.username", "edge"), ("sasl.password", "hush")];
        for (name, value) in properties.into_iter().chain(sasl) {
            config.properties.insert(name.into(), value.into());
        }
        let error = Producer::open(config, node(), &prometheus::Registry::new()).await.unwrap_err();
        if cfg!(feature = "tls") {
            assert!(error.is_retryable(), "nobody is there, and nothing else is wrong: {error}");
        } else {
            assert!(matches!(error, Error::Config { .. }), "{error}");
            assert!(error.to_string().ends_with("build it with `--features tls`"), "{error}");
        }
    }
}
