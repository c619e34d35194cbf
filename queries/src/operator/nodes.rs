//! `GET /v1/operator/nodes`: the edges, where they stand, and how far each has got.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use chrono_tz::Tz;
use flagmeter_model::{NodeStanding, NodeState, low_watermark, node_standings};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    App, Result,
    access::Principal,
    answer::shown,
    civil,
    parameters::{Parameters, name},
    problem::Refusals,
    room::Room,
};

/// The parameters that it knows.
pub(crate) const KNOWN: &[&str] = &[name::TZ];

/// The edges that were ever heard.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Nodes {
    /// Everything before this is in. Null before the first seal.
    #[schema(required, example = "2026-11-20T12:44:50Z")]
    pub(crate) complete_until: Option<String>,
    /// In the order of their numbers.
    pub(crate) nodes: Vec<Node>,
}

/// An edge node.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Node {
    /// Its number.
    #[schema(example = 3)]
    #[expect(clippy::struct_field_names, reason = "the name of the field in the answer")]
    pub(crate) node: u16,
    /// Where it stands, as it says itself. Null if it does not say.
    #[schema(required, example = "eu-west")]
    pub(crate) region: Option<String>,
    /// It has handed on all that it received before this.
    #[schema(example = "2026-11-20T12:44:54Z")]
    pub(crate) watermark: String,
    /// It was heard then or later, by the log's time.
    #[schema(example = "2026-11-20T12:44:54Z")]
    pub(crate) heard_at: String,
    /// Whether it is there.
    pub(crate) state: Standing,
}

/// Whether a node is there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Standing {
    /// It is heard.
    Live,
    /// It has fallen silent without saying good-bye: what it received since its watermark is not known.
    Missing,
    /// It stopped in good order: nothing is missing without it.
    Stopped,
}

/// The edge nodes, and how far each has got
///
/// For operators. Of a node in several partitions of the log, the one counts in which it is least far.
#[utoipa::path(
    get,
    path = "/v1/operator/nodes",
    tag = "operator",
    security(("token" = [])),
    params(("tz" = Option<String>, Query, description = "IANA time zone of the times in the answer. Default UTC.")),
    responses(
        (status = 200, description = "The nodes", body = Nodes),
        Refusals,
    )
)]
pub(crate) async fn nodes(State(app): State<Arc<App>>, principal: Principal, uri: Uri) -> Result<Response> {
    let (nodes, room) = answer(&app, &principal, &Parameters::read(&uri, KNOWN)?).await?;
    room.json(&nodes)
}

/// What is asked, answered, whoever wants it.
pub(crate) async fn answer(
    app: &App,
    principal: &Principal,
    parameters: &Parameters,
) -> Result<(Nodes, Room)> {
    principal.only_operators("the nodes")?;
    let zone = parameters.zone(app.zone_of(principal))?;
    let mut reading = app.reader.begin(principal).await?;
    let state = reading.state().await?;
    let timeout_ms = app.config.node_timeout_ms;
    let low = low_watermark(&state.progress, state.partitions, timeout_ms);
    let standings = node_standings(&state.progress, timeout_ms);
    let room = reading.room_for(standings.len()).await?;
    let nodes = Nodes {
        complete_until: shown(zone, low.complete_until(app.clock.now())),
        nodes: standings.into_iter().map(|standing| Node::new(standing, zone)).collect(),
    };
    Ok((nodes, room))
}

impl Node {
    fn new(standing: NodeStanding, zone: Tz) -> Self {
        Self {
            node: standing.node.get(),
            region: standing.region.map(String::from),
            watermark: civil::rfc3339(zone, standing.watermark),
            heard_at: civil::rfc3339(zone, standing.heard_at),
            state: match standing.state {
                NodeState::Live => Standing::Live,
                NodeState::Missing => Standing::Missing,
                NodeState::Stopped => Standing::Stopped,
            },
        }
    }
}
