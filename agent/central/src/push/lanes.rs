//! The lanes of a pusher: one for each recipient and channel.
//!
//! Each has its own room, its own pauses and its own connection, so that one that is slow or away
//! takes nothing from another. A lane whose recipient is away tries one delivery after growing
//! pauses; the first that is taken opens it again.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Level;
use kakou_time::SharedClock;
use kakou_uplink::{Backoff, Call};
use tokio::time::Instant;

use super::config::Recipients;
use super::event::Event;
use super::publisher::{Published, Publisher, PushBroker};
use super::pusher::{PushError, PushPace};
use super::queue::{Channel, Claimed, Room, Verdict};
use super::webhook::{Outcome, WebhookSender};

/// A provisional hit is of no use after that long, as at the agent.
const PROVISIONAL_EXPIRES_S: u32 = 600;

pub(super) struct Lane {
    pub(super) recipient: String,
    pub(super) channel: Channel,
    address: String,
    sender: Arc<Sender>,
    at_once: usize,
    pub(super) busy: usize,
    backoff: Backoff,
    /// The recipient is away; the next try not before.
    away_until: Option<Instant>,
    pace: PushPace,
}

enum Sender {
    Webhook(WebhookSender),
    Mqtt { publisher: Publisher, topic: String },
}

/// What is sent, once it is made.
pub(super) struct Parcel {
    pub(super) event: Event,
    pub(super) event_id: String,
    pub(super) site: String,
    pub(super) level: Level,
    /// A broker forgets it after so many seconds.
    pub(super) expires_s: u32,
}

pub(super) fn open(
    recipients: &Recipients,
    broker: Option<&PushBroker>,
    clock: &SharedClock,
    pace: &PushPace,
) -> Result<Vec<Lane>, PushError> {
    let mut lanes = Vec::new();
    let at_once = recipients.settings.at_once;
    let timeout = Duration::from_secs(recipients.settings.timeout_s);
    let lane = |recipient: &str, channel, address, sender| Lane {
        recipient: recipient.to_owned(),
        channel,
        address,
        sender: Arc::new(sender),
        at_once,
        busy: 0,
        backoff: Backoff::new(pace.away_first, pace.away_most),
        away_until: None,
        pace: pace.clone(),
    };
    for it in &recipients.list {
        let name = it.name.as_str();
        if let Some(webhook) = &it.webhook {
            let sender = WebhookSender::new(name, webhook, clock.clone(), timeout)?;
            let address = sender.address();
            lanes.push(lane(
                name,
                Channel::Webhook,
                address,
                Sender::Webhook(sender),
            ));
        }
        if let Some(mqtt) = &it.mqtt {
            let broker = broker.ok_or_else(|| PushError::NoBroker(name.to_owned()))?;
            let sender = Sender::Mqtt {
                publisher: Publisher::connect(broker, &format!("push-{name}")),
                topic: mqtt.topic.replace("{recipient}", name),
            };
            lanes.push(lane(name, Channel::Mqtt, mqtt.topic.clone(), sender));
        }
    }
    Ok(lanes)
}

impl Lane {
    /// What it can take now.
    pub(super) fn room(&self, now: Instant) -> Option<Room<'_>> {
        let is_away = self.away_until.is_some();
        if self.away_until.is_some_and(|until| now < until) {
            return None;
        }
        let (room, only_red) = match (self.at_once.saturating_sub(self.busy), is_away) {
            (0, _) => return None,
            // One tries whether it is back.
            (_, true) => (usize::from(self.busy == 0), false),
            // The last place of several is for red hits.
            (1, _) if self.at_once > 1 => (1, true),
            (free, _) if self.at_once > 1 => (free - 1, false),
            (free, _) => (free, false),
        };
        (room > 0).then_some(Room {
            recipient: &self.recipient,
            channel: self.channel,
            address: &self.address,
            room,
            only_red,
        })
    }

    /// When it is to be asked for room again, if it is away.
    pub(super) fn back_at(&self) -> Option<Instant> {
        self.away_until
    }

    pub(super) fn key(&self) -> (&str, Channel, &str) {
        (&self.recipient, self.channel, &self.address)
    }

    /// Sends one parcel; for no longer than the timeout.
    pub(super) fn send(
        &self,
        parcel: Parcel,
        timeout: Duration,
    ) -> impl Future<Output = Outcome> + Send + 'static {
        let sender = self.sender.clone();
        async move {
            match tokio::time::timeout(timeout, sender.send(parcel)).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::Away {
                    why: format!("no answer within {} s", timeout.as_secs_f64()),
                    after: None,
                    reached: true,
                },
            }
        }
    }

    /// What an outcome means for the lane and for the delivery.
    pub(super) fn judge(&mut self, tried: &Claimed, outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Done => {
                self.is_back();
                Verdict::Done
            }
            // The delivery waits: somebody may switch the recipient on again before its deadline.
            Outcome::Gone => Verdict::Again {
                pause: Duration::ZERO,
                why: "410 Gone: the recipient wants nothing any more".to_owned(),
            },
            Outcome::NotTaken { why } => {
                self.is_back();
                Verdict::Again {
                    pause: self.pause_after(tried.attempts),
                    why,
                }
            }
            Outcome::Away {
                why,
                after,
                reached,
            } => {
                let now = Instant::now();
                // Several that were on their way together tell of one absence.
                let until = match self.away_until.filter(|until| now < *until) {
                    Some(until) => until,
                    None => now + after.unwrap_or_else(|| self.backoff.wait()),
                };
                self.away_until = Some(until);
                let away = until.saturating_duration_since(now);
                // If the reason is this hit, another one must get its turn first.
                let pause = match reached {
                    true => away + self.pause_after(tried.attempts).min(self.pace.away_most),
                    false => away,
                };
                Verdict::Again { pause, why }
            }
        }
    }

    fn is_back(&mut self) {
        self.away_until = None;
        self.backoff.reset();
    }

    /// Grows with the tries of this delivery alone: one that is never taken holds up no other.
    fn pause_after(&self, attempts: i32) -> Duration {
        let mut backoff = Backoff::new(self.pace.again_first, self.pace.again_most);
        for _ in 1..attempts.clamp(1, 32) {
            backoff.step(1.0);
        }
        backoff.wait()
    }
}

impl Sender {
    async fn send(&self, parcel: Parcel) -> Outcome {
        match self {
            Self::Webhook(webhook) => match parcel.event.into_structured() {
                Ok(body) => webhook.send(&parcel.event_id, body).await,
                Err(error) => Outcome::NotTaken {
                    why: error.to_string(),
                },
            },
            Self::Mqtt { publisher, topic } => {
                let topic = topic
                    .replace("{level}", parcel.level.as_str())
                    .replace("{site}", &parcel.site);
                let (payload, user_properties) = match parcel.event.into_binary() {
                    Ok(binary) => binary,
                    Err(error) => {
                        return Outcome::NotTaken {
                            why: error.to_string(),
                        };
                    }
                };
                let call = Call {
                    topic: topic.clone(),
                    payload,
                    user_properties,
                    response_topic: None,
                    correlation: None,
                    expires_s: parcel.expires_s,
                };
                match publisher.publish(call).await {
                    Published::Taken => Outcome::Done,
                    Published::NobodyListens => Outcome::NotTaken {
                        why: format!("nobody listens on {topic} at the broker"),
                    },
                    Published::Refused(why) => Outcome::NotTaken {
                        why: format!("the broker does not take it on {topic}: {why}"),
                    },
                    Published::NoConnection(why) => Outcome::Away {
                        why,
                        after: None,
                        reached: false,
                    },
                    Published::Lost(why) => Outcome::Away {
                        why,
                        after: None,
                        reached: true,
                    },
                }
            }
        }
    }
}

/// After how many seconds a broker forgets a hit that nobody has fetched.
pub(super) fn expires_s(state: &str, left: Duration) -> u32 {
    let left = u32::try_from(left.as_secs()).unwrap_or(u32::MAX).max(1);
    match state {
        "provisional" => left.min(PROVISIONAL_EXPIRES_S),
        _ => left,
    }
}
