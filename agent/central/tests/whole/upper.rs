//! Passages of made-up agents reach an upper view library, once each and with their pictures,
//! whatever is killed meanwhile. The upper library is the stand-in of `kakou-gat1400`: it checks
//! every field, and computes Digest for itself.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

// The parts of it that are not used here belong to its own tests.
#[allow(dead_code)]
#[path = "../../../gat1400/tests/upper/fields.rs"]
mod fields;
#[allow(dead_code)]
#[path = "../../../gat1400/tests/upper/library.rs"]
mod library;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::support::agent::{Agent, publish};
use crate::support::process::Process;
use crate::support::{PATIENCE, World, begin};
use base64::Engine as _;
use http_auth::{PasswordClient, PasswordParams};
use kakou_central::serve::Central;
use kakou_contract::{Envelope, Keep, PassageMessage, Priority};
use kakou_gat1400::ids::{DeviceId, ImageId, ObjectId, Slot};
use kakou_uplink::Received;
use library::{DEVICE, Fault, Library, PASSWORD, USER};
use serde_json::{Value, json};

const CAMERA: &str = "13010000001190000001";
const TOLLGATE: &str = "13010000001210000001";
const UPPER: &str = "13000000005030000001";
const QUEUED: &str = "SELECT count(*) FROM upper_queue WHERE refused_at IS NULL";

/// The config of a process with the way to this upper library; `more` may add keys and tables.
fn config(world: &World, name: &str, upper: SocketAddr, more: &str) -> std::path::PathBuf {
    let password = world.folder.path().join("upper-password");
    std::fs::write(&password, PASSWORD).unwrap();
    let text = format!(
        "{}[gat1400]\nurl = \"http://{upper}/\"\ndevice_id = \"{DEVICE}\"\nuser = \"{USER}\"\n\
         password_file = \"{}\"\ntimeout_s = 4\nkeep_alive_s = 1\nbatch = 5\n{more}",
        world.config_text(name),
        password.display()
    );
    let path = world.folder.path().join(format!("{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

async fn start(world: &World, name: &str, upper: SocketAddr, more: &str) -> Central {
    let path = config(world, name, upper, more);
    let config = kakou_central::config::CentralConfig::read(&path).unwrap();
    let central = Central::start(&config).await.unwrap();
    central.subscribed().await;
    central
}

/// What `kakou-central upper` says, and whether all is well.
fn upper_says(config: &std::path::Path, more: &[&str]) -> (String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_kakou-central"))
        .arg("upper")
        .args(more)
        .args(["--log", "warn", "--config"])
        .arg(config)
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "", "{told}");
    (told, output.status.success())
}

async fn list_cameras(world: &World, site: &str, cameras: &[(&str, Option<&str>)]) {
    let client = world.client().await;
    let insert = "INSERT INTO sites (site, name) VALUES ($1, $1) ON CONFLICT DO NOTHING";
    client.execute(insert, &[&site]).await.unwrap();
    for (camera, device) in cameras {
        let insert = "INSERT INTO site_cameras (site, agent, camera, device, tollgate)
             VALUES ($1, 'box-1', $2, $3, $4) ON CONFLICT (site, agent, camera)
             DO UPDATE SET device = excluded.device";
        client
            .execute(insert, &[&site, camera, device, &TOLLGATE])
            .await
            .unwrap();
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let waited = tokio::time::timeout(2 * PATIENCE, wait).await;
    assert!(waited.is_ok(), "never came: {what}");
}

/// The MotorVehicleID that a passage must have: by the standard's form, not by the gateway's map.
fn vehicle_id(passage: &PassageMessage) -> String {
    let device = DeviceId::new("device", CAMERA).unwrap();
    let image = ImageId::of(&device, &passage.time, passage.id, Slot::Frame).unwrap();
    ObjectId::of(&image, passage.id).unwrap().to_string()
}

/// What was sent: the picture of each vehicle, by MotorVehicleID.
#[derive(Default)]
struct Sent(BTreeMap<String, Vec<u8>>);

impl Sent {
    /// A passage, and its picture with bytes of its own.
    fn add(&mut self, agent: &mut Agent, n: usize) -> (Received, Received) {
        let bytes = format!("\u{0}picture {n} of {}", agent.site).into_bytes();
        let (passage, picture) = agent.with_picture(&format!("京A{n:05}"), &bytes);
        let message: PassageMessage = serde_json::from_slice(&passage.payload).unwrap();
        self.0.insert(vehicle_id(&message), bytes);
        (passage, picture)
    }

    async fn publish(&mut self, world: &World, agent: &mut Agent, numbers: std::ops::Range<usize>) {
        for n in numbers {
            let (passage, picture) = self.add(agent, n);
            publish(&world.broker.address(), &[passage, picture]).await;
        }
    }

    /// Each vehicle is there once, with its picture, and nothing else is; the library found no fault.
    fn are_there(&self, library: &Library) {
        library.with(|kept| {
            assert_eq!(kept.faults, Vec::<String>::new());
            let there: BTreeSet<&String> = kept.vehicles.keys().collect();
            assert_eq!(there, self.0.keys().collect());
            for (id, (vehicle, _)) in &kept.vehicles {
                let images = vehicle["SubImageList"]["SubImageInfoObject"]
                    .as_array()
                    .unwrap();
                assert_eq!(images.len(), 1, "{id}");
                let data = images[0]["Data"].as_str().unwrap();
                let data = base64::engine::general_purpose::STANDARD.decode(data);
                assert_eq!(data.unwrap(), self.0[id], "{id}");
                assert_eq!(vehicle["DeviceID"], CAMERA);
                assert_eq!(vehicle["TollgateID"], TOLLGATE);
            }
        });
    }
}

/// A passage that promises no picture.
fn without_pictures(agent: &mut Agent, plate: &str, camera: Option<&str>) -> Received {
    let mut message = agent.passage_message(plate);
    message.evidence.clear();
    if let Some(camera) = camera {
        message.camera = camera.parse().unwrap();
    }
    agent.seal(Envelope::of(&message, Priority::Passage, Keep::Passage).unwrap())
}

fn camera_of(agent: &mut Agent) -> String {
    agent.passage_message("京A00000").camera.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_passage_arrives_once_with_its_pictures_when_nothing_is_killed() {
    begin();
    let world = World::start().await;
    let library = Library::default();
    let running = library.start(None).await;
    let central = start(&world, "a", running.address, "wait_for_pictures_s = 3600\n").await;
    let mut agent = Agent::new("north-1", 31);
    let camera = camera_of(&mut agent);
    list_cameras(&world, "north-1", &[(&camera, Some(CAMERA))]).await;
    publish(&world.broker.address(), &[agent.status()]).await;
    let mut sent = Sent::default();
    sent.publish(&world, &mut agent, 0..12).await;
    // A repeat is no second vehicle.
    let (passage, picture) = sent.add(&mut agent, 12);
    for _ in 0..3 {
        publish(&world.broker.address(), &[passage.clone(), picture.clone()]).await;
    }
    until("all arrive", || {
        library.with(|kept| kept.vehicles.len() == 13)
    })
    .await;
    world.becomes(QUEUED, 0).await;
    sent.are_there(&library);
    library.with(|kept| {
        assert!(kept.vehicles.values().all(|(_, times)| *times == 1));
        assert_eq!(kept.registrations, 1);
    });
    world
        .becomes("SELECT count(*) FROM upper_state WHERE registered", 1)
        .await;
    let path = world.folder.path().join("a.toml");
    let (told, is_well) = upper_says(&path, &[]);
    assert!(is_well, "{told}");
    assert!(told.starts_with("registered since "), "{told}");
    for line in ["waiting 0\n", "sent 13\n", "refused 0\n"] {
        assert!(told.contains(line), "{told}");
    }
    central.stop().await;
    library.with(|kept| assert_eq!(kept.unregistrations, 1));
    let (told, is_well) = upper_says(&path, &[]);
    assert!(
        !is_well && told.contains("the process was stopped"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passage_waits_for_its_pictures_and_not_for_ever() {
    begin();
    let world = World::start().await;
    let library = Library::default();
    let running = library.start(None).await;
    let central = start(&world, "a", running.address, "wait_for_pictures_s = 3600\n").await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-2", 32);
    let camera = camera_of(&mut agent);
    list_cameras(&world, "north-2", &[(&camera, Some(CAMERA))]).await;
    let mut sent = Sent::default();
    let (passage, picture) = sent.add(&mut agent, 1);
    let status = agent.status();
    let later = without_pictures(&mut agent, "京A00002", None);
    publish(&broker, &[status, passage, later]).await;
    // The later one overtakes the one that waits.
    until("the later one", || {
        library.with(|kept| kept.vehicles.len() == 1)
    })
    .await;
    world.becomes(QUEUED, 1).await;
    library.with(|kept| assert!(kept.vehicles.keys().all(|id| !sent.0.contains_key(id))));
    publish(&broker, &[picture]).await;
    until("the first one", || {
        library.with(|kept| kept.vehicles.len() == 2)
    })
    .await;
    library.with(|kept| kept.vehicles.retain(|id, _| sent.0.contains_key(id)));
    sent.are_there(&library);
    central.stop().await;

    // A picture that never comes, and one that is not the one that was promised.
    let central = start(&world, "a", running.address, "wait_for_pictures_s = 2\n").await;
    let (never, _) = sent.add(&mut agent, 3);
    let message = agent.passage_message("京A00004");
    let mut promised = message.clone();
    promised.evidence.truncate(1);
    let evidence = promised.evidence[0].clone();
    let envelope = Envelope::of(&promised, Priority::Passage, Keep::Passage).unwrap();
    let passage = agent.seal(envelope);
    let other = agent.picture(&promised, &evidence, b"another picture");
    publish(&broker, &[never, passage, other]).await;
    until("both without", || {
        library.with(|kept| kept.vehicles.len() == 3)
    })
    .await;
    world.becomes(QUEUED, 0).await;
    library.with(|kept| {
        assert_eq!(kept.faults, Vec::<String>::new());
        let id = vehicle_id(&promised);
        let images = &kept.vehicles[&id].0["SubImageList"]["SubImageInfoObject"];
        assert_eq!(images.as_array().map(Vec::len), Some(0), "{images}");
    });
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_processes_registers_and_what_somebody_holds_is_sent_by_nobody_else() {
    begin();
    let world = World::start().await;
    let library = Library::default();
    let running = library.start(None).await;
    let more = "wait_for_pictures_s = 3600\n";
    let first = start(&world, "a", running.address, more).await;
    let registered = "SELECT count(*) FROM upper_state WHERE registered AND process = ";
    world.becomes(&format!("{registered}'a'"), 1).await;
    let second = start(&world, "b", running.address, more).await;
    let broker = world.broker.address();
    let mut agent = Agent::new("north-6", 37);
    let camera = camera_of(&mut agent);
    list_cameras(&world, "north-6", &[(&camera, Some(CAMERA))]).await;
    publish(&broker, &[agent.status()]).await;
    let mut sent = Sent::default();
    sent.publish(&world, &mut agent, 0..6).await;
    let there = |n: usize| {
        let library = library.clone();
        move || library.with(|kept| kept.vehicles.len() == n)
    };
    until("the first arrive", there(6)).await;

    // Taken by a process that does not answer any more.
    let (passage, picture) = sent.add(&mut agent, 6);
    publish(&broker, &[passage]).await;
    world.becomes(QUEUED, 1).await;
    let hold =
        "UPDATE upper_queue SET holder = gen_random_uuid(), held_until = now() + interval '1 hour'";
    let client = world.client().await;
    assert_eq!(client.execute(hold, &[]).await.unwrap(), 1);
    publish(&broker, &[picture]).await;
    world.becomes("SELECT count(*) FROM pictures", 7).await;
    sent.publish(&world, &mut agent, 7..10).await;
    until("what nobody holds arrives", there(9)).await;
    world.becomes(QUEUED, 1).await;
    let over = "UPDATE upper_queue SET held_until = now()";
    assert_eq!(client.execute(over, &[]).await.unwrap(), 1);
    until("it is taken over", there(10)).await;
    library.with(|kept| assert_eq!((kept.registrations, kept.unregistrations), (1, 0)));

    // The registered one ends, and the other one takes its place.
    first.stop().await;
    world.becomes(&format!("{registered}'b'"), 1).await;
    // It comes back and waits for its turn. The broker keeps for it its share of what comes.
    let first = start(&world, "a", running.address, more).await;
    sent.publish(&world, &mut agent, 10..12).await;
    until("the last arrive", there(12)).await;
    world.becomes("SELECT count(*) FROM upper_queue", 0).await;
    sent.are_there(&library);
    library.with(|kept| {
        assert_eq!((kept.registrations, kept.unregistrations), (2, 1));
        assert!(kept.vehicles.values().all(|(_, times)| *times == 1));
    });
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_over_kills_of_the_subscriber_and_of_the_upper_library() {
    begin();
    let world = World::start().await;
    let library = Library::default();
    library.with(|kept| {
        kept.plan = vec![Fault::Busy, Fault::CutAfter, Fault::Forgotten, Fault::Page];
    });
    let running = library.start(None).await;
    let address = running.address;
    let more = "wait_for_pictures_s = 3600\n";
    let mut first = Process::start(config(&world, "a", address, more));
    let mut second = Process::start(config(&world, "b", address, more));
    let mut agent = Agent::new("north-3", 33);
    let camera = camera_of(&mut agent);
    let registered = "SELECT count(*) FROM upper_state WHERE registered";
    world.becomes(registered, 1).await;
    list_cameras(&world, "north-3", &[(&camera, Some(CAMERA))]).await;
    // The broker keeps what comes for those that it knows.
    let lanes = "SELECT count(*) FROM agents";
    publish(&world.broker.address(), &[agent.status()]).await;
    world.becomes(lanes, 1).await;
    let mut sent = Sent::default();
    sent.publish(&world, &mut agent, 0..8).await;
    let some = |n: usize| {
        let library = library.clone();
        move || library.with(|kept| kept.vehicles.len() >= n)
    };
    until("some arrive", some(3)).await;

    // Whichever of the two is registered is killed in the middle; the other one takes over.
    let select = "SELECT process FROM upper_state";
    let row = world.client().await.query_one(select, &[]).await.unwrap();
    let holder: String = row.get(0);
    library.with(|kept| kept.plan = vec![Fault::CutAfter]);
    let killed = if holder == "a" {
        &mut first
    } else {
        &mut second
    };
    killed.kill();
    sent.publish(&world, &mut agent, 8..14).await;
    let taken_over = format!("{registered} AND process <> '{holder}'");
    world.becomes(&taken_over, 1).await;
    // Mosquitto keeps for it its share of what comes, a passage here and a picture there.
    killed.again();
    until("more arrive", some(10)).await;

    // The upper library is gone, and comes back without its registrations.
    running.stop().await;
    sent.publish(&world, &mut agent, 14..20).await;
    world.becomes("SELECT count(*) FROM passages", 20).await;
    library.with(|kept| {
        kept.registered.clear();
        kept.plan = vec![Fault::CutAfter];
    });
    let running = library.start(Some(address)).await;
    until("nearly all arrive", some(18)).await;

    // Both processes are killed.
    first.kill();
    second.kill();
    sent.publish(&world, &mut agent, 20..26).await;
    first.again();
    second.again();
    until("all arrive", some(26)).await;
    world.becomes("SELECT count(*) FROM upper_queue", 0).await;
    sent.are_there(&library);
    let count = "SELECT sent FROM upper_state";
    assert_eq!(world.number(count).await, 26, "each counts once");
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_camera_without_a_device_id_is_shown_with_the_mend_and_sent_once_it_has_one() {
    begin();
    let world = World::start().await;
    let library = Library::default();
    let running = library.start(None).await;
    let more = "sites = [\"north-4\"]\ndevices = [\"1301\"]\n";
    let central = start(&world, "a", running.address, more).await;
    let path = world.folder.path().join("a.toml");
    let broker = world.broker.address();
    let mut agent = Agent::new("north-4", 34);
    let mut other = Agent::new("south-4", 35);
    let elsewhere = "11010000001190000001";
    let cameras = [
        ("cam-8", Some(CAMERA)),
        ("cam-7", Some(elsewhere)),
        ("cam-9", None),
    ];
    list_cameras(&world, "north-4", &cameras).await;
    list_cameras(&world, "south-4", &[("cam-8", Some(CAMERA))]).await;
    let messages = [
        agent.status(),
        other.status(),
        without_pictures(&mut agent, "京A00001", Some("cam-9")),
        without_pictures(&mut agent, "京A00002", Some("cam-9")),
        without_pictures(&mut agent, "京A00003", Some("cam-7")),
        without_pictures(&mut other, "京A00004", Some("cam-8")),
        without_pictures(&mut agent, "京A00005", Some("cam-8")),
    ];
    publish(&broker, &messages).await;
    let refused = "SELECT count(*) FROM upper_queue WHERE refused_at IS NOT NULL";
    world.becomes(refused, 2).await;
    until("one arrives", || {
        library.with(|kept| kept.vehicles.len() == 1)
    })
    .await;
    world.becomes("SELECT count(*) FROM passages", 5).await;
    world.becomes("SELECT count(*) FROM upper_queue", 2).await;
    let (told, is_well) = upper_says(&path, &[]);
    assert!(
        !is_well && told.contains("\nrefused 2\n  2 times, last at "),
        "{told}"
    );
    let mend = "camera cam-9 of agent box-1 at site north-4 has no DeviceID; give it one in the list of cameras";
    assert!(told.contains(mend), "{told}");
    let alarm = "SELECT sum(count)::int8 FROM alarms WHERE kind = 'upper_refused' AND subject = 'cam-9' AND ended_at IS NULL";
    assert_eq!(world.number(alarm).await, 2);

    list_cameras(&world, "north-4", &[("cam-9", Some(CAMERA))]).await;
    let (told, _) = upper_says(&path, &["--again"]);
    assert!(told.starts_with("2 that were refused"), "{told}");
    until("the others", || {
        library.with(|kept| kept.vehicles.len() == 3)
    })
    .await;
    world.becomes("SELECT count(*) FROM upper_queue", 0).await;
    library.with(|kept| {
        assert_eq!(kept.faults, Vec::<String>::new());
        let plates: BTreeSet<&str> = kept
            .vehicles
            .values()
            .map(|(vehicle, _)| vehicle["PlateNo"].as_str().unwrap())
            .collect();
        assert_eq!(plates, ["京A00001", "京A00002", "京A00005"].into());
    });
    let open = "SELECT count(*) FROM alarms WHERE kind = 'upper_refused' AND ended_at IS NULL";
    assert_eq!(world.number(open).await, 0);
    central.stop().await;
}

/// The upper library as it subscribes.
struct Subscriber {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Subscriber {
    async fn ask(&self, method: reqwest::Method, path: &str, body: &Value) -> Value {
        let url = format!("http://{}{path}", self.address);
        let once = |login: Option<String>| {
            let mut request = self
                .client
                .request(method.clone(), &url)
                .header("User-Identify", UPPER)
                .body(body.to_string());
            if let Some(login) = login {
                request = request.header("Authorization", login);
            }
            request.send()
        };
        let asked = loop {
            match once(None).await {
                Ok(asked) => break asked,
                // It does not listen yet.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        };
        assert_eq!(asked.status(), 401);
        let challenge = asked.headers()["www-authenticate"].to_str().unwrap();
        let mut client = PasswordClient::builder()
            .challenges(challenge)
            .build()
            .unwrap();
        let login = client
            .respond(&PasswordParams {
                username: "upper",
                password: "let me in",
                uri: path,
                method: method.as_str(),
                body: None,
            })
            .unwrap();
        let answer = once(Some(login)).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    async fn subscribe(&self, id: &str, resource: &str, address: &str) {
        let one = json!({"SubscribeID": id, "Title": "过车", "SubscribeDetail": "13",
            "ResourceURI": resource, "ApplicantName": "张", "ApplicantOrg": "市局",
            "BeginTime": "20200101000000", "EndTime": "20991231000000", "ReceiveAddr": address,
            "ReportInterval": 0, "OperateType": 0, "SubscribeStatus": 0});
        let body = json!({"SubscribeListObject": {"SubscribeObject": [one]}});
        let answer = self
            .ask(reqwest::Method::POST, "/VIID/Subscribes", &body)
            .await;
        let status = &answer["ResponseStatusListObject"]["ResponseStatusObject"][0];
        assert_eq!(status["StatusCode"], 0, "{answer}");
    }
}

fn subscriptions(world: &World, address: SocketAddr, more: &str) -> String {
    let password = world.folder.path().join("subscriber-password");
    std::fs::write(&password, "let me in").unwrap();
    format!(
        "wait_for_pictures_s = 3600\n[gat1400.subscriptions]\nlisten = \"{address}\"\n\
         upper_device_id = \"{UPPER}\"\nuser = \"upper\"\npassword_file = \"{}\"\n\
         notify_hosts = [\"127.0.0.1\"]\norganisation = \"130100000000\"\n{more}",
        password.display()
    )
}

fn free() -> SocketAddr {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

/// MotorVehicleIDs of what a subscription was told, each with how many different notifications it
/// was in.
fn told(library: &Library, subscription: &str) -> BTreeMap<String, usize> {
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    library.with(|kept| {
        for one in &kept.notifications {
            let one = &one["SubscribeNotificationListObject"]["SubscribeNotificationObject"][0];
            if one["SubscribeID"] != subscription {
                continue;
            }
            let vehicles = one["MotorVehicleObjectList"]["MotorVehicleObject"]
                .as_array()
                .unwrap();
            for vehicle in vehicles {
                assert_eq!(fields::fault(vehicle), None);
                let id = vehicle["MotorVehicleID"].as_str().unwrap().to_owned();
                let notification = one["NotificationID"].as_str().unwrap().to_owned();
                seen.entry(id).or_default().insert(notification);
            }
        }
    });
    seen.into_iter().map(|(id, all)| (id, all.len())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_told_of_what_it_matches_over_kills_and_what_is_given_up_is_an_alarm() {
    begin();
    let world = World::start().await;
    let library = Library::default();
    let running = library.start(None).await;
    let upper = running.address;
    let address = free();
    // The receiver is not the library: it goes and comes by itself.
    let receiver = Library::default();
    let receiving = receiver.start(None).await;
    let place = receiving.address;
    let more = subscriptions(&world, address, "");
    let mut process = Process::start(config(&world, "a", upper, &more));
    let subscriber = Subscriber {
        client: reqwest::Client::new(),
        address,
    };
    let to = format!("http://{place}/told");
    subscriber.subscribe("all", DEVICE, &to).await;
    subscriber.subscribe("place", "1301", &to).await;
    subscriber.subscribe("elsewhere", "1101", &to).await;
    let nobody = format!("http://{}/told", free());
    subscriber.subscribe("nobody", TOLLGATE, &nobody).await;
    let mut agent = Agent::new("north-5", 36);
    let camera = camera_of(&mut agent);
    list_cameras(&world, "north-5", &[(&camera, Some(CAMERA))]).await;
    world
        .becomes("SELECT count(*) FROM upper_state WHERE registered", 1)
        .await;
    publish(&world.broker.address(), &[agent.status()]).await;
    world.becomes("SELECT count(*) FROM agents", 1).await;
    let mut sent = Sent::default();
    sent.publish(&world, &mut agent, 0..6).await;
    until("all are told", || told(&receiver, "all").len() == 6).await;

    let others = "SELECT count(*) FROM upper_notices WHERE subscription <> 'nobody'";
    world.becomes(others, 0).await;

    // The receiver is gone, the process is killed, and both come back.
    receiving.stop().await;
    sent.publish(&world, &mut agent, 6..10).await;
    world
        .becomes(
            "SELECT count(*) FROM upper_notices WHERE subscription = 'all'",
            4,
        )
        .await;
    process.kill();
    sent.publish(&world, &mut agent, 10..12).await;
    process.again();
    let receiving = receiver.start(Some(place)).await;
    for id in ["all", "place"] {
        until("each is told", || told(&receiver, id).len() == 12).await;
        let expected = sent.0.keys().map(|id| (id.clone(), 1)).collect();
        assert_eq!(told(&receiver, id), expected, "each is in one notification");
    }
    assert!(told(&receiver, "elsewhere").is_empty());
    receiver.with(|kept| assert_eq!(kept.faults, Vec::<String>::new()));
    until("the library has all", || {
        library.with(|kept| kept.vehicles.len() == 12)
    })
    .await;
    sent.are_there(&library);
    let waiting = "SELECT count(*) FROM upper_notices WHERE subscription = 'nobody'";
    world.becomes(waiting, 12).await;
    process.kill();

    // What nobody takes is given up, and told.
    let more = subscriptions(&world, address, "give_up_after_s = 1\n");
    let path = config(&world, "a", upper, &more);
    process.again();
    world.becomes("SELECT count(*) FROM upper_notices", 0).await;
    let alarm =
        "SELECT count FROM alarms WHERE kind = 'upper_refused' AND subject = 'subscription nobody'";
    world.becomes(alarm, 12).await;
    let (told, is_well) = upper_says(&path, &[]);
    assert!(!is_well, "{told}");
    assert!(told.contains("waiting 0, sent 12, given up 0"), "{told}");
    assert!(
        told.contains("waiting 0, sent 0, given up 12: not told within 1 s"),
        "{told}"
    );
    let gone = subscriber
        .ask(
            reqwest::Method::DELETE,
            "/VIID/Subscribes/nobody",
            &json!({}),
        )
        .await;
    assert_eq!(
        gone["ResponseStatusListObject"]["ResponseStatusObject"][0]["StatusCode"],
        0
    );
    world
        .becomes("SELECT count(*) FROM upper_subscriptions", 3)
        .await;
    drop((receiving, running));
}
