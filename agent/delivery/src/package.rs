//! An edition as a file: a line of JSON with the signed header, and the packed content behind it.

use chrono::{DateTime, FixedOffset};
use kakou_contract::{
    CHUNK_BYTES_MAX, Content, Edition, EditionError, Id, ListChunk, SchemaVersion, Sequence,
    Sha256Hex, SignedEdition, SigningKey,
};
use sha2::{Digest, Sha256};

use crate::content::{changes, entries, pack};

pub(crate) fn content_of(bytes: &[u8]) -> Content {
    Content {
        bytes: bytes.len() as u64,
        sha256: Sha256Hex(Sha256::digest(bytes).into()),
    }
}

/// What an edition says of itself, beside its content.
#[derive(Debug, Clone)]
pub struct Draft {
    pub list: Id,
    pub authority: Option<String>,
    /// The sites that it is meant for; empty: every site.
    pub sites: Vec<Id>,
    pub version: Sequence,
    /// When it is signed.
    pub issued_at: DateTime<FixedOffset>,
    pub chunk_bytes: u32,
}

impl Draft {
    /// For every site, in the largest chunks.
    pub fn new(list: Id, version: Sequence, issued_at: DateTime<FixedOffset>) -> Self {
        Self {
            list,
            authority: None,
            sites: Vec::new(),
            version,
            issued_at,
            chunk_bytes: CHUNK_BYTES_MAX,
        }
    }
}

/// A signed header with its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    pub signed: SignedEdition,
    pub packed: Vec<u8>,
}

impl Package {
    /// Of a list's whole text, or of what changed since the version of `since` with its text, where
    /// the columns are the same.
    pub fn make(
        draft: Draft,
        text: &[u8],
        since: Option<(Sequence, &[u8])>,
        key: &SigningKey,
    ) -> Result<Self, EditionError> {
        let changed = since.and_then(|(base, old)| Some((base, changes(old, text)?)));
        let (base, content) = match &changed {
            Some((base, changed)) => (Some(*base), changed.as_slice()),
            None => (None, text),
        };
        let packed = pack(content).map_err(|e| EditionError::Form(e.to_string()))?;
        let edition = Edition {
            schema_version: SchemaVersion::CURRENT,
            list: draft.list,
            authority: draft.authority,
            sites: draft.sites,
            version: draft.version,
            base,
            issued_at: draft.issued_at,
            entries: entries(text),
            packed: content_of(&packed),
            whole: content_of(text),
            chunk_bytes: draft.chunk_bytes,
        };
        Ok(Self {
            signed: SignedEdition::sign(&edition, key)?,
            packed,
        })
    }

    /// As a file.
    pub fn to_bytes(&self) -> Vec<u8> {
        // Texts alone: nothing of it can fail to be written.
        let mut bytes = serde_json::to_vec(&self.signed).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.packed);
        bytes
    }

    /// From a file, with its header, which is not verified: the boxes do that.
    pub fn from_bytes(bytes: &[u8]) -> Result<(Self, Edition), EditionError> {
        let form = |why: &str| EditionError::Form(why.to_owned());
        let end = bytes.iter().position(|b| *b == b'\n');
        let (head, packed) = end
            .and_then(|end| bytes.split_at_checked(end))
            .ok_or_else(|| form("it has no line with a header"))?;
        let signed: SignedEdition =
            serde_json::from_slice(head).map_err(|e| EditionError::Form(e.to_string()))?;
        let packed = packed.get(1..).unwrap_or_default().to_vec();
        let package = Self { signed, packed };
        let edition = package.edition()?;
        if content_of(&package.packed) != edition.packed {
            return Err(form("its content is not the one that was signed"));
        }
        Ok((package, edition))
    }

    /// Its header, not verified.
    pub fn edition(&self) -> Result<Edition, EditionError> {
        serde_json::from_str(&self.signed.edition).map_err(|e| EditionError::Header(e.to_string()))
    }

    /// The messages that carry it.
    pub fn chunks(&self, edition: &Edition) -> Vec<ListChunk> {
        let all = (1..=edition.chunks()).filter_map(|chunk| {
            let place = edition.place_of(chunk)?;
            let (start, end) = (
                usize::try_from(place.start).ok()?,
                usize::try_from(place.end).ok()?,
            );
            let bytes = self.packed.get(start..end)?;
            Some(ListChunk::new(self.signed.clone(), chunk, bytes))
        });
        all.collect()
    }
}
