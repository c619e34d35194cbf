//! Making the buckets, and checking them.

use std::time::Duration;

use flagmeter_model::Tier;
use influxdb2::{
    ClientBuilder, RequestError,
    api::{buckets::ListBucketsRequest, organization::ListOrganizationRequest},
    models::{Bucket, PostBucketRequest, RetentionRule, retention_rule::Type},
};

use super::{
    client::{Client, WriteFailure},
    config::Config,
    connection,
    line::Lines,
    registers::put_initialised,
    schema::Buckets,
};
use crate::{Error, Result};

const DAY: Duration = Duration::from_hours(24);

/// What a bucket must be like.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    name: &'a str,
    /// How long it keeps what is in it; `None`: for ever.
    kept: Option<Duration>,
    /// The time that one shard spans. The server drops whole shards, and a question opens each that it touches.
    shard: Duration,
}

fn wanted<'a>(config: &Config, buckets: &'a Buckets) -> Vec<Wanted<'a>> {
    let tier =
        |tier, days| Wanted { name: buckets.tier(tier), kept: config.on_server(tier), shard: DAY * days };
    vec![
        tier(Tier::Raw, 1),
        tier(Tier::Minute, 7),
        tier(Tier::Quarter, 91),
        tier(Tier::Hour, 364),
        Wanted { name: &buckets.state, kept: config.on_server(Tier::Raw), shard: DAY },
        Wanted { name: &buckets.meta, kept: None, shard: DAY * 364 },
    ]
}

/// Makes the buckets that are missing, and lengthens what is kept too short. Says what it has done; done again, it
/// does nothing. It never shortens what is kept, and deletes nothing.
///
/// [`Error::Configuration`] where the token may not: it needs to read the organization, and to read and write buckets.
pub async fn init(config: &Config) -> Result<Vec<String>> {
    let buckets = Buckets::new(&config.prefix);
    let client = Client::new(config, &buckets)?;
    let admin = admin(config)?;
    let organization = organization(config, &admin).await?;
    let mut done = Vec::new();
    for wanted in wanted(config, &buckets) {
        match find(config, &admin, wanted.name).await? {
            None => {
                make(config, &admin, &organization, wanted).await?;
                done.push(format!("bucket {} made, which keeps {}", wanted.name, told(wanted.kept)));
            }
            Some(found) if is_shorter(kept(&found), wanted.kept) => {
                client.keep_longer(&found.id.unwrap_or_default(), &rule(wanted)).await?;
                done.push(format!("bucket {} keeps {} from now on", wanted.name, told(wanted.kept)));
            }
            Some(_) => {}
        }
    }
    let mut lines = Lines::default();
    put_initialised(&mut lines);
    client.write(&buckets.meta, &lines.finish()).await?;
    Ok(done)
}

/// Checks that the buckets are there, keep what they are to keep, and can be written and read.
pub(super) async fn check(config: &Config, client: &Client, buckets: &Buckets) -> Result<()> {
    let admin = admin(config)?;
    for wanted in wanted(config, buckets) {
        let Some(found) = find(config, &admin, wanted.name).await? else {
            return Err(Error::Configuration(format!(
                "InfluxDB at {} has no bucket {} that this token may read: run `flagmeter store init`, or give a \
                 token that may",
                config.url, wanted.name
            )));
        };
        if is_shorter(kept(&found), wanted.kept) {
            return Err(Error::Configuration(format!(
                "the bucket {} of InfluxDB keeps {}, and must keep {}: run `flagmeter store init`",
                wanted.name,
                told(kept(&found)),
                told(wanted.kept)
            )));
        }
        client.may_write(wanted.name).await.map_err(|failure| match failure {
            WriteFailure::Failed(error) => error,
            WriteFailure::Refused(why) => {
                Error::Unavailable(format!("InfluxDB refuses an empty write: {why}"))
            }
        })?;
    }
    client.query("").await.map(drop)
}

fn admin(config: &Config) -> Result<influxdb2::Client> {
    let url = connection::url(&config.url, "")?;
    ClientBuilder::with_builder(connection::http(config)?, url.as_str(), &config.org, &config.token)
        .build()
        .map_err(|error| Error::Configuration(format!("no HTTP client for InfluxDB can be made: {error}")))
}

async fn organization(config: &Config, admin: &influxdb2::Client) -> Result<String> {
    let request = ListOrganizationRequest { org: Some(config.org.clone()), ..ListOrganizationRequest::new() };
    let found = admin
        .list_organizations(request)
        .await
        .map_err(|error| failed(config, "find the organization", &error))?;
    let mut found = found.orgs.into_iter().filter(|org| org.name == config.org);
    found.find_map(|org| org.id).ok_or_else(|| {
        Error::Configuration(format!(
            "InfluxDB at {} has no organization {:?} that this token may read: check its name, or give a token that \
             may",
            config.url, config.org
        ))
    })
}

async fn find(config: &Config, admin: &influxdb2::Client, name: &str) -> Result<Option<Bucket>> {
    let request = ListBucketsRequest {
        name: Some(name.to_owned()),
        org: Some(config.org.clone()),
        ..ListBucketsRequest::default()
    };
    match admin.list_buckets(Some(request)).await {
        Ok(found) => Ok(found.buckets.into_iter().find(|bucket| bucket.name == name)),
        Err(RequestError::Http { status, .. }) if status.as_u16() == 404 => Ok(None),
        Err(error) => Err(failed(config, "list the buckets", &error)),
    }
}

async fn make(
    config: &Config,
    admin: &influxdb2::Client,
    organization: &str,
    wanted: Wanted<'_>,
) -> Result<()> {
    let mut request = PostBucketRequest::new(organization.to_owned(), wanted.name.to_owned());
    request.description = Some("flagmeter's: made by `flagmeter store init`".to_owned());
    request.retention_rules = vec![rule(wanted)];
    match admin.create_bucket(Some(request)).await {
        // Someone else was faster.
        Err(RequestError::Http { status, .. }) if status.as_u16() == 422 => Ok(()),
        made => made.map_err(|error| failed(config, "make a bucket", &error)),
    }
}

fn rule(wanted: Wanted<'_>) -> RetentionRule {
    let seconds = wanted.kept.map_or(0, |kept| i32::try_from(kept.as_secs()).unwrap_or(i32::MAX));
    let shard = wanted.kept.map_or(wanted.shard, |kept| wanted.shard.min(kept));
    RetentionRule {
        shard_group_duration_seconds: i64::try_from(shard.as_secs()).ok(),
        ..RetentionRule::new(Type::Expire, seconds)
    }
}

/// How long a bucket keeps what is in it; `None`: for ever.
fn kept(bucket: &Bucket) -> Option<Duration> {
    let seconds = bucket.retention_rules.first().map_or(0, |rule| rule.every_seconds);
    u64::try_from(seconds).ok().filter(|&seconds| seconds > 0).map(Duration::from_secs)
}

fn is_shorter(kept: Option<Duration>, wanted: Option<Duration>) -> bool {
    kept.is_some_and(|kept| wanted.is_none_or(|wanted| kept < wanted))
}

fn told(kept: Option<Duration>) -> String {
    kept.map_or_else(
        || "everything".to_owned(),
        |kept| match (kept.as_secs() / DAY.as_secs(), kept.as_secs() % DAY.as_secs()) {
            (days, 0) => format!("{days} days"),
            _ => format!("{} seconds", kept.as_secs()),
        },
    )
}

fn failed(config: &Config, what: &str, error: &RequestError) -> Error {
    // The first that is asked: here it is a setting that is wrong. Later it may be a certificate that is being renewed.
    if let Some(mend) = connection::obstacle(&connection::told(error)) {
        return Error::Configuration(format!("InfluxDB at {} cannot be spoken to: {mend}", config.url));
    }
    match error {
        RequestError::Http { status, .. } if status.as_u16() == 401 => Error::Configuration(format!(
            "InfluxDB at {} does not know the token: give one of the organization {:?}",
            config.url, config.org
        )),
        RequestError::Http { status, text } if matches!(status.as_u16(), 403 | 404) => {
            Error::Configuration(format!("the token for InfluxDB may not {what}: give one that may ({text})"))
        }
        error => Error::Unavailable(format!("InfluxDB at {} fails to {what}: {error}", config.url)),
    }
}
