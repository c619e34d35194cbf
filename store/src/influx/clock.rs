//! What the server's clock says: it decides what is too old to keep.

use chrono::DateTime;
use flagmeter_model::Timestamp;
use reqwest::header::DATE;

use super::{config::Config, connection};
use crate::{Error, Result};

/// The time of the server, in whole seconds, as it stands in its answers.
pub async fn time_of_server(config: &Config) -> Result<Timestamp> {
    let failed = |error: reqwest::Error| {
        Error::Unavailable(format!(
            "InfluxDB at {} does not answer: {}",
            config.url,
            connection::told(&error)
        ))
    };
    let client = connection::http(config)?.build().map_err(failed)?;
    let answer = client.get(connection::url(&config.url, "/ping")?).send().await.map_err(failed)?;
    // A date of HTTP is one of mail, always in GMT: RFC 9110, section 5.6.7.
    let date =
        answer.headers().get(DATE).and_then(|date| DateTime::parse_from_rfc2822(date.to_str().ok()?).ok());
    date.map(|date| Timestamp::from_seconds_clamped(date.timestamp())).ok_or_else(|| {
        Error::Unavailable(format!("InfluxDB at {} does not tell what time it is", config.url))
    })
}
