//! `GET /healthz` and `GET /readyz`: for whoever starts, restarts and balances.

use std::sync::Arc;

use axum::{Json, extract::State};
use flagmeter_model::Timestamp;
use flagmeter_store::Error as StoreError;
use serde::Serialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use crate::{App, Result, problem::Problem};

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// Whether the process lives
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "It lives", body = Health)))]
pub(crate) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether queries can be answered
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "health",
    responses(
        (status = 200, description = "The store answers, or did within the last second", body = Health),
        (status = 503, description = "The store does not answer", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>> {
    app.readiness.check(&app).await?;
    Ok(Json(Health { status: "ok" }))
}

/// How long one look at the store answers all who ask: anyone may.
const LOOK_LASTS_MS: u64 = 1_000;

/// What the last look at the store said. Whoever comes while one looks waits for what it says.
#[derive(Debug, Default)]
pub(crate) struct Readiness(Mutex<Option<Look>>);

#[derive(Debug)]
struct Look {
    at: Timestamp,
    /// Why the store does not answer, if so.
    failed: Option<String>,
}

impl Readiness {
    async fn check(&self, app: &App) -> Result<()> {
        let mut last = self.0.lock().await;
        let now = app.clock.now();
        let is_fresh = |look: &Look| now.millis_since(look.at).unsigned_abs() < LOOK_LASTS_MS;
        let look = if let Some(look) = last.take().filter(is_fresh) {
            look
        } else {
            let failed = app.reader.probe(app.config.ready_timeout).await.err();
            Look { at: app.clock.now(), failed: failed.map(|error| error.to_string()) }
        };
        let failed = look.failed.clone();
        *last = Some(look);
        failed.map_or(Ok(()), |reason| Err(StoreError::Unavailable(reason).into()))
    }
}
