//! A made-up agent: it seals as the outbox of a real one does, and keeps what it sent.

use chrono::{DateTime, Duration, FixedOffset};
use kakou_contract::seal::{Sealed, numbered};
use kakou_contract::{
    AuditEvent, AuditMessage, Envelope, EvictionReason, Evidence, HitMessage, HitState, Id, Keep,
    Message, PassageMessage, Priority, PublicKey, SchemaVersion, SigningKey, StatusMessage,
    live_id,
};
use kakou_uplink::{BrokerAddress, Call, CallEvent, Caller, CallerConfig, Received};

pub const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../contract/golden");

fn golden<M: Message>(name: &str) -> M {
    M::from_json(&std::fs::read(format!("{GOLDEN}/{name}.json")).unwrap()).unwrap()
}

pub struct Agent {
    pub site: Id,
    pub agent: Id,
    pub key: SigningKey,
    pub sequence: u64,
    pub previous: [u8; 32],
    pub now: DateTime<FixedOffset>,
}

impl Agent {
    pub fn new(site: &str, seed: u8) -> Self {
        Self {
            site: site.parse().unwrap(),
            agent: "box-1".parse().unwrap(),
            key: SigningKey::from_bytes(&[seed; 32]),
            sequence: 0,
            previous: [0; 32],
            // A day whose partition is made: today.
            #[allow(clippy::disallowed_methods)]
            now: chrono::Utc::now().fixed_offset(),
        }
    }

    /// Time goes on.
    fn tick(&mut self) -> DateTime<FixedOffset> {
        self.now += Duration::milliseconds(10);
        self.now
    }

    /// As it goes over the wire.
    pub fn seal(&mut self, envelope: Envelope) -> Received {
        self.sequence += 1;
        let payload = envelope.payload.to_vec();
        let payload = match envelope.numbered {
            true => numbered(payload, self.sequence),
            false => payload,
        };
        let sealed = Sealed {
            previous: &self.previous,
            sequence: self.sequence,
            id: &envelope.id,
            topic: &envelope.topic,
            content_type: envelope.content_type.as_deref(),
            payload: &payload,
        };
        let seal = sealed.seal(&self.key);
        self.previous = seal.hash;
        let mut user_properties = envelope.user_properties;
        user_properties.extend(seal.to_properties());
        Received {
            topic: envelope.topic,
            payload,
            content_type: envelope.content_type,
            user_properties,
            retained: envelope.retain,
            ..Received::default()
        }
    }

    pub fn status(&mut self) -> Received {
        self.status_with(|_| {})
    }

    pub fn status_with(&mut self, change: impl FnOnce(&mut StatusMessage)) -> Received {
        let mut status: StatusMessage = golden("status-online");
        status.time = self.tick();
        status.id = live_id(status.time);
        status.site = self.site.clone();
        status.agent = self.agent.clone();
        status.public_key = Some(PublicKey::of(&self.key.verifying_key()));
        status.sequence = None;
        change(&mut status);
        self.seal(Envelope::of(&status, Priority::Control, Keep::Control).unwrap())
    }

    /// The last will, which the broker says and nobody seals.
    pub fn will(&mut self) -> Received {
        self.offline(kakou_contract::OfflineReason::ConnectionLost)
    }

    /// As an agent says it that is told to end: past its outbox, and not sealed either.
    pub fn goodbye(&mut self) -> Received {
        self.offline(kakou_contract::OfflineReason::Shutdown)
    }

    fn offline(&mut self, reason: kakou_contract::OfflineReason) -> Received {
        let mut status: StatusMessage = golden("status-offline");
        status.time = self.tick();
        status.id = live_id(status.time);
        status.site = self.site.clone();
        status.agent = self.agent.clone();
        status.reason = Some(reason);
        status.sequence = None;
        let envelope = Envelope::of(&status, Priority::Control, Keep::Control).unwrap();
        Received {
            topic: envelope.topic,
            payload: envelope.payload.to_vec(),
            content_type: envelope.content_type,
            user_properties: envelope.user_properties,
            retained: true,
            ..Received::default()
        }
    }

    pub fn passage_message(&mut self, plate: &str) -> PassageMessage {
        let mut message: PassageMessage = golden("passage");
        let was = message.time;
        message.time = self.tick();
        let moved = message.time - was;
        message.first_seen += moved;
        message.last_seen += moved;
        message.id = live_id(message.first_seen);
        message.site = self.site.clone();
        message.agent = self.agent.clone();
        message.sequence = None;
        for evidence in &mut message.evidence {
            evidence.captured_at = Some(message.time);
            evidence.topic = Some(format!(
                "kakou/v1/{}/{}/evidence/{}/{}",
                self.site, self.agent, message.id, evidence.role
            ));
        }
        if let Some(read) = &mut message.plate {
            read.text = plate.to_owned();
            let one = read.characters[0];
            read.characters = plate
                .chars()
                .map(|char| kakou_contract::Character { char, ..one })
                .collect();
            read.corrected.clear();
        }
        message
    }

    pub fn passage(&mut self, plate: &str) -> Received {
        let message = self.passage_message(plate);
        self.seal(Envelope::of(&message, Priority::Passage, Keep::Passage).unwrap())
    }

    /// A passage, and its picture with these bytes, as the passage promises it.
    pub fn with_picture(&mut self, plate: &str, bytes: &[u8]) -> (Received, Received) {
        use sha2::Digest as _;
        let mut message = self.passage_message(plate);
        message.evidence.truncate(1);
        let evidence = &mut message.evidence[0];
        evidence.bytes = bytes.len() as u64;
        evidence.sha256 = kakou_contract::Sha256Hex(sha2::Sha256::digest(bytes).into());
        let evidence = evidence.clone();
        let passage = Envelope::of(&message, Priority::Passage, Keep::Passage).unwrap();
        (self.seal(passage), self.picture(&message, &evidence, bytes))
    }

    pub fn picture(
        &mut self,
        message: &PassageMessage,
        evidence: &Evidence,
        bytes: &[u8],
    ) -> Received {
        let bytes = bytes.to_vec().into();
        self.seal(Envelope::picture(
            message.id,
            message,
            evidence,
            Keep::Passage,
            bytes,
        ))
    }

    /// A hit that is confirmed at once.
    pub fn hit(&mut self, plate: &str) -> Received {
        let mut message: HitMessage = golden("hit");
        let passage = self.passage_message(plate);
        message.id = live_id(passage.time);
        message.passage_id = passage.id;
        message.state = HitState::Confirmed;
        message.retraction = None;
        message.site = self.site.clone();
        message.agent = self.agent.clone();
        message.time = passage.time;
        message.decided_at = Some(passage.time);
        message.plate = passage.plate.unwrap();
        message.entry.plate = plate.to_owned();
        message.doubt.weakest = None;
        message.evidence = passage.evidence;
        message.sequence = None;
        self.seal(Envelope::of(&message, Priority::Hit, Keep::Hit).unwrap())
    }

    /// Says that these numbers will not come, which it never sends.
    pub fn evicted(&mut self, first: u64, last: u64) -> Received {
        let event = AuditEvent::Eviction {
            priority: Priority::Passage,
            reason: EvictionReason::Bytes,
            messages: last - first + 1,
            bytes: 1000,
            ranges: vec![[first, last]],
        };
        let message = AuditMessage {
            schema_version: SchemaVersion::CURRENT,
            id: live_id(self.tick()),
            site: self.site.clone(),
            agent: self.agent.clone(),
            time: self.now,
            event,
            sequence: None,
        };
        self.seal(Envelope::of(&message, Priority::Control, Keep::Control).unwrap())
    }
}

/// Publishes as they are, and returns when the broker has them. A [`Caller`] sends JSON that is not
/// kept; `mosquitto_pub` sends the others.
pub async fn publish(broker: &BrokerAddress, messages: &[Received]) {
    for message in messages {
        if message.retained || message.content_type.as_deref() != Some("application/json") {
            publish_by_client(broker, message).await;
            continue;
        }
        let mut caller = connect(broker).await;
        let call = Call {
            topic: message.topic.clone(),
            payload: message.payload.clone(),
            user_properties: message.user_properties.clone(),
            expires_s: 3600,
            ..Call::default()
        };
        caller.send(&call).unwrap();
        loop {
            match caller.next().await.unwrap() {
                CallEvent::Taken | CallEvent::NobodyListens => break,
                CallEvent::Message(_) => {}
                other => panic!("{other:?}"),
            }
        }
        caller.close().await;
    }
}

pub async fn connect(broker: &BrokerAddress) -> Caller {
    let config = CallerConfig {
        client_id: format!("test-{}", uuid::Uuid::now_v7().simple()),
        filters: Vec::new(),
        max_packet: 1 << 20,
        tls: kakou_uplink::TlsFiles::default(),
    };
    Caller::connect(broker.clone(), config, super::PATIENCE)
        .await
        .unwrap()
}

async fn publish_by_client(broker: &BrokerAddress, message: &Received) {
    let mut command = tokio::process::Command::new("mosquitto_pub");
    command
        .args([
            "-V",
            "5",
            "-q",
            "1",
            "-h",
            &broker.host,
            "-p",
            &broker.port.to_string(),
        ])
        .args(["-t", &message.topic, "-s"])
        .args([
            "-D",
            "publish",
            "content-type",
            message.content_type.as_deref().unwrap(),
        ])
        .stdin(std::process::Stdio::piped());
    if message.retained {
        command.arg("-r");
    }
    for (name, value) in &message.user_properties {
        command.args(["-D", "publish", "user-property", name, value]);
    }
    let mut child = command.spawn().unwrap();
    use tokio::io::AsyncWriteExt as _;
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&message.payload).await.unwrap();
    drop(stdin);
    assert!(child.wait().await.unwrap().success());
}
