//! Recipients that fail, each in its way.

use std::time::Duration;

use kakou_central::push::{self, Channel};
use kakou_contract::HitState;

use super::rig::{BLUE, Hit, KEY, RED, Rig, log, until};
use super::server::{Reply, Server};

fn recipient(name: &str, url: &str) -> String {
    format!(
        "[[recipient]]\nname = \"{name}\"\nlevels = [\"red\", \"blue\"]\nstates = [\"confirmed\"]\n\
         areas = [\"all\"]\nwebhook = {{ url = \"{url}\", secret_file = \"KEY\" }}\n"
    )
}

const DONE: &str = "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_taken_is_tried_again_under_the_same_id() {
    let rig = Rig::start().await;
    let server = Server::start(|_, before| [500, 404, 503, 429, 200][before.min(4)]).await;
    let recipients = rig.recipients(&recipient("duty", &server.url()));
    let _pusher = rig.push(&recipients);
    let ids = rig.hits(&recipients, &[RED]).await;
    rig.until(DONE, "1").await;
    assert_eq!(server.ids(), vec![ids[0].clone(); 5]);
    assert_eq!(rig.value("SELECT attempts FROM deliveries").await, "5");
    // A server that is away altogether, and comes back at the same address.
    let address = server.address;
    drop(server);
    rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE attempts > 1 AND error LIKE '127.0.0.1: %'",
        "1",
    )
    .await;
    let server = back_at(address).await;
    rig.until(DONE, "2").await;
    assert_eq!(server.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_told_of_a_vehicle_in_sight_that_was_taken_back() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let config = recipient("duty", &server.url())
        .replace("[\"confirmed\"]", "[\"provisional\", \"retracted\"]");
    let recipients = rig.recipients(&config);
    let of = |state| Hit { state, ..RED };
    let life = [of(HitState::Provisional), of(HitState::Retracted)];
    let ids = rig.hits(&recipients, &life).await;
    rig.sql("UPDATE hits SET hit = (SELECT hit FROM hits WHERE state = 'provisional')")
        .await;
    let _pusher = rig.push(&recipients);
    rig.until(DONE, "1").await;
    let why = "SELECT error FROM deliveries WHERE failed_at IS NOT NULL";
    rig.until(why, "it was taken back before it was told").await;
    assert_eq!(server.ids(), [ids[1].clone()]);
}

/// The port is free again once the connections of the old one have ended.
async fn back_at(address: std::net::SocketAddr) -> Server {
    for _ in 0..3_000 {
        if let Ok(probe) = tokio::net::TcpListener::bind(address).await {
            drop(probe);
            return Server::start_at(address, |_, _| 200).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} does not get free");
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_switches_off_until_somebody_switches_it_on() {
    let rig = Rig::start().await;
    let server = Server::start(|_, before| if before == 0 { 410 } else { 200 }).await;
    let other = Server::start(|_, _| 200).await;
    let config = recipient("duty", &server.url()) + &recipient("other", &other.url());
    let recipients = rig.recipients(&config);
    let pusher = rig.push(&recipients);
    rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT reason FROM deliveries_off",
        "410 Gone: the recipient wants nothing any more",
    )
    .await;
    rig.hits(&recipients, &[RED, BLUE]).await;
    rig.until(DONE, "3").await;
    // Neither the next hit nor the next start asks again.
    drop(pusher);
    let _pusher = rig.push(&recipients);
    rig.hits(&recipients, &[RED]).await;
    rig.until(DONE, "4").await;
    assert_eq!((server.got().len(), other.got().len()), (1, 4));
    let client = rig.store.client().await.unwrap();
    let state = push::state(&**client).await.unwrap();
    let duty = state.iter().find(|it| it.recipient == "duty").unwrap();
    assert_eq!((duty.waiting, duty.done, duty.failed), (4, 0, 0));
    assert!(duty.off.as_ref().unwrap().contains("410"));
    let switch_on = push::switch_on(&**client, "duty", Channel::Webhook);
    assert!(switch_on.await.unwrap());
    rig.until(DONE, "8").await;
    let again = push::switch_on(&**client, "duty", Channel::Webhook).await;
    assert!(!again.unwrap(), "it was on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_recipient_delays_no_other_and_a_red_hit_has_a_place_beside_blue_ones() {
    let rig = Rig::start().await;
    // Longer than the whole test may take.
    let slow = Server::start(|_, _| Reply {
        status: 200,
        wait: Duration::from_secs(3_600),
        ..Reply::default()
    })
    .await;
    let fast = Server::start(|_, _| 200).await;
    let config = recipient("slow", &slow.url()) + &recipient("fast", &fast.url());
    let config = config + "[push]\nat_once = 3\ntimeout_s = 60\n";
    let recipients = rig.recipients(&config);
    let _pusher = rig.push(&recipients);
    rig.hits(&recipients, &vec![BLUE; 30]).await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE recipient = 'fast' AND done_at IS NOT NULL",
        "30",
    )
    .await;
    until("the slow one has what it has room for", || {
        slow.got().len() == 2
    })
    .await;
    let red = rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE recipient = 'fast' AND done_at IS NOT NULL",
        "31",
    )
    .await;
    until("the red one has its place", || slow.got().len() == 3).await;
    assert_eq!(slow.ids()[2], red[0]);
}

/// A red hit that a recipient hangs over comes first each time.
#[tokio::test(flavor = "multi_thread")]
async fn a_hit_that_is_never_answered_holds_up_no_other() {
    let rig = Rig::start().await;
    let first = std::sync::Mutex::new(None);
    let server = Server::start(move |got, _| {
        let mut first = first.lock().unwrap();
        let first = first.get_or_insert_with(|| got.id().to_owned());
        let wait = match got.id() == first {
            true => Duration::from_secs(3_600),
            false => Duration::ZERO,
        };
        Reply {
            status: 200,
            wait,
            ..Reply::default()
        }
    })
    .await;
    let config = recipient("duty", &server.url()) + "[push]\nat_once = 1\ntimeout_s = 1\n";
    let recipients = rig.recipients(&config);
    let _pusher = rig.push(&recipients);
    rig.hits(&recipients, &[RED]).await;
    until("the first one hangs", || server.got().len() == 1).await;
    rig.hits(&recipients, &vec![BLUE; 5]).await;
    rig.until(DONE, "5").await;
    rig.until(
        "SELECT error FROM deliveries WHERE level = 'red'",
        "no answer within 1 s",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_not_followed_and_an_endless_answer_not_read() {
    let rig = Rig::start().await;
    let other = Server::start(|_, _| 200).await;
    let to = other.url();
    let moved = Server::start(move |_, _| Reply {
        status: 307,
        headers: vec![("location", to.clone())],
        ..Reply::default()
    })
    .await;
    let large = Server::start(|_, _| Reply {
        status: 200,
        body: vec![b'x'; 8 << 20],
        ..Reply::default()
    })
    .await;
    let config = recipient("moved", &moved.url()) + &recipient("large", &large.url());
    let recipients = rig.recipients(&config);
    let _pusher = rig.push(&recipients);
    rig.hits(&recipients, &[RED]).await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE recipient = 'moved' AND attempts > 2",
        "1",
    )
    .await;
    rig.until(DONE, "1").await;
    let error = rig
        .value("SELECT error FROM deliveries WHERE recipient = 'moved'")
        .await;
    assert!(
        error.contains("a redirect to 127.0.0.1, which is not followed"),
        "{error}"
    );
    assert!(other.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_delivered_in_time_is_recorded_with_its_reason() {
    let rig = Rig::start().await;
    let bad = Server::start(|_, _| 500).await;
    let gone = Server::start(|_, _| 410).await;
    let config = recipient("bad", &bad.url()) + &recipient("gone", &gone.url());
    let config = config
        + "[push.give_up_after_s]\nred = 2\norange = 2\nyellow = 2\nblue = 3600\n\
        [push.late_after_s]\nred = 1\norange = 1\nyellow = 1\nblue = 1\n";
    let recipients = rig.recipients(&config);
    let _pusher = rig.push(&recipients);
    let red = rig.hits(&recipients, &[RED, BLUE]).await;
    // And one that is in no config any more.
    rig.sql(
        "INSERT INTO deliveries (event_id, time, recipient, channel, level)
             SELECT event_id, time, 'former', channel, level FROM deliveries
             WHERE level = 'red' AND recipient = 'bad'",
    )
    .await;
    rig.until(
        "SELECT string_agg(recipient, ',' ORDER BY recipient) FROM deliveries \
               WHERE failed_at IS NOT NULL",
        "bad,former,gone",
    )
    .await;
    let told = |name: &'static str| {
        let sql =
            format!("SELECT error FROM deliveries WHERE level = 'red' AND recipient = '{name}'");
        let rig = &rig;
        async move { rig.value(&sql).await }
    };
    let error = told("bad").await;
    assert!(
        error.contains("not delivered within 2 s") && error.contains("500"),
        "{error}"
    );
    let error = told("gone").await;
    assert!(error.contains("is off: 410"), "{error}");
    let error = told("former").await;
    assert!(error.contains("in no config"), "{error}");
    // It was told of as late before it was given up.
    let is_late = bad
        .got()
        .iter()
        .any(|it| it.id() == red[0] && it.json()["data"]["is_late"] == true);
    assert!(is_late);
    let waits = "SELECT count(*) FROM deliveries WHERE level = 'blue' AND failed_at IS NULL";
    assert_eq!(rig.value(waits).await, "2");
    let logged = log();
    assert!(logged.contains("a hit was not delivered") && logged.contains(&red[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_in_the_log_or_in_the_tables() {
    let rig = Rig::start().await;
    let server = Server::start(|_, before| {
        let headers = vec![(
            "location",
            "http://u:p4ssw0rd@elsewhere.example/?token=T0KEN".to_owned(),
        )];
        let status = [500, 302, 410][before.min(2)];
        Reply {
            status,
            headers,
            body: b"T0KEN".to_vec(),
            ..Reply::default()
        }
    })
    .await;
    // Nobody listens there.
    let free = super::mosquitto::free_port();
    let nobody = format!("http://127.0.0.1:{free}/?token=T0KEN");
    let config = recipient("duty", &server.url()) + &recipient("nobody", &nobody);
    let recipients = rig.recipients(&config);
    let _pusher = rig.push(&recipients);
    rig.hits(&recipients, &[RED]).await;
    rig.until("SELECT count(*) FROM deliveries_off", "1").await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE recipient = 'nobody' AND attempts > 2",
        "1",
    )
    .await;
    let tables = rig
        .value(
            "SELECT (SELECT string_agg(d::text, ' ') FROM deliveries d)
                || (SELECT string_agg(o::text, ' ') FROM deliveries_off o)",
        )
        .await;
    let logged = log();
    assert!(logged.contains("switched off"), "the log is heard");
    for secret in [KEY, "T0KEN", "p4ssw0rd"] {
        assert!(!tables.contains(secret), "{secret}: {tables}");
        let line = logged.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
}
