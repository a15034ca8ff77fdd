//! What agents are asked. A command is checked as the agent would check it, and written down; the
//! dispatcher sends it and writes what came of it, before its deadline or not at all.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::command::{CommandFault, NOTE_MAX};
use kakou_contract::{Command, Id, live_id, time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::App;
use super::access::Role;
use super::agents::{no_agent, of_path};
use super::fault::{Fault, Told};
use super::gate::In;
use super::query::{Parameter, number, objects};

/// An agent that is away takes it when it comes back, if it is not too late.
const LIFE: i64 = 300;
const LIFE_LEAST: i64 = 10;
const LIFE_MOST: i64 = 7 * 86_400;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// ping, status, snapshot, resend, retention, reload or answer.
    command: String,
    /// The fields of the command, as in the messages.
    #[serde(default)]
    #[schema(value_type = Object)]
    arguments: Map<String, Value>,
    /// Seconds from now until it is not to be carried out: 10 to 604800; 300 where it is not given.
    #[serde(default)]
    expires_in: Option<i64>,
    /// For the record.
    #[serde(default)]
    reason: Option<String>,
}

/// A command and what came of it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct CommandRow {
    pub request_id: Uuid,
    pub site: String,
    pub agent: String,
    pub command: String,
    /// What is published.
    #[schema(value_type = Object)]
    pub body: Value,
    pub by: String,
    pub reason: Option<String>,
    pub made_at: DateTime<FixedOffset>,
    pub sent_at: Option<DateTime<FixedOffset>>,
    pub expires_at: DateTime<FixedOffset>,
    /// wanted, sent, answered, expired or failed.
    pub state: String,
    pub answered_at: Option<DateTime<FixedOffset>>,
    /// Of the answer.
    pub code: Option<String>,
    pub detail: Option<String>,
}

/// Ask an agent for something. For `operator`.
#[utoipa::path(post, path = "/api/v1/agents/{site}/{agent}/commands",
    params(("site" = String, Path), ("agent" = String, Path)), request_body = Wanted,
    responses(
        (status = 202, description = "It will be sent.", body = CommandRow),
        (status = 400, body = Told), (status = 403, body = Told), (status = 404, body = Told),
))]
pub(super) async fn make(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<(String, String)>, PathRejection>,
    given: Result<Json<Wanted>, JsonRejection>,
) -> Result<(StatusCode, Json<CommandRow>), Fault> {
    asks.must_be(&[Role::Operator])?;
    let (site, agent) = of_path(place)?;
    let Json(wanted) = given?;
    if let Some(reason) = &wanted.reason
        && (reason.chars().count() > NOTE_MAX || reason.chars().any(char::is_control))
    {
        let mend = format!("at most {NOTE_MAX} characters, none of them a control character");
        return Err(Fault::field("reason", mend));
    }
    let life = number(
        "expires_in",
        wanted.expires_in,
        LIFE_LEAST..=LIFE_MOST,
        LIFE,
    )?;
    let now = app.clock.wall();
    let expires_at = now + TimeDelta::seconds(life);
    let request_id = live_id(now);
    let body = checked(wanted.command, wanted.arguments, |fields| {
        fields.insert("request_id".into(), json!(request_id));
        fields.insert("sent_at".into(), json!(time::to_text(&now)));
        fields.insert("expires_at".into(), json!(time::to_text(&expires_at)));
        fields.insert("by".into(), json!(asks.user.name));
    })?;
    let sql = "INSERT INTO commands
                   (request_id, agent, command, body, by, reason, made_at, expires_at)
               SELECT $1, id, $4, $5, $6, $7, $8, $9 FROM seen.agents WHERE site = $2 AND agent = $3
               RETURNING to_jsonb(request_id)";
    let (site, agent) = (site.as_str(), agent.as_str());
    let parameters: [Parameter<'_>; 9] = [
        &request_id,
        &site,
        &agent,
        &body.0,
        &body.1,
        &asks.user.name,
        &wanted.reason,
        &now,
        &expires_at,
    ];
    let made: Vec<Uuid> = app.change(&asks.scope(), sql, &parameters).await?;
    if made.is_empty() {
        return Err(no_agent());
    }
    tracing::info!(
        user = asks.user.name,
        command = body.0,
        site,
        agent,
        "a command"
    );
    let row = find(&app, &asks, request_id).await?;
    Ok((StatusCode::ACCEPTED, Json(row)))
}

/// The command's name, and the request as the agent takes it.
fn checked(
    command: String,
    mut fields: Map<String, Value>,
    frame: impl FnOnce(&mut Map<String, Value>),
) -> Result<(String, Value), Fault> {
    let name = Id::new("command", command).map_err(|e| Fault::field("command", e.to_string()))?;
    for ours in ["request_id", "sent_at", "expires_at", "by"] {
        if fields.contains_key(ours) {
            let mend = "leave it out of `arguments`; the centre sets it";
            return Err(Fault::field(ours, mend));
        }
    }
    frame(&mut fields);
    let payload = Value::Object(fields).to_string();
    let request = Command::parse(&name, payload.as_bytes()).map_err(|wrong| match wrong.fault {
        CommandFault::Field(wrong) => {
            Fault::field(&wrong.field, format!("{}; {}", wrong.what, wrong.mend))
        }
        CommandFault::Unknown { .. } => Fault::field("command", wrong.to_string()),
        _ => Fault::field("arguments", wrong.to_string()),
    })?;
    let name = request.command.name().as_str().to_owned();
    let body = serde_json::from_slice(&request.to_json())
        .map_err(|e| Fault::field("arguments", e.to_string()))?;
    Ok((name, body))
}

/// What came of a command. For `operator`.
#[utoipa::path(get, path = "/api/v1/commands/{id}", params(("id" = Uuid, Path)), responses(
    (status = 200, body = CommandRow), (status = 403, body = Told), (status = 404, body = Told),
))]
pub(super) async fn command(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<Uuid>, PathRejection>,
) -> Result<Json<CommandRow>, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Path(id) = place?;
    find(&app, &asks, id).await.map(Json)
}

async fn find(app: &App, asks: &In, id: Uuid) -> Result<CommandRow, Fault> {
    let sql = objects("SELECT * FROM seen.commands WHERE request_id = $1");
    let rows = app.ask(&asks.scope(), &sql, &[&id]).await?;
    let none = || Fault::not_found("there is no such command");
    rows.into_iter().next().ok_or_else(none)
}
