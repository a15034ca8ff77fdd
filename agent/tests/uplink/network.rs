//! A network that fails, between the real uplink and a real Mosquitto. After each fault: nothing is
//! lost, ids of repeats are the same, the sequence has no gap, the lanes kept their order, a hit
//! raised meanwhile came before what waited, and the outbox drained without anybody's help.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kakou_contract::Envelope;
use kakou_contract::Priority;
use kakou_uplink::UplinkConfig;

use super::chance::Chance;
use super::ledger::Ledger;
use super::mosquitto::Mosquitto;
use super::proxy::{Link, Mode, Proxy, Way};
use super::rig::{LONG, Rig, blank, draft, passages, quick, wait};

/// Agent, faulty path, broker, subscriber. The subscriber has a path of its own.
struct Path {
    rig: Rig,
    proxy: Proxy,
    broker: Mosquitto,
    ledger: Ledger,
    sent: u64,
    /// The highest number that was given.
    last: u64,
}

const BROKER: &str = "max_inflight_messages 1000\nmax_queued_bytes 0";

/// Quick to notice, so that the tests are. rumqttc takes no keep-alive under five seconds.
fn impatient() -> UplinkConfig {
    UplinkConfig {
        keep_alive: Duration::from_secs(5),
        answer_timeout: Duration::from_secs(1),
        connect_timeout: Duration::from_secs(1),
        ..quick()
    }
}

impl Path {
    async fn new(config: UplinkConfig) -> Self {
        let broker = Mosquitto::start(BROKER);
        let ledger = Ledger::open(broker.address(), &["kakou/v1/#"]).await;
        let proxy = Proxy::start(broker.address().port, Link::default()).await;
        let rig = Rig::start(proxy.address(), config);
        rig.uplink.connected(LONG).await.unwrap();
        Self {
            rig,
            proxy,
            broker,
            ledger,
            sent: 0,
            last: 0,
        }
    }

    /// `n` passages, each fourth with a picture.
    async fn passages(&mut self, n: u64) {
        let one = |k: u64| {
            let passage = text("passage/cam-1", k, 900);
            let picture = k.is_multiple_of(4).then(|| {
                let mut picture = text(&format!("evidence/{k}/frame"), k, 20_000);
                picture.content_type = Some("image/jpeg".to_owned());
                draft(picture, Priority::Picture)
            });
            std::iter::once(draft(passage, Priority::Passage)).chain(picture)
        };
        let group: Vec<_> = (self.sent..self.sent + n).flat_map(one).collect();
        self.sent += n;
        self.last = self
            .rig
            .outbox
            .append_async(group)
            .await
            .unwrap()
            .pop()
            .unwrap();
    }

    async fn hit(&mut self) -> u64 {
        self.sent += 1;
        let hit = text("hit/red/cam-1", self.sent, 1200);
        self.last = self
            .rig
            .outbox
            .append_async(vec![draft(hit, Priority::Hit)])
            .await
            .unwrap()[0];
        self.last
    }

    fn is_connected(&self) -> bool {
        self.rig.uplink.status().borrow().connected
    }

    /// Until the subscriber has whatever the broker had taken: nothing more is on its way there.
    async fn delivered(&self) -> usize {
        let marker = format!("marker-{}", uuid::Uuid::now_v7());
        self.broker
            .publish(&["-t", "kakou/v1/marker", "-m", &marker]);
        self.ledger
            .until("the marker", |h| {
                h.others.iter().any(|m| m.payload == marker.as_bytes())
            })
            .await;
        self.ledger.heard().order.len()
    }

    /// Drains, and holds the subscriber's book against the outbox. How many connections it took,
    /// and how many repeats.
    async fn settle(self) -> (u64, u64) {
        let Self {
            rig,
            proxy: _proxy,
            broker: _broker,
            ledger,
            last: head,
            ..
        } = self;
        let key = rig.outbox.public_key();
        let (ended, stats) = rig.finish(LONG).await;
        let ended = ended.unwrap_or_else(|e| panic!("it drains by itself: {e}; {stats:?}"));
        assert_eq!(
            (
                stats.counts.iter().map(|l| l.waiting + l.held).sum::<u64>(),
                stats.head.sequence
            ),
            (0, head)
        );
        ledger.complete(head).await;
        let heard = ledger.heard();
        heard.assert_lanes_in_order();
        heard.assert_genuine(&key);
        (ended.connections, heard.repeats())
    }
}

fn text(topic: &str, number: u64, bytes: usize) -> Envelope {
    let mut payload = format!("{topic} {number}").into_bytes();
    payload.resize(bytes, b' ');
    let topic = format!("kakou/v1/site-1/agent-1/{topic}");
    Envelope {
        topic,
        payload: payload.into(),
        content_type: Some("text/plain".to_owned()),
        ..blank()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stall_shorter_than_the_time_outs_is_waited_through() {
    let mut path = Path::new(UplinkConfig {
        answer_timeout: Duration::from_secs(20),
        ..impatient()
    })
    .await;
    path.passages(200).await;
    path.proxy.set(Mode::Stall);
    path.passages(2000).await;
    let hit = path.hit().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    path.proxy.set(Mode::Open);
    path.ledger
        .until("the hit", |h| h.all.contains_key(&hit))
        .await;
    assert_eq!(path.settle().await, (1, 0), "one connection, nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_is_noticed_and_left_behind() {
    let mut path = Path::new(impatient()).await;
    path.passages(300).await;
    path.proxy.set(Mode::BlackHole);
    path.passages(3000).await;
    wait(|| !path.is_connected()).await;
    // Longer than the keep-alive, with tries for a connection that get no answer.
    let tries = path.proxy.connections();
    tokio::time::sleep(Duration::from_secs(8)).await;
    wait(|| path.proxy.connections() >= tries + 2).await;
    assert!(!path.is_connected());
    let hit = path.hit().await;
    let before = path.delivered().await;
    path.proxy.set(Mode::Open);
    path.ledger
        .until("the hit", |h| h.all.contains_key(&hit))
        .await;
    assert_eq!(
        path.ledger.heard().place(hit),
        before,
        "the hit is the first that comes"
    );
    assert!(path.settle().await.0 >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_is_noticed_with_nothing_to_send() {
    let mut path = Path::new(impatient()).await;
    path.passages(10).await;
    wait(|| path.rig.uplink.status().borrow().acked == path.last).await;
    path.proxy.set(Mode::BlackHole);
    // By the ping that is not answered.
    wait(|| !path.is_connected()).await;
    let why = path.rig.uplink.status().borrow().last_loss.clone();
    assert!(
        why.as_ref()
            .is_some_and(|why| why.contains("no answer to a ping")),
        "{why:?}"
    );
    path.proxy.set(Mode::Open);
    path.passages(10).await;
    assert!(path.settle().await.0 >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_noticed() {
    let mut path = Path::new(impatient()).await;
    for round in 1..=3 {
        path.passages(500).await;
        path.proxy.sever();
        path.passages(500).await;
        wait(|| path.rig.uplink.status().borrow().connections > round).await;
    }
    // And once while nothing is sent.
    path.delivered().await;
    path.proxy.sever();
    wait(|| path.rig.uplink.status().borrow().connections > 4).await;
    path.passages(1).await;
    assert_eq!(path.settle().await.0, 5);
}

/// Connections are cut at random bytes until `cuts` were; messages are committed all the while.
async fn cut_again_and_again(cuts: u64, seed: u64, plan: fn(&mut Chance) -> (Way, u64)) {
    let mut path = Path::new(impatient()).await;
    let (mut chance, left) = (Chance(seed), Arc::new(AtomicU64::new(cuts)));
    let plan_left = Arc::clone(&left);
    path.proxy.cut(move || {
        let one = plan_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
            left.checked_sub(1)
        });
        one.is_ok().then(|| plan(&mut chance))
    });
    path.proxy.sever();
    let mut hits = Vec::new();
    while path.proxy.cuts() < cuts {
        // So much that there is always something to cut, and no more.
        if path
            .rig
            .outbox
            .stats()
            .counts
            .iter()
            .map(|l| l.waiting)
            .sum::<u64>()
            < 500
        {
            path.passages(200).await;
            hits.push(path.hit().await);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(path.rig.uplink.is_alive());
    }
    path.settle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_in_the_middle_of_what_the_agent_sends() {
    // From within CONNECT to within the pictures.
    let plan = |c: &mut Chance| {
        (
            Way::Up,
            [c.below(120), c.below(3000), c.below(60_000)][c.below(3) as usize],
        )
    };
    cut_again_and_again(150, 1, plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_in_the_middle_of_what_the_broker_answers() {
    // From within CONNACK on; an acknowledgement has four bytes.
    let plan = |c: &mut Chance| {
        (
            Way::Down,
            [c.below(20), c.below(60), c.below(1000)][c.below(3) as usize],
        )
    };
    cut_again_and_again(150, 2, plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_freezes_is_left_and_found_again() {
    let mut path = Path::new(impatient()).await;
    path.passages(100).await;
    path.broker.signal("-STOP");
    path.passages(2000).await;
    wait(|| !path.is_connected()).await;
    let hit = path.hit().await;
    path.broker.signal("-CONT");
    path.ledger
        .until("the hit", |h| h.all.contains_key(&hit))
        .await;
    assert!(path.settle().await.0 >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_forgets_everything_gets_what_it_had_not_acknowledged() {
    let mut path = Path::new(impatient()).await;
    for n in 0..3 {
        // Each time over a connection of its own.
        wait(|| path.rig.uplink.status().borrow().connections > n).await;
        path.passages(1000).await;
        // In the middle of it. What the broker acknowledged and did not pass on is its own to lose:
        // so it passes that on.
        path.proxy.set(Mode::Stall);
        path.delivered().await;
        path.broker.forget();
        let subscribed = path.ledger.heard().subscribed;
        path.broker.restart();
        path.ledger
            .until("a new subscription", |h| h.subscribed > subscribed)
            .await;
        path.passages(200).await;
        path.proxy.set(Mode::Open);
    }
    let hit = path.hit().await;
    path.ledger
        .until("the hit", |h| h.all.contains_key(&hit))
        .await;
    assert!(path.settle().await.0 >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_restarted_with_its_store_loses_nothing() {
    let mut path = Path::new(impatient()).await;
    for _ in 0..4 {
        path.passages(1500).await;
        tokio::task::block_in_place(|| path.broker.restart());
    }
    let (connections, _) = path.settle().await;
    assert!(connections >= 2, "{connections}");
}

#[tokio::test]
async fn an_end_within_the_black_hole_comes_in_time_and_keeps_what_waits() {
    let path = Path::new(impatient()).await;
    path.proxy.set(Mode::BlackHole);
    path.rig.publish(text("passage/cam-1", 1, 100)).await;
    wait(|| !path.is_connected()).await;
    let (ended, stats) = path.rig.finish(Duration::from_millis(300)).await;
    assert!(ended.is_err(), "{ended:?}");
    assert_eq!(passages(&stats), (1, 0, 0));
}
