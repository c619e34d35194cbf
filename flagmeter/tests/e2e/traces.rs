//! Traces, as a collector gets them: a receiver of OTLP over HTTP that reads what OpenTelemetry's own types read.

use std::{
    collections::HashSet,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, Status, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use serde_json::json;

#[cfg(feature = "kafka")]
use crate::cluster::{
    servers::Servers,
    stages::{Cluster, KEY, start_all},
};
use crate::{
    http,
    server::{DataFolder, Server, eventually, run},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0b9902d7";

/// A collector. Its threads end with the test's process.
#[derive(Clone, Default)]
struct Collector(Arc<Inner>);

#[derive(Default)]
struct Inner {
    spans: Mutex<Vec<Span>>,
    /// Of requests: first line and headers, in lower case.
    heads: Mutex<Vec<String>>,
    resources: Mutex<Vec<String>>,
    /// Takes connections, and never answers.
    hangs: AtomicBool,
    held: Mutex<Vec<TcpStream>>,
}

impl Collector {
    /// One that listens, and its address.
    fn start() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let collector = Self::default();
        let taking = collector.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let taking = taking.clone();
                thread::spawn(move || taking.serve(stream));
            }
        });
        (collector, format!("http://{address}"))
    }

    /// One connection, request by request.
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).ok()?;
                head.extend(byte);
            }
            let head = String::from_utf8_lossy(&head).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            let mut body = vec![0; length.trim().parse().ok()?];
            stream.read_exact(&mut body).ok()?;
            self.0.heads.lock().expect("heads").push(head);
            if self.0.hangs.load(Ordering::SeqCst) {
                self.0.held.lock().expect("held").push(stream);
                return None;
            }
            self.take(&body);
            stream
                .write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n",
                )
                .ok()?;
        }
    }

    fn take(&self, body: &[u8]) {
        let told = ExportTraceServiceRequest::decode(body).expect("OTLP");
        for resource in told.resource_spans {
            let who = resource.resource.expect("a resource");
            let service = who.attributes.iter().find(|held| held.key == "service.name").cloned();
            let who = who.attributes.iter().map(|held| {
                let value = held.value.as_ref().and_then(|value| value.value.as_ref());
                format!("{}={}", held.key, written(value))
            });
            self.0.resources.lock().expect("resources").extend(who);
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            // A span says whose it is: processes of a test share a collector.
            let spans = spans.map(|mut span| {
                span.attributes.extend(service.clone());
                span
            });
            self.0.spans.lock().expect("spans").extend(spans);
        }
    }

    /// The first span of this kind, once there is one.
    fn span(&self, what: &str, is: impl Fn(&Span) -> bool) -> Span {
        let look = || self.spans().into_iter().find(|span| is(span));
        eventually(what, look, Option::is_some).expect("it is there")
    }

    fn spans(&self) -> Vec<Span> {
        self.0.spans.lock().expect("spans").clone()
    }
}

fn written(value: Option<&Value>) -> String {
    match value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

/// What a span says under this name; empty if nothing.
fn said(span: &Span, key: &str) -> String {
    let held = span.attributes.iter().find(|held| held.key == key);
    held.map_or_else(String::new, |held| written(held.value.as_ref().and_then(|value| value.value.as_ref())))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn links_to(span: &Span, to: &Span) -> bool {
    span.links.iter().any(|link| (&link.trace_id, &link.span_id) == (&to.trace_id, &to.span_id))
}

fn is_below(span: &Span, above: &Span) -> bool {
    (&span.trace_id, &span.parent_span_id) == (&above.trace_id, &above.span_id)
}

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// The way of a post with this name from an edge to where it was stored, of processes with these names. Its first span.
fn chain(collector: &Collector, name: &str, edge: &str, [ingest, messaging]: [&str; 2]) -> Span {
    let of = |service: &str, span: &Span| said(span, "service.name") == service;
    let request = collector.span("the request", |span| said(span, "flagmeter.request_id") == name);
    let commit =
        collector.span("its commit", |span| span.name == "journal commit" && links_to(span, &request));
    let seal = collector.span("its seal", |span| span.name == "seal" && links_to(span, &commit));
    assert!(seal.parent_span_id.is_empty(), "it is the root of its trace");
    assert!([&request, &commit, &seal].iter().all(|span| of(edge, span)), "{seal:?}");
    let sealed = collector.span("the word in its own trace", |span| {
        span.name == "counts sealed" && is_below(span, &request) && links_to(span, &seal)
    });
    assert_eq!(said(&sealed, "flagmeter.seq"), said(&seal, "seal.seq"));
    let append = collector.span("its append", |span| span.name == "append" && is_below(span, &seal));
    assert_eq!((append.kind(), said(&append, "messaging.system")), (SpanKind::Producer, messaging.into()));
    let record = collector.span("its record", |span| span.name == "ingest" && is_below(span, &seal));
    assert_eq!((record.kind(), said(&record, "messaging.system")), (SpanKind::Consumer, messaging.into()));
    let write = collector.span("its write", |span| span.name == "store write" && is_below(span, &record));
    assert_eq!(write.kind(), SpanKind::Client);
    assert!(of(ingest, &record) && of(ingest, &write), "{write:?}");
    assert!(write.end_time_unix_nano >= seal.start_time_unix_nano);
    request
}

fn post(folder: &DataFolder, key: &str, name: &str, flags: &str) -> u16 {
    post_to(&folder.address(), key, name, flags)
}

fn post_to(address: &str, key: &str, name: &str, flags: &str) -> u16 {
    let traceparent = traceparent(flags);
    let headers = [("authorization", key), ("x-request-id", name), ("traceparent", &traceparent)];
    let body = json!({ "counts": [{ "flag": "checkout-secret-name", "count": 3 }] }).to_string();
    http::post(address, "/v1/counts", &headers, &body).expect("an answer").status
}

fn traced(endpoint: &str) -> DataFolder {
    DataFolder::with(&[&format!("traces.endpoint={endpoint}"), "traces.ratio=0"])
}

#[test]
fn traces_lead_from_a_post_to_the_write_that_stored_it() {
    let (collector, endpoint) = Collector::start();
    let folder = traced(&endpoint);
    let server = Server::start(&folder);
    let key = folder.environment_key();
    let bearer = format!("Bearer {key}");
    assert_eq!(post(&folder, &bearer, "not-wanted-1", "00"), 202);
    assert_eq!(post(&folder, &bearer, "followed-2", "01"), 202);
    assert_eq!(server.post_counts(&json!({ "counts": [{ "flag": "checkout", "count": 1 }] })), 202);

    let request = chain(&collector, "followed-2", "flagmeter", ["flagmeter"; 2]);
    assert_eq!((hex(&request.trace_id), hex(&request.parent_span_id)), (TRACE.into(), PARENT.into()));
    assert_eq!((request.name.as_str(), request.kind()), ("POST /v1/counts", SpanKind::Server));
    assert_eq!(said(&request, "http.response.status_code"), "202");
    assert_eq!(said(&request, "http.route"), "/v1/counts");

    // A question, and what the downsampler does.
    let token = folder.operator_token();
    let headers = [("authorization", format!("Bearer {token}")), ("traceparent", traceparent("01"))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let path = "/v1/usage?from=-1h&to=now&customer=secret-customer";
    assert_eq!(http::get(&folder.address(), path, &headers).expect("an answer").status, 200);
    let question = collector.span("the question", |span| span.name == "GET /v1/usage");
    assert_eq!(said(&question, "http.response.status_code"), "200");
    let step = collector.span("a step", |span| span.name == "announce");
    let cycle = collector.span("its cycle", |span| is_below(&step, span));
    assert_eq!(cycle.name, "downsampler cycle");
    assert_eq!(said(&step, "db.system.name"), "flagmeter");

    // What was not wanted, or not asked for with a share of nothing, is not there; and of no two spans the number is one.
    assert!(server.terminate().success());
    let spans = collector.spans();
    let requests = spans.iter().filter(|span| span.kind() == SpanKind::Server).count();
    assert_eq!(requests, 2, "{spans:?}");
    let numbers: HashSet<_> = spans.iter().map(|span| (&span.trace_id, &span.span_id)).collect();
    assert_eq!(numbers.len(), spans.len());
    let resources = collector.0.resources.lock().expect("resources").clone();
    assert!(resources.contains(&"service.name=flagmeter".to_owned()), "{resources:?}");
    let heads = collector.0.heads.lock().expect("heads").clone();
    assert!(heads.iter().all(|head| head.starts_with("post /v1/traces ")), "{heads:?}");
    // Neither keys nor tokens are told, nor names of flags and customers.
    let all = format!("{spans:?}{resources:?}");
    for secret in [&key, token, "secret-name", "secret-customer"] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
    // And log lines are as they were: no span stands in them.
    assert!(!folder.printed().1.contains("journal commit"), "{}", folder.printed().1);
}

#[cfg(feature = "kafka")]
#[test]
#[ignore = "needs Kafka and InfluxDB: ./services run cargo test --features flagmeter/kafka,flagmeter/otel -- --include-ignored"]
fn traces_of_processes_on_kafka_join_without_a_word_in_its_records() {
    let (collector, endpoint) = Collector::start();
    let more = [("FLAGMETER_TRACES_ENDPOINT", endpoint.as_str()), ("FLAGMETER_TRACES_RATIO", "0")];
    let cluster = Cluster::on(Servers::from_environment(), &more);
    cluster.set_up();
    let (mut edge, mut ingest) = (cluster.edge(7, "eu-west"), cluster.ingest("ingest-1"));
    start_all([&mut edge, &mut ingest].into_iter());
    assert_eq!(post_to(edge.address(), &format!("Bearer {KEY}"), "over-kafka-1", "01"), 202);
    chain(&collector, "over-kafka-1", "flagmeter-edge", ["flagmeter-ingest", "kafka"]);
    let write = collector.span("a write", |span| span.name == "store write");
    assert_eq!(said(&write, "db.system.name"), "influxdb");
    let append = collector.span("an append", |span| span.name == "append");
    assert_eq!(said(&append, "messaging.destination.name"), cluster.name());
}

#[test]
fn traces_show_an_answer_that_failed_as_an_error_and_a_refusal_as_none() {
    let (collector, endpoint) = Collector::start();
    // One point fills it until the next seal.
    let folder = traced(&endpoint).and_with(&["edge.points_waiting_max=1", "logging.level=error"]);
    let server = Server::start(&folder);
    let bearer = format!("Bearer {}", folder.environment_key());
    assert_eq!(post(&folder, "Bearer nobody", "refused-1", "01"), 401);
    let refused = collector.span("the refusal", |span| said(span, "flagmeter.request_id") == "refused-1");
    assert_eq!(said(&refused, "http.response.status_code"), "401");
    assert_eq!(refused.status.as_ref().map(Status::code).unwrap_or_default(), StatusCode::Unset);
    let full = || post(&folder, &bearer, "full-2", "01");
    eventually("the edge is full", full, |&status| status == 503);
    let failed = collector.span("the failure", |span| said(span, "http.response.status_code") == "503");
    assert_eq!(failed.status.as_ref().map(Status::code), Some(StatusCode::Error));
    assert_eq!(said(&failed, "error.type"), "503");
    drop(server);
}

#[test]
fn traces_of_a_collector_that_hangs_are_dropped_and_counted_and_hold_nothing_up() {
    let (collector, endpoint) = Collector::start();
    collector.0.hangs.store(true, Ordering::SeqCst);
    let folder = traced(&endpoint);
    let server = Server::start(&folder);
    let bearer = format!("Bearer {}", folder.environment_key());
    let dropped = || {
        assert_eq!(post(&folder, &bearer, "many", "01"), 202, "it is answered");
        server.metric("flagmeter_traces_spans_total").unwrap_or_default()
    };
    // Nothing is taken, so whatever is told of is dropped: with the batch that was given up, or before a full queue.
    eventually("spans are dropped", dropped, |&dropped| dropped > 0.0);
    let stored = || server.usage("checkout-secret-name", "-1h", "now", "10s");
    eventually("counts are stored all the same", stored, |&stored| stored > 0);
    assert!(server.terminate().success(), "and it ends");
}

#[test]
fn traces_of_an_address_that_cannot_be_are_refused_at_the_start() {
    let refused = run(&["config", "check", "--set", "traces.endpoint=collector"], &[]);
    assert!(!refused.success && refused.stderr.contains("http://127.0.0.1:4318"), "{}", refused.stderr);
}
