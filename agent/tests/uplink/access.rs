//! Who is let in, and what is permitted: certificates, passwords, topics.

use std::time::Duration;

use kakou_contract::Envelope;
use kakou_uplink::{
    BrokerAddress, Drain, LinkState, Subscriber, SubscriberConfig, SubscriberEvent, TlsFiles,
    Uplink, UplinkConfig,
};

use super::mosquitto::Mosquitto;
use super::rig::{LONG, Rig, message, passages, quick, small, wait};
use super::tls;

#[tokio::test]
async fn a_topic_that_is_not_allowed_is_held_and_goes_when_it_is_allowed() {
    // The right to one camera's passages alone.
    let one = "topic readwrite kakou/v1/site-1/agent-1/passage/cam-1\n";
    let mut broker = Mosquitto::start_with("acl_file {dir}/acl", |folder| {
        std::fs::write(folder.join("acl"), one).unwrap()
    });
    let rig = Rig::start(broker.address(), quick());
    for n in 1..=4 {
        rig.publish(Envelope {
            payload: vec![b' '; 10].into(),
            ..message(n)
        })
        .await;
    }
    wait(|| rig.uplink.status().borrow().refused_topics.len() == 3).await;
    let Rig {
        outbox,
        uplink,
        dir,
    } = rig;
    let ended = uplink.finish(Drain::InFlight, None, LONG).await.unwrap();
    assert!(
        ended
            .refusals
            .iter()
            .all(|r| r.why.contains("not authorised to publish")),
        "{ended:?}"
    );
    std::fs::write(broker.folder().join("acl"), "topic readwrite #\n").unwrap();
    broker.restart();
    // The next start tries what was held.
    let uplink = Uplink::start(
        UplinkConfig {
            brokers: vec![broker.address()],
            ..quick()
        },
        kakou::store::OutboxStore(outbox.clone()),
        std::sync::Arc::new(kakou_time::SystemClock::new()),
    );
    let rig = Rig {
        outbox,
        uplink,
        dir,
    };
    wait(|| rig.uplink.status().borrow().acked >= 3).await;
    let (_, stats) = rig.finish(LONG).await;
    assert_eq!(passages(&stats), (0, 0, 4));
}

#[tokio::test]
async fn a_wrong_password_is_told_without_the_password() {
    let broker = Mosquitto::start("allow_anonymous false");
    let address: BrokerAddress = broker
        .address()
        .to_string()
        .replace("//", "//gate:S3CRET@")
        .parse()
        .unwrap();
    let rig = Rig::start(address, quick());
    wait(|| matches!(rig.uplink.status().borrow().state, LinkState::Refused(_))).await;
    let error = rig
        .uplink
        .connected(Duration::from_millis(1))
        .await
        .unwrap_err();
    let told = format!("{error} {error:?} {:?}", rig.uplink);
    assert!(
        matches!(rig.uplink.status().borrow().state, LinkState::Refused(_)),
        "{told}"
    );
    assert!(
        error.to_string().contains("not authorised to connect"),
        "{told}"
    );
    assert!(!told.contains("S3CRET"), "{told}");
}

#[tokio::test]
async fn a_subscription_that_is_not_allowed_is_told() {
    let broker = Mosquitto::start("");
    let config = SubscriberConfig::new(["kakou/#/wrong"]);
    let mut subscriber = Subscriber::connect(broker.address(), config);
    let event = tokio::time::timeout(LONG, subscriber.recv()).await.unwrap();
    assert!(
        matches!(
            event,
            Some(SubscriberEvent::Lost { .. } | SubscriberEvent::Refused { .. })
        ),
        "{event:?}"
    );
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
        let address: BrokerAddress = format!("mqtts://localhost:{}", broker.address().port)
            .parse()
            .unwrap();
        let tls = TlsFiles {
            ca: Some(broker.folder().join("trusted.pem")),
            client: None,
        };
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
    let address: BrokerAddress = format!("mqtts://localhost:{}", broker.address().port)
        .parse()
        .unwrap();
    let file = |name: &str| broker.folder().join(name);
    let without = TlsFiles {
        ca: Some(file("ca.pem")),
        client: None,
    };
    let rig = Rig::start(
        address.clone(),
        UplinkConfig {
            tls: without.clone(),
            ..quick()
        },
    );
    rig.publish(small(1)).await;
    wait(|| matches!(&rig.uplink.status().borrow().state, LinkState::Tls(why) if why.contains("client certificate")))
        .await;
    drop(rig);
    // One that has expired, one of another authority: a state that says so, and nothing is sent.
    tls::Authority::new("elsewhere").write_certificate(
        broker.folder(),
        "foreign",
        "agent-1",
        false,
    );
    ca.write_certificate(broker.folder(), "old", "agent-1", true);
    for (name, told) in [("old", "CertificateExpired"), ("foreign", "UnknownCA")] {
        let client = Some((file(&format!("{name}.pem")), file(&format!("{name}.key"))));
        let rig = Rig::start(
            address.clone(),
            UplinkConfig {
                tls: TlsFiles {
                    client,
                    ..without.clone()
                },
                ..quick()
            },
        );
        rig.publish(small(1)).await;
        wait(|| matches!(&rig.uplink.status().borrow().state, LinkState::Tls(why) if why.contains(told))).await;
        let (ended, stats) = rig.finish(Duration::from_millis(200)).await;
        assert_eq!(
            (ended.is_err(), passages(&stats)),
            (true, (1, 0, 0)),
            "{name}"
        );
    }
    let tls = TlsFiles {
        client: Some((file("agent.pem"), file("agent.key"))),
        ..without
    };
    let rig = Rig::start(address, UplinkConfig { tls, ..quick() });
    rig.publish(small(1)).await;
    assert_eq!(passages(&rig.finish(LONG).await.1), (0, 0, 1));
}
