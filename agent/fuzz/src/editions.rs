//! Lists that the platform sends: chunks from whoever may publish on the topic, and content that
//! was signed although it is none.

use std::time::Duration;

use chrono::DateTime;
use kakou_contract::{
    CHUNK_BYTES_MIN, Content, Edition, Id, ListChunk, SchemaVersion, Sequence, Sha256Hex,
    SignedEdition, SigningKey,
};
use kakou_delivery::{Inbox, InboxOptions, Package, Told, Vault, apply, changes, whole};
use sha2::{Digest, Sha256};

use crate::SEPARATOR;

/// A text of a list is small here: a claim beyond it must be found out.
const CLAIMED: u64 = 1 << 20;

pub fn editions(data: &[u8]) {
    let key = SigningKey::from_bytes(&[7; 32]);
    let Ok(list) = Id::new("list", "stolen") else {
        return;
    };
    let Ok(dir) = tempfile::tempdir() else {
        return;
    };
    let options = InboxOptions {
        list: list.clone(),
        site: list.clone(),
        trusted: vec![key.verifying_key()],
        vault: Vault::new(dir.path(), None),
    };
    let mut inbox = Inbox::open(options, Duration::ZERO);
    // From anybody: nothing of it is kept.
    let told = inbox.hear(data, Duration::ZERO);
    assert!(matches!(told, Some(Told::Refused { .. })));
    assert_eq!(dir.path().read_dir().map_or(0, Iterator::count), 0);
    let _ = Package::from_bytes(data);

    // From a platform that signs whatever it has: as a list, and as changes.
    let digest = |bytes: &[u8]| Sha256Hex(Sha256::digest(bytes).into());
    let (Ok(one), Some(issued_at)) = (Sequence::new(1), DateTime::from_timestamp(0, 0)) else {
        return;
    };
    let edition = Edition {
        schema_version: SchemaVersion::CURRENT,
        list,
        authority: None,
        sites: Vec::new(),
        version: one,
        base: None,
        issued_at: issued_at.fixed_offset(),
        entries: 1,
        packed: Content {
            bytes: data.len() as u64,
            sha256: digest(data),
        },
        whole: Content {
            bytes: CLAIMED,
            sha256: digest(b"what it does not unpack to"),
        },
        chunk_bytes: CHUNK_BYTES_MIN,
    };
    if let Ok(signed) = SignedEdition::sign(&edition, &key) {
        let package = Package {
            signed,
            packed: data.to_vec(),
        };
        let chunks = package.chunks(&edition);
        for chunk in chunks
            .iter()
            .rev()
            .filter_map(|c| serde_json::to_vec(c).ok())
        {
            let told = inbox.hear(&chunk, Duration::ZERO);
            assert!(!matches!(told, Some(Told::Stored { .. })));
            assert!(ListChunk::parse(&chunk).is_ok());
        }
        assert_eq!(inbox.version(), None);
    }
    let mut parts = data.splitn(2, |b| *b == SEPARATOR);
    let (old, new) = (lines(parts.next()), lines(parts.next()));
    if let Some(delta) = changes(&old, &new) {
        assert_eq!(apply(&old, &delta).ok(), Some(new));
    }
    let _ = apply(&old, data);
}

/// Any bytes as the text of a list.
fn lines(bytes: Option<&[u8]>) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes.unwrap_or_default());
    whole("plate,level", text.lines())
}
