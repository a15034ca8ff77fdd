//! Pictures, out of the object store. One that does not have the digest that the agent signed is not
//! shown.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use kakou_contract::EvidenceRole;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;
use uuid::Uuid;

use super::App;
use super::access::Role;
use super::audit::{Search, reason};
use super::fault::{Code, Fault, Told};
use super::gate::In;
use super::query::objects;

/// Where the bytes of pictures lie.
pub trait Pictures: Send + Sync {
    /// `None`: there is none under this key.
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Option<Bytes>>;
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Why {
    /// Why; 4 to 500 characters. Needed for a picture that belongs to no hit. It is recorded.
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Place {
    object: String,
    content_type: String,
    sha256: String,
    is_of_hit: bool,
}

/// A picture of a hit (`viewer`, `investigator`) or of a passage (`investigator`, with a reason).
/// `owner` is the passage, or the provisional hit. Recorded.
#[utoipa::path(get, path = "/api/v1/pictures/{owner}/{role}",
    params(("owner" = Uuid, Path), ("role" = String, Path, description = "frame, plate or thumbnail"),
           Why),
    responses(
        (status = 200, content_type = "image/jpeg", body = Vec<u8>),
        (status = 403, body = Told), (status = 404, body = Told),
        (status = 503, description = "`audit_unwritable`: it could not be recorded", body = Told),
))]
pub(super) async fn picture(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<(Uuid, String)>, PathRejection>,
    why: Result<Query<Why>, QueryRejection>,
) -> Result<Response, Fault> {
    let any = asks.must_be(&[Role::Viewer, Role::Investigator])?;
    let Path((owner, role)) = place?;
    let Query(why) = why?;
    if role.parse::<EvidenceRole>().is_err() {
        return Err(Fault::field("role", "give frame, plate or thumbnail"));
    }
    let none = || Fault::not_found("there is no such picture");
    let sql = objects(
        "SELECT object, content_type, encode(sha256, 'hex') AS sha256, EXISTS (
             SELECT FROM hits h WHERE h.time BETWEEN p.time - interval '1 day'
                 AND p.time + interval '1 day' AND (h.hit = $1 OR h.passage = $1)) AS is_of_hit
         FROM seen.pictures p WHERE owner = $1 AND role = $2 ORDER BY time DESC LIMIT 1",
    );
    let found: Vec<Place> = app.ask(&asks.scope(), &sql, &[&owner, &role]).await?;
    let found = found.into_iter().next();
    let is_of_hit = found.as_ref().is_some_and(|found| found.is_of_hit);
    let (by, reason) = match is_of_hit {
        true => (
            any,
            why.reason
                .as_ref()
                .map(|_| reason(&why.reason))
                .transpose()?,
        ),
        false => (
            asks.must_be(&[Role::Investigator])?,
            Some(reason(&why.reason)?),
        ),
    };
    let search = Search {
        role: by,
        what: "picture",
        reason,
        filter: json!({ "owner": owner, "role": role }),
    };
    let id = app.record(&asks, &search).await?;
    let Some(found) = found else {
        app.counted(id, 0).await?;
        return Err(none());
    };
    let Some(bytes) = app.pictures.get(&found.object).await else {
        app.counted(id, 0).await?;
        return Err(none());
    };
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    if digest != found.sha256 {
        tracing::error!(
            object = found.object,
            "a picture is not the one that was signed"
        );
        let message = "the stored picture is not the one that the agent signed; the log says which";
        return Err(Fault::new(Code::Failed, message));
    }
    app.counted(id, 1).await?;
    // What a browser would run is none of what agents send.
    let kind = match found.content_type.as_str() {
        "image/png" => "image/png",
        _ => "image/jpeg",
    };
    let kind = HeaderValue::from_static(kind);
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}
