//! Slow links, the bandwidth cap, late messages.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::DateTime;

use kakou_contract::Envelope;
use kakou_contract::Priority;
use kakou_contract::seal::Seal;
use kakou_time::SimulatedClock;
use kakou_uplink::UplinkConfig;

use super::ledger::Ledger;
use super::mosquitto::Mosquitto;
use super::proxy::{Link, Proxy};
use super::rig::{LONG, Rig, blank, draft, heard, passages, quick, quick_subscriber, wait};
use kakou_uplink::Subscriber;

fn passage(payload: Vec<u8>) -> Envelope {
    Envelope {
        topic: "kakou/v1/site-1/agent-1/passage/cam-1".to_owned(),
        payload: payload.into(),
        ..blank()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_takes_longer_than_the_answer_time_out_gets_through() {
    let broker = Mosquitto::start("");
    // Five seconds for one message, with two allowed for an answer.
    let proxy = Proxy::start(
        broker.address().port,
        Link {
            rate: Some(20_000),
            ..Link::default()
        },
    )
    .await;
    let config = UplinkConfig {
        answer_timeout: Duration::from_secs(2),
        ..quick()
    };
    let rig = Rig::start(proxy.address(), config);
    rig.publish(passage(vec![b'x'; 100_000])).await;
    let (ended, stats) = rig.finish(LONG).await;
    assert_eq!(
        (ended.unwrap().connections, passages(&stats)),
        (1, (0, 0, 1))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bandwidth_cap_holds_for_all_bytes_and_hits_pass_it() {
    const CAP: u64 = 50_000;
    let broker = Mosquitto::start("");
    let ledger = Ledger::open(broker.address(), &["kakou/v1/#"]).await;
    let proxy = Proxy::start(broker.address().port, Link::default()).await;
    let began = Instant::now();
    let rig = Rig::start(
        proxy.address(),
        UplinkConfig {
            bandwidth: Some(CAP),
            ..quick()
        },
    );
    // Small ones: what comes with each, signature and hashes, is more than themselves.
    for _ in 0..10 {
        let group = (0..300)
            .map(|_| draft(passage(vec![b'x'; 300]), Priority::Passage))
            .collect();
        rig.outbox.append_async(group).await.unwrap();
    }
    ledger.until("some of them", |h| h.all.len() > 20).await;
    let hit = Envelope {
        topic: "kakou/v1/site-1/agent-1/hit/red/cam-1".to_owned(),
        ..passage(vec![b'h'; 2000])
    };
    let hit = rig
        .outbox
        .append_async(vec![draft(hit, Priority::Hit)])
        .await
        .unwrap()[0];
    ledger.until("the hit", |h| h.all.contains_key(&hit)).await;
    let before = ledger.heard().place(hit);
    assert!(before < 2000, "{before} passages came before the hit");
    // The hit is paid for by those that follow.
    let after_hit = proxy.up();
    wait(|| proxy.up() > after_hit + 100_000).await;
    let (sent, most) = (proxy.up(), CAP as f64 * began.elapsed().as_secs_f64());
    assert!(
        (sent as f64) < most * 1.1 + 10_000.0,
        "{sent} bytes, {most:.0} are allowed"
    );
}

#[tokio::test]
async fn what_was_captured_long_ago_is_marked_as_late_and_still_genuine() {
    let broker = Mosquitto::start("");
    let mut subscriber = Subscriber::connect(broker.address(), quick_subscriber());
    subscriber.subscribed(LONG).await.unwrap();
    let now = DateTime::parse_from_rfc3339("2026-03-14T09:00:00+08:00").unwrap();
    let clock = Arc::new(SimulatedClock::new(now, Duration::ZERO));
    let rig = Rig::with_clock(vec![broker.address()], quick(), clock);
    let now = now.timestamp_millis();
    let of = |age_s: i64| {
        let outgoing = passage(format!("{{\"is_late\":false,\"age\":{age_s}}}").into_bytes());
        let mut d = draft(outgoing, Priority::Passage);
        d.captured_ms = Some(now - age_s * 1000);
        d
    };
    rig.outbox
        .append_async(vec![of(5), of(61), of(86_400)])
        .await
        .unwrap();
    for (age, late) in [(5, false), (61, true), (86_400, true)] {
        let m = heard(&mut subscriber).await;
        assert_eq!(
            String::from_utf8(m.payload.clone()).unwrap(),
            format!("{{\"is_late\":{late},\"age\":{age}}}")
        );
        let seal = Seal::from_properties(&m.user_properties).unwrap();
        let id = &m
            .user_properties
            .iter()
            .find(|(name, _)| name == "id")
            .unwrap()
            .1;
        seal.verify(
            &rig.outbox.public_key(),
            &m.topic,
            id,
            m.content_type.as_deref(),
            &m.payload,
        )
        .unwrap();
    }
}
