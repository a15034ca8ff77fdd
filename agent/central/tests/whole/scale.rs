//! How long one plate over 30 days takes, on so many passages as fit a test machine. Run it with
//!
//!     cargo test --release -p kakou-central --test whole -- scale --ignored --nocapture
//!
//! `KAKOU_PASSAGES` says how many (1500000 where it is not set).
#![allow(clippy::disallowed_methods)]

use std::time::Duration;

use crate::api::rig::{Rig, noon};
use chrono::TimeDelta;
use kakou_central::api::Role;
use kakou_central::store::Days;
use kakou_time::Stopwatch;

const DAYS: i64 = 30;
const SITES: u32 = 250;
const PLATES: u32 = 200_000;
const ASKED: usize = 300;

fn told(what: &str, mut all: Vec<Duration>) {
    all.sort();
    let at = |share: f64| {
        let index = ((all.len() - 1) as f64 * share).round() as usize;
        all[index].as_secs_f64() * 1000.0
    };
    println!(
        "{what}: median {:.1} ms, p99 {:.1} ms, {} times",
        at(0.5),
        at(0.99),
        all.len()
    );
}

fn plate(n: u32) -> String {
    let letter = char::from(b'A' + (n / 100_000) as u8);
    format!("冀{letter}{:05}", n % 100_000)
}

fn span(days: i64) -> String {
    let (from, to) = (noon() - TimeDelta::days(days), noon());
    format!(
        "from={}&to={}&reason=a+measurement",
        from.to_rfc3339().replace('+', "%2B"),
        to.to_rfc3339().replace('+', "%2B")
    )
}

async fn fill(rig: &Rig, passages: u64) {
    let days = Days::default();
    let client = rig.store.client().await.unwrap();
    let times = (0..=DAYS).map(|n| (noon() - TimeDelta::days(n)).to_utc());
    days.make(&**client, noon().to_utc(), times).await.unwrap();
    let golden: serde_json::Value =
        serde_json::from_slice(include_bytes!("../../../contract/golden/passage.json")).unwrap();
    let body = golden.to_string().into_bytes();
    client
        .batch_execute(&format!(
            "SELECT setseed(0.5);
             INSERT INTO sites (site, name, prefecture, longitude, latitude)
                 SELECT 's' || n, 's' || n, '130600', 114 + random() * 3, 38 + random() * 2
                 FROM generate_series(1, {SITES}) n;
             INSERT INTO agents (site, agent) SELECT 's' || n, 'box-1' FROM generate_series(1, {SITES}) n;"
        ))
        .await
        .unwrap();
    let sql = format!(
        "INSERT INTO passages (id, time, agent, camera, lane, direction, first_seen, last_seen,
             vehicle_class, plate, plate_confidence, plate_width, is_late, clock_state, body)
         SELECT (lpad(to_hex((extract(epoch FROM t) * 1000)::bigint), 12, '0') || '7'
                 || substr(h, 1, 3) || '8' || substr(h, 4, 15))::uuid,
             t, 1 + (n % {SITES})::int, 'cam-' || (1 + n / {SITES} % 4), 'lane-1', 'approaching', t, t, 'car',
             CASE WHEN n % 20 > 0 THEN '冀' || chr(65 + (p / 100000)) || lpad((p % 100000)::text, 5, '0') END,
             CASE WHEN n % 20 > 0 THEN 0.97 END, 120, false, 'synchronised', $2 || decode(h, 'hex')
         FROM (SELECT n, md5(n::text) AS h, (random() * {PLATES} - 0.5)::int AS p,
                   $1::timestamptz - random() * interval '{DAYS} days' AS t
               FROM generate_series(1::bigint, {passages}) n) f"
    );
    client.execute(&sql, &[&noon(), &body]).await.unwrap();
    client.batch_execute("VACUUM ANALYZE").await.unwrap();
}

#[tokio::test]
#[ignore = "a measurement: it takes minutes and some gigabytes"]
async fn one_plate_over_thirty_days() {
    let given = std::env::var("KAKOU_PASSAGES").ok();
    let passages: u64 = given
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_500_000);
    let rig = Rig::new().await;
    let watch = Stopwatch::start();
    fill(&rig, passages).await;
    let size = "SELECT pg_size_pretty(sum(pg_total_relation_size(inhrelid))) || ', of it indexes '
                || pg_size_pretty(sum(pg_indexes_size(inhrelid))) FROM pg_inherits
                WHERE inhparent = 'passages'::regclass";
    println!(
        "{passages} passages in {DAYS} days, {} in {:.0} s",
        rig.one(size).await,
        watch.elapsed().as_secs_f64()
    );

    let mut client = rig.store.client().await.unwrap();
    let ask = "SELECT * FROM seen.route($1, $2, $3)";
    let (from, to) = (noon() - TimeDelta::days(DAYS), noon());
    let (mut planned, mut found) = (Vec::new(), 0);
    for n in 0..ASKED as u32 {
        let watch = Stopwatch::start();
        let transaction = client.transaction().await.unwrap();
        transaction
            .batch_execute("SET LOCAL kakou.prefectures = '*'; SET LOCAL jit = off")
            .await
            .unwrap();
        let wanted = plate(n * 613 % PLATES);
        found += transaction
            .query(ask, &[&wanted, &from, &to])
            .await
            .unwrap()
            .len();
        transaction.commit().await.unwrap();
        planned.push(watch.elapsed());
    }
    println!("{:.1} sightings of a plate", found as f64 / ASKED as f64);
    told("one plate, 30 days, in SQL", planned);
    let transaction = client.transaction().await.unwrap();
    transaction
        .batch_execute("SET LOCAL kakou.prefectures = '*'; SET LOCAL jit = off")
        .await
        .unwrap();
    let explain = format!(
        "EXPLAIN (ANALYZE, BUFFERS) SELECT * FROM seen.route('{}', '{}', '{}')",
        plate(613 * 7),
        from.to_rfc3339(),
        to.to_rfc3339()
    );
    for row in transaction.query(&explain, &[]).await.unwrap() {
        println!("{}", row.get::<_, String>(0));
    }
    drop(transaction);
    drop(client);

    let token = rig.user("li", &Role::ALL, None).await;
    let every = |path: String, times: usize| {
        let (rig, token) = (&rig, token.clone());
        async move {
            let mut all = Vec::new();
            for _ in 0..times {
                let watch = Stopwatch::start();
                let told = rig.get(&token, &path).await;
                all.push(watch.elapsed());
                assert_eq!(told.status, 200, "{}", told.text);
            }
            all
        }
    };
    let mut routes = Vec::new();
    for n in 0..ASKED as u32 {
        let wanted = plate(n * 617 % PLATES).replace('冀', "%E5%86%80");
        let path = format!("/api/v1/route?{}&plate={wanted}", span(DAYS));
        routes.extend(every(path, 1).await);
    }
    told("GET route, 30 days, recorded", routes);
    let one = plate(613 * 7).replace('冀', "%E5%86%80");
    for (what, path, times) in [
        (
            "GET companions, 30 days",
            format!(
                "/api/v1/companions?{}&plate={one}&least_sites=2",
                span(DAYS)
            ),
            10,
        ),
        (
            "GET clones, 1 day",
            format!("/api/v1/clones?{}", span(1)),
            5,
        ),
        (
            "GET passages, 1 pattern, 30 days",
            format!(
                "/api/v1/passages/search?{}&plate={}*",
                span(DAYS),
                &one[..one.len() - 2]
            ),
            10,
        ),
        (
            "GET quality, 1 day",
            "/api/v1/quality?day=2031-05-03".to_owned(),
            5,
        ),
        (
            "GET flow, 1 site, 30 days by week",
            format!(
                "/api/v1/flow?{}&site=s7&per=week",
                span(DAYS).replace("&reason=a+measurement", "")
            ),
            5,
        ),
    ] {
        told(what, every(path, times).await);
    }
}
