//! One question to an agent, and what comes back: a short connection of the platform's side.
//!
//! It has no session and no will, and it is not taken up again: whoever asks would rather hear that
//! the connection is lost than wait for another. Nothing is kept here; a question that the broker
//! cannot hand on while somebody waits for the answer is forgotten by the broker.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::address::BrokerAddress;
use super::link::{Habits, Link, LinkEvent, LinkOptions, Loss, LossKind};
use super::message::Received;
use super::session::AckReason;
use super::tls::TlsFiles;

/// Goodbye takes no longer.
const GOODBYE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct CallerConfig {
    /// Must differ from that of every other client.
    pub client_id: String,
    /// What is listened to.
    pub filters: Vec<String>,
    /// The largest packet taken.
    pub max_packet: u32,
    /// For `mqtts://`: who may vouch for the broker, and who we are.
    pub tls: TlsFiles,
}

/// What is published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Call {
    pub topic: String,
    /// JSON.
    pub payload: Vec<u8>,
    pub user_properties: Vec<(String, String)>,
    /// Where the answer is to go.
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    /// After so many seconds the broker forgets it, if nobody has taken it by then.
    pub expires_s: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallEvent {
    /// The broker took what was published.
    Taken,
    /// The same, and there is nobody to whom it could give it.
    NobodyListens,
    /// The broker did not take it, and why. `denied`: this user may not publish there.
    NotTaken {
        why: String,
        denied: bool,
    },
    Message(Received),
}

/// Why there is no connection, or none any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{broker}: {why}")]
pub struct CallError {
    pub broker: String,
    pub why: String,
    /// Trying again is of no use: user, password, certificates or the address have to be mended.
    pub is_lasting: bool,
}

/// A connection for questions.
pub struct Caller {
    broker: String,
    link: Link,
    /// Came while the subscriptions were not confirmed yet.
    early: VecDeque<Received>,
    /// Filters that the broker does not allow, each with its reason.
    pub refused: Vec<(String, String)>,
}

impl Caller {
    /// Connects and subscribes; from then on nothing is missed.
    pub async fn connect(
        address: BrokerAddress,
        config: CallerConfig,
        within: Duration,
    ) -> Result<Self, CallError> {
        let broker = address.to_string();
        let until = Instant::now() + within;
        match timeout_at(until, open(address, &config, within)).await {
            Ok(Ok(caller)) => Ok(caller),
            Ok(Err(loss)) => Err(lost(&broker, loss)),
            Err(_) => Err(CallError {
                broker,
                why: format!("no connection within {within:?}"),
                is_lasting: false,
            }),
        }
    }

    /// Publishes; it goes out while `next` waits.
    pub fn send(&self, call: &Call) -> Result<(), CallError> {
        match self.link.call(call) {
            true => Ok(()),
            false => Err(lost(&self.broker, Loss::new("the connection has ended"))),
        }
    }

    /// May be cancelled.
    pub async fn next(&mut self) -> Result<CallEvent, CallError> {
        if let Some(received) = self.early.pop_front() {
            return Ok(CallEvent::Message(received));
        }
        loop {
            match self.link.event().await {
                Err(loss) => return Err(lost(&self.broker, loss)),
                Ok(LinkEvent::Message(received, _)) => return Ok(CallEvent::Message(received)),
                Ok(LinkEvent::Acked(_, reason)) => {
                    return Ok(match reason {
                        AckReason::Success => CallEvent::Taken,
                        AckReason::NoSubscribers => CallEvent::NobodyListens,
                        other => CallEvent::NotTaken {
                            why: other.to_string(),
                            denied: other == AckReason::NotAuthorised,
                        },
                    });
                }
                Ok(_) => {}
            }
        }
    }

    pub async fn close(mut self) {
        self.link.close(GOODBYE).await;
    }
}

async fn open(
    address: BrokerAddress,
    config: &CallerConfig,
    within: Duration,
) -> Result<Caller, Loss> {
    let tls = match address.tls {
        false => None,
        true => {
            let files = config.tls.clone();
            let read = tokio::task::spawn_blocking(move || files.client_config()).await;
            let read = read.map_err(|e| Loss::tls(e.to_string()))?;
            Some(read.map_err(|e| Loss::tls(e.to_string()))?)
        }
    };
    let mut caller = Caller {
        broker: address.to_string(),
        link: Link::open(&LinkOptions {
            address,
            client_id: config.client_id.clone(),
            keep_alive: Duration::from_secs(30),
            connect_timeout: within,
            max_packet: config.max_packet,
            window: 1,
            keep_session: None,
            tls,
            will: None,
            habits: Habits::default(),
            unacknowledged: None,
        }),
        early: VecDeque::new(),
        refused: Vec::new(),
    };
    loop {
        match caller.link.event().await? {
            LinkEvent::Up(_) if config.filters.is_empty() => return Ok(caller),
            LinkEvent::Up(_) => subscribe(&caller.link, &config.filters)?,
            LinkEvent::Subscribed(answers) => {
                let answers = config.filters.iter().zip(answers);
                caller.refused = answers
                    .filter_map(|(filter, answer)| Some((filter.clone(), answer.err()?.why)))
                    .collect();
                return Ok(caller);
            }
            LinkEvent::Message(received, _) => caller.early.push_back(received),
            _ => {}
        }
    }
}

fn subscribe(link: &Link, filters: &[String]) -> Result<(), Loss> {
    match link.subscribe(filters) {
        true => Ok(()),
        false => Err(Loss::new("the subscription could not be sent")),
    }
}

fn lost(broker: &str, loss: Loss) -> CallError {
    CallError {
        broker: broker.to_owned(),
        is_lasting: matches!(loss.kind, LossKind::Refused | LossKind::Tls),
        why: loss.why,
    }
}
