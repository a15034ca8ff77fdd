//! What the platform may ask of the agent. Nothing else is reachable from outside.
//!
//! Each request is checked, carried out once (a repeat of its id gets the first answer's content
//! and is not carried out again), audited, and answered; audit and answer are committed together,
//! so an answer that was lost on the way comes from the outbox.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{
    AuditEvent, ClockState, Command, CommandError, Envelope, Id, Keep, Priority, Request,
    ResultCode, ResultMessage, SchemaVersion, Topic, command::answer_topic, live_id,
};
use kakou_outbox::{Claim, Outbox, OutboxError, Retention};
use kakou_sight::evidence::jpeg;
use kakou_time::SharedClock;
use kakou_uplink::Received;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use uuid::Uuid;

use super::answers::Answer as Answered;
use super::camera_view::CameraViews;
use super::hits::HitDesk;
use super::reload::ReloadRequest;
use super::supervise::{Caught, caught};

/// A request that was sent longer ago than this, or lies further ahead, is not carried out: it may be
/// one that somebody recorded. Asked only while this box's own clock is synchronised.
const FRESH: TimeDelta = TimeDelta::hours(24);
const AHEAD: TimeDelta = TimeDelta::minutes(10);
/// A picture in an answer is no larger than this.
const SNAPSHOT_MOST: usize = 512 << 10;

pub struct Commander {
    pub site: Id,
    pub agent: Id,
    pub clock: SharedClock,
    pub outbox: Outbox,
    pub cameras: CameraViews,
    pub hits: HitDesk,
    /// Has the status sent.
    pub status_now: tokio::sync::mpsc::Sender<()>,
    pub reload: tokio::sync::mpsc::Sender<ReloadRequest>,
    /// Requests that are being carried out.
    pub under_way: Mutex<HashSet<Uuid>>,
}

struct Answer {
    code: ResultCode,
    detail: Option<String>,
    data: Option<Value>,
    /// What is to be recorded beside the command itself.
    event: Option<AuditEvent>,
    /// What was asked for is so.
    ok: bool,
}

impl Answer {
    fn done(data: Option<Value>) -> Self {
        Self {
            code: ResultCode::Done,
            detail: None,
            data,
            event: None,
            ok: true,
        }
    }

    fn not(code: ResultCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
            data: None,
            event: None,
            ok: false,
        }
    }
}

/// A command with what its answer needs.
struct Asked {
    command: Id,
    request_id: Option<Uuid>,
    by: Option<String>,
    answer_topic: String,
    correlation: Option<Vec<u8>>,
    /// Why it is not even looked at.
    refused: Option<&'static str>,
}

impl Commander {
    /// Carries out what came on a command topic, and answers it. `Err`: it panicked, or took longer
    /// than `longest`; that has been answered too.
    pub async fn obey(&self, received: Received, longest: Duration) -> Result<(), String> {
        let Some((asked, parsed)) = self.read(received) else {
            return Ok(());
        };
        let mut fault = None;
        let answer = match parsed {
            _ if asked.refused.is_some() => {
                Answer::not(ResultCode::Refused, asked.refused.unwrap_or_default())
            }
            Err(e) => Answer::not(e.code(), e.to_string()),
            Ok(request) if request.is_expired(self.clock.wall()) => {
                Answer::not(ResultCode::Expired, "it came after its expires_at")
            }
            Ok(request) if self.is_stale(request.sent_at) => Answer::not(
                ResultCode::Expired,
                "its sent_at is not of the last day by this agent's clock; send it anew",
            ),
            Ok(request) => match timeout(longest, caught(self.once(request))).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(Caught(why))) => {
                    fault = Some(format!("{}: {why}", asked.command));
                    Answer::not(ResultCode::Failed, why)
                }
                Err(_) => {
                    let why = format!("not done within {} s", longest.as_secs());
                    fault = Some(format!("{}: {why}", asked.command));
                    Answer::not(ResultCode::Failed, why)
                }
            },
        };
        self.reply(asked, answer).await;
        fault.map_or(Ok(()), Err)
    }

    /// Whether a request is older than a request may be, or of a time to come.
    fn is_stale(&self, sent_at: DateTime<FixedOffset>) -> bool {
        let age = self.clock.wall() - sent_at;
        let known = self.clock.status().state == ClockState::Synchronised;
        known && (age > FRESH || age < -AHEAD)
    }

    /// Answers that too many commands wait already.
    pub async fn refuse_as_busy(&self, received: Received) {
        if let Some((asked, _)) = self.read(received) {
            let why = "the agent is busy with other commands; send it again later";
            self.reply(asked, Answer::not(ResultCode::Refused, why))
                .await;
        }
    }

    /// `None`: nothing that could be answered.
    fn read(&self, received: Received) -> Option<(Asked, Result<Request, CommandError>)> {
        let Ok(Topic::Command { command, .. }) = received.topic.parse::<Topic>() else {
            tracing::warn!(topic = received.topic, "not a command topic");
            return None;
        };
        if received.retained {
            // A command that a broker keeps would be carried out at every start.
            tracing::warn!(%command, "a retained command is not carried out; send it without retain");
            return None;
        }
        let parsed = Command::parse(&command, &received.payload);
        let (request_id, by) = match &parsed {
            Ok(r) => (Some(r.request_id), r.by.clone()),
            Err(e) => (e.request_id, e.by.clone()),
        };
        let wanted = answer_topic(received.response_topic.as_deref(), &self.site, &self.agent);
        // It is told where answers usually go.
        let refused = wanted
            .is_none()
            .then_some("the response topic is not one an agent may write to");
        let answer_topic = wanted.or_else(|| answer_topic(None, &self.site, &self.agent))?;
        let asked = Asked {
            command,
            request_id,
            by,
            answer_topic,
            correlation: received.correlation,
            refused,
        };
        Some((asked, parsed))
    }

    /// Carries a request out, unless it has been carried out before or is being carried out.
    async fn once(&self, request: Request) -> Answer {
        let Some(_under_way) = UnderWay::begin(&self.under_way, request.request_id) else {
            let why = "it is being carried out; its answer follows";
            return Answer::not(ResultCode::Repeated, why);
        };
        match self.outbox.claim(request.request_id.to_string()).await {
            Ok(Claim::New) => self.carry_out(request).await,
            Ok(Claim::Known { answer }) => {
                let first = match answer {
                    Some(n) => self.outbox.stored_payload(n).await.ok().flatten(),
                    None => None,
                };
                let first: Option<Value> = first.and_then(|p| serde_json::from_slice(&p).ok());
                Answer {
                    code: ResultCode::Repeated,
                    detail: first
                        .is_none()
                        .then(|| "carried out before; that answer is no longer here".to_owned()),
                    ok: first.as_ref().is_some_and(|f| f["ok"] == true),
                    data: first,
                    event: None,
                }
            }
            Err(e) => Answer::not(ResultCode::Failed, e.to_string()),
        }
    }

    async fn reply(&self, asked: Asked, answer: Answer) {
        let (command, code) = (asked.command.clone(), answer.code);
        tracing::info!(%command, %code, by = asked.by, "command");
        if let Err(e) = self.record(asked, answer).await {
            tracing::error!(%command, %code, "an answer was not recorded: {e}");
        }
    }

    async fn record(&self, asked: Asked, answer: Answer) -> Result<(), OutboxError> {
        let now = self.clock.wall();
        let audit = AuditEvent::Command {
            command: asked.command.clone(),
            request_id: asked.request_id,
            by: asked.by,
            accepted: matches!(answer.code, ResultCode::Done | ResultCode::Failed),
            code: answer.code,
            detail: answer.detail.clone(),
        };
        let result = ResultMessage {
            schema_version: SchemaVersion::CURRENT,
            id: live_id(now),
            site: self.site.clone(),
            agent: self.agent.clone(),
            time: now,
            request_id: asked.request_id,
            command: asked.command,
            ok: answer.ok,
            code: answer.code,
            detail: answer.detail,
            data: answer.data,
            sequence: None,
        };
        let fault = |e: kakou_contract::MessageError| OutboxError::Io {
            path: self.outbox.path().to_path_buf(),
            why: format!("writing an answer: {e}"),
        };
        let first = Envelope {
            topic: asked.answer_topic,
            correlation: asked.correlation,
            ..Envelope::of(&result, Priority::Control, Keep::Control).map_err(fault)?
        };
        let mut all = vec![first];
        for event in [Some(audit), answer.event].into_iter().flatten() {
            all.push(Envelope::audit(&self.site, &self.agent, now, event).map_err(fault)?);
        }
        // What a repeat of the request is told. One that was turned away may come again.
        let is_outcome = !matches!(answer.code, ResultCode::Repeated | ResultCode::Refused);
        match asked.request_id {
            Some(id) if is_outcome => self.outbox.answer(id.to_string(), all).await?,
            _ => self.outbox.append_async(all).await?,
        };
        Ok(())
    }

    async fn carry_out(&self, request: Request) -> Answer {
        match request.command {
            Command::Answer { hit, verdict, note } => {
                let by = request.by.unwrap_or_default();
                let answer = Answered {
                    hit,
                    verdict,
                    by,
                    note,
                };
                let (hits, now) = (self.hits.clone(), self.clock.wall());
                match tokio::task::spawn_blocking(move || hits.answer(answer, now)).await {
                    Ok((event, counts)) => Answer {
                        event: Some(event),
                        ..Answer::done(Some(counts))
                    },
                    Err(e) => Answer::not(ResultCode::Failed, e.to_string()),
                }
            }
            Command::Ping => Answer::done(None),
            Command::Status => match self.status_now.try_send(()) {
                Ok(()) => Answer::done(None),
                Err(_) => Answer::not(ResultCode::Failed, "another status is on its way"),
            },
            Command::Reload => self.reload().await,
            Command::Snapshot { camera } => self.snapshot(&camera).await,
            Command::Resend { first, last } => {
                match self.outbox.resend(first.get(), last.get()).await {
                    Ok(r) => Answer::done(Some(
                        json!({ "messages": r.messages, "missing": r.missing }),
                    )),
                    Err(e) => Answer::not(ResultCode::Failed, e.to_string()),
                }
            }
            Command::Retention {
                passage_minutes,
                hit_minutes,
            } => {
                let minutes = |m: u32| Duration::from_secs(u64::from(m) * 60);
                let wanted = Retention {
                    passage: minutes(passage_minutes),
                    hit: minutes(hit_minutes),
                    ..self.outbox.retention()
                };
                match self.outbox.set_retention(wanted).await {
                    Ok(()) => Answer {
                        event: Some(AuditEvent::retention(passage_minutes, hit_minutes)),
                        ..Answer::done(Some(
                            json!({ "passage_minutes": passage_minutes, "hit_minutes": hit_minutes }),
                        ))
                    },
                    Err(e) => Answer::not(ResultCode::Failed, e.to_string()),
                }
            }
        }
    }

    async fn reload(&self) -> Answer {
        let (request, answer) = tokio::sync::oneshot::channel();
        if self.reload.try_send(request).is_err() {
            return Answer::not(ResultCode::Failed, "a reload is under way");
        }
        match answer.await {
            Ok(Ok(taken)) => Answer::done(Some(taken)),
            Ok(Err(why)) => Answer::not(ResultCode::Failed, why),
            Err(_) => Answer::not(
                ResultCode::Failed,
                "the reload ended unexpectedly; the log says more",
            ),
        }
    }

    async fn snapshot(&self, camera: &Id) -> Answer {
        let Some(state) = self.cameras.find(camera) else {
            return Answer::not(
                ResultCode::Invalid,
                format!("camera: there is no camera {camera}"),
            );
        };
        let time = state
            .status()
            .last_frame
            .as_ref()
            .map(kakou_contract::time::to_text);
        let made = tokio::task::spawn_blocking(move || {
            let picture = state.picture()?;
            let fits =
                [(1280, 80), (960, 70), (640, 60)]
                    .into_iter()
                    .find_map(|(width, quality)| {
                        let (w, h) = picture.dimensions();
                        let width = width.min(w);
                        let height = (u64::from(h) * u64::from(width) / u64::from(w.max(1))) as u32;
                        let small = image::imageops::thumbnail(&picture, width, height.max(1));
                        jpeg(&small, quality)
                            .ok()
                            .filter(|bytes| bytes.len() <= SNAPSHOT_MOST)
                    });
            fits.ok_or_else(|| "the picture could not be encoded".to_owned())
        });
        match made.await {
            Ok(Ok(bytes)) => {
                let sha: String = Sha256::digest(&bytes)
                    .iter()
                    .map(|b| format!("{b:02x}"))
                    .collect();
                let text = base64::engine::general_purpose::STANDARD.encode(&bytes);
                Answer::done(Some(
                    json!({ "time": time, "content_type": "image/jpeg", "sha256": sha, "base64": text }),
                ))
            }
            Ok(Err(why)) => Answer::not(ResultCode::Failed, format!("camera {camera}: {why}")),
            Err(e) => Answer::not(ResultCode::Failed, format!("camera {camera}: {e}")),
        }
    }
}

/// A request that is being carried out, until it is dropped.
struct UnderWay<'a> {
    all: &'a Mutex<HashSet<Uuid>>,
    id: Uuid,
}

impl<'a> UnderWay<'a> {
    /// `None`: it is already.
    fn begin(all: &'a Mutex<HashSet<Uuid>>, id: Uuid) -> Option<Self> {
        let is_new = all
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id);
        is_new.then_some(Self { all, id })
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.id);
    }
}

#[cfg(test)]
#[path = "commands_tests.rs"]
mod tests;
