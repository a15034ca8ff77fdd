//! A first message of a box, before its agent runs: proof for both sides that its account and its
//! rights at the broker are right.
//!
//! It is an answer without a question, on a topic of its own below the agent's `result`, which the
//! shipped rights let the box write and the platform read. It has no number and is in no outbox, so
//! that neither the agent's sequence nor its chain knows of it; and it goes out under a client id
//! of its own, so that an agent in service is not thrown out.

use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, FixedOffset};
use kakou_contract::{Id, Message, ResultCode, ResultMessage, SchemaVersion, Topic, live_id};
use kakou_guard::Secret;
use kakou_uplink::{Call, CallEvent, Caller, CallerConfig, User};
use tokio::time::timeout;

use crate::config::{BrokerConfig, Config};

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Heard,
    /// The broker has nobody to give it to.
    Unheard,
}

/// The last level of its topic, and the command that it names.
const SETUP: &str = "setup";
/// The broker says nothing more to us than that it took the message.
const LARGEST: u32 = 64 << 10;

fn message(site: Id, agent: Id, now: DateTime<FixedOffset>) -> anyhow::Result<ResultMessage> {
    Ok(ResultMessage {
        schema_version: SchemaVersion::CURRENT,
        id: live_id(now),
        site,
        agent,
        time: now,
        request_id: None,
        command: Id::new("command", SETUP)?,
        ok: true,
        code: ResultCode::Done,
        detail: Some("kakou setup reached the broker; nobody had asked for anything".to_owned()),
        data: None,
        sequence: None,
    })
}

/// Publishes it at the first broker that lets us in; the topic, and who heard it.
pub async fn tell_platform(
    config: &Config,
    now: DateTime<FixedOffset>,
    within: Duration,
) -> anyhow::Result<(String, Sent)> {
    let (site, agent) = (
        Id::new("site", config.site.as_str())?,
        Id::new("agent", config.agent.as_str())?,
    );
    let broker = config
        .broker
        .as_ref()
        .context("the config names no broker")?;
    let own = Topic::Result {
        site: site.clone(),
        agent: agent.clone(),
    };
    let message = message(site.clone(), agent.clone(), now)?;
    let call = Call {
        topic: format!("{own}/{SETUP}"),
        payload: message.to_json()?,
        user_properties: message.attributes().user_properties(),
        response_topic: None,
        correlation: None,
        expires_s: 600,
    };
    let caller = CallerConfig {
        client_id: format!("kakou-{site}-{agent}-{SETUP}"),
        // Whoever listens is somebody else: so the broker's answer says whether anybody does.
        filters: Vec::new(),
        max_packet: LARGEST,
        tls: broker.tls.clone(),
    };
    let sent = timeout(within, publish(broker, &caller, &call, within)).await;
    Ok((
        call.topic.clone(),
        sent.context("the broker did not answer in time")??,
    ))
}

async fn publish(
    broker: &BrokerConfig,
    config: &CallerConfig,
    call: &Call,
    within: Duration,
) -> anyhow::Result<Sent> {
    let mut why = anyhow::anyhow!("the config names no broker");
    for address in &broker.addresses {
        let mut address = address.clone();
        if let (None, Some(login)) = (&address.user, &broker.login) {
            address.user = Some(User {
                name: login.user.clone(),
                password: match &login.password_file {
                    Some(file) => Secret::from_file(file)?,
                    None => Secret::new(""),
                },
            });
        }
        let mut caller = match Caller::connect(address, config.clone(), within).await {
            Ok(caller) => caller,
            Err(e) => {
                why = e.into();
                continue;
            }
        };
        caller.send(call)?;
        let sent = loop {
            match caller.next().await? {
                CallEvent::Taken => break Sent::Heard,
                CallEvent::NobodyListens => break Sent::Unheard,
                CallEvent::NotTaken { why, .. } => bail!("{}: {why}", call.topic),
                CallEvent::Message(_) => {}
            }
        };
        caller.close().await;
        return Ok(sent);
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_time::{Clock, SystemClock};

    use super::*;

    #[test]
    fn it_is_a_message_of_the_contract_without_a_number() {
        let id = |text| Id::new("id", text).unwrap();
        let now = SystemClock::new().wall();
        let written = message(id("west"), id("box-7"), now)
            .unwrap()
            .to_json()
            .unwrap();
        let read = ResultMessage::from_json(&written).unwrap();
        assert_eq!((read.sequence, read.request_id), (None, None));
        assert_eq!(read.command.as_str(), SETUP);
    }
}
