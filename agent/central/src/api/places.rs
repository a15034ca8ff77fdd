//! Organisations and sites, as the lists have them.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::fault::{Fault, Told};
use super::gate::In;
use super::query::{Cut, Keyed, Page, Parameter, objects};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlaceFilter {
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Site {
    pub site: String,
    pub name: String,
    pub grid: Option<String>,
    pub prefecture: Option<String>,
    pub longitude: Option<f64>,
    pub latitude: Option<f64>,
}

/// An organisation with those of its sites that the user may see.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Organisation {
    pub code: String,
    pub name: String,
    pub parent: Option<String>,
    pub sites: Vec<Site>,
}

impl Keyed for Organisation {
    fn key(&self) -> Vec<String> {
        vec![self.code.clone()]
    }
}

/// Organisations that have a site which the user may see; all for a user without a limit.
#[utoipa::path(get, path = "/api/v1/organisations", params(PlaceFilter), responses(
    (status = 200, body = Page<Organisation>), (status = 400, body = Told),
))]
pub(super) async fn organisations(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<PlaceFilter>, QueryRejection>,
) -> Result<Json<Page<Organisation>>, Fault> {
    let Query(filter) = filter?;
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 1)?;
    let sql = objects(
        "SELECT o.code, o.name, o.parent, (
             SELECT coalesce(jsonb_agg(jsonb_build_object('site', s.site, 'name', s.name,
                 'grid', s.grid, 'prefecture', s.prefecture, 'longitude', s.longitude,
                 'latitude', s.latitude) ORDER BY s.site), '[]')
             FROM seen.sites s WHERE s.organisation = o.code) AS sites
         FROM organisations o
         WHERE ($1::text IS NULL OR o.code COLLATE \"C\" > $1)
           AND ((SELECT current_setting('kakou.prefectures', true)) = '*'
                OR o.code IN (SELECT organisation FROM seen.sites))
         ORDER BY o.code COLLATE \"C\" LIMIT $2",
    );
    let parameters: [Parameter<'_>; 2] = [&cut.text(0), &cut.fetch()];
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}
