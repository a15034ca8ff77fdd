//! Where messages are published, and what a subscriber asks for.
//!
//! ```text
//! kakou/v1/{site}/{agent}/passage/{camera}
//! kakou/v1/{site}/{agent}/hit/{level}/{camera}
//! kakou/v1/{site}/{agent}/signal/{kind}/{camera}
//! kakou/v1/{site}/{agent}/status                         retained, also the last will
//! kakou/v1/{site}/{agent}/audit
//! kakou/v1/{site}/{agent}/result                         answers to commands without a response topic
//! kakou/v1/{site}/{agent}/evidence/{owner}/{role}        a picture's bytes; its passage or hit
//! kakou/v1/{site}/{agent}/cmd/{command}                  from the platform to the agent
//! kakou/v1/{site}/{agent}/list/{list}                    a chunk of a watchlist, from the platform
//! ```

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::codes::{EvidenceRole, Level};
use crate::id::{Id, IdError};
use crate::signal::SignalKind;

/// The first two levels of every topic; the version is the schema's major version.
pub const ROOT: &str = "kakou/v1";

/// Quality of service of everything published and subscribed: at least once.
pub const QOS: u8 = 1;

/// A topic of the contract.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    Passage {
        site: Id,
        agent: Id,
        camera: Id,
    },
    Hit {
        site: Id,
        agent: Id,
        level: Level,
        camera: Id,
    },
    Signal {
        site: Id,
        agent: Id,
        kind: SignalKind,
        camera: Id,
    },
    Status {
        site: Id,
        agent: Id,
    },
    Audit {
        site: Id,
        agent: Id,
    },
    Result {
        site: Id,
        agent: Id,
    },
    Evidence {
        site: Id,
        agent: Id,
        passage: Uuid,
        role: EvidenceRole,
    },
    Command {
        site: Id,
        agent: Id,
        command: Id,
    },
    List {
        site: Id,
        agent: Id,
        list: Id,
    },
}

/// Why a text is no [`Topic`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("topic {topic:?}: {fault}")]
pub struct TopicError {
    pub topic: String,
    pub fault: TopicFault,
}

/// What is wrong with a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicFault {
    #[error("does not begin with {ROOT}/")]
    Root,
    #[error(
        "is none of the forms passage, hit, signal, status, audit, result, evidence, cmd, list"
    )]
    Form,
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Word(#[from] crate::codes::UnknownWord),
    #[error("{0:?} is not a passage id (a UUID in lower case with hyphens)")]
    Passage(String),
}

impl Topic {
    pub fn site(&self) -> &Id {
        self.origin().0
    }

    pub fn agent(&self) -> &Id {
        self.origin().1
    }

    fn origin(&self) -> (&Id, &Id) {
        match self {
            Self::Passage { site, agent, .. }
            | Self::Hit { site, agent, .. }
            | Self::Signal { site, agent, .. }
            | Self::Status { site, agent }
            | Self::Audit { site, agent }
            | Self::Result { site, agent }
            | Self::Evidence { site, agent, .. }
            | Self::Command { site, agent, .. }
            | Self::List { site, agent, .. } => (site, agent),
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (site, agent) = self.origin();
        write!(f, "{ROOT}/{site}/{agent}/")?;
        match self {
            Self::Passage { camera, .. } => write!(f, "passage/{camera}"),
            Self::Hit { level, camera, .. } => write!(f, "hit/{level}/{camera}"),
            Self::Signal { kind, camera, .. } => write!(f, "signal/{kind}/{camera}"),
            Self::Status { .. } => f.write_str("status"),
            Self::Audit { .. } => f.write_str("audit"),
            Self::Result { .. } => f.write_str("result"),
            Self::Evidence { passage, role, .. } => write!(f, "evidence/{passage}/{role}"),
            Self::Command { command, .. } => write!(f, "cmd/{command}"),
            Self::List { list, .. } => write!(f, "list/{list}"),
        }
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(topic: &str) -> Result<Self, TopicError> {
        parse(topic).map_err(|fault| TopicError {
            topic: topic.to_owned(),
            fault,
        })
    }
}

fn parse(topic: &str) -> Result<Topic, TopicFault> {
    let rest = topic.strip_prefix(ROOT).and_then(|r| r.strip_prefix('/'));
    let levels: Vec<&str> = rest.ok_or(TopicFault::Root)?.split('/').collect();
    let [site, agent, form @ ..] = levels.as_slice() else {
        return Err(TopicFault::Form);
    };
    let (site, agent) = (Id::new("site", *site)?, Id::new("agent", *agent)?);
    Ok(match form {
        ["passage", camera] => Topic::Passage {
            site,
            agent,
            camera: Id::new("camera", *camera)?,
        },
        ["hit", level, camera] => {
            let (level, camera) = (level.parse()?, Id::new("camera", *camera)?);
            Topic::Hit {
                site,
                agent,
                level,
                camera,
            }
        }
        ["signal", kind, camera] => Topic::Signal {
            site,
            agent,
            kind: kind.parse()?,
            camera: Id::new("camera", *camera)?,
        },
        ["status"] => Topic::Status { site, agent },
        ["audit"] => Topic::Audit { site, agent },
        ["result"] => Topic::Result { site, agent },
        ["evidence", passage, role] => Topic::Evidence {
            site,
            agent,
            passage: passage_id(passage)?,
            role: role.parse()?,
        },
        ["cmd", command] => Topic::Command {
            site,
            agent,
            command: Id::new("command", *command)?,
        },
        ["list", list] => Topic::List {
            site,
            agent,
            list: Id::new("list", *list)?,
        },
        _ => return Err(TopicFault::Form),
    })
}

/// Only the form that is written here: the other forms of a UUID would make two topics of one.
fn passage_id(text: &str) -> Result<Uuid, TopicFault> {
    let id = Uuid::try_parse(text)
        .ok()
        .filter(|id| id.to_string() == text);
    id.ok_or_else(|| TopicFault::Passage(text.to_owned()))
}

/// What a subscriber asks for: one form, of every site and agent until narrowed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    site: Option<Id>,
    agent: Option<Id>,
    form: String,
}

impl Filter {
    fn form(form: impl Into<String>) -> Self {
        Self {
            site: None,
            agent: None,
            form: form.into(),
        }
    }

    pub fn passages() -> Self {
        Self::form("passage/+")
    }

    /// Hits of every level.
    pub fn hits() -> Self {
        Self::form("hit/+/+")
    }

    pub fn hits_of(level: Level) -> Self {
        Self::form(format!("hit/{level}/+"))
    }

    /// Signals of every kind.
    pub fn signals() -> Self {
        Self::form("signal/+/+")
    }

    pub fn status() -> Self {
        Self::form("status")
    }

    pub fn audit() -> Self {
        Self::form("audit")
    }

    /// Answers to commands that named no response topic.
    pub fn results() -> Self {
        Self::form("result")
    }

    /// Every picture.
    pub fn evidence() -> Self {
        Self::form("evidence/+/+")
    }

    /// The pictures of one role.
    pub fn evidence_of(role: EvidenceRole) -> Self {
        Self::form(format!("evidence/+/{role}"))
    }

    /// What an agent asks for: the commands to it.
    pub fn commands(site: Id, agent: Id) -> Self {
        Self::form("cmd/+").at(site).of(agent)
    }

    /// What an agent that is sent lists asks for.
    pub fn lists(site: Id, agent: Id) -> Self {
        Self::form("list/+").at(site).of(agent)
    }

    /// Everything agents publish or are told.
    pub fn everything() -> Self {
        Self::form("#")
    }

    /// Only this site's.
    pub fn at(mut self, site: Id) -> Self {
        self.site = Some(site);
        self
    }

    /// Only this agent's.
    pub fn of(mut self, agent: Id) -> Self {
        self.agent = Some(agent);
        self
    }

    /// As a shared subscription (MQTT 5): each message goes to one member of `group`. Retained
    /// messages are not delivered to shared subscriptions, so ask for status without one.
    pub fn shared(&self, group: &Id) -> String {
        format!("$share/{group}/{self}")
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = |id: &Option<Id>| id.as_ref().map_or_else(|| "+".to_owned(), Id::to_string);
        write!(
            f,
            "{ROOT}/{}/{}/{}",
            level(&self.site),
            level(&self.agent),
            self.form
        )
    }
}
