//! One short connection that tries what the agent may do at a broker, and disturbs nobody.
//!
//! It has a client id of its own, no session, no will, and keeps nothing. The right to publish is
//! asked for with QoS 2: the broker answers whether it takes the message (PUBREC), and a message
//! that is never released is not delivered by brokers that wait for that, as Mosquitto does. A
//! broker that delivers at once sends a short text to whoever subscribes to the topic. Topics are
//! tried one by one, so that a broker that closes the connection over one says which.

use std::time::Duration;

use bytes::BytesMut;
use rumqttc::v5::mqttbytes::v5::{
    Connect, ConnectReturnCode, Disconnect, DisconnectReasonCode, Filter, Login, Packet,
    PubRecReason, Publish, PublishProperties, RetainForwardRule, Subscribe,
};
use rumqttc::v5::mqttbytes::{Error as PacketError, QoS};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::loss::{connack_text, io_text, is_closed, tls_text};
use super::options::{Habits, LinkOptions};
use super::packets::subscribed;
use crate::address::BrokerAddress;
use crate::certificate::{self, Dates};
use crate::config::UplinkConfig;

/// What a subscriber sees of a trial where the broker does not wait for its release.
const PAYLOAD: &str = "a trial of rights by kakou doctor; nothing happened";
/// The largest packet taken.
const LARGEST: u32 = 64 << 10;
/// Nobody subscribes: the broker keeps the message no longer than it must.
const EXPIRES_S: u32 = 1;

/// What is tried.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    pub publish: Vec<String>,
    pub subscribe: Vec<String>,
}

/// What the broker said of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Allowed,
    /// With its reason.
    Denied(String),
    /// It could not be tried, and why.
    Untried(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    pub topic: String,
    pub is_publish: bool,
    pub answer: Answer,
}

/// What a broker that lets us in says of itself and of our rights.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Of the certificate that the broker showed.
    pub server: Option<Dates>,
    pub rights: Vec<Right>,
    /// It keeps retained messages.
    pub retain: bool,
}

/// Why there was no connection, and at which step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoEntry {
    pub step: Step,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Certificates, key or password could not be read.
    Files,
    /// Nothing answers there.
    Network,
    Tls,
    /// The broker answered, and did not let us in.
    Login,
}

trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

struct Session {
    wire: Box<dyn Wire>,
    /// Packet id of the last trial. A message that is never released keeps its own.
    last_id: u16,
    /// How many such messages the broker takes.
    unreleased_most: u16,
    unreleased: u16,
    received: BytesMut,
    until: Instant,
    server: Option<Dates>,
    exactly_once: bool,
    retain: bool,
}

/// Tries one broker of the config under another client id, for at most so long.
pub async fn try_rights(
    config: &UplinkConfig,
    address: &BrokerAddress,
    rights: &Rights,
    within: Duration,
) -> Result<Tried, NoEntry> {
    let until = Instant::now() + within;
    let mut link = config
        .link(address.clone(), Habits::default())
        .map_err(|why| NoEntry {
            step: Step::Files,
            why,
        })?;
    link.client_id = format!("{}-doctor", config.client_id);
    let mut session = Some(Session::open(&link, until).await?);
    let (server, retain) = session
        .as_ref()
        .map_or((None, true), |s| (s.server, s.retain));
    let mut answers = Vec::new();
    let all = rights
        .subscribe
        .iter()
        .map(|topic| (topic, false))
        .chain(rights.publish.iter().map(|topic| (topic, true)));
    for (topic, is_publish) in all {
        if session.is_none() {
            // The last topic cost the connection.
            session = Session::open(&link, until).await.ok();
        }
        let is_fresh = session.as_ref().is_some_and(|open| open.last_id == 0);
        let mut asked = ask(&mut session, topic, is_publish).await;
        if asked.is_none() && !is_fresh {
            // It may be over what was asked before.
            session = Session::open(&link, until).await.ok();
            asked = ask(&mut session, topic, is_publish).await;
        }
        let closed = || Answer::Denied("the broker closes the connection over it".to_owned());
        let answer = asked.unwrap_or_else(closed);
        answers.push(Right {
            topic: topic.clone(),
            is_publish,
            answer,
        });
    }
    if let Some(session) = session {
        session.close().await;
    }
    Ok(Tried {
        server,
        rights: answers,
        retain,
    })
}

/// `None`: the broker closed the connection without a word.
async fn ask(session: &mut Option<Session>, topic: &str, is_publish: bool) -> Option<Answer> {
    let Some(open) = session else {
        return Some(Answer::Untried("no connection any more".to_owned()));
    };
    match open.ask(topic, is_publish).await {
        Ok(answer) => Some(answer),
        Err(ended) => {
            *session = None;
            ended
        }
    }
}

impl Session {
    async fn open(link: &LinkOptions, until: Instant) -> Result<Self, NoEntry> {
        let (wire, server) = connect(link, until).await?;
        let mut session = Self {
            wire,
            last_id: 0,
            unreleased_most: u16::MAX,
            unreleased: 0,
            received: BytesMut::new(),
            until,
            server,
            exactly_once: true,
            retain: true,
        };
        let refused = |step: Step, why: String| NoEntry { step, why };
        let connect = Connect {
            keep_alive: 60,
            client_id: link.client_id.clone(),
            clean_start: true,
            properties: None,
        };
        let login = link
            .address
            .user
            .as_ref()
            .map(|user| Login::new(user.name.as_str(), user.password.reveal()));
        let answer = match session.send(&Packet::Connect(connect, None, login)).await {
            Ok(()) => session.packet().await,
            Err(why) => Err(why),
        };
        match answer {
            Ok(Packet::ConnAck(ack)) if ack.code == ConnectReturnCode::Success => {
                let told = ack.properties.as_ref();
                session.exactly_once = told.and_then(|t| t.max_qos).is_none_or(|qos| qos == 2);
                session.unreleased_most = told.and_then(|t| t.receive_max).unwrap_or(u16::MAX);
                session.retain = told.and_then(|t| t.retain_available) != Some(0);
                Ok(session)
            }
            Ok(Packet::ConnAck(ack)) => Err(refused(Step::Login, connack_text(ack.code))),
            Ok(_) => Err(refused(
                Step::Network,
                "what answers is no MQTT 5 broker".to_owned(),
            )),
            Err(why) => Err(refused(Step::Network, why)),
        }
    }

    /// `Err`: the connection is over, with the answer if there was one.
    async fn ask(&mut self, topic: &str, is_publish: bool) -> Result<Answer, Option<Answer>> {
        if is_publish && !self.exactly_once {
            return Ok(Answer::Untried(
                "this broker takes no QoS 2, without which a trial would reach subscribers"
                    .to_owned(),
            ));
        }
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let packet = if is_publish {
            publish(topic, self.last_id)
        } else {
            subscribe(topic, self.last_id)
        };
        let broken = |why: String| match why.as_str() {
            CLOSED => None,
            _ => Some(Answer::Untried(why)),
        };
        self.send(&packet).await.map_err(broken)?;
        loop {
            match self.packet().await.map_err(broken)? {
                Packet::PubRec(answer) if is_publish => {
                    let answer = of_publish(answer.reason);
                    self.unreleased += u16::from(answer == Answer::Allowed);
                    // One more would break the protocol; and Mosquitto 2.0 closes some connections
                    // after a denial. The next trial begins anew.
                    let is_over =
                        answer != Answer::Allowed || self.unreleased >= self.unreleased_most;
                    return match is_over {
                        true => Err(Some(answer)),
                        false => Ok(answer),
                    };
                }
                Packet::SubAck(answer) if !is_publish => {
                    let first = answer.return_codes.first();
                    return Ok(match first.map(subscribed) {
                        Some(Ok(())) => Answer::Allowed,
                        Some(Err(refusal)) => Answer::Denied(refusal.why),
                        None => Answer::Untried("the broker's answer is empty".to_owned()),
                    });
                }
                Packet::Disconnect(end) => {
                    return Err(Some(match end.reason_code {
                        DisconnectReasonCode::NotAuthorized => {
                            Answer::Denied("not authorised; the broker disconnects".to_owned())
                        }
                        other => Answer::Untried(format!("disconnected by the broker: {other:?}")),
                    }));
                }
                // A command that came meanwhile is the agent's, and its own copy is not touched.
                _ => {}
            }
        }
    }

    async fn send(&mut self, packet: &Packet) -> Result<(), String> {
        let mut bytes = BytesMut::new();
        packet
            .write(&mut bytes, None)
            .map_err(|e| format!("a packet cannot be written: {e}"))?;
        match timeout_at(self.until, self.wire.write_all(&bytes)).await {
            Err(_) => Err(TOO_LATE.to_owned()),
            Ok(Err(e)) => Err(broken_off(&e)),
            Ok(Ok(())) => Ok(()),
        }
    }

    async fn packet(&mut self) -> Result<Packet, String> {
        loop {
            match Packet::read(&mut self.received, Some(LARGEST)) {
                Ok(packet) => return Ok(packet),
                Err(PacketError::InsufficientBytes(_)) => {}
                Err(e) => return Err(format!("what answers does not speak MQTT 5 ({e})")),
            }
            let read = self.wire.read_buf(&mut self.received);
            match timeout_at(self.until, read).await {
                Err(_) => return Err(TOO_LATE.to_owned()),
                Ok(Err(e)) => return Err(broken_off(&e)),
                Ok(Ok(0)) => return Err(CLOSED.to_owned()),
                Ok(Ok(_)) => {}
            }
        }
    }

    async fn close(mut self) {
        // It is over either way.
        let end = Disconnect::new(DisconnectReasonCode::NormalDisconnection);
        let _ = self.send(&Packet::Disconnect(end)).await;
        let _ = timeout_at(self.until, self.wire.shutdown()).await;
    }
}

const TOO_LATE: &str = "no answer in time";
const CLOSED: &str = "closed by the broker";

/// A reset is a close that came while something was on its way.
fn broken_off(error: &std::io::Error) -> String {
    match is_closed(error) {
        true => CLOSED.to_owned(),
        false => io_text(error),
    }
}

async fn connect(
    link: &LinkOptions,
    until: Instant,
) -> Result<(Box<dyn Wire>, Option<Dates>), NoEntry> {
    let network = |why: String| NoEntry {
        step: Step::Network,
        why,
    };
    let host = link.address.host.as_str();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = match timeout_at(until, TcpStream::connect((bare, link.address.port))).await {
        Err(_) => return Err(network(TOO_LATE.to_owned())),
        Ok(Err(e)) => return Err(network(io_text(&e))),
        Ok(Ok(stream)) => stream,
    };
    let Some(config) = &link.tls else {
        return Ok((Box::new(stream), None));
    };
    let tls = |why: String| NoEntry {
        step: Step::Tls,
        why,
    };
    let name = ServerName::try_from(bare.to_owned())
        .map_err(|e| tls(format!("`{bare}` is no name for a certificate: {e}")))?;
    let connector = TlsConnector::from(std::sync::Arc::clone(config));
    match timeout_at(until, connector.connect(name, stream)).await {
        Err(_) => Err(tls(TOO_LATE.to_owned())),
        Ok(Err(e)) => Err(tls(tls_text(&e))),
        Ok(Ok(stream)) => {
            let shown = stream.get_ref().1.peer_certificates();
            let dates = shown
                .and_then(|all| all.first())
                .and_then(|der| certificate::of_der(der));
            Ok((Box::new(stream), dates))
        }
    }
}

fn publish(topic: &str, id: u16) -> Packet {
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(EXPIRES_S),
        content_type: Some("text/plain".to_owned()),
        ..PublishProperties::default()
    };
    let mut publish = Publish::new(topic, QoS::ExactlyOnce, PAYLOAD, Some(properties));
    publish.pkid = id;
    Packet::Publish(publish)
}

fn subscribe(topic: &str, id: u16) -> Packet {
    let mut filter = Filter::new(topic, QoS::AtLeastOnce);
    filter.retain_forward_rule = RetainForwardRule::Never;
    let mut subscribe = Subscribe::new(filter, None);
    subscribe.pkid = id;
    Packet::Subscribe(subscribe)
}

fn of_publish(reason: PubRecReason) -> Answer {
    match reason {
        PubRecReason::Success | PubRecReason::NoMatchingSubscribers => Answer::Allowed,
        PubRecReason::NotAuthorized => Answer::Denied("not authorised".to_owned()),
        PubRecReason::TopicNameInvalid => {
            Answer::Denied("the broker takes no such topic name".to_owned())
        }
        PubRecReason::QuotaExceeded => Answer::Denied("the broker's quota is used up".to_owned()),
        other => Answer::Untried(format!("the broker answers {other:?}")),
    }
}
