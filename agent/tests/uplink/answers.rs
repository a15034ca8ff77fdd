//! What a broker may answer to a publish, and what it may leave out.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kakou_contract::Envelope;
use kakou_contract::Priority;
use kakou_uplink::{Error, UplinkConfig};

use super::mosquitto::Mosquitto;
use super::rig::{LONG, Rig, draft, message, passages, quick, small, wait};
use super::scripted::{Answer, Scripted};

#[tokio::test]
async fn a_message_too_large_is_set_aside_and_the_others_pass() {
    let broker = Mosquitto::start("max_packet_size 100000");
    let rig = Rig::start(broker.address(), quick());
    for n in 0..20 {
        rig.publish(message(n)).await;
    }
    let (ended, stats) = rig.finish(LONG).await;
    let status = ended.unwrap();
    assert_eq!(
        passages(&stats),
        (0, 2, 18),
        "0 and 10 are larger, the others pass"
    );
    assert_eq!(
        status.refusals[0].topic,
        "kakou/v1/site-1/agent-1/passage/cam-0"
    );
    assert!(
        status.refusals[0].why.contains("100000 are taken"),
        "{status:?}"
    );
}

#[tokio::test]
async fn a_limit_that_the_broker_does_not_announce_stops_only_the_message_itself() {
    // Mosquitto says 0x95 with a PUBACK then, which breaks rumqttc's connection.
    let broker = Mosquitto::start("message_size_limit 100000");
    let rig = Rig::start(broker.address(), quick());
    for n in 0..20 {
        rig.publish(message(n)).await;
    }
    let (ended, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 2, 18), "{ended:?}");
}

#[tokio::test]
async fn acknowledgements_out_of_order_belong_to_their_own_messages() {
    let broker = Scripted::start(8, |seen| match seen.payload.parse::<usize>() {
        Ok(n) if n % 4 == 3 => Answer::Ack(0),
        _ => Answer::Hold,
    })
    .await;
    let rig = Rig::start(broker.address(), quick());
    for n in 0..400 {
        rig.publish(small(n)).await;
    }
    let (report, stats) = rig.finish(LONG).await;
    assert_eq!(
        (report.unwrap().connections, passages(&stats)),
        (1, (0, 0, 400))
    );
    let payloads: Vec<_> = broker.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(
        payloads,
        (0..400).map(|n| n.to_string()).collect::<Vec<_>>(),
        "each once, in order"
    );
}

#[tokio::test]
async fn a_quota_is_waited_for_and_a_refusal_is_reported() {
    let tries = std::sync::atomic::AtomicUsize::new(0);
    let broker = Scripted::start(100, move |seen| match seen.payload.as_str() {
        // Quota exceeded, three times.
        "5" if tries.fetch_add(1, std::sync::atomic::Ordering::Relaxed) < 3 => Answer::Ack(0x97),
        // Payload format invalid.
        "7" => Answer::Ack(0x99),
        _ => Answer::Ack(0),
    })
    .await;
    let rig = Rig::start(broker.address(), quick());
    for n in 0..10 {
        rig.publish(small(n)).await;
    }
    let (ended, stats) = rig.finish(LONG).await;
    let ended = ended.unwrap();
    assert!(
        ended.refused == 1 && ended.refusals[0].why.contains("format"),
        "{ended:?}"
    );
    assert_eq!(passages(&stats), (0, 1, 9));
    assert_eq!(
        broker
            .seen()
            .iter()
            .filter(|seen| seen.payload == "5")
            .count(),
        4
    );
}

#[tokio::test]
async fn every_reason_code_has_its_consequence() {
    // What MQTT 5 knows for PUBACK: (code, delivered at last, in the words of the refusal).
    let codes = [
        (0x00, true, ""),
        (0x10, true, ""),
        (0x80, true, ""),
        (0x83, true, ""),
        (0x91, true, ""),
        (0x97, true, ""),
        (0x87, false, "not authorised to publish to this topic"),
        (0x90, false, "topic name not accepted"),
        (0x99, false, "announced format"),
    ];
    for (code, delivered, why) in codes {
        let first = AtomicUsize::new(0);
        let broker = Scripted::start(10, move |seen| match seen.payload.as_str() {
            // What may pass later passes at the third try.
            "2" if !delivered || first.fetch_add(1, Ordering::Relaxed) < 2 => Answer::Ack(code),
            _ => Answer::Ack(0),
        })
        .await;
        let rig = Rig::start(broker.address(), quick());
        for n in 0..5 {
            let topic = if n == 2 { "two" } else { "others" };
            rig.publish(Envelope {
                topic: topic.to_owned(),
                ..small(n)
            })
            .await;
        }
        let (ended, stats) = rig.finish(LONG).await;
        let ended = ended.unwrap();
        let expected = if delivered { (0, 0, 5) } else { (0, 1, 4) };
        assert_eq!(
            (ended.connections, passages(&stats)),
            (1, expected),
            "{code:#04x}"
        );
        let tries = broker
            .seen()
            .iter()
            .filter(|seen| seen.payload == "2")
            .count();
        assert_eq!(
            tries,
            if matches!(code, 0x80 | 0x83 | 0x91 | 0x97) {
                3
            } else {
                1
            },
            "{code:#04x}"
        );
        assert_eq!(ended.unheard, u64::from(code == 0x10));
        let told = ended
            .refusals
            .iter()
            .map(|r| r.why.as_str())
            .collect::<Vec<_>>();
        assert!(
            told.len() == usize::from(!delivered) && told.iter().all(|t| t.contains(why)),
            "{code:#04x}: {told:?}"
        );
        assert_eq!(
            ended.refused_topics,
            if code == 0x87 {
                vec!["two"]
            } else {
                Vec::new()
            }
        );
    }
}

#[tokio::test]
async fn a_hit_that_the_broker_takes_later_is_not_sent_in_a_frenzy() {
    let broker = Scripted::start(10, |seen| {
        if seen.payload == "7" {
            Answer::Ack(0x97)
        } else {
            Answer::Ack(0)
        }
    })
    .await;
    let config = UplinkConfig {
        backoff_first: Duration::from_millis(200),
        ..quick()
    };
    let began = Instant::now();
    let rig = Rig::start(broker.address(), config);
    rig.outbox
        .append_async(vec![draft(small(7), Priority::Hit)])
        .await
        .unwrap();
    let tries = || {
        let seen = broker.seen();
        seen.iter().filter(|seen| seen.payload == "7").count()
    };
    wait(|| tries() >= 3).await;
    for n in 10..15 {
        rig.publish(small(n)).await;
    }
    // Passages are not held up for ever by it.
    wait(|| rig.uplink.status().borrow().acked == 5).await;
    // Each pause is at least half of the first one, however slow this machine is.
    let (tries, most) = (tries(), began.elapsed().as_millis() / 100 + 2);
    assert!(tries as u128 <= most, "{tries} tries, {most} at the most");
}

#[tokio::test]
async fn a_thousand_forbidden_pictures_are_one_fault() {
    let broker = Scripted::start(50, |seen| {
        Answer::Ack(if seen.payload.starts_with("picture") {
            0x87
        } else {
            0
        })
    })
    .await;
    let rig = Rig::start(broker.address(), quick());
    for n in 0..1000 {
        let mut o = small(n);
        o.topic = format!(
            "kakou/v1/site-1/agent-1/evidence/{}/frame",
            uuid::Uuid::now_v7()
        );
        o.payload = format!("picture {n}").into();
        rig.outbox
            .append_async(vec![draft(o, Priority::Picture)])
            .await
            .unwrap();
    }
    rig.publish(small(1)).await;
    let (ended, stats) = rig.finish(LONG).await;
    let (ended, held) = (ended.unwrap(), stats.counts[Priority::Picture.index()].held);
    assert_eq!((held, passages(&stats)), (1000, (0, 0, 1)));
    assert_eq!(
        ended.refused_topics,
        ["kakou/v1/site-1/agent-1/evidence/+/frame"]
    );
    assert_eq!(
        (ended.refused, ended.refusals.len()),
        (1000, 8),
        "counted, a few kept"
    );
}

#[tokio::test]
async fn a_broker_that_drops_every_connection_after_so_many_packets_gets_everything_once_it_lets_be()
 {
    // The first connections see none, one, two and so on: before CONNACK, before the first
    // acknowledgement.
    let broker = Scripted::start_dropping(20, |connection| {
        (connection <= 30).then_some(connection % 6)
    })
    .await;
    let rig = Rig::start(broker.address(), quick());
    for n in 0..300 {
        rig.publish(small(n)).await;
    }
    let (ended, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 0, 300), "{ended:?}");
    let seen = broker.seen();
    let mut first: Vec<usize> = Vec::new();
    for n in seen.iter().map(|seen| seen.payload.parse().unwrap()) {
        if !first.contains(&n) {
            first.push(n);
        }
    }
    assert_eq!(first, (0..300).collect::<Vec<_>>(), "in their order");
    assert!(
        seen.last().is_some_and(|last| last.connection >= 31),
        "{:?}",
        seen.last()
    );
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left_and_told_of() {
    let broker = Scripted::start(10, |seen| match seen.connection {
        1 => Answer::Ignore,
        _ => Answer::Ack(0),
    })
    .await;
    let config = || UplinkConfig {
        answer_timeout: Duration::from_millis(300),
        ..quick()
    };
    let rig = Rig::start(broker.address(), config());
    rig.publish(small(1)).await;
    let (report, stats) = rig.finish(LONG).await;
    assert_eq!(
        (report.unwrap().connections, passages(&stats)),
        (2, (0, 0, 1)),
        "the second connection delivers"
    );

    let mute = Scripted::start(10, |_| Answer::Ignore).await;
    let rig = Rig::start(mute.address(), config());
    rig.publish(small(1)).await;
    let (ended, stats) = rig.finish(Duration::from_secs(1)).await;
    assert!(matches!(ended, Err(Error::Unfinished { .. })), "{ended:?}");
    assert_eq!(passages(&stats), (1, 0, 0));
}
