//! Outbox, uplink and subscriber against the embedded broker, a real Mosquitto and a scripted broker.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "uplink/mosquitto.rs"]
mod mosquitto;
#[path = "uplink/scripted.rs"]
mod scripted;
#[path = "uplink/tls.rs"]
mod tls;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kakou::demo::Broker;
use kakou::outbox::{Draft, Keep, Lane, Outbox, OutboxOptions, Stats};
use kakou::uplink::{
    BrokerAddress, Drain, Error, Event, LinkState, Outgoing, Received, Status, Subscriber, SubscriberConfig, TlsFiles,
    Uplink, UplinkConfig,
};
use kakou_contract::Id;
use mosquitto::{Mosquitto, free_port};
use scripted::{Answer, Scripted};

const LONG: Duration = Duration::from_secs(30);

fn quick() -> UplinkConfig {
    UplinkConfig {
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(200),
        ..UplinkConfig::new(Vec::new(), format!("agent-{}", free_port()))
    }
}

/// An outbox in a folder of its own, and its uplink.
struct Rig {
    outbox: Outbox,
    uplink: Uplink,
    dir: tempfile::TempDir,
}

fn options(folder: &std::path::Path) -> OutboxOptions {
    OutboxOptions::new(folder, Id::new("site", "site-1").unwrap(), Id::new("agent", "agent-1").unwrap())
}

impl Rig {
    fn start(address: BrokerAddress, config: UplinkConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let outbox = Outbox::open(options(dir.path())).unwrap();
        let uplink = Uplink::start(UplinkConfig { brokers: vec![address], ..config }, outbox.clone());
        Self { outbox, uplink, dir }
    }

    async fn publish(&self, o: Outgoing) {
        self.outbox.append_async(vec![draft(o, Lane::Passage)]).await.unwrap();
    }

    /// How the uplink ended, and what is where in the outbox.
    async fn finish(self, within: Duration) -> (Result<Status, Error>, Stats) {
        let Self { outbox, uplink, dir } = self;
        let ended = uplink.finish(Drain::Everything, None, within).await;
        let stats = tokio::task::spawn_blocking(move || {
            outbox.close().unwrap();
            // What is on disk, not what was in memory.
            let outbox = Outbox::open(options(dir.path())).unwrap();
            let mut watch = outbox.watch();
            tokio::runtime::Handle::current().block_on(watch.changed()).unwrap();
            let stats = watch.borrow().clone();
            outbox.close().unwrap();
            stats
        });
        (ended, stats.await.unwrap())
    }
}

fn draft(o: Outgoing, lane: Lane) -> Draft {
    Draft {
        lane,
        keep: Keep::Passage,
        id: String::from_utf8_lossy(&o.payload).trim().to_owned(),
        topic: o.topic,
        content_type: o.content_type,
        user_properties: o.user_properties,
        correlation: None,
        retain: false,
        captured_ms: None,
        numbered: false,
        payload: o.payload,
    }
}

/// (waiting, held, acknowledged) passages.
fn passages(stats: &Stats) -> (u64, u64, u64) {
    let lane = &stats.lanes[Lane::Passage.index()];
    (lane.waiting, lane.held, lane.kept)
}

fn quick_subscriber() -> SubscriberConfig {
    SubscriberConfig {
        backoff_first: Duration::from_millis(20),
        backoff_most: Duration::from_millis(100),
        ..SubscriberConfig::new(["kakou/v1/+/+/passage/+"])
    }
}

/// Message `n`; every tenth is as large as a passage with its pictures.
fn message(n: usize) -> Outgoing {
    let mut payload = format!("{n}").into_bytes();
    if n.is_multiple_of(10) {
        payload.resize(300 << 10, b' ');
    }
    Outgoing {
        topic: format!("kakou/v1/site-1/agent-1/passage/cam-{}", n % 4),
        payload,
        content_type: Some("application/json".to_owned()),
        user_properties: vec![
            ("id".to_owned(), format!("id-{n}")),
            ("type".to_owned(), "passage; 鲁E·6K829".to_owned()),
        ],
        ..Outgoing::default()
    }
}

fn small(n: usize) -> Outgoing {
    Outgoing { payload: n.to_string().into_bytes(), topic: "t".to_owned(), ..Outgoing::default() }
}

fn number(received: &Received) -> usize {
    std::str::from_utf8(&received.payload).unwrap().trim_end().parse().unwrap()
}

/// Receives until `count` different messages are here; how often each came.
async fn collect(subscriber: &mut Subscriber, count: usize) -> BTreeMap<usize, usize> {
    let mut times = BTreeMap::new();
    let all = async {
        while times.len() < count {
            match subscriber.recv().await.expect("the subscriber goes on") {
                Event::Message(received) => {
                    let n = number(&received);
                    let sent = message(n);
                    assert_eq!(received.topic, sent.topic);
                    assert_eq!(received.payload.len(), sent.payload.len());
                    assert_eq!(received.content_type, sent.content_type);
                    assert!(received.user_properties.starts_with(&sent.user_properties));
                    assert!(received.user_properties.iter().any(|(name, _)| name == "signature"));
                    assert!(received.is_text, "payload format indicator");
                    *times.entry(n).or_insert(0) += 1;
                }
                Event::Subscribed | Event::Lost { .. } => {}
                Event::Refused { filter, why } => panic!("{filter}: {why}"),
            }
        }
    };
    let done = tokio::time::timeout(LONG, all).await;
    assert!(done.is_ok(), "only {} of {count} messages within {LONG:?}", times.len());
    times
}

async fn two_hundred_messages_arrive_once(address: BrokerAddress) {
    let mut subscriber = Subscriber::connect(address.clone(), quick_subscriber());
    subscriber.subscribed(LONG).await.unwrap();
    let rig = Rig::start(address, quick());
    let sending = async {
        for n in 0..200 {
            rig.publish(message(n)).await;
        }
        rig.finish(LONG).await
    };
    let ((report, stats), times) = tokio::join!(sending, collect(&mut subscriber, 200));
    let report = report.unwrap();
    assert_eq!((report.acked, report.connections, passages(&stats)), (200, 1, (0, 0, 200)));
    assert!(times.values().all(|&times| times == 1), "{times:?}");
}

#[tokio::test]
async fn two_hundred_messages_through_the_embedded_broker() {
    two_hundred_messages_arrive_once(Broker::start().unwrap().address()).await;
}

#[tokio::test]
async fn two_hundred_messages_through_mosquitto() {
    let broker = Mosquitto::start("");
    two_hundred_messages_arrive_once(broker.address()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_broker_restarts() {
    let mut broker = Mosquitto::start("");
    let config = SubscriberConfig {
        client_id: "central".to_owned(),
        keep_session: Some(Duration::from_secs(600)),
        ..quick_subscriber()
    };
    let mut subscriber = Subscriber::connect(broker.address(), config);
    subscriber.subscribed(LONG).await.unwrap();
    let rig = Rig::start(broker.address(), quick());
    rig.uplink.connected(LONG).await.unwrap();
    let count = 600;
    let sending = async {
        for n in 0..count {
            if n == 150 || n == 400 {
                // In the middle: messages are queued and in flight.
                while !rig.uplink.status().borrow().connected {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                tokio::task::block_in_place(|| broker.stop());
                tokio::time::sleep(Duration::from_millis(100)).await;
                tokio::task::block_in_place(|| broker.restart());
            }
            rig.publish(message(n)).await;
        }
        rig.finish(LONG).await
    };
    let ((report, stats), times) = tokio::join!(sending, collect(&mut subscriber, count));
    assert_eq!(passages(&stats), (0, 0, count as u64));
    assert!(report.unwrap().connections >= 3);
    assert!(times.keys().copied().eq(0..count));
}

#[tokio::test]
async fn an_absent_broker_is_an_error_with_its_address_in_time() {
    let address = BrokerAddress::new("127.0.0.1", free_port());
    let rig = Rig::start(address.clone(), quick());
    for n in 0..3 {
        rig.publish(small(n)).await;
    }
    let error = rig.uplink.connected(Duration::from_millis(100)).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    let begin = Instant::now();
    let (ended, stats) = rig.finish(Duration::from_millis(500)).await;
    let error = ended.unwrap_err().to_string();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(error.contains(&address.to_string()) && error.contains("refused"), "{error}");
    assert_eq!(passages(&stats), (3, 0, 0), "nothing is lost");
}

#[tokio::test]
async fn a_message_too_large_is_set_aside_and_the_others_pass() {
    let broker = Mosquitto::start("max_packet_size 100000");
    let rig = Rig::start(broker.address(), quick());
    for n in 0..20 {
        rig.publish(message(n)).await;
    }
    let (ended, stats) = rig.finish(LONG).await;
    let status = ended.unwrap();
    assert_eq!(passages(&stats), (0, 2, 18), "0 and 10 are larger, the others pass");
    assert_eq!(status.refusals[0].topic, "kakou/v1/site-1/agent-1/passage/cam-0");
    assert!(status.refusals[0].why.contains("100000 are taken"), "{status:?}");
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
async fn a_topic_that_is_not_allowed_is_held_and_goes_when_it_is_allowed() {
    // The right to one camera's passages alone.
    let one = "topic readwrite kakou/v1/site-1/agent-1/passage/cam-1\n";
    let mut broker =
        Mosquitto::start_with("acl_file {dir}/acl", |folder| std::fs::write(folder.join("acl"), one).unwrap());
    let rig = Rig::start(broker.address(), quick());
    for n in 1..=4 {
        rig.publish(Outgoing { payload: vec![b' '; 10], ..message(n) }).await;
    }
    wait(|| rig.uplink.status().borrow().refused_topics.len() == 3).await;
    let Rig { outbox, uplink, dir } = rig;
    let ended = uplink.finish(Drain::InFlight, None, LONG).await.unwrap();
    assert!(ended.refusals.iter().all(|r| r.why.contains("not authorised to publish")), "{ended:?}");
    std::fs::write(broker.folder().join("acl"), "topic readwrite #\n").unwrap();
    broker.restart();
    // The next start tries what was held.
    let uplink = Uplink::start(UplinkConfig { brokers: vec![broker.address()], ..quick() }, outbox.clone());
    let rig = Rig { outbox, uplink, dir };
    wait(|| rig.uplink.status().borrow().acked >= 3).await;
    let (_, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 0, 4));
}

async fn wait(mut done: impl FnMut() -> bool) {
    let limit = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < limit, "it did not happen within {LONG:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let broker = Mosquitto::start("allow_anonymous false");
    let address: BrokerAddress = broker.address().to_string().replace("//", "//gate:S3CRET@").parse().unwrap();
    let rig = Rig::start(address, quick());
    let error = rig.uplink.connected(Duration::from_secs(2)).await.unwrap_err();
    let told = format!("{error} {error:?} {:?}", rig.uplink);
    assert!(matches!(rig.uplink.status().borrow().state, LinkState::Refused(_)), "{told}");
    assert!(error.to_string().contains("not authorised to connect"), "{told}");
    assert!(!told.contains("S3CRET"), "{told}");
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_is_told() {
    let broker = Mosquitto::start("");
    let config = SubscriberConfig::new(["kakou/#/wrong"]);
    let mut subscriber = Subscriber::connect(broker.address(), config);
    let event = tokio::time::timeout(LONG, subscriber.recv()).await.unwrap();
    assert!(matches!(event, Some(Event::Lost { .. } | Event::Refused { .. })), "{event:?}");
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
    assert_eq!((report.unwrap().connections, passages(&stats)), (1, (0, 0, 400)));
    let payloads: Vec<_> = broker.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(payloads, (0..400).map(|n| n.to_string()).collect::<Vec<_>>(), "each once, in order");
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
    assert!(ended.refused == 1 && ended.refusals[0].why.contains("format"), "{ended:?}");
    assert_eq!(passages(&stats), (0, 1, 9));
    assert_eq!(broker.seen().iter().filter(|seen| seen.payload == "5").count(), 4);
}

#[tokio::test]
async fn a_connection_cut_again_and_again_loses_nothing() {
    // Every seventh publish of a connection cuts it before its acknowledgement.
    let broker = Scripted::start(5, |seen| if seen.id == 5 { Answer::Cut } else { Answer::Ack(0) }).await;
    let rig = Rig::start(broker.address(), quick());
    for n in 0..60 {
        rig.publish(small(n)).await;
    }
    let (report, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 0, 60));
    assert!(report.unwrap().connections > 10);
    let seen: std::collections::BTreeSet<_> = broker.seen().into_iter().map(|seen| seen.payload).collect();
    assert_eq!(seen.len(), 60);
}

#[tokio::test]
async fn a_broker_that_never_acknowledges_is_left_and_told_of() {
    let broker = Scripted::start(10, |seen| match seen.connection {
        1 => Answer::Ignore,
        _ => Answer::Ack(0),
    })
    .await;
    let config = || UplinkConfig { answer_timeout: Duration::from_millis(300), ..quick() };
    let rig = Rig::start(broker.address(), config());
    rig.publish(small(1)).await;
    let (report, stats) = rig.finish(LONG).await;
    assert_eq!((report.unwrap().connections, passages(&stats)), (2, (0, 0, 1)), "the second connection delivers");

    let mute = Scripted::start(10, |_| Answer::Ignore).await;
    let rig = Rig::start(mute.address(), config());
    rig.publish(small(1)).await;
    let (ended, stats) = rig.finish(Duration::from_secs(1)).await;
    assert!(matches!(ended, Err(Error::Unfinished { .. })), "{ended:?}");
    assert_eq!(passages(&stats), (1, 0, 0));
}

#[tokio::test]
async fn a_hit_overtakes_ten_thousand_passages() {
    let broker = Mosquitto::start("");
    let filters = ["kakou/v1/+/+/passage/+", "kakou/v1/+/+/hit/+/+"];
    let mut subscriber = Subscriber::connect(broker.address(), SubscriberConfig::new(filters));
    subscriber.subscribed(LONG).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(options(dir.path())).unwrap();
    let passage = || {
        draft(Outgoing { topic: "kakou/v1/s/a/passage/c".into(), payload: vec![b'p'; 800], ..small(0) }, Lane::Passage)
    };
    for _ in 0..20 {
        outbox.append_async((0..500).map(|_| passage()).collect()).await.unwrap();
    }
    let uplink = Uplink::start(UplinkConfig { brokers: vec![broker.address()], ..quick() }, outbox.clone());
    wait(|| uplink.status().borrow().acked > 1000).await;
    let hit = Outgoing { topic: "kakou/v1/s/a/hit/red/c".into(), payload: b"hit".to_vec(), ..small(0) };
    outbox.append_async(vec![draft(hit, Lane::Hit)]).await.unwrap();
    let committed_at = uplink.status().borrow().acked;
    let mut before = 0;
    loop {
        match tokio::time::timeout(LONG, subscriber.recv()).await.unwrap() {
            Some(Event::Message(m)) if m.payload == b"hit" => break,
            Some(Event::Message(_)) => before += 1,
            _ => {}
        }
    }
    assert!(before < 9_000, "{before} passages came before the hit, {committed_at} were through when it was committed");
}

#[tokio::test]
async fn commands_come_with_where_to_answer_and_the_will_speaks_for_the_dead() {
    let broker = Mosquitto::start("");
    let mut subscriber = Subscriber::connect(broker.address(), SubscriberConfig::new(["will", "offline"]));
    subscriber.subscribed(LONG).await.unwrap();
    let will = || Outgoing { topic: "will".into(), payload: b"gone".to_vec(), ..Outgoing::default() };
    let config = || UplinkConfig { commands: Some("cmd/+".into()), will: Some(std::sync::Arc::new(will)), ..quick() };
    let mut rig = Rig::start(broker.address(), config());
    wait(|| rig.uplink.status().borrow().listening).await;
    let mut commands = rig.uplink.commands().unwrap();
    broker.publish(&[
        "-t",
        "cmd/ping",
        "-m",
        "{}",
        "-D",
        "publish",
        "response-topic",
        "kakou/answers",
        "-D",
        "publish",
        "correlation-data",
        "c1",
    ]);
    let command = tokio::time::timeout(LONG, commands.recv()).await.unwrap().unwrap();
    assert_eq!((command.topic.as_str(), command.response_topic.as_deref()), ("cmd/ping", Some("kakou/answers")));
    assert_eq!(command.correlation.as_deref(), Some(b"c1".as_slice()));
    // A goodbye: the last message, and no will.
    let last = Outgoing { topic: "offline".into(), payload: b"shutdown".to_vec(), ..Outgoing::default() };
    rig.uplink.finish(Drain::InFlight, Some(last), LONG).await.unwrap();
    let next = heard(&mut subscriber).await;
    assert_eq!((next.topic.as_str(), next.payload.as_slice()), ("offline", b"shutdown".as_slice()));
    // An end without one.
    let rig = Rig::start(broker.address(), config());
    rig.uplink.connected(LONG).await.unwrap();
    drop(rig);
    assert_eq!(heard(&mut subscriber).await.topic, "will");
}

async fn heard(subscriber: &mut Subscriber) -> Received {
    loop {
        if let Some(Event::Message(m)) = tokio::time::timeout(LONG, subscriber.recv()).await.unwrap() {
            return m;
        }
    }
}

#[tokio::test]
async fn the_second_broker_takes_over() {
    let broker = Mosquitto::start("");
    let dir = tempfile::tempdir().unwrap();
    let outbox = Outbox::open(options(dir.path())).unwrap();
    outbox.append_async(vec![draft(small(1), Lane::Passage)]).await.unwrap();
    let brokers = vec![BrokerAddress::new("127.0.0.1", free_port()), broker.address()];
    let uplink = Uplink::start(UplinkConfig { brokers, ..quick() }, outbox.clone());
    let status = uplink.finish(Drain::Everything, None, LONG).await.unwrap();
    assert_eq!((status.acked, status.broker), (1, Some(broker.address().to_string())));
}

#[tokio::test]
async fn the_broker_must_be_who_it_must_be() {
    let good = tls::Authority::new("good");
    let other = tls::Authority::new("other");
    let settings = "cafile {dir}/ca.pem\ncertfile {dir}/broker.pem\nkeyfile {dir}/broker.key";
    let files = |folder: &std::path::Path, name: &str, expired: bool, ca: &tls::Authority| {
        good.write_certificate(folder, "broker", name, expired);
        std::fs::write(folder.join("trusted.pem"), ca.pem()).unwrap();
        std::fs::write(folder.join("ca.pem"), good.pem()).unwrap();
    };
    for (name, expired, ca, told) in [
        ("localhost", false, &good, None),
        ("localhost", false, &other, Some("not trusted here")),
        ("localhost", true, &good, Some("has expired")),
        ("elsewhere.example", false, &good, Some("for another name")),
    ] {
        let broker = Mosquitto::start_with(settings, |folder| files(folder, name, expired, ca));
        let address: BrokerAddress = format!("mqtts://localhost:{}", broker.address().port).parse().unwrap();
        let tls = TlsFiles { ca: Some(broker.folder().join("trusted.pem")), client: None };
        let rig = Rig::start(address, UplinkConfig { tls, ..quick() });
        rig.publish(small(1)).await;
        match told {
            None => assert_eq!(passages(&rig.finish(LONG).await.1), (0, 0, 1)),
            Some(told) => {
                wait(|| matches!(&rig.uplink.status().borrow().state, LinkState::Tls(why) if why.contains(told))).await;
                let (ended, stats) = rig.finish(Duration::from_millis(200)).await;
                assert!(ended.unwrap_err().to_string().contains(told));
                assert_eq!(passages(&stats), (1, 0, 0), "no data sent, none lost");
            }
        }
    }
}

#[tokio::test]
async fn a_broker_may_ask_for_our_certificate() {
    let ca = tls::Authority::new("city");
    let settings = "cafile {dir}/ca.pem\ncertfile {dir}/broker.pem\nkeyfile {dir}/broker.key\nrequire_certificate true";
    let broker = Mosquitto::start_with(settings, |folder| {
        ca.write_certificate(folder, "broker", "localhost", false);
        ca.write_certificate(folder, "agent", "agent-1", false);
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    });
    let address: BrokerAddress = format!("mqtts://localhost:{}", broker.address().port).parse().unwrap();
    let file = |name: &str| broker.folder().join(name);
    let without = TlsFiles { ca: Some(file("ca.pem")), client: None };
    let rig = Rig::start(address.clone(), UplinkConfig { tls: without.clone(), ..quick() });
    rig.publish(small(1)).await;
    wait(|| matches!(&rig.uplink.status().borrow().state, LinkState::Tls(why) if why.contains("client certificate")))
        .await;
    drop(rig);
    let tls = TlsFiles { client: Some((file("agent.pem"), file("agent.key"))), ..without };
    let rig = Rig::start(address, UplinkConfig { tls, ..quick() });
    rig.publish(small(1)).await;
    assert_eq!(passages(&rig.finish(LONG).await.1), (0, 0, 1));
}
