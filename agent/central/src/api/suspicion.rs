//! What sightings say together: who travels with whom, and which plate is in two places. Both are
//! searches, written down before they are answered; both are hints, not verdicts.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::App;
use super::access::Role;
use super::audit::{Search, reason};
use super::fault::{Fault, Told};
use super::gate::In;
use super::passages::whole;
use super::query::{Cut, Keyed, Page, Parameter, exactly, number, objects, span};

const COMPANION_DAYS_MOST: u32 = 31;
const CLONE_DAYS_MOST: u32 = 1;
/// No vehicle is faster between two checkpoints, whatever the road.
const KMH: f64 = 200.0;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CompanionFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339; at most 31 days after `from`.
    #[param(required = true)]
    to: Option<String>,
    /// Why; 4 to 500 characters. It is recorded.
    #[param(required = true)]
    reason: Option<String>,
    /// The whole plate.
    #[param(required = true)]
    plate: Option<String>,
    /// Seconds before and after, 1 to 3600; 60 where it is not given.
    window: Option<i32>,
    /// Sites that they must have passed together, 2 to 100; 3 where it is not given.
    least_sites: Option<i32>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A vehicle that passed the same sites about the same time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Companion {
    pub plate: String,
    /// Different sites.
    pub sites: i64,
    /// Sightings of the plate asked for that this one was near.
    pub meetings: i64,
    /// Between the two, on average.
    pub mean_seconds: f64,
    pub first_met: DateTime<FixedOffset>,
    pub last_met: DateTime<FixedOffset>,
    pub at_sites: Vec<String>,
}

impl Keyed for Companion {
    fn key(&self) -> Vec<String> {
        vec![
            self.sites.to_string(),
            self.meetings.to_string(),
            self.plate.clone(),
        ]
    }
}

/// Vehicles that travel with one, those with the most sites first. For `investigator`; recorded.
#[utoipa::path(get, path = "/api/v1/companions", params(CompanionFilter), responses(
    (status = 200, body = Page<Companion>), (status = 400, body = Told), (status = 403, body = Told),
    (status = 503, description = "`audit_unwritable`: it could not be recorded", body = Told),
))]
pub(super) async fn companions(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<CompanionFilter>, QueryRejection>,
) -> Result<Json<Page<Companion>>, Fault> {
    let role = asks.must_be(&[Role::Investigator])?;
    let Query(filter) = filter?;
    let reason = reason(&filter.reason)?;
    let wanted = whole(&filter.plate)?;
    let span = span(&filter.from, &filter.to, COMPANION_DAYS_MOST)?;
    let window = number("window", filter.window, 1..=3600, 60)?;
    let least = number("least_sites", filter.least_sites, 2..=100, 3)?;
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 3)?;
    let search = Search {
        role,
        what: "companions",
        reason: Some(reason),
        filter: json!({
            "from": span.from, "to": span.to, "plate": wanted, "window": window,
            "least_sites": least, "after": filter.after,
        }),
    };
    let sql = objects(
        "SELECT * FROM seen.companions($1, $2, $3, make_interval(secs => $4), $5)
         WHERE $6::bigint IS NULL OR (-sites, -meetings, plate) > (-$6, -$7::bigint, $8::text)
         ORDER BY -sites, -meetings, plate LIMIT $9",
    );
    let parameters: [Parameter<'_>; 9] = [
        &wanted,
        &span.from,
        &span.to,
        &f64::from(window),
        &least,
        &cut.parsed::<i64>(0)?,
        &cut.parsed::<i64>(1)?,
        &cut.text(2),
        &cut.fetch(),
    ];
    let _place = app.heavy(true).await?;
    let rows = app.search(&asks, search, &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CloneFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339; at most one day after `from`.
    #[param(required = true)]
    to: Option<String>,
    /// Why; 4 to 500 characters. It is recorded.
    #[param(required = true)]
    reason: Option<String>,
    /// Faster than this no vehicle is: 60 to 400; 200 where it is not given.
    kmh: Option<f64>,
    /// Reads that are less sure do not count: 0.5 to 1; 0.9 where it is not given.
    confidence: Option<f32>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// One plate at two places too far apart for the time between.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Clone {
    pub plate: String,
    pub id: Uuid,
    pub time: DateTime<FixedOffset>,
    pub site: String,
    pub site_name: Option<String>,
    pub agent: String,
    pub camera: String,
    pub vehicle_class: Option<String>,
    pub vehicle_colour: Option<String>,
    pub vehicle_colour_confidence: Option<f64>,
    pub plate_colour: Option<String>,
    pub plate_confidence: Option<f64>,
    pub before_id: Uuid,
    pub before_time: DateTime<FixedOffset>,
    pub before_site: String,
    pub before_site_name: Option<String>,
    pub before_agent: String,
    pub before_camera: String,
    pub before_vehicle_class: Option<String>,
    pub before_vehicle_colour: Option<String>,
    pub before_vehicle_colour_confidence: Option<f64>,
    pub before_plate_colour: Option<String>,
    pub before_plate_confidence: Option<f64>,
    /// On the great circle.
    pub km: f64,
    pub seconds: f64,
    pub implied_kmh: f64,
}

impl Keyed for Clone {
    fn key(&self) -> Vec<String> {
        vec![exactly(&self.time), self.id.to_string()]
    }
}

/// 套牌嫌疑: plates that were in two places, in time order. For `investigator`; recorded.
#[utoipa::path(get, path = "/api/v1/clones", params(CloneFilter), responses(
    (status = 200, body = Page<Clone>), (status = 400, body = Told), (status = 403, body = Told),
    (status = 503, description = "`audit_unwritable`: it could not be recorded", body = Told),
))]
pub(super) async fn clones(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<CloneFilter>, QueryRejection>,
) -> Result<Json<Page<Clone>>, Fault> {
    let role = asks.must_be(&[Role::Investigator])?;
    let Query(filter) = filter?;
    let reason = reason(&filter.reason)?;
    let span = span(&filter.from, &filter.to, CLONE_DAYS_MOST)?;
    let kmh = number("kmh", filter.kmh, 60.0..=400.0, KMH)?;
    let confidence = number("confidence", filter.confidence, 0.5..=1.0, 0.9)?;
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 2)?;
    let search = Search {
        role,
        what: "clones",
        reason: Some(reason),
        filter: json!({
            "from": span.from, "to": span.to, "kmh": kmh, "confidence": confidence,
            "after": filter.after,
        }),
    };
    let sql = objects(
        "SELECT * FROM seen.clones($1, $2, $3, $4)
         WHERE $5::timestamptz IS NULL OR (time, id) > ($5, $6::uuid)
         ORDER BY time, id LIMIT $7",
    );
    let parameters: [Parameter<'_>; 7] = [
        &span.from,
        &span.to,
        &kmh,
        &confidence,
        &cut.time(0)?,
        &cut.parsed::<Uuid>(1)?,
        &cut.fetch(),
    ];
    let _place = app.heavy(true).await?;
    let rows = app.search(&asks, search, &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}
