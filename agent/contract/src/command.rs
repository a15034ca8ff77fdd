//! What the platform asks of an agent, on `kakou/v1/{site}/{agent}/cmd/{command}`.
//!
//! A request is refused rather than guessed at: unknown fields, fields given twice and values out of
//! bounds are errors that name the field and the mend.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::fields::{FieldError, Fields};
use crate::result::ResultCode;
use crate::sequence::Sequence;
use crate::time::Rfc3339;
use crate::{Id, Topic, bounds, time};

/// The largest request taken, in bytes.
pub const REQUEST_MAX: usize = 16 * 1024;
/// The most messages one `resend` may ask for.
pub const RESEND_MAX: u64 = 100_000;
/// The longest time `retention` may set: a year.
pub const HOURS_MAX: u32 = 8_760;
/// The same in minutes.
pub const MINUTES_MAX: u32 = HOURS_MAX * 60;
/// The longest `by`, in characters.
pub const BY_MAX: usize = 200;
/// The longest `note`, in characters.
pub const NOTE_MAX: usize = 1_000;

crate::codes::word_list! {
    /// The commands an agent knows.
    pub enum CommandName {
        /// Answers, and does nothing else.
        Ping = "ping", "连通测试";
        /// Sends its status now.
        Status = "status", "上报状态";
        /// Sends a picture of what a camera sees.
        Snapshot = "snapshot", "抓拍";
        /// Sends messages again that the platform misses.
        Resend = "resend", "补传";
        /// Sets how long messages are kept on the box after the platform has them.
        Retention = "retention", "设置保存期";
        /// Reads config and watchlist again.
        Reload = "reload", "重新加载";
        /// What an officer found out about a hit.
        Answer = "answer", "反馈预警";
    }
}

crate::codes::word_list! {
    /// What an officer found out about a hit.
    pub enum Verdict {
        /// It is the vehicle that is looked for.
        Confirmed = "confirmed", "确认";
        /// The vehicle carries another plate.
        WrongPlate = "wrong_plate", "号牌不符";
        /// The plate is right, and the vehicle was let go.
        Released = "released", "放行";
    }
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Ping,
    Status,
    Snapshot {
        camera: Id,
    },
    /// Sequence numbers, both included.
    Resend {
        first: Sequence,
        last: Sequence,
    },
    /// In minutes, whichever of the two the request gave.
    Retention {
        passage_minutes: u32,
        hit_minutes: u32,
    },
    Reload,
    /// `by` says who answers.
    Answer {
        /// The hit's `id`.
        hit: Uuid,
        verdict: Verdict,
        note: Option<String>,
    },
}

/// A command with what stands around it: the JSON that the platform sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Made by the platform, one per request: a repeat carries the same and is not carried out again.
    pub request_id: Uuid,
    pub sent_at: DateTime<FixedOffset>,
    /// Not to be carried out from this time on.
    pub expires_at: Option<DateTime<FixedOffset>>,
    /// Who asks, for the audit.
    pub by: Option<String>,
    pub command: Command,
}

/// Why a request is none, with what could be read of it, for the answer and the audit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct CommandError {
    pub request_id: Option<Uuid>,
    pub by: Option<String>,
    pub fault: CommandFault,
}

/// What is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandFault {
    #[error("there is no command {name:?}; use one of {known}")]
    Unknown { name: Id, known: String },
    #[error("{length} bytes; send at most {REQUEST_MAX}")]
    TooLarge { length: usize },
    #[error("the request is no JSON object: {0}")]
    Json(String),
    #[error("{0}")]
    Field(FieldError),
}

impl CommandError {
    /// What the answer says.
    pub fn code(&self) -> ResultCode {
        match self.fault {
            CommandFault::Unknown { .. } => ResultCode::UnknownCommand,
            _ => ResultCode::Invalid,
        }
    }
}

impl Command {
    pub const fn name(&self) -> CommandName {
        match self {
            Self::Ping => CommandName::Ping,
            Self::Status => CommandName::Status,
            Self::Snapshot { .. } => CommandName::Snapshot,
            Self::Resend { .. } => CommandName::Resend,
            Self::Retention { .. } => CommandName::Retention,
            Self::Reload => CommandName::Reload,
            Self::Answer { .. } => CommandName::Answer,
        }
    }

    /// The request that came on topic `.../cmd/{name}`.
    pub fn parse(name: &Id, payload: &[u8]) -> Result<Request, CommandError> {
        let fault = |fault| CommandError {
            request_id: None,
            by: None,
            fault,
        };
        let known = name.as_str().parse::<CommandName>();
        if payload.len() > REQUEST_MAX {
            return Err(fault(CommandFault::TooLarge {
                length: payload.len(),
            }));
        }
        let mut fields = match (serde_json::from_slice::<Fields>(payload), &known) {
            (Ok(fields), _) => fields,
            // Whatever it says, it is for another agent than this one.
            (Err(_), Err(_)) => Fields::default(),
            (Err(error), Ok(_)) => return Err(fault(CommandFault::Json(error.to_string()))),
        };
        let request_id: Option<Uuid> = fields.peek("request_id");
        let by: Option<String> = fields
            .peek("by")
            .filter(|by: &String| by_fault(by).is_none());
        let error = |fault| CommandError {
            request_id,
            by: by.clone(),
            fault,
        };
        let Ok(known) = known else {
            let known = CommandName::ALL
                .iter()
                .map(|n| n.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(error(CommandFault::Unknown {
                name: name.clone(),
                known,
            }));
        };
        request(known, &mut fields).map_err(|wrong| error(CommandFault::Field(wrong)))
    }

    fn arguments(&self) -> Map<String, Value> {
        let arguments = match self {
            Self::Ping | Self::Status | Self::Reload => json!({}),
            Self::Snapshot { camera } => json!({ "camera": camera }),
            Self::Resend { first, last } => json!({ "first": first, "last": last }),
            Self::Retention {
                passage_minutes,
                hit_minutes,
            } => match (whole_hours(*passage_minutes), whole_hours(*hit_minutes)) {
                (Some(passage), Some(hit)) => {
                    json!({ "passage_hours": passage, "hit_hours": hit })
                }
                _ => json!({ "passage_minutes": passage_minutes, "hit_minutes": hit_minutes }),
            },
            Self::Answer {
                hit,
                verdict,
                note: None,
            } => json!({ "hit": hit, "verdict": verdict }),
            Self::Answer {
                hit,
                verdict,
                note: Some(note),
            } => json!({ "hit": hit, "verdict": verdict, "note": note }),
        };
        match arguments {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// What every request has beside the fields of its command, for the schema.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is made")]
struct Frame {
    /// Made by the platform, one per request: a repeat carries the same and is not carried out
    /// again.
    request_id: Uuid,
    sent_at: DateTime<FixedOffset>,
    /// After `sent_at`: the request is not to be carried out from this time on.
    expires_at: Option<DateTime<FixedOffset>>,
    /// Who asks, for the audit.
    #[schemars(length(min = 1, max = BY_MAX), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    by: Option<String>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is made")]
struct SnapshotFields {
    camera: Id,
}

/// `last` is not before `first`, and less than 100,000 after it.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is made")]
struct ResendFields {
    first: Sequence,
    last: Sequence,
}

/// Of each pair one: hours or minutes.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is made")]
struct RetentionFields {
    #[schemars(range(min = 1, max = HOURS_MAX))]
    passage_hours: Option<u32>,
    #[schemars(range(min = 1, max = MINUTES_MAX))]
    passage_minutes: Option<u32>,
    #[schemars(range(min = 1, max = HOURS_MAX))]
    hit_hours: Option<u32>,
    #[schemars(range(min = 1, max = MINUTES_MAX))]
    hit_minutes: Option<u32>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is made")]
struct AnswerFields {
    /// Who answers.
    #[schemars(length(min = 1, max = BY_MAX), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    by: String,
    /// The hit's `id`.
    hit: Uuid,
    verdict: Verdict,
    #[schemars(length(min = 1, max = NOTE_MAX), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))]
    note: Option<String>,
}

impl CommandName {
    /// The JSON Schema (2020-12) of a request: it allows what [`Command::parse`] takes, but for
    /// the rules between two fields.
    pub fn schema(self) -> Value {
        let generator = || {
            SchemaSettings::draft2020_12()
                .for_deserialize()
                .into_generator()
        };
        let own = match self {
            Self::Ping | Self::Status | Self::Reload => None,
            Self::Snapshot => Some(generator().into_root_schema_for::<SnapshotFields>()),
            Self::Resend => Some(generator().into_root_schema_for::<ResendFields>()),
            Self::Retention => Some(generator().into_root_schema_for::<RetentionFields>()),
            Self::Answer => Some(generator().into_root_schema_for::<AnswerFields>()),
        };
        let mut schema = generator().into_root_schema_for::<Frame>().to_value();
        if let Some(own) = own.map(|own| own.to_value()) {
            join(&mut schema, own);
        }
        if let Value::Object(map) = &mut schema {
            map.insert("title".to_owned(), format!("Command {self}").into());
            map.insert(
                "$id".to_owned(),
                format!("urn:kakou:schema:cmd-{self}:v1").into(),
            );
            map.insert("additionalProperties".to_owned(), false.into());
            map.remove("description");
        }
        bounds::complete(&mut schema);
        schema
    }
}

/// Adds the fields of `own`, which of them must be there, and what they refer to.
fn join(schema: &mut Value, own: Value) {
    let Value::Object(mut own) = own else { return };
    if let (Value::Object(all), Some(Value::Object(more))) = (&mut *schema, own.remove("$defs")) {
        match all.get_mut("$defs") {
            Some(Value::Object(defs)) => defs.extend(more),
            _ => drop(all.insert("$defs".to_owned(), Value::Object(more))),
        }
    }
    if let (Some(Value::Object(all)), Some(Value::Object(more))) =
        (schema.get_mut("properties"), own.remove("properties"))
    {
        all.extend(more);
    }
    if let (Some(Value::Array(all)), Some(Value::Array(more))) =
        (schema.get_mut("required"), own.remove("required"))
    {
        all.extend(more);
    }
}

fn request(name: CommandName, fields: &mut Fields) -> Result<Request, FieldError> {
    let request_id = fields.take("request_id", "a UUID made for this request")?;
    let Rfc3339(sent_at) = fields.take("sent_at", AT)?;
    let expires_at = fields.take_if("expires_at", AT)?.map(|Rfc3339(time)| time);
    let by: Option<String> = fields.take_if("by", "a text: who asks")?;
    let command = match name {
        CommandName::Ping => Command::Ping,
        CommandName::Status => Command::Status,
        CommandName::Reload => Command::Reload,
        CommandName::Snapshot => Command::Snapshot {
            camera: fields.take("camera", "the id of a camera")?,
        },
        CommandName::Resend => Command::Resend {
            first: fields.take("first", NUMBER)?,
            last: fields.take("last", NUMBER)?,
        },
        CommandName::Retention => Command::Retention {
            passage_minutes: minutes(fields, "passage_hours", "passage_minutes")?,
            hit_minutes: minutes(fields, "hit_hours", "hit_minutes")?,
        },
        CommandName::Answer => Command::Answer {
            hit: fields.take("hit", "the `id` of a hit")?,
            verdict: fields.take("verdict", "confirmed, wrong_plate or released")?,
            note: fields.take_if("note", "a text")?,
        },
    };
    fields.none_left()?;
    let request = Request {
        request_id,
        sent_at,
        expires_at,
        by,
        command,
    };
    request.check()?;
    Ok(request)
}

/// A time that is given in hours or in minutes.
fn minutes(fields: &mut Fields, hours: &str, minutes: &str) -> Result<u32, FieldError> {
    let in_hours: Option<u32> = fields.take_if(hours, HOURS)?;
    let in_minutes: Option<u32> = fields.take_if(minutes, MINUTES)?;
    let out_of_bounds = |field: &str, has: u32, expected: &str| {
        FieldError::value(field, has.to_string(), format!("give {expected}"))
    };
    match (in_hours, in_minutes) {
        (Some(has), None) if !(1..=HOURS_MAX).contains(&has) => {
            Err(out_of_bounds(hours, has, HOURS))
        }
        (None, Some(has)) if !(1..=MINUTES_MAX).contains(&has) => {
            Err(out_of_bounds(minutes, has, MINUTES))
        }
        (Some(hours), None) => Ok(hours * 60),
        (None, Some(minutes)) => Ok(minutes),
        (Some(_), Some(_)) => {
            let what = format!("given beside {hours}");
            Err(FieldError::value(minutes, what, "give one of the two"))
        }
        (None, None) => {
            let mend = format!("give {HOURS}, or {minutes} instead");
            Err(FieldError::value(hours, "missing", mend))
        }
    }
}

/// A time in hours, where it has no minutes beside them.
pub(crate) fn whole_hours(minutes: u32) -> Option<u32> {
    minutes.is_multiple_of(60).then_some(minutes / 60)
}

const AT: &str = "RFC 3339 with an offset, as 2031-05-04T08:15:30+08:00";
const HOURS: &str = "a whole number of hours, 1 to 8760";
const MINUTES: &str = "a whole number of minutes, 1 to 525600";
const NUMBER: &str = "a sequence number, 1 to 9007199254740992";

fn note_fault(note: &str) -> bool {
    note.is_empty() || note.chars().count() > NOTE_MAX || note.chars().any(char::is_control)
}

fn by_fault(by: &str) -> Option<&'static str> {
    let bad = by.is_empty() || by.chars().count() > BY_MAX || by.chars().any(char::is_control);
    bad.then_some("1 to 200 characters, none of them a control character")
}

impl Request {
    /// What an agent refuses although each field has its form.
    pub fn check(&self) -> Result<(), FieldError> {
        if self.expires_at.is_some_and(|end| end <= self.sent_at) {
            return Err(FieldError::value(
                "expires_at",
                "not after sent_at",
                "give a later time or leave it out",
            ));
        }
        if let Some(mend) = self.by.as_deref().and_then(by_fault) {
            return Err(FieldError::value(
                "by",
                "not usable",
                format!("give {mend}"),
            ));
        }
        match &self.command {
            Command::Answer { .. } if self.by.is_none() => {
                Err(FieldError::value("by", "missing", "say who answers"))
            }
            Command::Answer {
                note: Some(note), ..
            } if note_fault(note) => Err(FieldError::value(
                "note",
                "not usable",
                format!("give 1 to {NOTE_MAX} characters, none of them a control character"),
            )),
            &Command::Resend { first, last } if first > last => {
                let mend = format!("give {first} or more, or a smaller first");
                Err(FieldError::value(
                    "last",
                    format!("{last}, before first"),
                    mend,
                ))
            }
            &Command::Resend { first, last } if last.get() - first.get() >= RESEND_MAX => {
                let mend = format!(
                    "ask for at most {RESEND_MAX} at once: up to {}",
                    first.get() + (RESEND_MAX - 1)
                );
                Err(FieldError::value(
                    "last",
                    format!("{last}, too far from first"),
                    mend,
                ))
            }
            &Command::Retention {
                passage_minutes,
                hit_minutes,
            } => {
                let given = [
                    ("passage_minutes", passage_minutes),
                    ("hit_minutes", hit_minutes),
                ];
                match given.iter().find(|(_, m)| !(1..=MINUTES_MAX).contains(m)) {
                    Some((field, has)) => {
                        let mend = format!("give {MINUTES}");
                        Err(FieldError::value(field, has.to_string(), mend))
                    }
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether it is too late to carry it out.
    pub fn is_expired(&self, now: DateTime<FixedOffset>) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Where a platform publishes it.
    pub fn topic(&self, site: Id, agent: Id) -> Result<Topic, crate::IdError> {
        Ok(Topic::Command {
            site,
            agent,
            command: Id::new("command", self.command.name().as_str())?,
        })
    }

    /// The payload a platform publishes.
    pub fn to_json(&self) -> Vec<u8> {
        let mut map = Map::new();
        map.insert("request_id".to_owned(), json!(self.request_id));
        map.insert("sent_at".to_owned(), json!(time::to_text(&self.sent_at)));
        if let Some(end) = &self.expires_at {
            map.insert("expires_at".to_owned(), json!(time::to_text(end)));
        }
        if let Some(by) = &self.by {
            map.insert("by".to_owned(), json!(by));
        }
        map.extend(self.command.arguments());
        Value::Object(map).to_string().into_bytes()
    }
}

/// The topic an answer goes to: the request's response topic, else the agent's own for results.
///
/// Below the agent's own, as `kakou/v1/{site}/{agent}/result/console-7`, is where a broker with plain
/// rights lets it write.
///
/// `None` for a response topic that an agent must not write to: whoever may send commands could
/// else make it speak where only messages of another kind, or of other agents, belong.
pub fn answer_topic(response_topic: Option<&str>, site: &Id, agent: &Id) -> Option<String> {
    let own = Topic::Result {
        site: site.clone(),
        agent: agent.clone(),
    };
    let Some(given) = response_topic else {
        return Some(own.to_string());
    };
    let form = !given.is_empty() && given.len() <= 1024 && !given.starts_with('$');
    let plain = !given.contains(['+', '#']) && !given.contains(char::is_control);
    let below = given.strip_prefix(&own.to_string());
    let is_own = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let free = !given.starts_with("kakou/") || is_own;
    (form && plain && free).then(|| given.to_owned())
}
