//! The real servers, and how what a test has made there goes again.

use std::{
    env,
    io::{self, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

use crate::http;

/// Where they are.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) kafka: String,
    pub(crate) influx_url: String,
    pub(crate) influx_org: String,
    pub(crate) influx_token: String,
}

impl Servers {
    pub(crate) fn from_environment() -> Self {
        let told = |name: &str| {
            env::var(name).unwrap_or_else(|_| {
                panic!(
                    "{name} is not set: this test needs Kafka and InfluxDB, so run it with \
                     `./services run cargo test --features flagmeter/kafka -- --include-ignored`"
                )
            })
        };
        Self {
            kafka: told("FLAGMETER_TEST_KAFKA"),
            influx_url: told("FLAGMETER_TEST_INFLUX_URL"),
            influx_org: told("FLAGMETER_TEST_INFLUX_ORG"),
            influx_token: told("FLAGMETER_TEST_INFLUX_TOKEN"),
        }
    }

    /// Deletes the buckets with this prefix, as far as they are there.
    pub(crate) fn delete_buckets(&self, prefix: &str) {
        let Some(address) = self.influx_url.strip_prefix("http://") else { return };
        let token = format!("Token {}", self.influx_token);
        let headers = [("authorization", token.as_str())];
        for bucket in ["raw", "1m", "15m", "1h", "state", "meta"] {
            let path = format!("/api/v2/buckets?org={}&name={prefix}_{bucket}", self.influx_org);
            let found = http::get(address, &path, &headers).and_then(|answer| {
                let answer: Value = serde_json::from_str(&answer.body).ok()?;
                answer["buckets"][0]["id"].as_str().map(ToOwned::to_owned)
            });
            if let Some(id) = found {
                let gone = http::delete(address, &format!("/api/v2/buckets/{id}"), &headers);
                if gone.is_none_or(|answer| answer.status != 204) {
                    println!("the bucket {prefix}_{bucket} is left behind");
                }
            }
        }
    }

    /// Deletes a topic and that of the ledger beside it, if they are there.
    pub(crate) fn delete_topics(&self, topic: &str) {
        for topic in [topic, &format!("{topic}-ledger")] {
            if let Err(error) = self.ask_to_delete(topic) {
                println!("the topic {topic} is left behind: {error}");
            }
        }
    }

    /// Kafka's `DeleteTopics`, version 1.
    fn ask_to_delete(&self, topic: &str) -> io::Result<()> {
        let mut request = Vec::new();
        request.extend(1_i32.to_be_bytes()); // one topic
        request.extend(text(topic)?);
        request.extend(KAFKA_WITHIN_MS.to_be_bytes());
        match self.ask_kafka(20, 1, &request, 2 + topic.len())? {
            // Done, or no such topic.
            0 | 3 => Ok(()),
            error => Err(io::Error::other(format!("Kafka answers with the error {error}"))),
        }
    }

    /// Kafka's `CreatePartitions`, version 0: the topic has so many then.
    pub(crate) fn add_partitions(&self, topic: &str, partitions: i32) -> io::Result<()> {
        let mut request = Vec::new();
        request.extend(1_i32.to_be_bytes()); // one topic
        request.extend(text(topic)?);
        request.extend(partitions.to_be_bytes());
        request.extend((-1_i32).to_be_bytes()); // wherever there is room
        request.extend(KAFKA_WITHIN_MS.to_be_bytes());
        request.push(0); // not only to see whether it could
        match self.ask_kafka(37, 0, &request, 2 + topic.len())? {
            0 => Ok(()),
            error => Err(io::Error::other(format!("Kafka answers with the error {error}"))),
        }
    }

    /// Asks Kafka for one thing, in its own words: only the log's crate knows a client. The error that it answers with,
    /// of which as many bytes tell what it is about; 0 for none.
    pub(crate) fn ask_kafka(
        &self,
        request: i16,
        version: i16,
        body: &[u8],
        about_bytes: usize,
    ) -> io::Result<i16> {
        let mut message = Vec::new();
        message.extend(request.to_be_bytes());
        message.extend(version.to_be_bytes());
        message.extend(1_i32.to_be_bytes()); // correlation
        message.extend((-1_i16).to_be_bytes()); // no client id
        message.extend(body);
        let length = i32::try_from(message.len()).map_err(io::Error::other)?;
        let mut stream = TcpStream::connect(&self.kafka)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        stream.write_all(&[&length.to_be_bytes(), message.as_slice()].concat())?;
        // Length, correlation, throttle time, one result; then what it is about, and the error.
        let mut before = vec![0; 4 * 4 + about_bytes];
        stream.read_exact(&mut before)?;
        let mut error = [0; 2];
        stream.read_exact(&mut error)?;
        Ok(i16::from_be_bytes(error))
    }
}

/// How long Kafka may take.
const KAFKA_WITHIN_MS: i32 = 10_000;

/// A text as Kafka reads it.
pub(crate) fn text(text: &str) -> io::Result<Vec<u8>> {
    let length = i16::try_from(text.len()).map_err(io::Error::other)?;
    Ok([&length.to_be_bytes(), text.as_bytes()].concat())
}
