//! Where vehicles passed. Every question here is a search: it has a reason, and it is written down
//! before it is answered.

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
use super::query::{Cut, Keyed, Page, Parameter, exactly, like, name, objects, plate, span};

/// For a whole plate, or for one site.
const DAYS_MOST: u32 = 92;
/// For a pattern whose beginning is known.
const DAYS_OF_PATTERN: u32 = 31;
/// For one that may begin with anything.
const DAYS_OF_ANY: u32 = 1;
/// Characters at the beginning of a pattern that make it a search by index.
const KNOWN_LEAST: usize = 2;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PassageFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339. At most 92 days after `from` for a whole plate; 31 for a pattern that begins with two
    /// characters; 1 for any other pattern; 1 without a plate.
    #[param(required = true)]
    to: Option<String>,
    /// Why; 4 to 500 characters. It is recorded.
    #[param(required = true)]
    reason: Option<String>,
    /// A plate; `?` stands for one character, `*` for any number. Without one `site` is needed.
    plate: Option<String>,
    site: Option<String>,
    camera: Option<String>,
    /// A class of vehicle: car, bus, truck, motorcycle or bicycle.
    class: Option<String>,
    /// Of the vehicle's body: white, grey, yellow, pink, red, purple, green, blue, brown or black. A
    /// colour that could not be told is none of them.
    vehicle_colour: Option<String>,
    /// Of the plate: blue, yellow, green, yellow_green, white or black.
    colour: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A passage; words and codes are those of the messages.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PassageRow {
    pub id: Uuid,
    pub time: DateTime<FixedOffset>,
    pub site: String,
    pub site_name: Option<String>,
    pub organisation: Option<String>,
    pub grid: Option<String>,
    pub prefecture: Option<String>,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
    pub agent: String,
    pub camera: String,
    pub lane: Option<String>,
    pub direction: String,
    pub vehicle_class: Option<String>,
    pub vehicle_colour: Option<String>,
    pub vehicle_colour_confidence: Option<f64>,
    pub plate: Option<String>,
    pub plate_confidence: Option<f64>,
    pub plate_kind: Option<String>,
    pub plate_colour: Option<String>,
    pub is_late: bool,
    /// `unsynchronised`: the time may be wrong.
    pub clock_state: Option<String>,
}

impl Keyed for PassageRow {
    fn key(&self) -> Vec<String> {
        vec![exactly(&self.time), self.id.to_string()]
    }
}

/// Passages by plate or place, the newest first. For `investigator`; recorded.
#[utoipa::path(get, path = "/api/v1/passages/search", params(PassageFilter), responses(
    (status = 200, body = Page<PassageRow>), (status = 400, body = Told), (status = 403, body = Told),
    (status = 503, description = "`audit_unwritable`: it could not be recorded", body = Told),
))]
pub(super) async fn search(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<PassageFilter>, QueryRejection>,
) -> Result<Json<Page<PassageRow>>, Fault> {
    let role = asks.must_be(&[Role::Investigator])?;
    let Query(filter) = filter?;
    let reason = reason(&filter.reason)?;
    let wanted = plate(&filter.plate, true)?;
    let site = name("site", &filter.site)?;
    let is_wild = |c: char| matches!(c, '?' | '*');
    let known = |plate: &String| plate.chars().take_while(|c| !is_wild(*c)).count();
    let days = match &wanted {
        Some(plate) if !plate.contains(is_wild) => DAYS_MOST,
        Some(plate) if known(plate) >= KNOWN_LEAST => DAYS_OF_PATTERN,
        Some(_) => DAYS_OF_ANY,
        None if site.is_some() => DAYS_OF_ANY,
        None => {
            let mend = "missing; give a plate, or a site";
            return Err(Fault::field("plate", mend));
        }
    };
    let span = span(&filter.from, &filter.to, days)?;
    let (camera, class, body, colour) = (
        name("camera", &filter.camera)?,
        name("class", &filter.class)?,
        name("vehicle_colour", &filter.vehicle_colour)?,
        name("colour", &filter.colour)?,
    );
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 2)?;
    let search = Search {
        role,
        what: "passages",
        reason: Some(reason),
        filter: json!({
            "from": span.from, "to": span.to, "plate": wanted, "site": site, "camera": camera,
            "class": class, "vehicle_colour": body, "colour": colour, "after": filter.after,
        }),
    };
    let is_pattern = wanted.as_ref().is_some_and(|plate| plate.contains(is_wild));
    let by_plate = match is_pattern {
        true => "plate LIKE $3",
        false => "($3::text IS NULL OR plate = $3)",
    };
    let given = wanted.map(|plate| if is_pattern { like(&plate) } else { plate });
    let sql = objects(&format!(
        "SELECT * FROM seen.passages WHERE time >= $1 AND time < $2 AND {by_plate}
         AND ($4::text IS NULL OR site = $4) AND ($5::text IS NULL OR camera = $5)
         AND ($6::text IS NULL OR vehicle_class = $6) AND ($7::text IS NULL OR plate_colour = $7)
         AND ($8::text IS NULL OR vehicle_colour = $8)
         AND ($9::timestamptz IS NULL OR (time, id) < ($9, $10::uuid))
         ORDER BY time DESC, id DESC LIMIT $11"
    ));
    let parameters: [Parameter<'_>; 11] = [
        &span.from,
        &span.to,
        &given,
        &site,
        &camera,
        &class,
        &colour,
        &body,
        &cut.time(0)?,
        &cut.parsed::<Uuid>(1)?,
        &cut.fetch(),
    ];
    let _place = app.heavy(days == DAYS_OF_ANY).await?;
    let rows = app.search(&asks, search, &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RouteFilter {
    /// RFC 3339.
    #[param(required = true)]
    from: Option<String>,
    /// RFC 3339; at most 92 days after `from`.
    #[param(required = true)]
    to: Option<String>,
    /// Why; 4 to 500 characters. It is recorded.
    #[param(required = true)]
    reason: Option<String>,
    /// The whole plate.
    #[param(required = true)]
    plate: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

/// A passage on the way of a vehicle.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Leg {
    #[serde(flatten)]
    pub passage: PassageRow,
    /// Since the sighting before; `null` for the first.
    pub seconds: Option<f64>,
    /// From the site of the sighting before, on the great circle.
    pub km: Option<f64>,
}

impl Keyed for Leg {
    fn key(&self) -> Vec<String> {
        self.passage.key()
    }
}

/// 路线: where a plate passed, in time order. For `investigator`; recorded.
#[utoipa::path(get, path = "/api/v1/route", params(RouteFilter), responses(
    (status = 200, body = Page<Leg>), (status = 400, body = Told), (status = 403, body = Told),
    (status = 503, description = "`audit_unwritable`: it could not be recorded", body = Told),
))]
pub(super) async fn route(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<RouteFilter>, QueryRejection>,
) -> Result<Json<Page<Leg>>, Fault> {
    let role = asks.must_be(&[Role::Investigator])?;
    let Query(filter) = filter?;
    let reason = reason(&filter.reason)?;
    let wanted = whole(&filter.plate)?;
    let span = span(&filter.from, &filter.to, DAYS_MOST)?;
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 2)?;
    let search = Search {
        role,
        what: "route",
        reason: Some(reason),
        filter: json!({
            "from": span.from, "to": span.to, "plate": wanted, "after": filter.after,
        }),
    };
    let sql = objects(
        "SELECT * FROM seen.route($1, $2, $3)
         WHERE $4::timestamptz IS NULL OR (time, id) > ($4, $5::uuid)
         ORDER BY time, id LIMIT $6",
    );
    let parameters: [Parameter<'_>; 6] = [
        &wanted,
        &span.from,
        &span.to,
        &cut.time(0)?,
        &cut.parsed::<Uuid>(1)?,
        &cut.fetch(),
    ];
    let rows = app.search(&asks, search, &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}

pub(super) fn whole(given: &Option<String>) -> Result<String, Fault> {
    let missing = || Fault::field("plate", "missing; give a whole plate");
    plate(given, false)?.ok_or_else(missing)
}
