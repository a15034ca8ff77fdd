//! The shipped rights of a broker (configs/broker/mosquitto.acl) suffice for the centre and for those
//! whom it tells of hits, and for no more. A real Mosquitto, a real PostgreSQL.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::future::Future;
use std::path::Path;
use std::process::Command as Process;
use std::time::Duration;

use crate::support::Mosquitto;
use crate::support::agent::{Agent, publish};
use chrono::{DateTime, TimeDelta, Utc};
use kakou_central::config::CentralConfig;
use kakou_central::push::want;
use kakou_central::scratch::ScratchPostgres;
use kakou_central::serve::Central;
use kakou_contract::{Command, HitMessage, Message as _};
use kakou_guard::Secret;
use kakou_uplink::{
    BrokerAddress, Call, CallEvent, Caller, CallerConfig, Received, Subscriber, SubscriberConfig,
    SubscriberEvent, TlsFiles, User,
};

/// Long enough for two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(90);

const BOX: &str = "north-gate/box-1";
const USERS: [&str; 5] = [BOX, "central", "duty-a", "duty-b", "console"];

/// With these users, each with its name for a password.
fn broker() -> Mosquitto {
    let settings = "allow_anonymous false\npassword_file {dir}/passwd\nacl_file {dir}/acl";
    Mosquitto::start_with(settings, |folder: &Path| {
        let shipped = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../configs/broker/mosquitto.acl"
        );
        std::fs::copy(shipped, folder.join("acl")).unwrap();
        let file = folder.join("passwd");
        std::fs::write(&file, "").unwrap();
        for user in USERS {
            let mut process = Process::new("mosquitto_passwd");
            process.arg("-b").arg(&file).args([user, user]);
            assert!(process.status().unwrap().success(), "{user}");
        }
    })
}

fn login(broker: &Mosquitto, user: &str) -> BrokerAddress {
    let mut address = broker.address();
    address.user = Some(User {
        name: user.to_owned(),
        password: Secret::new(user),
    });
    address
}

async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// Subscribed already.
async fn listener(broker: &Mosquitto, user: &str, filter: &str) -> Subscriber {
    let config = SubscriberConfig::new([filter]);
    let mut subscriber = Subscriber::connect(login(broker, user), config);
    let subscribed =
        async { while subscriber.recv().await.unwrap() != SubscriberEvent::Subscribed {} };
    soon("a subscription", subscribed).await;
    subscriber
}

/// Everything up to the first message on `end`.
async fn until(subscriber: &mut Subscriber, end: &str) -> Vec<Received> {
    let mut heard = Vec::new();
    let all = async {
        loop {
            if let SubscriberEvent::Message(message) = subscriber.recv().await.unwrap() {
                let is_end = message.topic == end;
                heard.push(message);
                if is_end {
                    return;
                }
            }
        }
    };
    soon(end, all).await;
    heard
}

/// Whether the broker takes a message of this user on this topic.
async fn takes(broker: &Mosquitto, user: &str, topic: &str) -> bool {
    let config = CallerConfig {
        client_id: format!("test-{}", uuid::Uuid::now_v7().simple()),
        filters: Vec::new(),
        max_packet: 1 << 20,
        tls: TlsFiles::default(),
    };
    let mut caller = Caller::connect(login(broker, user), config, PATIENCE)
        .await
        .unwrap();
    let call = Call {
        topic: topic.to_owned(),
        payload: b"{}".to_vec(),
        expires_s: 3600,
        ..Call::default()
    };
    caller.send(&call).unwrap();
    let answer = soon("an answer of the broker", caller.next()).await;
    let taken = match answer.unwrap() {
        CallEvent::Taken | CallEvent::NobodyListens => true,
        CallEvent::NotTaken { .. } => false,
        CallEvent::Message(message) => panic!("{message:?}"),
    };
    caller.close().await;
    taken
}

async fn becomes(database: &tokio_postgres::Client, sql: &str, wanted: i64) {
    let reached = async {
        while database.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) != wanted {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon(sql, reached).await;
}

fn config(folder: &Path, broker: &Mosquitto, database: &ScratchPostgres) -> CentralConfig {
    std::fs::write(folder.join("password"), "central\n").unwrap();
    let recipient = |name: &str| {
        format!(
            "[[recipient]]\nname = \"{name}\"\nlevels = [\"red\", \"orange\", \"yellow\", \"blue\"]\n\
             states = [\"confirmed\"]\nareas = [\"all\"]\n\
             mqtt = {{ topic = \"platform/{{recipient}}/hit/{{level}}\" }}\n"
        )
    };
    let dir = folder.display();
    let text = format!(
        "group = \"central\"\nname = \"a\"\n[broker]\nurls = [\"{}\"]\nuser = \"central\"\n\
         password_file = \"{dir}/password\"\n[database]\nurl = \"{}\"\n\
         [objects]\nfolder = \"{dir}/objects\"\n{}{}",
        broker.address(),
        database.url(),
        recipient("duty-a"),
        recipient("duty-b"),
    );
    let path = folder.join("central.toml");
    std::fs::write(&path, text).unwrap();
    CentralConfig::read(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_rights_suffice_for_the_centre_and_its_recipients_and_for_no_more() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let broker = broker();
    let postgres = ScratchPostgres::start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let central = Central::start(&config(dir.path(), &broker, &postgres))
        .await
        .unwrap();
    soon("every lane is subscribed", central.subscribed()).await;
    let (database, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);

    // They ask for everything; what comes is what they have a right to.
    let mut duty_a = listener(&broker, "duty-a", "#").await;
    let mut duty_b = listener(&broker, "duty-b", "#").await;
    let mut console = listener(&broker, "console", "#").await;
    let mut boxed = listener(&broker, BOX, &format!("kakou/v1/{BOX}/cmd/#")).await;

    let mut agent = Agent::new("north-gate", 21);
    let mut sent = vec![
        agent.status(),
        agent.passage("京A12345"),
        agent.hit("京A12345"),
    ];
    // A message that is kept goes by another client, which has no login.
    sent[0].retained = false;
    publish(&login(&broker, BOX), &sent).await;
    for table in ["statuses", "passages", "hits"] {
        becomes(&database, &format!("SELECT count(*) FROM {table}"), 1).await;
    }
    // What overtook the key waited for it there.
    let apart = "SELECT count(*) FROM quarantine WHERE released_at IS NULL";
    becomes(&database, apart, 0).await;

    // What the centre writes: hits to recipients, commands to agents.
    let done = "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL";
    becomes(&database, done, 2).await;
    for (name, subscriber) in [("duty-a", &mut duty_a), ("duty-b", &mut duty_b)] {
        // After everything that was published before.
        let end = format!("platform/{name}/end");
        assert!(takes(&broker, "central", &end).await, "{end}");
        let heard = until(subscriber, &end).await;
        let topics: Vec<&str> = heard.iter().map(|m| m.topic.as_str()).collect();
        let hit = HitMessage::from_json(&heard[0].payload).expect("a hit");
        let own = format!("platform/{name}/hit/{}", hit.level);
        assert_eq!(topics, [own.as_str(), end.as_str()], "{name} hears its own");
    }
    let row = database.query_one("SELECT id FROM agents", &[]).await;
    let id: i32 = row.unwrap().get(0);
    let deadline = now() + TimeDelta::minutes(10);
    want(&database, id, &Command::Ping, "test", None, deadline)
        .await
        .unwrap();
    let asked = format!("kakou/v1/{BOX}/cmd/ping");
    until(&mut boxed, &asked).await;

    // A console hears how agents are, and no passage and no hit.
    let answer = format!("kakou/v1/{BOX}/result/end");
    assert!(takes(&broker, BOX, &answer).await);
    let heard = until(&mut console, &answer).await;
    let topics: Vec<&str> = heard.iter().map(|m| m.topic.as_str()).collect();
    let status = format!("kakou/v1/{BOX}/status");
    assert_eq!(topics, [status.as_str(), answer.as_str()]);

    let may = [("console", format!("kakou/v1/{BOX}/cmd/ping"))];
    let may_not = [
        ("central", format!("kakou/v1/{BOX}/passage/entry")),
        ("central", format!("kakou/v1/{BOX}/status")),
        ("central", format!("kakou/v1/{BOX}/list/stolen")),
        ("duty-a", "platform/duty-a/hit/red".to_owned()),
        ("duty-a", "platform/duty-b/hit/red".to_owned()),
        ("duty-a", format!("kakou/v1/{BOX}/cmd/ping")),
        ("console", "platform/duty-a/hit/red".to_owned()),
        ("console", format!("kakou/v1/{BOX}/list/stolen")),
        (BOX, "platform/duty-a/hit/red".to_owned()),
    ];
    for (user, topic) in &may {
        assert!(takes(&broker, user, topic).await, "{user} {topic}");
    }
    for (user, topic) in &may_not {
        assert!(!takes(&broker, user, topic).await, "{user} {topic}");
    }
    central.stop().await;
}

/// The deadline of a command is one of the database's clock.
#[allow(clippy::disallowed_methods)]
fn now() -> DateTime<Utc> {
    Utc::now()
}
