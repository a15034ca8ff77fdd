//! How fast passages become rows: rows for docs/measurements.md. Nothing is asserted: the figures are
//! of this machine, and of what else it does.
//!
//!   KAKOU_BENCH_PASSAGES   how many (60,000), of 2,000 agents
//!   KAKOU_BENCH_PICTURES   how many pictures of 100 kB (5,000)
//!   KAKOU_BENCH_ROUNDS     how often bare COPY and the lane take their turns (3)
//!
//! Decoding alone; then in turn, each into an empty database of the same schema, bare COPY of the same
//! rows in batches of a thousand, straight into the table, and the whole of a lane but for the network:
//! decode, table, ledger, commit, with the sweep of the ledger behind it. Then pictures
//! by their lane, into a folder. And what a row of each takes on the disk, with its indexes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../tests/whole/support/mod.rs"]
mod support;

use std::sync::Arc;

use kakou_central::ingest::{
    Agents, Believed, Intake, Objects, ObjectsConfig, OnNew, decode, topic,
};
use kakou_central::push::NewHit;
use kakou_central::scratch::ScratchPostgres;
use kakou_central::store::{Days, Store, StoreError};
use kakou_central::trust::Auditor;
use kakou_time::{Stopwatch, SystemClock};
use kakou_uplink::Received;
use support::agent::Agent;
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::{ToSql, Type};

const AGENTS: usize = 2_000;
const BATCH: usize = 1_000;

#[derive(Clone)]
struct Nobody;

impl OnNew for Nobody {
    async fn hits(&self, _: &Transaction<'_>, _: &[NewHit<'_>]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn passages(
        &self,
        _: &Transaction<'_>,
        _: &[(uuid::Uuid, chrono::DateTime<chrono::Utc>)],
    ) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Seconds of a processor that this process has used; the servers are others.
fn used() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks = |n: usize| fields[n].parse::<f64>().unwrap();
    // Of 10 ms on every Linux that there is.
    (ticks(11) + ticks(12)) / 100.0
}

#[tokio::main]
async fn main() {
    support::begin();
    let count = setting("KAKOU_BENCH_PASSAGES", 60_000);
    let mut agents: Vec<Agent> = (0..AGENTS)
        .map(|n| {
            let mut agent = Agent::new(&format!("site-{n:04}"), 1);
            agent.key = kakou_contract::SigningKey::from_bytes(&{
                let mut seed = [7; 32];
                seed[..8].copy_from_slice(&(n as u64).to_le_bytes());
                seed
            });
            agent
        })
        .collect();
    let births: Vec<Received> = agents.iter_mut().map(Agent::status).collect();
    let passages: Vec<Received> = (0..count)
        .map(|n| agents[n % AGENTS].passage(&format!("京A{:05}", n % 100_000)))
        .collect();
    let bytes: usize = passages.iter().map(|p| p.payload.len()).sum();
    println!(
        "{count} passages of {AGENTS} agents, {} bytes each",
        bytes / count
    );

    decode_alone(&births, &passages).await;
    // In turn, each from nothing: the disk is another one from minute to minute.
    let mut shares = Vec::new();
    for _ in 0..setting("KAKOU_BENCH_ROUNDS", 3) {
        let bare = bare_copy(&births, &passages).await;
        println!("bare COPY in batches of {BATCH}: {bare:.0} rows/s");
        let (whole, own) = whole(&births, &passages).await;
        let share = whole / bare;
        println!(
            "through the lane: {whole:.0} rows/s, {own:.0} for each second of a core of ours; {share:.2} of bare COPY"
        );
        shares.push(share);
    }
    shares.sort_by(f64::total_cmp);
    println!(
        "through the lane: {:.2} of bare COPY in the median of {shares:.2?}",
        shares[shares.len() / 2]
    );
    pictures(&births, &mut agents, setting("KAKOU_BENCH_PICTURES", 5_000)).await;
}

fn setting(name: &str, otherwise: usize) -> usize {
    let given = std::env::var(name).ok();
    given.and_then(|n| n.parse().ok()).unwrap_or(otherwise)
}

/// Bytes of the log so far.
async fn wal(store: &Store) -> i64 {
    let client = store.client().await.unwrap();
    let all = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::int8";
    client.query_one(all, &[]).await.unwrap().get(0)
}

/// Of all partitions, with what lies beside the table and with its indexes.
async fn row_bytes(store: &Store, table: &str) -> i64 {
    let client = store.client().await.unwrap();
    let size = format!(
        "SELECT (sum(pg_total_relation_size(inhrelid)) / (SELECT count(*) FROM {table}))::int8 \
         FROM pg_inherits WHERE inhparent = '{table}'::regclass"
    );
    client.query_one(&size, &[]).await.unwrap().get(0)
}

async fn world() -> (ScratchPostgres, Store, tempfile::TempDir) {
    let database = ScratchPostgres::start().await.unwrap();
    let store = Store::open(&database.url(), 8).unwrap();
    store.migrate().await.unwrap();
    (database, store, tempfile::tempdir().unwrap())
}

fn intake(store: &Store, folder: &tempfile::TempDir) -> Intake<Nobody> {
    let objects = ObjectsConfig {
        folder: Some(folder.path().to_owned()),
        ..ObjectsConfig::default()
    };
    Intake {
        store: store.clone(),
        agents: Agents::default(),
        days: Days::default(),
        objects: Objects::open(&objects).unwrap(),
        clock: Arc::new(SystemClock::new()),
        on_new: Nobody,
    }
}

async fn decoded(store: &Store, intake: &Intake<Nobody>, messages: &[Received]) -> Vec<Believed> {
    let client = store.client().await.unwrap();
    let names = messages
        .iter()
        .map(|message| topic(&message.topic).unwrap().1);
    let agents = intake
        .agents
        .know(&**client, names.collect())
        .await
        .unwrap();
    // As many at once as a batch of a lane.
    let named = messages.chunks(BATCH).map(|batch| {
        let named = batch.iter().map(|message| {
            let (topic, name) = topic(&message.topic).unwrap();
            (message.clone(), Some((topic, agents[&name].clone())))
        });
        decode(named.collect())
    });
    named.flatten().map(Result::unwrap).collect()
}

async fn bare_copy(births: &[Received], passages: &[Received]) -> f64 {
    let (_database, store, folder) = world().await;
    let intake = intake(&store, &folder);
    intake.take(&mut None, births.to_vec()).await;
    // The partition of the day.
    intake.take(&mut None, passages[..1].to_vec()).await;
    let believed = decoded(&store, &intake, &passages[1..]).await;
    let table = believed[0].row.table();
    let columns = table.columns();
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let types: Vec<Type> = columns.iter().map(|(_, kind)| kind.clone()).collect();
    let sql = format!(
        "COPY {} ({}) FROM STDIN BINARY",
        table.name(),
        names.join(", ")
    );
    let client = store.client().await.unwrap();
    let client: &tokio_postgres::Client = &client;
    let cells: Vec<_> = believed
        .iter()
        .map(|one| one.row.cells(&one.frame))
        .collect();
    let watch = Stopwatch::start();
    for batch in cells.chunks(BATCH) {
        let sink = client.copy_in(&sql).await.unwrap();
        let mut writer = std::pin::pin!(BinaryCopyInWriter::new(sink, &types));
        for row in batch {
            let row: Vec<&(dyn ToSql + Sync)> = row.0[..types.len()]
                .iter()
                .map(|cell| &**cell as _)
                .collect();
            writer.as_mut().write(&row).await.unwrap();
        }
        writer.finish().await.unwrap();
    }
    believed.len() as f64 / watch.elapsed().as_secs_f64()
}

async fn decode_alone(births: &[Received], passages: &[Received]) {
    let (_database, store, folder) = world().await;
    let intake = intake(&store, &folder);
    intake.take(&mut None, births.to_vec()).await;
    let watch = Stopwatch::start();
    let believed = decoded(&store, &intake, passages).await;
    let rate = believed.len() as f64 / watch.elapsed().as_secs_f64();
    println!("decode alone, one core: {rate:.0} messages/s");
    let watch = Stopwatch::start();
    let cells: usize = believed
        .iter()
        .map(|one| one.row.cells(&one.frame).0.len())
        .sum();
    let rate = believed.len() as f64 / watch.elapsed().as_secs_f64();
    println!("cells alone: {rate:.0} messages/s ({cells})");
}

async fn whole(births: &[Received], passages: &[Received]) -> (f64, f64) {
    let (_database, store, folder) = world().await;
    let intake = intake(&store, &folder);
    intake.take(&mut None, births.to_vec()).await;
    let mut writer = None;
    let sweeping = tokio::spawn({
        let store = store.clone();
        async move {
            let mut client = store.client().await.unwrap();
            let mut auditor = Auditor::default();
            loop {
                while auditor.sweep(&mut client).await.unwrap().is_full {}
                tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            }
        }
    });
    let logged = wal(&store).await;
    let (watch, before) = (Stopwatch::start(), used());
    let mut fresh = 0;
    // As a lane does it: the next batch is decoded while one is written.
    let (pass_on, mut decoded) = tokio::sync::mpsc::channel(1);
    let (decoding, passages_too) = (intake.clone(), passages.to_vec());
    tokio::spawn(async move {
        let mut writer = None;
        for batch in passages_too.chunks(BATCH) {
            let batch = decoding
                .decode(&mut writer, batch.to_vec(), Vec::new())
                .await;
            pass_on.send(batch).await.ok();
        }
    });
    while let Some(batch) = decoded.recv().await {
        fresh += intake.write(&mut writer, batch).await.fresh;
    }
    let rate = fresh as f64 / watch.elapsed().as_secs_f64();
    let own = fresh as f64 / (used() - before);
    assert_eq!(fresh as usize, passages.len());
    sweeping.abort();
    let logged = (wal(&store).await - logged) / passages.len() as i64;
    let bytes = row_bytes(&store, "passages").await;
    println!("a row of passages: {bytes} bytes with its indexes, {logged} bytes of log for each");
    (rate, own)
}

/// Each with bytes of its own, so that no two are one object.
async fn pictures(births: &[Received], agents: &mut [Agent], count: usize) {
    const BYTES: usize = 100_000;
    // As many as the lane takes at once.
    const AT_ONCE: usize = 80;
    let (_database, store, folder) = world().await;
    let intake = intake(&store, &folder);
    intake.take(&mut None, births.to_vec()).await;
    let mut writer = None;
    let mut spent = std::time::Duration::ZERO;
    let mut made = 0;
    while made < count {
        let batch: Vec<Received> = (made..count.min(made + AT_ONCE))
            .map(|n| {
                let mut bytes = vec![0x5a; BYTES];
                bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
                agents[n % AGENTS].with_picture("京A12345", &bytes).1
            })
            .collect();
        made += batch.len();
        let watch = Stopwatch::start();
        intake.take(&mut writer, batch).await;
        spent += watch.elapsed();
    }
    let kept = "SELECT count(*) FROM pictures";
    let client = store.client().await.unwrap();
    let kept: i64 = client.query_one(kept, &[]).await.unwrap().get(0);
    assert_eq!(kept as usize, count);
    println!(
        "pictures of {BYTES} bytes into a folder: {:.0} a second; a row of pictures: {} bytes with its indexes",
        count as f64 / spent.as_secs_f64(),
        row_bytes(&store, "pictures").await
    );
}
