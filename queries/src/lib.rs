//! Queries: what was counted, over HTTP, for customers, billing jobs and operators; and the page that shows it.
//!
//! # The way of a count through this crate
//!
//! A request for `/v1/usage` brings a token; [`access`] says whose it is, and narrows the filters to what that
//! role may read before anything is planned. The parameters are read strictly, `civil` lays out the buckets
//! (hours, days and months of the asked zone), and one question goes to the store, which answers from one
//! snapshot with a number for each bucket and group and what is known of each bucket. The answer is ranked,
//! what is beyond a limit is added up, and it leaves as JSON or CSV, or through `chart` as a picture. Parsing,
//! planning, shaping and drawing are pure.
//!
//! `/v1/live` is the same answer, computed again and again for all who watch it, and sent as what changes: `live`.
//!
//! `/v1/billing/…` reads the ledger, whose rows never change: `billing` answers the same question with the same
//! bytes for as long as anyone asks.
//!
//! `/v1/bursts` tells what was out of the ordinary within a range, and charts mark it: `bursts`.
//!
//! `/v1/operator/…` tells those who run it where counts are on their way, and whose they are, and takes what they plan:
//! `operator`.
//!
//! Beside all that, `heartbeat` measures how long counts take from an edge to an answer.
//!
//! What goes in: strangers' requests, the store, the ledger, the registry. What comes out: rows that say what they are worth,
//! or `application/problem+json`.
//!
//! # Invariants
//!
//! - Every query is scoped by its token before it is planned: the store is only ever asked with a filter that
//!   [`access::Principal`] has narrowed. No token, no answer, but for `/openapi.json` and the files of the page,
//!   which hold no data, and for signing in and out.
//! - A link shows the answers to the one question that is signed in it, as whoever made it may read them.
//! - A cookie is a token for reading. A change that is asked for with one has to come from a page of ours.
//! - Unknown is null, never zero; a store that does not answer is an error, never an empty list.
//! - The rows of an answer add up to its total, whatever the limit.
//! - An unknown parameter is refused: a typo must not widen a bill.
//! - Buckets, groups, rows, values of a filter, reads at once, unsent answers, streams and time are all bounded.
//! - Nothing here writes to the store. What is written is the audit log of tokens, and operators' mutes in the ledger.

pub mod access;
mod answer;
mod billing;
mod bursts;
mod caching;
mod chart;
mod civil;
mod config;
mod embed;
mod encoding;
mod error;
mod flags;
mod heartbeat;
mod hex;
mod live;
mod metrics;
mod moment;
mod openapi;
mod operator;
mod page;
mod parameters;
mod problem;
mod reader;
mod reconcile;
mod rfc3339;
mod room;
mod service;
mod session;
mod usage;

use std::{collections::BTreeMap, sync::Arc};

use access::{Principal, Tokens};
use axum::{Router, extract::DefaultBodyLimit, middleware};
pub use billing::Calendar;
use chrono_tz::Tz;
pub use config::{Config, LiveConfig};
pub use error::{Error, Result};
use flagmeter_ledger::Ledger;
use flagmeter_model::{Clock, Environment, Name, Registry};
use flagmeter_store::Store;
pub use heartbeat::Heartbeat;
use metrics::Metrics;
pub use parameters::range;
use reader::Reader;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa_axum::{router::OpenApiRouter, routes};

/// What the edges of this process know of arrivals, for the in-flight view.
pub trait InFlight: Send + Sync {
    /// All counts that ever arrived and are durable, by environment.
    fn received(&self) -> BTreeMap<Environment, u64>;
}

/// Largest body that is read, in bytes: a token, or the words of a question.
const BODY_BYTES_MAX: usize = 32 * 1024;

/// What queries are made from.
pub struct Parts<'a> {
    /// Bounds.
    pub config: Config,
    /// What is read.
    pub store: Arc<dyn Store>,
    /// What is billed, where a ledger is kept.
    pub ledger: Option<Arc<dyn Ledger>>,
    /// Who may read.
    pub tokens: Arc<Tokens>,
    /// Customers with their zones, and flags.
    pub registry: watch::Receiver<Arc<Registry>>,
    /// The edges in this process, if there are any.
    pub in_flight: Option<Arc<dyn InFlight>>,
    /// Its sender is dropped when the process is told to stop: who waits for news of the ledger is answered then.
    pub stopping: watch::Receiver<()>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the metrics are registered.
    pub metrics: &'a prometheus::Registry,
}

impl std::fmt::Debug for Parts<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What handlers share.
pub(crate) struct App {
    config: Config,
    reader: Arc<Reader>,
    tokens: Arc<Tokens>,
    registry: watch::Receiver<Arc<Registry>>,
    in_flight: Option<Arc<dyn InFlight>>,
    waiting: billing::Waiting,
    live: live::Live,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    openapi: String,
}

impl App {
    /// The zone of whoever asks: their customer's, if there is one and it is a zone; else UTC.
    fn zone_of(&self, principal: &Principal) -> Tz {
        let registry = self.registry.borrow();
        principal
            .customer()
            .and_then(|customer| registry.customer(customer))
            .and_then(|customer| customer.time_zone.as_deref())
            .and_then(|zone| zone.parse().ok())
            .unwrap_or(Tz::UTC)
    }

    /// When the periods of a customer begin.
    fn calendar_of(&self, id: &Name) -> Calendar {
        Calendar::of(self.registry.borrow().customer(id))
    }
}

/// Whether this is the name of an IANA time zone that queries know.
pub fn is_time_zone(name: &str) -> bool {
    name.parse::<Tz>().is_ok()
}

/// The HTTP API and the page, with what `others` serve on the same address; they have no fallback of their own.
///
/// It answers every path: those that nobody serves with a problem of status 404, and others' methods, panics and
/// headers as its own. Only its own requests are counted in its metrics.
///
/// Fails if the metrics are registered already.
pub fn router(parts: Parts<'_>, others: Router) -> Result<Router> {
    let metrics = Metrics::register(parts.metrics)?;
    let (api, mut document) = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .routes(routes!(usage::usage))
        .routes(routes!(live::live))
        .routes(routes!(chart::chart))
        .routes(routes!(bursts::bursts))
        .routes(routes!(flags::flags))
        .routes(routes!(reconcile::reconcile))
        .routes(routes!(reconcile::billed::reconcile_billing))
        .routes(routes!(billing::hours::hours))
        .routes(routes!(billing::feed::closed_hours))
        .routes(routes!(billing::statement::statement))
        .routes(routes!(billing::to_date::usage_to_date))
        .routes(routes!(billing::thresholds::thresholds))
        .routes(routes!(operator::bursts::bursts))
        .routes(routes!(operator::mutes::mutes, operator::mutes::create))
        .routes(routes!(operator::mutes::end))
        .routes(routes!(operator::nodes::nodes))
        .routes(routes!(operator::pipeline::pipeline))
        .routes(routes!(operator::top::top))
        .routes(routes!(session::sign_in, session::session, session::sign_out))
        .merge(embed::routes())
        .routes(routes!(openapi::openapi))
        .split_for_parts();
    openapi::add_choices(&mut document);
    openapi::add_cookie(&mut document);
    let reader = Arc::new(Reader::new(parts.store, parts.ledger, &parts.config, metrics.clone()));
    let live = live::Live::new(live::Parts {
        config: parts.config.clone(),
        reader: Arc::clone(&reader),
        tokens: Arc::clone(&parts.tokens),
        clock: Arc::clone(&parts.clock),
        metrics: metrics.clone(),
        stopping: parts.stopping.clone(),
    });
    let app = Arc::new(App {
        reader,
        live,
        config: parts.config,
        tokens: parts.tokens,
        registry: parts.registry,
        in_flight: parts.in_flight,
        waiting: billing::Waiting::new(parts.stopping),
        clock: parts.clock,
        metrics,
        openapi: document.to_json().map_err(|error| Error::Encoding(error.to_string()))?,
    });
    let catch_panics = || CatchPanicLayer::custom(service::panicked);
    let own = api
        .merge(page::routes())
        .fallback(page::nowhere)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(catch_panics())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), service::measure))
        .with_state(Arc::clone(&app));
    Ok(own.merge(others.layer(catch_panics())).layer(middleware::from_fn_with_state(app, service::finish)))
}

#[cfg(test)]
mod tests;
