//! How the centre is, over HTTP: `/metrics` for Prometheus and `/health` for a load balancer.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `figures` | the metrics, in Prometheus' text form |
//! | `standing` | what the database says, not more often than that pays |
//!
//! Nobody can ask for anything to be done here, and nothing that is answered has a plate, a picture
//! or a secret in it. docs/central.md explains each.

mod figures;
mod standing;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use kakou_entry::{accept, metrics};
use serde::Deserialize;
use serde_json::json;

use crate::here::listener;

pub use self::figures::Sources;
pub use self::standing::Standing;

/// Connections at a time.
const CONNECTIONS: usize = 16;

/// `[metrics]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Without a password and without TLS: of this machine, or of the network of your monitoring.
    pub listen: SocketAddr,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 9490)),
        }
    }
}

/// Answers until `until` is over.
pub async fn serve(address: SocketAddr, sources: Arc<Sources>, until: impl Future<Output = ()>) {
    tokio::pin!(until);
    let listener = tokio::select! {
        () = &mut until => return,
        listener = listener(address, "metrics.listen") => listener,
    };
    tracing::info!(%address, "metrics and health are answered");
    accept(listener, CONNECTIONS, None, router(sources), until).await;
}

fn router(sources: Arc<Sources>) -> Router {
    Router::new()
        .route("/metrics", get(text))
        .route("/health", get(health))
        .fallback(|| async {
            (
                StatusCode::NOT_FOUND,
                "there are /metrics and /health here\n",
            )
        })
        .with_state(sources)
}

async fn text(State(sources): State<Arc<Sources>>) -> Response {
    let text = sources.text().await;
    let headers = [
        (header::CONTENT_TYPE, metrics::CONTENT_TYPE),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// 200 while messages become rows, 503 while they do not; with the reasons.
async fn health(State(sources): State<Arc<Sources>>) -> Response {
    let mut reasons = Vec::new();
    for (kind, counts) in &sources.lanes {
        if counts.is_subscribed.load(Ordering::Relaxed) == 0 {
            let lane = kind.as_str();
            reasons.push(format!("lane {lane}: the broker does not send"));
        }
    }
    if let Err(why) = sources.standing().await {
        reasons.push(why);
    }
    let (code, word) = match reasons.is_empty() {
        true => (StatusCode::OK, "ok"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "failed"),
    };
    let headers = [(header::CACHE_CONTROL, "no-store")];
    let body = Json(json!({ "health": word, "reasons": reasons }));
    (code, headers, body).into_response()
}
