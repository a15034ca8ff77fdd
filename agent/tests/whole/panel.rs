//! The box's own page: the real binary, by HTTP as a browser speaks it, and in Debian's Chromium as
//! an officer, an installer and an operator use it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use crate::agent::{Checkpoint, on, until};
use crate::standing::{checkpoint as with_standing, of_standing};
use crate::support::{kakou, root, stderr, stdout};
use kakou_contract::{AuditEvent, AuditMessage, HitState, PassageMessage};
use kakou_uplink::Received;
use serde_json::{Value, json};

const PASSWORD: &str = "long enough 1";

/// Makes users with the command that an engineer types.
fn add_user(gate: &Checkpoint, name: &str, role: &str) {
    std::fs::create_dir_all(gate.path("state")).unwrap();
    let mut child = Process::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["panel", "user", "add", name, "--role", role, "--state"])
        .arg(gate.path("state"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{PASSWORD}").unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
}

/// A page on a free port of this machine, with a user of each role who is called after it.
fn with_panel(gate: &Checkpoint, more: &str) -> SocketAddr {
    let address: SocketAddr = (Ipv4Addr::LOCALHOST, crate::mosquitto::free_port()).into();
    let config = format!("{}\n[panel]\nlisten = \"{address}\"\n{more}", gate.config());
    gate.write_config(&config);
    for role in ["officer", "installer", "operator"] {
        add_user(gate, role, role);
    }
    address
}

/// One user at the page.
struct User {
    address: SocketAddr,
    cookie: String,
    csrf: String,
}

fn said(address: SocketAddr, head: &str, body: &str) -> Option<(u16, String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream
        .set_read_timeout(Some(Duration::from_secs(100)))
        .unwrap();
    let length = body.len();
    // 1.0: the connection ends with the answer, which comes in one piece.
    write!(
        stream,
        "{head}\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, head, bytes[end + 4..].to_vec()))
}

impl User {
    async fn enter(address: SocketAddr, name: &str) -> Self {
        until("the page", || TcpStream::connect(address).is_ok()).await;
        let body = json!({ "name": name, "password": PASSWORD }).to_string();
        let (code, head, body) = said(address, "POST /api/v1/login HTTP/1.0", &body).unwrap();
        assert_eq!(code, 200, "{head}");
        let cookie = head.lines().find_map(|l| l.strip_prefix("set-cookie: "));
        let session: Value = serde_json::from_slice(&body).unwrap();
        Self {
            address,
            cookie: cookie.unwrap().split(';').next().unwrap().to_owned(),
            csrf: session["csrf"].as_str().unwrap().to_owned(),
        }
    }

    fn get(&self, path: &str) -> (u16, Vec<u8>) {
        let head = format!("GET {path} HTTP/1.0\r\nCookie: {}", self.cookie);
        let (code, _, body) = said(self.address, &head, "").unwrap();
        (code, body)
    }

    fn json(&self, path: &str) -> Value {
        let (code, body) = self.get(path);
        let text = String::from_utf8_lossy(&body);
        assert_eq!(code, 200, "{path}: {text}");
        serde_json::from_slice(&body).unwrap()
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let (cookie, csrf) = (&self.cookie, &self.csrf);
        let head = format!("{method} {path} HTTP/1.0\r\nCookie: {cookie}\r\nX-Kakou-Csrf: {csrf}");
        let (code, _, body) = said(self.address, &head, &body.to_string()).unwrap();
        (code, serde_json::from_slice(&body).unwrap_or_default())
    }

    /// The next event of this kind on a stream.
    fn event(&self, path: &str, kind: &str) -> Value {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let (address, cookie) = (self.address, &self.cookie);
        write!(
            stream,
            "GET {path} HTTP/1.0\r\nHost: {address}\r\nCookie: {cookie}\r\n\r\n"
        )
        .unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stream));
        let wanted = format!("event: {kind}");
        while lines.next().expect("the stream ended").unwrap() != wanted {}
        loop {
            let line = lines.next().unwrap().unwrap();
            if let Some(data) = line.strip_prefix("data: ") {
                return serde_json::from_str(data).unwrap();
            }
        }
    }
}

fn audited(m: &Received) -> Option<AuditEvent> {
    on::<AuditMessage>(m, "/audit").map(|a| a.event)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officer_sees_a_hit_while_the_vehicle_stands_and_answers_it() {
    let mut gate = with_standing(20).await;
    let address = with_panel(&gate, "");
    let mut agent = gate.start();
    let officer = User::enter(address, "officer").await;
    let told = gate.next("provisional hit", of_standing).await;
    assert_eq!(told.state, HitState::Provisional);
    let of_hit = |hits: &Value| -> Option<Value> {
        let mut all = hits["hits"].as_array()?.iter();
        all.find(|h| h["hit"]["id"] == told.id.to_string()).cloned()
    };
    let shown = of_hit(&officer.json("/api/v1/hits")).unwrap();
    assert_eq!(shown["hit"]["entry"]["plate"], told.entry.plate);
    for role in ["frame", "plate", "thumbnail"] {
        let path = shown["pictures"][role].as_str().unwrap();
        let (code, picture) = officer.get(path);
        assert_eq!((code, &picture[..2]), (200, &b"\xff\xd8"[..]), "{role}");
    }
    let path = format!("/api/v1/hits/{}/answer", told.id);
    let answer = json!({ "verdict": "wrong_plate", "note": "后车" });
    let (code, answered) = officer.send("POST", &path, &answer);
    assert_eq!((code, &answered["answer"]["by"]), (200, &json!("officer")));
    let event = gate.next("audit of the answer", audited_answer).await;
    assert_eq!(
        event,
        (told.id.to_string(), "officer".to_owned(), "后车".to_owned())
    );
    // It ends, and the answer stays with it.
    let ended = gate.next("end of the hit", of_standing).await;
    assert_eq!(ended.state, HitState::Confirmed);
    let shown = of_hit(&officer.json("/api/v1/hits")).unwrap();
    assert_eq!(
        (&shown["hit"]["state"], &shown["answer"]["by"]),
        (&json!("confirmed"), &json!("officer"))
    );
    // After a restart the hits are there again, with their pictures out of the outbox.
    agent.signal("-TERM");
    agent.0.wait().unwrap();
    let _agent = gate.start();
    let officer = User::enter(address, "officer").await;
    let shown = of_hit(&officer.json("/api/v1/hits")).expect("the hit of before the restart");
    assert_eq!(shown["hit"]["state"], "confirmed");
    assert_eq!(shown["answer"]["note"], "后车");
    let (code, picture) = officer.get(shown["pictures"]["plate"].as_str().unwrap());
    assert_eq!((code, &picture[..2]), (200, &b"\xff\xd8"[..]));
}

fn audited_answer(m: &Received) -> Option<(String, String, String)> {
    match audited(m)? {
        AuditEvent::Answer { hit, by, note, .. } => Some((hit.to_string(), by, note?)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installer_moves_a_lane_and_the_next_passages_follow_it() {
    let mut gate = Checkpoint::new("loop = true").await;
    let address = with_panel(&gate, "# The end of the file.\n");
    let _agent = gate.start();
    let installer = User::enter(address, "installer").await;
    let scene = installer.event("/api/v1/cameras/cam-1/live", "scene");
    assert_eq!(scene["size"], json!([1280, 720]));
    assert!(scene["focus"].as_f64().unwrap() > 0.0);
    let frame = format!("/api/v1/cameras/cam-1/frames/{}", scene["frame"]);
    let (code, picture) = installer.get(&frame);
    assert_eq!((code, &picture[..2]), (200, &b"\xff\xd8"[..]));
    assert!(
        installer
            .get("/api/v1/cameras/cam-1/picture?width=320")
            .1
            .len()
            < picture.len()
    );
    // Boxes come with what is looked at.
    let found = (0..100).any(|_| {
        let scene = installer.event("/api/v1/cameras/cam-1/live", "scene");
        !scene["vehicles"].as_array().unwrap().is_empty()
    });
    assert!(found, "no scene had a vehicle in it");

    let path = "/api/v1/cameras/cam-1/config";
    let before = gate.config();
    let mut geometry = installer.json(path);
    assert_eq!(geometry["writable"], true);
    let whole = json!([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]);
    geometry["lanes"] = json!([{ "id": "whole", "name": "整个画面", "polygon": whole }]);
    let (code, saved) = installer.send("PUT", path, &geometry);
    assert_eq!(code, 200, "{saved}");
    assert_eq!(saved["started"], json!(["cam-1"]));
    let kept = gate.path(saved["backup"].as_str().unwrap());
    assert_eq!(std::fs::read_to_string(kept).unwrap(), before);
    assert!(gate.config().contains("# The end of the file."));
    let event = gate.next("audit of the save", |m| match audited(m)? {
        AuditEvent::ConfigReload { detail, .. } => detail.filter(|d| d.contains("by installer")),
        _ => None,
    });
    assert!(event.await.contains("camera cam-1"));
    let lane = |m: &Received| {
        let lane = on::<PassageMessage>(m, "/passage/")?.lane?;
        (lane.id.as_str() == "whole").then_some(lane.name)
    };
    assert_eq!(
        gate.next("passage in the new lane", lane).await.as_deref(),
        Some("整个画面")
    );
    // What was made of the old file is not written, and what cannot work neither.
    assert_eq!(installer.send("PUT", path, &geometry).0, 409);
    let mut wrong = installer.json(path);
    wrong["lanes"][0]["polygon"] = json!([[0.0, 0.0], [1.0, 1.0]]);
    let (code, told) = installer.send("PUT", path, &wrong);
    assert_eq!(
        (code, &told["error"]["notes"][0]["key"]),
        (422, &json!("camera.lane.polygon"))
    );
    assert_eq!(installer.json(path)["version"], saved["version"]);
    // Of two who save at the same time one is told that the other was first, and nothing is lost.
    for round in 0..5 {
        let now = installer.json(path);
        let told: Vec<(u16, Value)> = std::thread::scope(|scope| {
            let save = |n: u32| {
                let mut wanted = now.clone();
                wanted["lanes"][0]["name"] = json!(format!("{round}-{n}"));
                installer.send("PUT", path, &wanted)
            };
            let both: Vec<_> = (0..2).map(|n| scope.spawn(move || save(n))).collect();
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut codes: Vec<u16> = told.iter().map(|(code, _)| *code).collect();
        let first = codes.iter().position(|code| *code == 200).unwrap();
        codes.sort_unstable();
        assert_eq!(codes, [200, 409], "{told:?}");
        assert!(gate.config().contains(&format!("{round}-{first}")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lane_written_by_hand_and_not_in_use_yet_survives_a_save() {
    let gate = Checkpoint::new("loop = true").await;
    let address = with_panel(&gate, "");
    let _agent = gate.start();
    let installer = User::enter(address, "installer").await;
    let path = "/api/v1/cameras/cam-1/config";
    let in_use = installer.json(path)["lanes"].as_array().unwrap().len();
    // An engineer writes a lane, and will reload later.
    let config = gate.config();
    let lane =
        "\n[[camera.lane]]\nid = \"by-hand\"\npolygon = [[0.0, 0.0], [0.1, 0.0], [0.0, 0.3]]\n";
    let (cameras, panel) = config.split_once("\n[panel]").unwrap();
    gate.write_config(&format!("{cameras}{lane}\n[panel]{panel}"));
    let mut geometry = installer.json(path);
    let shown = geometry["lanes"].as_array().unwrap();
    assert_eq!(shown.len(), in_use + 1, "{geometry}");
    geometry["masks"] = json!([[[0.8, 0.0], [1.0, 0.0], [1.0, 0.05]]]);
    let (code, saved) = installer.send("PUT", path, &geometry);
    assert_eq!(code, 200, "{saved}");
    let config = gate.config();
    assert!(
        config.contains("by-hand") && config.contains("masks"),
        "{config}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_a_plate_up_and_the_chain_says_so() {
    let mut gate = Checkpoint::new("").await;
    let address = with_panel(&gate, "");
    let _agent = gate.start();
    let operator = User::enter(address, "operator").await;
    let read = |m: &Received| {
        let passage = on::<PassageMessage>(m, "/passage/")?;
        passage.plate.map(|plate| (passage.id, plate.text))
    };
    let (id, plate) = gate.next("passage with a plate", read).await;
    let pattern: String = plate.chars().take(3).collect();
    let path = format!(
        "/api/v1/passages?plate={}*&reason=case%2031",
        encoded(&pattern)
    );
    let found = operator.json(&path);
    let row = &found["passages"][0];
    assert_eq!(row["passage"]["id"], id.to_string());
    let (code, picture) = operator.get(row["pictures"]["thumbnail"].as_str().unwrap());
    assert_eq!((code, &picture[..2]), (200, &b"\xff\xd8"[..]));
    let event = gate.next("audit of the look-up", |m| match audited(m)? {
        AuditEvent::Lookup {
            by, reason, found, ..
        } => Some((by, reason, found)),
        _ => None,
    });
    assert_eq!(
        event.await,
        ("operator".to_owned(), "case 31".to_owned(), true)
    );
    let none = operator.json("/api/v1/passages?plate=%E8%97%8FZ*&reason=case%2031");
    assert_eq!(none["passages"], json!([]));

    let hours = operator.json("/api/v1/quality");
    assert!(
        hours["hours"][0]["passages"].as_u64().unwrap() > 0,
        "{hours}"
    );
    let (code, report) = operator.get("/api/v1/report.csv?reason=monthly");
    let report = String::from_utf8(report).unwrap();
    assert!(code == 200 && report.contains(&plate), "{report}");
    let log = operator.json("/api/v1/log");
    assert!(
        log["lines"].to_string().contains("logged in at the page"),
        "{log}"
    );
    assert!(
        !log["lines"].to_string().contains(&plate),
        "a log holds no plates"
    );
    let status = operator.json("/api/v1/status");
    assert_eq!(status["status"]["agent"], "box-1");
    let (code, doctor) = operator.send("POST", "/api/v1/doctor", &json!({}));
    assert_eq!(code, 200, "{doctor}");
    assert!(doctor["findings"].as_array().unwrap().len() > 3, "{doctor}");
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_this_machine_the_page_speaks_tls_by_a_certificate_that_stays() {
    let gate = Checkpoint::new("").await;
    let port = crate::mosquitto::free_port();
    let with = |listen: &str| {
        let config = gate.config();
        let config = config.split("\n[panel]").next().unwrap();
        gate.write_config(&format!("{config}\n[panel]\nlisten = \"{listen}\"\n"));
    };
    with(&format!("0.0.0.0:{port}"));
    add_user(&gate, "officer", "officer");
    let status = || {
        let config = gate.path("kakou.toml");
        stdout(&kakou(&[
            "panel",
            "status",
            "--config",
            config.to_str().unwrap(),
        ]))
    };
    let mut agent = gate.start();
    let certificate = gate.path("state/panel-certificate.pem");
    until("the certificate", || certificate.exists()).await;
    until("the page", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
    let told = status();
    assert!(told.contains(&format!("https://0.0.0.0:{port}/")), "{told}");
    let script = format!(
        "import ssl, http.client, hashlib, json
context = ssl.create_default_context(cafile={certificate:?})
c = http.client.HTTPSConnection('localhost', {port}, context=context)
def ask(method, path, body=None, **headers):
    c.request(method, path, body, headers | {{'Content-Type': 'application/json'}})
    r = c.getresponse()
    return r, r.read()
r, _ = ask('GET', '/api/v1/session')
print(r.status, r.headers['strict-transport-security'] is not None)
s = ssl.get_server_certificate(('localhost', {port}))
print(hashlib.sha256(ssl.PEM_cert_to_DER_cert(s)).hexdigest())
r, _ = ask('POST', '/api/v1/login', json.dumps({{'name': 'officer', 'password': {PASSWORD:?}}}))
cookie = r.headers['set-cookie']
assert cookie.startswith('__Host-') and 'Secure' in cookie, cookie
_, body = ask('GET', '/api/v1/status', Cookie=cookie.split(';')[0])
for one in json.loads(body)['certificates']:
    print(one['about'], one['ends'][:4])
"
    );
    let python = || {
        let done = Process::new("python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
        stdout(&done)
    };
    let first = python();
    assert!(first.starts_with("401 True"), "{first}");
    assert!(first.contains("\npanel.certificate 20"), "{first}");
    let digest = first.lines().nth(1).unwrap().to_uppercase();
    assert!(told.replace(':', "").contains(&digest), "{told}\n{digest}");
    // Without TLS nothing is said.
    let plain = said(([127, 0, 0, 1], port).into(), "GET / HTTP/1.0", "");
    assert!(plain.is_none_or(|(code, ..)| code == 0));
    agent.signal("-TERM");
    agent.0.wait().unwrap();
    let _agent = gate.start();
    until("the page again", || {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    })
    .await;
    assert_eq!(python(), first, "the certificate of the first start");
}

/// Walks through the pages as this user. Debian's Chromium and the packages of package-lock.json:
/// `make test` installs them.
fn browse(address: SocketAddr, user: &str, lang: &str) -> Vec<Value> {
    let web = root().join("agent/panel/web");
    let done = Process::new("node")
        .arg("tests/live.mjs")
        .current_dir(&web)
        .env("KAKOU_PANEL_URL", format!("http://{address}"))
        .env("KAKOU_PANEL_USER", user)
        .env("KAKOU_PANEL_PASSWORD", PASSWORD)
        .env("KAKOU_PANEL_LANG", lang)
        .env("KAKOU_PANEL_AXE", "1")
        .output()
        .expect("node; make tools-test installs it");
    let (told, faults) = (stdout(&done), stderr(&done));
    assert!(done.status.success(), "{user}: {told}\n{faults}");
    told.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn step<'a>(steps: &'a [Value], name: &str) -> &'a Value {
    steps
        .iter()
        .find(|s| s["step"] == name)
        .unwrap_or_else(|| panic!("no step {name} in {steps:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn three_people_do_their_work_in_a_browser() {
    let mut gate = Checkpoint::new("loop = true").await;
    // What comes from outside is text, whatever is in it.
    let list = gate.path("list.csv");
    let rows = std::fs::read_to_string(&list).unwrap();
    let evil = rows.replace("reported on Monday", "<img src=x onerror=alert(1)>");
    std::fs::write(&list, evil).unwrap();
    let address = with_panel(&gate, "");
    let _agent = gate.start();
    User::enter(address, "officer").await;
    let steps = browse(address, "officer", "zh");
    step(&steps, "answer");
    step(&steps, "done");
    gate.next("audit of the answer", audited_answer).await;
    let steps = browse(address, "installer", "en");
    assert_eq!(step(&steps, "save")["outcome"], "saved");
    let steps = browse(address, "operator", "zh");
    step(&steps, "done");
    gate.next("audit of the look-up", |m| {
        matches!(audited(m)?, AuditEvent::Lookup { .. }).then_some(())
    })
    .await;
}
