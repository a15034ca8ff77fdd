//! Who is told, what, in which order, and that it is proven.

use std::time::Duration;

use base64::Engine as _;
use kakou_contract::{HitMessage, HitState, Level, Message as _};
use sha2::{Digest as _, Sha256};

use super::rig::{BLUE, Hit, KEY, RED, Rig, until};
use super::server::{Got, Server};

fn recipient(name: &str, server: &Server, rest: &str) -> String {
    let url = server.url();
    format!(
        "[[recipient]]\nname = \"{name}\"\n{rest}\nwebhook = {{ url = \"{url}\", secret_file = \"KEY\" }}\n"
    )
}

const ALL: &str = "levels = [\"red\", \"orange\", \"yellow\", \"blue\"]\n\
    states = [\"provisional\", \"confirmed\", \"retracted\", \"unresolved\", \"again\"]\n\
    areas = [\"all\"]";

/// HMAC by its definition (RFC 2104), so that a fault of the library or of its use would show.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::new()
        .chain_update(pad(0x36))
        .chain_update(text)
        .finalize();
    let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner);
    outer.finalize().to_vec()
}

fn is_signed(got: &Got) -> bool {
    let mut text = format!("{}.{}.", got.id(), got.header("webhook-timestamp")).into_bytes();
    text.extend_from_slice(&got.body);
    let mac = base64::engine::general_purpose::STANDARD.encode(hmac(KEY.as_bytes(), &text));
    got.header("webhook-signature") == format!("v1,{mac}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_is_told_signed_as_a_cloud_event() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 204).await;
    let recipients = rig.recipients(&recipient("duty", &server, ALL));
    let pusher = rig.push(&recipients);
    let late = Hit {
        age: Duration::from_secs(61),
        ..RED
    };
    let ids = rig.hits(&recipients, &[RED, late]).await;
    until("both are told", || server.got().len() >= 2).await;
    rig.until(
        "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL",
        "2",
    )
    .await;
    for got in server.got() {
        assert!(is_signed(&got), "{got:?}");
        assert_eq!(got.path, "/hits");
        assert_eq!(got.header("content-type"), "application/cloudevents+json");
        let event = got.json();
        assert_eq!(event["id"], got.id());
        assert_eq!(event["specversion"], "1.0");
        assert_eq!(event["source"], "/kakou/north/box-1");
        let hit = HitMessage::from_json(event["data"].to_string().as_bytes()).unwrap();
        assert_eq!(hit.event_id(), got.id());
        assert_eq!(hit.is_late, got.id() == ids[1]);
        let timestamp: i64 = got.header("webhook-timestamp").parse().unwrap();
        assert!((rig.clock.wall().timestamp() - timestamp).abs() < 100);
    }
    pusher.stop(super::rig::LONG).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_is_told_what_it_has_a_right_to_and_no_more() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let with = |name: &str, prefecture: &str, rest: &str| {
        let rest = format!("prefecture = \"{prefecture}\"\n{rest}");
        recipient(name, &server, &rest).replace("/hits?", &format!("/{name}?"))
    };
    let reds = "levels = [\"red\"]\nstates = [\"confirmed\"]\nareas = [\"all\"]";
    let config = [
        with("own", "130100", ALL),
        with("own-south", "130100", &ALL.replace("\"all\"", "\"south\"")),
        with(
            "own-ended",
            "130100",
            &ALL.replace("\"provisional\", ", "")
                .replace("\"confirmed\", ", ""),
        ),
        with("neighbour", "130200", ALL),
        with("neighbour-reds", "130200", reds),
        with("stranger", "130300", ALL),
        "[[agreement]]\nfrom = \"130100\"\nto = \"130200\"\nlevels = [\"red\"]\n\
         categories = [\"stolen\"]\nreason = true\n"
            .to_owned(),
    ];
    let recipients = rig.recipients(&config.concat());
    let _pusher = rig.push(&recipients);
    let hits = [
        RED, // 0
        Hit {
            site: "south",
            ..BLUE
        }, // 1
        Hit {
            category: "murder",
            ..RED
        }, // 2
        Hit {
            site: "east",
            ..BLUE
        }, // 3
        Hit {
            state: HitState::Retracted,
            ..RED
        }, // 4
        Hit {
            site: "nowhere",
            ..RED
        }, // 5
        Hit {
            site: "east",
            level: Level::Red,
            ..RED
        }, // 6
    ];
    let ids = rig.hits(&recipients, &hits).await;
    let table: [(&str, &[usize]); 6] = [
        ("own", &[0, 1, 2, 4]),
        ("own-south", &[1]),
        ("own-ended", &[4]),
        ("neighbour", &[0, 3, 4, 6]),
        ("neighbour-reds", &[0, 6]),
        ("stranger", &[]),
    ];
    let all: usize = table.iter().map(|(_, hits)| hits.len()).sum();
    let done =
        "SELECT count(*) FILTER (WHERE done_at IS NOT NULL) || '/' || count(*) FROM deliveries";
    rig.until(done, &format!("{all}/{all}")).await;
    let got = server.got();
    for (name, told) in table {
        let path = format!("/{name}");
        let mut heard: Vec<usize> = got
            .iter()
            .filter(|it| it.path == path)
            .map(|it| ids.iter().position(|id| id == it.id()).unwrap())
            .collect();
        heard.sort_unstable();
        assert_eq!(heard, told, "{name}");
    }
    // What the agreement does not grant is not in it.
    let foreign = |it: &&Got| it.path == "/neighbour" && it.id() == ids[0];
    let event = got.iter().find(foreign).unwrap().json();
    assert_eq!(event["withheld"], "pictures authority");
    assert_eq!(event["data"]["reason"], "reported stolen, case 31-0504");
    assert!(!event.to_string().contains("sha256") && !event.to_string().contains("police"));
    let own = |it: &&Got| it.path == "/neighbour" && it.id() == ids[6];
    assert!(
        got.iter()
            .find(own)
            .unwrap()
            .json()
            .get("withheld")
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_that_was_taken_away_counts_at_the_time_of_the_telling() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let foreign = recipient("b", &server, &format!("prefecture = \"130200\"\n{ALL}"));
    let agreed = "[[agreement]]\nfrom = \"130100\"\nto = \"130200\"\nlevels = [\"red\"]\n";
    let before = rig.recipients(&format!("{foreign}{agreed}"));
    rig.hits(&before, &[RED]).await;
    let now = rig.recipients(&foreign);
    let _pusher = rig.push(&now);
    rig.until(
        "SELECT error FROM deliveries WHERE failed_at IS NOT NULL",
        "the recipient has no right to it any more",
    )
    .await;
    assert!(server.got().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn red_goes_first_and_a_repeat_makes_no_second_delivery() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let config = recipient("duty", &server, ALL) + "[push]\nat_once = 1";
    let recipients = rig.recipients(&config);
    let level = |level| Hit { level, ..RED };
    // Each in its own transaction: the order in which they came must not be the order of urgency.
    let mut ids = Vec::new();
    for hit in [
        BLUE,
        level(Level::Yellow),
        level(Level::Orange),
        level(Level::Red),
        BLUE,
        level(Level::Red),
    ] {
        ids.extend(rig.hits(&recipients, &[hit]).await);
    }
    // The subscriber would not pass a repeat on; if it did, nothing would come of it.
    let client = rig.store.client().await.unwrap();
    let select = "SELECT time FROM hits WHERE event_id = $1";
    let row = client.query_one(select, &[&ids[0]]).await.unwrap();
    let time = row.get(0);
    let again = kakou_central::push::NewHit {
        event_id: &ids[0],
        time,
    };
    let made = kakou_central::push::enqueue(&**client, &[again], &recipients).await;
    assert_eq!(made.unwrap(), 0);
    let _pusher = rig.push(&recipients);
    rig.until(
        "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL",
        "6",
    )
    .await;
    let heard: Vec<usize> = server
        .ids()
        .iter()
        .map(|it| ids.iter().position(|id| id == it).unwrap())
        .collect();
    assert_eq!(heard.len(), 6);
    let mut reds = heard[..2].to_vec();
    reds.sort_unstable();
    assert_eq!((reds, &heard[2..4]), (vec![3, 5], &[2, 1][..]), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_hit_goes_before_all_that_a_box_had_kept() {
    let rig = Rig::start().await;
    let server = Server::start(|_, _| 200).await;
    let config = recipient("duty", &server, ALL) + "[push]\nat_once = 1";
    let recipients = rig.recipients(&config);
    let age = Duration::from_secs(3 * 3600);
    rig.hits(&recipients, &vec![Hit { age, ..RED }; 30]).await;
    let fresh = rig.hits(&recipients, &[BLUE]).await;
    let _pusher = rig.push(&recipients);
    rig.until(
        "SELECT count(*) FROM deliveries WHERE done_at IS NOT NULL",
        "31",
    )
    .await;
    assert_eq!(server.ids()[0], fresh[0]);
}
