//! Why a connection ended: in words for people, and in kinds for the driver.

use rumqttc::TlsError;
use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::v5::{ConnectionError, StateError, mqttbytes};

use crate::suspicion::Blame;

/// Why a connection ended.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    pub(crate) why: String,
    pub(crate) kind: LossKind,
    pub(crate) blame: Blame,
}

/// Who has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LossKind {
    /// It may heal by itself.
    Network,
    /// The broker does not let us in.
    Refused,
    /// A certificate does not fit.
    Tls,
    /// Another client took our place: it is connected under our client id.
    TakenOver,
    /// It keeps no retained messages, and our will is to be one.
    NoRetain,
    /// It takes no will of our QoS.
    NoQos,
}

impl Loss {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            kind: LossKind::Network,
            blame: Blame::Nobody,
        }
    }

    pub(crate) fn tls(why: impl Into<String>) -> Self {
        Self {
            kind: LossKind::Tls,
            ..Self::new(why)
        }
    }
}

pub(super) fn loss(error: &ConnectionError) -> Loss {
    let why = match error {
        ConnectionError::Io(error) => io_text(error),
        ConnectionError::Timeout(_) => "no answer to the connection request".to_owned(),
        ConnectionError::ConnectionRefused(code) => connack_text(*code),
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
        ConnectionError::Tls(TlsError::Io(error)) => tls_text(error),
        ConnectionError::Tls(error) => error.to_string(),
        ConnectionError::NotConnAck(_) => {
            "the answer to the connection request is no CONNACK".to_owned()
        }
        other => other.to_string(),
    };
    // What a broker says is shown to people.
    Loss {
        why: kakou_guard::presentable(&why),
        kind: loss_kind(error),
        blame: blame(error),
    }
}

/// Why a broker that answered does not let us in.
pub(super) fn connack_text(code: ConnectReturnCode) -> String {
    match code {
        ConnectReturnCode::BadUserNamePassword => "user name or password refused".to_owned(),
        ConnectReturnCode::NotAuthorized => "not authorised to connect".to_owned(),
        other => format!("connection refused by the broker: {other:?}"),
    }
}

fn loss_kind(error: &ConnectionError) -> LossKind {
    use ConnectReturnCode as Code;
    match error {
        ConnectionError::ConnectionRefused(Code::RetainNotSupported) => LossKind::NoRetain,
        ConnectionError::ConnectionRefused(Code::QoSNotSupported) => LossKind::NoQos,
        ConnectionError::MqttState(StateError::ServerDisconnect {
            reason_code: DisconnectReasonCode::SessionTakenOver,
            ..
        }) => LossKind::TakenOver,
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
pub(super) fn tls_text(io: &std::io::Error) -> String {
    use tokio_rustls::rustls::{CertificateError as Bad, Error as Tls};
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
            // What `openssl x509 -req` makes without a file of extensions.
            other if other.to_string().contains("UnsupportedCertVersion") => {
                "the broker's certificate is of version 1, which is not taken any more; make one \
                 of version 3, with the broker's name as subjectAltName"
                    .to_owned()
            }
            other => format!("the broker's certificate is not good: {other}"),
        },
        Some(Tls::InvalidMessage(_)) => {
            "what answers does not speak TLS; is this the port without TLS (mqtt://)?".to_owned()
        }
        Some(other) => other.to_string(),
        None => io.to_string(),
    }
}

pub(super) fn io_text(error: &std::io::Error) -> String {
    use tokio_rustls::rustls::{AlertDescription as Alert, Error as Tls};
    match rustls_error(error) {
        Some(Tls::AlertReceived(Alert::CertificateRequired)) => {
            "the broker asks for a client certificate".to_owned()
        }
        Some(Tls::AlertReceived(alert)) => format!("the broker refused our side of TLS: {alert:?}"),
        _ => error.to_string(),
    }
}

/// Whom an end speaks against. A code that has nothing to do with what was sent, such as a server
/// that shuts down or a session taken over, blames nobody.
fn blame(error: &ConnectionError) -> Blame {
    use DisconnectReasonCode as Code;
    const SILENT: Blame = Blame::Perhaps { with_reason: false };
    match error {
        ConnectionError::MqttState(StateError::ServerDisconnect { reason_code, .. }) => {
            match reason_code {
                Code::NotAuthorized => Blame::NotAuthorised,
                Code::MalformedPacket
                | Code::ProtocolError
                | Code::TopicNameInvalid
                | Code::PacketTooLarge
                | Code::PayloadFormatInvalid
                | Code::RetainNotSupported
                | Code::QoSNotSupported => Blame::Packet,
                Code::QuotaExceeded
                | Code::AdministrativeAction
                | Code::UnspecifiedError
                | Code::ImplementationSpecificError => Blame::Perhaps { with_reason: true },
                _ => Blame::Nobody,
            }
        }
        // A PUBACK with a reason that rumqttc does not know (Mosquitto says 0x95, packet too large,
        // with a PUBACK): the connection breaks without telling which packet id it was. The error's
        // name is rumqttc's slip, it comes from PUBACK and DISCONNECT too.
        ConnectionError::MqttState(StateError::Deserialization(
            mqttbytes::Error::InvalidConnectReturnCode(_),
        )) => Blame::Packet,
        // Closed or reset by the other side. A network that fails looks the same.
        ConnectionError::MqttState(StateError::ConnectionAborted) => SILENT,
        ConnectionError::Io(error)
        | ConnectionError::MqttState(
            StateError::Io(error) | StateError::Deserialization(mqttbytes::Error::Io(error)),
        ) if is_closed(error) => SILENT,
        _ => Blame::Nobody,
    }
}

pub(super) fn is_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof
    )
}
