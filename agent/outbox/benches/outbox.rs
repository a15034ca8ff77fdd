//! What the outbox does in a second, each as a ratio against a baseline in the same run, and what
//! it writes to the disk.
//!
//! `make bench-outbox`, or `cargo bench -p kakou-outbox -- commit pictures rows`;
//! `KAKOU_BENCH_PART=100` makes everything a hundred times smaller, to try it out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
// A benchmark measures the machine's own time.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::time::{Duration, Instant};

use kakou_contract::{Envelope, Id, Keep, Priority};
use kakou_outbox::{Outbox, OutboxOptions};
use rusqlite::{Connection, params};

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
    let all: [(&str, fn()); 3] = [("commit", commit), ("pictures", pictures), ("rows", rows)];
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

/// Durable commits a second, against a bare loop of the same transactions with the same group size.
fn commit() {
    commit_with(64, 1, 400);
    commit_with(8, 64, 40);
    commit_with(2, 64, 160);
}

fn commit_with(producers: u64, at_once: u64, each: u64) {
    let each = (each / part()).max(5);
    let messages = producers * each * at_once;
    let mut ratios = Vec::new();
    let (mut ours_all, mut bare_all, mut groups) = (Vec::new(), Vec::new(), Vec::new());
    let mut group = 0;
    for round in 0..25 {
        // The disk has good and bad seconds: who comes first takes turns, and the first round finds
        // out the group size.
        let before = (round % 2 == 1).then(|| bare(messages, group));
        let (ours, size) = ours(producers, at_once, each);
        group = size.round().max(1.0) as u64;
        let bare = before.unwrap_or_else(|| bare(messages, group));
        ratios.push(ours / bare);
        ours_all.push(ours);
        bare_all.push(bare);
        groups.push(size);
    }
    let spread = (centile(&ratios, 0.25), centile(&ratios, 0.75));
    println!(
        "commit    {producers} threads, {at_once} messages a call: {:.0} messages/s in groups of {:.0}, bare SQLite loop {:.0}/s: {:.2} of it (median of {}, half of them {:.2} to {:.2})",
        median(ours_all),
        median(groups),
        median(bare_all),
        median(ratios.clone()),
        ratios.len(),
        spread.0,
        spread.1
    );
}

/// Messages a second through the outbox, and how many shared a transaction.
fn ours(producers: u64, at_once: u64, each: u64) -> (f64, f64) {
    let dir = folder();
    let outbox = open(dir.path());
    // A box does it once at its start: the reserve for a full disk is laid, the first pages are
    // made.
    outbox
        .append(vec![message(Priority::Passage, 1024)])
        .unwrap();
    let before = outbox.transactions();
    // Made beforehand, as the baseline's is.
    let calls = || {
        (0..each)
            .map(|_| {
                (0..at_once)
                    .map(|_| message(Priority::Passage, 1024))
                    .collect()
            })
            .collect()
    };
    let all: Vec<Vec<Vec<Envelope>>> = (0..producers).map(|_| calls()).collect();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for calls in all {
            let outbox = &outbox;
            scope.spawn(move || {
                calls
                    .into_iter()
                    .for_each(|group| drop(outbox.append(group).unwrap()))
            });
        }
    });
    let messages = (producers * each * at_once) as f64;
    let rate = messages / began.elapsed().as_secs_f64();
    let group = messages / (outbox.transactions() - before) as f64;
    outbox.close().unwrap();
    (rate, group)
}

/// The same statements on the same schema, nothing else.
fn bare(messages: u64, group: u64) -> f64 {
    let dir = folder();
    open(dir.path()).close().unwrap();
    let mut conn = Connection::open(dir.path().join("outbox.db")).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 16777216; PRAGMA wal_autocheckpoint = 1000; PRAGMA cache_size = -8192;",
    )
    .unwrap();
    let d = message(Priority::Passage, 1024);
    let properties = serde_json::to_string(&d.user_properties).unwrap();
    let began = Instant::now();
    let mut seq = 0_i64;
    while (seq as u64) < messages {
        let tx = conn
            .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
            .unwrap();
        for _ in 0..group.min(messages - seq as u64) {
            seq += 1;
            tx.prepare_cached(
                "INSERT INTO message (seq, lane, keep, committed, captured, retain, size, id, topic, content_type,
                 properties, correlation, previous, hash, payload) VALUES (?,2,0,?,NULL,0,1024,?,?,?,?,NULL,?,?,?)",
            )
            .unwrap()
            .execute(params![seq, seq, d.id, d.topic, d.content_type, properties, [7_u8; 32], [8_u8; 32], &d.payload[..]])
            .unwrap();
            tx.prepare_cached("INSERT INTO waiting (lane, seq) VALUES (2, ?)")
                .unwrap()
                .execute([seq])
                .unwrap();
        }
        tx.prepare_cached(
            "INSERT OR REPLACE INTO head (one, seq, hash, signature) VALUES (1, ?, ?, ?)",
        )
        .unwrap()
        .execute(params![seq, [8_u8; 32], [9_u8; 64]])
        .unwrap();
        tx.prepare_cached("UPDATE lane SET waiting = waiting + ?, waiting_bytes = waiting_bytes + ? WHERE lane = 2")
            .unwrap()
            .execute([group as i64, group as i64 * 1024])
            .unwrap();
        tx.commit().unwrap();
    }
    messages as f64 / began.elapsed().as_secs_f64()
}

/// What the kernel has written to the disk for this process, and what it has been asked to.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    io.lines()
        .find_map(|line| line.strip_prefix("write_bytes: "))
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

/// A passage with three pictures: in the database, against files that are on disk before the row
/// is.
fn pictures() {
    for size in [30_000_usize, 100_000, 300_000] {
        let passages = (120 / part()).max(3);
        let (mut inside, mut beside, mut factors) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..5 {
            let dir = folder();
            let outbox = open(dir.path());
            // The reserve for a full disk is laid.
            outbox.append(vec![message(Priority::Passage, 1)]).unwrap();
            let before = written();
            let began = Instant::now();
            for _ in 0..passages {
                let mut all = vec![message(Priority::Passage, 2500)];
                all.extend((0..3).map(|_| message(Priority::Picture, size)));
                outbox.append(all).unwrap();
            }
            inside.push(passages as f64 / began.elapsed().as_secs_f64());
            outbox.close().unwrap();
            let payload = passages * (2500 + 3 * size as u64);
            factors.push((written() - before) as f64 / payload as f64);

            let dir = folder();
            let outbox = open(dir.path());
            let began = Instant::now();
            for n in 0..passages {
                for p in 0..3 {
                    let mut file =
                        std::fs::File::create(dir.path().join(format!("{n}-{p}.jpg"))).unwrap();
                    std::io::Write::write_all(&mut file, &vec![b'x'; size]).unwrap();
                    file.sync_all().unwrap();
                }
                std::fs::File::open(dir.path()).unwrap().sync_all().unwrap();
                let mut all = vec![message(Priority::Passage, 2500)];
                all.extend((0..3).map(|_| message(Priority::Picture, 60)));
                outbox.append(all).unwrap();
            }
            beside.push(passages as f64 / began.elapsed().as_secs_f64());
            outbox.close().unwrap();
        }
        let (inside, beside, factor) = (median(inside), median(beside), median(factors));
        println!(
            "pictures  3 of {size} bytes: in the database {inside:.0} passages/s, as files {beside:.0}/s: {:.2} times; {factor:.2} bytes written to the disk for a byte of payload (median of 5)",
            inside / beside
        );
    }
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

/// Appending to a small and to a large outbox, and opening a large one.
fn rows() {
    let many = (5_000_000 / part()).max(2000);
    let (small, large) = (folder(), folder());
    let (few, lots) = (open(small.path()), open(large.path()));
    fill(&few, 1000, 200);
    let began = Instant::now();
    fill(&lots, many, 200);
    println!(
        "rows      filled with {many} in {:.0} s",
        began.elapsed().as_secs_f64()
    );
    std::thread::sleep(Duration::from_secs(2));
    let one = |outbox: &Outbox| {
        let began = Instant::now();
        outbox
            .append(vec![message(Priority::Passage, 1024)])
            .unwrap();
        began.elapsed().as_secs_f64() * 1e6
    };
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..(1000 / part()).max(20) {
        a.push(one(&few));
        b.push(one(&lots));
    }
    println!(
        "rows      append: median {:.0} us at 1,000 rows, {:.0} us at {many}: {:.2} times; p99 {:.0} and {:.0} us",
        centile(&a, 0.5),
        centile(&b, 0.5),
        centile(&b, 0.5) / centile(&a, 0.5),
        centile(&a, 0.99),
        centile(&b, 0.99)
    );
    few.close().unwrap();
    lots.close().unwrap();
    let mut times = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let outbox = open(large.path());
        outbox
            .append(vec![message(Priority::Passage, 1024)])
            .unwrap();
        times.push(began.elapsed().as_secs_f64());
        outbox.close().unwrap();
    }
    println!(
        "rows      start with {many} waiting: {:.2} s until the first commit (median of 3)",
        median(times)
    );
}
