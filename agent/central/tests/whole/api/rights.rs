//! Every path with every role, and with every limit to prefectures.

use std::collections::BTreeSet;

use kakou_central::api::{Role, openapi};
use serde_json::json;

use crate::api::rig::{Place, Rig, questions};

use Role::{Admin, Investigator, Operator, Viewer};

fn allowed(path: &str) -> &'static [Role] {
    let path = path.split('?').next().unwrap();
    let rest = path.strip_prefix("/api/v1/").unwrap();
    let parts: Vec<&str> = rest.split('/').collect();
    match parts[..] {
        ["hits", ..] => &[Viewer, Investigator],
        // That of a hit is for viewers too: tests of its own.
        [
            "passages" | "pictures" | "route" | "companions" | "clones",
            ..,
        ] => &[Investigator],
        ["flow"] => &[Viewer, Investigator, Operator],
        ["agents", _, _, "commands"] | ["commands" | "quality" | "gaps" | "alarms", ..] => {
            &[Operator]
        }
        ["agents", ..] => &[Viewer, Operator],
        ["users" | "audit", ..] => &[Admin],
        ["organisations" | "session" | "openapi.json" | "logout"] => {
            &[Viewer, Investigator, Operator, Admin]
        }
        _ => panic!("{path}: who may?"),
    }
}

fn all(place: &Place) -> Vec<(&'static str, String, Option<serde_json::Value>)> {
    let mut all = questions(place);
    all.extend([
        ("GET", "/api/v1/hits/live".to_owned(), None),
        ("GET", "/api/v1/users".to_owned(), None),
        ("PUT", "/api/v1/users/new".to_owned(), Some(json!({}))),
        ("DELETE", "/api/v1/users/nobody".to_owned(), Some(json!({}))),
        (
            "POST",
            "/api/v1/users/nobody/tokens".to_owned(),
            Some(json!({})),
        ),
        (
            "GET",
            format!("/api/v1/audit?{}", crate::api::rig::DAY),
            None,
        ),
        ("GET", "/api/v1/session".to_owned(), None),
        ("POST", "/api/v1/logout".to_owned(), None),
    ]);
    all
}

/// A path without what stands in its holes, as the description has it.
fn shape(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap();
    let described = serde_json::to_value(openapi()).unwrap();
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |shape: &str| {
        let shapes: Vec<&str> = shape.split('/').collect();
        shapes.len() == parts.len()
            && shapes
                .iter()
                .zip(&parts)
                .all(|(s, p)| s == p || s.starts_with('{'))
    };
    let mut found: Vec<&String> = described["paths"]
        .as_object()
        .unwrap()
        .iter()
        .filter(|(shape, methods)| fits(shape) && methods.get(method.to_lowercase()).is_some())
        .map(|(shape, _)| shape)
        .collect();
    found.sort_by_key(|shape| shape.matches('{').count());
    format!(
        "{method} {}",
        found.first().unwrap_or_else(|| panic!("{method} {path}"))
    )
}

#[tokio::test]
async fn every_path_is_for_its_roles_and_for_nobody_without_a_login() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let mut tokens = Vec::new();
    for role in Role::ALL {
        tokens.push((role, rig.user(role.as_str(), &[role], None).await));
    }
    let mut seen = BTreeSet::new();
    for (method, path, body) in all(&place) {
        seen.insert(shape(method, &path));
        let told = rig.ask(method, &path, &[], body.clone()).await;
        assert_eq!(
            (told.status, told.code().as_str()),
            (401, "unauthenticated"),
            "{path}"
        );
        for (role, token) in &tokens {
            let may = allowed(&path).contains(role);
            if path.ends_with("live") && may {
                // It never ends; tests of its own.
                continue;
            }
            let bearer = format!("Bearer {token}");
            let headers = [("authorization", bearer.as_str())];
            let told = rig.ask(method, &path, &headers, body.clone()).await;
            let is_role = told.code() == "role";
            assert_eq!(is_role, !may, "{role} {method} {path}: {}", told.text);
            assert_eq!(
                told.status == 403,
                !may,
                "{role} {method} {path}: {}",
                told.text
            );
            assert!(told.status < 500, "{role} {method} {path}: {}", told.text);
        }
    }
    // What is described was asked for.
    let described = serde_json::to_value(openapi()).unwrap();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let shape = format!("{} {path}", method.to_uppercase());
            let is_open = path.ends_with("/login") || path.ends_with("/health");
            assert!(is_open || seen.contains(&shape), "{shape} was not tried");
        }
    }
}

#[tokio::test]
async fn who_is_limited_sees_the_own_prefectures_and_nothing_else_by_any_path() {
    let rig = Rig::new().await;
    let [a, b] = rig.two_places().await;
    // The two are 213 km and a minute apart: for who sees both, a clone.
    let everything = rig.user("all", &Role::ALL, None).await;
    let province = rig.user("province", &Role::ALL, Some(&["130000"])).await;
    let of_a = rig.user("a", &Role::ALL, Some(&["130600"])).await;
    let nowhere = rig.user("nowhere", &Role::ALL, Some(&["440100"])).await;

    for token in [&everything, &province] {
        for place in [&a, &b] {
            for (method, path, body) in questions(place) {
                let told = match body {
                    Some(body) => rig.send(token, method, &path, body).await,
                    None => rig.get(token, &path).await,
                };
                assert!(
                    (200..300).contains(&told.status),
                    "{method} {path}: {}",
                    told.text
                );
            }
        }
        let clones = format!(
            "/api/v1/clones?{}&{}",
            crate::api::rig::DAY,
            crate::api::rig::WHY
        );
        assert_eq!(rig.get(token, &clones).await.rows().len(), 1);
    }

    // What is the other's is not there: not named, not counted, not to be changed.
    for (token, mine, theirs) in [
        (&of_a, Some(&a), &b),
        (&nowhere, None, &a),
        (&nowhere, None, &b),
    ] {
        for (method, path, body) in questions(theirs) {
            let told = match &body {
                Some(body) => rig.send(token, method, &path, body.clone()).await,
                None => rig.get(token, &path).await,
            };
            let is_single = ["/box-1", "/commands", "/pictures/", "/alarms/"]
                .iter()
                .any(|part| path.contains(part));
            match is_single {
                true => assert_eq!(
                    (told.status, told.code().as_str()),
                    (404, "not_found"),
                    "{path}"
                ),
                false => {
                    assert_eq!(told.status, 200, "{path}: {}", told.text);
                    assert!(!told.text.contains(theirs.site), "{path}: {}", told.text);
                }
            }
        }
        if let Some(mine) = mine {
            for (method, path, body) in questions(mine) {
                let told = match body {
                    Some(body) => rig.send(token, method, &path, body).await,
                    None => rig.get(token, &path).await,
                };
                assert!((200..300).contains(&told.status), "{path}: {}", told.text);
                let is_empty = ["clones", "companions", "pictures"]
                    .iter()
                    .any(|p| path.contains(p));
                let is_mine = told.text.contains(mine.site) || told.text.contains("130600");
                assert!(is_empty || is_mine, "{path}: {}", told.text);
            }
        }
    }
    let by = |place: &Place| {
        format!(
            "SELECT concat_ws(' ', acknowledged_by, ended_by) FROM alarms WHERE id = {}",
            place.alarm
        )
    };
    assert_eq!(rig.one(&by(&b)).await, "all all");
    let many = "SELECT count(*)::text FROM commands WHERE by IN ('a', 'nowhere')";
    assert_eq!(rig.one(many).await, "1");
    assert!(
        !rig.get(&nowhere, "/api/v1/organisations")
            .await
            .text
            .contains("1306")
    );

    // An alarm of no agent is for who sees all.
    rig.sql("INSERT INTO alarms (kind, detail) VALUES ('unreadable', 'of nobody')")
        .await;
    assert!(
        rig.get(&everything, "/api/v1/alarms")
            .await
            .text
            .contains("of nobody")
    );
    assert!(
        !rig.get(&of_a, "/api/v1/alarms")
            .await
            .text
            .contains("of nobody")
    );
}

#[tokio::test]
async fn without_a_word_of_who_asks_the_database_shows_nothing() {
    let rig = Rig::new().await;
    rig.two_places().await;
    for view in [
        "agents", "passages", "hits", "hits_now", "gaps", "alarms", "commands", "pictures", "sites",
    ] {
        let count = format!("SELECT count(*)::text FROM seen.{view}");
        assert_eq!(rig.one(&count).await, "0", "{view}");
    }
}
