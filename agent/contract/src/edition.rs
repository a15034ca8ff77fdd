//! A signed edition of a watchlist, and the chunks that carry it to a box, on
//! `kakou/v1/{site}/{agent}/list/{list}`.
//!
//! An edition is a header, the platform's signature over the header's very bytes, and the packed
//! content. The header names the content's SHA-256, so the signature covers it too. A chunk is a
//! JSON object of its own that carries header and signature with its piece of the content: whoever
//! gets the first chunk can tell at once whether the edition may be used, before it keeps anything
//! of it, and a bridge that strips MQTT properties does no harm.
//!
//! The signature is Ed25519 over the 13 bytes `kakou-list-v1` and the bytes of the header's text.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, FixedOffset};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::SchemaVersion;
use crate::sequence::Sequence;
use crate::values::Sha256Hex;
use crate::{Id, bounds};

/// Begins everything signed here: a signature made for this is good for nothing else.
const DOMAIN: &[u8] = b"kakou-list-v1";
/// The longest header, in bytes of its text.
pub const EDITION_HEADER_MAX: usize = 4 << 10;
/// A chunk carries so many bytes of content at least (but for the last one) and at most.
pub const CHUNK_BYTES_MIN: u32 = 1 << 10;
pub const CHUNK_BYTES_MAX: u32 = 32 << 10;
/// The largest packed content.
pub const EDITION_PACKED_MAX: u64 = 64 << 20;
/// The largest list that an edition makes, unpacked.
pub const EDITION_WHOLE_MAX: u64 = 64 << 20;
/// The most sites an edition can be meant for by name.
pub const EDITION_SITES_MAX: usize = 64;
/// The longest authority, in characters.
const AUTHORITY_MAX: usize = 200;

/// Bytes by their length and digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Content {
    pub bytes: u64,
    pub sha256: Sha256Hex,
}

/// The header of an edition: what the platform signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edition {
    pub schema_version: SchemaVersion,
    /// The list's name, as the box's config has it.
    pub list: Id,
    /// Who answers for the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = AUTHORITY_MAX))]
    pub authority: Option<String>,
    /// The sites that it is meant for; empty: every site.
    #[serde(default)]
    #[schemars(length(max = EDITION_SITES_MAX))]
    pub sites: Vec<Id>,
    /// Counts the editions of a list; a box takes only a larger one than it has.
    pub version: Sequence,
    /// The version that this one changes. Missing: it is the whole list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Sequence>,
    /// When it was signed.
    #[serde(with = "crate::time")]
    #[schemars(with = "DateTime<FixedOffset>")]
    pub issued_at: DateTime<FixedOffset>,
    /// Entries of the list that it makes.
    pub entries: u64,
    /// What the chunks carry, joined.
    pub packed: Content,
    /// The whole list that it makes.
    pub whole: Content,
    /// Bytes of the packed content in each chunk but the last.
    #[schemars(range(min = CHUNK_BYTES_MIN, max = CHUNK_BYTES_MAX))]
    pub chunk_bytes: u32,
}

/// Why an edition, or a chunk of one, cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditionError {
    #[error("it is no chunk of an edition: {0}")]
    Form(String),
    #[error("it is signed with a key that is not among the trusted ones: {0}")]
    Foreign(String),
    #[error("its signature does not fit its header")]
    Forged,
    #[error("its header cannot be used: {0}")]
    Header(String),
}

impl Edition {
    /// How many chunks carry it.
    pub fn chunks(&self) -> u32 {
        let size = u64::from(self.chunk_bytes.max(1));
        u32::try_from(self.packed.bytes.div_ceil(size))
            .unwrap_or(u32::MAX)
            .max(1)
    }

    /// Where the content of a chunk stands, from 1 on.
    pub fn place_of(&self, chunk: u32) -> Option<std::ops::Range<u64>> {
        if chunk == 0 || chunk > self.chunks() {
            return None;
        }
        let start = u64::from(chunk - 1) * u64::from(self.chunk_bytes);
        let end = start
            .saturating_add(u64::from(self.chunk_bytes))
            .min(self.packed.bytes);
        Some(start..end)
    }

    fn check(&self) -> Result<(), String> {
        let within = |what: &str, has: u64, most: u64| match has <= most {
            true => Ok(()),
            false => Err(format!("{what} is {has}; at most {most} are taken")),
        };
        within("packed.bytes", self.packed.bytes, EDITION_PACKED_MAX)?;
        within("whole.bytes", self.whole.bytes, EDITION_WHOLE_MAX)?;
        within("entries", self.entries, self.whole.bytes)?;
        within("sites", self.sites.len() as u64, EDITION_SITES_MAX as u64)?;
        if !(CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(&self.chunk_bytes) {
            let has = self.chunk_bytes;
            return Err(format!(
                "chunk_bytes is {has}; it must be {CHUNK_BYTES_MIN} to {CHUNK_BYTES_MAX}"
            ));
        }
        if let Some(authority) = &self.authority {
            let length = authority.chars().count();
            if length == 0 || length > AUTHORITY_MAX || authority.chars().any(char::is_control) {
                return Err(format!(
                    "authority must be 1 to {AUTHORITY_MAX} characters, none of them a control \
                     character"
                ));
            }
        }
        match self.base {
            Some(base) if base >= self.version => Err(format!(
                "base {base} is not before version {}",
                self.version
            )),
            _ => Ok(()),
        }
    }
}

/// A header with its signature, as it travels and is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedEdition {
    /// The header, as JSON: these very bytes were signed.
    #[schemars(length(max = EDITION_HEADER_MAX))]
    pub edition: String,
    /// The public key, in base64 with padding.
    #[schemars(length(min = 44, max = 44))]
    pub key: String,
    /// In base64 with padding.
    #[schemars(length(min = 88, max = 88))]
    pub signature: String,
}

fn signed_bytes(text: &str) -> Vec<u8> {
    [DOMAIN, text.as_bytes()].concat()
}

impl SignedEdition {
    /// Signs a header that fits its bounds.
    pub fn sign(edition: &Edition, key: &SigningKey) -> Result<Self, EditionError> {
        edition.check().map_err(EditionError::Header)?;
        let text =
            serde_json::to_string(edition).map_err(|e| EditionError::Header(e.to_string()))?;
        if text.len() > EDITION_HEADER_MAX {
            let length = text.len();
            let why = format!("it has {length} bytes; at most {EDITION_HEADER_MAX} are taken");
            return Err(EditionError::Header(why));
        }
        let signature = key.sign(&signed_bytes(&text));
        Ok(Self {
            edition: text,
            key: STANDARD.encode(key.verifying_key().as_bytes()),
            signature: STANDARD.encode(signature.to_bytes()),
        })
    }

    /// The header, if one of these keys signed it and it fits its bounds.
    pub fn open(&self, trusted: &[VerifyingKey]) -> Result<Edition, EditionError> {
        if self.edition.len() > EDITION_HEADER_MAX {
            return Err(EditionError::Form("its header is too long".to_owned()));
        }
        let key = trusted
            .iter()
            .find(|key| STANDARD.encode(key.as_bytes()) == self.key)
            .ok_or_else(|| EditionError::Foreign(crate::clip(&self.key, 44).into_owned()))?;
        let signature = STANDARD
            .decode(&self.signature)
            .ok()
            .and_then(|bytes| Signature::from_slice(&bytes).ok())
            .ok_or(EditionError::Forged)?;
        // Strict: no second signature of the same bytes by somebody who has not the key.
        key.verify_strict(&signed_bytes(&self.edition), &signature)
            .map_err(|_| EditionError::Forged)?;
        let edition: Edition =
            serde_json::from_str(&self.edition).map_err(|e| EditionError::Header(e.to_string()))?;
        edition.check().map_err(EditionError::Header)?;
        Ok(edition)
    }
}

/// A piece of an edition, as one MQTT message carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListChunk {
    #[serde(flatten)]
    pub signed: SignedEdition,
    /// Which piece, from 1 on.
    #[schemars(range(min = 1))]
    pub chunk: u32,
    /// Its bytes, in base64 with padding.
    #[schemars(length(max = 43_692))]
    pub data: String,
}

impl ListChunk {
    pub fn new(signed: SignedEdition, chunk: u32, bytes: &[u8]) -> Self {
        Self {
            signed,
            chunk,
            data: STANDARD.encode(bytes),
        }
    }

    /// From an MQTT payload. Nothing of it is to be believed before [`SignedEdition::open`].
    pub fn parse(payload: &[u8]) -> Result<Self, EditionError> {
        serde_json::from_slice(payload).map_err(|e| EditionError::Form(e.to_string()))
    }

    /// The bytes it carries, which must be as many as the header says for its place.
    pub fn bytes(&self, edition: &Edition) -> Result<Vec<u8>, EditionError> {
        let form = |why: String| EditionError::Form(why);
        let place = edition.place_of(self.chunk).ok_or_else(|| {
            let (chunk, all) = (self.chunk, edition.chunks());
            form(format!("chunk {chunk}, but there are 1 to {all}"))
        })?;
        let bytes = STANDARD
            .decode(&self.data)
            .map_err(|e| form(format!("data: {e}")))?;
        let (has, wanted) = (bytes.len() as u64, place.end - place.start);
        match has == wanted {
            true => Ok(bytes),
            false => Err(form(format!(
                "chunk {} has {has} bytes; it must have {wanted}",
                self.chunk
            ))),
        }
    }

    /// The JSON Schema (2020-12) of a chunk.
    pub fn schema() -> Value {
        schema_of::<Self>("list-chunk", "Chunk of a list's edition")
    }
}

impl Edition {
    /// The JSON Schema (2020-12) of a header.
    pub fn schema() -> Value {
        schema_of::<Self>("edition", "Header of a list's edition")
    }
}

fn schema_of<T: JsonSchema>(name: &str, title: &str) -> Value {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert(
        "$id".to_owned(),
        format!("urn:kakou:schema:{name}:v1").into(),
    );
    schema.insert("title".to_owned(), title.into());
    let mut schema = schema.to_value();
    bounds::complete(&mut schema);
    schema
}

/// A trusted key as the config and `kakou watchlist keygen` write it: 32 bytes in base64.
pub fn trusted_key(text: &str) -> Result<VerifyingKey, crate::KeyError> {
    crate::PublicKey {
        algorithm: "ed25519".to_owned(),
        base64: text.to_owned(),
    }
    .key()
}

#[cfg(test)]
#[path = "edition_tests.rs"]
mod tests;
