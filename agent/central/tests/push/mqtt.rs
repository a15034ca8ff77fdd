//! Recipients over MQTT.

use kakou_central::push::PushBroker;
use kakou_contract::{HitMessage, Level, Message as _};
use kakou_uplink::{Received, Subscriber, SubscriberConfig, SubscriberEvent, TlsFiles};

use super::mosquitto::Mosquitto;
use super::rig::{Hit, LONG, RED, Rig, pace};
use super::server::Server;

pub(crate) fn broker(mosquitto: &Mosquitto) -> PushBroker {
    PushBroker {
        brokers: vec![mosquitto.address()],
        tls: TlsFiles::default(),
        client_id: "centre".to_owned(),
    }
}

/// Subscribed already.
pub(crate) async fn subscriber(mosquitto: &Mosquitto, filter: &str) -> Subscriber {
    let mut subscriber = Subscriber::connect(mosquitto.address(), SubscriberConfig::new([filter]));
    let subscribed =
        async { while subscriber.recv().await.unwrap() != SubscriberEvent::Subscribed {} };
    tokio::time::timeout(LONG, subscribed).await.unwrap();
    subscriber
}

pub(crate) async fn message(subscriber: &mut Subscriber) -> Received {
    let message = async {
        loop {
            if let SubscriberEvent::Message(received) = subscriber.recv().await.unwrap() {
                return received;
            }
        }
    };
    tokio::time::timeout(LONG, message).await.unwrap()
}

fn recipient(name: &str, rest: &str) -> String {
    format!(
        "[[recipient]]\nname = \"{name}\"\nlevels = [\"red\", \"orange\"]\n\
         states = [\"confirmed\"]\nareas = [\"all\"]\n{rest}\n\
         mqtt = {{ topic = \"platform/{{recipient}}/hit/{{level}}\" }}\n"
    )
}

const DONE: &str = "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_is_published_on_the_recipients_own_topic() {
    let rig = Rig::start().await;
    let mosquitto = Mosquitto::start("");
    let server = Server::start(|_, _| 200).await;
    let url = server.url();
    let both = recipient(
        "duty",
        &format!("webhook = {{ url = \"{url}\", secret_file = \"KEY\" }}"),
    );
    let recipients = rig.recipients(&both);
    let mut listener = subscriber(&mosquitto, "platform/#").await;
    let _pusher = rig.push_with(&recipients, Some(&broker(&mosquitto)), pace());
    let orange = Hit {
        level: Level::Orange,
        ..RED
    };
    let ids = rig.hits(&recipients, &[orange]).await;
    let received = message(&mut listener).await;
    assert_eq!(received.topic, "platform/duty/hit/orange");
    assert!(!received.retained);
    let property = |name: &str| {
        let mut all = received.user_properties.iter();
        all.find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(property("id"), Some(ids[0].as_str()));
    assert_eq!(property("type"), Some("kakou.hit.v1"));
    let hit = HitMessage::from_json(&received.payload).unwrap();
    assert_eq!(hit.event_id(), ids[0]);
    // And by the other channel.
    rig.until(DONE, "2").await;
    assert_eq!(server.ids(), ids);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_a_listener_or_away_is_no_delivery() {
    let rig = Rig::start().await;
    let mut mosquitto = Mosquitto::start("");
    let recipients = rig.recipients(&recipient("duty", ""));
    let _pusher = rig.push_with(&recipients, Some(&broker(&mosquitto)), pace());
    rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT error FROM deliveries WHERE attempts > 1",
        "nobody listens on platform/duty/hit/red at the broker",
    )
    .await;
    let mut listener = subscriber(&mosquitto, "platform/duty/#").await;
    message(&mut listener).await;
    rig.until(DONE, "1").await;
    mosquitto.stop();
    let ids = rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE attempts > 1 AND done_at IS NULL",
        "1",
    )
    .await;
    mosquitto.restart();
    let received = message(&mut listener).await;
    assert_eq!(
        HitMessage::from_json(&received.payload).unwrap().event_id(),
        ids[0]
    );
    rig.until(DONE, "2").await;
}
