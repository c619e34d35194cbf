//! Buckets of a benchmark's own.

use std::{env, error::Error};

use flagmeter_model::{Environment, Name};
use flagmeter_store::influx::Config;
use influxdb2::api::buckets::ListBucketsRequest;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The server that the environment tells, with a prefix that nobody else has. What is written stays until it is removed.
pub(crate) fn config(url: &str) -> Config {
    let told = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
    let org = told("FLAGMETER_TEST_INFLUX_ORG", "flagmeter");
    let token = told("FLAGMETER_TEST_INFLUX_TOKEN", "devtoken");
    Config {
        prefix: format!("bench-{:08x}", rand::random::<u32>()),
        retain_raw: None,
        retain_minute: None,
        retain_quarter: None,
        ..Config::new(url, org, token)
    }
}

/// Removes the buckets.
pub(crate) async fn remove(config: &Config) -> Result<()> {
    let admin = influxdb2::Client::new(&config.url, &config.org, &config.token);
    let all = ListBucketsRequest { limit: Some(100), ..ListBucketsRequest::default() };
    for bucket in admin.list_buckets(Some(all)).await?.buckets {
        if let (true, Some(id)) = (bucket.name.starts_with(&config.prefix), bucket.id) {
            admin.delete_bucket(&id).await?;
        }
    }
    Ok(())
}

/// The one environment of a customer.
pub(crate) fn environment(customer: usize) -> Result<Environment> {
    Ok(Environment {
        customer: Name::new(&format!("customer-{customer:04}"))?,
        project: Name::new("web")?,
        environment: Name::new("production")?,
    })
}
