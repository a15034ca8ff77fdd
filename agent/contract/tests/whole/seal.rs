//! The seal's bytes, against values that were made without this crate, and what its hash covers.

use kakou_contract::seal::{GENESIS, all_signed, digest, digest_numbered, marked_late, numbered};
use kakou_contract::{Seal, SealError, Sealed, SigningKey};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn sealed<'a>(payload: &'a [u8], sequence: u64) -> Sealed<'a> {
    let (id, topic) = (
        "0198c0de-0000-7000-8000-000000000001",
        "kakou/v1/s/a/passage/cam-1",
    );
    Sealed {
        previous: &GENESIS,
        sequence,
        id,
        topic,
        content_type: Some("application/json"),
        payload,
    }
}

/// By Python's hashlib and struct, from the description at the head of `seal.rs` and in docs/messages.md.
#[test]
fn the_hash_is_the_documented_one() {
    let json = br#"{"is_late":false,"plate":"x"}"#.to_vec();
    assert_eq!(
        hex(&digest(&json)),
        "ddeb20fe667f26134b6c9ac36ba5c8d70382737bbe7e857f886cbf71561a8f66"
    );
    let payload = numbered(json, 1);
    assert_eq!(payload, br#"{"is_late":false,"plate":"x","sequence":1}"#);
    assert_eq!(
        hex(&sealed(&payload, 1).hash()),
        "2e2c7babcc0f0274bba4c6bc6578b08174a7441cbd110f273f4cf97267c17696"
    );
}

#[test]
fn what_comes_later_changes_no_hash_and_all_else_does() {
    let key = SigningKey::from_bytes(&[7; 32]);
    let json = br#"{"is_late":false,"plate":"x"}"#.to_vec();
    let payload = numbered(json.clone(), 12);
    let seal = sealed(&payload, 12).seal(&key);
    let verify = |seal: &Seal, payload: &[u8]| {
        let s = sealed(payload, seal.sequence);
        seal.verify(&key.verifying_key(), s.topic, s.id, s.content_type, payload)
    };
    verify(&seal, &payload).unwrap();
    verify(&seal, &marked_late(payload.clone())).unwrap();
    let changed = [
        numbered(json.clone(), 13),
        numbered(json.clone(), 1),
        numbered(br#"{"is_late":false,"plate":"y"}"#.to_vec(), 12),
        br#"{"is_late":false,"plate":"x","sequence":012}"#.to_vec(),
        br#"{"is_late":false,"plate":"x","sequence":12,"sequence":12}"#.to_vec(),
        br#"{"is_late":false,"plate":"x","sequence":12 }"#.to_vec(),
    ];
    for payload in changed {
        assert!(
            matches!(verify(&seal, &payload), Err(SealError::Content { .. })),
            "{}",
            String::from_utf8_lossy(&payload)
        );
    }
    let renumbered = Seal {
        sequence: 13,
        ..seal
    };
    assert!(verify(&renumbered, &numbered(json, 13)).is_err());
}

#[test]
fn a_digest_made_before_the_number_is_that_of_the_numbered_payload() {
    for json in [
        "{}",
        r#"{"a":1}"#,
        r#"{"sequence":4,"a":{"sequence":5}}"#,
        "[1]",
        "",
        "{",
        "}",
    ] {
        for sequence in [1, 9, 10, u64::MAX] {
            let payload = numbered(json.as_bytes().to_vec(), sequence);
            assert_eq!(
                digest_numbered(&payload, sequence),
                digest(json.as_bytes()),
                "{json} {sequence}"
            );
        }
    }
}

#[test]
fn many_seals_pass_together_and_one_wrong_one_fails_them_all() {
    let keys: Vec<SigningKey> = (1..=9).map(|n| SigningKey::from_bytes(&[n; 32])).collect();
    let publics: Vec<_> = keys.iter().map(SigningKey::verifying_key).collect();
    let payload = numbered(br#"{"plate":"x"}"#.to_vec(), 12);
    let seals: Vec<Seal> = keys
        .iter()
        .map(|key| sealed(&payload, 12).seal(key))
        .collect();
    let signed = |seals: &[Seal]| all_signed(&seals.iter().zip(&publics).collect::<Vec<_>>());
    assert!(signed(&seals));
    assert!(signed(&seals[..1]) && signed(&[]));
    for at in 0..seals.len() {
        let spoil: [fn(&mut Seal); 4] = [
            |seal| seal.hash[3] ^= 1,
            |seal| seal.signature[3] ^= 1,
            |seal| seal.signature[40] ^= 1,
            |seal| seal.signature[63] ^= 0x80,
        ];
        for spoil in spoil {
            let mut seals = seals.clone();
            spoil(&mut seals[at]);
            assert!(!signed(&seals), "{at}");
        }
        let mut swapped = seals.clone();
        swapped.swap(at, (at + 1) % 9);
        assert!(!signed(&swapped), "{at}");
    }
}
