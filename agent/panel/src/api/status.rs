//! How the box is.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::App;
use super::events::locked;
use crate::access::Role;
use crate::fault::Fault;
use crate::gate::In;

/// A status is as good for this long.
const FRESH: Duration = Duration::from_secs(1);

/// How the box is, as `kakou status --json` says it, with the number of viewers.
#[utoipa::path(get, path = "/api/v1/status", responses((status = 200, body = Object)))]
pub async fn status(State(app): State<Arc<App>>, _: In) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (
        [(header::CONTENT_TYPE, kind)],
        status_text(&app).to_string(),
    )
        .into_response()
}

pub(super) fn status_text(app: &App) -> Arc<str> {
    let mut kept = locked(&app.status);
    let now = app.checkpoint.mono();
    if let Some((made, text)) = &*kept
        && now.saturating_sub(*made) < FRESH
    {
        return Arc::clone(text);
    }
    let mut status = app.checkpoint.status();
    if let Some(object) = status.as_object_mut() {
        object.insert("viewers".into(), json!(app.hub.viewers()));
    }
    let text: Arc<str> = status.to_string().into();
    *kept = Some((now, Arc::clone(&text)));
    text
}

/// What `kakou doctor` finds; takes some seconds.
#[utoipa::path(post, path = "/api/v1/doctor", responses((status = 200, body = Object)))]
pub async fn doctor(State(app): State<Arc<App>>, asks: In) -> Result<Json<Value>, Fault> {
    asks.must_be(&[Role::Installer, Role::Operator])?;
    let findings = app.ask_much(|checkpoint| checkpoint.doctor()).await?;
    Ok(Json(json!({ "findings": findings })))
}
