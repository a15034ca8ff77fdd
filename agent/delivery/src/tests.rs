//! Editions through chunks into a vault, and what must not get there.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use chrono::DateTime;
use kakou_contract::{Id, ListChunk, Sequence, SigningKey};
use proptest::prelude::*;

use super::*;

const HEAD: &str = "plate,level,category";

fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

fn id(text: &str) -> Id {
    Id::new("list", text).unwrap()
}

fn number(n: u64) -> Sequence {
    Sequence::new(n).unwrap()
}

fn text(plates: impl IntoIterator<Item = u32>) -> Vec<u8> {
    let lines: Vec<String> = plates
        .into_iter()
        .map(|n| format!("京A{n:05},red,stolen"))
        .collect();
    whole(HEAD, lines.iter().map(String::as_str))
}

fn draft(version: u64) -> Draft {
    let at = DateTime::parse_from_rfc3339("2031-05-04T08:15:30.000+08:00").unwrap();
    Draft {
        chunk_bytes: 1024,
        ..Draft::new(id("stolen"), number(version), at)
    }
}

fn package(version: u64, text: &[u8], since: Option<(u64, &[u8])>) -> Package {
    let since = since.map(|(base, old)| (number(base), old));
    Package::make(draft(version), text, since, &key(1)).unwrap()
}

fn payloads(package: &Package) -> Vec<Vec<u8>> {
    let (read, edition) = Package::from_bytes(&package.to_bytes()).unwrap();
    assert_eq!(read, *package);
    let chunks = package.chunks(&edition);
    chunks
        .iter()
        .map(|c| serde_json::to_vec(c).unwrap())
        .collect()
}

fn options(folder: &Path, sealing: Option<&[u8]>) -> InboxOptions {
    let key_file = folder.join("key");
    let sealing = sealing.map(|bytes| {
        std::fs::write(&key_file, bytes).unwrap();
        SealingKey::from_file(&key_file).unwrap()
    });
    InboxOptions {
        list: id("stolen"),
        site: id("site"),
        trusted: vec![key(9).verifying_key(), key(1).verifying_key()],
        vault: Vault::new(folder.join("lists"), sealing),
    }
}

fn inbox(folder: &Path) -> Inbox {
    Inbox::open(options(folder, None), Duration::ZERO)
}

fn send(inbox: &mut Inbox, package: &Package) -> Option<Told> {
    let mut told = None;
    for payload in payloads(package) {
        told = inbox.hear(&payload, Duration::ZERO).or(told);
    }
    told
}

fn stored(version: u64, entries: u64) -> Option<Told> {
    Some(Told::Stored {
        version: number(version),
        entries,
    })
}

fn refusal(told: Option<Told>) -> String {
    match told {
        Some(Told::Refused { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

fn in_use(folder: &Path) -> Vec<u8> {
    let o = options(folder, None);
    o.vault.load(&o.list, &o.trusted).unwrap().unwrap().text
}

#[test]
fn a_whole_list_and_then_its_changes_come_into_use() {
    let dir = tempfile::tempdir().unwrap();
    let mut inbox = inbox(dir.path());
    let (first, second) = (text(0..5000), text((1..5000).chain([70_000])));
    let whole = package(1, &first, None);
    assert!(payloads(&whole).len() > 3, "{}", whole.packed.len());
    assert_eq!(send(&mut inbox, &whole), stored(1, 5000));
    assert_eq!(in_use(dir.path()), first);
    let delta = package(2, &second, Some((1, &first)));
    assert_eq!(payloads(&delta).len(), 1);
    assert_eq!(send(&mut inbox, &delta), stored(2, 5000));
    assert_eq!(in_use(dir.path()), second);
    assert_eq!(inbox.version(), Some(number(2)));
    assert_eq!(inbox.ask(Duration::from_secs(9999)), None, "nothing lacks");
    // Over a restart.
    assert_eq!(self::inbox(dir.path()).version(), Some(number(2)));
}

#[test]
fn what_may_not_be_used_changes_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut inbox = inbox(dir.path());
    let (one, two) = (text(0..10), text(0..20));
    send(&mut inbox, &package(5, &one, None));
    let foreign = Package::make(draft(6), &two, None, &key(3)).unwrap();
    assert!(refusal(send(&mut inbox, &foreign)).contains("not among the trusted"));
    assert!(refusal(send(&mut inbox, &package(4, &two, None))).contains("not newer"));
    let other = Draft {
        list: id("other"),
        ..draft(6)
    };
    let other = Package::make(other, &two, None, &key(1)).unwrap();
    assert!(refusal(send(&mut inbox, &other)).contains("the list other"));
    let elsewhere = Draft {
        sites: vec![id("elsewhere")],
        ..draft(6)
    };
    let elsewhere = Package::make(elsewhere, &two, None, &key(1)).unwrap();
    assert!(refusal(send(&mut inbox, &elsewhere)).contains("other sites"));
    let twice = Draft {
        authority: Some("PSB".to_owned()),
        ..draft(5)
    };
    let twice = Package::make(twice, &two, None, &key(1)).unwrap();
    assert!(refusal(send(&mut inbox, &twice)).contains("not newer"));
    let mut unsigned: ListChunk =
        serde_json::from_slice(&payloads(&package(6, &two, None))[0]).unwrap();
    unsigned.signed.signature = String::new();
    let unsigned = serde_json::to_vec(&unsigned).unwrap();
    assert!(refusal(inbox.hear(&unsigned, Duration::ZERO)).contains("signature"));
    assert!(refusal(inbox.hear(b"{}", Duration::ZERO)).contains("no chunk"));
    assert_eq!(in_use(dir.path()), one);
    // A repeat of what is in use is none of this.
    assert_eq!(send(&mut inbox, &package(5, &one, None)), None);
}

#[test]
fn a_flood_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut inbox = inbox(dir.path());
    let told = (0..1000_u64)
        .filter_map(|n| {
            let foreign = Package::make(draft(n + 1), b"x\n", None, &key((n % 200 + 10) as u8));
            send(&mut inbox, &foreign.unwrap())
        })
        .count();
    assert_eq!(told, 1);
    assert!(!dir.path().join("lists").exists(), "nothing is kept of it");
}

#[test]
fn damaged_content_is_asked_for_anew() {
    let dir = tempfile::tempdir().unwrap();
    let mut inbox = inbox(dir.path());
    let package = package(1, &text(0..3000), None);
    let mut all = payloads(&package);
    let mut chunk: ListChunk = serde_json::from_slice(&all[1]).unwrap();
    chunk.data.replace_range(0..4, "AAAA");
    let good = std::mem::replace(&mut all[1], serde_json::to_vec(&chunk).unwrap());
    let mut told = None;
    for payload in &all {
        told = inbox.hear(payload, Duration::ZERO).or(told);
    }
    assert!(refusal(told).contains("not the one that was signed"));
    let wanted = inbox.ask(Duration::from_secs(60)).unwrap();
    assert_eq!((wanted.have, wanted.version), (None, None));
    all[1] = good;
    let mut last = None;
    for payload in &all {
        last = inbox.hear(payload, Duration::ZERO);
    }
    assert_eq!(last, stored(1, 3000));
}

#[test]
fn missing_chunks_are_asked_for_also_after_a_restart_and_further_apart_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut inbox = inbox(dir.path());
    let package = package(1, &text(0..3000), None);
    let all = payloads(&package);
    let count = all.len() as u64;
    assert!(count > 4);
    for payload in all.iter().skip(2).rev() {
        assert_eq!(inbox.hear(payload, Duration::ZERO), None);
    }
    assert_eq!(inbox.ask(Duration::from_secs(29)), None);
    let wanted = inbox.ask(Duration::from_secs(31)).unwrap();
    assert_eq!(
        (wanted.version, wanted.chunks),
        (Some(number(1)), vec![[1, 2]])
    );
    assert_eq!(inbox.ask(Duration::from_secs(32)), None);
    assert!(inbox.ask(Duration::from_secs(62)).is_some());
    assert_eq!(inbox.ask(Duration::from_secs(100)), None);
    drop(inbox);
    let mut inbox = self::inbox(dir.path());
    let wanted = inbox.ask(Duration::from_secs(31)).unwrap();
    assert_eq!(wanted.chunks, [[1, 2]]);
    assert_eq!(inbox.hear(&all[0], Duration::ZERO), None);
    assert_eq!(inbox.hear(&all[1], Duration::ZERO), stored(1, 3000));
    assert!(!dir.path().join("lists/stolen.part").exists());
}

#[test]
fn a_gap_is_asked_back_and_editions_may_come_in_the_wrong_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut inbox = inbox(dir.path());
    let texts = [text(0..10), text(0..11), text(0..12)];
    send(&mut inbox, &package(1, &texts[0], None));
    let second = package(2, &texts[1], Some((1, &texts[0])));
    let third = package(3, &texts[2], Some((2, &texts[1])));
    assert!(refusal(send(&mut inbox, &third)).contains("version 1 is in use"));
    let wanted = inbox.ask(Duration::from_secs(31)).unwrap();
    assert_eq!((wanted.have, wanted.version), (Some(number(1)), None));
    assert_eq!(send(&mut inbox, &second), stored(2, 11));
    assert!(
        inbox.ask(Duration::from_secs(99)).is_some(),
        "3 lacks still"
    );
    assert_eq!(send(&mut inbox, &third), stored(3, 12));
    assert_eq!(inbox.ask(Duration::from_secs(9999)), None);
}

#[test]
fn a_key_that_is_trusted_no_more_takes_its_list_with_it_and_lets_nothing_older_in() {
    let dir = tempfile::tempdir().unwrap();
    send(&mut inbox(dir.path()), &package(7, &text(0..10), None));
    let rotated = InboxOptions {
        trusted: vec![key(2).verifying_key()],
        ..options(dir.path(), None)
    };
    let told = rotated
        .vault
        .load(&rotated.list, &rotated.trusted)
        .unwrap_err();
    assert!(told.to_string().contains("not among the trusted"), "{told}");
    let mut inbox = Inbox::open(rotated, Duration::ZERO);
    assert_eq!(inbox.version(), None);
    let by =
        |version, signer| Package::make(draft(version), &text(0..3), None, &key(signer)).unwrap();
    assert!(refusal(send(&mut inbox, &by(6, 2))).contains("not newer"));
    assert_eq!(send(&mut inbox, &by(7, 2)), stored(7, 3));
}

#[test]
fn with_a_key_nothing_of_a_list_is_on_the_disk_in_the_clear() {
    let dir = tempfile::tempdir().unwrap();
    let secret = b"0123456789abcdef0123456789abcdef";
    // Kept in the clear first, then sealed.
    send(&mut inbox(dir.path()), &package(1, &text(0..10), None));
    let sealed = options(dir.path(), Some(secret));
    sealed.vault.seal(&sealed.list, &sealed.trusted).unwrap();
    let load = |o: &InboxOptions| o.vault.load(&o.list, &o.trusted);
    assert!(load(&sealed).unwrap().unwrap().sealed);
    assert!(
        load(&options(dir.path(), None))
            .unwrap_err()
            .to_string()
            .contains("is sealed")
    );
    let other = options(dir.path(), Some(b"another key of at least 32 bytes!"));
    assert!(
        load(&other)
            .unwrap_err()
            .to_string()
            .contains("key does not fit")
    );
    // The chunks on their way too: gzip of a text that short keeps its letters.
    let mut inbox = Inbox::open(options(dir.path(), Some(secret)), Duration::ZERO);
    let all = payloads(&package(2, &text(0..3000), None));
    for payload in &all[1..] {
        inbox.hear(payload, Duration::ZERO);
    }
    let part = std::fs::read(dir.path().join("lists/stolen.part")).unwrap();
    let chunk: ListChunk = serde_json::from_slice(&all[1]).unwrap();
    let clear = chunk
        .bytes(&chunk.signed.open(&[key(1).verifying_key()]).unwrap())
        .unwrap();
    assert!(!part.windows(64).any(|w| clear.windows(64).any(|c| c == w)));
    assert_eq!(inbox.hear(&all[0], Duration::ZERO), stored(2, 3000));
    assert!(
        load(&options(dir.path(), Some(secret)))
            .unwrap()
            .unwrap()
            .sealed
    );
}

/// What a power cut or a hand may leave of a list's file.
#[test]
fn a_damaged_file_is_told_and_the_list_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    send(&mut inbox(dir.path()), &package(3, &text(0..100), None));
    let path = dir.path().join("lists/stolen.list");
    let good = std::fs::read(&path).unwrap();
    for cut in [0, 1, 100, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..cut]).unwrap();
        let o = options(dir.path(), None);
        assert!(o.vault.load(&o.list, &o.trusted).is_err(), "{cut}");
        let mut inbox = inbox(dir.path());
        assert_eq!(inbox.version(), None);
        assert!(inbox.ask(Duration::from_secs(31)).is_some());
        assert_eq!(
            send(&mut inbox, &package(3, &text(0..100), None)),
            stored(3, 100)
        );
    }
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    let mut inbox = inbox(dir.path());
    assert_eq!(inbox.version(), None);
    send(&mut inbox, &package(4, &text(0..5), None));
    assert!(!path.is_symlink(), "replaced, never followed");
}

fn plates() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(0_u32..60, 0..40)
}

proptest! {
    #[test]
    fn changes_make_the_new_of_the_old(old in plates(), new in plates()) {
        let (old, new) = (text(old), text(new));
        let changes = changes(&old, &new).unwrap();
        prop_assert_eq!(apply(&old, &changes).unwrap(), new);
    }

    /// No list is made by changes that are for another, or by noise.
    #[test]
    fn changes_for_another_list_are_refused_or_seen(old in plates(), new in plates(), other in plates()) {
        let (old, new, other) = (text(old), text(new), text(other));
        let delta = changes(&old, &new).unwrap();
        if let Ok(made) = apply(&other, &delta) {
            // Sorted, each once: a form that the digest over it then decides about.
            let text = String::from_utf8(made.clone()).unwrap();
            prop_assert_eq!(whole(HEAD, text.lines().skip(1)), made);
        }
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, old in plates()) {
        let _ = apply(&text(old), &bytes);
        let _ = Package::from_bytes(&bytes);
        let dir = tempfile::tempdir().unwrap();
        let lists = dir.path().join("lists");
        std::fs::create_dir(&lists).unwrap();
        std::fs::write(lists.join("stolen.list"), &bytes).unwrap();
        std::fs::write(lists.join("stolen.part"), &bytes).unwrap();
        let mut inbox = inbox(dir.path());
        prop_assert_eq!(inbox.version(), None);
        let _ = inbox.hear(&bytes, Duration::ZERO);
    }

    /// Chunks in any order, some of them twice, make the list once.
    #[test]
    fn the_order_of_chunks_does_not_matter(order in prop::collection::vec(0_usize..6, 0..30)) {
        let dir = tempfile::tempdir().unwrap();
        let mut inbox = inbox(dir.path());
        let all = payloads(&package(1, &text(0..2000), None));
        let rest = 0..all.len();
        let told: Vec<Told> = order.into_iter().map(|n| n % all.len()).chain(rest)
            .filter_map(|n| inbox.hear(&all[n], Duration::ZERO))
            .collect();
        prop_assert_eq!(told.len(), 1);
        prop_assert_eq!(inbox.version(), Some(number(1)));
    }
}
