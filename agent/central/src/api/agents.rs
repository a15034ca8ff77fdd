//! How the agents are: their last word, and what is missing of them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use chrono::{DateTime, FixedOffset};
use kakou_contract::Id;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::Role;
use super::fault::{Fault, Told};
use super::gate::In;
use super::query::{Cut, Keyed, Page, Parameter, name, objects};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AgentFilter {
    site: Option<String>,
    /// online, offline and so on, as in the status.
    state: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// An agent by its last word.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentRow {
    pub site: String,
    pub site_name: Option<String>,
    pub organisation: Option<String>,
    pub organisation_name: Option<String>,
    pub grid: Option<String>,
    pub prefecture: Option<String>,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    pub agent: String,
    /// `null`: it never said.
    pub state: Option<String>,
    pub reason: Option<String>,
    pub health: Option<String>,
    /// Since when the state holds, by the centre's clock.
    pub since: Option<DateTime<FixedOffset>>,
    /// When anything of it came last.
    pub heard: Option<DateTime<FixedOffset>>,
    pub first_heard: DateTime<FixedOffset>,
    pub version: Option<String>,
    pub clock_state: Option<String>,
    /// Milliseconds.
    pub clock_offset: Option<i64>,
    /// birth, list or operator; `null`: no key is pinned, and its messages are not believed.
    pub key_source: Option<String>,
    /// Up to here every message is accounted for.
    pub floor: i64,
    pub highest: i64,
    /// Messages that are missing.
    pub missing: i64,
}

impl Keyed for AgentRow {
    fn key(&self) -> Vec<String> {
        vec![self.site.clone(), self.agent.clone()]
    }
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CameraRow {
    pub camera: String,
    pub name: Option<String>,
    /// GA/T 1400.
    pub device: Option<String>,
    pub tollgate: Option<String>,
    /// As in the status; `null`: the agent did not tell of it.
    pub state: Option<String>,
    pub health: Option<String>,
    pub since: Option<DateTime<FixedOffset>>,
    pub last_frame: Option<DateTime<FixedOffset>>,
    pub detail: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AgentDetail {
    #[serde(flatten)]
    pub agent: AgentRow,
    /// Ed25519, in hexadecimal.
    pub public_key: Option<String>,
    pub key_since: Option<DateTime<FixedOffset>>,
    pub started_at: Option<DateTime<FixedOffset>>,
    pub cameras: Vec<CameraRow>,
    /// Those that are not over.
    pub alarms: i64,
}

const COLUMNS: &str = "a.site COLLATE \"C\" AS site, a.site_name, a.organisation,
    a.organisation_name, a.grid, a.prefecture, a.longitude, a.latitude,
    a.agent COLLATE \"C\" AS agent, s.state, s.reason, s.health, s.since, s.heard, a.first_heard,
    s.version, s.clock_state, s.clock_offset, a.key_source, a.floor, a.highest,
    (SELECT coalesce(sum(g.last - g.first + 1), 0)::bigint FROM gaps g WHERE g.agent = a.id)
        AS missing";
const OF_STATE: &[Role] = &[Role::Viewer, Role::Operator];

/// Agents, by site. For `viewer` and `operator`.
#[utoipa::path(get, path = "/api/v1/agents", params(AgentFilter), responses(
    (status = 200, body = Page<AgentRow>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn agents(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<AgentFilter>, QueryRejection>,
) -> Result<Json<Page<AgentRow>>, Fault> {
    asks.must_be(OF_STATE)?;
    let Query(filter) = filter?;
    let (site, state) = (name("site", &filter.site)?, name("state", &filter.state)?);
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 2)?;
    let sql = objects(&format!(
        "SELECT * FROM (SELECT {COLUMNS} FROM seen.agents a LEFT JOIN agent_state s ON s.agent = a.id
             WHERE ($1::text IS NULL OR a.site = $1) AND ($2::text IS NULL OR s.state = $2)) f
         WHERE $3::text IS NULL OR (site, agent) > ($3, $4::text)
         ORDER BY site, agent LIMIT $5"
    ));
    let parameters: [Parameter<'_>; 5] = [&site, &state, &cut.text(0), &cut.text(1), &cut.fetch()];
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}

/// The two names in a path.
pub(super) fn of_path(
    place: Result<Path<(String, String)>, PathRejection>,
) -> Result<(Id, Id), Fault> {
    let Path((site, agent)) = place?;
    let read =
        |key: &str, text: String| Id::new(key, text).map_err(|e| Fault::field(key, e.to_string()));
    Ok((read("site", site)?, read("agent", agent)?))
}

/// One agent with its cameras. For `viewer` and `operator`.
#[utoipa::path(get, path = "/api/v1/agents/{site}/{agent}",
    params(("site" = String, Path), ("agent" = String, Path)),
    responses(
        (status = 200, body = AgentDetail), (status = 403, body = Told), (status = 404, body = Told),
))]
pub(super) async fn agent(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<(String, String)>, PathRejection>,
) -> Result<Json<AgentDetail>, Fault> {
    asks.must_be(OF_STATE)?;
    let (site, agent) = of_path(place)?;
    let sql = objects(&format!(
        "SELECT {COLUMNS}, encode(a.public_key, 'hex') AS public_key, a.key_since, s.started_at,
           (SELECT count(*) FROM alarms l WHERE l.agent = a.id AND l.ended_at IS NULL) AS alarms,
           (SELECT coalesce(jsonb_agg(to_jsonb(c) ORDER BY c.camera), '[]') FROM (
               SELECT coalesce(t.camera, n.camera) AS camera, n.name, n.device, n.tollgate,
                      t.state, t.health, t.since, t.last_frame, t.detail
               FROM (SELECT * FROM camera_state WHERE agent = a.id) t
               FULL JOIN (SELECT * FROM site_cameras m
                          WHERE m.site = a.site AND m.agent = a.agent) n ON n.camera = t.camera
           ) c) AS cameras
         FROM seen.agents a LEFT JOIN agent_state s ON s.agent = a.id
         WHERE a.site = $1 AND a.agent = $2"
    ));
    let (site, agent) = (site.as_str(), agent.as_str());
    let rows = app.ask(&asks.scope(), &sql, &[&site, &agent]).await?;
    rows.into_iter().next().map(Json).ok_or_else(no_agent)
}

pub(super) fn no_agent() -> Fault {
    Fault::not_found("there is no such agent; /api/v1/agents lists those that you may see")
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct GapFilter {
    site: Option<String>,
    agent: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// Messages that are missing: `first` to `last`, both included.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    pub site: String,
    pub site_name: Option<String>,
    pub organisation: Option<String>,
    pub agent: String,
    pub first: i64,
    pub last: i64,
    pub messages: i64,
    pub since: DateTime<FixedOffset>,
    /// How often the agent was asked for them.
    pub asked: i64,
    pub asked_at: Option<DateTime<FixedOffset>>,
    /// What it said last.
    pub answer: Option<String>,
}

impl Keyed for Gap {
    fn key(&self) -> Vec<String> {
        vec![
            self.site.clone(),
            self.agent.clone(),
            self.first.to_string(),
        ]
    }
}

/// What is missing now, by agent. For `operator`.
#[utoipa::path(get, path = "/api/v1/gaps", params(GapFilter), responses(
    (status = 200, body = Page<Gap>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn gaps(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<GapFilter>, QueryRejection>,
) -> Result<Json<Page<Gap>>, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Query(filter) = filter?;
    let (site, agent) = (name("site", &filter.site)?, name("agent", &filter.agent)?);
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 3)?;
    let sql = objects(
        "SELECT * FROM (SELECT site COLLATE \"C\" AS site, site_name, organisation,
             agent COLLATE \"C\" AS agent, first, last, messages, since, asked, asked_at, answer
             FROM seen.gaps
             WHERE ($1::text IS NULL OR site = $1) AND ($2::text IS NULL OR agent = $2)) g
         WHERE $3::text IS NULL OR (site, agent, first) > ($3, $4::text, $5::bigint)
         ORDER BY site, agent, first LIMIT $6",
    );
    let parameters: [Parameter<'_>; 6] = [
        &site,
        &agent,
        &cut.text(0),
        &cut.text(1),
        &cut.parsed::<i64>(2)?,
        &cut.fetch(),
    ];
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}
