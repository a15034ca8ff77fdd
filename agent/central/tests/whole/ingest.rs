//! What agents send is in the tables: once, believed or kept apart, whatever is killed meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support::agent::{Agent, publish};
use crate::support::{World, begin};
use kakou_central::ingest::{Agents, Intake, Objects, ObjectsConfig, OnNew};
use kakou_central::push::NewHit;
use kakou_central::serve::Central;
use kakou_central::store::{Days, Store, StoreError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const MISSING: &str = "SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gaps";
const OPEN: &str = "SELECT count(*) FROM alarms WHERE ended_at IS NULL AND kind NOT IN ('clock', 'camera', 'silent', 'offline')";

/// What somebody would have to look at.
async fn open(world: &World) -> String {
    let select = "SELECT coalesce(string_agg(kind || ': ' || detail, '; '), '') FROM alarms \
         WHERE ended_at IS NULL AND kind NOT IN ('clock', 'camera', 'silent', 'offline')";
    let client = world.client().await;
    client.query_one(select, &[]).await.unwrap().get(0)
}

async fn floor(world: &World, site: &str, wanted: u64) {
    let sql = format!("SELECT floor FROM agents WHERE site = '{site}'");
    world.becomes(&sql, i64::try_from(wanted).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_message_is_one_row_however_often_it_comes() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let mut agent = Agent::new("north-1", 7);
    let broker = world.broker.address();
    let mut sent = vec![
        agent.status(),
        agent.passage("京A12345"),
        agent.passage("沪B6789C"),
    ];
    let (passage, picture) = agent.with_picture("粤C00001", b"\xff\xd8 a picture \xff\xd9");
    sent.extend([passage, picture, agent.hit("京A12345")]);
    for _ in 0..3 {
        publish(&broker, &sent).await;
    }
    floor(&world, "north-1", agent.sequence).await;
    for (table, rows) in [
        ("passages", 3),
        ("hits", 1),
        ("statuses", 1),
        ("pictures", 1),
    ] {
        world
            .becomes(&format!("SELECT count(*) FROM {table}"), rows)
            .await;
    }
    world
        .becomes(
            "SELECT count(*) FROM quarantine WHERE released_at IS NULL",
            0,
        )
        .await;
    assert_eq!(open(&world).await, "");
    assert_eq!(world.number(MISSING).await, 0);
    let client = world.client().await;
    let row = client
        .query_one("SELECT body, sequence, previous_hash, hash, signature FROM passages WHERE plate = '沪B6789C'", &[])
        .await
        .unwrap();
    assert_eq!(
        row.get::<_, Vec<u8>>(0),
        sent[2].payload,
        "the bytes are those that were signed"
    );
    let sql =
        "SELECT vehicle_colour, vehicle_colour_confidence FROM passages WHERE plate = '沪B6789C'";
    let row = client.query_one(sql, &[]).await.unwrap();
    let (colour, sure): (String, f32) = (row.get(0), row.get(1));
    assert_eq!((colour.as_str(), sure), ("white", 0.8725));
    let object: String = client
        .query_one("SELECT object FROM pictures", &[])
        .await
        .unwrap()
        .get(0);
    let kept = central.objects.get(&object).await.unwrap().unwrap();
    assert_eq!(&kept[..], b"\xff\xd8 a picture \xff\xd9");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_told_until_it_is_closed_or_the_agent_says_that_it_will_not_come() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let mut agent = Agent::new("north-2", 8);
    let broker = world.broker.address();
    let first = [agent.status(), agent.passage("京A12345")];
    let late = agent.passage("京A12346");
    let never: Vec<_> = (0..3)
        .map(|n| agent.passage(&format!("京A1235{n}")))
        .collect();
    let after = [agent.passage("京A12347")];
    drop(never);
    publish(&broker, &first).await;
    publish(&broker, &after).await;
    world.becomes(MISSING, 4).await;
    // As if it had been asked for in vain again and again: then something comes.
    let vain = "UPDATE gaps SET asked = 7, asked_at = now() - interval '1 hour'";
    world.client().await.execute(vain, &[]).await.unwrap();
    publish(&broker, &[late]).await;
    world.becomes(MISSING, 3).await;
    let asked =
        "SELECT count(*) FROM gaps WHERE asked = 1 AND asked_at > now() - interval '1 minute'";
    world.becomes(asked, 1).await;
    publish(&broker, &[agent.evicted(4, 6)]).await;
    world.becomes(MISSING, 0).await;
    floor(&world, "north-2", agent.sequence).await;
    let lost = "SELECT count(*) FROM alarms WHERE kind = 'lost' AND subject = '4-6' AND detail LIKE '3 of %'";
    assert_eq!(world.number(lost).await, 1);
    assert_eq!(world.number(OPEN).await, 1, "only that it is lost");
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_believed_is_kept_apart_with_an_alarm_and_holds_up_nothing() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-3", 9);
    publish(&broker, &[agent.status()]).await;
    floor(&world, "north-3", 1).await;
    let mut forged = agent.passage("京A00001");
    let at = forged.payload.len() / 2;
    forged.payload[at] ^= 1;
    // It was made, and only the forged one came: its number stays missing.
    let mut unsealed = agent.passage("京A00002");
    unsealed.user_properties.retain(|(name, _)| {
        !["sequence", "previoushash", "hash", "signature"].contains(&name.as_str())
    });
    agent.sequence -= 1;
    let mut thief = Agent::new("north-3", 10);
    let changed = thief.status();
    let unknown = kakou_uplink::Received {
        topic: "kakou/v1/north-3/box-1/evidence/none".to_owned(),
        payload: b"{}".to_vec(),
        content_type: Some("application/json".to_owned()),
        ..Default::default()
    };
    publish(&broker, &[forged, unsealed, changed, unknown]).await;
    let apart = |reason: &str| {
        format!(
            "SELECT count(*) FROM quarantine q JOIN alarms a ON a.kind = q.reason WHERE reason = '{reason}' AND a.ended_at IS NULL"
        )
    };
    for reason in ["forged", "not_sealed", "key_changed"] {
        world.becomes(&apart(reason), 1).await;
    }
    let good = agent.passage("京A00003");
    publish(&broker, &[good]).await;
    world.becomes("SELECT count(*) FROM passages", 1).await;
    let key: Vec<u8> = world
        .client()
        .await
        .query_one("SELECT public_key FROM agents WHERE site = 'north-3'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(
        key,
        agent.key.verifying_key().as_bytes(),
        "the first key stays"
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_before_the_key_is_taken_in_when_the_key_is_known() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-4", 11);
    let status = agent.status();
    let early = [agent.passage("京A00001"), agent.passage("京A00002")];
    publish(&broker, &early).await;
    world
        .becomes("SELECT count(*) FROM quarantine WHERE reason = 'no_key'", 2)
        .await;
    assert_eq!(world.number("SELECT count(*) FROM passages").await, 0);
    assert_eq!(
        world.number(OPEN).await,
        0,
        "a key that is not known yet is no alarm"
    );
    publish(&broker, &[status]).await;
    world.becomes("SELECT count(*) FROM passages", 2).await;
    floor(&world, "north-4", 3).await;
    world
        .becomes(
            "SELECT count(*) FROM quarantine WHERE released_at IS NULL",
            0,
        )
        .await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_goes_back_to_an_old_state_is_an_alarm() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-5", 12);
    publish(&broker, &[agent.status(), agent.passage("京A00001")]).await;
    let (sequence, previous) = (agent.sequence, agent.previous);
    publish(
        &broker,
        &[agent.passage("京A00002"), agent.passage("京A00003")],
    )
    .await;
    floor(&world, "north-5", 4).await;
    (agent.sequence, agent.previous) = (sequence, previous);
    publish(&broker, &[agent.passage("京A00004")]).await;
    world
        .becomes(
            "SELECT count(*) FROM alarms WHERE kind = 'number_reused'",
            1,
        )
        .await;
    assert_eq!(
        world.number("SELECT count(*) FROM passages").await,
        4,
        "and its record is kept"
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_was_not_promised_is_an_alarm() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-6", 13);
    publish(&broker, &[agent.status()]).await;
    let mut message = agent.passage_message("京A00001");
    message.evidence.truncate(1);
    let evidence = message.evidence[0].clone();
    let envelope = kakou_contract::Envelope::of(
        &message,
        kakou_contract::Priority::Passage,
        kakou_contract::Keep::Passage,
    )
    .unwrap();
    let passage = agent.seal(envelope);
    publish(&broker, &[passage]).await;
    world.becomes("SELECT count(*) FROM passages", 1).await;
    let picture = agent.picture(&message, &evidence, b"another picture");
    publish(&broker, &[picture]).await;
    world
        .becomes(
            "SELECT count(*) FROM alarms WHERE kind = 'picture_altered'",
            1,
        )
        .await;
    assert_eq!(
        world.number("SELECT count(*) FROM pictures").await,
        1,
        "it is evidence of that"
    );
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_past_a_failed_outbox_is_taken_with_an_alarm() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-8", 15);
    publish(&broker, &[agent.status()]).await;
    let mut hit = agent.hit("京A00001");
    agent.sequence -= 1;
    hit.user_properties.retain(|(name, _)| {
        !["sequence", "previoushash", "hash", "signature"].contains(&name.as_str())
    });
    publish(&broker, &[hit]).await;
    world
        .becomes("SELECT count(*) FROM hits WHERE sequence IS NULL", 1)
        .await;
    let alarm = "SELECT count(*) FROM alarms WHERE kind = 'not_sealed'";
    assert_eq!(world.number(alarm).await, 1);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_falls_silent_is_an_alarm_until_it_speaks_again() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-7", 14);
    publish(&broker, &[agent.status()]).await;
    let online = "SELECT count(*) FROM agent_state WHERE state = 'online'";
    world.becomes(online, 1).await;
    let silent = "SELECT count(*) FROM alarms WHERE kind = 'silent' AND ended_at IS NULL";
    publish(&broker, &[agent.will()]).await;
    world.becomes(silent, 1).await;
    world.becomes(online, 0).await;
    assert_eq!(
        world.number("SELECT count(*) FROM quarantine").await,
        0,
        "a will cannot be sealed"
    );
    publish(&broker, &[agent.status()]).await;
    world.becomes(silent, 0).await;
    world.becomes("SELECT count(*) FROM statuses", 3).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_ends_in_order_is_offline_and_nobody_is_accused() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-8", 15);
    publish(&broker, &[agent.status()]).await;
    let online = "SELECT count(*) FROM agent_state WHERE state = 'online'";
    world.becomes(online, 1).await;
    publish(&broker, &[agent.goodbye()]).await;
    let ended = "SELECT count(*) FROM agent_state WHERE state = 'offline' AND reason = 'shutdown'";
    world.becomes(ended, 1).await;
    world.becomes("SELECT count(*) FROM statuses", 2).await;
    let accused = "SELECT count(*) FROM alarms WHERE kind = 'not_sealed'";
    assert_eq!(world.number(accused).await, 0);
    central.stop().await;
}

/// Keys are looked up anew every few seconds, and whenever one is pinned: also in the middle of a batch.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_looked_up_anew_meanwhile_is_still_known_to_its_batch() {
    begin();
    let world = World::start().await;
    let store = Store::open(&world.database.url(), 4).unwrap();
    store.migrate().await.unwrap();
    let folder = world.folder.path().join("pictures");
    let objects = ObjectsConfig {
        folder: Some(folder),
        ..ObjectsConfig::default()
    };
    let intake = Intake {
        store,
        agents: Agents::default(),
        days: Days::default(),
        objects: Objects::open(&objects).unwrap(),
        clock: std::sync::Arc::new(kakou_time::SystemClock::new()),
        on_new: Nobody,
    };
    let agents = intake.agents.clone();
    let is_over = std::sync::Arc::new(AtomicBool::new(false));
    let told = is_over.clone();
    let forgetting = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            agents.forget();
        }
    });
    let mut agent = Agent::new("north-9", 16);
    let mut writer = None;
    let mut written = intake.take(&mut writer, vec![agent.status()]).await.fresh;
    for _ in 0..100 {
        let batch = (0..5).map(|_| agent.passage("京A12345")).collect();
        let one = intake.take(&mut writer, batch).await;
        assert_eq!(one.apart, 0);
        written += one.fresh;
    }
    assert_eq!(written, 501);
    is_over.store(true, Ordering::Relaxed);
    forgetting.join().unwrap();
}

#[derive(Clone)]
struct Nobody;

impl OnNew for Nobody {
    async fn hits(
        &self,
        _: &tokio_postgres::Transaction<'_>,
        _: &[NewHit<'_>],
    ) -> Result<(), StoreError> {
        Ok(())
    }

    async fn passages(
        &self,
        _: &tokio_postgres::Transaction<'_>,
        _: &[(uuid::Uuid, chrono::DateTime<chrono::Utc>)],
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_database_is_only_to_be_read_nothing_is_acknowledged() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-9", 21);
    const ROWS: &str = "SELECT count(*) FROM passages";
    publish(&broker, &[agent.status(), agent.passage("京A00001")]).await;
    world.becomes(ROWS, 1).await;
    let client = world.client().await;
    // As a server does whose disk is full, or that is no longer the primary. The keys of agents are
    // known for some seconds more, so the rows are the first that it refuses.
    let read_only = async |on: &str| {
        client
            .batch_execute(&format!(
                "ALTER SYSTEM SET default_transaction_read_only = {on}"
            ))
            .await
            .unwrap();
        client
            .execute("SELECT pg_reload_conf()", &[])
            .await
            .unwrap();
    };
    read_only("on").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    publish(&broker, &[agent.passage("京A00002")]).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.number(ROWS).await, 1);
    client
        .batch_execute("SET default_transaction_read_only = off")
        .await
        .unwrap();
    read_only("off").await;
    world.becomes(ROWS, 2).await;
    assert_eq!(world.number("SELECT count(*) FROM quarantine").await, 0);
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_that_is_taken_out_is_no_alarm_any_more() {
    begin();
    let world = World::start().await;
    let central = Central::start(&world.config("a")).await.unwrap();
    central.subscribed().await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-10", 22);
    let alarms = "SELECT count(*) FROM alarms WHERE kind = 'camera' AND ended_at IS NULL";
    // The golden status has a camera that has failed, and not as the first.
    publish(&broker, &[agent.status()]).await;
    world.becomes(alarms, 1).await;
    publish(&broker, &[agent.goodbye()]).await;
    let offline = "SELECT count(*) FROM agent_state WHERE state = 'offline'";
    world.becomes(offline, 1).await;
    assert_eq!(world.number(alarms).await, 1, "nobody looks at it");
    publish(&broker, &[agent.status_with(|s| s.cameras.truncate(1))]).await;
    world.becomes(alarms, 0).await;
    world.becomes("SELECT count(*) FROM camera_state", 1).await;
    central.stop().await;
}
