//! The partitions of a day, when somebody is in the way; and a server that vanishes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kakou_central::scratch::ScratchPostgres;
use kakou_central::store::{Days, Store};
use kakou_time::{Clock as _, SystemClock};
use tokio_postgres::types::ToSql;

use crate::support::{PATIENCE, database, mosquitto};

const INSERT: &str =
    "INSERT INTO passages (id, time, agent, camera, direction, first_seen, last_seen,
         is_late, body)
     VALUES (gen_random_uuid(), $1, 1, 'c', 'unknown', $1, $1, false, '')";

fn now() -> DateTime<Utc> {
    SystemClock::new().wall().to_utc()
}

async fn there(store: &Store, day: DateTime<Utc>) -> i64 {
    let name = format!("%\\_{}", day.format("%Y%m%d"));
    let client = store.client().await.unwrap();
    let count = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE $1";
    client.query_one(count, &[&name]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_all_the_time_holds_up_no_writer() {
    let (_database, store) = database().await;
    let (days, now) = (Days::default(), now());
    let tomorrow = now + TimeDelta::days(1);
    let client = store.client().await.unwrap();
    days.make(&**client, now, [now]).await.unwrap();
    assert_eq!(there(&store, now).await, 7);
    // As pg_dump does, which docs/central.md tells people to run.
    let reader = store.client().await.unwrap();
    reader
        .batch_execute("BEGIN; SELECT count(*) FROM passages")
        .await
        .unwrap();
    let (theirs, pool) = (days.clone(), store.clone());
    let making = tokio::spawn(async move {
        let client = pool.client().await.unwrap();
        theirs.make(&**client, now, [tomorrow]).await
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let row: [&(dyn ToSql + Sync); 1] = [&now];
    let writing = tokio::time::timeout(PATIENCE, client.execute(INSERT, &row)).await;
    writing.expect("writers wait for the reader").unwrap();
    // What the reader is not in the way of is there, and the rest is no error.
    let made = tokio::time::timeout(PATIENCE, making).await;
    made.expect("it waits for the reader").unwrap().unwrap();
    assert_eq!(there(&store, tomorrow).await, 6);
    // A row of tomorrow is taken meanwhile, and lies in the partition when there is one.
    client.execute(INSERT, &[&tomorrow]).await.unwrap();
    reader.batch_execute("COMMIT").await.unwrap();
    let another = Days::default();
    another.make(&**client, now, [tomorrow]).await.unwrap();
    assert_eq!(there(&store, tomorrow).await, 7);
    let left = "SELECT count(*) FROM passages_default";
    let left: i64 = client.query_one(left, &[]).await.unwrap().get(0);
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_in_the_future_takes_the_partitions_of_a_day_from_nobody() {
    let (_database, store) = database().await;
    let client = store.client().await.unwrap();
    let day = now() + TimeDelta::days(5);
    let other = now() + TimeDelta::days(9);
    for time in [day, other] {
        client.execute(INSERT, &[&time]).await.unwrap();
    }
    let days = Days::default();
    days.make(&**client, day - TimeDelta::days(1), [day])
        .await
        .unwrap();
    assert_eq!(there(&store, day).await, 7);
    let count = async |sql: &str| -> i64 { client.query_one(sql, &[]).await.unwrap().get(0) };
    let default = "SELECT count(*) FROM passages_default";
    assert_eq!(count(default).await, 1, "the day after next is still far");
    assert_eq!(count("SELECT count(*) FROM passages").await, 2);
    // It is a partition like the others.
    client.execute(INSERT, &[&day]).await.unwrap();
    assert_eq!(count(default).await, 1);
    let indexes = "SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                   WHERE c.relkind = 'i' AND c.relname LIKE 'passages%'";
    let partitions = "SELECT count(*) FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
                      WHERE c.relkind = 'r' AND c.relname LIKE 'passages%'";
    assert_eq!(count(indexes).await, 3 * count(partitions).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_vanishes_with_its_host_is_noticed_soon() {
    let mut database = ScratchPostgres::start().await.unwrap();
    let port = mosquitto::free_port();
    database.listen(port, &[]).await.unwrap();
    let url = format!("host=127.0.0.1 port={port} user=kakou dbname=kakou");
    let store = Store::open(&url, 2).unwrap();
    let _client = store.client().await.unwrap();
    // proc(5): the sixth column is the timer and when it ends, in hundredths of a second; 02 is the
    // probe of a connection that is quiet.
    let tcp = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let server = format!("0100007F:{port:04X}");
    let timers: Vec<u64> = tcp
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|columns| columns.get(2) == Some(&server.as_str()))
        .filter_map(|columns| columns.get(5)?.strip_prefix("02:").map(str::to_owned))
        .filter_map(|when| u64::from_str_radix(&when, 16).ok())
        .collect();
    assert!(!timers.is_empty(), "{tcp}");
    assert!(timers.iter().all(|when| *when <= 6_000), "{timers:?}");
}
