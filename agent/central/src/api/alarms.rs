//! What somebody has to look at, and that somebody does.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::access::Role;
use super::fault::{Fault, Told};
use super::gate::In;
use super::query::{Cut, Keyed, Page, Parameter, name, objects};

const NOTE_MOST: usize = 500;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AlarmFilter {
    /// `true`: those that are not over; `false`: those that are; all where it is not given.
    open: Option<bool>,
    site: Option<String>,
    kind: Option<String>,
    /// 1 to 500; 100 where it is not given.
    limit: Option<i64>,
    /// `next` of the page before.
    after: Option<String>,
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Alarm {
    pub id: i64,
    pub kind: String,
    /// `null`, as the agent: it is of no agent that is known.
    pub site: Option<String>,
    pub agent: Option<String>,
    pub site_name: Option<String>,
    pub organisation: Option<String>,
    /// What of the agent it is about; empty: the agent.
    pub subject: String,
    pub raised_at: DateTime<FixedOffset>,
    pub last_at: DateTime<FixedOffset>,
    /// `null`: it goes on.
    pub ended_at: Option<DateTime<FixedOffset>>,
    pub count: i64,
    pub detail: String,
    #[schema(value_type = Option<Object>)]
    pub evidence: Option<Value>,
    pub acknowledged_at: Option<DateTime<FixedOffset>>,
    pub acknowledged_by: Option<String>,
    pub acknowledged_note: Option<String>,
    /// Of one that somebody ended; `null` where it ended by itself.
    pub ended_by: Option<String>,
    pub ended_note: Option<String>,
}

impl Keyed for Alarm {
    fn key(&self) -> Vec<String> {
        vec![self.id.to_string()]
    }
}

/// Alarms, the newest first. For `operator`.
#[utoipa::path(get, path = "/api/v1/alarms", params(AlarmFilter), responses(
    (status = 200, body = Page<Alarm>), (status = 400, body = Told), (status = 403, body = Told),
))]
pub(super) async fn alarms(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<AlarmFilter>, QueryRejection>,
) -> Result<Json<Page<Alarm>>, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Query(filter) = filter?;
    let (site, kind) = (name("site", &filter.site)?, name("kind", &filter.kind)?);
    let cut = Cut::of(filter.limit, filter.after.as_deref(), 1)?;
    let sql = objects(
        "SELECT * FROM seen.alarms
         WHERE ($1::boolean IS NULL OR (ended_at IS NULL) = $1)
           AND ($2::text IS NULL OR site = $2) AND ($3::text IS NULL OR kind = $3)
           AND ($4::bigint IS NULL OR id < $4)
         ORDER BY id DESC LIMIT $5",
    );
    let parameters: [Parameter<'_>; 5] = [
        &filter.open,
        &site,
        &kind,
        &cut.parsed::<i64>(0)?,
        &cut.fetch(),
    ];
    let rows = app.ask(&asks.scope(), &sql, &parameters).await?;
    Ok(Json(cut.page(rows)))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// What is done about it, or was found; up to 500 characters.
    #[serde(default)]
    note: Option<String>,
}

/// Somebody looks at it. The first who says so stands. For `operator`.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/acknowledge", params(("id" = i64, Path)),
    request_body = Acknowledgement, responses(
        (status = 200, description = "The alarm as it stands.", body = Alarm),
        (status = 403, body = Told), (status = 404, body = Told),
))]
pub(super) async fn acknowledge(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<i64>, PathRejection>,
    given: Result<Json<Acknowledgement>, JsonRejection>,
) -> Result<Json<Alarm>, Fault> {
    let sql = "UPDATE alarms SET acknowledged_at = $2, acknowledged_by = $3, acknowledged_note = $4
               WHERE id = $1 AND acknowledged_at IS NULL AND id IN (SELECT id FROM seen.alarms)
               RETURNING to_jsonb(id)";
    say(&app, &asks, place, given, sql).await
}

/// It is over: somebody has looked and knows. The first who says so stands; what is still wrong, or
/// wrong again, raises a new alarm. For `operator`.
#[utoipa::path(post, path = "/api/v1/alarms/{id}/end", params(("id" = i64, Path)),
    request_body = Acknowledgement, responses(
        (status = 200, description = "The alarm as it stands.", body = Alarm),
        (status = 403, body = Told), (status = 404, body = Told),
))]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<i64>, PathRejection>,
    given: Result<Json<Acknowledgement>, JsonRejection>,
) -> Result<Json<Alarm>, Fault> {
    let sql = "UPDATE alarms SET ended_at = $2, ended_by = $3, ended_note = $4
               WHERE id = $1 AND ended_at IS NULL AND id IN (SELECT id FROM seen.alarms)
               RETURNING to_jsonb(id)";
    say(&app, &asks, place, given, sql).await
}

/// What a user says of an alarm: `sql` takes its id, the time, who says it and the note. Who may not
/// see it may say nothing of it.
async fn say(
    app: &App,
    asks: &In,
    place: Result<Path<i64>, PathRejection>,
    given: Result<Json<Acknowledgement>, JsonRejection>,
    sql: &str,
) -> Result<Json<Alarm>, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Path(id) = place?;
    let Json(Acknowledgement { note }) = given?;
    if let Some(note) = &note
        && (note.chars().count() > NOTE_MOST || note.chars().any(char::is_control))
    {
        let mend = format!("at most {NOTE_MOST} characters, none of them a control character");
        return Err(Fault::field("note", mend));
    }
    let parameters: [Parameter<'_>; 4] = [&id, &app.clock.wall(), &asks.user.name, &note];
    let scope = asks.scope();
    let _: Vec<i64> = app.change(&scope, sql, &parameters).await?;
    let sql = objects("SELECT * FROM seen.alarms WHERE id = $1");
    let rows = app.ask(&scope, &sql, &[&id]).await?;
    let none = || Fault::not_found("there is no such alarm; /api/v1/alarms lists them");
    rows.into_iter().next().map(Json).ok_or_else(none)
}
