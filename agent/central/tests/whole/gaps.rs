//! In which order gaps are asked back, and seals are looked at.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::time::Duration;

use kakou_central::config::GapsConfig;
use kakou_central::trust::{Auditor, ask};
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
