//! In and out.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, extract::rejection::JsonRejection};
use chrono::{DateTime, FixedOffset};
use kakou_entry::Peer;
use kakou_guard::{Secret, presentable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::events::locked;
use crate::access::{NAME_MOST, Role, Session};
use crate::checkpoint::as_text;
use crate::fault::{Code, Fault, Told};
use crate::gate::{In, cookie};

/// Compared with where no user has the name, so that a wrong name takes as long as a wrong password.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$3n3YlxWcN0TqlFJ2qGm4bA$\
                      o5WqFJtWq9v7hXWmZkq5w2v0S8m1c6F0S7nM3oQv1yE";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Login {
    name: String,
    password: String,
}

#[derive(Serialize, ToSchema)]
pub struct Entered {
    name: String,
    roles: Vec<Role>,
    /// For `X-Kakou-Csrf`.
    csrf: String,
    site: String,
    agent: String,
    version: &'static str,
    #[serde(serialize_with = "as_text")]
    time: DateTime<FixedOffset>,
}

impl Entered {
    fn of(session: Session, app: &App) -> Self {
        Self {
            name: session.user,
            roles: session.roles.into_iter().collect(),
            csrf: session.csrf,
            site: app.checkpoint.site(),
            agent: app.checkpoint.agent(),
            version: app.checkpoint.version(),
            time: app.checkpoint.now(),
        }
    }
}

/// Begin a session.
#[utoipa::path(post, path = "/api/v1/login", request_body = Login, responses(
    (status = 200, description = "The session; its cookie is set.", body = Entered),
    (status = 401, description = "`wrong_login`", body = Told),
    (status = 429, description = "`locked`: too many wrong passwords", body = Told),
))]
pub async fn login(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    given: Result<Json<Login>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(Login { name, password }) = given.map_err(|e| invalid(&e))?;
    let password = Secret::new(password);
    if name.chars().count() > NAME_MOST {
        return Err(Fault::new(
            Code::Invalid,
            format!("a name has at most {NAME_MOST} characters"),
        ));
    }
    let may_try = || {
        let throttle = locked(&app.throttle);
        match throttle.wait(&name, peer, app.checkpoint.mono()) {
            Some(wait) => {
                Err(Fault::new(Code::Locked, "too many wrong passwords; wait").after(wait))
            }
            None => Ok(()),
        }
    };
    may_try()?;
    let failed = |why: &dyn std::fmt::Display| {
        tracing::error!("the panel's users: {why}");
        Fault::new(Code::Failed, "the users cannot be read; the log says more")
    };
    let user = app.users.find(&name).map_err(|e| failed(&e))?;
    let permit = app.hashes.acquire().await.map_err(|e| failed(&e))?;
    // Of many guesses at the same time most have waited for the ones before them.
    may_try()?;
    let known = user.clone();
    let knows = tokio::task::spawn_blocking(move || match known {
        Some(user) => user.knows(&password),
        None => {
            let _ = crate::access::matches(&password, NOBODY);
            false
        }
    });
    let knows = knows.await.map_err(|e| failed(&e))?;
    drop(permit);
    let now = app.checkpoint.mono();
    let Some(user) = user.filter(|_| knows) else {
        let times = {
            let mut throttle = locked(&app.throttle);
            throttle.wrong(&name, peer, now)
        };
        tracing::warn!(user = presentable(&name), %peer, times, "wrong password at the page");
        return Err(Fault::new(
            Code::WrongLogin,
            "the name or the password is wrong",
        ));
    };
    {
        let mut throttle = locked(&app.throttle);
        throttle.right(&name, peer);
    }
    // Always a new one: what a browser carried before is worth nothing.
    let (token, session) = app.sessions.begin(&user, now).map_err(|e| failed(&e))?;
    tracing::info!(user = user.name, %peer, "logged in at the page");
    with_cookie(&token, app.is_tls, Json(Entered::of(session, &app)))
}

/// End the session.
#[utoipa::path(post, path = "/api/v1/logout", responses((status = 204, description = "It is over.")))]
pub async fn logout(State(app): State<Arc<App>>, asks: In) -> Result<Response, Fault> {
    app.sessions.end(&asks.token);
    tracing::info!(user = asks.session.user, "logged out at the page");
    with_cookie("", app.is_tls, StatusCode::NO_CONTENT)
}

/// Who is in, and where.
#[utoipa::path(get, path = "/api/v1/session", responses(
    (status = 200, body = Entered), (status = 401, description = "`unauthenticated`", body = Told),
))]
pub async fn session(State(app): State<Arc<App>>, asks: In) -> Json<Entered> {
    Json(Entered::of(asks.session, &app))
}

fn with_cookie(token: &str, is_tls: bool, body: impl IntoResponse) -> Result<Response, Fault> {
    let value = HeaderValue::from_str(&cookie(token, is_tls))
        .map_err(|e| Fault::new(Code::Failed, e.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, value);
    Ok((headers, body).into_response())
}

/// A body that is not what the path asks for.
pub(super) fn invalid(e: &JsonRejection) -> Fault {
    Fault::new(Code::Invalid, e.body_text())
}
