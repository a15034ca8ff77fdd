//! The seal of a message: what lets a subscriber tell that nothing was changed, left out or put in.
//!
//! Each message that an agent commits is hashed together with the hash of the message before it,
//! and the hash is signed. The four parts travel beside the payload, as CloudEvents extension
//! attributes (MQTT user properties):
//!
//! | name | value |
//! | --- | --- |
//! | `sequence` | number of the message, from 1, decimal |
//! | `previoushash` | hash of the message before it, 64 hexadecimal digits; of the first one zeros |
//! | `hash` | hash of this message, 64 hexadecimal digits |
//! | `signature` | Ed25519 over `kakou-seal-v1` and the 32 bytes of `hash`, in base64 with padding |
//!
//! The hash is SHA-256 over the 13 bytes `kakou-seal-v1` and then, in this order, each with its
//! length before it (8 bytes, the high one first): the previous hash (32 bytes), the sequence
//! number (8 bytes, the high one first), the CloudEvents `id`, the topic, the content type (a
//! missing one counts as empty), the SHA-256 of the payload (32 bytes).
//!
//! Two things in a payload come after that digest was made, and it is made as if they were not there:
//!
//! - whether it is late is decided when it is sent: a payload that begins with `{"is_late":true` is
//!   digested as if it said `false`;
//! - the number is given when it is committed: a payload that ends with `,"sequence":N}` is digested
//!   as if it ended with `}` there, and `{"sequence":N}` as `{}`, if N is the number of the seal.
//!   Another number is digested as it stands, so it does not fit; the right one is sealed by itself.
//!
//! So the long part of the work is done by whoever makes a message, before it is in line.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey, verify_batch};
use sha2::{Digest, Sha256};

use crate::sequence::Sequence;
use crate::values::{Sha256Hex, parse_hex};

/// Names of the CloudEvents extension attributes, which are MQTT user properties.
pub const SEQUENCE: &str = "sequence";
pub const PREVIOUS_HASH: &str = "previoushash";
pub const HASH: &str = "hash";
pub const SIGNATURE: &str = "signature";

/// The `previoushash` of an agent's first message.
pub const GENESIS: [u8; 32] = [0; 32];

/// Begins everything hashed and signed here: a signature made for this is good for nothing else.
const DOMAIN: &[u8] = b"kakou-seal-v1";
const LATE: &[u8] = br#"{"is_late":true"#;
const TIMELY: &[u8] = br#"{"is_late":false"#;

/// Puts the sequence number into a JSON object, as its last field.
///
/// The number is known only when the message is committed, after it was written. The message must
/// not have one yet. What is no object comes back as it is.
pub fn numbered(mut json: Vec<u8>, sequence: u64) -> Vec<u8> {
    if json.first() == Some(&b'{') && json.last() == Some(&b'}') && json.len() > 1 {
        json.pop();
        let comma = if json.len() > 1 { "," } else { "" };
        json.extend_from_slice(format!("{comma}\"{SEQUENCE}\":{sequence}}}").as_bytes());
    }
    json
}

/// Says that a message is late. What does not begin with `{"is_late":false` comes back as it is.
pub fn marked_late(json: Vec<u8>) -> Vec<u8> {
    match json.strip_prefix(TIMELY) {
        Some(rest) => [LATE, rest].concat(),
        None => json,
    }
}

/// The SHA-256 of a payload that has no number yet.
pub fn digest(payload: &[u8]) -> [u8; 32] {
    digest_parts([payload, &[]])
}

/// The SHA-256 of a payload as it is published, as if it had not been given this number.
pub fn digest_numbered(payload: &[u8], sequence: u64) -> [u8; 32] {
    match without_number(payload, sequence) {
        Some(rest) => digest_parts([rest, b"}"]),
        None => digest(payload),
    }
}

/// The payload up to where [`numbered`] put this number into it; `None` where it did not.
pub fn without_number(payload: &[u8], sequence: u64) -> Option<&[u8]> {
    let rest = payload.strip_suffix(b"}")?;
    // From the end, without formatting a number: this runs for every picture.
    let digits = rest.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (rest, number) = rest.split_at(rest.len() - digits);
    let rest = rest.strip_suffix(br#""sequence":"#)?;
    if std::str::from_utf8(number).ok().and_then(self::number) != Some(sequence) {
        return None;
    }
    match rest {
        b"{" => Some(rest),
        _ if rest.starts_with(b"{") => rest.strip_suffix(b","),
        _ => None,
    }
}

fn digest_parts(parts: [&[u8]; 2]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let [first, second] = parts;
    match first.strip_prefix(LATE) {
        Some(rest) => {
            hash.update(TIMELY);
            hash.update(rest);
        }
        None => hash.update(first),
    }
    hash.update(second);
    hash.finalize().into()
}

/// What is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<'a> {
    /// The hash of the message before, or [`GENESIS`].
    pub previous: &'a [u8; 32],
    /// From 1.
    pub sequence: u64,
    /// CloudEvents `id`; of a picture it is no UUID.
    pub id: &'a str,
    pub topic: &'a str,
    pub content_type: Option<&'a str>,
    /// As it is published, with the sequence number in it where it has one.
    pub payload: &'a [u8],
}

impl Sealed<'_> {
    pub fn hash(&self) -> [u8; 32] {
        self.hash_of(&digest_numbered(self.payload, self.sequence))
    }

    /// [`Sealed::hash`] where the payload's digest is known: the payload is not looked at.
    pub fn hash_of(&self, digest: &[u8; 32]) -> [u8; 32] {
        let content_type = self.content_type.unwrap_or_default();
        let sequence = self.sequence.to_be_bytes();
        let fields: [&[u8]; 6] = [
            self.previous,
            &sequence,
            self.id.as_bytes(),
            self.topic.as_bytes(),
            content_type.as_bytes(),
            digest,
        ];
        let mut hash = Sha256::new_with_prefix(DOMAIN);
        for field in fields {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().into()
    }

    /// Hashes and signs.
    pub fn seal(&self, key: &SigningKey) -> Seal {
        self.seal_of(key, self.hash())
    }

    /// [`Sealed::seal`] where the hash is known.
    pub fn seal_of(&self, key: &SigningKey, hash: [u8; 32]) -> Seal {
        Seal {
            sequence: self.sequence,
            previous: *self.previous,
            hash,
            signature: signature(key, &hash),
        }
    }
}

fn signed(hash: &[u8; 32]) -> Vec<u8> {
    [DOMAIN, hash].concat()
}

fn signature(key: &SigningKey, hash: &[u8; 32]) -> [u8; 64] {
    key.sign(&signed(hash)).to_bytes()
}

/// The signature over a hash, in base64 with padding.
pub fn sign(key: &SigningKey, hash: &[u8; 32]) -> String {
    STANDARD.encode(signature(key, hash))
}

/// What travels beside a sealed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    pub sequence: u64,
    pub previous: [u8; 32],
    pub hash: [u8; 32],
    pub signature: [u8; 64],
}

/// What about a seal does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// No part of a seal is there: a replay, the last will, or a publisher that is no agent.
    #[error(
        "not sealed: none of {SEQUENCE}, {PREVIOUS_HASH}, {HASH}, {SIGNATURE} is among the user properties"
    )]
    None,
    #[error("the seal is incomplete: user property {0} is missing")]
    Missing(&'static str),
    #[error("user property {0} is there more than once")]
    Twice(&'static str),
    #[error("user property {name} is {value:?}; expected {expected}")]
    Form {
        name: &'static str,
        value: String,
        expected: &'static str,
    },
    #[error("sequence 1 follows no message, but previoushash is {previous} instead of zeros")]
    Genesis { previous: Sha256Hex },
    /// The topic, the id, the content type, the payload, the number or the previous hash.
    #[error("the content is not what was sealed: it hashes to {computed}, the seal says {sealed}")]
    Content {
        computed: Sha256Hex,
        sealed: Sha256Hex,
    },
    #[error("the signature was not made over this hash with the agent's key")]
    Signature,
}

impl Seal {
    /// The user properties, in the order of the table above.
    pub fn to_properties(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        vec![
            pair(SEQUENCE, self.sequence.to_string()),
            pair(PREVIOUS_HASH, Sha256Hex(self.previous).to_string()),
            pair(HASH, Sha256Hex(self.hash).to_string()),
            pair(SIGNATURE, STANDARD.encode(self.signature)),
        ]
    }

    /// From a message's user properties; others are passed over.
    pub fn from_properties(properties: &[(String, String)]) -> Result<Self, SealError> {
        let names = [SEQUENCE, PREVIOUS_HASH, HASH, SIGNATURE];
        if !properties
            .iter()
            .any(|(name, _)| names.contains(&name.as_str()))
        {
            return Err(SealError::None);
        }
        let (sequence, previous) = (
            only(properties, SEQUENCE)?,
            only(properties, PREVIOUS_HASH)?,
        );
        let (hash, signature) = (only(properties, HASH)?, only(properties, SIGNATURE)?);
        Ok(Self {
            sequence: number(sequence)
                .filter(|number| Sequence::new(*number).is_ok())
                .ok_or_else(|| form(SEQUENCE, sequence, "a whole number, 1 to 9007199254740992"))?,
            previous: hex(PREVIOUS_HASH, previous)?,
            hash: hex(HASH, hash)?,
            signature: STANDARD
                .decode(signature)
                .ok()
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or_else(|| form(SIGNATURE, signature, "64 bytes in base64 with padding"))?,
        })
    }

    /// Whether this message was sealed, as it is, by the holder of `key`.
    ///
    /// Says nothing on what came before and after: that is [`crate::Continuity`]'s part.
    pub fn verify(
        &self,
        key: &VerifyingKey,
        topic: &str,
        id: &str,
        content_type: Option<&str>,
        payload: &[u8],
    ) -> Result<(), SealError> {
        self.check_content(topic, id, content_type, payload)?;
        self.check_signature(key)
    }

    /// [`Seal::verify`] but for the signature.
    pub fn check_content(
        &self,
        topic: &str,
        id: &str,
        content_type: Option<&str>,
        payload: &[u8],
    ) -> Result<(), SealError> {
        if self.sequence == 1 && self.previous != GENESIS {
            return Err(SealError::Genesis {
                previous: Sha256Hex(self.previous),
            });
        }
        let Self {
            sequence, previous, ..
        } = self;
        let computed = Sealed {
            previous,
            sequence: *sequence,
            id,
            topic,
            content_type,
            payload,
        }
        .hash();
        if computed != self.hash {
            return Err(SealError::Content {
                computed: Sha256Hex(computed),
                sealed: Sha256Hex(self.hash),
            });
        }
        Ok(())
    }

    /// Whether the holder of `key` signed this seal's hash.
    pub fn check_signature(&self, key: &VerifyingKey) -> Result<(), SealError> {
        let signature = Signature::from_bytes(&self.signature);
        // Strict: of the several signatures that lax checkers take, only the one that signing makes.
        key.verify_strict(&signed(&self.hash), &signature)
            .map_err(|_| SealError::Signature)
    }
}

/// Whether each of these seals has the signature of the key beside it, in less time than
/// [`Seal::check_signature`] needs for one after the other. `false`: one of them or more may be wrong;
/// which, only each by itself can say.
///
/// Nobody without the key makes a signature that passes here. Its holder can make one that passes
/// here and not there, where the key itself is of another form than signing makes: [`PublicKey`]
/// refuses those.
///
/// [`PublicKey`]: crate::PublicKey
pub fn all_signed(seals: &[(&Seal, &VerifyingKey)]) -> bool {
    let hashes: Vec<Vec<u8>> = seals.iter().map(|(seal, _)| signed(&seal.hash)).collect();
    let hashes: Vec<&[u8]> = hashes.iter().map(Vec::as_slice).collect();
    let signatures = seals.iter().map(|(seal, _)| &seal.signature);
    let signatures: Vec<Signature> = signatures.map(Signature::from_bytes).collect();
    let keys: Vec<VerifyingKey> = seals.iter().map(|(_, key)| **key).collect();
    verify_batch(&hashes, &signatures, &keys).is_ok()
}

fn only<'a>(properties: &'a [(String, String)], name: &'static str) -> Result<&'a str, SealError> {
    let mut values = properties
        .iter()
        .filter(|(n, _)| n == name)
        .map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(SealError::Missing(name)),
        (Some(_), Some(_)) => Err(SealError::Twice(name)),
    }
}

fn form(name: &'static str, value: &str, expected: &'static str) -> SealError {
    SealError::Form {
        name,
        value: value.chars().take(100).collect(),
        expected,
    }
}

fn hex(name: &'static str, value: &str) -> Result<[u8; 32], SealError> {
    parse_hex(value).ok_or_else(|| form(name, value, "64 lower-case hexadecimal digits"))
}

/// Only the form that is written here: `+7` and `007` would be two texts for one number.
fn number(text: &str) -> Option<u64> {
    text.parse()
        .ok()
        .filter(|n: &u64| *n > 0 && n.to_string() == text)
}
