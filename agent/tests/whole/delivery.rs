//! Lists that the platform sends: the real binary on both sides, and a real Mosquitto between them.

use crate::support;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::agent::{Checkpoint, on, until};
use kakou_contract::{AuditEvent, AuditMessage, HitMessage, HitState, ListStatus, StatusMessage};
use kakou_uplink::Received;

/// Drives through the sample footage.
const LISTED: &str = "鲁E6K829";
const HEADER: &str = "plate,level,category,reason,authority,basis,valid_until\n";

struct Platform {
    dir: PathBuf,
    broker: String,
    public: String,
}

impl Platform {
    fn new(gate: &Checkpoint) -> Self {
        let dir = gate.path("platform");
        std::fs::create_dir(&dir).unwrap();
        let key = dir.join("platform.key");
        let made = support::succeed(&["watchlist", "keygen", text(&key)]);
        Self {
            dir,
            broker: gate.broker.address().to_string(),
            public: support::stdout(&made).trim().to_owned(),
        }
    }

    fn list(&self, name: &str, plates: impl IntoIterator<Item = String>) -> PathBuf {
        let rows: String = plates
            .into_iter()
            .map(|p| format!("{p},red,stolen,case 7,PSB,case 7,2099-01-01\n"))
            .collect();
        let path = self.dir.join(name);
        std::fs::write(&path, format!("{HEADER}{rows}")).unwrap();
        path
    }

    fn sign(&self, list: &Path, version: u64, more: &[&str]) -> PathBuf {
        self.sign_with("platform.key", list, version, more)
    }

    fn sign_with(&self, key: &str, list: &Path, version: u64, more: &[&str]) -> PathBuf {
        let out = self.dir.join(format!("{key}-{version}.edition"));
        let (key, number) = (self.dir.join(key), version.to_string());
        let args = [
            "watchlist",
            "sign",
            text(list),
            "--key",
            text(&key),
            "--list",
            "stolen",
            "--version",
            &number,
            "--out",
            text(&out),
        ];
        support::succeed(&[args.as_slice(), more].concat());
        out
    }

    fn publish(&self, editions: &[&PathBuf], wait: &str) -> Output {
        let mut args = vec!["watchlist", "publish"];
        args.extend(editions.iter().map(|e| text(e)));
        args.extend([
            "--broker",
            &self.broker,
            "--to",
            "north/box-1",
            "--wait",
            wait,
        ]);
        support::kakou(&args)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn many(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("京A{n:05}")).collect()
}

/// A box that is sent the list `stolen`.
async fn delivered() -> (Checkpoint, Platform) {
    let gate = Checkpoint::new("").await;
    let platform = Platform::new(&gate);
    trust(&gate, &[&platform.public], "");
    (gate, platform)
}

fn trust(gate: &Checkpoint, keys: &[&str], more: &str) {
    let config = gate.config();
    let (before, rest) = config.split_once("[watchlist]").unwrap();
    let (_, after) = rest.split_once("[vision]").unwrap();
    let list = "[[watchlist.list]]\nname = \"stolen\"\ndelivered = true\n";
    gate.write_config(&format!(
        "{before}[watchlist]\nkeys = {keys:?}\nrequire = [\"authority\", \"basis\", \"end\"]\n{more}{list}[vision]{after}"
    ));
}

fn status_of(m: &Received) -> Option<ListStatus> {
    let status: StatusMessage = on(m, "/status")?;
    status.watchlist?.lists.into_iter().next()
}

fn event(m: &Received) -> Option<AuditEvent> {
    on::<AuditMessage>(m, "/audit").map(|a| a.event)
}

fn taken(m: &Received) -> Option<String> {
    match event(m)? {
        AuditEvent::Watchlist { version, .. } => Some(version),
        _ => None,
    }
}

fn refused(m: &Received) -> Option<String> {
    match event(m)? {
        AuditEvent::ListRefused { detail, .. } => Some(detail),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_sent_changed_and_kept_and_a_hit_names_its_version() {
    let (mut gate, platform) = delivered().await;
    let running = gate.start();
    let waiting = gate.next("status", status_of).await;
    assert_eq!((waiting.entries, waiting.version), (0, None));
    let detail = waiting.detail.unwrap();
    assert!(detail.contains("nothing was delivered yet"), "{detail}");

    // Large enough for many messages.
    let first = platform.list("1.csv", many(20_000));
    let one = platform.sign(&first, 1, &["--chunk-bytes", "2048"]);
    let sent = platform.publish(&[&one], "60");
    let said = support::stdout(&sent);
    assert!(sent.status.success(), "{said}{}", support::stderr(&sent));
    assert!(said.contains("north/box-1: version 1 is in use"), "{said}");

    let second = platform.list("2.csv", many(19_999).into_iter().chain([LISTED.to_owned()]));
    let since = ["--since", text(&first), "--since-version", "1"];
    let two = platform.sign(&second, 2, &since);
    assert!(
        std::fs::metadata(&two).unwrap().len() < 2000,
        "changes alone"
    );
    assert!(platform.publish(&[&two], "60").status.success());
    let hit: HitMessage = gate
        .next("hit of the new entry", |m| {
            on::<HitMessage>(m, "/hit/").filter(|h| h.plate.text == LISTED)
        })
        .await;
    assert_eq!(
        (hit.entry.list.as_str(), hit.entry.list_version.as_deref()),
        ("stolen", Some("2"))
    );
    assert!(matches!(
        hit.state,
        HitState::Provisional | HitState::Confirmed
    ));

    drop(running);
    let _again = gate.start();
    let kept = gate
        .next("status after a kill", |m| {
            status_of(m).filter(|l| l.entries > 0)
        })
        .await;
    assert_eq!((kept.entries, kept.version.as_deref()), (20_000, Some("2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_used_changes_nothing_and_is_reported() {
    let (mut gate, platform) = delivered().await;
    let _running = gate.start();
    let list = platform.list("list.csv", many(10));
    let five = platform.sign(&list, 5, &[]);
    assert!(platform.publish(&[&five], "60").status.success());
    assert_eq!(gate.next("list in use", taken).await, "5");

    // An older one, replayed.
    let four = platform.sign(&list, 4, &[]);
    platform.publish(&[&four], "0");
    let why = gate.next("refusal of the old", refused).await;
    assert!(
        why.contains("version 4 is not newer than version 5"),
        "{why}"
    );
    // Another's key.
    let other = platform.dir.join("other.key");
    support::succeed(&["watchlist", "keygen", text(&other)]);
    let foreign = platform.sign_with("other.key", &list, 6, &[]);
    let sent = platform.publish(&[&foreign], "3");
    assert_eq!(sent.status.code(), Some(1));
    let said = support::stderr(&sent);
    assert!(said.contains("not among the trusted"), "{said}");
    let why = gate.next("refusal of the foreign", refused).await;
    assert!(why.contains("not among the trusted"), "{why}");
    // Damaged on the way.
    let topic = "kakou/v1/north/box-1/list/stolen";
    gate.broker.publish(&["-t", topic, "-m", "{\"chunk\":1}"]);
    let why = gate.next("refusal of noise", refused).await;
    assert!(why.contains("no chunk of an edition"), "{why}");
    // A list that nobody configured.
    gate.broker
        .publish(&["-t", "kakou/v1/north/box-1/list/other", "-m", "{}"]);
    let why = gate.next("refusal of another list", refused).await;
    assert!(why.contains("no list of this name"), "{why}");
    let folder = gate.path("state").join("lists");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
    assert_eq!(files.len(), 1, "nothing is kept of any of it: {files:?}");
    assert!(!gate.log().contains("panic"));
}

/// The box asks by itself for what it lacks; whoever publishes answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_asked_back() {
    let (gate, platform) = delivered().await;
    let running = gate.start();
    let lists: Vec<PathBuf> = (1..=3)
        .map(|n| platform.list(&format!("{n}.csv"), many(10 * n)))
        .collect();
    let one = platform.sign(&lists[0], 1, &[]);
    assert!(platform.publish(&[&one], "60").status.success());
    drop(running);
    // Two comes while it is away, and is lost with the broker's session.
    let since = |list: &Path, version: &str| {
        let list = text(list).to_owned();
        [
            "--since".to_owned(),
            list,
            "--since-version".to_owned(),
            version.to_owned(),
        ]
    };
    let sign = |n: usize| {
        let since = since(&lists[n - 2], &(n - 1).to_string());
        let since: Vec<&str> = since.iter().map(String::as_str).collect();
        platform.sign(&lists[n - 1], n as u64, &since)
    };
    let (two, three) = (sign(2), sign(3));
    let _again = gate.start();
    let sent = platform.publish(&[&one, &two, &three], "90");
    let said = support::stdout(&sent) + &support::stderr(&sent);
    assert!(sent.status.success(), "{said}\n{}", gate.log());
    assert!(said.contains("version 3 is in use"), "{said}");
}

/// Keys are rotated by a reload; with a key for the disk nothing is there in the clear.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_rotated_and_the_disk_shows_no_plate() {
    let (mut gate, platform) = delivered().await;
    let new = platform.dir.join("new.key");
    let made = support::succeed(&["watchlist", "keygen", text(&new)]);
    let new_public = support::stdout(&made).trim().to_owned();
    let list = platform.list("list.csv", many(300));
    let running = gate.start();
    let one = platform.sign(&list, 1, &[]);
    assert!(platform.publish(&[&one], "60").status.success());
    let secret = gate.path("list.key");
    std::fs::write(&secret, [7; 32]).unwrap();
    let sealed = format!("store_key_file = {secret:?}\n");
    trust(&gate, &[&platform.public, &new_public], &sealed);
    let told = gate.reload(&running).await;
    assert!(told.contains("watchlist"), "{told}");
    let two = platform.sign_with("new.key", &list, 2, &[]);
    assert!(platform.publish(&[&two], "60").status.success());
    let stored = gate.path("state").join("lists/stolen.list");
    let bytes = std::fs::read(&stored).unwrap();
    // Neither as text nor as what gzip begins with.
    let head = bytes.iter().position(|b| *b == b'\n').unwrap();
    assert_ne!(bytes[head + 1..head + 3], [0x1f, 0x8b]);
    assert!(!bytes.windows(4).any(|w| w == "京A".as_bytes()));
    // The old key goes: what it signed before is used no more, what the new one signed stays.
    trust(&gate, &[&new_public], &sealed);
    gate.reload(&running).await;
    let three = platform.sign(&list, 3, &[]);
    platform.publish(&[&three], "0");
    let why = gate.next("refusal of the old key", refused).await;
    assert!(why.contains("not among the trusted"), "{why}");
    let verified = support::kakou(&[
        "watchlist",
        "verify",
        "--config",
        text(&gate.path("kakou.toml")),
    ]);
    let said = support::stdout(&verified) + &support::stderr(&verified);
    assert!(
        verified.status.success() && said.contains("taken 300"),
        "{said}"
    );
}

/// kill -9 again and again while editions come: the list is an old one or a new one, never none.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_swap_leaves_a_whole_list() {
    let (mut gate, platform) = delivered().await;
    let list = platform.list("list.csv", many(4_000));
    let mut running = gate.start();
    let first = platform.sign(&list, 1, &[]);
    assert!(platform.publish(&[&first], "60").status.success());
    let stored = gate.path("state").join("lists/stolen.list");
    let version = || {
        let bytes = std::fs::read(&stored).unwrap();
        let head = bytes.split(|b| *b == b'\n').next().unwrap().to_vec();
        let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
        let edition: serde_json::Value =
            serde_json::from_str(head["edition"].as_str().unwrap()).unwrap();
        edition["version"].as_u64().unwrap()
    };
    for n in 2..8_u64 {
        let edition = platform.sign(&list, n, &["--chunk-bytes", "1024"]);
        platform.publish(&[&edition], "0");
        let pause = 7 * (n % 4);
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        let before = version();
        running = gate.start();
        let found = gate
            .next("status", |m| status_of(m).filter(|l| l.entries > 0))
            .await;
        assert_eq!(found.entries, 4_000);
        assert!(before >= 1 && before <= n, "{before}");
        until("it runs", || gate.log().contains("is in use")).await;
    }
    let last = platform.sign(&list, 9, &[]);
    assert!(
        platform.publish(&[&last], "60").status.success(),
        "{}",
        gate.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_look_up_and_take_out_is_on_record() {
    let mut gate = Checkpoint::new("").await;
    let _running = gate.start();
    gate.next("status", |m| on::<StatusMessage>(m, "/status"))
        .await;
    let config = gate.path("kakou.toml");
    let test = |more: &[&str]| {
        let args = ["watchlist", "test", LISTED, "--config", text(&config)];
        support::kakou(&[args.as_slice(), more].concat())
    };
    let silent = test(&[]);
    let said = support::stderr(&silent);
    assert!(
        !silent.status.success() && said.contains("--reason"),
        "{said}"
    );
    let asked = test(&["--reason", "case 31-0504", "--by", "officer 0417"]);
    assert!(asked.status.success(), "{}", support::stderr(&asked));
    let event = gate
        .next("audit of the look-up", |m| {
            event(m).filter(|e| e.kind() == "lookup")
        })
        .await;
    let expected = AuditEvent::Lookup {
        by: "officer 0417".to_owned(),
        reason: "case 31-0504".to_owned(),
        plate: LISTED.to_owned(),
        found: true,
    };
    assert_eq!(event, expected);
    let state = gate.state();
    let out = gate.path("out.jsonl");
    let args = [
        "outbox",
        "export",
        "--state",
        &state,
        "--last",
        "3",
        "--out",
        text(&out),
    ];
    support::succeed(&args);
    let event = gate
        .next("audit of the export", |m| {
            self::event(m).filter(|e| e.kind() == "export")
        })
        .await;
    assert!(
        matches!(event, AuditEvent::Export { first, last, .. } if (first.get(), last.get()) == (1, 3)),
        "{event:?}"
    );
    // Nothing is left for a second time.
    let notes = || {
        std::fs::read_dir(gate.path("state").join("notes"))
            .unwrap()
            .count()
    };
    until("the notes are taken", || notes() == 0).await;
}
