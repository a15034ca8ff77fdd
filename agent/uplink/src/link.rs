//! One connection to a broker, from CONNECT to its end. The only file that names `rumqttc`.
//!
//! The event loop is polled by one future that is kept until it is ready: dropping it half-way would
//! lose the packet that it is writing. So `Link::event` may be cancelled at any time, `poll` never is.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{
    ConnAck, ConnectReturnCode, DisconnectReasonCode, Filter, LastWill, LastWillProperties, Packet,
    PubAckReason, Publish, PublishProperties, SubscribeReasonCode,
};
use rumqttc::{Outgoing as Sent, TlsError};
use rumqttc::{TlsConfiguration, Transport};
use tokio_rustls::rustls::ClientConfig;

use rumqttc::v5::{
    AsyncClient, ConnectionError, Event, EventLoop, MqttOptions, StateError, mqttbytes,
};

use super::address::BrokerAddress;
use super::message::{Outgoing, Received};
use super::session::AckReason;
use super::uplink::LinkState;

#[derive(Clone)]
pub(super) struct LinkOptions {
    pub(super) address: BrokerAddress,
    pub(super) client_id: String,
    pub(super) keep_alive: Duration,
    pub(super) connect_timeout: Duration,
    /// The largest packet this side takes.
    pub(super) max_packet: u32,
    pub(super) window: u16,
    /// Some: the broker keeps subscriptions and undelivered messages that long after a loss.
    pub(super) keep_session: Option<Duration>,
    pub(super) tls: Option<Arc<ClientConfig>>,
    /// What the broker says for us when we are gone without a goodbye.
    pub(super) will: Option<Outgoing>,
}

/// What the broker allows on this connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) receive_max: u16,
    pub(super) max_packet: usize,
    pub(super) retain: bool,
    pub(super) at_least_once: bool,
}

#[derive(Debug)]
pub(super) enum LinkEvent {
    Up(Limits),
    /// The oldest message given to `publish` went out under this id.
    Sent(u16),
    Acked(u16, AckReason),
    /// The broker's answer for each filter, in the order of `subscribe`.
    Subscribed(Vec<Result<(), String>>),
    Message(Received),
    /// Our DISCONNECT is on its way.
    Disconnecting,
    /// Something else of ours went out, a ping for example.
    SentOther,
    /// The answer to a ping and the like: the broker is there.
    Other,
}

/// Why a connection ended.
#[derive(Debug, Clone)]
pub(super) struct Loss {
    pub(super) why: String,
    pub(super) kind: LossKind,
    /// The broker said that a packet of ours was at fault: sending it again will not help.
    pub(super) blames_message: bool,
}

/// Who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LossKind {
    /// It may heal by itself.
    Network,
    /// The broker does not let us in.
    Refused,
    /// A certificate does not fit.
    Tls,
}

impl Loss {
    pub(super) fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            kind: LossKind::Network,
            blames_message: false,
        }
    }

    pub(super) fn tls(why: impl Into<String>) -> Self {
        Self {
            kind: LossKind::Tls,
            ..Self::new(why)
        }
    }

    pub(super) fn state(&self) -> LinkState {
        let why = self.why.clone();
        match self.kind {
            LossKind::Network => LinkState::Unreachable(why),
            LossKind::Refused => LinkState::Refused(why),
            LossKind::Tls => LinkState::Tls(why),
        }
    }
}

type Poll = Pin<Box<dyn Future<Output = (EventLoop, Result<Event, ConnectionError>)> + Send>>;

pub(super) struct Link {
    client: AsyncClient,
    poll: Option<Poll>,
    /// Events that the event loop had taken in when it failed: acknowledgements among them count.
    rest: VecDeque<Event>,
    loss: Loss,
}

impl Link {
    /// Nothing happens until the first `event`.
    pub(super) fn open(options: &LinkOptions) -> Self {
        // Room for a full window, a SUBSCRIBE and a DISCONNECT: the `try_` calls below never find it full.
        let room = usize::from(options.window) + 8;
        let (client, event_loop) = AsyncClient::new(mqtt_options(options), room);
        Self {
            client,
            poll: Some(Box::pin(poll(event_loop))),
            rest: VecDeque::new(),
            loss: Loss::new("connection closed"),
        }
    }

    /// The next thing that happened; after the first `Err` there is nothing more. May be cancelled.
    pub(super) async fn event(&mut self) -> Result<LinkEvent, Loss> {
        loop {
            let event = match self.poll.as_mut() {
                None => self.rest.pop_front().ok_or_else(|| self.loss.clone())?,
                Some(poll_once) => match poll_once.await {
                    (event_loop, Ok(event)) => {
                        self.poll = Some(Box::pin(poll(event_loop)));
                        event
                    }
                    (mut event_loop, Err(error)) => {
                        self.poll = None;
                        self.rest = std::mem::take(&mut event_loop.state.events);
                        self.loss = loss(&error);
                        continue;
                    }
                },
            };
            return Ok(link_event(event));
        }
    }

    /// Queues one publish; false when the event loop is gone.
    pub(super) fn publish(&self, message: &Prepared) -> bool {
        let Prepared { topic, publish } = message;
        let properties = publish.properties.clone().unwrap_or_default();
        self.client
            .try_publish_with_properties(
                topic.as_str(),
                QoS::AtLeastOnce,
                publish.retain,
                publish.payload.clone(),
                properties,
            )
            .is_ok()
    }

    pub(super) fn subscribe(&self, filters: &[String]) -> bool {
        let filters = filters
            .iter()
            .map(|path| Filter::new(path, QoS::AtLeastOnce));
        self.client.try_subscribe_many(filters).is_ok()
    }

    /// Says goodbye, so that the broker does not take the end for a failure.
    pub(super) async fn close(&mut self) {
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
        let _ = tokio::time::timeout(Duration::from_secs(1), goodbye).await;
    }
}

/// A message in the form it is sent in. Sending it again shares the payload.
#[derive(Debug)]
pub(super) struct Prepared {
    topic: String,
    publish: Publish,
}

impl Prepared {
    pub(super) fn new(message: Outgoing) -> Self {
        let properties = PublishProperties {
            payload_format_indicator: message.is_text().then_some(1),
            content_type: message.content_type,
            user_properties: message.user_properties,
            correlation_data: message.correlation.map(Into::into),
            ..PublishProperties::default()
        };
        let Outgoing {
            topic,
            payload,
            retain,
            ..
        } = message;
        let mut publish = Publish::new(topic.as_str(), QoS::AtLeastOnce, payload, Some(properties));
        publish.retain = retain;
        // Any id but 0, which `size` takes for "no id yet" and leaves out.
        publish.pkid = 1;
        Self { topic, publish }
    }

    pub(super) fn retain(&self) -> bool {
        self.publish.retain
    }

    /// Bytes of the whole packet.
    pub(super) fn size(&self) -> usize {
        self.publish.size()
    }
}

fn mqtt_options(options: &LinkOptions) -> MqttOptions {
    let address = &options.address;
    let mut mqtt = MqttOptions::new(&options.client_id, &address.host, address.port);
    // rumqttc refuses less than five seconds by a panic.
    mqtt.set_keep_alive(options.keep_alive.max(Duration::from_secs(5)));
    mqtt.set_connection_timeout(options.connect_timeout.as_secs().max(1));
    mqtt.set_clean_start(options.keep_session.is_none());
    mqtt.set_max_packet_size(Some(options.max_packet));
    mqtt.set_outgoing_inflight_upper_limit(options.window);
    if let Some(kept) = options.keep_session {
        mqtt.set_session_expiry_interval(Some(u32::try_from(kept.as_secs()).unwrap_or(u32::MAX)));
    }
    if let Some(tls) = &options.tls {
        mqtt.set_transport(Transport::tls_with_config(TlsConfiguration::Rustls(
            Arc::clone(tls),
        )));
    }
    if let Some(will) = &options.will {
        let properties = LastWillProperties {
            delay_interval: None,
            payload_format_indicator: Some(1),
            message_expiry_interval: None,
            content_type: will.content_type.clone(),
            response_topic: None,
            correlation_data: None,
            user_properties: will.user_properties.clone(),
        };
        mqtt.set_last_will(LastWill::new(
            will.topic.as_str(),
            will.payload.clone(),
            QoS::AtLeastOnce,
            will.retain,
            Some(properties),
        ));
    }
    if let Some(user) = &address.user {
        mqtt.set_credentials(&user.name, user.password.reveal());
    }
    mqtt
}

async fn poll(mut event_loop: EventLoop) -> (EventLoop, Result<Event, ConnectionError>) {
    let event = event_loop.poll().await;
    (event_loop, event)
}

fn link_event(event: Event) -> LinkEvent {
    match event {
        Event::Outgoing(Sent::Publish(id)) => LinkEvent::Sent(id),
        Event::Outgoing(Sent::Disconnect) => LinkEvent::Disconnecting,
        Event::Outgoing(_) => LinkEvent::SentOther,
        Event::Incoming(Packet::ConnAck(answer)) => LinkEvent::Up(limits(&answer)),
        Event::Incoming(Packet::PubAck(ack)) => LinkEvent::Acked(ack.pkid, ack_reason(ack.reason)),
        Event::Incoming(Packet::SubAck(ack)) => {
            LinkEvent::Subscribed(ack.return_codes.iter().map(subscribed).collect())
        }
        Event::Incoming(Packet::Publish(publish)) => LinkEvent::Message(received(publish)),
        _ => LinkEvent::Other,
    }
}

fn limits(answer: &ConnAck) -> Limits {
    let told = answer.properties.as_ref();
    Limits {
        receive_max: told.and_then(|told| told.receive_max).unwrap_or(u16::MAX),
        max_packet: told
            .and_then(|told| told.max_packet_size)
            .map_or(usize::MAX, |max| max as usize),
        retain: told.and_then(|told| told.retain_available) != Some(0),
        at_least_once: told.and_then(|told| told.max_qos) != Some(0),
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

fn subscribed(code: &SubscribeReasonCode) -> Result<(), String> {
    match code {
        SubscribeReasonCode::Success(_) => Ok(()),
        SubscribeReasonCode::NotAuthorized => Err("not authorised".to_owned()),
        other => Err(format!("{other:?}")),
    }
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

fn loss(error: &ConnectionError) -> Loss {
    let why = match error {
        ConnectionError::Io(error) => io_text(error),
        ConnectionError::Timeout(_) => "no answer to the connection request".to_owned(),
        ConnectionError::ConnectionRefused(code) => match code {
            ConnectReturnCode::BadUserNamePassword => "user name or password refused".to_owned(),
            ConnectReturnCode::NotAuthorized => "not authorised to connect".to_owned(),
            other => format!("connection refused by the broker: {other:?}"),
        },
        ConnectionError::MqttState(StateError::ConnectionAborted) => {
            "closed by the broker".to_owned()
        }
        ConnectionError::MqttState(StateError::AwaitPingResp) => "no answer to a ping".to_owned(),
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code,
            reason_string,
        }) => {
            let told = reason_string
                .as_ref()
                .map(|text| format!(" ({text})"))
                .unwrap_or_default();
            format!("disconnected by the broker: {reason_code:?}{told}")
        }
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(error))) => {
            io_text(error)
        }
        ConnectionError::MqttState(StateError::Deserialization(
            mqttbytes::Error::InvalidConnectReturnCode(code),
        )) => {
            format!("the broker answered with reason code {code:#04x}")
        }
        ConnectionError::Tls(error) => tls_text(error),
        ConnectionError::NotConnAck(_) => {
            "the answer to the connection request is no CONNACK".to_owned()
        }
        other => other.to_string(),
    };
    Loss {
        why,
        kind: loss_kind(error),
        blames_message: blames_message(error),
    }
}

fn loss_kind(error: &ConnectionError) -> LossKind {
    use ConnectReturnCode as Code;
    match error {
        ConnectionError::Tls(error) if !matches!(error, TlsError::Io(e) if rustls_error(e).is_none()) => {
            LossKind::Tls
        }
        // An alert of the broker's side, as about our certificate, comes with the first read.
        ConnectionError::Io(e) if rustls_error(e).is_some() => LossKind::Tls,
        ConnectionError::MqttState(StateError::Io(e)) if rustls_error(e).is_some() => LossKind::Tls,
        ConnectionError::MqttState(StateError::Deserialization(mqttbytes::Error::Io(e)))
            if rustls_error(e).is_some() =>
        {
            LossKind::Tls
        }
        ConnectionError::ConnectionRefused(
            Code::BadUserNamePassword
            | Code::NotAuthorized
            | Code::Banned
            | Code::ClientIdentifierNotValid
            | Code::BadClientId
            | Code::BadAuthenticationMethod
            | Code::RefusedProtocolVersion
            | Code::UnsupportedProtocolVersion,
        ) => LossKind::Refused,
        _ => LossKind::Network,
    }
}

fn rustls_error(error: &std::io::Error) -> Option<&tokio_rustls::rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// What a TLS fault is in the words of whoever has to mend it.
fn tls_text(error: &TlsError) -> String {
    use tokio_rustls::rustls::{CertificateError as Bad, Error as Tls};
    let TlsError::Io(io) = error else {
        return error.to_string();
    };
    match rustls_error(io) {
        Some(Tls::InvalidCertificate(bad)) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => {
                "the broker's certificate has expired".to_owned()
            }
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                "the broker's certificate is not valid yet; is this box's clock right?".to_owned()
            }
            Bad::UnknownIssuer => {
                "the broker's certificate is from an authority that is not trusted here".to_owned()
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => {
                "the broker's certificate is for another name".to_owned()
            }
            other => format!("the broker's certificate is not good: {other}"),
        },
        Some(other) => other.to_string(),
        None => io.to_string(),
    }
}

fn io_text(error: &std::io::Error) -> String {
    use tokio_rustls::rustls::{AlertDescription as Alert, Error as Tls};
    match rustls_error(error) {
        Some(Tls::AlertReceived(Alert::CertificateRequired)) => {
            "the broker asks for a client certificate".to_owned()
        }
        Some(Tls::AlertReceived(alert)) => format!("the broker refused our side of TLS: {alert:?}"),
        _ => error.to_string(),
    }
}

fn blames_message(error: &ConnectionError) -> bool {
    use DisconnectReasonCode as Code;
    match error {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => matches!(
            reason_code,
            Code::MalformedPacket
                | Code::ProtocolError
                | Code::TopicNameInvalid
                | Code::PacketTooLarge
                | Code::PayloadFormatInvalid
                | Code::RetainNotSupported
                | Code::QoSNotSupported
        ),
        // A PUBACK with a reason that rumqttc does not know (Mosquitto says 0x95, packet too large, with
        // a PUBACK): the connection breaks without telling which packet id it was. The error's name is
        // rumqttc's slip, it comes from PUBACK and DISCONNECT too.
        ConnectionError::MqttState(StateError::Deserialization(
            mqttbytes::Error::InvalidConnectReturnCode(_),
        )) => true,
        _ => false,
    }
}
