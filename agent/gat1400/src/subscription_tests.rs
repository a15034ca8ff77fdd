#![allow(clippy::unwrap_used)]

use super::*;
use crate::ids::OrgCode;
use crate::notify::{NOTIFICATION_VEHICLES_MAX, disposition_notification, notification};

fn hosts() -> Hosts {
    Hosts::new(
        "notify_hosts",
        &["10.1.2.3:8080".to_owned(), "upper.example".to_owned()],
    )
    .unwrap()
}

fn object() -> SubscribeObject {
    SubscribeObject {
        subscribe_id: "130100000000032031050408153000001".to_owned(),
        title: "过车".to_owned(),
        subscribe_detail: "13".to_owned(),
        resource_uri: "13010000001210000001".to_owned(),
        begin_time: "20310101000000".to_owned(),
        end_time: "20311231235959".to_owned(),
        receive_addr: "http://10.1.2.3:8080/VIID/SubscribeNotifications".to_owned(),
        report_interval: Some(3),
        ..SubscribeObject::default()
    }
}

fn vehicle() -> MotorVehicle {
    let path = format!("{}/golden/passage.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn at(text: &str) -> DateTime<FixedOffset> {
    stamp::parse("now", text).unwrap()
}

fn library() -> DeviceId {
    DeviceId::new("library", "13010000005030000001").unwrap()
}

fn subscription(change: impl FnOnce(&mut SubscribeObject)) -> Result<Subscription, FieldError> {
    let mut object = object();
    change(&mut object);
    Subscription::new(object, &hosts())
}

#[test]
fn a_subscription_matches_by_resource() {
    let now = at("20310504081531");
    for (resource, expected) in [
        ("13010000001210000001", true),
        ("13010000001190000001", true),
        ("13010000005030000001", true),
        ("13010000001210000002", false),
        ("13", true),
        ("1301", true),
        ("130100", true),
        ("130200", false),
        ("130200, 130100", true),
        ("13010000001210000002;13010000001190000001", true),
        ("/VIID/Tollgates/13010000001210000001", true),
    ] {
        let made = subscription(|o| o.resource_uri = resource.to_owned()).unwrap();
        assert_eq!(
            made.matches(&vehicle(), &library(), now),
            expected,
            "{resource}"
        );
    }
}

#[test]
fn a_subscription_is_on_only_in_its_time_and_until_cancelled() {
    let good = subscription(|_| ()).unwrap();
    for (now, on) in [
        ("20301231235959", false),
        ("20310101000000", true),
        ("20311231235959", true),
        ("20320101000000", false),
    ] {
        assert_eq!(good.is_on(at(now)), on, "{now}");
        assert_eq!(good.matches(&vehicle(), &library(), at(now)), on, "{now}");
    }
    let now = at("20310504081531");
    assert!(
        !subscription(|o| o.operate_type = Some(1))
            .unwrap()
            .is_on(now)
    );
    for (status, on) in [(0, true), (1, false), (2, false), (9, false)] {
        let made = subscription(|o| o.subscribe_status = Some(status)).unwrap();
        assert_eq!(made.is_on(now), on, "{status}");
    }
}

#[test]
fn notifications_keep_their_interval() {
    let made = subscription(|_| ()).unwrap();
    let last = at("20310504081530");
    assert!(made.is_due(None, last));
    assert!(!made.is_due(Some(last), at("20310504081532")));
    assert!(made.is_due(Some(last), at("20310504081533")));
    // The clock was set back.
    assert!(made.is_due(Some(last), at("20310504081500")));
    let at_once = subscription(|o| o.report_interval = None).unwrap();
    assert!(at_once.is_due(Some(last), last));
}

#[test]
fn what_cannot_be_served_is_named() {
    type Change = fn(&mut SubscribeObject);
    let cases: [(&str, Change); 12] = [
        ("SubscribeID", |o| o.subscribe_id.clear()),
        ("SubscribeID", |o| o.subscribe_id = "a/b".to_owned()),
        ("Title", |o| o.title = "题".repeat(257)),
        ("SubscribeDetail", |o| {
            o.subscribe_detail = "12,11".to_owned()
        }),
        ("ResourceURI", |o| o.resource_uri.clear()),
        ("ResourceURI", |o| o.resource_uri = "130".to_owned()),
        ("BeginTime", |o| o.begin_time = "soon".to_owned()),
        ("EndTime", |o| o.end_time.clear()),
        ("BeginTime", |o| o.begin_time = "20320101000000".to_owned()),
        ("ReportInterval", |o| o.report_interval = Some(-1)),
        ("ReceiveAddr", |o| {
            o.receive_addr = "file:///etc/passwd".to_owned()
        }),
        ("Reason", |o| o.reason = Some("r".repeat(257))),
    ];
    for (field, change) in cases {
        let e = subscription(change).unwrap_err();
        assert_eq!(e.field, field, "{e}");
    }
}

#[test]
fn notifications_go_only_to_hosts_that_the_config_allows() {
    for (address, allowed) in [
        ("http://10.1.2.3:8080/x", true),
        ("http://10.1.2.3/x", false),
        ("http://10.1.2.3:22/x", false),
        ("https://upper.example/x", true),
        ("http://UPPER.example:9000/x", true),
        ("http://upper.example.evil/x", false),
        ("http://10.1.2.3:8080@evil/x", false),
        ("http://u:p@upper.example/x", false),
        ("http://127.0.0.1:8080/", false),
        ("ftp://upper.example/", false),
        ("upper.example", false),
    ] {
        let made = subscription(|o| o.receive_addr = address.to_owned());
        assert_eq!(made.is_ok(), allowed, "{address}: {made:?}");
    }
    for bad in ["", "a b", "http://x", "x/y", "u@x"] {
        let e = Hosts::new("notify_hosts", &[bad.to_owned()]).unwrap_err();
        assert_eq!(e.field, "notify_hosts", "{bad}");
    }
}

#[test]
fn a_notification_has_the_pictures_that_are_wanted() {
    let org = OrgCode::new("org", "130100000000").unwrap();
    let now = at("20310504081531");
    let of = uuid::Uuid::from_u128(17);
    for (declared, kept) in [
        (None, 3),
        (Some("-1"), 0),
        (Some("02"), 1),
        (Some("01,09"), 2),
    ] {
        let made = subscription(|o| o.result_image_declare = declared.map(str::to_owned)).unwrap();
        let told = notification(&made, &org, of, &now, vec![vehicle()]).unwrap();
        let list = &told.motor_vehicle_object_list.motor_vehicle_object;
        assert_eq!(list[0].sub_image_list.images.len(), kept, "{declared:?}");
        assert_eq!(told.info_ids, vehicle().motor_vehicle_id.as_str());
        assert_eq!(
            told.notification_id.as_str(),
            "130100000000042031050408153100017"
        );
        assert_eq!(told.subscribe_id, made.object().subscribe_id);
    }
    let made = subscription(|_| ()).unwrap();
    assert!(notification(&made, &org, of, &now, Vec::new()).is_err());
    let most = vec![vehicle(); NOTIFICATION_VEHICLES_MAX];
    let told = notification(&made, &org, of, &now, most).unwrap();
    assert!(told.info_ids.len() <= 1_024);
    let more = vec![vehicle(); NOTIFICATION_VEHICLES_MAX + 1];
    assert_eq!(
        notification(&made, &org, of, &now, more).unwrap_err().field,
        "InfoIDs"
    );
}

#[test]
fn a_hit_names_the_disposition_and_the_vehicle() {
    let org = OrgCode::new("org", "130100000000").unwrap();
    let disposition =
        crate::ids::BusinessId::new("DispositionID", "130100000000012031050408000000001").unwrap();
    let now = at("20310504081531");
    let hit = uuid::Uuid::from_u128(5);
    let told =
        disposition_notification(disposition.clone(), "被盗", &org, hit, &now, vehicle()).unwrap();
    assert_eq!(told.cnt_object_id, vehicle().motor_vehicle_id);
    assert_eq!(told.trigger_time, "20310504081531");
    let long = "题".repeat(257);
    let e = disposition_notification(disposition, &long, &org, hit, &now, vehicle()).unwrap_err();
    assert_eq!(e.field, "Title");
}
