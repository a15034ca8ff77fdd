//! Commands are checked as the agent checks them, and kept until somebody sends them.

use kakou_central::api::Role;
use serde_json::json;

use crate::api::rig::Rig;

const PATH: &str = "/api/v1/agents/site-a/box-1/commands";

#[tokio::test]
async fn a_command_is_kept_with_its_deadline_and_found_again() {
    let rig = Rig::new().await;
    rig.two_places().await;
    let token = rig.user("李", &[Role::Operator], None).await;
    let wanted = json!({ "command": "resend", "arguments": { "first": 3, "last": 5 },
                         "expires_in": 600, "reason": "a gap" });
    let told = rig.send(&token, "POST", PATH, wanted).await;
    assert_eq!(told.status, 202, "{}", told.text);
    let made = told.json();
    assert_eq!(
        (&made["state"], &made["by"], &made["reason"]),
        (&json!("wanted"), &json!("李"), &json!("a gap"))
    );
    let body = &made["body"];
    assert_eq!(
        (&body["first"], &body["last"], &body["by"]),
        (&json!(3), &json!(5), &json!("李"))
    );
    assert_eq!(body["request_id"], made["request_id"]);
    // What is kept is what an agent takes.
    let name = kakou_contract::Id::new("command", "resend").unwrap();
    let request = kakou_contract::Command::parse(&name, body.to_string().as_bytes()).unwrap();
    let life = request.expires_at.unwrap() - request.sent_at;
    assert_eq!(life.num_seconds(), 600);

    let id = made["request_id"].as_str().unwrap();
    rig.sql(&format!(
        "UPDATE commands SET state = 'answered', code = 'done', answered_at = now() WHERE request_id = '{id}'"
    ))
    .await;
    let found = rig
        .get(&token, &format!("/api/v1/commands/{id}"))
        .await
        .json();
    assert_eq!(
        (&found["state"], &found["code"]),
        (&json!("answered"), &json!("done"))
    );
}

#[tokio::test]
async fn a_command_that_an_agent_would_refuse_is_refused_here() {
    let rig = Rig::new().await;
    rig.two_places().await;
    let token = rig.user("li", &[Role::Operator], None).await;
    for (field, wanted) in [
        ("command", json!({ "command": "format" })),
        ("command", json!({ "command": "a/b" })),
        (
            "last",
            json!({ "command": "resend", "arguments": { "first": 5, "last": 3 } }),
        ),
        (
            "last",
            json!({ "command": "resend", "arguments": { "first": 1, "last": 900_000 } }),
        ),
        (
            "first",
            json!({ "command": "resend", "arguments": { "first": "1", "last": 2 } }),
        ),
        ("camera", json!({ "command": "snapshot" })),
        (
            "camera",
            json!({ "command": "snapshot", "arguments": { "camera": "a/b" } }),
        ),
        (
            "extra",
            json!({ "command": "ping", "arguments": { "extra": 1 } }),
        ),
        (
            "by",
            json!({ "command": "ping", "arguments": { "by": "somebody else" } }),
        ),
        (
            "expires_at",
            json!({ "command": "ping", "arguments": { "expires_at": "2099-01-01T00:00:00Z" } }),
        ),
        ("expires_in", json!({ "command": "ping", "expires_in": 1 })),
        (
            "expires_in",
            json!({ "command": "ping", "expires_in": 9_999_999 }),
        ),
        ("reason", json!({ "command": "ping", "reason": "a\nb" })),
        (
            "verdict",
            json!({ "command": "answer", "arguments": { "hit": "00000000-0000-7000-8000-000000000000", "verdict": "x" } }),
        ),
        ("arguments", json!({ "command": "ping", "arguments": [] })),
        ("other", json!({ "command": "ping", "other": 1 })),
    ] {
        let told = rig.send(&token, "POST", PATH, wanted.clone()).await;
        assert_eq!(
            (told.status, told.field().as_str()),
            (400, field),
            "{wanted}: {}",
            told.text
        );
    }
    let told = rig.send(
        &token,
        "POST",
        "/api/v1/agents/site-a/box-9/commands",
        json!({ "command": "ping" }),
    );
    assert_eq!(told.await.status, 404);
    assert_eq!(
        rig.one("SELECT count(*)::text FROM commands WHERE by = 'li'")
            .await,
        "0"
    );
}

#[tokio::test]
async fn the_first_who_acknowledges_an_alarm_stands() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let path = format!("/api/v1/alarms/{}/acknowledge", place.alarm);
    for (name, note) in [("li", "on the way"), ("wang", "me too")] {
        let token = rig.user(name, &[Role::Operator], None).await;
        let told = rig
            .send(&token, "POST", &path, json!({ "note": note }))
            .await;
        assert_eq!(told.status, 200, "{}", told.text);
        assert_eq!(told.json()["acknowledged_by"], "li");
        assert_eq!(told.json()["acknowledged_note"], "on the way");
    }
}

#[tokio::test]
async fn an_alarm_ends_once_with_who_and_why_and_comes_again_as_a_new_one() {
    let rig = Rig::new().await;
    let [place, _] = rig.two_places().await;
    let path = format!("/api/v1/alarms/{}/end", place.alarm);
    let viewer = rig.user("zhao", &[Role::Viewer], None).await;
    let told = rig.send(&viewer, "POST", &path, json!({})).await;
    assert_eq!(told.status, 403, "{}", told.text);
    for (name, note) in [("li", "a restored box"), ("wang", "no idea")] {
        let token = rig.user(name, &[Role::Operator], None).await;
        let told = rig
            .send(&token, "POST", &path, json!({ "note": note }))
            .await;
        assert_eq!(told.status, 200, "{}", told.text);
        assert_eq!(told.json()["ended_by"], "li");
        assert_eq!(told.json()["ended_note"], "a restored box");
        assert!(told.json()["ended_at"].is_string());
    }
    // The same again is a new one.
    let again = "INSERT INTO alarms (kind, agent, subject, detail) \
         SELECT kind, agent, subject, detail FROM alarms WHERE ended_by = 'li'";
    rig.sql(again).await;
}
