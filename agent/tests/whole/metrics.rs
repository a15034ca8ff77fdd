//! How a box is seen from outside: metrics and health over HTTP, `kakou status`, and what
//! Prometheus makes of it. The real binary, Debian's Prometheus.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command as Process, Stdio};
use std::time::Duration;

use crate::agent::{Checkpoint, on, until};
use crate::promtool::promtool;
use crate::support::{kakou, root, stderr, stdout};
use kakou_contract::{HitMessage, PassageMessage, StatusMessage};
use serde_json::Value;

/// A port that nobody has, as far as can be known.
fn free() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, crate::mosquitto::free_port()).into()
}

/// What is answered to a request: code, and body.
fn ask(address: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    // 1.0: the connection ends with the answer, which comes in one piece.
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: box\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let code = text.split(' ').nth(1)?.parse().ok()?;
    Some((code, text.split_once("\r\n\r\n")?.1.to_owned()))
}

fn get(address: SocketAddr, path: &str) -> (u16, String) {
    ask(address, "GET", path).unwrap_or_default()
}

/// The value of a metric whose line begins so.
fn value(text: &str, begin: &str) -> Option<f64> {
    let line = text.lines().find(|l| l.starts_with(begin))?;
    line.rsplit(' ').next()?.parse().ok()
}

async fn watched(more: &str) -> (Checkpoint, SocketAddr) {
    let gate = Checkpoint::new("loop = true").await;
    let address = free();
    let config = format!(
        "{}\n[metrics]\nlisten = \"{address}\"\n{more}",
        gate.config()
    );
    gate.write_config(&config);
    (gate, address)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_passes_is_counted_and_each_metric_is_explained() {
    let (mut gate, address) = watched("").await;
    let _agent = gate.start();
    let _: HitMessage = gate.next("hit", |m| on(m, "/hit/")).await;
    let _: PassageMessage = gate.next("passage", |m| on(m, "/passage/cam-1")).await;
    let text = get(address, "/metrics").1;
    promtool(&["check", "metrics"], gate.dir.path(), &text);
    for (begin, least) in [
        (
            "kakou_passages_total{camera=\"cam-1\",lane=\"1\",plate=\"read\"}",
            1.0,
        ),
        (
            "kakou_plate_width_pixels_count{camera=\"cam-1\",lane=\"1\"}",
            1.0,
        ),
        ("kakou_hits_total{camera=\"cam-1\",", 1.0),
        ("kakou_hit_delay_seconds_count{camera=\"cam-1\"}", 1.0),
        ("kakou_passage_delay_seconds_count{camera=\"cam-1\"}", 1.0),
        ("kakou_camera_up{camera=\"cam-1\"}", 1.0),
        ("kakou_uplink_connected", 1.0),
        ("kakou_watchlist_entries", 1.0),
        (
            "kakou_build_info{site=\"north\",agent=\"box-1\",version=",
            1.0,
        ),
        ("kakou_last_read_timestamp_seconds{camera=\"cam-1\"}", 1.6e9),
    ] {
        let found = value(&text, begin);
        assert!(
            found.is_some_and(|v| v >= least),
            "{begin} {found:?}\n{text}"
        );
    }
    let names: Vec<&str> = text
        .lines()
        .filter_map(|l| l.strip_prefix("# TYPE "))
        .filter_map(|l| l.split(' ').next())
        .collect();
    assert!(names.len() > 35, "{names:?}");
    for page in ["docs/metrics.md", "docs/metrics.zh-CN.md"] {
        let page = std::fs::read_to_string(root().join(page)).unwrap();
        let missing = names
            .iter()
            .filter(|n| !page.contains(&format!("| `{n}` |")));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
        let explained = page.lines().filter(|l| l.starts_with("| `kakou_"));
        let gone = explained.filter(|l| {
            let name = l.split('`').nth(1).unwrap();
            // Not every machine has a thermal zone or a time source.
            !names.contains(&name) && !["temperature", "offset"].iter().any(|w| name.contains(w))
        });
        assert_eq!(gone.collect::<Vec<_>>(), Vec::<&str>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_status_say_what_is_wrong_and_nothing_can_be_done_through_them() {
    let (mut gate, address) =
        watched("[[camera]]\nid = \"gone\"\nurl = \"rtsp://kakou:geheim@127.0.0.1:9/stream\"\n")
            .await;
    let mut agent = gate.start();
    let _: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    until("the camera that is not there is told", || {
        value(
            &get(address, "/metrics").1,
            "kakou_camera_up{camera=\"gone\"}",
        ) == Some(0.0)
    })
    .await;
    let (code, body) = get(address, "/health");
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (code, &health["health"]),
        (200, &"degraded".into()),
        "{body}"
    );
    let reasons = health["reasons"].to_string();
    assert!(reasons.contains("1 of 2 cameras failing: gone"), "{body}");
    for (method, path, wanted) in [
        ("POST", "/metrics", 405),
        ("DELETE", "/health", 405),
        ("GET", "/", 404),
        ("GET", "/status", 404),
        ("GET", "/../../etc/passwd", 404),
        ("HEAD", "/health", 200),
    ] {
        let code = ask(address, method, path).map(|a| a.0);
        assert_eq!(code, Some(wanted), "{method} {path}");
    }

    let state = gate.state();
    let told = kakou(&["status", "--state", &state]);
    let screen = stdout(&told);
    assert_eq!(told.status.code(), Some(1), "{screen}{}", stderr(&told));
    for part in [
        "north/box-1",
        "degraded",
        "unreachable",
        "cam-1",
        "connected",
    ] {
        assert!(screen.contains(part), "{part}\n{screen}");
    }
    let told = kakou(&["status", "--json", "--state", &state]);
    let json: Value = serde_json::from_str(&stdout(&told)).unwrap();
    assert_eq!(json["status"]["agent"], "box-1", "{json}");
    for text in [screen, body, json.to_string(), get(address, "/metrics").1] {
        assert!(!text.contains("geheim"), "{text}");
    }

    // All cameras gone: nothing is recorded.
    let config = gate.config();
    let (kept, rest) = config.split_once("[[camera]]").unwrap();
    let (_, metrics) = rest.split_once("[metrics]").unwrap();
    gate.write_config(&format!("{kept}[metrics]{metrics}"));
    gate.reload(&agent).await;
    until("503", || get(address, "/health").0 == 503).await;
    assert_eq!(kakou(&["status", "--state", &state]).status.code(), Some(2));

    // Another address by a reload, and none.
    let other = free();
    let moved = gate
        .config()
        .replace(&address.to_string(), &other.to_string());
    gate.write_config(&moved);
    gate.reload(&agent).await;
    until("the other address", || get(other, "/health").0 == 503).await;
    until("the old one is closed", || {
        TcpStream::connect(address).is_err()
    })
    .await;

    agent.signal("-TERM");
    agent.0.wait().unwrap();
    let told = kakou(&["status", "--state", &state]);
    assert_eq!(told.status.code(), Some(3));
    assert!(
        stderr(&told).contains("no agent answers"),
        "{}",
        stderr(&told)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_and_crowds_keep_nobody_out_for_long_and_cameras_do_not_notice() {
    let (mut gate, address) = watched("").await;
    let mut agent = gate.start();
    let _: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    until("answers", || get(address, "/health").0 == 200).await;
    // More than are served at a time; each says a little and then nothing.
    let crowd: Vec<TcpStream> = (0..200)
        .filter_map(|_| TcpStream::connect(address).ok())
        .map(|mut stream| {
            stream.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
            stream
        })
        .collect();
    assert!(crowd.len() > 100);
    let _: PassageMessage = gate.next("passage", |m| on(m, "/passage/cam-1")).await;
    drop(crowd);
    until("answers again", || get(address, "/health").0 == 200).await;
    let huge = format!("/{}", "x".repeat(100_000));
    assert!(!matches!(ask(address, "GET", &huge), Some((200, _))));
    assert!(agent.is_running());
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_it_and_a_camera_that_dies_is_in_an_alert() {
    let (mut gate, address) = watched("").await;
    let agent = gate.start();
    let _: PassageMessage = gate.next("passage", |m| on(m, "/passage/cam-1")).await;
    let folder = gate.dir.path().to_owned();
    let shipped =
        |name: &str| std::fs::read_to_string(root().join("configs/monitoring").join(name)).unwrap();
    // As shipped, but for the address, and that a test should not take a minute.
    let config = shipped("prometheus.yml")
        .replace("127.0.0.1:9480", &address.to_string())
        .replace("15s", "1s");
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let alerts = shipped("alerts.yml").replace("for: 15s", "for: 1s");
    std::fs::write(folder.join("alerts.yml"), alerts).unwrap();
    let page = free();
    let prometheus = Process::new("prometheus")
        .arg("--config.file=prometheus.yml")
        .arg(format!("--web.listen-address={page}"))
        .arg("--storage.tsdb.path=tsdb")
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("prometheus; make tools-test installs it");
    let _prometheus = Prometheus(prometheus);
    let scraped = || {
        let (_, body) = get(page, "/api/v1/query?query=kakou_passages_total");
        body.contains("\"camera\":\"cam-1\"") && body.contains("\"checkpoint\":\"north-gate\"")
    };
    until("Prometheus has the passages", scraped).await;
    let dead = "[[camera]]\nid = \"dead\"\nurl = \"rtsp://127.0.0.1:9/stream\"\n";
    gate.write_config(&(gate.config() + dead));
    gate.reload(&agent).await;
    let firing = || {
        let (_, body) = get(page, "/api/v1/alerts");
        let alerts: Value = serde_json::from_str(&body).unwrap_or_default();
        let all = alerts["data"]["alerts"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        all.iter().any(|a| {
            a["labels"]["alertname"] == "KakouCameraDown"
                && a["labels"]["camera"] == "dead"
                && a["state"] == "firing"
        })
    };
    until("the alert", firing).await;
}

#[test]
fn the_shipped_rules_hold_and_the_dashboard_asks_for_what_there_is() {
    let folder = root().join("configs/monitoring");
    promtool(&["check", "rules", "alerts.yml"], &folder, "");
    promtool(&["test", "rules", "alerts_test.yml"], &folder, "");
    promtool(&["test", "rules", "alerts_weeks_test.yml"], &folder, "");
    let text = std::fs::read_to_string(folder.join("grafana-dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let expressions: Vec<String> = panels
        .iter()
        .flat_map(|p| p["targets"].as_array().unwrap())
        .map(|t| t["expr"].as_str().unwrap().replace("$instance", ".*"))
        .collect();
    assert!(expressions.len() >= panels.len());
    // Each is one that Prometheus can parse.
    let rules: Vec<Value> = expressions
        .iter()
        .enumerate()
        .map(|(at, expr)| serde_json::json!({ "record": format!("panel:{at}"), "expr": expr }))
        .collect();
    let groups = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("panels.yml"), groups.to_string()).unwrap();
    promtool(&["check", "rules", "panels.yml"], dir.path(), "");
    // And names a metric that is explained.
    let page = std::fs::read_to_string(root().join("docs/metrics.md")).unwrap();
    let alerts = std::fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let all = expressions.join(" ") + &alerts;
    let names = all.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in names.filter(|n| n.starts_with("kakou_")) {
        let base = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(page.contains(&format!("| `{base}` |")), "{name}");
    }
}
