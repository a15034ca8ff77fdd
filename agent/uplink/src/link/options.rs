//! What a connection needs to know before it begins.

use std::sync::Arc;
use std::time::Duration;

use kakou_contract::Envelope;
use rumqttc::v5::MqttOptions;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{LastWill, LastWillProperties};
use rumqttc::{TlsConfiguration, Transport};
use tokio_rustls::rustls::ClientConfig;

use crate::address::BrokerAddress;

/// rumqttc refuses a shorter keep-alive by a panic.
const KEEP_ALIVE_LEAST: Duration = Duration::from_secs(5);

/// What a broker was found not to take, though others do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Habits {
    /// It keeps no retained messages, and refuses a connection whose will is to be one.
    pub(crate) no_retain: bool,
    /// It takes QoS 0 alone for a will.
    pub(crate) no_qos: bool,
}

#[derive(Clone)]
pub(crate) struct LinkOptions {
    pub(crate) address: BrokerAddress,
    pub(crate) client_id: String,
    pub(crate) keep_alive: Duration,
    pub(crate) connect_timeout: Duration,
    /// The largest packet this side takes.
    pub(crate) max_packet: u32,
    pub(crate) window: u16,
    /// Some: the broker keeps subscriptions and undelivered messages that long after a loss.
    pub(crate) keep_session: Option<Duration>,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// What the broker says for us when we are gone without a goodbye.
    pub(crate) will: Option<Envelope>,
    pub(crate) habits: Habits,
    /// Some: received messages are acknowledged one by one with `Link::acknowledge`, and the broker
    /// sends at most so many that are not.
    pub(crate) unacknowledged: Option<u16>,
}

pub(super) fn keep_alive(options: &LinkOptions) -> Duration {
    options.keep_alive.max(KEEP_ALIVE_LEAST)
}

pub(super) fn mqtt_options(options: &LinkOptions) -> MqttOptions {
    let address = &options.address;
    let mut mqtt = MqttOptions::new(&options.client_id, &address.host, address.port);
    mqtt.set_keep_alive(keep_alive(options));
    mqtt.set_connection_timeout(options.connect_timeout.as_secs().max(1));
    mqtt.set_clean_start(options.keep_session.is_none());
    mqtt.set_max_packet_size(Some(options.max_packet));
    mqtt.set_outgoing_inflight_upper_limit(options.window);
    if let Some(kept) = options.keep_session {
        mqtt.set_session_expiry_interval(Some(u32::try_from(kept.as_secs()).unwrap_or(u32::MAX)));
    }
    if options.unacknowledged.is_some() {
        mqtt.set_manual_acks(true);
        mqtt.set_receive_maximum(options.unacknowledged);
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
            if options.habits.no_qos {
                QoS::AtMostOnce
            } else {
                QoS::AtLeastOnce
            },
            will.retain && !options.habits.no_retain,
            Some(properties),
        ));
    }
    if let Some(user) = &address.user {
        mqtt.set_credentials(&user.name, user.password.reveal());
    }
    mqtt
}
