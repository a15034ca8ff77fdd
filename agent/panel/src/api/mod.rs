//! The answers, by page. `openapi` describes all of them.

mod cameras;
mod events;
mod hits;
mod records;
mod session;
mod status;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use utoipa::OpenApi;

use crate::access::{Sessions, Throttle, Users};
use crate::checkpoint::{Checkpoint, Refused};
use crate::fault::{Code, Fault};
use crate::gate::{In, gate};
use crate::hub::Hub;
use crate::pages::page;

/// The one path of the API that is answered without a session.
pub(crate) const LOGIN: &str = "/api/v1/login";
/// Questions to the agent at a time; more wait. Each takes a thread, and threads are few in a box.
const ASKED: usize = 8;
/// Of them those that read much.
const HEAVY: usize = 2;
/// Live streams of cameras and of events, at a time.
const STREAMS: usize = 200;
/// Passwords that are looked at, at a time: each takes 19 MiB and tens of milliseconds.
const HASHES: usize = 2;

/// What all requests share.
pub(crate) struct App {
    pub checkpoint: Arc<dyn Checkpoint>,
    pub hub: Hub,
    pub users: Arc<Users>,
    pub sessions: Sessions,
    pub throttle: Mutex<Throttle>,
    pub hashes: Semaphore,
    asked: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    pub streams: Arc<Semaphore>,
    /// The last status and when it was made: many who watch cost one look.
    pub status: Mutex<Option<(Duration, Arc<str>)>>,
    pub is_tls: bool,
    pub is_loopback: bool,
}

impl App {
    pub fn new(
        checkpoint: Arc<dyn Checkpoint>,
        hub: Hub,
        users: Arc<Users>,
        is_tls: bool,
        is_loopback: bool,
    ) -> Self {
        Self {
            checkpoint,
            hub,
            sessions: Sessions::new(Arc::clone(&users)),
            users,
            throttle: Mutex::default(),
            hashes: Semaphore::new(HASHES),
            asked: Arc::new(Semaphore::new(ASKED)),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            status: Mutex::default(),
            is_tls,
            is_loopback,
        }
    }

    /// Asks the agent from a thread that may block.
    pub async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Checkpoint) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Fault> {
        let checkpoint = Arc::clone(&self.checkpoint);
        let place = Arc::clone(&self.asked).acquire_owned().await;
        let asked = tokio::task::spawn_blocking(move || {
            let given = what(&*checkpoint);
            drop(place);
            given
        });
        match asked.await {
            Ok(given) => given.map_err(Fault::from),
            Err(e) => {
                tracing::error!("a question of the page: {e}");
                Err(Fault::new(Code::Failed, "this failed; the log says more"))
            }
        }
    }

    /// The same for what reads much or takes long: a few at a time.
    pub async fn ask_much<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Checkpoint) -> Result<T, Refused> + Send + 'static,
    ) -> Result<T, Fault> {
        let busy = || {
            Fault::new(Code::Busy, "others ask for much too; try again")
                .after(Duration::from_secs(5))
        };
        let place = timeout(
            Duration::from_secs(20),
            Arc::clone(&self.heavy).acquire_owned(),
        )
        .await;
        let place = place.ok().and_then(Result::ok).ok_or_else(busy)?;
        // The work holds its place, whether who asked is still there or not.
        self.ask(move |checkpoint| {
            let given = what(checkpoint);
            drop(place);
            given
        })
        .await
    }
}

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(LOGIN, post(session::login))
        .route("/api/v1/logout", post(session::logout))
        .route("/api/v1/session", get(session::session))
        .route("/api/v1/events", get(events::events))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/doctor", post(status::doctor))
        .route("/api/v1/hits", get(hits::hits))
        .route("/api/v1/hits/{id}/answer", post(hits::answer))
        .route("/api/v1/pictures/{id}/{role}", get(hits::picture))
        .route("/api/v1/cameras", get(cameras::cameras))
        .route("/api/v1/cameras/{id}/picture", get(cameras::picture))
        .route("/api/v1/cameras/{id}/live", get(cameras::live))
        .route("/api/v1/cameras/{id}/frames/{frame}", get(cameras::frame))
        .route(
            "/api/v1/cameras/{id}/config",
            get(cameras::geometry).put(cameras::save),
        )
        .route("/api/v1/passages", get(records::passages))
        .route("/api/v1/quality", get(records::quality))
        .route("/api/v1/report.csv", get(records::report))
        .route("/api/v1/log", get(records::log))
        .route("/api/v1/openapi.json", get(described))
        .route("/api/{*rest}", axum::routing::any(nothing))
        .fallback(page)
        .layer(from_fn_with_state(Arc::clone(&app), gate))
        .with_state(app)
}

async fn nothing() -> Fault {
    Fault::new(
        Code::NotFound,
        "there is nothing here; /api/v1/openapi.json says what there is",
    )
}

async fn described(_: In, State(_): State<Arc<App>>) -> Response {
    Json(openapi()).into_response()
}

fn jpeg(bytes: Bytes) -> Response {
    let kind = HeaderValue::from_static("image/jpeg");
    ([(header::CONTENT_TYPE, kind)], bytes).into_response()
}

/// The API in OpenAPI's terms.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kakou panel",
        description = "What the box's own page asks. Every path but the login needs the cookie of a \
                       session; every POST and PUT needs the session's token in `X-Kakou-Csrf` too.",
        license(name = "Apache-2.0")
    ),
    paths(
        session::login,
        session::logout,
        session::session,
        events::events,
        status::status,
        status::doctor,
        hits::hits,
        hits::answer,
        hits::picture,
        cameras::cameras,
        cameras::picture,
        cameras::live,
        cameras::frame,
        cameras::geometry,
        cameras::save,
        records::passages,
        records::quality,
        records::report,
        records::log,
    ),
    components(schemas(crate::fault::Told, crate::checkpoint::Scene))
)]
struct Described;
