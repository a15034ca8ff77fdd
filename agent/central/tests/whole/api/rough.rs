//! What nobody should send, and pages that end where the next begins.

use std::collections::BTreeSet;

use kakou_central::api::Role;
use kakou_contract::HitState;
use serde_json::json;

use crate::api::rig::{DAY, Rig, Seen, WHY, after, questions};

const ROUGH: &[&str] = &[
    "'; DROP TABLE passages; --",
    "' OR '1'='1",
    "\" OR 1=1 --",
    "1); SELECT pg_sleep(60); --",
    "$1",
    "%00",
    "%FF%FE",
    "\\",
    "%25",
    "_",
    "-1",
    "0",
    "99999999999999999999999999",
    "NaN",
    "inf",
    "1e308",
    "null",
    "[]",
    "{}",
    "../../etc/passwd",
    "%E5%86%80%F0%9F%9A%97",
    "9999-12-31T23:59:59Z",
    "-9999-01-01",
    "0000-01-01",
    "eyJhIjoxfQ",
    "WyJhIiwiYiJd",
    "WyJhIiwiYiIsImMiLCJkIiwiZSJd",
];

fn encoded(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            ' ' => "%20".to_owned(),
            '\'' | '"' | '\\' | '{' | '}' | '[' | ']' | '$' | ';' | '(' | ')' | '=' | '/' | '<' => {
                format!("%{:02X}", c as u32)
            }
            c => c.to_string(),
        })
        .collect()
}

#[tokio::test]
async fn rough_words_in_every_place_are_refused_or_find_nothing() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let token = rig.user("all", &Role::ALL, None).await;
    let names = [
        "from",
        "to",
        "site",
        "agent",
        "camera",
        "plate",
        "reason",
        "limit",
        "after",
        "level",
        "state",
        "list",
        "class",
        "vehicle_colour",
        "colour",
        "window",
        "least_sites",
        "kmh",
        "confidence",
        "per",
        "day",
        "open",
        "kind",
        "who",
        "unknown",
    ];
    let mut paths: Vec<(&str, String)> = questions(&place)
        .into_iter()
        .filter(|(method, ..)| *method == "GET")
        .map(|(method, path, _)| (method, path))
        .collect();
    paths.push(("GET", format!("/api/v1/audit?{DAY}")));
    for (_, path) in &paths {
        let (base, query) = path.split_once('?').unwrap_or((path, ""));
        for name in names {
            for word in ROUGH {
                let kept = query
                    .split('&')
                    .filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
                let pair = format!("{name}={}", encoded(word));
                let all: Vec<&str> = kept.chain([pair.as_str()]).collect();
                let path = format!("{base}?{}", all.join("&"));
                let told = rig.get(&token, &path).await;
                assert!(told.status < 500, "{path}: {} {}", told.status, told.text);
                if told.status == 400 {
                    assert_eq!(told.code(), "invalid", "{path}");
                }
            }
        }
    }
    for word in ROUGH {
        let word = encoded(word);
        for path in [
            format!("/api/v1/agents/{word}/box-1"),
            format!("/api/v1/agents/site-a/{word}"),
            format!("/api/v1/pictures/{word}/frame?{WHY}"),
            format!("/api/v1/pictures/{}/{word}?{WHY}", place.passage),
            format!("/api/v1/commands/{word}"),
            format!("/api/v1/{word}"),
        ] {
            let told = rig.get(&token, &path).await;
            assert!(
                (400..500).contains(&told.status),
                "{path}: {} {}",
                told.status,
                told.text
            );
        }
        let told = rig
            .send(
                &token,
                "DELETE",
                &format!("/api/v1/users/{word}"),
                json!({}),
            )
            .await;
        assert!(
            (400..500).contains(&told.status),
            "{word}: {} {}",
            told.status,
            told.text
        );
    }
    assert_eq!(rig.one("SELECT count(*)::text FROM passages").await, "2");
    assert_eq!(rig.one("SELECT count(*)::text FROM users").await, "1");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_the_mend() {
    let rig = Rig::new().await;
    let token = rig.user("all", &Role::ALL, None).await;
    let long = "x".repeat(100);
    for (path, field) in [
        ("/api/v1/hits".to_owned(), "from"),
        ("/api/v1/hits?from=2031-05-04T00:00:00Z".to_owned(), "to"),
        (
            "/api/v1/hits?from=2031-05-04T00:00:00Z&to=2031-05-04T00:00:00Z".to_owned(),
            "to",
        ),
        (
            "/api/v1/hits?from=2031-05-04T00:00:00Z&to=2032-05-04T00:00:00Z".to_owned(),
            "to",
        ),
        (format!("/api/v1/hits?{DAY}&limit=501"), "limit"),
        (format!("/api/v1/hits?{DAY}&limit=many"), "limit"),
        (format!("/api/v1/hits?{DAY}&level=purple"), "level"),
        (format!("/api/v1/hits?{DAY}&site={long}"), "site"),
        (format!("/api/v1/hits?{DAY}&plate=A12345"), "plate"),
        (format!("/api/v1/hits?{DAY}&after=abc"), "after"),
        (format!("/api/v1/clones?{DAY}&{WHY}&kmh=5"), "kmh"),
        (
            format!("/api/v1/companions?{DAY}&{WHY}&plate=A1&window=9999"),
            "window",
        ),
        (format!("/api/v1/flow?{DAY}&per=minute"), "per"),
        ("/api/v1/quality?day=yesterday".to_owned(), "day"),
        ("/api/v1/alarms?open=perhaps".to_owned(), "open"),
    ] {
        let told = rig.get(&token, &path).await;
        assert_eq!(
            (told.status, told.field().as_str()),
            (400, field),
            "{path}: {}",
            told.text
        );
    }
    let huge = json!({ "note": "x".repeat(100_000) });
    let told = rig
        .send(&token, "POST", "/api/v1/alarms/1/acknowledge", huge)
        .await;
    assert_eq!((told.status, told.code().as_str()), (400, "invalid"));
}

/// Pages of any size give each row once.
async fn pages_agree(rig: &Rig, token: &str, path: &str, wanted: usize) {
    let whole = rig.pages(token, path, 500).await;
    assert_eq!(whole.len(), wanted, "{path}");
    let distinct: BTreeSet<String> = whole.iter().map(ToString::to_string).collect();
    assert_eq!(distinct.len(), wanted, "{path}");
    for limit in [1, 3, 7] {
        assert_eq!(
            rig.pages(token, path, limit).await,
            whole,
            "{path} by {limit}"
        );
    }
}

#[tokio::test]
async fn pages_have_neither_gaps_nor_repeats() {
    let rig = Rig::new().await;
    let token = rig.user("all", &Role::ALL, None).await;
    for n in 0..4 {
        rig.site(&format!("site-{n}"), "130600", 115.0 + f64::from(n), 38.9)
            .await;
    }
    for n in 0..23_i64 {
        // Several at the very same time, also to the microsecond.
        let at = after(n / 5 * 90) + chrono::TimeDelta::microseconds(n % 2);
        let site = format!("site-{}", n % 4);
        let (site, lane) = (site.as_str(), (n % 3 > 0).then_some("lane-1"));
        let camera = if n % 2 == 0 { "cam-1" } else { "cam-2" };
        rig.passage(Seen {
            site,
            camera,
            lane,
            at,
            ..Seen::default()
        })
        .await;
        rig.hit(site, kakou_contract::live_id(at), HitState::Confirmed, at)
            .await;
        let with = format!("冀B{n:05}");
        rig.passage(Seen {
            site: "site-0",
            plate: Some(&with),
            at: after(1),
            ..Seen::default()
        })
        .await;
        rig.passage(Seen {
            site: "site-1",
            plate: Some(&with),
            at: after(91),
            ..Seen::default()
        })
        .await;
        let agent = rig.agent(site, &format!("box-{n}")).await;
        rig.sql(&format!(
            "INSERT INTO gaps (agent, first, last) VALUES ({agent}, 1, 2), ({agent}, 5, 9);
             INSERT INTO alarms (kind, agent, detail) VALUES ('lost', {agent}, '{n}');
             INSERT INTO organisations VALUES ('x{n}', 'x{n}');"
        ))
        .await;
    }
    let plate = "plate=%E5%86%80Z7K0T9";
    pages_agree(&rig, &token, &format!("/api/v1/hits?{DAY}"), 23).await;
    pages_agree(
        &rig,
        &token,
        &format!("/api/v1/passages/search?{DAY}&{WHY}&{plate}"),
        23,
    )
    .await;
    pages_agree(
        &rig,
        &token,
        &format!("/api/v1/route?{DAY}&{WHY}&{plate}"),
        23,
    )
    .await;
    let companions = format!("/api/v1/companions?{DAY}&{WHY}&{plate}&least_sites=2&window=60");
    pages_agree(&rig, &token, &companions, 23).await;
    let lanes = rig
        .one("SELECT count(DISTINCT (agent, camera, lane))::text FROM passages")
        .await;
    pages_agree(
        &rig,
        &token,
        &format!("/api/v1/flow?{DAY}&per=month"),
        lanes.parse().unwrap(),
    )
    .await;
    pages_agree(&rig, &token, "/api/v1/quality?day=2031-05-04", 5).await;
    pages_agree(&rig, &token, "/api/v1/agents", 26).await;
    pages_agree(&rig, &token, "/api/v1/gaps", 46).await;
    pages_agree(&rig, &token, "/api/v1/alarms", 23).await;
    pages_agree(&rig, &token, "/api/v1/organisations", 24).await;
    let clones = rig
        .pages(&token, &format!("/api/v1/clones?{DAY}&{WHY}"), 500)
        .await
        .len();
    assert!(clones > 10, "{clones}");
    pages_agree(&rig, &token, &format!("/api/v1/clones?{DAY}&{WHY}"), clones).await;
}
