//! A real server, told by the environment, and buckets on it that go when they are dropped.

use std::{env, sync::Arc, thread, time::Duration};

use flagmeter_model::ManualClock;
use influxdb2::api::buckets::ListBucketsRequest;

use crate::{
    Result,
    conformance::NODE_TIMEOUT_MS,
    influx::{Config, InfluxStore, init, schema},
};

fn told(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: these tests need InfluxDB, run them by ./services run cargo test -- --include-ignored")
    })
}

/// Buckets with a prefix of their own.
pub(super) struct Buckets {
    pub(super) config: Config,
}

impl Buckets {
    /// Makes them. They keep everything, as tests speak of times long past.
    pub(super) async fn new() -> Self {
        Self::made(|_| ()).await
    }

    /// Makes them as a changed configuration says.
    pub(super) async fn made(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config {
            prefix: format!("t{:016x}", rand::random::<u64>()),
            retain_raw: None,
            retain_minute: None,
            retain_quarter: None,
            node_timeout_ms: NODE_TIMEOUT_MS,
            // Small enough that some checks send several bodies.
            body_lines_max: 20,
            retry_first: Duration::from_millis(20),
            ..Config::new(
                told("FLAGMETER_TEST_INFLUX_URL"),
                told("FLAGMETER_TEST_INFLUX_ORG"),
                told("FLAGMETER_TEST_INFLUX_TOKEN"),
            )
        };
        change(&mut config);
        let buckets = Self { config };
        assert_eq!(init(&buckets.config).await.unwrap().len(), 6);
        buckets
    }

    pub(super) async fn open(&self, clock: &ManualClock) -> Result<Arc<InfluxStore>> {
        Ok(Arc::new(InfluxStore::open(self.config.clone(), Arc::new(clock.clone())).await?))
    }
}

impl Drop for Buckets {
    fn drop(&mut self) {
        let config = self.config.clone();
        let delete = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let admin = influxdb2::Client::new(&config.url, &config.org, &config.token);
                for name in schema::Buckets::new(&config.prefix).all() {
                    let named =
                        ListBucketsRequest { name: Some(name.to_owned()), ..ListBucketsRequest::default() };
                    let found =
                        admin.list_buckets(Some(named)).await.map(|found| found.buckets).unwrap_or_default();
                    for bucket in found {
                        let _ = admin.delete_bucket(&bucket.id.unwrap_or_default()).await;
                    }
                }
            });
        };
        // A test is over before its runtime ends: its buckets go on a thread of their own.
        let _ = thread::spawn(delete).join();
    }
}
