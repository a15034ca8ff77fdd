//! Whatever is killed, every message that a broker took is one row in the end.
//!
//!   KAKOU_RMQTTD            the program `rmqttd`: three nodes of it with Raft instead of one Mosquitto
//!   KAKOU_CENTRAL_KILLS     how many kills (6)
//!   KAKOU_CENTRAL_MINUTES   kills for so long, however many they are
//!   KAKOU_CENTRAL_AGENTS    made-up agents (40)
//!   KAKOU_CENTRAL_RATE      passages a second of all of them (30)
//!   KAKOU_CENTRAL_SECONDS   between two kills, at the most (4)
//!   KAKOU_CENTRAL_ASK_LATE  1: nothing is asked back before the last kill, so that what the brokers
//!                           lost can be counted
//!
//! Two subscribers, processes of the real program, share what a fleet sends through real brokers into
//! a real PostgreSQL. One after the other a subscriber or the database is killed, as by a power cut,
//! or Mosquitto is restarted, or a node of the cluster is killed, every other time while the database
//! is away and messages wait in the nodes. Mosquitto keeps what it took; a node that is killed does
//! not. What it took with it is missing in a chain, and the platform asks the agents for it. The fleet
//! has outages, repeats and evictions of its own.
//!
//! While subscribers and the database alone are killed, nothing may have to be asked back of what a
//! Mosquitto took: it keeps what they have not acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use crate::support::process::Process;
use crate::support::rmqtt::Cluster;
use crate::support::{Brokers, Mosquitto, PATIENCE, World, begin};
use kakou_fleet::{Fate, Fleet, FleetOptions, Truth, TruthTo};
use tokio::time::{Instant, sleep};

/// What is missing is asked for one gap after the other, and a question may be lost as well.
const ASKED_BACK: Duration = Duration::from_secs(1_800);
/// Longer than any test.
const NEVER: u32 = 1_000_000;
const TOLD_EVERY: Duration = Duration::from_secs(60);

fn given(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

fn setting(name: &str, otherwise: u64) -> u64 {
    given(name).unwrap_or(otherwise)
}

fn subscriber(world: &World, name: &str, ask_after_s: u32) -> Process {
    let config = world.folder.path().join(format!("{name}.toml"));
    std::fs::write(&config, world.config_asking(name, ask_after_s)).unwrap();
    Process::start(config)
}

fn brokers() -> Brokers {
    match std::env::var_os("KAKOU_RMQTTD") {
        Some(program) if !program.is_empty() => Brokers::Cluster(Cluster::start(program.as_ref())),
        _ => Brokers::One(Mosquitto::start("")),
    }
}

fn options() -> FleetOptions {
    let agents = u32::try_from(setting("KAKOU_CENTRAL_AGENTS", 40)).unwrap();
    let mut options = FleetOptions::new(agents);
    options.rate = setting("KAKOU_CENTRAL_RATE", 30) as f64;
    options.pictures = 1;
    options.picture_size = 2_000;
    options.hits = 0.05;
    // Of thousands, statuses alone would be the load.
    options.status_every = Duration::from_secs(u64::from(agents / 50).max(10));
    options.truth = TruthTo::Memory;
    options.drain = Duration::from_secs(120);
    // Each agent still has all it sent, as a real one has on its disk. This bounds what an agent may
    // keep; an hour of 2,000 takes some 4 GiB.
    options.memory = 64 << 30;
    options.troubles.outages = 0.05;
    options.troubles.outage = Duration::from_secs(3);
    options.troubles.repeats = 0.03;
    options.troubles.evictions = 0.002;
    options
}

#[tokio::test(flavor = "multi_thread")]
async fn subscribers_and_the_database_are_killed_and_nothing_has_to_be_asked_back() {
    begin();
    let mut world = World::start().await;
    let (fleet, mut subscribers) = play(&world, NEVER).await;
    kill(&mut world, &mut subscribers, &fleet, false).await;
    let truth = fleet.stop_and_drain().await.unwrap();
    let acknowledged = compare(&world, &truth).await;
    println!("{acknowledged} messages acknowledged, 0 missing, 0 twice, nothing asked back");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_lose_is_asked_back() {
    begin();
    let mut world = World::with(brokers()).await;
    let ask_late = given("KAKOU_CENTRAL_ASK_LATE") == Some(1);
    let ask_after_s = if ask_late { NEVER } else { 1 };
    let (fleet, mut subscribers) = play(&world, ask_after_s).await;
    let agents = fleet.agents().len() as i64;
    let kills = kill(&mut world, &mut subscribers, &fleet, true).await;

    // Nothing is killed any more.
    let last_kill = Instant::now();
    let mut old = known_gaps(&world, agents).await;
    if ask_late {
        // What is only late has come by then.
        sleep(Duration::from_secs(30)).await;
        let lost = world.number(&old).await;
        println!("{kills} kills took {lost} messages with them that had been acknowledged");
        for (process, name) in subscribers.iter_mut().zip(["a", "b"]) {
            process.kill();
            *process = subscriber(&world, name, 1);
        }
        // These were kills too.
        old = known_gaps(&world, agents).await;
    }
    world.becomes_within(&old, 0, ASKED_BACK).await;
    let back = last_kill.elapsed().as_secs();
    let asked = world
        .number("SELECT count(*) FROM commands WHERE command = 'resend'")
        .await;

    let truth = fleet.stop_and_drain().await.unwrap();
    let drained = Instant::now();
    let acknowledged = compare(&world, &truth).await;
    println!(
        "{acknowledged} messages acknowledged, {} repeats, 0 missing, 0 twice; {kills} kills; {asked} times \
         something was asked back; no gap {back} s after the last kill, all rows {} s after the last message",
        truth.summary.repeats,
        drained.elapsed().as_secs(),
    );
    println!("{:?}", Told(&truth));
}

/// Starts two subscribers, and a fleet whose messages reach them.
async fn play(world: &World, ask_after_s: u32) -> (Fleet, [Process; 2]) {
    let subscribers = ["a", "b"].map(|name| subscriber(world, name, ask_after_s));
    // Before anybody publishes, the broker must know for whom to keep it.
    world
        .becomes("SELECT count(DISTINCT application_name) FROM pg_stat_activity WHERE application_name = 'kakou-central'", 1)
        .await;
    sleep(Duration::from_secs(5)).await;
    let fleet = Fleet::start(options(), world.broker.addresses()).unwrap();
    world
        .becomes("SELECT least(count(*), 1) FROM passages", 1)
        .await;
    (fleet, subscribers)
}

/// Counts what is missing of all that was sent before now. The end of a chain is known when something
/// comes after it, so each agent has to be heard first; the second time, the first has been swept.
async fn known_gaps(world: &World, agents: i64) -> String {
    for _ in 0..2 {
        let mark = world.number(MICROSECONDS).await;
        let heard = format!(
            "SELECT count(DISTINCT agent) FROM statuses WHERE sequence IS NOT NULL \
             AND time > to_timestamp({mark} / 1000000.0)"
        );
        world.becomes_within(&heard, agents, ASKED_BACK).await;
    }
    let mark = world.number(MICROSECONDS).await;
    format!(
        "SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gaps WHERE since < to_timestamp({mark} / 1000000.0)"
    )
}

/// By the clock of the database.
const MICROSECONDS: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// How many kills.
async fn kill(
    world: &mut World,
    subscribers: &mut [Process; 2],
    fleet: &Fleet,
    with_broker: bool,
) -> u64 {
    let began = Instant::now();
    let until = given("KAKOU_CENTRAL_MINUTES").map(|m| began + Duration::from_secs(m * 60));
    let kills = setting("KAKOU_CENTRAL_KILLS", 6);
    let most = setting("KAKOU_CENTRAL_SECONDS", 4).max(1) * 1000;
    // Any sequence does; this one is the same each time.
    let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
    let (mut n, mut told) = (0, began);
    while until.map_or(n < kills, |until| Instant::now() < until) {
        chance = chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        sleep(Duration::from_millis(1_000 + (chance >> 33) % most)).await;
        let pause = chance >> 40;
        match n % if with_broker { 3 } else { 2 } {
            0 => {
                let one = &mut subscribers[usize::from((chance >> 20) % 2 == 1)];
                one.kill();
                sleep(Duration::from_millis(pause % 1_000)).await;
                one.again();
            }
            1 => {
                world.database.kill();
                sleep(Duration::from_millis(pause % 2_000)).await;
                world.database.restart().await.unwrap();
            }
            _ => match &mut world.broker {
                Brokers::One(broker) => {
                    broker.restart();
                }
                Brokers::Cluster(cluster) => {
                    let node = (chance >> 50) as usize % cluster.nodes();
                    // Every other time messages wait in it: nobody can take them.
                    let full = n % 2 == 0;
                    if full {
                        world.database.kill();
                        sleep(Duration::from_secs(2)).await;
                    }
                    cluster.kill(node);
                    if full {
                        world.database.restart().await.unwrap();
                    }
                    sleep(Duration::from_millis(2_000 + pause % 4_000)).await;
                    tokio::task::block_in_place(|| cluster.launch(node));
                }
            },
        }
        n += 1;
        if told.elapsed() > TOLD_EVERY {
            told = Instant::now();
            let progress = fleet.progress();
            println!("{} s, {n} kills, {progress:?}", began.elapsed().as_secs());
        }
    }
    n
}

/// The counts, without the plates.
struct Told<'a>(&'a Truth);

impl std::fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut summary = self.0.summary.clone();
        summary.pairs.clear();
        summary.clones.clear();
        summary.fmt(f)
    }
}

/// What the centre has of a message that is no row: to find out where it went.
async fn what_is_known(client: &tokio_postgres::Client, truth: &Truth, id: &str) -> String {
    let is_it = |row: &&kakou_fleet::Row| format!("{} {}", row.kind, row.event_id) == id;
    let Some(row) = truth.rows.iter().find(is_it) else {
        return format!("{id}: not in the truth");
    };
    let number = i64::try_from(row.sequence).unwrap();
    let mut told = format!(
        "{} {} {number} of {}: {:?}",
        row.site, row.agent, row.time, row.fate
    );
    let unsealed = format!(
        "SELECT count(*)::text FROM statuses WHERE id::text = '{}'",
        row.event_id
    );
    for (what, select) in [
        ("rows without a seal", unsealed.as_str()),
        (
            "in the chain",
            "SELECT sequence::text FROM chain c WHERE c.agent = asked.id AND sequence = number",
        ),
        (
            "floor",
            "SELECT floor::text FROM agents a WHERE a.id = asked.id",
        ),
        (
            "gone",
            "SELECT string_agg(first || '-' || last, ' ') FROM gone g WHERE g.agent = asked.id AND number BETWEEN first AND last",
        ),
        (
            "alarms",
            "SELECT string_agg(kind || ' ' || detail || ' ' || raised_at, '; ') FROM alarms l WHERE l.agent = asked.id AND kind NOT IN ('silent', 'camera', 'clock')",
        ),
        (
            "kept apart",
            "SELECT string_agg(reason || ' ' || detail || ' ' || received_at, '; ') FROM quarantine q WHERE q.agent = asked.id",
        ),
    ] {
        let select = format!(
            "WITH asked AS (SELECT id, $3::int8 AS number FROM agents WHERE (site, agent) = ($1::text, $2::text)) \
             SELECT ({select}) FROM asked"
        );
        let known = client
            .query_opt(&select, &[&row.site, &row.agent, &number])
            .await;
        let known = match known {
            Ok(row) => row.and_then(|row| row.get::<_, Option<String>>(0)),
            Err(error) => Some(format!("{error:?}")),
        };
        told += &format!("\n  {what}: {}", known.as_deref().unwrap_or("-"));
    }
    told
}

/// Every message that was acknowledged is one row, and no other is there; how many these are.
async fn compare(world: &World, truth: &Truth) -> usize {
    let mut sent: BTreeMap<String, u64> = BTreeMap::new();
    let mut unsure = HashSet::new();
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
    let started = Instant::now();
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
        if missing.is_empty() || started.elapsed() > PATIENCE {
            break;
        }
        sleep(Duration::from_secs(1)).await;
    }
    let some = |all: &[String]| all.iter().take(5).cloned().collect::<Vec<_>>();
    let gaps = "SELECT coalesce(string_agg(site || ' ' || first || '-' || last || ' asked ' || asked || coalesce(' ' || answer, ''), ', '), 'none') FROM gaps JOIN agents a ON a.id = gaps.agent";
    let gaps: String = client.query_one(gaps, &[]).await.unwrap().get(0);
    println!("gaps: {gaps}");
    for id in missing.iter().take(5) {
        println!("{}", what_is_known(&client, truth, id).await);
    }
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
    let wrong = "SELECT coalesce(string_agg(agent || ' ' || kind || ': ' || detail || ' ' || \
             coalesce(evidence::text, ''), '; '), '') FROM (SELECT * FROM alarms \
         WHERE kind IN ('forged', 'key_changed', 'chain_broken', 'number_reused', 'not_sealed', \
          'elsewhere', 'unreadable', 'unknown_topic', 'unstorable', 'picture_altered') LIMIT 5) s";
    let wrong: String = client.query_one(wrong, &[]).await.unwrap().get(0);
    assert_eq!(wrong, "", "nobody cheated");
    sent.len()
}
