//! A fleet against a real Mosquitto: what a subscriber receives is what the fleet says it sent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods
)]

#[path = "../../tests/uplink/mosquitto.rs"]
#[allow(dead_code)] // Not all of it is needed here.
mod mosquitto;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kakou_contract::{
    AuditMessage, Command, Continuity, Finding, Message as _, Request, ResultCode, ResultMessage,
    Seal, Sequence, Sha256Hex, StatusMessage, Topic, VerifyingKey, live_id, seal,
};
use kakou_fleet::{Evil, Fate, Fleet, FleetOptions, Row, Troubles, Truth, TruthTo};
use kakou_uplink::{
    Call, CallEvent, Caller, CallerConfig, Received, Receiver, ReceiverConfig, ReceiverEvent,
    TlsFiles,
};
use mosquitto::Mosquitto;
use tokio::time::{sleep, timeout};

/// What is waited for comes long before; only a fault takes as long.
const LONG: Duration = Duration::from_secs(120);

async fn subscriber(broker: &Mosquitto) -> Receiver {
    let config = ReceiverConfig::new("test-centre", ["kakou/v1/#"]);
    let mut receiver = Receiver::connect(vec![broker.address()], config);
    let subscribed = async {
        loop {
            match receiver.recv().await.unwrap() {
                ReceiverEvent::Subscribed => break,
                event => eprintln!("{event:?}"),
            }
        }
    };
    timeout(LONG, subscribed).await.unwrap();
    receiver
}

/// All that comes until `done`.
async fn receive(
    receiver: &mut Receiver,
    mut done: impl FnMut(&Received) -> bool,
) -> Vec<Received> {
    let acknowledger = receiver.acknowledger();
    let mut all = Vec::new();
    loop {
        let event = timeout(LONG, receiver.recv())
            .await
            .expect("messages come")
            .unwrap();
        if let ReceiverEvent::Message(message, receipt) = event {
            if let Some(receipt) = receipt {
                acknowledger.acknowledge(receipt);
            }
            let is_done = done(&message);
            all.push(message);
            if is_done {
                return all;
            }
        }
    }
}

fn property<'a>(message: &'a Received, name: &str) -> &'a str {
    let all = &message.user_properties;
    all.iter()
        .find(|(n, _)| n == name)
        .map_or("", |(_, value)| value)
}

/// What a message is known by: number, id and topic, and the digest of what was sealed.
type Mark = (String, u64, String, String, String);

fn mark(row: &Row) -> Mark {
    let Row {
        site,
        sequence,
        event_id,
        topic,
        sha256,
        ..
    } = row.clone();
    (site, sequence, event_id, topic, sha256)
}

/// What a platform finds in what it received.
#[derive(Default)]
struct Found {
    proven: BTreeSet<Mark>,
    refused: BTreeSet<Mark>,
    broken: BTreeSet<(String, u64)>,
    late: usize,
    repeats: usize,
}

fn look(all: &[Received], keys: &BTreeMap<String, VerifyingKey>) -> Found {
    let mut found = Found::default();
    let mut chains: BTreeMap<String, Continuity> = BTreeMap::new();
    for message in all {
        let topic: Topic = message.topic.parse().unwrap();
        let site = topic.site().to_string();
        let Ok(seal) = Seal::from_properties(&message.user_properties) else {
            // Wills and goodbyes have none.
            let status = StatusMessage::from_json(&message.payload).unwrap();
            assert_eq!(status.state.as_str(), "offline");
            continue;
        };
        let id = property(message, "id").to_owned();
        let digest = seal::digest_numbered(&message.payload, seal.sequence);
        let speaker = property(message, "source")
            .split('/')
            .nth(2)
            .unwrap()
            .to_owned();
        let topic = message.topic.clone();
        let mark = (
            speaker,
            seal.sequence,
            id.clone(),
            topic.clone(),
            Sha256Hex(digest).to_string(),
        );
        let kind = message.content_type.as_deref();
        if seal
            .verify(&keys[&site], &topic, &id, kind, &message.payload)
            .is_err()
        {
            found.refused.insert(mark);
            continue;
        }
        if !found.proven.insert(mark) {
            found.repeats += 1;
        }
        found.late += usize::from(message.payload.starts_with(b"{\"is_late\":true"));
        let chain = chains.entry(site.clone()).or_default();
        for finding in chain.seal(&seal) {
            match finding {
                Finding::BrokenLink { after, .. } => {
                    found.broken.insert((site.clone(), after));
                }
                Finding::Repeat { .. } => {}
                Finding::Conflict { .. } => panic!("{site}: {finding:?}"),
            }
        }
        if topic.ends_with("/audit") {
            let audit = AuditMessage::from_json(&message.payload).unwrap();
            for [first, last] in audit.event.gone() {
                chain.gone(*first, *last);
            }
        }
    }
    for (site, chain) in chains {
        assert_eq!(chain.gaps(), Vec::<[u64; 2]>::new(), "{site}");
    }
    found
}

fn options() -> FleetOptions {
    FleetOptions {
        seed: 7,
        rate: 150.0,
        count: Some(1_500),
        pictures: 2,
        picture_size: 2_000,
        hits: 0.1,
        signals: 0.05,
        status_every: Duration::from_secs(2),
        backlog: Duration::from_secs(3_600),
        backlog_rate: Some(0.1),
        truth: TruthTo::Memory,
        drain: LONG,
        troubles: Troubles {
            outages: 0.15,
            outage: Duration::from_secs(1),
            wrong_clocks: 0.3,
            repeats: 0.05,
            evictions: 0.01,
            evil_share: 0.03,
            evil: Evil::ALL.into_iter().collect(),
        },
        ..FleetOptions::new(20)
    }
}

fn keys(fleet: &Fleet) -> BTreeMap<String, VerifyingKey> {
    let agents = fleet.agents().iter();
    agents.map(|a| (a.site.to_string(), a.key)).collect()
}

fn of(truth: &Truth, fate: Fate) -> BTreeSet<Mark> {
    let rows = truth.rows.iter().filter(|row| row.fate == fate);
    let marks: Vec<Mark> = rows.map(mark).collect();
    let set: BTreeSet<Mark> = marks.iter().cloned().collect();
    assert_eq!(set.len(), marks.len(), "{fate:?}: each once");
    set
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_subscriber_receives_is_what_the_fleet_says_it_sent() {
    let broker = Mosquitto::start("");
    let mut receiver = subscriber(&broker).await;
    let fleet = Fleet::start(options(), vec![broker.address()]).unwrap();
    let keys = keys(&fleet);
    let end = tokio::spawn(async move {
        fleet.made().await;
        fleet.stop_and_drain().await.unwrap()
    });
    // The last words of all agents, and what each said before them.
    let mut gone = BTreeSet::new();
    let mut all = receive(&mut receiver, |message| {
        let is_last = message.topic.ends_with("/status")
            && StatusMessage::from_json(&message.payload)
                .is_ok_and(|s| s.reason.is_some_and(|r| r.as_str() == "shutdown"));
        if is_last {
            gone.insert(message.topic.clone());
        }
        gone.len() == 20
    })
    .await;
    let truth = end.await.unwrap();
    let summary = &truth.summary;
    let acknowledged = of(&truth, Fate::Acknowledged);
    let evil = of(&truth, Fate::Evil);
    // Another client's messages come behind all that the broker had by then.
    broker.publish(&["-t", "kakou/v1/last/box-1/status", "-m", "{}"]);
    all.extend(receive(&mut receiver, |m| m.topic.contains("/last/")).await);
    all.retain(|m| !m.topic.contains("/last/"));
    let found = look(&all, &keys);

    assert_eq!(found.proven, acknowledged);
    assert_eq!(found.refused, evil);
    let torn = truth
        .rows
        .iter()
        .filter(|r| r.fate == Fate::Acknowledged && r.evil.is_some());
    let torn: BTreeSet<_> = torn.map(|r| (r.site.clone(), r.sequence)).collect();
    assert_eq!(found.broken, torn);
    assert!(!torn.is_empty());
    let kinds: BTreeSet<_> = truth.rows.iter().filter_map(|r| r.evil.clone()).collect();
    assert_eq!(kinds.len(), Evil::ALL.len(), "{kinds:?}");
    assert!(!of(&truth, Fate::Evicted).is_empty());
    assert!(of(&truth, Fate::Unacknowledged).is_empty(), "{summary:?}");
    assert_eq!(summary.acknowledged, acknowledged.len() as u64);
    assert!(
        summary.outages > 0 && summary.hits > 50 && summary.pictures > 1_000,
        "{summary:?}"
    );
    // Half of the history at least was not given up.
    assert!(found.late > 150, "{}", found.late);
    assert!(
        found.repeats as u64 >= summary.repeats && summary.repeats > 50,
        "{summary:?}"
    );
    assert_eq!(summary.untold, 0);
}

#[tokio::test]
async fn the_same_seed_and_start_give_the_same_messages() {
    let broker = Mosquitto::start("");
    let mut runs = Vec::new();
    for prefix in ["same", "same", "other"] {
        let options = FleetOptions {
            prefix: prefix.to_owned(),
            rate: 0.0,
            count: Some(400),
            start: Some("2031-05-04T08:00:00+08:00".parse().unwrap()),
            status_every: Duration::from_secs(600),
            backlog: Duration::from_secs(600),
            truth: TruthTo::Memory,
            ..self::options()
        };
        let troubles = Troubles {
            outages: 0.0,
            ..options.troubles.clone()
        };
        let fleet = Fleet::start(
            FleetOptions {
                troubles,
                ..options
            },
            vec![broker.address()],
        );
        let fleet = fleet.unwrap();
        timeout(LONG, fleet.made()).await.unwrap();
        let truth = fleet.stop_and_drain().await.unwrap();
        // A status tells what waits at that moment, so its number is the same and its bytes are not.
        let rows = truth.rows.into_iter().filter(|row| row.kind != "status");
        runs.push(
            rows.map(|r| (mark(&r), r.time, r.evil))
                .collect::<BTreeSet<_>>(),
        );
    }
    assert!(runs[0].len() > 1_000);
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn agents_answer_what_they_are_asked() {
    let broker = Mosquitto::start("");
    let options = FleetOptions {
        rate: 20.0,
        truth: TruthTo::Memory,
        drain: LONG,
        ..FleetOptions::new(2)
    };
    let fleet = Fleet::start(options, vec![broker.address()]).unwrap();
    let answered = async {
        while fleet.progress().listening < 2 || fleet.progress().passages < 20 {
            sleep(Duration::from_millis(20)).await;
        }
        let resend = Command::Resend {
            first: Sequence::MIN,
            last: Sequence::new(5).unwrap(),
        };
        let snapshot = Command::Snapshot {
            camera: "cam-1".parse().unwrap(),
        };
        for command in [
            Command::Ping,
            Command::Status,
            resend,
            snapshot,
            Command::Reload,
        ] {
            ask(&broker, &fleet, command).await;
        }
    };
    timeout(LONG, answered).await.expect("answers come");
    let truth = fleet.stop_and_drain().await.unwrap();
    assert_eq!(truth.summary.results, 5);
    assert_eq!(truth.summary.commands, 5);
    assert_eq!(truth.summary.repeats, 5);
    // A record of each command.
    assert_eq!(truth.summary.audits, 5);
}

async fn ask(broker: &Mosquitto, fleet: &Fleet, command: Command) {
    let name = &fleet.agents()[1];
    let answers = format!("kakou/v1/{}/{}/result/test", name.site, name.agent);
    let config = CallerConfig {
        client_id: "test-caller".to_owned(),
        filters: vec![answers.clone()],
        max_packet: 1 << 20,
        tls: TlsFiles::default(),
    };
    let mut caller = Caller::connect(broker.address(), config, LONG)
        .await
        .unwrap();
    let now = chrono::Local::now().fixed_offset();
    let request = Request {
        request_id: live_id(now),
        sent_at: now,
        expires_at: None,
        by: Some("a test".to_owned()),
        command,
    };
    let topic = request
        .topic(name.site.clone(), name.agent.clone())
        .unwrap();
    caller
        .send(&Call {
            topic: topic.to_string(),
            payload: request.to_json(),
            response_topic: Some(answers),
            correlation: Some(b"mine".to_vec()),
            expires_s: 60,
            ..Call::default()
        })
        .unwrap();
    loop {
        if let CallEvent::Message(message) = caller.next().await.unwrap() {
            let result = ResultMessage::from_json(&message.payload).unwrap();
            assert_eq!(result.request_id, Some(request.request_id));
            assert_eq!(message.correlation.as_deref(), Some(&b"mine"[..]));
            let refused = matches!(request.command, Command::Reload);
            let code = if refused {
                ResultCode::Refused
            } else {
                ResultCode::Done
            };
            assert_eq!(result.code, code, "{result:?}");
            if matches!(request.command, Command::Resend { .. }) {
                assert_eq!(result.data.unwrap()["messages"], 5);
            }
            break;
        }
    }
    caller.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_broker_took_is_recorded_as_not_acknowledged() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = FleetOptions {
        rate: 50.0,
        count: Some(20),
        truth: TruthTo::File(file.path().to_path_buf()),
        drain: Duration::from_secs(1),
        ..FleetOptions::new(3)
    };
    // Nobody listens there.
    let nowhere = kakou_uplink::BrokerAddress::new("127.0.0.1", mosquitto::free_port());
    let fleet = Fleet::start(options, vec![nowhere]).unwrap();
    timeout(LONG, fleet.made()).await.unwrap();
    let truth = fleet.stop_and_drain().await.unwrap();
    assert_eq!(truth.summary.acknowledged, 0);
    assert!(truth.summary.untold > 0, "{:?}", truth.summary);
    let text = std::fs::read_to_string(file.path()).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["summary"]["agents"], 3);
}
