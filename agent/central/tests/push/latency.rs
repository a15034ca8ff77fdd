//! How long a hit takes from its commit to the request at the recipient, beside a load of passages.
//! Prints figures and asserts none:
//! `cargo test --release -p kakou-central --test push -- --ignored --nocapture latency`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kakou_central::store::Days;
use kakou_time::Stopwatch;
use uuid::Uuid;

use super::rig::{RED, Rig, until};
use super::server::Server;

const HITS: usize = 500;
/// Days that have partitions, as after some months.
const DAYS: i64 = 90;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn latency_of_hits_beside_passages() {
    let rig = Rig::start().await;
    let client = rig.store.client().await.unwrap();
    let now = rig.clock.wall().to_utc();
    let days = (0..DAYS).map(|day| now - chrono::TimeDelta::days(day));
    Days::default().make(&**client, now, days).await.unwrap();
    drop(client);
    let clock = Stopwatch::start();
    let server = Server::start(|_, _| 200).await;
    let url = server.url();
    let recipients = rig.recipients(&format!(
        "[[recipient]]\nname = \"duty\"\nlevels = [\"red\"]\nstates = [\"confirmed\"]\n\
         areas = [\"all\"]\nwebhook = {{ url = \"{url}\", secret_file = \"KEY\" }}\n"
    ));
    let _pusher = rig.push_with(&recipients, None, Default::default());
    for wanted in [0_u64, 1_000, 4_000] {
        let is_over = Arc::new(AtomicBool::new(false));
        let rows = Arc::new(AtomicU64::new(0));
        let load = tokio::spawn(passages(
            rig.store.clone(),
            wanted,
            is_over.clone(),
            rows.clone(),
        ));
        let lap = Stopwatch::start();
        let before = server.got().len();
        let mut committed = Vec::new();
        for _ in 0..HITS {
            let ids = rig.hits(&recipients, &[RED]).await;
            committed.push((ids[0].clone(), clock.elapsed()));
            tokio::time::sleep(Duration::from_millis(13)).await;
        }
        until("all are told", || server.got().len() >= before + HITS).await;
        let seconds = lap.elapsed().as_secs_f64();
        is_over.store(true, Ordering::SeqCst);
        load.await.unwrap();
        let got = server.got();
        let mut took: Vec<Duration> = committed
            .iter()
            .map(|(id, at)| {
                let told = got.iter().find(|it| it.id() == id).unwrap();
                told.at.saturating_sub(*at)
            })
            .collect();
        took.sort_unstable();
        let at = |part: f64| took[((took.len() - 1) as f64 * part) as usize];
        let rate = rows.load(Ordering::SeqCst) as f64 / seconds;
        println!(
            "{HITS} hits beside {rate:.0} passages/s: p50 {:.1?}, p99 {:.1?}, most {:.1?}",
            at(0.5),
            at(0.99),
            at(1.0)
        );
    }
}

/// Batches of 200, as many as are wanted a second.
async fn passages(
    store: kakou_central::store::Store,
    wanted: u64,
    is_over: Arc<AtomicBool>,
    rows: Arc<AtomicU64>,
) {
    const BATCH: u64 = 200;
    let client = store.client().await.unwrap();
    if wanted == 0 {
        return;
    }
    let mut turn = tokio::time::interval(Duration::from_secs_f64(BATCH as f64 / wanted as f64));
    let statement = client
        .prepare(
            "INSERT INTO passages (id, time, agent, camera, direction, first_seen, last_seen, plate,
                 is_late, body)
             SELECT id, now(), 1, 'cam-1', 'approaching', now(), now(), '冀Z7K0T9', false, $2
             FROM unnest($1::uuid[]) AS id",
        )
        .await
        .unwrap();
    let body = vec![b'x'; 2_500];
    while !is_over.load(Ordering::SeqCst) {
        turn.tick().await;
        let ids: Vec<Uuid> = (0..BATCH).map(|_| Uuid::now_v7()).collect();
        client.execute(&statement, &[&ids, &body]).await.unwrap();
        rows.fetch_add(BATCH, Ordering::SeqCst);
    }
}
