//! One connection to a broker, from CONNECT to its end. This folder is the only one that names
//! `rumqttc`.
//!
//! The event loop is polled by one future that is kept until it is ready: dropping it half-way
//! would lose the packet that it is writing. So `Link::event` may be cancelled at any time, `poll`
//! never is.

mod loss;
mod options;
mod packets;
mod trial;

use std::collections::VecDeque;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use kakou_contract::{Envelope, Held, HitState};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Filter, Publish, PublishProperties};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop};

pub(crate) use loss::{Loss, LossKind};
pub(crate) use options::{Habits, LinkOptions};
pub(crate) use packets::{LinkEvent, NotGranted, PacketLimits, Receipt, messages_in};
pub use trial::{Answer, NoEntry, Right, Rights, Step, Tried, try_rights};

use crate::caller::Call;
use crate::in_flight::{InFlight, is_text};

/// Requests to the event loop beside publishes and acknowledgements: SUBSCRIBE, DISCONNECT.
const OTHER_REQUESTS: usize = 8;
/// A vehicle that was in sight this long ago is not at the barrier any more.
const PROVISIONAL_EXPIRES_S: u32 = 600;

type Poll = Pin<Box<dyn Future<Output = (EventLoop, Result<Event, ConnectionError>)> + Send>>;

pub(crate) struct Link {
    client: AsyncClient,
    poll: Option<Poll>,
    /// Events that the event loop had taken in when it failed: acknowledgements among them count.
    rest: VecDeque<Event>,
    loss: Loss,
    keep_alive: Duration,
}

/// What became of a message given to the link.
#[derive(Debug)]
pub(crate) enum Handed {
    /// It goes out as a packet of this size.
    Queued(usize),
    /// This broker can never take it as it is.
    Never(Held, String),
    /// The link has failed; its next event tells why.
    Failed,
}

/// What became of an acknowledgement given to the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    Queued,
    /// There is no room until some of the others have gone out, which they do by `event`.
    Later,
    /// The link has failed; its next events are what had come before, and then why.
    Failed,
}

impl Link {
    /// Nothing happens until the first `event`.
    pub(crate) fn open(options: &LinkOptions) -> Self {
        // With room for a full window the `try_` calls below never find it full.
        let acknowledgements = usize::from(options.unacknowledged.unwrap_or(0));
        let room = usize::from(options.window) + acknowledgements + OTHER_REQUESTS;
        let (client, event_loop) = AsyncClient::new(options::mqtt_options(options), room);
        Self {
            client,
            poll: Some(Box::pin(poll(event_loop))),
            rest: VecDeque::new(),
            loss: Loss::new("connection closed"),
            keep_alive: options::keep_alive(options),
        }
    }

    /// The next thing that happened; after the first `Err` there is nothing more. May be cancelled.
    pub(crate) async fn event(&mut self) -> Result<LinkEvent, Loss> {
        loop {
            let event = match self.poll.as_mut() {
                None => self.rest.pop_front().ok_or_else(|| self.loss.clone())?,
                Some(poll_once) => match poll_once.await {
                    (mut event_loop, Ok(event)) => {
                        if packets::uses_alias(&event) {
                            // `rumqttc` would keep each with its whole packet.
                            self.poll = None;
                            self.loss = Loss::new(
                                "the broker uses topic aliases, which it was not allowed to",
                            );
                            continue;
                        }
                        if packets::turns_pings_off(&event) {
                            // Lawful; `rumqttc` would ping without a pause. Our own pings go on,
                            // since a dead connection shows by them.
                            event_loop.options.set_keep_alive(self.keep_alive);
                        }
                        self.poll = Some(Box::pin(poll(event_loop)));
                        event
                    }
                    (mut event_loop, Err(error)) => {
                        self.poll = None;
                        self.rest = std::mem::take(&mut event_loop.state.events);
                        self.loss = loss::loss(&error);
                        continue;
                    }
                },
            };
            return Ok(packets::link_event(event));
        }
    }

    /// Queues one message with this payload, which its envelope's late mark may have changed.
    pub(crate) fn publish(
        &self,
        message: &InFlight,
        payload: Bytes,
        limits: &PacketLimits,
    ) -> Handed {
        if let Some(fault) = message.fault() {
            return Handed::Never(Held::Refused, fault.to_owned());
        }
        let envelope = &message.envelope;
        let publish = packet(envelope, payload);
        let size = publish.size();
        let most = limits.max_packet;
        if size > most {
            let why = format!("{size} bytes as a packet, {most} are taken");
            return Handed::Never(Held::TooLarge, why);
        }
        let queued = self.client.try_publish_with_properties(
            envelope.topic.as_str(),
            QoS::AtLeastOnce,
            // A broker that keeps none gets it all the same, for whoever listens now.
            envelope.retain && limits.retain,
            publish.payload,
            publish.properties.unwrap_or_default(),
        );
        match queued {
            Ok(()) => Handed::Queued(size),
            Err(_) => Handed::Failed,
        }
    }

    /// Queues one question; false when the event loop is gone.
    pub(crate) fn call(&self, call: &Call) -> bool {
        let properties = PublishProperties {
            payload_format_indicator: Some(1),
            content_type: Some("application/json".to_owned()),
            message_expiry_interval: Some(call.expires_s),
            response_topic: call.response_topic.clone(),
            correlation_data: call.correlation.clone().map(Into::into),
            user_properties: call.user_properties.clone(),
            ..PublishProperties::default()
        };
        let (topic, payload) = (call.topic.as_str(), call.payload.clone());
        let queued = self.client.try_publish_with_properties(
            topic,
            QoS::AtLeastOnce,
            // A command that a broker keeps would be carried out at every start.
            false,
            payload,
            properties,
        );
        queued.is_ok()
    }

    pub(crate) fn subscribe(&self, filters: &[String]) -> bool {
        self.subscribe_with(filters, None)
    }

    /// On a topic that we publish to ourselves, what others say is wanted alone.
    pub(crate) fn subscribe_with(&self, filters: &[String], own: Option<&str>) -> bool {
        let own = own.map(|path| Filter {
            nolocal: true,
            ..Filter::new(path, QoS::AtLeastOnce)
        });
        let filters = filters
            .iter()
            .map(|path| Filter::new(path, QoS::AtLeastOnce))
            .chain(own);
        self.client.try_subscribe_many(filters).is_ok()
    }

    /// The message of this receipt was taken over.
    pub(crate) fn acknowledge(&self, Receipt(id): Receipt) -> Acknowledged {
        let received = Publish {
            qos: QoS::AtLeastOnce,
            pkid: id,
            ..Publish::default()
        };
        match (self.client.try_ack(&received), &self.poll) {
            (Ok(()), _) => Acknowledged::Queued,
            (Err(_), Some(_)) => Acknowledged::Later,
            (Err(_), None) => Acknowledged::Failed,
        }
    }

    /// Says goodbye, so that the broker does not take the end for a failure; for no longer than
    /// `within`.
    pub(crate) async fn close(&mut self, within: Duration) {
        if self.client.try_disconnect().is_err() {
            return;
        }
        let goodbye = async {
            while let Ok(event) = self.event().await {
                if matches!(event, LinkEvent::Disconnecting) {
                    break;
                }
            }
        };
        // A broker that does not take it in time will notice by the closed socket.
        let _ = tokio::time::timeout(within, goodbye).await;
    }
}

/// The envelope as a PUBLISH packet. The payload is shared.
fn packet(envelope: &Envelope, payload: Bytes) -> Publish {
    let properties = PublishProperties {
        payload_format_indicator: is_text(envelope).then_some(1),
        content_type: envelope.content_type.clone(),
        message_expiry_interval: expires(envelope),
        user_properties: envelope.user_properties.clone(),
        correlation_data: envelope.correlation.clone().map(Into::into),
        ..PublishProperties::default()
    };
    let topic = envelope.topic.as_str();
    let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload, Some(properties));
    // Any id but 0, which `size` takes for "no id yet" and leaves out.
    publish.pkid = 1;
    publish
}

/// After how many seconds the broker may forget a message that nobody has taken. Only what is
/// useless later expires: a provisional hit, whose end does not.
fn expires(envelope: &Envelope) -> Option<u32> {
    let (_, state) = envelope.hit()?;
    (state == HitState::Provisional).then_some(PROVISIONAL_EXPIRES_S)
}

async fn poll(mut event_loop: EventLoop) -> (EventLoop, Result<Event, ConnectionError>) {
    let event = event_loop.poll().await;
    (event_loop, event)
}
