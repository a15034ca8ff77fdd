//! Commands to agents: published, answered, expired, repeated.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use kakou_central::push::{CommandPace, Commander, CommandsError, want};
use kakou_contract::{Command, Id, Request, ResultCode, Sequence};
use kakou_uplink::Received;
use uuid::Uuid;

use super::mosquitto::Mosquitto;
use super::mqtt::{broker, message, subscriber};
use super::rig::Rig;

const COMMANDS: &str = "kakou/v1/+/+/cmd/#";

fn pace() -> CommandPace {
    CommandPace {
        look: Duration::from_millis(50),
        look_late: Duration::from_millis(50),
        repeat_first: Duration::from_millis(300),
        repeat_most: Duration::from_millis(300),
        again_first: Duration::from_millis(50),
        again_most: Duration::from_millis(100),
    }
}

fn never_again() -> CommandPace {
    CommandPace {
        repeat_first: Duration::from_secs(3_600),
        repeat_most: Duration::from_secs(3_600),
        ..pace()
    }
}

fn command(rig: &Rig, mosquitto: &Mosquitto, pace: CommandPace) -> Commander {
    Commander::start(
        rig.store.clone(),
        &broker(mosquitto),
        rig.clock.clone(),
        pace,
    )
}

async fn ask(rig: &Rig, command: Command, seconds: i64) -> Uuid {
    let expires = rig.clock.wall().to_utc() + TimeDelta::seconds(seconds);
    let client = rig.store.client().await.unwrap();
    want(
        &**client,
        agent(rig).await,
        &command,
        "duty officer",
        Some("a gap"),
        expires,
    )
    .await
    .unwrap()
}

async fn agent(rig: &Rig) -> i32 {
    let id = rig
        .value("SELECT id FROM agents WHERE site = 'north'")
        .await;
    id.parse().unwrap()
}

fn read(received: &Received) -> Request {
    let name = received.topic.rsplit('/').next().unwrap();
    Command::parse(&Id::new("command", name).unwrap(), &received.payload).unwrap()
}

/// The subscriber stores an answer.
async fn answer(rig: &Rig, site: &str, request: Uuid, code: ResultCode, detail: &str) {
    let client = rig.store.client().await.unwrap();
    let ok = code == ResultCode::Done;
    let (id, time) = (Uuid::now_v7(), rig.clock.wall());
    let body = serde_json::json!({
        "schema_version": "1.0", "id": id, "site": site, "agent": "box-1",
        "time": kakou_contract::time::to_text(&time), "request_id": request, "command": "ping",
        "ok": ok, "code": code, "detail": detail,
    });
    client
        .execute(
            "INSERT INTO results (id, time, agent, request_id, command, ok, code, body)
             SELECT $1, $2, id, $3, 'ping', $4, $5, $6 FROM agents WHERE site = $7",
            &[
                &id,
                &time.with_timezone(&Utc),
                &request,
                &ok,
                &code.as_str(),
                &body.to_string().into_bytes(),
                &site,
            ],
        )
        .await
        .unwrap();
}

const STATES: &str = "SELECT string_agg(state, ',' ORDER BY made_at) FROM commands";

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_published_and_its_answer_joined() {
    let rig = Rig::start().await;
    let mosquitto = Mosquitto::start("");
    let mut agent = subscriber(&mosquitto, COMMANDS).await;
    let _commander = command(&rig, &mosquitto, never_again());
    let (first, last) = (Sequence::new(1002).unwrap(), Sequence::new(1008).unwrap());
    let resend = Command::Resend { first, last };
    let id = ask(&rig, resend.clone(), 3_600).await;
    let received = message(&mut agent).await;
    assert_eq!(received.topic, "kakou/v1/north/box-1/cmd/resend");
    assert!(received.response_topic.is_none() && !received.retained);
    let request = read(&received);
    assert_eq!((request.request_id, &request.command), (id, &resend));
    assert_eq!(request.by.as_deref(), Some("duty officer"));
    assert!(request.expires_at.unwrap() > rig.clock.wall());
    rig.until(STATES, "sent").await;
    assert_eq!(
        rig.value("SELECT sent_at IS NOT NULL FROM commands").await,
        "true"
    );
    // Another agent cannot answer for this one.
    answer(&rig, "south", id, ResultCode::Done, "forged").await;
    answer(&rig, "north", id, ResultCode::Repeated, "second").await;
    rig.until(STATES, "answered").await;
    let told = rig
        .value("SELECT code || ' ' || detail FROM commands")
        .await;
    assert_eq!(told, "repeated second");
    assert_eq!(rig.value("SELECT attempts FROM command_sends").await, "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_is_repeated_under_its_id_and_never_after_the_answer() {
    let rig = Rig::start().await;
    let mosquitto = Mosquitto::start("");
    let mut agent = subscriber(&mosquitto, COMMANDS).await;
    let commander = command(&rig, &mosquitto, pace());
    let id = ask(&rig, Command::Ping, 3_600).await;
    let first = message(&mut agent).await;
    let second = message(&mut agent).await;
    // To the byte: `sent_at` is that of the first time.
    assert_eq!(first.payload, second.payload);
    assert_eq!(read(&first).request_id, id);
    // A killed process's command goes on under the same id.
    drop(commander);
    let _commander = command(&rig, &mosquitto, pace());
    rig.sql("UPDATE command_sends SET next_at = now()").await;
    assert_eq!(message(&mut agent).await.payload, first.payload);
    answer(&rig, "north", id, ResultCode::Done, "here").await;
    rig.until(STATES, "answered").await;
    let attempts = rig.value("SELECT attempts FROM command_sends").await;
    // Another command comes and goes meanwhile; the first is not among what is published.
    rig.sql("UPDATE command_sends SET next_at = now() - interval '1 hour'")
        .await;
    let other = ask(&rig, Command::Status, 3_600).await;
    rig.until(
        &format!("SELECT attempts > 2 FROM command_sends WHERE request_id = '{other}'"),
        "true",
    )
    .await;
    let of_first = format!("SELECT attempts FROM command_sends WHERE request_id = '{id}'");
    assert_eq!(rig.value(&of_first).await, attempts);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_takes_expires_with_what_is_known() {
    let rig = Rig::start().await;
    let mosquitto = Mosquitto::start("");
    let agent = agent(&rig).await;
    rig.sql(&format!(
        "INSERT INTO agent_state (agent, state, reason, since)
         VALUES ({agent}, 'offline', 'connection_lost', '2031-05-04 07:41:03+00')"
    ))
    .await;
    let _commander = command(&rig, &mosquitto, pace());
    let late = ask(&rig, Command::Ping, 2).await;
    rig.until(STATES, "expired").await;
    let detail = rig.value("SELECT detail FROM commands").await;
    for part in [
        "not published: nobody listens on kakou/v1/north/box-1/cmd/ping",
        "the agent is offline since 2031-05-04 07:41:03 UTC, connection lost",
    ] {
        assert!(detail.contains(part), "{detail}");
    }
    // It was carried out in time, and the answer waited on the box.
    answer(&rig, "north", late, ResultCode::Done, "in time").await;
    rig.until(STATES, "answered").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offline_agent_gets_it_once_from_the_broker_that_kept_it() {
    let rig = Rig::start().await;
    let mosquitto = Mosquitto::start("");
    let agent_id = agent(&rig).await;
    // A session that stays, and a client that goes.
    let mut config = kakou_uplink::SubscriberConfig::new([COMMANDS]);
    config.client_id = "box-1".to_owned();
    config.keep_session = Some(Duration::from_secs(3_600));
    let mut box_1 = kakou_uplink::Subscriber::connect(mosquitto.address(), config.clone());
    while box_1.recv().await.unwrap() != kakou_uplink::SubscriberEvent::Subscribed {}
    drop(box_1);
    rig.sql(&format!(
        "INSERT INTO agent_state (agent, state, since) VALUES ({agent_id}, 'offline', now())"
    ))
    .await;
    let _commander = command(&rig, &mosquitto, pace());
    let kept = ask(&rig, Command::Ping, 3_600).await;
    rig.until(STATES, "sent").await;
    // It is due again, and not published: the broker has it.
    let due = format!(
        "SELECT next_at < now() - interval '1 s' FROM command_sends WHERE request_id = '{kept}'"
    );
    rig.until(&due, "true").await;
    assert_eq!(rig.value("SELECT attempts FROM command_sends").await, "1");
    let mut box_1 = kakou_uplink::Subscriber::connect(mosquitto.address(), config);
    assert_eq!(read(&message(&mut box_1).await).request_id, kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_asked_is_refused_with_the_mend() {
    let rig = Rig::start().await;
    let mosquitto = Mosquitto::start("");
    let client = rig.store.client().await.unwrap();
    let now = rig.clock.wall().to_utc();
    let agent = agent(&rig).await;
    let refused = async |agent, command, by, seconds| {
        let expires = now + TimeDelta::seconds(seconds);
        let asked = want(&**client, agent, &command, by, None, expires).await;
        let error: CommandsError = asked.unwrap_err();
        error.to_string()
    };
    let told = refused(agent, Command::Ping, "me", -1).await;
    assert!(told.contains("give a later time"), "{told}");
    let told = refused(agent, Command::Ping, "", 60).await;
    assert!(told.contains("by"), "{told}");
    let told = refused(4_711, Command::Ping, "me", 60).await;
    assert!(told.contains("no such agent"), "{told}");
    let many = Command::Resend {
        first: Sequence::new(1).unwrap(),
        last: Sequence::new(100_001).unwrap(),
    };
    let told = refused(agent, many, "me", 60).await;
    assert!(told.contains("last"), "{told}");
    // What somebody else wrote into the table.
    rig.sql(&format!(
        "INSERT INTO commands (request_id, agent, command, body, by, expires_at) VALUES
         (gen_random_uuid(), {agent}, 'format', '{{}}', 'me', now() + interval '1 h')"
    ))
    .await;
    let _commander = command(&rig, &mosquitto, pace());
    rig.until(STATES, "failed").await;
    let detail = rig.value("SELECT detail FROM commands").await;
    assert!(
        detail.contains("there is no command") && detail.contains("format"),
        "{detail}"
    );
}
