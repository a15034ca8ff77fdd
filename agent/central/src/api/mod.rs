//! The HTTP interface: what the platform asks the centre. [`openapi`] describes all of it.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `access/` | users, passwords, sessions, tokens, and what is tried too often |
//! | `gate` | what every request must pass: origin, user, token, size |
//! | `query` | how the database is asked: rights, bounds, pages |
//! | `audit` | who searched, written before the answer |
//! | `hits`, `live`, `passages`, `suspicion`, `figures`, `agents`, `alarms`, `commands`, `pictures`, `places`, `admin`, `health` | the answers |
//! | `server` | connections: TLS, limits, time limits |
//!
//! An error concerns one request. What a user may see is decided in the database (schema `seen`).

mod access;
mod admin;
mod agents;
mod alarms;
mod audit;
mod commands;
mod fault;
mod figures;
mod gate;
mod health;
mod hits;
mod live;
mod passages;
mod pictures;
mod places;
mod query;
mod server;
mod session;
mod suspicion;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post, put};
use axum::{Json, Router};
use kakou_time::SharedClock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};

use self::access::{Sessions, Throttle};
use self::fault::{Code, Fault};
use self::gate::{In, gate};
use self::live::Live;
use crate::store::Store;

pub use self::access::{PASSWORD_LEAST, PasswordError, Role, RoleError, User, Users, UsersError};
pub use self::live::CHANNEL;
pub use self::pictures::Pictures;
pub use self::server::{Listen, ServerError, serve};
pub use kakou_entry::Peer;

/// The paths that are answered to anybody.
const LOGIN: &str = "/api/v1/login";
const HEALTH: &str = "/api/v1/health";
/// Questions that read much, at a time; more wait.
const HEAVY: usize = 4;
const HEAVY_WAIT: Duration = Duration::from_secs(10);
/// Live streams at a time.
const STREAMS: usize = 500;
/// Sessions at a time.
const SESSIONS_MOST: usize = 4096;
/// Passwords that are looked at, at a time: each takes 19 MiB and tens of milliseconds.
const HASHES: usize = 2;

/// How it is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub is_tls: bool,
    /// It is reached on a loopback address.
    pub is_loopback: bool,
    /// A proxy on this machine ends TLS, and says in X-Forwarded-For who asks.
    pub is_proxied: bool,
    /// How long the database may work for one request.
    pub patience: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            is_tls: false,
            is_loopback: true,
            is_proxied: false,
            patience: query::PATIENCE,
        }
    }
}

/// What all requests share.
pub struct App {
    store: Store,
    pictures: Arc<dyn Pictures>,
    clock: SharedClock,
    options: Options,
    users: Users,
    sessions: Sessions,
    throttle: Mutex<Throttle>,
    hashes: Semaphore,
    heavy: Arc<Semaphore>,
    streams: Arc<Semaphore>,
    live: Live,
}

impl App {
    pub fn new(
        store: Store,
        pictures: Arc<dyn Pictures>,
        clock: SharedClock,
        options: Options,
    ) -> Self {
        Self {
            users: Users::of(store.clone()),
            store,
            pictures,
            clock,
            options,
            sessions: Sessions::new(SESSIONS_MOST),
            throttle: Mutex::default(),
            hashes: Semaphore::new(HASHES),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            streams: Arc::new(Semaphore::new(STREAMS)),
            live: Live::default(),
        }
    }

    /// Hands hits on to those who watch, for as long as it is polled.
    pub async fn listen(&self) -> std::convert::Infallible {
        live::listen(self).await
    }

    /// A browser reaches it by TLS.
    fn is_secure(&self) -> bool {
        self.options.is_tls || self.options.is_proxied
    }

    /// A place among those who ask for much.
    async fn heavy(&self, is_much: bool) -> Result<Option<OwnedSemaphorePermit>, Fault> {
        if !is_much {
            return Ok(None);
        }
        let place = timeout(HEAVY_WAIT, Arc::clone(&self.heavy).acquire_owned()).await;
        place.ok().and_then(Result::ok).map(Some).ok_or_else(|| {
            Fault::new(Code::Busy, "others ask for much too; try again")
                .after(Duration::from_secs(5))
        })
    }
}

/// Held for a moment only.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The server puts a [`Peer`] into each request.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route(LOGIN, post(session::login))
        .route("/api/v1/logout", post(session::logout))
        .route("/api/v1/session", get(session::session))
        .route(HEALTH, get(health::health))
        .route("/api/v1/hits", get(hits::hits))
        .route("/api/v1/hits/live", get(live::live))
        .route("/api/v1/passages/search", get(passages::search))
        .route("/api/v1/route", get(passages::route))
        .route("/api/v1/companions", get(suspicion::companions))
        .route("/api/v1/clones", get(suspicion::clones))
        .route("/api/v1/flow", get(figures::flow))
        .route("/api/v1/quality", get(figures::quality))
        .route("/api/v1/agents", get(agents::agents))
        .route("/api/v1/agents/{site}/{agent}", get(agents::agent))
        .route(
            "/api/v1/agents/{site}/{agent}/commands",
            post(commands::make),
        )
        .route("/api/v1/commands/{id}", get(commands::command))
        .route("/api/v1/gaps", get(agents::gaps))
        .route("/api/v1/alarms", get(alarms::alarms))
        .route("/api/v1/alarms/{id}/acknowledge", post(alarms::acknowledge))
        .route("/api/v1/alarms/{id}/end", post(alarms::end))
        .route("/api/v1/pictures/{owner}/{role}", get(pictures::picture))
        .route("/api/v1/organisations", get(places::organisations))
        .route("/api/v1/users", get(admin::list))
        .route(
            "/api/v1/users/{name}",
            put(admin::put).delete(admin::remove),
        )
        .route("/api/v1/users/{name}/tokens", post(admin::token))
        .route("/api/v1/audit", get(audit::audit))
        .route("/api/v1/openapi.json", get(described))
        .fallback(any(nothing))
        .method_not_allowed_fallback(nothing)
        .layer(from_fn_with_state(Arc::clone(&app), gate))
        .with_state(app)
}

async fn nothing() -> Fault {
    Fault::not_found("there is nothing here; /api/v1/openapi.json says what there is")
}

async fn described(_: In, State(_): State<Arc<App>>) -> Response {
    Json(openapi()).into_response()
}

/// The interface in OpenAPI's terms.
pub fn openapi() -> utoipa::openapi::OpenApi {
    Described::openapi()
}

struct Schemes;

impl Modify for Schemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let cookie = ApiKey::Cookie(ApiKeyValue::new("__Host-kakou_central"));
        components.add_security_scheme("session", SecurityScheme::ApiKey(cookie));
        let bearer = Http::new(HttpAuthScheme::Bearer);
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Kakou centre",
        description = "What the platform asks the centre. Every path but login and health needs the \
                       cookie of a session or a bearer token; with a cookie every POST, PUT and \
                       DELETE needs `csrf` of the login in `X-Kakou-Csrf` too. Times without a date \
                       of their own are those of Asia/Shanghai.",
        license(name = "Apache-2.0")
    ),
    modifiers(&Schemes),
    security(("session" = []), ("token" = [])),
    paths(
        session::login,
        session::logout,
        session::session,
        health::health,
        hits::hits,
        live::live,
        passages::search,
        passages::route,
        suspicion::companions,
        suspicion::clones,
        figures::flow,
        figures::quality,
        agents::agents,
        agents::agent,
        commands::make,
        commands::command,
        agents::gaps,
        alarms::alarms,
        alarms::acknowledge,
        alarms::end,
        pictures::picture,
        places::organisations,
        admin::list,
        admin::put,
        admin::remove,
        admin::token,
        audit::audit,
    ),
    components(schemas(fault::Told))
)]
struct Described;
