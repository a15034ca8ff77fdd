//! How much passed, and how well it was read: figures without a plate in them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::Role;
use super::fault::{Fault, Told};
use super::gate::In;
use super::query::{Cut, Keyed, Page, Parameter, name, objects, span, word};

/// Of one site.
const DAYS_MOST: u32 = 400;
/// Of all: they are counted anew each time.
const DAYS_OF_ALL: u32 = 2;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FlowFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339; at most 400 days after `from` for one site, 2 for all.
    #[param(required = true)]
    to: Option<String>,
    /// hour, day, week (ISO 8601) or month, in Asia/Shanghai; hour where it is not given.
    per: Option<String>,
    site: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// `2031-05-04T08`, `2031-05-04`, `2031-W18` or `2031-05`.
    pub period: String,
    pub site: String,
    pub agent: String,
    pub camera: String,
    /// `null`: outside of all lanes.
    pub lane: Option<String>,
    pub passages: i64,
    pub with_plate: i64,
    pub wrong_way: i64,
}

impl Keyed for Flow {
    fn key(&self) -> Vec<String> {
        let lane = self.lane.clone().unwrap_or_default();
        let place = [&self.period, &self.site, &self.agent, &self.camera].map(String::clone);
        place.into_iter().chain([lane]).collect()
    }
}

/// Vehicles by lane and period. For `viewer`, `investigator` and `operator`.
#[utoipa::path(get, path = "/api/v1/flow", params(FlowFilter), responses(
    (status = 200, body = Page<Flow>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn flow(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<FlowFilter>, QueryRejection>,
) -> Result<Json<Page<Flow>>, Fault> {
    asks.must_be(&[Role::Viewer, Role::Investigator, Role::Operator])?;
    let Query(filter) = filter?;
    let site = name("site", &filter.site)?;
    let days = if site.is_some() {
        DAYS_MOST
    } else {
        DAYS_OF_ALL
    };
    let span = span(&filter.from, &filter.to, days)?;
    let per = word("per", &filter.per, &["hour", "day", "week", "month"])?;
    let per = per.unwrap_or_else(|| "hour".to_owned());
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 5)?;
    // The bytes' order, whatever the database's language.
    let sql = objects(
        "SELECT * FROM (SELECT period COLLATE \"C\" AS period, site COLLATE \"C\" AS site,
             agent COLLATE \"C\" AS agent, camera COLLATE \"C\" AS camera, lane COLLATE \"C\" AS lane,
             passages, with_plate, wrong_way FROM seen.flow($1, $2, $3, $4)) f
         WHERE $5::text IS NULL OR (period, site, agent, camera, coalesce(lane, ''))
               > ($5, $6::text, $7::text, $8::text, $9::text)
         ORDER BY period, site, agent, camera, coalesce(lane, '') LIMIT $10",
    );
    let parameters: [Parameter<'_>; 10] = [
        &span.from,
        &span.to,
        &per,
        &site,
        &cut.text(0),
        &cut.text(1),
        &cut.text(2),
        &cut.text(3),
        &cut.text(4),
        &cut.fetch(),
    ];
    let _place = app.heavy(true).await?;
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QualityFilter {
    /// A day in Asia/Shanghai, as 2031-05-04.
    #[param(required = true)]
    day: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A day of one camera.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Quality {
    pub site: String,
    pub site_name: Option<String>,
    pub organisation: Option<String>,
    pub organisation_name: Option<String>,
    pub grid: Option<String>,
    pub prefecture: Option<String>,
    pub agent: String,
    pub camera: String,
    pub camera_name: Option<String>,
    /// GA/T 1400.
    pub device: Option<String>,
    pub passages: i64,
    pub with_plate: i64,
    /// Shares are 0 to 1; `null` where nothing passed.
    pub plate_share: Option<f64>,
    /// Mean of the plates that were read.
    pub confidence: Option<f64>,
    /// Their mean width in px.
    pub plate_width: Option<f64>,
    pub late_share: Option<f64>,
    /// Passages recorded while no time source disciplined the clock.
    pub unsynchronised_share: Option<f64>,
    /// Messages of the agent that are missing now and were by the end of the day.
    pub missing: i64,
    /// Of the day, so far.
    pub hours: i64,
    /// Of them, those in which nothing passed.
    pub silent_hours: i64,
    /// 0: no fault. Share without plate + share late + share unsynchronised + share of silent hours
    /// + 1 if messages are missing.
    pub score: f64,
    /// For the next page: sorted by score, and exact.
    #[serde(skip_serializing, default)]
    #[schema(ignore)]
    score_text: String,
}

impl Keyed for Quality {
    fn key(&self) -> Vec<String> {
        vec![
            self.score_text.clone(),
            self.site.clone(),
            self.agent.clone(),
            self.camera.clone(),
        ]
    }
}

/// 数据质量监测: each camera's day, the worst first. For `operator`.
#[utoipa::path(get, path = "/api/v1/quality", params(QualityFilter), responses(
    (status = 200, body = Page<Quality>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn quality(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<QualityFilter>, QueryRejection>,
) -> Result<Json<Page<Quality>>, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Query(filter) = filter?;
    let wrong = || Fault::field("day", "give a day, as 2031-05-04");
    let day = filter.day.as_deref().ok_or_else(wrong)?;
    let day = NaiveDate::parse_from_str(day.trim(), "%Y-%m-%d").map_err(|_| wrong())?;
    if !(1970..=2200).contains(&day.year()) {
        return Err(wrong());
    }
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 4)?;
    let sql = objects(
        "SELECT * FROM (SELECT *, score::text AS score_text FROM seen.quality($1, $2)) q
         WHERE $3::float8 IS NULL
            OR (-score, site COLLATE \"C\", agent COLLATE \"C\", camera COLLATE \"C\")
               > (-$3, $4::text, $5::text, $6::text)
         ORDER BY -score, site COLLATE \"C\", agent COLLATE \"C\", camera COLLATE \"C\" LIMIT $7",
    );
    let parameters: [Parameter<'_>; 7] = [
        &day,
        &app.clock.wall(),
        &cut.parsed::<f64>(0)?,
        &cut.text(1),
        &cut.text(2),
        &cut.text(3),
        &cut.fetch(),
    ];
    let _place = app.heavy(true).await?;
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}
