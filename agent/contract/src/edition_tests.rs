#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn edition() -> Edition {
    Edition {
        schema_version: SchemaVersion::CURRENT,
        list: Id::new("list", "stolen").unwrap(),
        authority: Some("PSB".to_owned()),
        sites: Vec::new(),
        version: Sequence::new(42).unwrap(),
        base: Some(Sequence::new(41).unwrap()),
        issued_at: DateTime::parse_from_rfc3339("2031-05-04T08:15:30.000+08:00").unwrap(),
        entries: 3,
        packed: Content {
            bytes: 2500,
            sha256: Sha256Hex([1; 32]),
        },
        whole: Content {
            bytes: 9000,
            sha256: Sha256Hex([2; 32]),
        },
        chunk_bytes: 1024,
    }
}

#[test]
fn what_one_of_the_trusted_keys_signed_is_opened_and_nothing_else() {
    let signed = SignedEdition::sign(&edition(), &key(1)).unwrap();
    let both = [key(2).verifying_key(), key(1).verifying_key()];
    assert_eq!(signed.open(&both).unwrap(), edition());
    assert!(matches!(
        signed.open(&[key(2).verifying_key()]),
        Err(EditionError::Foreign(_))
    ));
    assert!(matches!(signed.open(&[]), Err(EditionError::Foreign(_))));
    // Said to be of a trusted key, and signed with another.
    let claimed = SignedEdition {
        key: STANDARD.encode(key(2).verifying_key().as_bytes()),
        ..signed.clone()
    };
    assert_eq!(claimed.open(&both), Err(EditionError::Forged));
    // A signature over the same bytes for another purpose.
    let text = signed.edition.clone();
    let bare = SignedEdition {
        signature: STANDARD.encode(key(1).sign(text.as_bytes()).to_bytes()),
        ..signed
    };
    assert_eq!(bare.open(&both), Err(EditionError::Forged));
}

#[test]
fn headers_out_of_bounds_are_neither_signed_nor_opened() {
    let wrong = [
        Edition {
            base: Some(edition().version),
            ..edition()
        },
        Edition {
            chunk_bytes: 0,
            ..edition()
        },
        Edition {
            packed: Content {
                bytes: EDITION_PACKED_MAX + 1,
                ..edition().packed
            },
            ..edition()
        },
        Edition {
            whole: Content {
                bytes: u64::MAX,
                ..edition().whole
            },
            ..edition()
        },
        Edition {
            authority: Some("a\u{1b}[2J".to_owned()),
            ..edition()
        },
    ];
    for wrong in wrong {
        assert!(matches!(
            SignedEdition::sign(&wrong, &key(1)),
            Err(EditionError::Header(_))
        ));
        let text = serde_json::to_string(&wrong).unwrap();
        let signed = SignedEdition {
            signature: STANDARD.encode(key(1).sign(&signed_bytes(&text)).to_bytes()),
            key: STANDARD.encode(key(1).verifying_key().as_bytes()),
            edition: text,
        };
        assert!(signed.open(&[key(1).verifying_key()]).is_err(), "{wrong:?}");
    }
}

#[test]
fn chunks_cover_the_content_once() {
    let edition = edition();
    assert_eq!(edition.chunks(), 3);
    let places: Vec<_> = (1..=3).map(|n| edition.place_of(n).unwrap()).collect();
    assert_eq!(places, [0..1024, 1024..2048, 2048..2500]);
    assert_eq!((edition.place_of(0), edition.place_of(4)), (None, None));
    let signed = SignedEdition::sign(&edition, &key(1)).unwrap();
    let chunk = ListChunk::new(signed, 3, &[7; 452]);
    let bytes = serde_json::to_vec(&chunk).unwrap();
    assert_eq!(ListChunk::parse(&bytes).unwrap(), chunk);
    assert_eq!(chunk.bytes(&edition).unwrap(), [7; 452]);
    let short = ListChunk { chunk: 2, ..chunk };
    assert!(matches!(short.bytes(&edition), Err(EditionError::Form(_))));
}

proptest! {
    #[test]
    fn no_bytes_are_a_chunk_that_panics(bytes: Vec<u8>, chunk: u32) {
        if let Ok(parsed) = ListChunk::parse(&bytes) {
            let _ = parsed.signed.open(&[key(1).verifying_key()]);
        }
        let _ = edition().place_of(chunk);
    }

    /// Any change of a bit of the header is seen.
    #[test]
    fn a_changed_header_is_forged(at in 0_usize..200, bit in 0_u8..7) {
        let signed = SignedEdition::sign(&edition(), &key(1)).unwrap();
        let mut text = signed.edition.clone().into_bytes();
        let at = at % text.len();
        text[at] ^= 1 << bit;
        if let Ok(text) = String::from_utf8(text) {
            let changed = SignedEdition { edition: text, ..signed };
            prop_assert_eq!(changed.open(&[key(1).verifying_key()]), Err(EditionError::Forged));
        }
    }
}
