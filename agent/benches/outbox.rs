//! What outbox and uplink do together, against Mosquitto. The outbox alone is measured in its own
//! crate.
//!
//! `make bench-outbox`, or `cargo bench -p kakou --bench outbox -- drain hit`;
//! `KAKOU_BENCH_PART=100` makes everything a hundred times smaller, to try it out.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../tests/uplink/mosquitto.rs"]
#[allow(dead_code)]
mod mosquitto;
#[path = "../tests/uplink/proxy.rs"]
#[allow(dead_code)]
mod proxy;

use std::path::Path;
use std::time::{Duration, Instant};

use kakou_contract::Id;
use kakou_contract::{Envelope, Keep, Priority};
use kakou_outbox::{Outbox, OutboxOptions};
use kakou_uplink::{Drain, Subscriber, SubscriberConfig, SubscriberEvent, Uplink, UplinkConfig};
use mosquitto::Mosquitto;

const BROKER: &str = "max_inflight_messages 65535\nmax_queued_bytes 0\npersistence false";

fn part() -> u64 {
    std::env::var("KAKOU_BENCH_PART")
        .ok()
        .and_then(|p| p.parse().ok())
        .unwrap_or(1)
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let all: [(&str, fn()); 2] = [("drain", drain), ("hit", hit)];
    for (name, bench) in all {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            bench();
        }
    }
}

fn open(folder: &Path) -> Outbox {
    Outbox::open(OutboxOptions::new(
        folder,
        Id::new("site", "s").unwrap(),
        Id::new("agent", "a").unwrap(),
    ))
    .unwrap()
}

fn folder() -> tempfile::TempDir {
    // Beside the build, on the disk that a box would have; /tmp may be memory.
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn message(priority: Priority, bytes: usize) -> Envelope {
    let id = uuid::Uuid::now_v7().to_string();
    Envelope {
        priority,
        keep: Keep::Passage,
        user_properties: vec![
            ("id".into(), id.clone()),
            ("source".into(), "/kakou/s/a".into()),
        ],
        id,
        topic: format!("kakou/v1/s/a/{priority}/cam-1"),
        content_type: Some("application/json".into()),
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: false,
        payload: vec![b'x'; bytes].into(),
    }
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn centile(all: &[f64], part: f64) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * part) as usize]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn fill(outbox: &Outbox, messages: u64, bytes: usize) {
    let mut left = messages;
    while left > 0 {
        let n = left.min(5000);
        outbox
            .append((0..n).map(|_| message(Priority::Passage, bytes)).collect())
            .unwrap();
        left -= n;
    }
}

/// 100,000 waiting messages to Mosquitto, over a path with a round trip of 50 ms, against the same
/// path with none.
fn drain() {
    let messages = (100_000 / part()).max(500);
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..3 {
        for (which, delay) in [0, 25].into_iter().enumerate() {
            let dir = folder();
            let outbox = open(dir.path());
            fill(&outbox, messages, 1024);
            let broker = Mosquitto::start(BROKER);
            let rate = runtime().block_on(async {
                let link = proxy::Link {
                    delay: Duration::from_millis(delay),
                    ..proxy::Link::default()
                };
                let proxy = proxy::Proxy::start(broker.address().port, link).await;
                let config = UplinkConfig::new(vec![proxy.address()], "bench");
                let began = Instant::now();
                let uplink = Uplink::start(
                    config,
                    kakou::store::OutboxStore(outbox.clone()),
                    std::sync::Arc::new(kakou_time::SystemClock::new()),
                );
                let status = uplink
                    .finish(Drain::Everything, None, Duration::from_secs(600))
                    .await
                    .unwrap();
                assert_eq!((status.acked, status.connections), (messages, 1));
                messages as f64 / began.elapsed().as_secs_f64()
            });
            outbox.close().unwrap();
            rates[which].push(rate);
        }
    }
    let [near, far] = rates.map(median);
    println!(
        "drain     {messages} messages: {near:.0}/s without delay, {far:.0}/s over 50 ms: {:.2} of it (median of 3)",
        far / near
    );
}

/// A hit while a million passages wait and drain: from the call of `append` until a subscriber has
/// it.
fn hit() {
    let messages = (1_000_000 / part()).max(2000);
    let dir = folder();
    let outbox = open(dir.path());
    fill(&outbox, messages, 1024);
    let broker = Mosquitto::start(BROKER);
    let (times, left) = runtime().block_on(async {
        let mut subscriber = Subscriber::connect(
            broker.address(),
            SubscriberConfig::new(["kakou/v1/+/+/hit/+"]),
        );
        subscriber
            .subscribed(Duration::from_secs(10))
            .await
            .unwrap();
        let uplink = Uplink::start(
            UplinkConfig::new(vec![broker.address()], "bench"),
            kakou::store::OutboxStore(outbox.clone()),
            std::sync::Arc::new(kakou_time::SystemClock::new()),
        );
        uplink.connected(Duration::from_secs(10)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let mut times = Vec::new();
        for n in 0..200_u64 {
            tokio::time::sleep(Duration::from_millis(10 + (n * 37) % 60)).await;
            let raised = Instant::now();
            outbox
                .append_async(vec![message(Priority::Hit, 1500)])
                .await
                .unwrap();
            loop {
                if let Some(SubscriberEvent::Message(_)) = subscriber.recv().await {
                    break;
                }
            }
            times.push(raised.elapsed().as_secs_f64() * 1000.0);
        }
        let left = outbox.stats().counts[Priority::Passage.index()].waiting;
        println!("hit       {left} of {messages} passages were still waiting at the end");
        (times, left)
    });
    println!(
        "hit       raised to received: median {:.1} ms, p99 {:.1} ms ({} hits)",
        centile(&times, 0.5),
        centile(&times, 0.99),
        times.len()
    );
    assert!(
        left > 0 || part() > 1,
        "the drain was over before the hits were"
    );
}
