//! The posts that SDKs make, byte by byte as they make them.

use std::fmt::Write as _;

use bytes::Bytes;
use flagmeter_model::Timestamp;
use http_body_util::Full;
use hyper::{Request, header, http::request};

/// Which door a load goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Door {
    /// Flagsmith's SDKs: an object of counts.
    FlagsmithV1,
    /// Flagsmith's SDKs, with what the flag was evaluated to.
    FlagsmithV2,
    /// flagmeter's own, with an idempotency key.
    Counts,
}

impl Door {
    /// Whether a post can be repeated without being counted twice.
    pub(super) const fn is_repeatable(self) -> bool {
        matches!(self, Self::Counts)
    }

    /// The status that says that everything in the post is counted.
    pub(super) const fn acknowledged(self) -> u16 {
        match self {
            Self::FlagsmithV1 => 200,
            Self::FlagsmithV2 => 204,
            Self::Counts => 202,
        }
    }
}

/// One count of a post.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) flag: &'a str,
    /// What it was evaluated to; `None` where the door cannot say it.
    pub(crate) on: bool,
    pub(crate) count: u64,
    /// When; `None`: as it arrives. Only flagmeter's own door can say it.
    pub(crate) at: Option<Timestamp>,
}

/// A post, ready to be made again and again.
#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) door: Door,
    pub(crate) body: Bytes,
    pub(crate) idempotency_key: Option<String>,
}

impl Post {
    /// A post of these entries. Flag names need no escapes: they are ours.
    pub(crate) fn new<'a>(
        door: Door,
        sdk: &str,
        idempotency_key: Option<String>,
        entries: impl Iterator<Item = Entry<'a>>,
    ) -> Self {
        let mut body = String::with_capacity(512);
        body.push_str(match door {
            Door::FlagsmithV1 => "{",
            Door::FlagsmithV2 => r#"{"evaluations":["#,
            Door::Counts => r#"{"counts":["#,
        });
        for (index, Entry { flag, on, count, at }) in entries.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let _infallible = match (door, at) {
                (Door::FlagsmithV1, _) => write!(body, r#"{comma}"{flag}":{count}"#),
                (Door::FlagsmithV2, _) => {
                    write!(
                        body,
                        r#"{comma}{{"feature_name":"{flag}","enabled_when_evaluated":{on},"count":{count}}}"#
                    )
                }
                (Door::Counts, None) => {
                    write!(body, r#"{comma}{{"flag":"{flag}","variant":"{}","count":{count}}}"#, variant(on))
                }
                (Door::Counts, Some(at)) => {
                    let on = variant(on);
                    write!(body, r#"{comma}{{"flag":"{flag}","variant":"{on}","count":{count},"at":"{at}"}}"#)
                }
            };
        }
        let _infallible = match door {
            Door::FlagsmithV1 => write!(body, "}}"),
            Door::FlagsmithV2 => write!(body, "]}}"),
            Door::Counts => write!(body, r#"],"sdk":"{sdk}"}}"#),
        };
        Self { door, body: body.into(), idempotency_key }
    }

    /// The request, as an SDK makes it.
    pub(crate) fn request(
        &self,
        authority: &str,
        key: &str,
        sdk: &str,
    ) -> Result<Request<Full<Bytes>>, String> {
        let request = Request::builder()
            .method("POST")
            .header(header::HOST, authority)
            .header(header::CONTENT_TYPE, "application/json");
        let flagsmith = [("x-environment-key", key), ("flagsmith-sdk-user-agent", sdk)];
        let request = match self.door {
            Door::FlagsmithV1 => with(request.uri("/api/v1/analytics/flags/"), flagsmith),
            Door::FlagsmithV2 => with(request.uri("/api/v2/analytics/flags/"), flagsmith),
            Door::Counts => request.uri("/v1/counts").header(header::AUTHORIZATION, format!("Bearer {key}")),
        };
        let request = match &self.idempotency_key {
            Some(once) => request.header("idempotency-key", once.as_str()),
            None => request,
        };
        request.body(Full::new(self.body.clone())).map_err(|error| error.to_string())
    }
}

fn with(request: request::Builder, headers: [(&str, &str); 2]) -> request::Builder {
    headers.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

const fn variant(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(door: Door, at: Option<Timestamp>) -> Value {
        let entries =
            [Entry { flag: "a", on: true, count: 3, at }, Entry { flag: "b", on: false, count: 1, at }];
        serde_json::from_slice(&Post::new(door, "sdk/1", None, entries.into_iter()).body).unwrap()
    }

    #[test]
    fn each_door_gets_what_its_sdks_send() {
        assert_eq!(body(Door::FlagsmithV1, None), json!({"a": 3, "b": 1}));
        assert_eq!(
            body(Door::FlagsmithV2, None),
            json!({"evaluations": [
                {"feature_name": "a", "enabled_when_evaluated": true, "count": 3},
                {"feature_name": "b", "enabled_when_evaluated": false, "count": 1},
            ]})
        );
        assert_eq!(
            body(Door::Counts, Some(Timestamp::from_seconds_clamped(1_795_178_696))),
            json!({"counts": [
                {"flag": "a", "variant": "on", "count": 3, "at": "2026-11-20T12:44:56Z"},
                {"flag": "b", "variant": "off", "count": 1, "at": "2026-11-20T12:44:56Z"},
            ], "sdk": "sdk/1"})
        );
    }
}
