//! Hits as they stand, with what officers answered.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, FixedOffset};
use kakou_contract::{HitState, Level};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::App;
use super::access::Role;
use super::fault::{Fault, Told};
use super::gate::In;
use super::query::{Cut, Keyed, Page, Parameter, exactly, name, objects, span, word};

/// Who may see hits.
pub(super) const OF_HITS: &[Role] = &[Role::Viewer, Role::Investigator];
const DAYS_MOST: u32 = 31;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HitFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339; at most 31 days after `from`.
    #[param(required = true)]
    to: Option<String>,
    site: Option<String>,
    /// red, orange, yellow or blue.
    level: Option<String>,
    /// provisional, confirmed, retracted, unresolved or again.
    state: Option<String>,
    list: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A hit; words and codes are those of the messages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct HitRow {
    /// Of the message that this state came by.
    pub event_id: String,
    pub hit: Uuid,
    pub state: String,
    pub time: DateTime<FixedOffset>,
    pub passage: Uuid,
    pub site: String,
    pub site_name: Option<String>,
    pub organisation: Option<String>,
    pub organisation_name: Option<String>,
    pub grid: Option<String>,
    pub prefecture: Option<String>,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    pub agent: String,
    pub camera: String,
    pub lane: Option<String>,
    pub level: String,
    pub category: String,
    pub reason: String,
    pub list: String,
    pub entry_plate: String,
    pub authority: Option<String>,
    pub plate: String,
    pub plate_confidence: f64,
    pub plate_kind: Option<String>,
    pub is_late: bool,
    pub retraction: Option<String>,
    pub received_at: DateTime<FixedOffset>,
    /// The last answer of an officer: confirmed, wrong_plate or released.
    #[serde(default)]
    pub verdict: Option<String>,
    #[serde(default)]
    pub verdict_by: Option<String>,
    #[serde(default)]
    pub verdict_at: Option<DateTime<FixedOffset>>,
    #[serde(default)]
    pub verdict_note: Option<String>,
}

impl Keyed for HitRow {
    fn key(&self) -> Vec<String> {
        vec![exactly(&self.time), self.event_id.clone()]
    }
}

/// Hits as they stand now, the newest first.
#[utoipa::path(get, path = "/api/v1/hits", params(HitFilter), responses(
    (status = 200, body = Page<HitRow>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn hits(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<HitFilter>, QueryRejection>,
) -> Result<Json<Page<HitRow>>, Fault> {
    asks.must_be(OF_HITS)?;
    let Query(filter) = filter?;
    let span = span(&filter.from, &filter.to, DAYS_MOST)?;
    let site = name("site", &filter.site)?;
    let levels: Vec<&str> = Level::ALL.iter().map(|l| l.as_str()).collect();
    let level = word("level", &filter.level, &levels)?;
    let states: Vec<&str> = HitState::ALL.iter().map(|s| s.as_str()).collect();
    let state = word("state", &filter.state, &states)?;
    let list = name("list", &filter.list)?;
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 2)?;
    let sql = objects(
        "SELECT h.*, v.verdict, v.by AS verdict_by, v.time AS verdict_at, v.note AS verdict_note
         FROM (SELECT * FROM seen.hits_now
               WHERE time >= $1 AND time < $2
                 AND ($3::timestamptz IS NULL OR (time, event_id) < ($3, $4::text))
                 AND ($5::text IS NULL OR site = $5) AND ($6::text IS NULL OR level = $6)
                 AND ($7::text IS NULL OR state = $7) AND ($8::text IS NULL OR list = $8)
               ORDER BY time DESC, event_id DESC LIMIT $9) h
         LEFT JOIN LATERAL (
             SELECT * FROM seen.answers a WHERE a.hit = h.hit
                AND a.time >= h.time - interval '1 day' AND a.time < h.time + interval '92 days'
             ORDER BY a.time DESC, a.id DESC LIMIT 1) v ON true
         ORDER BY h.time DESC, h.event_id DESC",
    );
    let parameters: [Parameter<'_>; 9] = [
        &span.from,
        &span.to,
        &cut.time(0)?,
        &cut.text(1),
        &site,
        &level,
        &state,
        &list,
        &cut.fetch(),
    ];
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}
