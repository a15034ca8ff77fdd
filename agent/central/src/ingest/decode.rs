//! From what the broker gave to a row, or to the reason why it is kept apart. Pure.
//!
//! A message is believed when its topic is one of the contract's, its seal was made with the pinned
//! key of the agent that the topic names, and its payload keeps every bound and says itself that it
//! belongs there. What is not believed is never dropped: it is kept apart with its reason, as it
//! came.

use std::panic::{AssertUnwindSafe, catch_unwind};

use chrono::{DateTime, FixedOffset};
use kakou_contract::seal::{SealError, all_signed};
use kakou_contract::{
    AgentState, AuditMessage, HitMessage, Id, Message, MessageError, PassageMessage, PublicKey,
    ResultMessage, Seal, Sha256Hex, SignalMessage, StatusMessage, Topic, VerifyingKey,
};
use kakou_uplink::Received;
use sha2::{Digest as _, Sha256};

use super::agents::{Known, Name};
use super::rows::{Frame, Picture, Row};

/// A message that is believed.
#[derive(Debug, Clone)]
pub struct Believed {
    pub frame: Frame,
    pub row: Row,
}

/// Why a message is kept apart. The words of the column `quarantine.reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// The agent has no pinned key yet: believed or not when it has.
    NoKey,
    NotSealed,
    Forged,
    /// A birth message that is sealed by the key that it names itself, which is not the pinned one.
    KeyChanged,
    /// It says that it belongs on another topic.
    Elsewhere,
    Unreadable,
    UnknownTopic,
    /// The database does not take it.
    Unstorable,
}

impl Doubt {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoKey => "no_key",
            Self::NotSealed => "not_sealed",
            Self::Forged => "forged",
            Self::KeyChanged => "key_changed",
            Self::Elsewhere => "elsewhere",
            Self::Unreadable => "unreadable",
            Self::UnknownTopic => "unknown_topic",
            Self::Unstorable => "unstorable",
        }
    }

    /// Somebody has to look at it. That a key is not known yet mends itself.
    pub const fn is_alarm(self) -> bool {
        !matches!(self, Self::NoKey)
    }
}

/// A message that is kept apart, as it came.
#[derive(Debug, Clone)]
pub struct Apart {
    /// Of a topic that names none: nobody's.
    pub agent: Option<i32>,
    pub doubt: Doubt,
    pub detail: String,
    pub message: Received,
    /// Of a message whose seal is right: its number has come, and is no gap.
    pub seal: Option<(i64, Vec<u8>, Vec<u8>)>,
}

/// Which agent a topic names. Answers may go below an agent's own topic for results, which the
/// contract's topics do not list.
pub fn topic(text: &str) -> Option<(Topic, Name)> {
    let parsed = text.parse::<Topic>().ok().or_else(|| {
        let (before, below) = text.split_once("/result/")?;
        let fits = !below.is_empty() && !below.contains(['+', '#']);
        let parsed: Topic = format!("{before}/result").parse().ok()?;
        fits.then_some(parsed)
    })?;
    let name = (parsed.site().clone(), parsed.agent().clone());
    Some((parsed, name))
}

/// The key of a birth message that is sealed with that same key: who pins it, trusts the first who
/// speaks.
pub fn birth_key(message: &Received) -> Option<VerifyingKey> {
    let status = StatusMessage::from_json(&message.payload).ok()?;
    let key = status.public_key?.key().ok()?;
    let seal = Seal::from_properties(&message.user_properties).ok()?;
    check_content(&seal, message).ok()?;
    seal.check_signature(&key).ok()?;
    Some(key)
}

fn property<'a>(message: &'a Received, name: &str) -> Option<&'a str> {
    let mut all = message.user_properties.iter();
    all.find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

fn check_content(seal: &Seal, message: &Received) -> Result<(), SealError> {
    let id = property(message, "id").unwrap_or_default();
    let content_type = message.content_type.as_deref();
    seal.check_content(&message.topic, id, content_type, &message.payload)
}

/// A message with the agent that its topic names; `None`: the topic names none.
pub type Named = (Received, Option<(Topic, Known)>);

/// Of so few signatures, among which one is wrong, each is checked by itself.
const FEW: usize = 32;

/// Believes each, or says why not, in their order. Signatures are checked together, which takes half
/// the time.
pub fn decode(messages: Vec<Named>) -> Vec<Result<Believed, Box<Apart>>> {
    let seals: Vec<_> = messages.iter().map(seal).collect();
    let signed = signed(&messages, &seals);
    let each = messages.into_iter().zip(seals).zip(signed);
    each.map(|(((message, known), seal), signed)| decode_one(message, known, seal, signed))
        .collect()
}

/// The seal that a message has, with everything right about it but maybe its signature.
fn seal((message, known): &Named) -> Result<Option<Seal>, SealError> {
    let seal = match Seal::from_properties(&message.user_properties) {
        Ok(seal) => seal,
        Err(SealError::None) => return Ok(None),
        Err(error) => return Err(error),
    };
    // Without a pinned key nothing is said about it yet.
    if let Some((_, Known { key: Some(_), .. })) = known {
        check_content(&seal, message)?;
    }
    Ok(Some(seal))
}

/// What each signature is worth; of what has none to check, all is well.
fn signed(
    messages: &[Named],
    seals: &[Result<Option<Seal>, SealError>],
) -> Vec<Result<(), SealError>> {
    let mut said = vec![Ok(()); messages.len()];
    let pairs = messages.iter().zip(seals).enumerate();
    let pairs: Vec<(usize, (&Seal, &VerifyingKey))> = pairs
        .filter_map(|(at, ((_, known), seal))| {
            let (_, known) = known.as_ref()?;
            let seal = seal.as_ref().ok()?.as_ref()?;
            Some((at, (seal, known.key.as_ref()?)))
        })
        .collect();
    check(&pairs, &mut said);
    said
}

/// Signatures of a batch are checked together; where one is wrong, each half of them.
fn check(pairs: &[(usize, (&Seal, &VerifyingKey))], said: &mut [Result<(), SealError>]) {
    let together: Vec<_> = pairs.iter().map(|(_, pair)| *pair).collect();
    if pairs.is_empty() || all_signed(&together) {
        return;
    }
    if pairs.len() > FEW {
        let (first, second) = pairs.split_at(pairs.len() / 2);
        check(first, said);
        check(second, said);
        return;
    }
    for (at, (seal, key)) in pairs {
        if let Some(said) = said.get_mut(*at) {
            *said = seal.check_signature(key);
        }
    }
}

fn decode_one(
    message: Received,
    known: Option<(Topic, Known)>,
    seal: Result<Option<Seal>, SealError>,
    signed: Result<(), SealError>,
) -> Result<Believed, Box<Apart>> {
    let apart = |message: Received, doubt, detail: String, agent, seal: Option<&Seal>| {
        let seal = seal.and_then(|seal| {
            let number = i64::try_from(seal.sequence).ok()?;
            Some((number, seal.previous.to_vec(), seal.hash.to_vec()))
        });
        Err(Box::new(Apart {
            agent,
            doubt,
            detail,
            message,
            seal,
        }))
    };
    let Some((topic, known)) = &known else {
        let detail = format!("topic {:?} is none of the contract's", message.topic);
        return apart(message, Doubt::UnknownTopic, detail, None, None);
    };
    let agent = Some(known.id);
    let seal = match seal {
        Ok(seal) => seal,
        Err(error) => return apart(message, Doubt::Forged, error.to_string(), agent, None),
    };
    match (&seal, &known.key) {
        (Some(_), None) => {
            let detail = "the agent has no pinned key yet".to_owned();
            return apart(message, Doubt::NoKey, detail, agent, None);
        }
        (Some(_), Some(key)) => {
            if let Err(error) = signed {
                let own = match topic {
                    Topic::Status { .. } => birth_key(&message).filter(|own| own != key),
                    _ => None,
                };
                let (doubt, detail) = match own {
                    Some(own) => {
                        let (own, pinned) = (PublicKey::of(&own), PublicKey::of(key));
                        let detail = format!(
                            "born with the key {}, and {} is pinned",
                            own.base64, pinned.base64
                        );
                        (Doubt::KeyChanged, detail)
                    }
                    None => (Doubt::Forged, error.to_string()),
                };
                return apart(message, doubt, detail, agent, None);
            }
        }
        // The broker says the last will, and it cannot seal; an agent's last word goes past its
        // outbox.
        (None, _) if is_goodbye(topic, &message) => {}
        // A box whose outbox has failed tells its hits past it: better told unsealed than not at all.
        // That is an alarm, and the row shows that it has no seal.
        (None, _) if matches!(topic, Topic::Hit { .. }) => {}
        (None, _) => {
            return apart(
                message,
                Doubt::NotSealed,
                SealError::None.to_string(),
                agent,
                None,
            );
        }
    }
    let row = match without_panic(|| row(topic, &message)) {
        Ok(row) => row,
        Err(error) => {
            return apart(message, Doubt::Unreadable, error, agent, seal.as_ref());
        }
    };
    let Some(event_id) = property(&message, "id").map(str::to_owned) else {
        let detail = "user property id is missing".to_owned();
        return apart(message, Doubt::Unreadable, detail, agent, seal.as_ref());
    };
    let time = match row.time() {
        Some(time) => Some(time),
        None => picture_time(topic, &message),
    };
    let Some(time) = time else {
        let detail =
            "neither its owner's id nor the user property time says when it was".to_owned();
        return apart(message, Doubt::Unreadable, detail, agent, seal.as_ref());
    };
    if let Some(claimed) = elsewhere(topic, &row) {
        let detail = format!("the message says it belongs on {claimed}");
        return apart(message, Doubt::Elsewhere, detail, agent, seal.as_ref());
    }
    let frame = Frame::new(
        known.id,
        event_id,
        time,
        seal.as_ref(),
        message.payload.into(),
    );
    Ok(Believed { frame, row })
}

/// A picture belongs to the time at which its owner's vehicle was first seen, which the id says: the
/// topic, with the id in it, is sealed, and the property `time` is not. An id that says no time
/// leaves the property.
fn picture_time(topic: &Topic, message: &Received) -> Option<DateTime<FixedOffset>> {
    let Topic::Evidence { passage, .. } = topic else {
        return None;
    };
    let (seconds, nanoseconds) = match passage.get_timestamp() {
        Some(time) => time.to_unix(),
        None => {
            let time = property(message, "time")?;
            return DateTime::parse_from_rfc3339(time).ok();
        }
    };
    let time = DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanoseconds)?;
    Some(time.fixed_offset())
}

/// Whoever may publish in an agent's name can say that it is gone, and nothing else, without a seal.
fn is_goodbye(topic: &Topic, message: &Received) -> bool {
    matches!(topic, Topic::Status { .. })
        && StatusMessage::from_json(&message.payload)
            .is_ok_and(|status| status.state == AgentState::Offline)
}

/// A panic is a bug. It costs the message that brought it its row, and no other message anything.
fn without_panic<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err("this program failed on it, which is a bug; its log says where".to_owned())
    })
}

fn row(topic: &Topic, message: &Received) -> Result<Row, String> {
    fn read<M: Message>(message: &Received) -> Result<Box<M>, String> {
        let read = M::from_json(&message.payload);
        read.map(Box::new).map_err(|e: MessageError| e.to_string())
    }
    Ok(match topic {
        Topic::Passage { .. } => Row::Passage(read::<PassageMessage>(message)?),
        Topic::Hit { .. } => Row::Hit(read::<HitMessage>(message)?),
        Topic::Signal { .. } => Row::Signal(read::<SignalMessage>(message)?),
        Topic::Status { .. } => Row::Status(read::<StatusMessage>(message)?),
        Topic::Audit { .. } => Row::Audit(read::<AuditMessage>(message)?),
        Topic::Result { .. } => Row::Result(read::<ResultMessage>(message)?),
        Topic::Evidence {
            site,
            agent,
            passage,
            role,
        } => {
            let content_type = message.content_type.clone();
            let content_type = content_type.ok_or("a picture without a content type")?;
            let time = picture_time(topic, message).ok_or("a picture without a time")?;
            let day = time.to_utc().format("%Y-%m-%d").to_string();
            Row::Picture(Picture {
                owner: *passage,
                role: role.to_string(),
                sha256: Sha256Hex(Sha256::digest(&message.payload).into()),
                object: object(
                    &day,
                    site,
                    agent,
                    &passage.to_string(),
                    role.as_str(),
                    &content_type,
                ),
                content_type,
            })
        }
        Topic::Command { .. } | Topic::List { .. } => {
            return Err("what the platform says itself is not taken in".to_owned());
        }
    })
}

/// Where a picture lies: by day, so that a day can be deleted.
fn object(day: &str, site: &Id, agent: &Id, owner: &str, role: &str, content_type: &str) -> String {
    let end = match content_type {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        _ => "bin",
    };
    format!("{day}/{site}/{agent}/{owner}/{role}.{end}")
}

/// The topic that the message names itself, where that is another one.
fn elsewhere(topic: &Topic, row: &Row) -> Option<Topic> {
    let claimed = match row {
        Row::Passage(message) => message.topic(),
        Row::Hit(message) => message.topic(),
        Row::Signal(message) => message.topic(),
        Row::Status(message) => message.topic(),
        Row::Audit(message) => message.topic(),
        Row::Result(message) => message.topic(),
        // It names none.
        Row::Picture(_) => return None,
    };
    (claimed != *topic).then_some(claimed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
    use kakou_contract::SigningKey;
    use kakou_contract::seal::Sealed;

    use super::*;

    #[test]
    fn a_wrong_signature_is_found_among_many_and_costs_no_other_message_anything() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let sealed = |sequence| {
            let sealed = Sealed {
                previous: &[1; 32],
                sequence,
                id: "a",
                topic: "t",
                content_type: None,
                payload: b"{}",
            };
            sealed.seal(&key)
        };
        let mut seals: Vec<Seal> = (1..=200).map(sealed).collect();
        for wrong in [0, 57, 58, 199] {
            seals[wrong].signature[3] ^= 1;
        }
        let public = key.verifying_key();
        let pairs = seals.iter().map(|seal| (seal, &public)).enumerate();
        let mut said = vec![Ok(()); seals.len()];
        check(&pairs.collect::<Vec<_>>(), &mut said);
        let wrong = said.iter().enumerate().filter(|(_, said)| said.is_err());
        assert_eq!(
            wrong.map(|(at, _)| at).collect::<Vec<_>>(),
            [0, 57, 58, 199]
        );
    }

    #[test]
    fn a_bug_costs_one_message_its_row_and_the_program_nothing() {
        let why = without_panic::<()>(|| panic!("a bug")).unwrap_err();
        assert!(why.contains("which is a bug"), "{why}");
        assert_eq!(without_panic(|| Ok(1)), Ok(1));
        let refused = without_panic::<()>(|| Err("no JSON".to_owned()));
        assert_eq!(refused, Err("no JSON".to_owned()));
    }
}
