//! What comes from the broker, in the words of this crate.

use bytes::BytesMut;
use rumqttc::Outgoing as Sent;
use rumqttc::v5::Event;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Packet, PubAckReason, Publish, SubscribeReasonCode};

use crate::message::Received;
use crate::session::AckReason;

/// Acknowledges one received message: its packet id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt(pub(super) u16);

/// What the broker allows on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketLimits {
    pub(crate) receive_max: u16,
    pub(crate) max_packet: usize,
    pub(crate) retain: bool,
    pub(crate) at_least_once: bool,
    /// Subscriptions that several clients share.
    pub(crate) shared: bool,
}

#[derive(Debug)]
pub(crate) enum LinkEvent {
    Up(PacketLimits),
    /// The oldest message given to `publish` went out under this id.
    Sent(u16),
    Acked(u16, AckReason),
    /// The broker's answer for each filter, in the order of `subscribe`.
    Subscribed(Vec<Result<(), NotGranted>>),
    /// With what acknowledges it, if it asks for that.
    Message(Received, Option<Receipt>),
    /// Our DISCONNECT is on its way.
    Disconnecting,
    /// Something else of ours went out, a ping for example.
    SentOther,
    /// The answer to a ping and the like: the broker is there.
    Other,
}

/// Why the broker does not grant a filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotGranted {
    pub(crate) why: String,
    /// Nobody has to change anything: the nodes of a cluster elect a leader, for example.
    pub(crate) may_pass_later: bool,
}

pub(super) fn link_event(event: Event) -> LinkEvent {
    match event {
        Event::Outgoing(Sent::Publish(id)) => LinkEvent::Sent(id),
        Event::Outgoing(Sent::Disconnect) => LinkEvent::Disconnecting,
        Event::Outgoing(_) => LinkEvent::SentOther,
        Event::Incoming(Packet::ConnAck(answer)) => LinkEvent::Up(limits(&answer)),
        Event::Incoming(Packet::PubAck(ack)) => LinkEvent::Acked(ack.pkid, ack_reason(ack.reason)),
        Event::Incoming(Packet::SubAck(ack)) => {
            LinkEvent::Subscribed(ack.return_codes.iter().map(subscribed).collect())
        }
        Event::Incoming(Packet::Publish(publish)) => {
            let receipt = (publish.qos != QoS::AtMostOnce).then_some(Receipt(publish.pkid));
            LinkEvent::Message(received(publish), receipt)
        }
        _ => LinkEvent::Other,
    }
}

/// What the event loop would tell of these bytes, as far as they can be read. For `crate::doors`.
pub(crate) fn messages_in(bytes: &[u8]) -> Vec<Received> {
    let (mut stream, mut messages) = (BytesMut::from(bytes), Vec::new());
    while let Ok(packet) = Packet::read(&mut stream, Some(64 << 10)) {
        let event = Event::Incoming(packet);
        if uses_alias(&event) {
            break;
        }
        let _ = turns_pings_off(&event);
        if let LinkEvent::Message(received, _) = link_event(event) {
            messages.push(received);
        }
    }
    messages
}

/// A topic alias, though none was allowed.
pub(super) fn uses_alias(event: &Event) -> bool {
    let Event::Incoming(Packet::Publish(publish)) = event else {
        return false;
    };
    let properties = publish.properties.as_ref();
    properties.is_some_and(|told| told.topic_alias.is_some())
}

/// The broker wants no pings.
pub(super) fn turns_pings_off(event: &Event) -> bool {
    let Event::Incoming(Packet::ConnAck(answer)) = event else {
        return false;
    };
    let told = answer.properties.as_ref();
    told.is_some_and(|told| told.server_keep_alive == Some(0))
}

fn limits(answer: &ConnAck) -> PacketLimits {
    let told = answer.properties.as_ref();
    PacketLimits {
        receive_max: told.and_then(|told| told.receive_max).unwrap_or(u16::MAX),
        max_packet: told
            .and_then(|told| told.max_packet_size)
            .map_or(usize::MAX, |max| max as usize),
        retain: told.and_then(|told| told.retain_available) != Some(0),
        at_least_once: told.and_then(|told| told.max_qos) != Some(0),
        shared: told.and_then(|told| told.shared_subscription_available) != Some(0),
    }
}

fn ack_reason(reason: PubAckReason) -> AckReason {
    match reason {
        PubAckReason::Success => AckReason::Success,
        PubAckReason::NoMatchingSubscribers => AckReason::NoSubscribers,
        PubAckReason::UnspecifiedError => AckReason::Unspecified,
        PubAckReason::ImplementationSpecificError => AckReason::Implementation,
        PubAckReason::NotAuthorized => AckReason::NotAuthorised,
        PubAckReason::TopicNameInvalid => AckReason::TopicInvalid,
        PubAckReason::PacketIdentifierInUse => AckReason::IdInUse,
        PubAckReason::QuotaExceeded => AckReason::QuotaExceeded,
        PubAckReason::PayloadFormatInvalid => AckReason::PayloadInvalid,
    }
}

pub(super) fn subscribed(code: &SubscribeReasonCode) -> Result<(), NotGranted> {
    use SubscribeReasonCode as Code;
    let (why, may_pass_later) = match code {
        Code::Success(_) => return Ok(()),
        Code::NotAuthorized => ("not authorised".to_owned(), false),
        Code::Unspecified
        | Code::ImplementationSpecific
        | Code::PkidInUse
        | Code::QuotaExceeded => (format!("{code:?}, which may pass"), true),
        other => (format!("{other:?}"), false),
    };
    Err(NotGranted {
        why,
        may_pass_later,
    })
}

fn received(publish: Publish) -> Received {
    let properties = publish.properties.unwrap_or_default();
    Received {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload.to_vec(),
        content_type: properties.content_type,
        user_properties: properties.user_properties,
        retained: publish.retain,
        is_text: properties.payload_format_indicator == Some(1),
        response_topic: properties.response_topic,
        correlation: properties.correlation_data.map(|data| data.to_vec()),
    }
}
