//! What one fault costs: the part that it concerns, and no more. The real binary, a real Mosquitto,
//! real faults.

use crate::support;
use std::collections::HashSet;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use crate::agent::{
    Agent, Checkpoint, LONG, answer, cache_in, cut_off, on, request, resend, until,
};
use kakou_contract::{
    CameraState, Command, Health, HitMessage, PartState, PassageMessage, ResultCode, ResultMessage,
    StatusMessage,
};
use kakou_uplink::Received;

async fn a_passage(gate: &mut Checkpoint, what: &str) -> PassageMessage {
    gate.next(what, |m| on(m, "/passage/cam-1")).await
}

/// Commands are heard soon after the birth.
async fn listening(gate: &mut Checkpoint) -> Agent {
    let agent = gate.start();
    let _: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    agent
}

fn part<'a>(status: &'a StatusMessage, name: &str) -> &'a kakou_contract::PartStatus {
    let found = status.parts.iter().find(|p| p.name == name);
    found.unwrap_or_else(|| panic!("no part {name}: {:?}", status.parts))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_with_an_absurd_number_is_answered_and_harms_nothing() {
    let mut gate = Checkpoint::new("loop = true").await;
    let mut agent = listening(&mut gate).await;
    let absurd = 1_u64 << 63;
    for (first, last) in [(absurd, absurd + 1), (u64::MAX, u64::MAX), (0, 0)] {
        let mut json: serde_json::Value =
            serde_json::from_slice(&request(resend(1, 1)).to_json()).unwrap();
        json["first"] = first.into();
        json["last"] = last.into();
        gate.send_text("kakou/v1/north/box-1/cmd/resend", &json.to_string());
        let refused = gate.next("answer", answer).await;
        assert!(
            !refused.ok && matches!(refused.code, ResultCode::Invalid | ResultCode::Failed),
            "{refused:?}"
        );
        assert!(refused.detail.is_some());
    }
    gate.send(&request(Command::Ping));
    assert_eq!(gate.next("answer", answer).await.code, ResultCode::Done);
    a_passage(&mut gate, "passage after it").await;
    assert!(agent.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_commands_is_answered() {
    const MANY: usize = 200;
    let mut gate = Checkpoint::new("loop = true").await;
    let mut agent = listening(&mut gate).await;
    let pings: Vec<_> = (0..MANY).map(|_| request(Command::Ping)).collect();
    let mut publisher = Process::new("mosquitto_pub")
        .args([
            "-V",
            "5",
            "-q",
            "1",
            "-l",
            "-t",
            "kakou/v1/north/box-1/cmd/ping",
        ])
        .args(["-p", &gate.broker.address().port.to_string()])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = publisher.stdin.take().unwrap();
    for ping in &pings {
        input.write_all(&ping.to_json()).unwrap();
        input.write_all(b"\n").unwrap();
    }
    drop(input);
    assert!(publisher.wait().unwrap().success());
    let mut missing: HashSet<_> = pings.iter().map(|p| p.request_id).collect();
    while !missing.is_empty() {
        let what = format!("answer to {} of {MANY} commands", missing.len());
        let result: ResultMessage = gate.next(&what, |m| on(m, "/result")).await;
        match result.code {
            ResultCode::Done => {}
            ResultCode::Refused => assert!(result.detail.unwrap().contains("busy")),
            other => panic!("{other}: {:?}", result.detail),
        }
        missing.remove(&result.request_id.unwrap());
    }
    assert!(agent.is_running());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_not_there_is_refused_and_the_old_one_stays_in_force() {
    let mut gate = Checkpoint::new("loop = true").await;
    let agent = gate.start();
    let _: HitMessage = gate.next("hit", |m| on(m, "/hit/")).await;
    let good = gate.config();
    gate.write_config(&good.replace("list.csv", "lost.csv"));
    // A second reload of the same file tries again.
    for _ in 0..2 {
        let why = gate.reload(&agent).await;
        assert!(
            why.contains("nothing was taken into use") && why.contains("lost.csv"),
            "{why}"
        );
    }
    let _: HitMessage = gate.next("hit by the old list", |m| on(m, "/hit/")).await;
    gate.send(&request(Command::Status));
    let status: StatusMessage = gate.next("status", |m| on(m, "/box-1/status")).await;
    let list = status.watchlist.unwrap();
    assert_eq!((list.health, list.file.as_str()), (Health::Ok, "list.csv"));
    assert!(list.entries > 0 && list.sha256.is_some() && list.modified.is_some());
    std::fs::copy(gate.path("list.csv"), gate.path("lost.csv")).unwrap();
    let what = gate.reload(&agent).await;
    assert!(what.contains("\"read_again\":[\"watchlist\"]"), "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_its_list_and_its_metrics_folder_is_degraded_until_they_are_there() {
    let mut gate = Checkpoint::new("loop = true").await;
    std::fs::rename(gate.path("list.csv"), gate.path("away")).unwrap();
    gate.write_config(&(gate.config() + "\n[metrics]\nfile = \"late/kakou.prom\"\n"));
    let _agent = gate.start();
    let missing = |m: &Received| {
        let status = on::<StatusMessage>(m, "/status")?;
        let both = ["watchlist", "metrics"]
            .iter()
            .all(|name| part(&status, name).state == PartState::Failing);
        both.then_some(status)
    };
    let status = gate.next("status of a box without its list", missing).await;
    let list = status.watchlist.as_ref().unwrap();
    assert_eq!(
        (status.health, list.health, list.entries, list.sha256),
        (Health::Degraded, Health::Degraded, 0, None)
    );
    assert!(list.detail.as_ref().unwrap().contains("list.csv"));
    let metrics = part(&status, "metrics").detail.as_ref().unwrap();
    assert!(metrics.contains("kakou.prom"), "{metrics}");
    a_passage(&mut gate, "passage all the same").await;
    std::fs::create_dir(gate.path("late")).unwrap();
    std::fs::rename(gate.path("away"), gate.path("list.csv")).unwrap();
    let well = |m: &Received| {
        on::<StatusMessage>(m, "/status").filter(|s| s.watchlist.as_ref().unwrap().entries > 0)
    };
    let status = gate.next("status with the list", well).await;
    assert_eq!(status.watchlist.unwrap().health, Health::Ok);
    let _: HitMessage = gate.next("hit", |m| on(m, "/hit/")).await;
    until("metrics", || gate.path("late/kakou.prom").exists()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_cut_off_is_named_and_the_agent_waits_for_a_better_one() {
    let mut gate = Checkpoint::new("loop = true").await;
    let cache = cache_in(gate.dir.path());
    let model = cache.join("clp_v2_c_rec.onnx");
    let good = std::fs::read(&model).unwrap();
    cut_off(&model);
    // Two cameras, and somebody who listens as the service manager does.
    let dusk = support::root().join("agent/samples/dusk");
    gate.write_config(&format!(
        "{}\n[[camera]]\nid = \"cam-2\"\nurl = {dusk:?}\nloop = true\n",
        gate.config()
    ));
    let socket = gate.path("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    manager.set_read_timeout(Some(LONG)).unwrap();
    let mut agent = gate.start_with(&[
        ("KAKOU_MODELS_CACHE", cache.to_str().unwrap()),
        ("NOTIFY_SOCKET", socket.to_str().unwrap()),
    ]);
    let failing = |m: &Received| {
        on::<StatusMessage>(m, "/status").filter(|s| part(s, "models").state == PartState::Failing)
    };
    let status = gate.next("status of the models", failing).await;
    let detail = part(&status, "models").detail.as_ref().unwrap();
    assert!(detail.contains("clp_v2_c_rec.onnx"), "{detail}");
    for camera in &status.cameras {
        assert_eq!(camera.state, Some(CameraState::Starting));
    }
    assert!(agent.is_running());
    let log = gate.log();
    let told = log
        .lines()
        .find(|l| l.contains("ERROR") && l.contains("clp_v2_c_rec.onnx"));
    assert!(told.is_some(), "the cause is not in the log: {log}");
    // It is kept alive, and the service manager can say why nothing is seen.
    let mut heard = Vec::new();
    let mut buffer = [0; 4096];
    while !(heard.iter().any(|h: &String| h.contains("READY=1"))
        && heard
            .iter()
            .any(|h| h.contains("WATCHDOG=1") && h.contains("clp_v2_c_rec.onnx")))
    {
        let length = manager
            .recv(&mut buffer)
            .expect("a word to the service manager");
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    std::fs::write(&model, good).unwrap();
    // In whichever order: what passes again soon after is the same passage.
    let mut missing = HashSet::from(["cam-1".to_owned(), "cam-2".to_owned()]);
    while !missing.is_empty() {
        let passage: PassageMessage = gate.next("passage", |m| on(m, "/passage/")).await;
        missing.remove(passage.camera.as_str());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_cannot_be_done_changes_nothing_and_says_why() {
    let mut gate = Checkpoint::new("loop = true").await;
    let cache = cache_in(gate.dir.path());
    let cache_variable = ("KAKOU_MODELS_CACHE", cache.to_str().unwrap());
    let mut agent = gate.start_with(&[cache_variable]);
    a_passage(&mut gate, "passage").await;
    let good = gate.config();
    let other = gate.path("other.so");
    std::fs::copy(cache.join("libonnxruntime.so"), &other).unwrap();
    let vision = |line: &str| good.replace("[vision]\n", &format!("[vision]\n{line}\n"));
    let broker = |lines: &str| good.replace("[broker]\n", &format!("[broker]\n{lines}\n"));
    let secure = gate
        .broker
        .address()
        .to_string()
        .replace("mqtt://", "mqtts://");
    let cases = [
        (vision("vehicles = \"nonsense\""), "nonsense"),
        (vision(&format!("runtime = {other:?}")), "other.so"),
        (vision("threads = 2"), "clp_v2_c_rec.onnx"),
        (
            broker("ca = \"lost.pem\"").replace(&gate.broker.address().to_string(), &secure),
            "lost.pem",
        ),
        (
            broker("user = \"gate\"\npassword_file = \"lost-password\""),
            "lost-password",
        ),
        (
            good.replace("agent/samples/day", "agent/samples/lost"),
            "agent/samples/lost",
        ),
    ];
    // Loaded models are not read again; only those of a new pool are.
    cut_off(&cache.join("clp_v2_c_rec.onnx"));
    for (config, named) in cases {
        // Other limits in the same file are not taken either.
        gate.write_config(&config.replace("[outbox]", "[outbox]\nmax_mib = 64"));
        let why = gate.reload(&agent).await;
        assert!(
            why.contains("nothing was taken into use") && why.contains(named),
            "{named}: {why}"
        );
        assert!(agent.is_running(), "{named}");
        // `check-config` had said so.
        let checked = Process::new(env!("CARGO_BIN_EXE_kakou"))
            .args(["check-config", gate.path("kakou.toml").to_str().unwrap()])
            .env(cache_variable.0, cache_variable.1)
            .output()
            .unwrap();
        let told = support::stderr(&checked);
        // Another runtime is right for a new process; the models are not.
        let named = if named == "other.so" {
            "clp_v2_c_rec.onnx"
        } else {
            named
        };
        assert!(
            !checked.status.success() && told.contains(named),
            "{named}: {told}"
        );
    }
    a_passage(&mut gate, "passage after refused reloads").await;
    gate.write_config(&good.replace("[outbox]", "[outbox]\nmax_mib = 64"));
    let what = gate.reload(&agent).await;
    assert!(
        what.contains("\"limits\""),
        "the limits are new only now: {what}"
    );
}

/// Holds the database as a writer, for as long as it is not dropped.
struct Lock(std::process::Child);

impl Lock {
    fn take(database: &std::path::Path) -> Self {
        let script = "import sqlite3, sys\n\
                      c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n\
                      c.execute('BEGIN IMMEDIATE')\n\
                      print('locked', flush=True)\n\
                      sys.stdin.read()\n";
        let mut child = Process::new("python3")
            .args(["-c", script])
            .arg(database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need python3");
        let mut line = String::new();
        let mut out = std::io::BufReader::new(child.stdout.as_mut().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        assert_eq!(line.trim(), "locked");
        Self(child)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_locked_for_half_a_minute_costs_no_passage_and_no_hit_waits_for_it() {
    let mut gate = Checkpoint::new("").await;
    let mut agent = gate.start();
    let first = a_passage(&mut gate, "passage").await;
    let lock = Lock::take(&gate.path("state/outbox.db"));
    let locked = tokio::time::Instant::now();
    let earlier = first.id;
    // Hits of vehicles that pass meanwhile come at once, past the outbox: without a number.
    let past: HitMessage = gate
        .next("hit past the outbox", |m| {
            on::<HitMessage>(m, "/hit/").filter(|h| h.passage_id != earlier && h.sequence.is_none())
        })
        .await;
    tokio::time::sleep_until(locked + Duration::from_secs(30)).await;
    drop(lock);
    let truth = std::fs::read_to_string(support::root().join("agent/samples/day/truth.jsonl"));
    let truth: serde_json::Value =
        serde_json::from_str(truth.unwrap().lines().next().unwrap()).unwrap();
    let wanted = truth["passages"].as_array().unwrap().len();
    let mut passages = HashSet::from([first.id]);
    while passages.len() < wanted {
        let what = format!("passage {} of {wanted}", passages.len() + 1);
        let passage = a_passage(&mut gate, &what).await;
        assert!(passage.sequence.is_some());
        passages.insert(passage.id);
    }
    assert!(passages.contains(&past.passage_id));
    assert!(agent.is_running());
    agent.signal("-TERM");
    assert!(agent.0.wait().unwrap().success());
    let verified = support::kakou(&["outbox", "verify", "--state", &gate.state()]);
    assert!(verified.status.success(), "{}", support::stdout(&verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_cannot_be_read_keeps_no_camera_from_being_heard() {
    let mut gate = Checkpoint::new("loop = true").await;
    support::succeed(&[
        "load",
        "--state",
        &gate.state(),
        "--site",
        "north",
        "--agent",
        "box-1",
        "--count",
        "2000",
        "--size",
        "1000",
        "--producers",
        "1",
    ]);
    let file = gate.path("state/outbox.db");
    let mut bytes = std::fs::read(&file).unwrap();
    let page = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    // A leaf in the middle of the tables, zeroed.
    const TABLE_LEAF: u8 = 13;
    let pages = bytes.len() / page;
    let leaf = (pages / 2..pages)
        .find(|n| bytes[n * page] == TABLE_LEAF)
        .expect("a leaf");
    bytes[leaf * page..(leaf + 1) * page].fill(0);
    std::fs::write(&file, bytes).unwrap();
    let mut agent = gate.start();
    a_passage(&mut gate, "passage of the camera").await;
    assert!(agent.is_running());
}

/// A card that was copied, and the box that it came from still runs: the one that was there goes
/// on, the other stands back, and each names the other.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_boxes_with_one_identity_the_newer_one_stands_back() {
    let mut gate = Checkpoint::new("loop = true").await;
    let _first = gate.start();
    let online = |m: &Received| on::<StatusMessage>(m, "/status").map(|s| s.started_at);
    let first = gate.next("status of the first", online).await;
    let copy = tempfile::tempdir().unwrap();
    let config = gate
        .config()
        .replace("state = \"state\"", "state = \"other\"");
    std::fs::write(copy.path().join("kakou.toml"), config).unwrap();
    let lists = copy.path().join("list.csv");
    std::fs::copy(gate.path("list.csv"), lists).unwrap();
    let log = copy.path().join("log");
    let second = Process::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["--log", "info", "run", "--config"])
        .arg(copy.path().join("kakou.toml"))
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let _second = Agent(second);
    let told = || std::fs::read_to_string(&log).unwrap_or_default();
    until("the newer one stands back", || {
        told().contains("stands back")
    })
    .await;
    let since = kakou_contract::time::to_text(&first);
    assert!(told().contains(&since), "it names the other: {}", told());
    until("the older one names it", || {
        gate.log().contains("it started later")
    })
    .await;
    // Nobody throws anybody out any more, and the first one goes on.
    let connections = |log: &str| log.matches(" connected broker").count();
    let passage = |m: &Received| on::<PassageMessage>(m, "/passage/");
    gate.next("a passage", passage).await;
    let before = (connections(&gate.log()), connections(&told()));
    for _ in 0..3 {
        gate.next("a passage", passage).await;
    }
    assert_eq!((connections(&gate.log()), connections(&told())), before);
}
