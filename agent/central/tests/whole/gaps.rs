//! In which order gaps are asked back, and seals are looked at; and when an agent is silent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use kakou_central::config::GapsConfig;
use kakou_central::life::{Life, LifeConfig};
use kakou_central::trust::{Auditor, ask, pin_by_hand};
use kakou_time::{SharedClock, SystemClock};

use crate::support::database;

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_gap_is_asked_for_first_whoever_has_it_and_near_ones_with_it() {
    let (_database, store) = database().await;
    let mut client = store.client().await.unwrap();
    client
        .batch_execute(
            "INSERT INTO agents (site, agent) SELECT 's' || n, 'box-1' FROM generate_series(1, 3) n;
             INSERT INTO agent_state (agent, state, heard) SELECT id, 'online', now() FROM agents;
             INSERT INTO gaps (agent, first, last, since) VALUES
                 (1, 5, 6, now() - interval '2 minutes'), (1, 50, 50, now() - interval '2 minutes'),
                 (2, 9, 9, now() - interval '3 minutes'),
                 (3, 7, 7, now() - interval '9 minutes'), (3, 10, 11, now() - interval '2 minutes'),
                 (3, 13, 13, now() - interval '1 second')",
        )
        .await
        .unwrap();
    // One question in five seconds.
    let config = GapsConfig {
        ask_a_minute: 12,
        ..GapsConfig::default()
    };
    let clock: SharedClock = Arc::new(SystemClock::new());
    let mut asked = Vec::new();
    for _ in 0..4 {
        let count = ask(&mut client, &config, &clock, Duration::from_secs(5))
            .await
            .unwrap();
        let last = "SELECT agent, body->>'first', body->>'last' FROM commands ORDER BY made_at DESC LIMIT 1";
        let row = client.query_one(last, &[]).await.unwrap();
        let [first, last] = [1, 2].map(|at| row.get::<_, String>(at));
        asked.push((count, row.get::<_, i32>(0), first, last));
        // It answered, and nothing came.
        let answer = "UPDATE commands SET state = 'answered', answered_at = now(), code = 'done'";
        client.execute(answer, &[]).await.unwrap();
    }
    let wanted = [
        (1, 3, "7", "11"),
        (1, 2, "9", "9"),
        (1, 1, "5", "6"),
        (1, 1, "50", "50"),
    ];
    let wanted =
        wanted.map(|(n, agent, first, last)| (n, agent, first.to_owned(), last.to_owned()));
    assert_eq!(asked, wanted);
    // What is young is not asked for, and each gap that was knows it.
    let of = "SELECT string_agg(agent || ':' || first || ':' || asked || ':' || coalesce(answer, ''), ' ' \
              ORDER BY agent, first) FROM gaps";
    let told: String = client.query_one(of, &[]).await.unwrap().get(0);
    let parts = [
        "1:5:1:done",
        "1:50:1:done",
        "2:9:1:done",
        "3:7:1:done",
        "3:10:1:done",
        "3:13:0:",
    ];
    assert_eq!(told, parts.join(" "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_is_never_looked_at_before_its_message_however_much_waits() {
    let (_database, store) = database().await;
    let mut client = store.client().await.unwrap();
    // As the table is when rows were deleted from it: what came second lies where there was room, far
    // before what came first.
    client
        .batch_execute(
            "INSERT INTO agents (site, agent) SELECT 's' || n, 'box-1' FROM generate_series(1, 2) n;
             INSERT INTO ledger (number, agent, sequence, previous_hash, hash, fresh, event_id)
                 OVERRIDING SYSTEM VALUE
                 VALUES (2, 1, 1, decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'), false, 'a');
             INSERT INTO ledger (number, agent, sequence, previous_hash, hash, fresh, event_id)
                 OVERRIDING SYSTEM VALUE
                 SELECT n + 2, 2, n, decode(md5((n - 1)::text) || md5((n - 1)::text), 'hex'),
                     decode(md5(n::text) || md5(n::text), 'hex'), true, 'b' || n
                 FROM generate_series(2, 30000) n;
             INSERT INTO ledger (number, agent, sequence, previous_hash, hash, fresh, event_id)
                 OVERRIDING SYSTEM VALUE
                 VALUES (1, 1, 1, decode(repeat('00', 32), 'hex'), decode(repeat('11', 32), 'hex'), true, 'a')",
        )
        .await
        .unwrap();
    let mut auditor = Auditor::default();
    let mut seals = 0;
    loop {
        let swept = auditor.sweep(&mut client).await.unwrap();
        seals += swept.seals;
        if !swept.is_full {
            break;
        }
    }
    assert_eq!(seals, 30_001);
    let wrong = "SELECT coalesce(string_agg(kind || ': ' || detail, '; '), '') FROM alarms";
    let wrong: String = client.query_one(wrong, &[]).await.unwrap().get(0);
    assert_eq!(wrong, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_replaced_while_seals_are_followed_begins_its_chain_anew() {
    let (_database, store) = database().await;
    let mut client = store.client().await.unwrap();
    let seals = |from: u32, to: u32, salt: &str| {
        format!(
            "INSERT INTO ledger (agent, sequence, previous_hash, hash, fresh, event_id)
             SELECT 1, n, CASE n WHEN 1 THEN decode(repeat('00', 32), 'hex')
                     ELSE decode(repeat(md5('{salt}' || n - 1), 2), 'hex') END,
                 decode(repeat(md5('{salt}' || n), 2), 'hex'), true, '{salt}' || n
             FROM generate_series({from}, {to}) n"
        )
    };
    let key = |seed: u8| {
        let signing = kakou_contract::SigningKey::from_bytes(&[seed; 32]);
        kakou_contract::PublicKey::of(&signing.verifying_key()).base64
    };
    let given = |base64, replace| kakou_central::trust::Given {
        site: "s1",
        agent: "box-1",
        base64,
        source: "operator",
        replace,
    };
    let transaction = client.transaction().await.unwrap();
    let first = key(1);
    pin_by_hand(&transaction, given(&first, false))
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    client.batch_execute(&seals(1, 3, "old")).await.unwrap();
    let mut auditor = Auditor::default();
    auditor.sweep(&mut client).await.unwrap();

    let mut operator = store.client().await.unwrap();
    let transaction = operator.transaction().await.unwrap();
    let second = key(2);
    pin_by_hand(&transaction, given(&second, true))
        .await
        .unwrap();
    let sweeping = tokio::spawn(async move {
        auditor.sweep(&mut client).await.unwrap();
        (auditor, client)
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    transaction.commit().await.unwrap();
    let (mut auditor, mut client) = sweeping.await.unwrap();
    client.batch_execute(&seals(1, 1, "new")).await.unwrap();
    auditor.sweep(&mut client).await.unwrap();
    let alarms = "SELECT count(*) FROM alarms WHERE kind = 'number_reused'";
    let reused: i64 = client.query_one(alarms, &[]).await.unwrap().get(0);
    assert_eq!(reused, 0);
    let floor = client.query_one("SELECT floor FROM agents", &[]).await;
    assert_eq!(floor.unwrap().get::<_, i64>(0), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_centre_that_was_away_accuses_nobody_of_silence_before_it_has_listened() {
    let (_database, store) = database().await;
    let mut client = store.client().await.unwrap();
    client
        .batch_execute(
            "INSERT INTO agents (site, agent) VALUES ('s1', 'box-1');
             INSERT INTO agent_state (agent, state, heard, received_at)
             SELECT id, 'online', now() - interval '10 minutes', now() - interval '10 minutes' FROM agents",
        )
        .await
        .unwrap();
    let alarms = "SELECT count(*) FROM alarms";
    let config = LifeConfig {
        silent_after_s: 2,
        ..LifeConfig::default()
    };
    let life = Life::new(config);
    life.tick(&mut client).await.unwrap();
    let raised: i64 = client.query_one(alarms, &[]).await.unwrap().get(0);
    assert_eq!(raised, 0);
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    life.tick(&mut client).await.unwrap();
    let raised: i64 = client.query_one(alarms, &[]).await.unwrap().get(0);
    assert_eq!(raised, 1);
}
