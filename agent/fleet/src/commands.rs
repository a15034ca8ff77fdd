//! What the platform may ask of a made-up agent: `ping`, `status`, `resend`, `answer` and
//! `snapshot`, answered and recorded as an agent does. The others are refused.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    AuditEvent, Command, CommandError, Envelope, EvidenceRole, Id, Keep, Priority, Request,
    ResultCode, ResultMessage, SchemaVersion, Sha256Hex, Topic, command::answer_topic,
};
use kakou_time::Clock;
use kakou_uplink::Received;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::checkpoint::Checkpoint;
use crate::line::What;
use crate::random::Random;
use crate::scene::Shared;
use crate::store::MemoryStore;

/// Answers that are remembered for a repeat of the request.
const ANSWERED: usize = 256;

pub(crate) struct Commander {
    pub(crate) shared: Arc<Shared>,
    pub(crate) checkpoint: Arc<Checkpoint>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: MemoryStore,
    pub(crate) answered: VecDeque<(Uuid, Value)>,
}

struct Answer {
    code: ResultCode,
    detail: Option<String>,
    data: Option<Value>,
    event: Option<AuditEvent>,
    ok: bool,
    status: bool,
}

impl Answer {
    fn done(data: Option<Value>) -> Self {
        Self {
            code: ResultCode::Done,
            detail: None,
            data,
            event: None,
            ok: true,
            status: false,
        }
    }

    fn not(code: ResultCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: Some(detail.into()),
            ok: false,
            ..Self::done(None)
        }
    }
}

impl Commander {
    /// Carries out what came on a command topic, and answers it. `false`: it was no command.
    pub(crate) fn obey(&mut self, received: &Received) -> bool {
        let Ok(Topic::Command { command, .. }) = received.topic.parse::<Topic>() else {
            return false;
        };
        if received.retained {
            return false;
        }
        let parsed = Command::parse(&command, &received.payload);
        let (site, agent) = (&self.checkpoint.site, &self.checkpoint.agent);
        let wanted = answer_topic(received.response_topic.as_deref(), site, agent);
        let Some(topic) = wanted.clone().or_else(|| answer_topic(None, site, agent)) else {
            return false;
        };
        let now = self.clock.wall();
        let answer = if wanted.is_none() {
            let why = "the response topic is not one an agent may write to";
            Answer::not(ResultCode::Refused, why)
        } else {
            self.answer(&parsed, now)
        };
        self.record(
            command,
            &parsed,
            received.correlation.clone(),
            topic,
            answer,
            now,
        );
        true
    }

    fn answer(&self, parsed: &Result<Request, CommandError>, now: DateTime<FixedOffset>) -> Answer {
        let request = match parsed {
            Ok(request) => request,
            Err(e) => return Answer::not(e.code(), e.to_string()),
        };
        if request.is_expired(now) {
            return Answer::not(ResultCode::Expired, "it came after its expires_at");
        }
        let known = self
            .answered
            .iter()
            .find(|(id, _)| *id == request.request_id);
        if let Some((_, first)) = known {
            return Answer {
                code: ResultCode::Repeated,
                ok: first["ok"] == true,
                ..Answer::done(Some(first.clone()))
            };
        }
        match &request.command {
            Command::Ping => Answer::done(None),
            Command::Status => Answer {
                status: true,
                ..Answer::done(None)
            },
            Command::Resend { first, last } => {
                let resent = self.store.resend(first.get(), last.get());
                let data = json!({ "messages": resent.messages, "missing": resent.missing });
                Answer::done(Some(data))
            }
            Command::Snapshot { camera } => self.snapshot(camera, now),
            Command::Answer { hit, verdict, note } => Answer {
                event: Some(AuditEvent::Answer {
                    hit: *hit,
                    verdict: *verdict,
                    by: request.by.clone().unwrap_or_default(),
                    note: note.clone(),
                    list: None,
                    plate: None,
                    camera: None,
                    raised: None,
                }),
                ..Answer::done(Some(json!({ "counted": false })))
            },
            Command::Retention { .. } | Command::Reload => Answer::not(
                ResultCode::Refused,
                "a made-up agent has nothing of the kind",
            ),
        }
    }

    fn snapshot(&self, camera: &Id, now: DateTime<FixedOffset>) -> Answer {
        if !self
            .checkpoint
            .cameras
            .iter()
            .any(|known| known.id == *camera)
        {
            let why = format!("camera: there is no camera {camera}");
            return Answer::not(ResultCode::Invalid, why);
        }
        let mut random = Random::of(&[now.timestamp_millis().unsigned_abs()]);
        let of = format!("{camera} at {now}");
        let picture = self
            .shared
            .bank
            .picture(EvidenceRole::Frame, &of, &mut random);
        Answer::done(Some(json!({
            "time": kakou_contract::time::to_text(&now),
            "content_type": "image/jpeg",
            "sha256": Sha256Hex(picture.sha256),
            "base64": STANDARD.encode(&picture.bytes),
        })))
    }

    fn record(
        &mut self,
        command: Id,
        parsed: &Result<Request, CommandError>,
        correlation: Option<Vec<u8>>,
        topic: String,
        answer: Answer,
        now: DateTime<FixedOffset>,
    ) {
        let (request_id, by) = match parsed {
            Ok(request) => (Some(request.request_id), request.by.clone()),
            Err(e) => (e.request_id, e.by.clone()),
        };
        let (site, agent) = (self.checkpoint.site.clone(), self.checkpoint.agent.clone());
        let is_outcome = !matches!(answer.code, ResultCode::Repeated | ResultCode::Refused);
        let committed = self.store.commit(|line, waiting, out| {
            let result = ResultMessage {
                schema_version: SchemaVersion::CURRENT,
                id: line.own_id(now),
                site,
                agent,
                time: now,
                request_id,
                command: command.clone(),
                ok: answer.ok,
                code: answer.code,
                detail: answer.detail.clone(),
                data: answer.data,
                sequence: None,
            };
            let envelope = Envelope {
                topic,
                correlation,
                ..Envelope::of(&result, Priority::Control, Keep::Control)?
            };
            line.commit(envelope, None, What::True, out)?;
            let audit = AuditEvent::Command {
                command,
                request_id,
                by,
                accepted: matches!(answer.code, ResultCode::Done | ResultCode::Failed),
                code: answer.code,
                detail: answer.detail,
            };
            line.audit(now, audit, out)?;
            if let Some(event) = answer.event {
                line.audit(now, event, out)?;
            }
            if answer.status {
                let status = line.online(now, waiting);
                let envelope = Envelope::of(&status, Priority::Control, Keep::Control)?;
                line.commit(envelope, None, What::True, out)?;
            }
            Ok(serde_json::to_value(&result).unwrap_or_default())
        });
        match (committed, request_id) {
            (Ok(first), Some(id)) if is_outcome => {
                self.answered.push_back((id, first));
                if self.answered.len() > ANSWERED {
                    self.answered.pop_front();
                }
            }
            (Ok(_), _) => {}
            (Err(e), _) => tracing::error!("an answer cannot be written: {e}"),
        }
    }
}
