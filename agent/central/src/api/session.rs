//! In and out.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kakou_entry::Peer;
use kakou_guard::{Secret, presentable};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::access::{NAME_MOST, Role, User, matches};
use super::fault::{Code, Fault, Told};
use super::gate::{In, cookie};
use super::{App, locked};

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
    /// Division codes of GB/T 2260; missing: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefectures: Option<Vec<String>>,
    /// For `X-Kakou-Csrf`; missing with a bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

impl Entered {
    fn of(user: User, csrf: Option<String>) -> Self {
        Self {
            name: user.name,
            roles: user.roles.into_iter().collect(),
            prefectures: user.prefectures,
            csrf,
        }
    }
}

/// Begin a session.
#[utoipa::path(post, path = "/api/v1/login", request_body = Login, security(()), responses(
    (status = 200, description = "The session; its cookie is set.", body = Entered),
    (status = 401, description = "`wrong_login`", body = Told),
    (status = 429, description = "`locked`: too many wrong passwords", body = Told),
))]
pub(super) async fn login(
    State(app): State<Arc<App>>,
    Extension(Peer(peer)): Extension<Peer>,
    given: Result<Json<Login>, JsonRejection>,
) -> Result<Response, Fault> {
    let Json(Login { name, password }) = given?;
    let password = Secret::new(password);
    if name.chars().count() > NAME_MOST || name.contains('\0') {
        let mend = format!("at most {NAME_MOST} characters, none of them a control character");
        return Err(Fault::field("name", mend));
    }
    let may_try = || {
        let throttle = locked(&app.throttle);
        match throttle.wait(&name, peer, app.clock.mono()) {
            Some(wait) => {
                Err(Fault::new(Code::Locked, "too many wrong passwords; wait").after(wait))
            }
            None => Ok(()),
        }
    };
    may_try()?;
    let failed = |why: &dyn std::fmt::Display| {
        tracing::error!("a login: {why}");
        Fault::new(Code::Failed, "this failed; the log says more")
    };
    let user = app.users.find(&name).await?;
    let permit = app.hashes.acquire().await.map_err(|e| failed(&e))?;
    // Of many guesses at the same time most have waited for the ones before them.
    may_try()?;
    let known = user.clone();
    let knows = tokio::task::spawn_blocking(move || match known {
        Some(user) => user.knows(&password),
        None => {
            let _ = matches(&password, NOBODY);
            false
        }
    });
    let knows = knows.await.map_err(|e| failed(&e))?;
    drop(permit);
    let now = app.clock.mono();
    let Some(user) = user.filter(|_| knows) else {
        let times = locked(&app.throttle).wrong(&name, peer, now);
        tracing::warn!(user = presentable(&name), %peer, times, "wrong password");
        return Err(Fault::new(
            Code::WrongLogin,
            "the name or the password is wrong",
        ));
    };
    locked(&app.throttle).right(&name, peer);
    // Always a new one: what a browser carried before is worth nothing.
    let (token, session) = app
        .sessions
        .begin(&user.name, user.mark(), now)
        .map_err(|e| failed(&e))?;
    tracing::info!(user = user.name, %peer, "logged in");
    let body = Json(Entered::of(user, Some(session.csrf)));
    with_cookie(&token, app.is_secure(), body)
}

/// End the session.
#[utoipa::path(post, path = "/api/v1/logout", responses(
    (status = 204, description = "It is over."),
    (status = 401, description = "`unauthenticated`", body = Told),
))]
pub(super) async fn logout(State(app): State<Arc<App>>, asks: In) -> Result<Response, Fault> {
    if asks.session.is_some() {
        app.sessions.end(asks.token.reveal());
        tracing::info!(user = asks.user.name, "logged out");
    }
    with_cookie("", app.is_secure(), StatusCode::NO_CONTENT)
}

/// Who is in.
#[utoipa::path(get, path = "/api/v1/session", responses(
    (status = 200, body = Entered), (status = 401, description = "`unauthenticated`", body = Told),
))]
pub(super) async fn session(asks: In) -> Json<Entered> {
    let csrf = asks.session.map(|session| session.csrf);
    Json(Entered::of(asks.user, csrf))
}

fn with_cookie(token: &str, is_secure: bool, body: impl IntoResponse) -> Result<Response, Fault> {
    let value = HeaderValue::from_str(&cookie(token, is_secure))
        .map_err(|e| Fault::new(Code::Failed, e.to_string()))?;
    let mut headers = HeaderMap::new();
    headers.insert(header::SET_COOKIE, value);
    Ok((headers, body).into_response())
}
