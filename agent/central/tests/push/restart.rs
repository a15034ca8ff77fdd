//! Processes and servers that are killed in the middle.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::rig::{BLUE, LONG, RED, Rig, until};
use super::server::{Reply, Server};

fn config(server: &Server) -> String {
    let url = server.url();
    format!(
        "[[recipient]]\nname = \"duty\"\nlevels = [\"red\", \"blue\"]\nstates = [\"confirmed\"]\n\
         areas = [\"all\"]\nwebhook = {{ url = \"{url}\", secret_file = \"KEY\" }}\n\
         [push]\ntimeout_s = 3\n"
    )
}

const DONE: &str = "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_held_another_one_takes_over() {
    let rig = Rig::start().await;
    let is_stuck = Arc::new(AtomicBool::new(true));
    let stuck = is_stuck.clone();
    let server = Server::start(move |_, _| Reply {
        status: 200,
        wait: match stuck.load(Ordering::SeqCst) {
            true => LONG * 10,
            false => Duration::ZERO,
        },
        ..Reply::default()
    })
    .await;
    let recipients = rig.recipients(&config(&server));
    let first = rig.push(&recipients);
    let ids = rig.hits(&recipients, &[RED, RED, BLUE]).await;
    until("the first one has sent them", || server.got().len() >= 3).await;
    is_stuck.store(false, Ordering::SeqCst);
    // As if it were killed: nothing is recorded.
    drop(first);
    let _second = rig.push(&recipients);
    rig.until(DONE, "3").await;
    let heard: HashSet<String> = server.ids().into_iter().collect();
    assert_eq!(heard, ids.into_iter().collect());
    // Each was begun by the first, and once more after its lease.
    assert_eq!(rig.value("SELECT min(attempts) FROM deliveries").await, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_share_the_work_and_double_nothing() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let recipients = rig.recipients(&config(&server));
    let (first, second) = (rig.push(&recipients), rig.push(&recipients));
    for _ in 0..20 {
        rig.hits(&recipients, &vec![RED; 10]).await;
    }
    rig.until(DONE, "200").await;
    // Told to stop, each records what it has on its way.
    first.stop(LONG).await;
    second.stop(LONG).await;
    let ids = server.ids();
    let different: HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), different.len()), (200, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_killed_loses_no_hit() {
    let mut rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let recipients = rig.recipients(&config(&server));
    let _pusher = rig.push(&recipients);
    let mut ids = rig.hits(&recipients, &vec![RED; 5]).await;
    until("the first are told", || server.got().len() >= 5).await;
    rig.postgres.kill();
    rig.postgres.restart().await.unwrap();
    // The pool may hand out a connection that has ended.
    let again = rig.store.clone();
    for _ in 0..50 {
        match again.client().await {
            Ok(client) if client.simple_query("SELECT 1").await.is_ok() => break,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    ids.extend(rig.hits(&recipients, &[RED]).await);
    rig.until("SELECT count(*) FROM deliveries WHERE done_at IS NULL", "0")
        .await;
    let heard: HashSet<String> = server.ids().into_iter().collect();
    assert_eq!(heard, ids.into_iter().collect());
}
