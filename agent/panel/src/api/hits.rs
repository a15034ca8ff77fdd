//! Hits, what officers say to them, and pictures of vehicles.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use kakou_contract::Verdict;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::session::invalid;
use super::{App, jpeg};
use crate::access::Role;
use crate::checkpoint::Answer;
use crate::fault::{Code, Fault, Told};
use crate::gate::In;
use crate::hub::{Answered, HitRow, OF_HITS};

const MOST: usize = 200;
const USUAL: usize = 50;
/// Less than the contract allows: it is typed with a thumb.
const NOTE_MOST: usize = 500;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Limit {
    /// 1 to 200; 50 where it is not given.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub struct Hits {
    /// The newest first.
    hits: Vec<HitRow>,
}

/// The last hits as they stand.
#[utoipa::path(get, path = "/api/v1/hits", params(Limit), responses((status = 200, body = Hits)))]
pub async fn hits(
    State(app): State<Arc<App>>,
    asks: In,
    limit: Result<Query<Limit>, QueryRejection>,
) -> Result<Json<Hits>, Fault> {
    asks.must_be(OF_HITS)?;
    let Query(Limit { limit }) = limit.map_err(|e| wrong(&e.body_text()))?;
    let hits = app.hub.hits(limit.unwrap_or(USUAL).clamp(1, MOST));
    Ok(Json(Hits { hits }))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// `confirmed`, `wrong_plate` or `released`.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// One line of at most 500 characters.
    #[serde(default)]
    note: Option<String>,
}

/// What an officer found out about a hit. It is in the box's audit chain when this is answered.
#[utoipa::path(post, path = "/api/v1/hits/{id}/answer", request_body = Said, responses(
    (status = 200, description = "The hit as it stands now.", body = HitRow),
    (status = 404, description = "`not_found`: the box does not remember the hit", body = Told),
))]
pub async fn answer(
    State(app): State<Arc<App>>,
    asks: In,
    id: Result<Path<Uuid>, PathRejection>,
    said: Result<Json<Said>, JsonRejection>,
) -> Result<Json<HitRow>, Fault> {
    asks.must_be(&[Role::Officer])?;
    let Path(hit) = id.map_err(|e| wrong(&e.body_text()))?;
    let Json(Said { verdict, note }) = said.map_err(|e| invalid(&e))?;
    let note = note
        .map(|note| note.trim().to_owned())
        .filter(|n| !n.is_empty());
    if let Some(note) = &note {
        if note.chars().count() > NOTE_MOST {
            return Err(wrong(&format!("a note has at most {NOTE_MOST} characters")));
        }
        if note.chars().any(char::is_control) {
            return Err(wrong("a note is one line of text"));
        }
    }
    let unknown = || Fault::new(Code::NotFound, "the box does not remember this hit");
    if !app.hub.remembers(hit) {
        return Err(unknown());
    }
    let by = asks.session.user;
    let answer = Answer {
        hit,
        verdict,
        note: note.clone(),
        by: by.clone(),
    };
    app.ask(move |checkpoint| checkpoint.answer(answer)).await?;
    let answered = Answered {
        verdict,
        by,
        note,
        time: app.checkpoint.now(),
    };
    app.hub
        .answered(hit, answered)
        .map(Json)
        .ok_or_else(unknown)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Near {
    /// The number of a message that was committed with the picture.
    near: Option<u64>,
}

/// A picture of a hit or a passage: `frame`, `plate` or `thumbnail`.
#[utoipa::path(get, path = "/api/v1/pictures/{id}/{role}", params(Near), responses(
    (status = 200, content_type = "image/jpeg", body = Vec<u8>),
    (status = 404, description = "`not_found`: it is no longer kept", body = Told),
))]
pub async fn picture(
    State(app): State<Arc<App>>,
    _: In,
    place: Result<Path<(Uuid, String)>, PathRejection>,
    near: Result<Query<Near>, QueryRejection>,
) -> Result<Response, Fault> {
    let Path((owner, role)) = place.map_err(|e| wrong(&e.body_text()))?;
    let Query(Near { near }) = near.map_err(|e| wrong(&e.body_text()))?;
    if let Some(bytes) = app.hub.picture(owner, &role) {
        return Ok(jpeg(bytes));
    }
    let gone = || Fault::new(Code::NotFound, "this picture is no longer kept");
    let near = near.ok_or_else(gone)?;
    let bytes = app
        .ask(move |checkpoint| checkpoint.evidence(owner, &role, near))
        .await?;
    Ok(jpeg(bytes))
}

pub(super) fn wrong(message: &str) -> Fault {
    Fault::new(Code::Invalid, message)
}
