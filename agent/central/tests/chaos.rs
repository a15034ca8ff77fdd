//! Whatever is killed, every message that the broker took is one row in the end.
//!
//!   KAKOU_CENTRAL_KILLS    how many kills (6)
//!   KAKOU_CENTRAL_AGENTS   made-up agents (40)
//!   KAKOU_CENTRAL_RATE     passages a second of all of them (30)
//!   KAKOU_CENTRAL_SECONDS  between two kills, at the most (4)
//!
//! Two subscribers, processes of the real program, share what a fleet sends through a real Mosquitto
//! into a real PostgreSQL. The fleet has outages, repeats and evictions of its own.
//!
//! While subscribers and the database are killed, as by a power cut, nothing may have to be asked back:
//! the broker keeps what they have not acknowledged. A broker that is restarted may lose what it
//! acknowledged; then it is asked back from the agents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kakou_fleet::{Fate, Fleet, FleetOptions, Truth, TruthTo};
use support::{World, begin};

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(otherwise)
}

struct Subscriber {
    config: std::path::PathBuf,
    process: Child,
}

impl Subscriber {
    fn start(world: &World, name: &str, ask_after_s: u32) -> Self {
        let config = world.folder.path().join(format!("{name}.toml"));
        std::fs::write(&config, world.config_asking(name, ask_after_s)).unwrap();
        Self {
            process: launch(&config),
            config,
        }
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn again(&mut self) {
        self.process = launch(&self.config);
    }
}

fn launch(config: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kakou-central"))
        .args(["run", "--log", "warn", "--config"])
        .arg(config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_and_the_database_are_killed_and_nothing_has_to_be_asked_back() {
    killed(false, 3_600).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_broker_loses_is_asked_back() {
    killed(true, 1).await;
}

async fn killed(with_broker: bool, ask_after_s: u32) {
    begin();
    let mut world = World::start().await;
    let mut subscribers = ["a", "b"].map(|name| Subscriber::start(&world, name, ask_after_s));
    // Before anybody publishes, the broker must know for whom to keep it.
    world
        .becomes("SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE application_name = 'kakou-central'", 1)
        .await;
    tokio::time::sleep(Duration::from_secs(5)).await;

    let mut options =
        FleetOptions::new(u32::try_from(setting("KAKOU_CENTRAL_AGENTS", 40)).unwrap());
    options.rate = setting("KAKOU_CENTRAL_RATE", 30) as f64;
    options.pictures = 1;
    options.picture_size = 2_000;
    options.hits = 0.05;
    options.status_every = Duration::from_secs(10);
    options.truth = TruthTo::Memory;
    options.drain = Duration::from_secs(120);
    options.troubles.outages = 0.05;
    options.troubles.outage = Duration::from_secs(3);
    options.troubles.repeats = 0.03;
    options.troubles.evictions = 0.002;
    let fleet = Fleet::start(options, vec![world.broker.address()]).unwrap();

    let kills = setting("KAKOU_CENTRAL_KILLS", 6);
    let most = setting("KAKOU_CENTRAL_SECONDS", 4) * 1000;
    // Any sequence does; this one is the same each time.
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    for n in 0..kills {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        tokio::time::sleep(Duration::from_millis(1_000 + (chance >> 33) % most)).await;
        match n % if with_broker { 3 } else { 2 } {
            0 => {
                let one = &mut subscribers[usize::from((chance >> 20) % 2 == 1)];
                one.kill();
                tokio::time::sleep(Duration::from_millis((chance >> 40) % 1_000)).await;
                one.again();
            }
            1 => {
                world.database.kill();
                tokio::time::sleep(Duration::from_millis((chance >> 40) % 2_000)).await;
                world.database.restart().await.unwrap();
            }
            _ => {
                world.broker.end();
                world.broker.launch();
            }
        }
    }
    if with_broker {
        // Whoever is asked must be there.
        let old = "SELECT count(*) FROM gaps WHERE since < now() - interval '15 seconds'";
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.becomes(old, 0).await;
    }
    let truth = fleet.stop_and_drain().await.unwrap();
    compare(&world, &truth).await;
}

/// Every message that was acknowledged is one row, and no other is there.
async fn compare(world: &World, truth: &Truth) {
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    let mut unsure = std::collections::HashSet::new();
    for row in &truth.rows {
        match row.fate {
            Fate::Acknowledged => {
                // A will and the like come from the broker; all of these were sealed.
                *sent
                    .entry(format!("{} {}", row.kind, row.event_id))
                    .or_default() += 1;
            }
            // The broker may have had it all the same.
            Fate::Unacknowledged | Fate::Held => {
                unsure.insert(format!("{} {}", row.kind, row.event_id));
            }
            Fate::Evicted | Fate::Evil => {}
        }
    }
    assert!(sent.len() > 100, "the fleet sent {}", sent.len());
    let all = "SELECT 'passage ' || id AS id, agent, sequence FROM passages \
         UNION ALL SELECT 'hit ' || event_id, agent, sequence FROM hits \
         UNION ALL SELECT 'signal ' || id, agent, sequence FROM signals \
         UNION ALL SELECT 'status ' || id, agent, sequence FROM statuses WHERE sequence IS NOT NULL \
         UNION ALL SELECT 'audit ' || id, agent, sequence FROM audits \
         UNION ALL SELECT 'result ' || id, agent, sequence FROM results \
         UNION ALL SELECT 'evidence ' || owner || '/' || role, agent, sequence FROM pictures";
    let client = world.client().await;
    let started = tokio::time::Instant::now();
    let (mut missing, mut other, mut double);
    loop {
        let mut rows: BTreeMap<String, u64> = BTreeMap::new();
        for row in client.query(all, &[]).await.unwrap() {
            *rows.entry(row.get(0)).or_default() += 1;
        }
        missing = sent
            .keys()
            .filter(|id| !rows.contains_key(*id))
            .cloned()
            .collect::<Vec<_>>();
        other = rows
            .keys()
            .filter(|id| !sent.contains_key(*id) && !unsure.contains(*id))
            .cloned()
            .collect::<Vec<_>>();
        double = rows
            .iter()
            .filter(|(_, n)| **n > 1)
            .map(|(id, _)| id.clone())
            .collect::<Vec<_>>();
        if missing.is_empty() || started.elapsed() > support::PATIENCE {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let some = |all: &[String]| all.iter().take(5).cloned().collect::<Vec<_>>();
    let gaps = "SELECT coalesce(string_agg(site || ' ' || first || '-' || last || ' asked ' || asked || coalesce(' ' || answer, ''), ', '), 'none') FROM gaps JOIN agents a ON a.id = gaps.agent";
    let gaps: String = client.query_one(gaps, &[]).await.unwrap().get(0);
    println!("gaps: {gaps}");
    assert!(
        missing.is_empty(),
        "{} of {} are missing, as {:?}",
        missing.len(),
        sent.len(),
        some(&missing)
    );
    assert!(
        double.is_empty(),
        "{} are there twice, as {:?}",
        double.len(),
        some(&double)
    );
    assert!(
        other.is_empty(),
        "{} were never acknowledged, as {:?}",
        other.len(),
        some(&other)
    );
    world.becomes("SELECT count(*) FROM ledger", 0).await;
    if unsure.is_empty() {
        world
            .becomes(
                "SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gaps",
                0,
            )
            .await;
    }
    let wrong = "SELECT coalesce(string_agg(agent || ' ' || kind || ': ' || detail || ' ' || evidence::text || raised_at::text, '; '), '') FROM (SELECT * FROM alarms \
         WHERE kind IN ('forged', 'key_changed', 'chain_broken', 'number_reused', 'not_sealed', \
          'elsewhere', 'unreadable', 'unknown_topic', 'unstorable', 'picture_altered') LIMIT 5) s";
    let wrong: String = client.query_one(wrong, &[]).await.unwrap().get(0);
    if !wrong.is_empty() {
        let rows = format!(
            "SELECT coalesce(string_agg(id || ' ' || all_rows.agent || ' ' || all_rows.sequence || ' ' || coalesce(r::text, ''), '; '), 'none') FROM ({all}) all_rows \
             LEFT JOIN (SELECT id::text AS i, received_at AS r FROM passages) p ON 'passage ' || p.i = all_rows.id \
             JOIN (SELECT agent, (evidence->>'sequence')::int8 AS sequence FROM alarms WHERE kind = 'number_reused' LIMIT 5) w USING (agent, sequence)"
        );
        let rows: String = client.query_one(&rows, &[]).await.unwrap().get(0);
        let gone: String = client.query_one("SELECT coalesce(string_agg(agent || ' ' || first || '-' || last || why, ', '), '') FROM gone", &[]).await.unwrap().get(0);
        let apart: String = client.query_one("SELECT coalesce(string_agg(agent || ' ' || reason || ' ' || coalesce(released_at::text, '-') || ' ' || received_at::text, ', '), '') FROM (SELECT * FROM quarantine LIMIT 20) q", &[]).await.unwrap().get(0);
        println!("ROWS {rows}\nGONE {gone}\nAPART {apart}");
    }
    assert_eq!(wrong, "", "nobody cheated");
    println!(
        "{} messages acknowledged, {} repeats, 0 missing, 0 twice",
        sent.len(),
        truth.summary.repeats
    );
}
