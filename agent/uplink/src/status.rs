//! How the uplink is, for the rest of the agent to read at any time.

use std::fmt;

use chrono::{DateTime, FixedOffset};

/// How many set-aside messages are kept word by word; the rest is counted.
const SET_ASIDE_KEPT: usize = 8;

/// How the way to the platform is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LinkState {
    #[default]
    Connecting,
    Connected,
    /// The broker does not let us in: user, password, client id or its rules.
    Refused(String),
    /// The broker is not who it must be, or does not take our certificate.
    Tls(String),
    Unreachable(String),
    /// The task has ended.
    Stopped(String),
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connecting => f.write_str("connecting"),
            Self::Connected => f.write_str("connected"),
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Unreachable(why) => write!(f, "unreachable: {why}"),
            Self::Stopped(why) => write!(f, "stopped: {why}"),
        }
    }
}

/// A message that the broker will not take as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub topic: String,
    pub why: String,
}

/// How the uplink is, at any time.
#[derive(Debug, Clone, Default)]
pub struct Status {
    pub state: LinkState,
    pub connected: bool,
    /// Commands are heard.
    pub listening: bool,
    /// Address of the broker in use, or last used.
    pub broker: Option<String>,
    /// How often a connection was made.
    pub connections: u64,
    pub connected_since: Option<DateTime<FixedOffset>>,
    pub acked: u64,
    pub acked_bytes: u64,
    /// Of these: acknowledged with "no matching subscribers".
    pub unheard: u64,
    /// Messages set aside since the start.
    pub refused: u64,
    /// The first few of them.
    pub refusals: Vec<Refusal>,
    /// Topics that the broker does not permit; `+` stands for a passage's id.
    pub refused_topics: Vec<String>,
    /// Why the last try or connection ended.
    pub last_loss: Option<String>,
    /// Why the outbox cannot be used at the moment. The uplink tries again by itself; meanwhile
    /// only messages from memory go out.
    pub store_fault: Option<String>,
}

impl Status {
    pub(crate) fn set_aside(&mut self, topic: &str, why: &str) {
        self.refused += 1;
        if self.refusals.len() < SET_ASIDE_KEPT {
            self.refusals.push(Refusal {
                topic: topic.to_owned(),
                why: why.to_owned(),
            });
        }
    }
}
