//! The way to an upper library, against a server that authenticates and checks for itself.
#![allow(clippy::unwrap_used)]

#[path = "upper/fields.rs"]
mod fields;
#[path = "upper/library.rs"]
mod library;
#[path = "upper/source.rs"]
mod source;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kakou_contract::{Id, PassageMessage};
use kakou_gat1400::codes::Heading;
use kakou_gat1400::ids::{DeviceId, OrgCode};
use kakou_gat1400::wire::SubscribeObject;
use kakou_gat1400::{
    CameraKey, Hosts, Mapping, Site, Subscription, UpperConfig, UpperError, UpperLibrary,
    UpperSettings, Verdict, notification,
};
use kakou_guard::Secret;
use kakou_time::{SharedClock, SystemClock};
use library::{DEVICE, Fault, Library, PASSWORD, USER};
use source::{Source, passages};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const LONG: Duration = Duration::from_secs(90);

fn provider() {
    // A second call changes nothing.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
}

fn settings(address: SocketAddr) -> UpperSettings {
    let device = DeviceId::new("DeviceID", DEVICE).unwrap();
    let mut settings = UpperSettings::new(
        format!("http://{address}/"),
        device,
        USER,
        Secret::new(PASSWORD),
    );
    settings.keep_alive = Duration::from_millis(100);
    settings.idle = Duration::from_millis(10);
    settings.wait_least = Duration::from_millis(5);
    settings.wait_most = Duration::from_millis(50);
    settings.batch_objects = 7;
    settings.notify_hosts = vec!["127.0.0.1".to_owned()];
    settings
}

fn mapping() -> Mapping {
    let site = Site {
        device_id: DeviceId::new("DeviceID", "13010000001190000001").unwrap(),
        tollgate_id: Some(DeviceId::new("TollgateID", "13010000001210000001").unwrap()),
        looks: Some(Heading::South),
        lanes: HashMap::from([(Id::new("lane", "lane-1").unwrap(), 1)]),
        road: None,
    };
    let of = |camera: &str| CameraKey {
        site: Id::new("site", "g15-k42").unwrap(),
        agent: Id::new("agent", "box-1").unwrap(),
        camera: Id::new("camera", camera).unwrap(),
    };
    let cameras = ["cam-1", "cam-2"].map(|c| (of(c), site.clone())).into();
    Mapping {
        cameras,
        ..Mapping::default()
    }
}

fn upper(settings: UpperSettings) -> UpperLibrary {
    provider();
    let clock: SharedClock = Arc::new(SystemClock::new());
    UpperLibrary::new(UpperConfig::try_from(settings).unwrap(), mapping(), clock).unwrap()
}

/// The gateway in service, until it is stopped or killed.
struct Gateway {
    library: Arc<UpperLibrary>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Gateway {
    fn start(settings: UpperSettings, source: &Source) -> Self {
        let library = Arc::new(upper(settings));
        let (stop, stopped) = oneshot::channel::<()>();
        let (own, source) = (Arc::clone(&library), source.clone());
        let task = tokio::spawn(async move {
            own.serve(&source, async {
                let _ = stopped.await;
            })
            .await;
        });
        Self {
            library,
            stop,
            task,
        }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// As a loss of power.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(
        tokio::time::timeout(LONG, wait).await.is_ok(),
        "never came: {what}"
    );
}

/// Every passage is at the library once, by its MotorVehicleID, and nothing was at fault.
fn all_are_there(library: &Library, passages: &[PassageMessage]) {
    library.with(|kept| {
        assert_eq!(kept.faults, Vec::<String>::new());
        let mut expected: Vec<String> = passages
            .iter()
            .map(|p| {
                mapping()
                    .vehicle(p, &[], None)
                    .unwrap()
                    .motor_vehicle_id
                    .to_string()
            })
            .collect();
        expected.sort();
        let before = expected.len();
        expected.dedup();
        assert_eq!(
            expected.len(),
            before,
            "two passages have one MotorVehicleID"
        );
        let mut there: Vec<String> = kept.vehicles.keys().cloned().collect();
        there.sort();
        assert_eq!(there, expected);
    });
}

#[tokio::test]
async fn it_registers_by_digest_pushes_keeps_alive_and_unregisters() {
    let library = Library::default();
    library.with(|kept| kept.time = "20310504081530".to_owned());
    let running = library.start(None).await;
    let all = passages(40);
    let source = Source::new(&all);
    let gateway = Gateway::start(settings(running.address), &source);
    let state = gateway.library.state();
    until("all are done", || source.waiting() == 0).await;
    until("keep-alives", || library.with(|kept| kept.keepalives >= 3)).await;
    assert!(
        state.borrow().offset_ms.unwrap().abs() > 1_000_000,
        "another clock"
    );
    assert!(state.borrow().registered);
    gateway.stop().await;
    all_are_there(&library, &all);
    library.with(|kept| {
        assert_eq!((kept.registrations, kept.unregistrations), (1, 1));
        assert!(kept.registered.is_empty());
        assert!(kept.vehicles.values().all(|(_, times)| *times == 1));
        // 40 by 7.
        assert_eq!(kept.pushes, 6);
    });
    assert_eq!(state.borrow().taken, 40);
    assert_eq!(source.refused(), HashMap::new());
}

#[tokio::test]
async fn whatever_the_library_does_each_passage_arrives_once() {
    let library = Library::default();
    library.with(|kept| {
        kept.plan = vec![
            // Those that keep nothing come before one that does: else a passage that is given up
            // too early would be there by chance.
            Fault::Busy,
            Fault::Page,
            Fault::Fine,
            Fault::Forgotten,
            Fault::CutAfter,
            Fault::Each(vec![2, 0, 3, 0, 9, 1, 0]),
            Fault::Redirect,
            Fault::TooLarge,
            Fault::CutAfter,
            Fault::Forgotten,
            Fault::Each(vec![2; 7]),
        ];
    });
    let running = library.start(None).await;
    let all = passages(60);
    let source = Source::new(&all);
    let gateway = Gateway::start(settings(running.address), &source);
    until("all are done", || source.waiting() == 0).await;
    gateway.stop().await;
    all_are_there(&library, &all);
    assert_eq!(source.refused(), HashMap::new());
    library.with(|kept| {
        assert!(kept.plan.is_empty());
        assert_eq!(kept.registrations, 3);
        // What was cut off came again, as the same object.
        assert!(kept.vehicles.values().any(|(_, times)| *times > 1));
    });
}

#[tokio::test]
async fn nothing_is_lost_over_restarts_of_either_side() {
    let library = Library::default();
    let running = library.start(None).await;
    let address = running.address;
    let all = passages(90);
    let source = Source::new(&all);
    let gateway = Gateway::start(settings(address), &source);
    until("some are done", || source.waiting() < 80).await;
    // The library is gone, and comes back without its registrations.
    running.stop().await;
    library.with(|kept| {
        kept.registered.clear();
        kept.plan = vec![Fault::CutAfter, Fault::Fine, Fault::CutAfter];
    });
    let running = library.start(Some(address)).await;
    until("more are done", || source.waiting() < 60).await;
    // The gateway is killed in the middle, and starts anew.
    gateway.kill().await;
    let gateway = Gateway::start(settings(address), &source);
    until("all are done", || source.waiting() == 0).await;
    gateway.stop().await;
    drop(running);
    all_are_there(&library, &all);
    assert_eq!(source.refused(), HashMap::new());
}

#[tokio::test]
async fn what_is_refused_is_told_with_its_reason_and_does_not_stand_in_the_way() {
    let library = Library::default();
    let mut all = passages(20);
    let renamed = |passage: &mut PassageMessage, last: char| {
        let plate = passage.plate.as_mut().unwrap();
        plate.characters[6].char = last;
        plate.text = plate.characters.iter().map(|c| c.char).collect();
        plate.text.clone()
    };
    let hated = renamed(&mut all[3], 'X');
    let slow = renamed(&mut all[4], 'Y');
    // One that makes no object, and one of a camera that is not known.
    all[5].plate.as_mut().unwrap().characters[2].char = '?';
    all[6].camera = Id::new("camera", "cam-9").unwrap();
    library.with(|kept| {
        kept.by_plate.insert(hated, 8);
        kept.by_plate.insert(slow.clone(), 2);
    });
    let running = library.start(None).await;
    let source = Source::new(&all);
    let mut few = settings(running.address);
    few.batch_objects = 2;
    let gateway = Gateway::start(few, &source);
    until("only the slow one waits", || source.waiting() == 1).await;
    library.with(|kept| kept.by_plate.remove(&slow));
    until("all are done", || source.waiting() == 0).await;
    gateway.stop().await;
    let refused = source.refused();
    let why = |at: usize| refused[&all[at].id].as_str();
    assert_eq!(why(3), "the upper library refuses it: 8 code 8");
    assert!(why(5).contains("PlateNo: '?'"), "{}", why(5));
    assert!(why(6).contains("camera cam-9"), "{}", why(6));
    assert_eq!(refused.len(), 3);
    let rest: Vec<_> = all
        .iter()
        .enumerate()
        .filter(|(at, _)| ![3, 5, 6].contains(at))
        .map(|(_, p)| p.clone())
        .collect();
    all_are_there(&library, &rest);
}

#[tokio::test]
async fn requests_keep_their_bounds_and_a_vehicle_that_is_too_large_is_told() {
    let library = Library::default();
    let all = passages(12);
    let running = library.start(None).await;
    let source = Source::new(&all);
    // Some 27 KB each in base64; one of more than a request may have.
    source.pictures_of(20_000);
    source.picture_of(all[7].id, 60_000);
    let mut small = settings(running.address);
    small.batch_objects = 100;
    small.batch_bytes = 64 << 10;
    let gateway = Gateway::start(small, &source);
    until("all are done", || source.waiting() == 0).await;
    gateway.stop().await;
    let refused = source.refused();
    assert_eq!(refused.len(), 1);
    assert!(
        refused[&all[7].id].contains("raise batch_bytes"),
        "{refused:?}"
    );
    library.with(|kept| {
        assert_eq!(kept.faults, Vec::<String>::new());
        assert_eq!(kept.vehicles.len(), 11);
        // Two of them fit.
        assert_eq!(kept.pushes, 6);
    });
}

#[tokio::test]
async fn three_missed_keep_alives_make_it_register_anew() {
    let library = Library::default();
    let running = library.start(None).await;
    let source = Source::new(&[]);
    let mut quick = settings(running.address);
    quick.keep_alive = Duration::from_millis(20);
    let gateway = Gateway::start(quick, &source);
    until("registered", || library.with(|kept| kept.keepalives >= 1)).await;
    library.with(|kept| kept.ill = true);
    until("registered anew", || {
        library.with(|kept| kept.registrations >= 2)
    })
    .await;
    library.with(|kept| kept.ill = false);
    let state = gateway.library.state();
    until("well again", || {
        state.borrow().failure.is_none() && state.borrow().registered
    })
    .await;
    gateway.stop().await;
    library.with(|kept| assert_eq!(kept.faults, Vec::<String>::new()));
}

#[tokio::test]
async fn a_library_that_asks_for_the_password_each_time_gets_it() {
    let library = Library::default();
    library.with(|kept| kept.always_asks = true);
    let running = library.start(None).await;
    let all = passages(30);
    let source = Source::new(&all);
    let gateway = Gateway::start(settings(running.address), &source);
    until("all are done", || source.waiting() == 0).await;
    gateway.stop().await;
    all_are_there(&library, &all);
}

#[tokio::test]
async fn a_wrong_password_is_named_and_never_shown() {
    let library = Library::default();
    let running = library.start(None).await;
    let mut wrong = settings(running.address);
    wrong.password = Secret::new("hidden-password");
    let upper = upper(wrong);
    let e = upper.register().await.unwrap_err();
    assert!(matches!(e, UpperError::Login { .. }), "{e}");
    assert!(e.to_string().contains("user and password") && !e.to_string().contains("hidden"));
    library.with(|kept| assert_eq!(kept.registrations, 0));
}

#[tokio::test]
async fn a_subscriber_is_told_where_the_config_allows_it() {
    let library = Library::default();
    let running = library.start(None).await;
    let upper = upper(settings(running.address));
    let object = SubscribeObject {
        subscribe_id: "130100000000032031050408153000001".to_owned(),
        title: "过车".to_owned(),
        subscribe_detail: "13".to_owned(),
        resource_uri: DEVICE.to_owned(),
        begin_time: "20310101000000".to_owned(),
        end_time: "20320101000000".to_owned(),
        receive_addr: format!("http://{}/told", running.address),
        ..SubscribeObject::default()
    };
    let hosts = Hosts::new("notify_hosts", &["127.0.0.1".to_owned()]).unwrap();
    let subscription = Subscription::new(object.clone(), &hosts).unwrap();
    let passage = &passages(1)[0];
    let vehicle = mapping().vehicle(passage, &[], None).unwrap();
    let own = DeviceId::new("library", DEVICE).unwrap();
    assert!(subscription.matches(&vehicle, &own, passage.time));
    let org = OrgCode::new("org", "130100000000").unwrap();
    let told = notification(
        &subscription,
        &org,
        passage.id,
        &passage.time,
        vec![vehicle],
    )
    .unwrap();
    let verdict = upper.notify(&subscription, told.clone()).await.unwrap();
    assert_eq!(verdict, Verdict::Taken);
    library.with(|kept| {
        assert_eq!(kept.faults, Vec::<String>::new());
        let told = &kept.notifications[0]["SubscribeNotificationListObject"];
        let told = &told["SubscribeNotificationObject"][0];
        assert_eq!(told["SubscribeID"], object.subscribe_id);
        let vehicles = told["MotorVehicleObjectList"]["MotorVehicleObject"]
            .as_array()
            .unwrap();
        assert_eq!(vehicles.iter().find_map(fields::fault), None);
    });
    // The config allowed more when the subscription was taken.
    let wide = Hosts::new("notify_hosts", &["10.9.9.9".to_owned()]).unwrap();
    let elsewhere = SubscribeObject {
        receive_addr: "http://10.9.9.9/x".to_owned(),
        ..object
    };
    let elsewhere = Subscription::new(elsewhere, &wide).unwrap();
    let e = upper.notify(&elsewhere, told).await.unwrap_err();
    assert!(e.to_string().starts_with("ReceiveAddr: "), "{e}");
}
