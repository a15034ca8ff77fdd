//! Users and tokens, for who makes them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use kakou_guard::Secret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::App;
use super::access::{Role, UsersError};
use super::fault::{Code, Fault, Told};
use super::gate::In;

#[derive(Debug, Serialize, ToSchema)]
pub struct UserRow {
    name: String,
    roles: Vec<Role>,
    /// Division codes of GB/T 2260; `null`: all.
    prefectures: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
pub struct UserRows {
    rows: Vec<UserRow>,
}

impl From<UsersError> for Fault {
    fn from(wrong: UsersError) -> Self {
        match wrong {
            UsersError::Store(error) => error.into(),
            UsersError::Unknown => Self::not_found("there is no user of this name"),
            UsersError::Random(why) => {
                tracing::error!("{why}");
                Self::new(Code::Failed, "this failed; the log says more")
            }
            wrong => {
                let text = wrong.to_string();
                let (field, mend) = text.split_once(": ").unwrap_or(("", &text));
                Self::field(field, mend)
            }
        }
    }
}

/// All users. For `admin`, as everything of users.
#[utoipa::path(get, path = "/api/v1/users", responses(
    (status = 200, body = UserRows), (status = 403, body = Told),
))]
pub(super) async fn list(State(app): State<Arc<App>>, asks: In) -> Result<Json<UserRows>, Fault> {
    asks.must_be_admin()?;
    let users = app.users.list().await?;
    let rows = users
        .into_iter()
        .map(|user| UserRow {
            name: user.name,
            roles: user.roles.into_iter().collect(),
            prefectures: user.prefectures,
        })
        .collect();
    Ok(Json(UserRows { rows }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    roles: BTreeSet<Role>,
    /// Division codes of GB/T 2260; missing: no limit.
    #[serde(default)]
    prefectures: Option<Vec<String>>,
    /// Ten characters or more.
    password: String,
}

/// Add a user, or give an old one another password, other roles and another limit.
#[utoipa::path(put, path = "/api/v1/users/{name}", params(("name" = String, Path)),
    request_body = NewUser, responses(
        (status = 204, description = "Done."), (status = 400, body = Told),
        (status = 403, body = Told),
))]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<String>, PathRejection>,
    given: Result<Json<NewUser>, JsonRejection>,
) -> Result<StatusCode, Fault> {
    asks.must_be_admin()?;
    let Path(name) = place?;
    let Json(new) = given?;
    let password = Secret::new(new.password);
    app.users
        .add(&name, new.roles, new.prefectures, &password)
        .await?;
    tracing::info!(by = asks.user.name, user = name, "a user was written");
    Ok(StatusCode::NO_CONTENT)
}

/// Take a user out, with all tokens and sessions.
#[utoipa::path(delete, path = "/api/v1/users/{name}", params(("name" = String, Path)), responses(
    (status = 204, description = "Done."), (status = 403, body = Told), (status = 404, body = Told),
))]
pub(super) async fn remove(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Fault> {
    asks.must_be_admin()?;
    let Path(name) = place?;
    if name.contains('\0') {
        return Err(UsersError::Unknown.into());
    }
    app.users.remove(&name).await?;
    tracing::info!(by = asks.user.name, user = name, "a user was taken out");
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// What it is for.
    label: String,
    /// How long it is good: 1 to 400.
    days: u32,
}

#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    /// For `Authorization: Bearer`. It is shown once.
    token: String,
    expires_at: DateTime<Utc>,
}

/// Make a token that stands for the user in programs.
#[utoipa::path(post, path = "/api/v1/users/{name}/tokens", params(("name" = String, Path)),
    request_body = NewToken, responses(
        (status = 201, body = MadeToken), (status = 400, body = Told), (status = 403, body = Told),
        (status = 404, body = Told),
))]
pub(super) async fn token(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<String>, PathRejection>,
    given: Result<Json<NewToken>, JsonRejection>,
) -> Result<(StatusCode, Json<MadeToken>), Fault> {
    asks.must_be_admin()?;
    let Path(name) = place?;
    let Json(new) = given?;
    if name.contains('\0') {
        return Err(UsersError::Unknown.into());
    }
    let now = app.clock.wall();
    let (token, expires_at) = app.users.token(&name, &new.label, new.days, now).await?;
    tracing::info!(by = asks.user.name, user = name, "a token was made");
    let made = MadeToken {
        token: token.reveal().to_owned(),
        expires_at,
    };
    Ok((StatusCode::CREATED, Json(made)))
}
