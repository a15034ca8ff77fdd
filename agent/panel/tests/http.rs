//! Nobody in who does not belong: the panel by real requests, as a browser, a foreign page and an
//! attacker send them.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::panic)]

mod rig;

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::Duration;

use kakou_contract::{AuditEvent, Verdict};
use kakou_guard::Secret;
use kakou_panel::access::Role;
use kakou_panel::openapi;
use rig::{PASSWORD, Rig, hit};
use serde_json::json;
use uuid::Uuid;

/// Every path that is described, with something in its holes.
fn paths() -> Vec<(String, String)> {
    let described = serde_json::to_value(openapi()).unwrap();
    let mut all = Vec::new();
    for (path, methods) in described["paths"].as_object().unwrap() {
        let path = path
            .replace("{id}", "00000000-0000-0000-0000-000000000001")
            .replace("{role}", "frame")
            .replace("{frame}", "1");
        for method in methods.as_object().unwrap().keys() {
            all.push((method.to_uppercase(), path.clone()));
        }
    }
    assert!(all.len() >= 19, "{all:?}");
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_answered_without_a_session_but_the_login_and_the_page() {
    let rig = Rig::new().await;
    for (method, path) in paths() {
        let told = rig.say(
            &rig.head(&method, &path),
            if method == "GET" { "" } else { "{}" },
        );
        match path.as_str() {
            "/api/v1/login" => assert_eq!(told.code(), 400, "{}", told.0),
            _ => assert_eq!(
                (told.code(), told.fault().as_str()),
                (401, "unauthenticated"),
                "{path}"
            ),
        }
        assert!(
            told.header("content-security-policy")
                .unwrap()
                .contains("default-src 'none'")
        );
        assert_eq!(told.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(told.header("cache-control"), Some("no-store"), "{path}");
    }
    let unknown = rig.say(&rig.head("GET", "/api/v2/anything"), "");
    assert_eq!(unknown.fault(), "unauthenticated");
    // A cookie that is made up is as good as none.
    let head = rig.head("GET", "/api/v1/session");
    let told = rig.say(
        &format!("{head}\r\nCookie: kakou_panel={}", "0".repeat(64)),
        "",
    );
    assert_eq!(told.code(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_with_the_password_and_ends_with_the_logout() {
    let rig = Rig::new().await;
    let told = rig.login("officer", PASSWORD);
    let set = told.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    let officer = rig.enter("officer");
    let session = officer.get("/api/v1/session").json();
    assert_eq!(
        (&session["name"], &session["site"]),
        (&json!("officer"), &json!("north"))
    );
    assert_eq!(session["roles"], json!(["officer"]));
    assert_eq!(
        officer.send("POST", "/api/v1/logout", &json!({})).code(),
        204
    );
    assert_eq!(officer.get("/api/v1/session").code(), 401);
    // Who is taken out is out at once.
    let operator = rig.enter("operator");
    rig.users.remove("operator").unwrap();
    assert_eq!(operator.get("/api/v1/session").code(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_somebody_else_laid_into_the_browser_is_not_taken_up() {
    let rig = Rig::new().await;
    let attacker = rig.enter("officer");
    let body = json!({ "name": "operator", "password": PASSWORD }).to_string();
    let head = rig.head("POST", "/api/v1/login");
    let told = rig.say(&format!("{head}\r\nCookie: {}", attacker.cookie), &body);
    assert_ne!(told.cookie().unwrap(), attacker.cookie);
    assert_eq!(attacker.get("/api/v1/session").json()["name"], "officer");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_is_held_back_and_learns_no_names() {
    let rig = Rig::new().await;
    let wrong = rig.login("officer", "a wrong password");
    let nobody = rig.login("nobody", "a wrong password");
    assert_eq!((wrong.code(), wrong.body()), (nobody.code(), nobody.body()));
    for _ in 0..4 {
        assert_eq!(
            rig.login("officer", "a wrong password").fault(),
            "wrong_login"
        );
    }
    let locked = rig.login("officer", PASSWORD);
    assert_eq!((locked.code(), locked.fault().as_str()), (429, "locked"));
    assert!(locked.header("retry-after").is_some() && locked.cookie().is_none());
    // No line of the log, and no memory, for a name that nobody can have.
    assert_eq!(rig.login(&"x".repeat(100_000), PASSWORD).fault(), "invalid");
    // Another user is not locked out by it.
    assert_eq!(rig.login("operator", PASSWORD).code(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_gets_its_own_and_nothing_else() {
    let rig = Rig::new().await;
    let all = ["officer", "installer", "operator"];
    let may = |path: &str| -> &[&str] {
        match path {
            "/api/v1/hits" => &["officer", "operator"],
            "/api/v1/passages" | "/api/v1/report.csv?reason=monthly" => &["operator"],
            "/api/v1/quality" | "/api/v1/log" => &["installer", "operator"],
            "/api/v1/cameras/entry/config" => &["installer"],
            "/api/v1/cameras/entry/frames/1" | "/api/v1/cameras/entry/live" => {
                &["installer", "operator"]
            }
            _ => &["officer", "installer", "operator"],
        }
    };
    for role in all {
        let user = rig.enter(role);
        for path in [
            "/api/v1/hits",
            "/api/v1/passages",
            "/api/v1/report.csv?reason=monthly",
            "/api/v1/quality",
            "/api/v1/log",
            "/api/v1/cameras",
            "/api/v1/cameras/entry/config",
            "/api/v1/cameras/entry/frames/1",
            "/api/v1/cameras/entry/live",
            "/api/v1/status",
        ] {
            let refused = user.get(path).fault() == "role";
            assert_eq!(refused, !may(path).contains(&role), "{role} {path}");
        }
        let answer = json!({ "verdict": "confirmed" });
        let path = format!("/api/v1/hits/{}/answer", Uuid::from_u128(1));
        let refused = user.send("POST", &path, &answer).fault() == "role";
        assert_eq!(refused, role != "officer");
        let geometry = json!({ "version": "x", "lanes": [], "masks": [] });
        let told = user.send("PUT", "/api/v1/cameras/entry/config", &geometry);
        assert_eq!(
            told.fault(),
            if role == "installer" {
                "conflict"
            } else {
                "role"
            }
        );
    }
    assert_eq!(
        rig.done.saves.lock().unwrap().as_slice(),
        [("entry".into(), "installer".into())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_page_can_have_nothing_done() {
    let rig = Rig::new().await;
    rig.hub.hit(&hit(1), hit(1).time);
    let officer = rig.enter("officer");
    let path = format!("/api/v1/hits/{}/answer", Uuid::from_u128(1));
    let (address, cookie, csrf) = (rig.address, &officer.cookie, &officer.csrf);
    let body = json!({ "verdict": "released" }).to_string();
    let with = |more: &str| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}{more}");
        rig.say(&head, &body)
    };
    let token = format!("\r\nX-Kakou-Csrf: {csrf}");
    for (more, fault) in [
        (String::new(), "csrf"),
        ("\r\nX-Kakou-Csrf: x".to_owned(), "csrf"),
        (format!("{token}\r\nOrigin: https://evil.example"), "origin"),
        (format!("{token}\r\nOrigin: null"), "origin"),
        (
            format!("{token}\r\nOrigin: http://{address}.evil.example"),
            "origin",
        ),
        (format!("{token}\r\nSec-Fetch-Site: cross-site"), "origin"),
        (
            format!("{token}\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate"),
            "origin",
        ),
    ] {
        assert_eq!(with(&more).fault(), fault, "{more}");
    }
    assert!(rig.done.answers.lock().unwrap().is_empty());
    assert_eq!(
        with(&format!("{token}\r\nOrigin: http://{address}")).code(),
        200
    );
    // A name of an attacker's that leads to this machine (DNS rebinding).
    for host in ["evil.example", "evil.example:80", "127.0.0.1.evil.example"] {
        let head = format!("GET /api/v1/session HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}");
        assert_eq!(rig.say(&head, "").fault(), "origin", "{host}");
    }
    for host in ["localhost:1234", "[::1]:8480"] {
        let head = format!("GET /api/v1/session HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}");
        assert_eq!(rig.say(&head, "").code(), 200, "{host}");
    }
    // A picture that another page shows.
    let head = format!(
        "GET /api/v1/cameras/entry/picture HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}"
    );
    assert_eq!(rig.say(&head, "").code(), 200);
    let foreign = format!("{head}\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors");
    assert_eq!(rig.say(&foreign, "").fault(), "origin");
    // A link elsewhere may lead to the page, and not into the interface behind it.
    let link = "\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate";
    let head =
        |path: &str| format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}{link}");
    assert_ne!(rig.say(&head("/"), "").code(), 403);
    assert_eq!(rig.say(&head("/api/v1/hits"), "").fault(), "origin");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_geometry_that_cannot_be_meant_is_refused_before_the_agent_is_asked() {
    let rig = Rig::new().await;
    let installer = rig.enter("installer");
    let polygon = json!([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]]);
    let lane = |id: &str| json!({ "id": id, "polygon": polygon });
    let many: Vec<_> = (0..33).map(|n| lane(&n.to_string())).collect();
    for lanes in [
        json!([lane("1"), lane("1")]),
        json!(many),
        json!([{ "id": "1", "polygon": [[0.0, 0.0], [1.5, 0.0], [1.0, 1.0]] }]),
        json!([{ "id": "1", "polygon": vec![[0.5, 0.5]; 65] }]),
        json!([{ "id": "1", "polygon": polygon, "url": "rtsp://elsewhere" }]),
    ] {
        let geometry = json!({ "version": "x", "lanes": lanes, "masks": [] });
        let told = installer.send("PUT", "/api/v1/cameras/entry/config", &geometry);
        assert_eq!(told.fault(), "invalid", "{lanes}");
    }
    assert!(rig.done.saves.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leads_out_of_what_is_embedded() {
    let rig = Rig::new().await;
    let officer = rig.enter("officer");
    for path in [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/assets/..%2f..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/assets/%00",
        "/api/v1/pictures/../../../etc/passwd",
        "/api/v1/pictures/..%2f..%2fetc/passwd?near=1",
        "/api/v1/cameras/..%2f..%2fetc%2fpasswd/picture",
        "/api/v1/hits?limit=99999999999999999999",
        "/api/v1/hits?limit=%3Cscript%3E",
        "/api/v1/pictures/00000000-0000-0000-0000-000000000001/frame?near=-1",
    ] {
        let told = officer.get(path);
        assert!((400..=503).contains(&told.code()), "{path}: {}", told.0);
        assert!(
            !told.0.contains("root:") && !told.body().contains("<script"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_recorded_with_who_gave_it_and_shown_to_all() {
    let rig = Rig::new().await;
    rig.hub.hit(&hit(1), hit(1).time);
    let (officer, operator) = (rig.enter("officer"), rig.enter("operator"));
    let path = format!("/api/v1/hits/{}/answer", Uuid::from_u128(1));
    let said = json!({ "verdict": "wrong_plate", "note": " 皖 not 琼\n" });
    let told = officer.send("POST", &path, &said);
    let told = told.json();
    assert_eq!(told["answer"]["by"], "officer");
    let shown = operator.get("/api/v1/hits").json();
    // So that the page knows which of two rows is the newer one.
    assert!(told["number"].as_u64() > told["run"].as_u64());
    for key in ["run", "number"] {
        assert_eq!(told[key], shown["hits"][0][key], "{key}");
    }
    assert_eq!(shown["hits"][0]["answer"]["note"], "皖 not 琼");
    {
        let answers = rig.done.answers.lock().unwrap();
        assert_eq!(
            (answers.len(), answers[0].verdict),
            (1, Verdict::WrongPlate)
        );
        assert_eq!(
            (answers[0].by.as_str(), answers[0].hit),
            ("officer", Uuid::from_u128(1))
        );
    }
    let unknown = format!("/api/v1/hits/{}/answer", Uuid::from_u128(9));
    assert_eq!(officer.send("POST", &unknown, &said).fault(), "not_found");
    for wrong in [
        json!({ "verdict": "maybe" }),
        json!({}),
        json!({ "verdict": "confirmed", "by": "somebody else" }),
        json!({ "verdict": "confirmed", "note": "x".repeat(501) }),
        json!({ "verdict": "confirmed", "note": "a\u{1b}[2Jb" }),
    ] {
        assert_eq!(
            officer.send("POST", &path, &wrong).fault(),
            "invalid",
            "{wrong}"
        );
    }
    assert_eq!(rig.done.answers.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plate_is_looked_up_for_a_reason_that_is_recorded() {
    let rig = Rig::new().await;
    let operator = rig.enter("operator");
    assert_eq!(operator.get("/api/v1/passages?plate=A*").fault(), "invalid");
    assert_eq!(
        operator.get("/api/v1/passages?plate=A*&reason=ab").fault(),
        "invalid"
    );
    assert_eq!(
        operator
            .get("/api/v1/passages?plate=%3F*&reason=case%2031")
            .fault(),
        "invalid"
    );
    assert_eq!(operator.get("/api/v1/passages?camera=entry").code(), 200);
    assert!(rig.done.audits.lock().unwrap().is_empty());
    let told = operator.get("/api/v1/passages?plate=a%3F1*&reason=case%2031");
    assert_eq!(told.code(), 200);
    assert_eq!(
        operator
            .get("/api/v1/passages?plate=A*&reason=case%2031&before=7")
            .code(),
        200
    );
    for wrong in ["", "?reason=%20%20%20%20%20", "?reason=a%0Ab%1B[2J"] {
        let path = format!("/api/v1/report.csv{wrong}");
        assert_eq!(operator.get(&path).fault(), "invalid", "{wrong}");
    }
    let report = operator.get("/api/v1/report.csv?reason=monthly%20report");
    assert!(
        report
            .header("content-disposition")
            .unwrap()
            .starts_with("attachment")
    );
    // What cannot be recorded is not shown.
    rig.done.is_full.store(true, Ordering::Relaxed);
    for path in [
        "/api/v1/passages?plate=A*&reason=case%2031",
        "/api/v1/report.csv?reason=monthly",
    ] {
        let told = operator.get(path);
        assert_eq!(
            (told.code(), told.fault().as_str()),
            (500, "failed"),
            "{path}"
        );
    }
    let audits = rig.done.audits.lock().unwrap();
    match audits.as_slice() {
        [
            AuditEvent::Lookup {
                by,
                reason,
                plate,
                found,
            },
            // Who asks from the middle on has looked a plate up too.
            AuditEvent::Lookup { .. },
            AuditEvent::Export {
                by: who,
                reason: why,
                ..
            },
        ] => {
            assert_eq!(
                (by.as_str(), reason.as_str(), plate.as_str(), *found),
                ("operator", "case 31", "A?1*", false)
            );
            assert_eq!(
                (who.as_str(), why.as_deref()),
                ("operator", Some("monthly report"))
            );
        }
        other => panic!("{other:?}"),
    }
}

/// What came of a stream of events until it holds this.
fn read_until(stream: &mut std::net::TcpStream, wanted: &str) -> String {
    let (mut text, mut buffer) = (String::new(), [0; 4096]);
    while !text.contains(wanted) {
        let n = stream.read(&mut buffer).unwrap();
        assert!(n > 0, "it ended with {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_come_as_they_live_and_what_was_missed_comes_first() {
    let rig = Rig::new().await;
    let officer = rig.enter("officer");
    let listen = |more: &str| {
        let mut stream = rig.open();
        let head = rig.head("GET", "/api/v1/events");
        write!(stream, "{head}\r\nCookie: {}{more}\r\n\r\n", officer.cookie).unwrap();
        stream
    };
    let mut live = listen("");
    read_until(&mut live, "event: status");
    rig.hub.hit(&hit(1), hit(1).time);
    let text = read_until(&mut live, "\"told\"");
    assert!(text.contains("event: hit") && text.contains("冀Z7K0T9"));
    let id = text
        .lines()
        .find_map(|l| l.strip_prefix("id: "))
        .unwrap()
        .to_owned();
    drop(live);
    rig.hub.hit(&hit(2), hit(2).time);
    let mut back = listen(&format!("\r\nLast-Event-ID: {id}"));
    let missed = read_until(&mut back, &Uuid::from_u128(2).to_string());
    assert!(
        !missed.contains(&Uuid::from_u128(1).to_string()),
        "only what was missed"
    );
    // An installer hears of no hit.
    let installer = rig.enter("installer");
    let mut other = rig.open();
    let head = rig.head("GET", "/api/v1/events");
    write!(
        other,
        "{head}\r\nCookie: {}\r\nLast-Event-ID: 0\r\n\r\n",
        installer.cookie
    )
    .unwrap();
    read_until(&mut other, "event: status");
    rig.hub.hit(&hit(3), hit(3).time);
    read_until(&mut back, &Uuid::from_u128(3).to_string());
    let more = read_until(&mut other, "event: status");
    assert!(!more.contains("冀Z7K0T9"), "{more}");
    // A session that ends takes its stream with it.
    rig.users
        .put(
            "officer",
            [Role::Officer].into(),
            &Secret::new("another password"),
        )
        .unwrap();
    let mut rest = Vec::new();
    back.read_to_end(&mut rest).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_and_those_who_never_finish_keep_nobody_out() {
    let rig = Rig::new().await;
    // One address is this machine's only one here: its share is less than all.
    let crowd: Vec<_> = (0..1000)
        .filter_map(|_| std::net::TcpStream::connect(rig.address).ok())
        .collect();
    for stream in crowd.iter().take(50) {
        let mut stream = stream;
        let _ = stream.write_all(b"POST /api/v1/login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le");
    }
    drop(crowd);
    let mut tries = 0;
    while rig.say(&rig.head("GET", "/api/v1/session"), "").code() != 401 {
        tries += 1;
        assert!(tries < 600, "nobody is answered after a crowd");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A body that never ends, and one that is too large.
    let mut slow = rig.open();
    write!(
        slow,
        "{}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{{",
        rig.head("POST", "/api/v1/login")
    )
    .unwrap();
    let mut told = String::new();
    slow.read_to_string(&mut told).unwrap();
    assert!(told.contains("too slowly"), "{told}");
    let large = rig.say(&rig.head("POST", "/api/v1/login"), &"x".repeat(300 << 10));
    assert!(large.code() == 400 || large.0.is_empty(), "{}", large.0);
    assert_eq!(rig.login("officer", PASSWORD).code(), 200);
}
