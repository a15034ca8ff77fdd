//! CloudEvents 1.0 attributes, in the binary mode of its MQTT 5 binding: each attribute is a user
//! property of the same name, `datacontenttype` is MQTT's own content type, and the payload is
//! the data alone.

use chrono::{DateTime, FixedOffset};
use uuid::Uuid;

use crate::message::{Message, MessageKind};
use crate::passage::{Evidence, PassageMessage};
use crate::{Id, time};

/// The version of CloudEvents spoken.
pub const SPEC_VERSION: &str = "1.0";

/// The attributes of one event. Repeats of a message have equal `source` and `id`, which is how
/// CloudEvents tells duplicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    pub id: String,
    /// `/kakou/{site}/{agent}`.
    pub source: String,
    /// CloudEvents `type`.
    pub event_type: String,
    pub subject: String,
    pub time: DateTime<FixedOffset>,
    /// Goes into MQTT's content type, not into a user property.
    pub datacontenttype: String,
    pub dataschema: Option<String>,
    extensions: Vec<(String, String)>,
}

/// A name CloudEvents does not allow for an extension attribute.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("extension attribute {name:?}: 1 to 20 of a-z 0-9 are allowed, and no name already in use")]
pub struct BadExtension {
    pub name: String,
}

const OWN: [&str; 8] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "dataschema",
];

fn source(site: &Id, agent: &Id) -> String {
    format!("/kakou/{site}/{agent}")
}

impl Attributes {
    pub(crate) fn of<M: Message>(message: &M) -> Self {
        Self {
            id: message.event_id(),
            source: source(message.site(), message.agent()),
            event_type: M::KIND.event_type(),
            subject: message.subject(),
            time: message.time(),
            datacontenttype: M::CONTENT_TYPE.to_owned(),
            dataschema: M::KIND.schema_uri(),
            extensions: Vec::new(),
        }
    }

    /// Those of a picture that is sent as a message of its own: its id is made of its owner (the
    /// passage, or a provisional hit) and the role, so that a repeat shows.
    pub fn of_evidence(owner: Uuid, passage: &PassageMessage, evidence: &Evidence) -> Self {
        Self {
            id: format!("{owner}/{}", evidence.role),
            source: source(&passage.site, &passage.agent),
            event_type: MessageKind::Evidence.event_type(),
            subject: owner.to_string(),
            time: evidence.captured_at.unwrap_or(passage.time),
            datacontenttype: evidence.content_type.clone(),
            dataschema: None,
            extensions: Vec::new(),
        }
    }

    /// Adds an extension attribute.
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Result<Self, BadExtension> {
        let letters = name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let used = OWN.contains(&name) || self.extensions.iter().any(|(n, _)| n == name);
        if !(1..=20).contains(&name.len()) || !letters || used {
            return Err(BadExtension {
                name: name.to_owned(),
            });
        }
        self.extensions.push((name.to_owned(), value.into()));
        Ok(self)
    }

    /// The MQTT 5 user properties, in a fixed order.
    pub fn user_properties(&self) -> Vec<(String, String)> {
        let mut all = vec![
            ("specversion".to_owned(), SPEC_VERSION.to_owned()),
            ("id".to_owned(), self.id.clone()),
            ("source".to_owned(), self.source.clone()),
            ("type".to_owned(), self.event_type.clone()),
            ("subject".to_owned(), self.subject.clone()),
            ("time".to_owned(), time::to_text(&self.time)),
        ];
        all.extend(
            self.dataschema
                .iter()
                .map(|s| ("dataschema".to_owned(), s.clone())),
        );
        all.extend(self.extensions.iter().cloned());
        all
    }
}
