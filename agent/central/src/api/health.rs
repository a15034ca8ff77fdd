//! Whether the centre can answer, for whoever watches it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::App;
use super::fault::{Fault, Told};

#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`: the database answers.
    status: &'static str,
}

/// Without a login. It says nothing else.
#[utoipa::path(get, path = "/api/v1/health", security(()), responses(
    (status = 200, body = Health),
    (status = 503, description = "`unavailable`: the database is away", body = Told),
))]
pub(super) async fn health(State(app): State<Arc<App>>) -> Result<Json<Health>, Fault> {
    app.store.client().await?.query_one("SELECT 1", &[]).await?;
    Ok(Json(Health { status: "ok" }))
}
