//! The HTTP addresses: identify, read, parse, submit, answer.

mod headers;
mod refusal;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header},
    routing::post,
};
use bytes::Bytes;
use flagmeter_model::{Clock, ContentEncoding, Environment, Name, Registry, decompress};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tower_http::{
    cors::{Any, CorsLayer},
    request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer},
};

pub(crate) use self::headers::X_REQUEST_ID;
use self::refusal::Refusal;
use crate::{
    Ack, Config,
    committer::{REQUEST_RECEIVED_MAX, Shared, memory_received_max},
    inbox::{Once, Outcome, Part, Reply, Submission, Turned},
    metrics::Metrics,
    requests::RequestName,
    shares::{NoRoom, Shares},
    traces,
    wire::{Bounds, Door, Taken, Unreadable, counts_v1, flagsmith_proxy, flagsmith_v1, flagsmith_v2},
};

/// How long browsers remember a preflight.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(24);
/// Bodies that say they are no larger than this are read without a look at what else is being read.
const BODY_SMALL_BYTES: u64 = 16 * 1024;

/// What all doors need.
#[derive(Debug)]
pub(crate) struct Doors {
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: watch::Receiver<Arc<Registry>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: Arc<Config>,
    pub(crate) metrics: Arc<Metrics>,
    /// Room for bodies that are being read, in bytes.
    pub(crate) bodies: Mutex<Shares>,
}

/// The addresses.
pub(crate) fn router(doors: Arc<Doors>) -> Router {
    let at = |door: Door| {
        post(move |State(doors): State<Arc<Doors>>, request: Request| async move {
            doors.answer(door, request).await
        })
    };
    Router::new()
        .route("/v1/counts", at(Door::CountsV1))
        .route("/api/v1/analytics/flags/", at(Door::FlagsmithV1))
        .route("/api/v1/analytics/flags", at(Door::FlagsmithV1))
        .route("/api/v2/analytics/flags/", at(Door::FlagsmithV2))
        .route("/api/v2/analytics/flags", at(Door::FlagsmithV2))
        .route("/api/proxy/usage/", at(Door::FlagsmithProxy))
        .route("/api/proxy/usage", at(Door::FlagsmithProxy))
        .method_not_allowed_fallback(async || Refusal::Method.response())
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(cors())
        .with_state(doors)
}

/// SDKs run in browsers, on pages of any origin; the key is in a header, never a cookie.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::POST])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::USER_AGENT,
            headers::X_ENVIRONMENT_KEY,
            headers::X_PROXY_KEY,
            headers::IDEMPOTENCY_KEY,
            headers::X_LAUNCHDARKLY_PAYLOAD_ID,
            X_REQUEST_ID,
            headers::TRACEPARENT,
            headers::TRACESTATE,
            headers::FLAGSMITH_SDK_USER_AGENT,
            headers::FLAGSMITH_APPLICATION_NAME,
            headers::FLAGSMITH_APPLICATION_VERSION,
        ])
        .expose_headers([header::RETRY_AFTER, X_REQUEST_ID])
        .max_age(PREFLIGHT_MAX_AGE)
}

impl Doors {
    async fn answer(&self, door: Door, request: Request) -> Response<Body> {
        let (head, body) = request.into_parts();
        let answered = match door {
            Door::CountsV1 => self.environment(door, counts_v1::parse, &head.headers, body).await,
            Door::FlagsmithV1 => self.environment(door, flagsmith_v1::parse, &head.headers, body).await,
            Door::FlagsmithV2 => self.environment(door, flagsmith_v2::parse, &head.headers, body).await,
            Door::FlagsmithProxy => self.proxy(&head.headers, body).await,
        };
        match answered {
            Ok(response) => response,
            Err(refusal) => {
                self.metrics.request(door, refusal.word());
                if let Some(request) = RequestName::followed(&head.headers) {
                    tracing::debug!(%request, door = door.name(), reason = refusal.word(), "a request is refused");
                }
                refusal.response()
            }
        }
    }

    /// A request that speaks for one environment.
    async fn environment(
        &self,
        door: Door,
        parse: fn(&[u8], &Bounds) -> Result<Taken, Unreadable>,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>, Refusal> {
        let environment = self.identify(headers::key_of(door, headers)?)?;
        self.room()?;
        self.room_of(&environment)?;
        let body = self.read(headers, body, Some(&environment.customer)).await;
        let taken = body.and_then(|body| Ok(parse(&body, &self.bounds())?)).and_then(not_too_much);
        let mut taken = match taken {
            Ok(taken) => taken,
            Err(refusal) if refusal.is_retryable() => return Err(refusal),
            Err(refusal) => {
                // What became of it is kept like a count. If that cannot be, it did not arrive at all.
                let part = Part { environment, taken: Taken::nothing(refusal.word()) };
                let _ = self.submit(door, vec![part], None, None).await;
                return Err(refusal);
            }
        };
        if door != Door::CountsV1 {
            taken.label_sdk(headers::flagsmith_sdk(headers));
        }
        let reply = reply(door, &taken);
        let scope = [&environment.customer, &environment.project, &environment.environment];
        let key = headers::once_key(headers, &scope.map(Name::as_str));
        let once = key.map(|key| Once { key, reply: reply.clone() });
        let request = RequestName::followed(headers);
        let first = self.submit(door, vec![Part { environment, taken }], once, request).await?;
        Ok(self.respond(door, reply, first))
    }

    /// Flagsmith's edge proxy speaks for many. Its own key is no key of the registry: it is the scope of its
    /// idempotency keys, and each row's key lets that row in, as if its SDK had come here itself.
    async fn proxy(&self, headers: &HeaderMap, body: Body) -> Result<Response<Body>, Refusal> {
        let door = Door::FlagsmithProxy;
        let proxy_key = headers::key_of(door, headers)?;
        self.room()?;
        let parts = self.proxied(headers, &self.read(headers, body, None).await?)?;
        let reply = Reply { status: StatusCode::NO_CONTENT.as_u16(), body: Bytes::new() };
        if parts.is_empty() {
            // Nothing to remember: whoever knows no key must not push out the idempotency keys of those who do.
            return Ok(self.respond(door, reply, None));
        }
        let key = headers::once_key(headers, &["proxy", proxy_key]);
        let once = key.map(|key| Once { key, reply: reply.clone() });
        let first = self.submit(door, parts, once, RequestName::followed(headers)).await?;
        Ok(self.respond(door, reply, first))
    }

    /// What a body of the proxy gives to each environment that it names.
    fn proxied(&self, headers: &HeaderMap, body: &[u8]) -> Result<Vec<Part>, Refusal> {
        let registry = self.registry.borrow().clone();
        let sdk = headers::flagsmith_sdk(headers);
        let mut taken: HashMap<Arc<Environment>, Taken, RandomState> = HashMap::default();
        let mut unknown = 0;
        flagsmith_proxy::parse(body, &self.bounds(), |row| {
            match row.key.as_deref().and_then(|key| registry.environment_of(key)) {
                Some(environment) => row.add_to(taken.entry(environment.clone()).or_default()),
                None => unknown += 1,
            }
        })?;
        self.metrics.unknown_key_rows.inc_by(unknown);
        let part = |(environment, taken)| {
            let mut taken = not_too_much(taken)?;
            taken.label_sdk(sdk);
            Ok(Part { environment, taken })
        };
        taken.into_iter().map(part).collect()
    }

    /// Whose key this is.
    fn identify(&self, key: &str) -> Result<Arc<Environment>, Refusal> {
        self.registry.borrow().environment_of(key).cloned().ok_or(Refusal::UnknownKey)
    }

    /// Whether it is worth reading on.
    fn room(&self) -> Result<(), Turned> {
        if self.shared.full.load(Ordering::Relaxed) { Err(Turned::Full) } else { Ok(()) }
    }

    /// The same, for one environment.
    fn room_of(&self, environment: &Arc<Environment>) -> Result<(), Turned> {
        let is_full = self.shared.full_environments.lock().contains(environment);
        if is_full { Err(Turned::EnvironmentFull) } else { Ok(()) }
    }

    /// Whether parts may be acknowledged before the committer has seen them. It cannot turn them away then, so
    /// whether there is room is asked here.
    fn goes_by_memory(&self, parts: &[Part]) -> Result<bool, Turned> {
        let most = memory_received_max(&self.config);
        if self.config.ack != Ack::Memory || parts.iter().any(|part| part.taken.received > most) {
            return Ok(false);
        }
        self.room()?;
        parts.iter().try_for_each(|part| self.room_of(&part.environment))?;
        Ok(true)
    }

    fn bounds(&self) -> Bounds {
        let now = self.clock.now();
        let millis = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        Bounds {
            entries_max: self.config.entries_max,
            at_min: now.plus_millis(millis(self.config.accepted_lateness).saturating_neg()),
            at_max: now.plus_millis(millis(self.config.accepted_ahead)),
        }
    }

    /// The body as its format has it: bounded as it comes, bounded when decompressed, and in time. Proxies, which speak
    /// for many, are one customer as long as it is not known for whom.
    async fn read(&self, headers: &HeaderMap, body: Body, customer: Option<&Name>) -> Result<Bytes, Refusal> {
        let encoding = match headers.get(header::CONTENT_ENCODING) {
            None => ContentEncoding::Identity,
            Some(value) => {
                value.to_str().ok().and_then(ContentEncoding::from_header).ok_or(Refusal::Encoding)?
            }
        };
        let bytes_max = self.config.body_bytes_max;
        if body.size_hint().lower() > bytes_max as u64 {
            return Err(Refusal::TooLarge { bytes_max });
        }
        let _room = self.room_for(&body, customer)?;
        let collected =
            tokio::time::timeout(self.config.body_timeout, Limited::new(body, bytes_max).collect());
        let content = match collected.await {
            Err(_) => return Err(Refusal::Slow),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(Refusal::TooLarge { bytes_max }),
            Ok(Err(_)) => return Err(Refusal::BrokenOff),
            Ok(Ok(collected)) => collected.to_bytes(),
        };
        if encoding == ContentEncoding::Identity {
            return Ok(content);
        }
        decompress(&content, encoding, self.config.body_decompressed_bytes_max)
            .map(|body| body.into_owned().into())
            .map_err(|error| Refusal::of_body(&error))
    }

    /// Room for a body while it is read: slow senders of large bodies must not fill the memory.
    fn room_for<'d>(&'d self, body: &Body, customer: Option<&'d Name>) -> Result<Option<Room<'d>>, Refusal> {
        let bytes = body.size_hint().upper().unwrap_or(self.config.body_bytes_max as u64);
        if bytes <= BODY_SMALL_BYTES {
            return Ok(None);
        }
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let mut bodies = self.bodies.lock();
        bodies.check(customer, bytes).map_err(|why| match why {
            NoRoom::AtAll => Turned::BodiesFull,
            NoRoom::ForThisOne => Turned::CustomerFull,
        })?;
        bodies.take(customer, bytes);
        Ok(Some(Room { bodies: &self.bodies, customer, bytes }))
    }

    /// Hands parts to the committer and waits until they are on disk, or as long as the operator wants. Gives what
    /// the first was answered, where its idempotency key was seen before.
    async fn submit(
        &self,
        door: Door,
        parts: Vec<Part>,
        once: Option<Once>,
        request: Option<RequestName>,
    ) -> Result<Option<Reply>, Turned> {
        let (waiter, answer) = if once.is_none() && self.goes_by_memory(&parts)? {
            (None, None)
        } else {
            let (waiter, answer) = oneshot::channel();
            (Some(waiter), Some(answer))
        };
        let span = traces::of_request();
        self.shared.inbox.submit(Submission { door, parts, once, request, span, waiter })?;
        let Some(answer) = answer else { return Ok(None) };
        match answer.await {
            Ok(Outcome::Committed) => Ok(None),
            Ok(Outcome::Repeated(first)) => Ok(Some(first)),
            Ok(Outcome::Turned(turned)) => Err(turned),
            Err(_) => Err(Turned::Closing),
        }
    }

    fn respond(&self, door: Door, reply: Reply, first: Option<Reply>) -> Response<Body> {
        let (reply, told) = first.map_or((reply, "accepted"), |first| (first, "duplicate"));
        self.metrics.request(door, told);
        let mut response = Response::new(Body::from(reply.body));
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::ACCEPTED);
        if door == Door::CountsV1 {
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        response
    }
}

/// Room that a body has while it is read.
struct Room<'d> {
    bodies: &'d Mutex<Shares>,
    customer: Option<&'d Name>,
    bytes: usize,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.bodies.lock().give_back(self.customer, self.bytes);
    }
}

/// Refuses what could never be counted in one seal.
fn not_too_much(taken: Taken) -> Result<Taken, Refusal> {
    if taken.received > REQUEST_RECEIVED_MAX { Err(Refusal::TooMuch) } else { Ok(taken) }
}

/// What each kind of SDK takes for success.
fn reply(door: Door, taken: &Taken) -> Reply {
    let (status, body) = match door {
        Door::CountsV1 => (StatusCode::ACCEPTED, counts_v1::reply(taken).into()),
        Door::FlagsmithV1 => (StatusCode::OK, Bytes::new()),
        Door::FlagsmithV2 | Door::FlagsmithProxy => (StatusCode::NO_CONTENT, Bytes::new()),
    };
    Reply { status: status.as_u16(), body }
}
