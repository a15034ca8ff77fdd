//! What has passed, how well it was read, and what the log says.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use kakou_contract::command::BY_MAX;
use kakou_contract::{AuditEvent, clip};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::hits::wrong;
use crate::access::Role;
use crate::checkpoint::{LogLine, PassageQuery, Passages, Quality};
use crate::fault::{Fault, Told};
use crate::gate::In;

const PAGE: usize = 50;
const PAGE_MOST: usize = 200;
const PATTERN_MOST: usize = 32;
const REASON_LEAST: usize = 4;
const REASON_MOST: usize = 500;
const HOURS_MOST: u32 = 24 * 7;
const LINES: usize = 300;
const LINES_MOST: usize = 1000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    camera: Option<String>,
    lane: Option<String>,
    class: Option<String>,
    /// `1`: only those whose plate was not read.
    unread: Option<u8>,
    /// A plate; `?` stands for one character, `*` for any number. It needs `reason`.
    plate: Option<String>,
    /// Why a plate is looked up, for the audit chain.
    reason: Option<String>,
    /// `next` of the page before.
    before: Option<u64>,
    /// 1 to 200; 50 where it is not given.
    limit: Option<usize>,
}

/// Passages that the box still has, the newest first. A look-up of a plate is audited.
#[utoipa::path(get, path = "/api/v1/passages", params(Filter), responses(
    (status = 200, body = Passages),
    (status = 400, description = "`invalid`: a plate without a reason", body = Told),
))]
pub async fn passages(
    State(app): State<Arc<App>>,
    asks: In,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Passages>, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Query(filter) = filter.map_err(|e| wrong(&e.body_text()))?;
    let given = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let plate = given(filter.plate).map(|plate| plate.to_uppercase());
    let reason = match &plate {
        None => None,
        Some(plate) if plate.chars().count() > PATTERN_MOST => {
            return Err(wrong(&format!(
                "a plate has at most {PATTERN_MOST} characters"
            )));
        }
        Some(plate) if plate.chars().all(|c| matches!(c, '?' | '*')) => {
            return Err(wrong(
                "a plate names at least one character; without it leave `plate` out",
            ));
        }
        Some(_) => Some(reason(given(filter.reason))?),
    };
    let query = PassageQuery {
        camera: given(filter.camera),
        lane: given(filter.lane),
        class: given(filter.class),
        unread: filter.unread == Some(1),
        plate,
        before: filter.before,
        limit: filter.limit.unwrap_or(PAGE).clamp(1, PAGE_MOST),
    };
    let by = clip(&asks.session.user, BY_MAX).into_owned();
    let found = app.ask_much(move |checkpoint| {
        let found = checkpoint.passages(&query)?;
        // Each page: who asks from the middle on has looked a plate up too.
        if let Some((plate, reason)) = query.plate.zip(reason) {
            checkpoint.audit(AuditEvent::Lookup {
                by,
                reason,
                plate,
                found: !found.passages.is_empty(),
            })?;
        }
        Ok(found)
    });
    Ok(Json(found.await?))
}

fn reason(given: Option<String>) -> Result<String, Fault> {
    let text = given.unwrap_or_default().trim().to_owned();
    if text.chars().any(char::is_control) {
        return Err(wrong("a reason is one line of text"));
    }
    match text.chars().count() {
        0..REASON_LEAST => Err(wrong("say why (`reason`): it is recorded with your name")),
        REASON_LEAST..=REASON_MOST => Ok(text),
        _ => Err(wrong(&format!(
            "a reason has at most {REASON_MOST} characters"
        ))),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Hours {
    /// How far back, 1 to 168; 24 where it is not given.
    hours: Option<u32>,
    /// For a report: why it is taken out.
    reason: Option<String>,
}

impl Hours {
    fn hours(&self) -> u32 {
        self.hours.unwrap_or(24).clamp(1, HOURS_MOST)
    }
}

/// How well plates were read, by lane and hour, of the passages that the box still has.
#[utoipa::path(get, path = "/api/v1/quality", params(Hours), responses((status = 200, body = Quality)))]
pub async fn quality(
    State(app): State<Arc<App>>,
    asks: In,
    hours: Result<Query<Hours>, QueryRejection>,
) -> Result<Json<Quality>, Fault> {
    asks.must_be(&[Role::Installer, Role::Operator])?;
    let Query(hours) = hours.map_err(|e| wrong(&e.body_text()))?;
    let hours = hours.hours();
    Ok(Json(
        app.ask_much(move |checkpoint| checkpoint.quality(hours))
            .await?,
    ))
}

/// Passages as CSV. That they were taken out is audited.
#[utoipa::path(get, path = "/api/v1/report.csv", params(Hours), responses(
    (status = 200, content_type = "text/csv", body = String),
))]
pub async fn report(
    State(app): State<Arc<App>>,
    asks: In,
    hours: Result<Query<Hours>, QueryRejection>,
) -> Result<Response, Fault> {
    asks.must_be(&[Role::Operator])?;
    let Query(wanted) = hours.map_err(|e| wrong(&e.body_text()))?;
    let (hours, why) = (wanted.hours(), reason(wanted.reason)?);
    let by = clip(&asks.session.user, BY_MAX).into_owned();
    let report = app.ask_much(move |checkpoint| {
        let (bytes, range) = checkpoint.report(hours)?;
        if let Some((first, last)) = range {
            checkpoint.audit(AuditEvent::Export {
                by,
                reason: Some(why),
                first,
                last,
            })?;
        }
        Ok(bytes)
    });
    let name = format!(
        "attachment; filename=\"kakou-{}-{}.csv\"",
        app.checkpoint.agent(),
        app.checkpoint.now().format("%Y%m%d-%H%M")
    );
    let name = HeaderValue::from_str(&name).map_err(|e| wrong(&e.to_string()))?;
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_DISPOSITION, name),
    ];
    Ok((headers, report.await?).into_response())
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Lines {
    /// 1 to 1000; 300 where it is not given.
    limit: Option<usize>,
}

#[derive(Serialize, ToSchema)]
pub struct Log {
    /// The newest last.
    lines: Vec<LogLine>,
}

/// What the agent's log said last.
#[utoipa::path(get, path = "/api/v1/log", params(Lines), responses((status = 200, body = Log)))]
pub async fn log(
    State(app): State<Arc<App>>,
    asks: In,
    lines: Result<Query<Lines>, QueryRejection>,
) -> Result<Json<Log>, Fault> {
    asks.must_be(&[Role::Installer, Role::Operator])?;
    let Query(Lines { limit }) = lines.map_err(|e| wrong(&e.body_text()))?;
    let most = limit.unwrap_or(LINES).clamp(1, LINES_MOST);
    let lines = app.ask(move |checkpoint| Ok(checkpoint.log(most))).await?;
    Ok(Json(Log { lines }))
}
