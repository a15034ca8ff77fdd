//! The answer to a command.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::message::{self, Message, MessageError, MessageKind, SchemaVersion};
use crate::sequence::Sequence;
use crate::{Id, Topic};

crate::codes::word_list! {
    /// What became of a command.
    pub enum ResultCode {
        /// It was carried out.
        Done = "done", "已执行";
        /// The agent may not do this, or not now.
        Refused = "refused", "已拒绝";
        /// The request is wrong; `detail` names the field and the mend.
        Invalid = "invalid", "请求无效";
        /// It came after its `expires_at`.
        Expired = "expired", "已过期";
        /// The agent has no such command.
        UnknownCommand = "unknown_command", "未知命令";
        /// It was begun and did not succeed.
        Failed = "failed", "执行失败";
        /// A request with this `request_id` was answered before; it was not carried out again.
        Repeated = "repeated", "重复请求";
    }
}

/// The answer to a command.
///
/// It goes to the request's MQTT 5 response topic, with its correlation data; without one, to
/// [`Message::topic`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ResultMessage {
    pub schema_version: SchemaVersion,
    /// UUIDv7. Repeats of a message carry the same id.
    pub id: Uuid,
    pub site: Id,
    pub agent: Id,
    /// When the agent was done with it.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub time: DateTime<FixedOffset>,
    /// That of the request; missing when it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<Uuid>,
    /// The last level of the topic the request came on.
    pub command: Id,
    /// What was asked for is so: `true` beside `done`; beside `repeated` as in the first answer;
    /// else `false`.
    pub ok: bool,
    pub code: ResultCode,
    /// For people.
    #[serde(
        default,
        serialize_with = "crate::text::clipped",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<String>")]
    pub detail: Option<String>,
    /// What was asked for, in a form that depends on the command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// As in the passage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<Sequence>,
}

impl Message for ResultMessage {
    const KIND: MessageKind = MessageKind::Result;

    fn to_json(&self) -> Result<Vec<u8>, MessageError> {
        message::write(self)
    }
    fn from_json(payload: &[u8]) -> Result<Self, MessageError> {
        message::read(payload)
    }
    fn id(&self) -> Uuid {
        self.id
    }
    fn site(&self) -> &Id {
        &self.site
    }
    fn agent(&self) -> &Id {
        &self.agent
    }
    fn time(&self) -> DateTime<FixedOffset> {
        self.time
    }
    /// Where it goes when the request names no response topic.
    fn topic(&self) -> Topic {
        Topic::Result {
            site: self.site.clone(),
            agent: self.agent.clone(),
        }
    }
    fn subject(&self) -> String {
        self.command.to_string()
    }

    fn check(&self) -> Result<(), MessageError> {
        if self.code == ResultCode::Repeated || self.ok == (self.code == ResultCode::Done) {
            Ok(())
        } else {
            Err(MessageError::invalid(
                "ok",
                format!("{} beside {}", self.ok, self.code),
            ))
        }
    }
}
