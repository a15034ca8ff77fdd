//! What is said to be an agent's: topics, messages, seals, and the chain they make.

use kakou_contract::seal::{GENESIS, Sealed, digest, digest_numbered, marked_late, numbered};
use kakou_contract::{
    Attributes, AuditMessage, Continuity, HitMessage, Message, PassageMessage, Ranges,
    ResultMessage, Seal, Sequence, SigningKey, StatusMessage, Topic,
};
use kakou_sight::camera::CameraAddress;
use kakou_uplink::{BrokerAddress, Received};

use crate::{PASSWORD, SEPARATOR, is_presentable};

/// A message of an agent. The first byte chooses its kind, the rest is the payload.
pub fn messages(data: &[u8]) {
    let Some((first, payload)) = data.split_first() else {
        return;
    };
    match first % 5 {
        0 => message::<PassageMessage>(payload),
        1 => message::<HitMessage>(payload),
        2 => message::<StatusMessage>(payload),
        3 => message::<AuditMessage>(payload),
        _ => message::<ResultMessage>(payload),
    }
}

fn message<M: Message>(payload: &[u8]) {
    let message = match M::from_json(payload) {
        Ok(message) => message,
        Err(error) => return drop(error.to_string()),
    };
    let topic = message.topic();
    assert_eq!(topic.to_string().parse(), Ok(topic));
    let attributes: Attributes = message.attributes();
    assert!(!attributes.user_properties().is_empty());
    let Ok(written) = message.to_json() else {
        unreachable!("what was read can be written");
    };
    // Times are written in milliseconds.
    match M::from_json(&written).and_then(|again| again.to_json()) {
        Ok(again) => assert_eq!(again, written),
        Err(error) => unreachable!("what was written is not read: {error}"),
    }
    sealed(written, &topic_of(&message));
}

fn topic_of<M: Message>(message: &M) -> String {
    message.topic().to_string()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

/// What is sealed verifies, late or not, and is the digest of what had no number yet.
fn sealed(payload: Vec<u8>, topic: &str) {
    let before = digest(&payload);
    let with_number = numbered(payload, 41);
    assert_eq!(digest_numbered(&with_number, 41), before);
    let seal = Sealed {
        previous: &GENESIS,
        sequence: 41,
        id: "id",
        topic,
        content_type: None,
        payload: &with_number,
    }
    .seal(&key());
    let read = Seal::from_properties(&seal.to_properties());
    assert_eq!(read.as_ref(), Ok(&seal));
    let late = marked_late(with_number);
    let verdict = seal.verify(&key().verifying_key(), topic, "id", None, &late);
    assert_eq!(verdict, Ok(()));
}

/// User properties, a line each, and a payload behind a separator.
pub fn seals(data: &[u8]) {
    let mut parts = data.splitn(2, |b| *b == SEPARATOR);
    let properties = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let payload = parts.next().unwrap_or_default();
    let properties: Vec<(String, String)> = properties
        .lines()
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    match Seal::from_properties(&properties) {
        Ok(seal) => {
            assert_eq!(
                Seal::from_properties(&seal.to_properties()),
                Ok(seal.clone())
            );
            let verdict = seal.verify(&key().verifying_key(), "t", "id", None, payload);
            let _ = verdict.map_err(|error| error.to_string());
        }
        Err(error) => drop(error.to_string()),
    }
}

/// Messages and reports in any order with any numbers. Each step has 11 bytes: what it is, a number,
/// and how that number goes on.
pub fn continuity(data: &[u8]) {
    let mut chain = Continuity::new();
    let mut ranges = Ranges::new();
    for step in data.chunks_exact(11).take(200) {
        let [kind, number @ .., more, hash] = step else {
            return;
        };
        let number = number.iter().fold(0, |n: u64, b| (n << 8) | u64::from(*b));
        let to = number.saturating_add(u64::from(*more));
        match kind % 4 {
            0 => drop(chain.message(number, &[*more; 32], &[*hash; 32])),
            1 => chain.gone(number, to),
            2 => chain.forget(u64::from(*more)),
            _ => ranges.insert(number, to),
        }
        assert!(chain.complete_to() <= chain.highest());
        for [first, last] in chain.gaps() {
            assert!(first <= last && last < chain.highest());
            assert!(first > chain.complete_to());
        }
        let mut after = None;
        for [first, last] in ranges.pairs() {
            assert!(first <= last && after.is_none_or(|after| first > after));
            assert!(ranges.contains(first) && ranges.contains(last));
            after = Some(last);
        }
        let _ = (ranges.count(), ranges.gaps_from(number));
    }
}

/// A topic, and the payload behind a separator.
pub fn topics(data: &[u8]) {
    let mut parts = data.splitn(2, |b| *b == SEPARATOR);
    let topic = String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    match topic.parse::<Topic>() {
        Ok(known) => assert_eq!(known.to_string(), topic, "two topics for one"),
        Err(error) => assert!(is_presentable(&error.to_string()), "{error:?}"),
    }
    let received = Received {
        topic,
        payload: parts.next().unwrap_or_default().to_vec(),
        ..Received::default()
    };
    let _ = received.read().map_err(|error| error.to_string());
    let _ = serde_json::from_slice::<Sequence>(&received.payload);
}

/// A broker's or a camera's address, as a person writes it. No error shows the password.
pub fn addresses(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let hidden = text.replace("PASSWORD", PASSWORD);
    let has_one = hidden.matches(PASSWORD).count() == 1;
    let as_broker = match hidden.parse::<BrokerAddress>() {
        Ok(address) => format!("{address} {address:?}"),
        Err(error) => error.to_string(),
    };
    let as_camera = match hidden.parse::<CameraAddress>() {
        Ok(address) => format!("{address} {address:?}"),
        Err(error) => error.to_string(),
    };
    // Only where it stands as one: `mqtt://PASSWORD` names a host.
    if has_one && hidden.contains(&format!("://user:{PASSWORD}@")) {
        assert!(!as_broker.contains(PASSWORD), "{as_broker}");
        assert!(!as_camera.contains(PASSWORD), "{as_camera}");
    }
}
