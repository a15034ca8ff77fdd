//! In, out, and what a request must carry.

use std::time::Duration;

use kakou_central::api::{Options, Role, UsersError};
use kakou_guard::Secret;
use serde_json::json;

use crate::api::rig::{DAY, PASSWORD, Rig, Told};

async fn login(rig: &Rig, name: &str, password: &str) -> Told {
    let body = json!({ "name": name, "password": password });
    rig.ask("POST", "/api/v1/login", &[], Some(body)).await
}

fn cookie(told: &Told) -> String {
    let line = told.headers["set-cookie"].to_str().unwrap();
    line.split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_begins_with_the_password_and_ends_with_it() {
    let rig = Rig::new().await;
    rig.user("李", &[Role::Operator], None).await;
    assert_eq!(login(&rig, "李", "another one").await.code(), "wrong_login");
    assert_eq!(login(&rig, "王", PASSWORD).await.code(), "wrong_login");
    let told = login(&rig, "李", PASSWORD).await;
    assert_eq!(told.status, 200, "{}", told.text);
    let line = told.headers["set-cookie"].to_str().unwrap();
    assert!(
        line.contains("HttpOnly") && line.contains("SameSite=Strict"),
        "{line}"
    );
    let (cookie, csrf) = (
        cookie(&told),
        told.json()["csrf"].as_str().unwrap().to_owned(),
    );

    let asked = rig
        .ask("GET", "/api/v1/agents", &[("cookie", &cookie)], None)
        .await;
    assert_eq!(asked.status, 200);
    assert_eq!(asked.headers["cache-control"], "no-store");
    assert_eq!(asked.headers["x-content-type-options"], "nosniff");
    let acknowledge = "/api/v1/alarms/1/acknowledge";
    let body = || Some(json!({}));
    let bare = rig
        .ask("POST", acknowledge, &[("cookie", &cookie)], body())
        .await;
    assert_eq!(bare.code(), "csrf");
    let both = [("cookie", cookie.as_str()), ("x-kakou-csrf", csrf.as_str())];
    assert_eq!(
        rig.ask("POST", acknowledge, &both, body()).await.status,
        404
    );

    // Another password ends it.
    let password = Secret::new("another long one");
    rig.users
        .add("李", [Role::Operator].into(), None, &password)
        .await
        .unwrap();
    let asked = rig.ask("GET", "/api/v1/agents", &both, None).await;
    assert_eq!(
        (asked.status, asked.code().as_str()),
        (401, "unauthenticated")
    );

    let told = login(&rig, "李", "another long one").await;
    let (cookie, csrf) = (
        self::cookie(&told),
        told.json()["csrf"].as_str().unwrap().to_owned(),
    );
    let both = [("cookie", cookie.as_str()), ("x-kakou-csrf", csrf.as_str())];
    assert_eq!(
        rig.ask("POST", "/api/v1/logout", &both, None).await.status,
        204
    );
    assert_eq!(
        rig.ask("GET", "/api/v1/session", &both, None).await.status,
        401
    );
}

#[tokio::test]
async fn who_guesses_waits() {
    let rig = Rig::new().await;
    rig.user("li", &[Role::Viewer], None).await;
    for _ in 0..5 {
        assert_eq!(
            login(&rig, "li", "a wrong guess").await.code(),
            "wrong_login"
        );
    }
    let told = login(&rig, "li", PASSWORD).await;
    assert_eq!((told.status, told.code().as_str()), (429, "locked"));
    assert!(told.headers.contains_key("retry-after"));
    rig.clock.advance(Duration::from_secs(60));
    assert_eq!(login(&rig, "li", PASSWORD).await.status, 200);

    // Tokens that are none, too.
    for _ in 0..5 {
        assert_eq!(rig.get("kakou_guess", "/api/v1/agents").await.status, 401);
        rig.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(
        rig.get("kakou_guess", "/api/v1/agents").await.code(),
        "locked"
    );
}

#[tokio::test]
async fn a_token_ends_with_its_time_and_with_its_user() {
    let rig = Rig::new().await;
    let token = rig.user("program", &[Role::Viewer], None).await;
    assert_eq!(
        rig.get(&token, &format!("/api/v1/hits?{DAY}")).await.status,
        200
    );
    let kept = rig
        .one("SELECT string_agg(encode(hash, 'hex'), ',') FROM api_tokens")
        .await;
    assert!(!token.contains(&kept) && kept.len() == 64);
    rig.clock.advance(Duration::from_secs(31 * 86_400));
    assert_eq!(
        rig.get(&token, &format!("/api/v1/hits?{DAY}")).await.status,
        401
    );

    let token = rig.user("other", &[Role::Viewer], None).await;
    rig.users.remove("other").await.unwrap();
    assert!(matches!(
        rig.users.remove("other").await,
        Err(UsersError::Unknown)
    ));
    assert_eq!(
        rig.get(&token, &format!("/api/v1/hits?{DAY}")).await.status,
        401
    );
}

#[tokio::test]
async fn one_who_asks_without_end_is_held_back() {
    let rig = Rig::new().await;
    let token = rig.user("program", &[Role::Viewer], None).await;
    let mut answered = 0;
    for _ in 0..400 {
        answered += usize::from(rig.get_at_once(&token, "/api/v1/session").await.status == 200);
    }
    assert!((150..300).contains(&answered), "{answered}");
}

#[tokio::test]
async fn pages_of_others_and_other_hosts_get_nothing() {
    let rig = Rig::new().await;
    let token = format!("Bearer {}", rig.user("li", &[Role::Viewer], None).await);
    let asked = async |more: (&str, &str)| {
        let headers = [("authorization", token.as_str()), more];
        rig.ask("GET", "/api/v1/session", &headers, None)
            .await
            .code()
    };
    assert_eq!(asked(("accept", "*/*")).await, "");
    assert_eq!(asked(("sec-fetch-site", "cross-site")).await, "origin");
    assert_eq!(
        asked(("origin", "http://elsewhere.example")).await,
        "origin"
    );
    assert_eq!(asked(("origin", "http://localhost")).await, "");
    let host = [
        ("authorization", token.as_str()),
        ("host", "elsewhere.example"),
    ];
    let mut request = axum::http::Request::builder().uri("/api/v1/session");
    for (name, value) in host {
        request = request.header(name, value);
    }
    let request = request.body(axum::body::Body::empty()).unwrap();
    let told = tower::ServiceExt::oneshot(rig.router.clone(), request)
        .await
        .unwrap();
    assert_eq!(told.status(), 403);
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_who_the_proxy_says() {
    let rig = Rig::with(Options {
        is_proxied: true,
        ..Options::default()
    })
    .await;
    let token = rig.user("li", &[Role::Investigator], None).await;
    let path = format!("/api/v1/route?{DAY}&reason=case+1&plate=A12345");
    let bearer = format!("Bearer {token}");
    // What the client itself wrote stands further left.
    let headers = [
        ("authorization", bearer.as_str()),
        ("x-forwarded-for", "203.0.113.1, 192.0.2.7"),
    ];
    // From elsewhere than this machine the header is not believed.
    assert_eq!(rig.ask("GET", &path, &headers, None).await.status, 200);
    assert_eq!(rig.searched().await[0]["address"], "10.0.0.9");
    assert_eq!(
        rig.ask_from([127, 0, 0, 1], &path, &headers).await.status,
        200
    );
    assert_eq!(rig.searched().await[0]["address"], "192.0.2.7");
}

#[tokio::test]
async fn users_are_made_by_admins_without_a_limit() {
    let rig = Rig::new().await;
    let admin = rig.user("admin", &[Role::Admin], None).await;
    let limited = rig.user("limited", &[Role::Admin], Some(&["130600"])).await;
    let path = "/api/v1/users/wang";
    let new = json!({ "roles": ["viewer"], "prefectures": ["130600"], "password": PASSWORD });
    assert_eq!(
        rig.send(&limited, "PUT", path, new.clone()).await.code(),
        "role"
    );
    assert_eq!(rig.send(&admin, "PUT", path, new).await.status, 204);
    for (field, wrong) in [
        ("roles", json!({ "roles": [], "password": PASSWORD })),
        (
            "password",
            json!({ "roles": ["viewer"], "password": "short" }),
        ),
        (
            "prefectures",
            json!({ "roles": ["viewer"], "password": PASSWORD, "prefectures": [] }),
        ),
        (
            "prefectures",
            json!({ "roles": ["viewer"], "password": PASSWORD, "prefectures": ["*"] }),
        ),
        (
            "prefectures",
            json!({ "roles": ["viewer"], "password": PASSWORD, "prefectures": ["1306,1"] }),
        ),
    ] {
        let told = rig.send(&admin, "PUT", path, wrong).await;
        assert_eq!(
            (told.status, told.field().as_str()),
            (400, field),
            "{}",
            told.text
        );
    }
    let made = rig.send(
        &admin,
        "POST",
        "/api/v1/users/wang/tokens",
        json!({ "label": "x", "days": 1 }),
    );
    let made = made.await;
    assert_eq!(made.status, 201, "{}", made.text);
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let session = rig.get(&token, "/api/v1/session").await.json();
    assert_eq!(session["prefectures"], json!(["130600"]));
    let listed = rig.get(&admin, "/api/v1/users").await;
    assert_eq!(listed.rows().len(), 3);
    assert!(!listed.text.contains("argon2"));
    assert_eq!(
        rig.send(&admin, "DELETE", path, json!({})).await.status,
        204
    );
    assert_eq!(rig.get(&token, "/api/v1/session").await.status, 401);
}

#[tokio::test]
async fn health_is_told_to_anybody() {
    let rig = Rig::new().await;
    let told = rig.ask("GET", "/api/v1/health", &[], None).await;
    assert_eq!(
        (told.status, told.text.as_str()),
        (200, r#"{"status":"ok"}"#)
    );
}
