//! `kakou load --agents`: a fleet as a process, against a real broker.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kakou_traffic::plate::kind;
use serde_json::Value;

use crate::mosquitto::Mosquitto;
use crate::support;

const LONG: Duration = Duration::from_secs(120);

/// Killed when the test fails.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(file: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap();
    text.lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect()
}

#[test]
fn a_fleet_over_two_brokers_writes_down_what_each_of_them_took() {
    let brokers = [Mosquitto::start(""), Mosquitto::start("")];
    let urls = format!("{},{}", brokers[0].address(), brokers[1].address());
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth.jsonl");
    let arguments = [
        "load",
        "--agents",
        "10",
        "--broker",
        &urls,
        "--count",
        "500",
        "--hits",
        "0.1",
        "--pictures",
        "1",
        "--evictions",
        "0.01",
        "--repeats",
        "0.05",
        "--prefix",
        "north",
        "--drain",
        "120",
        "--truth",
        truth.to_str().unwrap(),
    ];
    let done = support::succeed(&arguments);
    let told = support::stderr(&done);
    assert!(
        told.contains("10 agents") && told.contains("0 not acknowledged"),
        "{told}"
    );
    let mut rows = lines(&truth);
    let summary = rows.pop().unwrap()["summary"].clone();
    let of = |fate: &str| rows.iter().filter(|row| row["fate"] == fate).count();
    assert_eq!(summary["acknowledged"], of("acknowledged"));
    assert_eq!(summary["evicted"], of("evicted"));
    assert_eq!(summary["unacknowledged"], 0);
    let passages = rows.iter().filter(|r| r["kind"] == "passage").count();
    assert_eq!(passages, 500);
    let sites: BTreeSet<&str> = rows.iter().filter_map(|row| row["site"].as_str()).collect();
    assert_eq!(sites.len(), 10);
    assert!(
        sites.contains("north-0001") && sites.contains("north-0010"),
        "{sites:?}"
    );
    // Numbers from 1 on, each once.
    for site in sites {
        let of_site = rows.iter().filter(|row| row["site"] == site);
        let mut numbers: Vec<u64> = of_site.filter_map(|r| r["sequence"].as_u64()).collect();
        numbers.sort_unstable();
        assert_eq!(
            numbers,
            (1..=numbers.len() as u64).collect::<Vec<_>>(),
            "{site}"
        );
    }
}

#[test]
fn a_fleet_that_is_told_to_end_sends_what_waits_and_its_plates_are_of_real_layouts() {
    let broker = Mosquitto::start("");
    let dir = tempfile::tempdir().unwrap();
    let truth = dir.path().join("truth.jsonl");
    let url = broker.address().to_string();
    let child = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args([
            "load",
            "--agents",
            "5",
            "--broker",
            &url,
            "--rate",
            "200",
            "--hits",
            "0",
            "--signals",
            "0",
            "--drain",
            "120",
        ])
        .arg("--truth")
        .arg(&truth)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut fleet = Process(child);
    let port = url.rsplit(':').next().unwrap().to_owned();
    let heard = Command::new("mosquitto_sub")
        .args([
            "-V",
            "5",
            "-p",
            &port,
            "-t",
            "kakou/v1/+/+/passage/+",
            "-C",
            "300",
            "-W",
            "100",
        ])
        .output()
        .unwrap();
    assert!(heard.status.success());
    let passages = support::passages(&heard);
    assert_eq!(passages.len(), 300);
    for (passage, plate) in passages.iter().filter_map(|p| Some((p, p.plate.as_ref()?))) {
        let colour = plate.colour.map(|colour| colour.value);
        let class = passage.vehicle.as_ref().map(|vehicle| vehicle.class);
        let by_grammar = kind(&plate.text, colour, plate.rows, class);
        assert!(by_grammar.is_some(), "{}", plate.text);
        assert_eq!(plate.kind, by_grammar, "{}", plate.text);
    }
    let id = fleet.0.id().to_string();
    assert!(Command::new("kill").arg(id).status().unwrap().success());
    let limit = Instant::now() + LONG;
    let ended = loop {
        if let Some(ended) = fleet.0.try_wait().unwrap() {
            break ended;
        }
        assert!(Instant::now() < limit, "it ends");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(ended.success(), "{ended}");
    let rows = lines(&truth);
    let summary = &rows.last().unwrap()["summary"];
    assert!(summary["passages"].as_u64().unwrap() >= 300, "{summary}");
    assert_eq!(
        (&summary["unacknowledged"], &summary["untold"]),
        (&0.into(), &0.into())
    );
}

#[test]
fn options_of_one_agent_and_of_a_fleet_do_not_mix() {
    let refused = |arguments: &[&str], told: &str| {
        let o = support::kakou(&[&["load"], arguments].concat());
        let text = support::stderr(&o);
        assert!(
            !o.status.success() && text.contains(told),
            "{arguments:?}: {text}"
        );
    };
    refused(&[], "--state");
    refused(&["--agents", "2"], "--broker");
    refused(
        &["--agents", "2", "--broker", "mqtt://a", "--state", "x"],
        "cannot be used with",
    );
    refused(
        &["--agents", "2", "--broker", "mqtt://a", "--print"],
        "cannot be used with",
    );
    refused(&["--state", "x", "--truth", "y"], "--agents");
    refused(
        &["--state", "x", "--broker", "mqtt://a,mqtt://b"],
        "names several",
    );
    refused(
        &["--agents", "2", "--broker", "mqtt://a", "--evil", "all"],
        "broken-chain",
    );
    refused(
        &["--agents", "2", "--broker", "mqtt://a", "--pictures", "9"],
        "0 to 3",
    );
    refused(
        &[
            "--agents",
            "2",
            "--broker",
            "mqtt://a",
            "--backlog-hours",
            "1",
        ],
        "--backlog-rate",
    );
}
