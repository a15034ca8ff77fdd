//! What the platform may ask of the agent. Nothing else is reachable from outside.
//!
//! Each request is checked, carried out once (a repeat of its id gets the first answer's content and is not carried out
//! again), audited, and answered; audit and answer are committed together, so an answer that was lost on the way comes
//! from the outbox.

use std::time::Duration;

use base64::Engine;
use kakou_contract::{
    AuditEvent, Command, Id, Keep, ResultCode, ResultMessage, SchemaVersion, Topic,
    command::answer_topic, live_id,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::cameras::CameraStates;
use kakou_contract::{Envelope, Priority};
use kakou_outbox::{Claim, Outbox, OutboxError, Retention};
use kakou_sight::evidence::jpeg;
use kakou_uplink::Received;

/// A picture in an answer is no larger than this.
const SNAPSHOT_MOST: usize = 512 << 10;

/// Asks for a reload; what came of it is answered.
pub type ReloadRequest = tokio::sync::oneshot::Sender<Result<Value, String>>;

pub struct Commander {
    pub site: Id,
    pub agent: Id,
    pub outbox: Outbox,
    pub cameras: CameraStates,
    /// Makes the status message that `status` sends; the task that owns it is told here.
    pub status_now: tokio::sync::mpsc::Sender<()>,
    pub reload: tokio::sync::mpsc::Sender<ReloadRequest>,
}

struct Answer {
    code: ResultCode,
    detail: Option<String>,
    data: Option<Value>,
    /// What is to be recorded beside the command itself.
    event: Option<AuditEvent>,
}

impl Answer {
    fn done(data: Option<Value>) -> Self {
        Self {
            code: ResultCode::Done,
            detail: None,
            data,
            event: None,
        }
    }

    fn not(code: ResultCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
            data: None,
            event: None,
        }
    }
}

impl Commander {
    /// Carries out what came on a command topic.
    pub async fn take(&self, received: Received) {
        let Ok(Topic::Command { command, .. }) = received.topic.parse::<Topic>() else {
            tracing::warn!(topic = received.topic, "not a command topic");
            return;
        };
        if received.retained {
            // A command that a broker keeps would be carried out at every start.
            tracing::warn!(%command, "a retained command is not carried out; send it without retain");
            return;
        }
        let parsed = Command::parse(&command, &received.payload);
        let (request_id, by) = match &parsed {
            Ok(r) => (Some(r.request_id), r.by.clone()),
            Err(e) => (e.request_id, e.by.clone()),
        };
        let Some(topic) = answer_topic(received.response_topic.as_deref(), &self.site, &self.agent)
        else {
            tracing::warn!(%command, "the response topic is not one an agent may write to; not carried out");
            return;
        };
        let mut ok = None;
        let answer = match parsed {
            Err(e) => Answer::not(e.code(), e.to_string()),
            Ok(request) if request.is_expired(chrono::Local::now().fixed_offset()) => {
                Answer::not(ResultCode::Expired, "it came after its expires_at")
            }
            Ok(request) => match self.outbox.claim(request.request_id.to_string()).await {
                Ok(Claim::New) => self.carry_out(request.command).await,
                Ok(Claim::Known { answer }) => {
                    let first = match answer {
                        Some(n) => self.outbox.stored_payload(n).await.ok().flatten(),
                        None => None,
                    };
                    let first: Option<Value> = first.and_then(|p| serde_json::from_slice(&p).ok());
                    ok = Some(first.as_ref().is_some_and(|f| f["ok"] == true));
                    let detail = first
                        .is_none()
                        .then(|| "carried out before; that answer is no longer here".to_owned());
                    Answer {
                        code: ResultCode::Repeated,
                        detail,
                        data: first,
                        event: None,
                    }
                }
                Err(e) => Answer::not(ResultCode::Failed, e.to_string()),
            },
        };
        let ok = ok.unwrap_or(answer.code == ResultCode::Done);
        tracing::info!(%command, code = %answer.code, by, "command");
        if let Err(e) = self
            .answer(
                command,
                request_id,
                by,
                topic,
                received.correlation,
                ok,
                answer,
            )
            .await
        {
            tracing::error!("an answer was not recorded: {e}");
        }
    }

    #[allow(clippy::too_many_arguments)]
    async fn answer(
        &self,
        command: Id,
        request_id: Option<uuid::Uuid>,
        by: Option<String>,
        topic: String,
        correlation: Option<Vec<u8>>,
        ok: bool,
        answer: Answer,
    ) -> Result<(), OutboxError> {
        let now = chrono::Local::now().fixed_offset();
        let audit = AuditEvent::Command {
            command: command.clone(),
            request_id,
            by,
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
            request_id,
            command,
            ok,
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
            topic,
            correlation,
            ..Envelope::of(&result, Priority::Control, Keep::Control).map_err(fault)?
        };
        let mut drafts = vec![first];
        for event in [Some(audit), answer.event].into_iter().flatten() {
            drafts.push(Envelope::audit(&self.site, &self.agent, now, event).map_err(fault)?);
        }
        match request_id {
            Some(id) if result.code != ResultCode::Repeated => {
                self.outbox.answer(id.to_string(), drafts).await?
            }
            _ => self.outbox.append_async(drafts).await?,
        };
        Ok(())
    }

    async fn carry_out(&self, command: Command) -> Answer {
        match command {
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
                passage_hours,
                hit_hours,
            } => {
                let hours = |h: u32| Duration::from_secs(u64::from(h) * 3600);
                let wanted = Retention {
                    passage: hours(passage_hours),
                    hit: hours(hit_hours),
                    ..self.outbox.retention()
                };
                match self.outbox.set_retention(wanted).await {
                    Ok(()) => Answer {
                        event: Some(AuditEvent::Retention {
                            passage_hours,
                            hit_hours,
                        }),
                        ..Answer::done(Some(
                            json!({ "passage_hours": passage_hours, "hit_hours": hit_hours }),
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
            Err(_) => Answer::not(ResultCode::Failed, "the agent is about to end"),
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
