#![allow(clippy::unwrap_used)]

/// The table of the stand-in for an upper library, which knows nothing of the rules here.
#[path = "../tests/upper/fields.rs"]
mod fields;

use super::*;
use kakou_contract::Message;
use kakou_contract::codes::{PlateColour, PlateKind};
use proptest::prelude::*;
use serde_json::{Value, json};

fn golden(name: &str) -> PassageMessage {
    let path = format!(
        "{}/../contract/golden/{name}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    PassageMessage::from_json(&std::fs::read(path).unwrap()).unwrap()
}

fn device(digits: &str) -> DeviceId {
    DeviceId::new("DeviceID", digits).unwrap()
}

fn id(text: &str) -> Id {
    Id::new("id", text).unwrap()
}

fn mapping(passages: &[&PassageMessage]) -> Mapping {
    let site = Site {
        device_id: device("13010000001190000001"),
        tollgate_id: Some(device("13010000001210000001")),
        looks: Some(Heading::East),
        lanes: HashMap::from([(id("lane-1"), 1), (id("lane-2"), 2)]),
        road: Some("京昆高速".to_owned()),
    };
    let cameras = passages
        .iter()
        .map(|p| (CameraKey::of(p), site.clone()))
        .collect();
    Mapping {
        cameras,
        ..Mapping::default()
    }
}

fn pictures(passage: &PassageMessage) -> Vec<Picture> {
    let one = |e: &Evidence| Picture {
        role: e.role,
        bytes: Some(Bytes::from(format!("picture of role {}", e.role))),
        url: None,
    };
    passage.evidence.iter().map(one).collect()
}

fn mapped(passage: &PassageMessage) -> Value {
    let vehicle = mapping(&[passage])
        .vehicle(passage, &pictures(passage), None)
        .unwrap();
    serde_json::to_value(vehicle).unwrap()
}

/// Every golden passage of the contract, as it goes to the upper library.
#[test]
fn golden_passages_make_the_golden_objects() {
    for name in [
        "passage",
        "passage-green",
        "passage-corrected",
        "passage-no-plate",
    ] {
        let made = mapped(&golden(name));
        let path = format!("{}/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("KAKOU_BLESS").is_some() {
            std::fs::write(&path, serde_json::to_string_pretty(&made).unwrap() + "\n").unwrap();
        }
        let expected: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(made, expected, "{name}: KAKOU_BLESS=1 writes it anew");
    }
}

#[test]
fn fields_follow_the_passage() {
    let made = mapped(&golden("passage"));
    for (field, expected) in [
        ("PlateNo", json!("冀Z7K0T9")),
        ("PlateClass", json!("02")),
        ("PlateColor", json!("5")),
        ("HasPlate", json!(true)),
        ("PlateReliability", json!("97")),
        (
            "PlateCharReliability",
            json!("冀-100,Z-100,7-100,K-100,0-97,T-100,9-100"),
        ),
        ("PassTime", json!("20310504081530")),
        ("AppearTime", json!("20310504081528")),
        ("DisappearTime", json!("20310504081531")),
        // Towards a camera that looks east: to the west.
        ("Direction", json!("2")),
        ("LaneNo", json!(1)),
        ("VehicleClass", json!("K30")),
        ("VehicleColor", json!("2")),
        ("LeftTopX", json!(498)),
        ("RightBtmY", json!(568)),
        ("NameOfPassedRoad", json!("京昆高速")),
        ("StorageUrl1", json!("")),
    ] {
        assert_eq!(made[field], expected, "{field}");
    }
    let images = made["SubImageList"]["SubImageInfoObject"]
        .as_array()
        .unwrap();
    let types: Vec<_> = images.iter().map(|i| i["Type"].as_str().unwrap()).collect();
    assert_eq!(types, ["01", "02", "09"]);
    assert_eq!(images[0]["ImageID"], made["SourceID"]);
    let data = STANDARD
        .decode(images[0]["Data"].as_str().unwrap())
        .unwrap();
    assert_eq!(data, b"picture of role frame");
    assert!(made.get("IsSuspicious").is_none());
}

#[test]
fn a_repeat_makes_the_same_object_and_another_passage_another() {
    let passage = golden("passage");
    let mut late = passage.clone();
    late.is_late = true;
    assert_eq!(mapped(&passage), mapped(&late));
    let mut other = passage.clone();
    other.id = uuid::Uuid::from_u128(passage.id.as_u128() + 1);
    assert_ne!(
        mapped(&passage)["MotorVehicleID"],
        mapped(&other)["MotorVehicleID"]
    );
}

#[test]
fn why_there_is_no_plate_decides_what_is_said() {
    let no_plate = golden("passage-no-plate");
    for (reason, has, text) in [
        (NoPlateReason::NoneFound, Some(false), Some("无车牌")),
        (NoPlateReason::TooSmall, Some(true), Some("无车牌")),
        (NoPlateReason::NotReadable, Some(true), Some("无车牌")),
        (NoPlateReason::TooUncertain, Some(true), Some("无车牌")),
        (NoPlateReason::NotLookedFor, None, None),
        (NoPlateReason::Withheld, Some(true), None),
    ] {
        let mut passage = no_plate.clone();
        passage.no_plate_reason = Some(reason);
        let made = mapped(&passage);
        assert_eq!(
            made.get("HasPlate").and_then(Value::as_bool),
            has,
            "{reason}"
        );
        assert_eq!(
            made.get("PlateNo").and_then(Value::as_str),
            text,
            "{reason}"
        );
        assert_eq!(
            (&made["PlateClass"], &made["PlateColor"]),
            (&json!("99"), &json!("99"))
        );
        assert!(made.get("PlateReliability").is_none());
    }
}

#[test]
fn an_unsure_character_is_a_dash_where_that_is_configured() {
    let passage = golden("passage");
    let mut mapping = mapping(&[&passage]);
    mapping.unread_below = Confidence::new(0.98);
    let made = mapping.vehicle(&passage, &[], Some(true)).unwrap();
    assert_eq!(made.plate_no.as_deref(), Some("冀Z7K-T9"));
    assert!(made.plate_char_reliability.unwrap().contains(",--97,"));
    assert_eq!(made.is_suspicious, Some(true));
    assert!(made.sub_image_list.images.is_empty());
}

#[test]
fn what_does_not_fit_is_told_with_field_and_mend() {
    let passage = golden("passage");
    let told = |passage: &PassageMessage| {
        let mapping = mapping(&[&golden("passage")]);
        mapping
            .vehicle(passage, &pictures(passage), None)
            .unwrap_err()
            .to_string()
    };
    let mut long = passage.clone();
    if let Some(plate) = &mut long.plate {
        plate.characters = vec![plate.characters[0]; 16];
    }
    assert!(
        told(&long).starts_with("PlateNo: 16 characters; at most 15"),
        "{}",
        told(&long)
    );
    let mut odd = passage.clone();
    if let Some(plate) = &mut odd.plate {
        plate.characters[2].char = ',';
    }
    assert!(told(&odd).starts_with("PlateNo: ','"), "{}", told(&odd));
    let mut webp = passage.clone();
    webp.evidence[0].content_type = "image/webp".to_owned();
    assert!(told(&webp).contains("FileFormat"), "{}", told(&webp));
    let mut elsewhere = passage.clone();
    elsewhere.camera = id("cam-9");
    assert!(
        told(&elsewhere).contains("camera cam-9 of agent box-1"),
        "{}",
        told(&elsewhere)
    );
    let mut late = passage;
    late.time = chrono::DateTime::parse_from_rfc3339("9999-12-31T23:59:59-08:00").unwrap();
    assert!(told(&late).starts_with("PassTime: "), "{}", told(&late));
}

#[test]
fn a_bicycle_without_a_plate_is_no_motor_vehicle() {
    let mut passage = golden("passage-no-plate");
    passage.vehicle.as_mut().unwrap().class = VehicleClass::Bicycle;
    let made = mapping(&[&passage]).vehicle(&passage, &[], None);
    assert_eq!(made, Err(MapError::NotMotor));
}

#[test]
fn addresses_of_pictures_go_where_the_standard_wants_them() {
    let passage = golden("passage");
    let url = |role: EvidenceRole| Some(format!("http://10.1.2.3/pictures/{role}.jpg"));
    let all: Vec<Picture> = EvidenceRole::ALL
        .iter()
        .map(|role| Picture {
            role: *role,
            bytes: None,
            url: url(*role),
        })
        .collect();
    let made = mapping(&[&passage]).vehicle(&passage, &all, None).unwrap();
    assert_eq!(Some(made.storage_url1), url(EvidenceRole::Frame));
    assert_eq!(made.storage_url2, url(EvidenceRole::Plate));
    assert_eq!(made.storage_url5, url(EvidenceRole::Thumbnail));
    assert!(
        made.sub_image_list
            .images
            .iter()
            .all(|i| i.data.is_none() && i.storage_path.is_some())
    );
}

prop_compose! {
    fn any_passage()(
        n in any::<u128>(),
        start in 0_i64..250_000_000_000_000,
        spans in prop::array::uniform2(0_i64..5_000_000),
        chars in prop::collection::vec((any::<char>(), any::<f32>()), 1..20),
        plain in prop::collection::vec((prop::sample::select("京冀粤AZ09港".chars().collect::<Vec<_>>()), 0_f32..1.0), 1..16),
        use_plain in prop::bool::weighted(0.8),
        has_plate in any::<bool>(),
        reason in prop::sample::select(NoPlateReason::ALL),
        class in prop::option::of(prop::sample::select(VehicleClass::ALL)),
        kind in prop::option::of(prop::sample::select(PlateKind::ALL)),
        colour in prop::option::of(prop::sample::select(PlateColour::ALL)),
        edges in prop::array::uniform4(-2e6_f32..2e6),
        size in prop::array::uniform2(1_u32..=65_535),
        direction in prop::sample::select(Direction::ALL),
        lane in prop::option::of(prop::sample::select(vec!["lane-1", "lane-2", "lane-3"])),
        content in prop::sample::select(vec!["image/jpeg", "image/png", "image/webp"]),
    ) -> PassageMessage {
        let mut passage = golden("passage");
        passage.id = uuid::Uuid::from_u128(n);
        let at = |ms: i64| chrono::DateTime::from_timestamp_millis(ms).unwrap().fixed_offset();
        passage.first_seen = at(start);
        passage.time = at(start + spans[0]);
        passage.last_seen = at(start + spans[0] + spans[1]);
        passage.picture = kakou_contract::PictureSize { width: size[0], height: size[1] };
        passage.direction = direction;
        passage.lane = lane.map(|l| kakou_contract::Lane { id: id(l), name: None });
        if let Some(vehicle) = &mut passage.vehicle {
            vehicle.class = class.unwrap_or(VehicleClass::Car);
            vehicle.bounds = kakou_contract::PixelBox::from_edges(edges[0], edges[1], edges[2], edges[3]);
        }
        if has_plate {
            let chosen = if use_plain { plain } else { chars };
            let plate = passage.plate.as_mut().unwrap();
            plate.text = chosen.iter().map(|(c, _)| *c).collect();
            plate.characters = chosen.iter().map(|(char, sure)| kakou_contract::Character {
                char: *char, confidence: Confidence::new(*sure), runner_up: None,
            }).collect();
            plate.kind = kind;
            plate.colour = colour.map(|value| kakou_contract::PlateColourRead {
                value, confidence: Confidence::new(0.5),
            });
            if class.is_none() {
                passage.vehicle = None;
            }
        } else {
            passage.plate = None;
            passage.no_plate_reason = Some(reason);
            passage.plate_hash = (reason == NoPlateReason::Withheld)
                .then_some(kakou_contract::Sha256Hex([7; 32]));
        }
        for evidence in &mut passage.evidence {
            evidence.captured_at = Some(passage.time);
            evidence.content_type = content.to_owned();
        }
        passage
    }
}

proptest! {
    /// Whatever the contract allows either makes an object that keeps every rule, or an error that
    /// says what does not fit. That it is an error is rare, and always for one of these fields.
    #[test]
    fn no_passage_makes_an_invalid_object(passage in any_passage(), unread in 0_f32..1.0) {
        passage.check().unwrap();
        let mut mapping = mapping(&[&passage]);
        mapping.unread_below = Confidence::new(unread);
        match mapping.vehicle(&passage, &pictures(&passage), None) {
            Ok(vehicle) => {
                let value = serde_json::to_value(&vehicle).unwrap();
                prop_assert_eq!(rules::check(&value), Ok(()));
                prop_assert_eq!(fields::fault(&value), None);
                let back: MotorVehicle = serde_json::from_value(value).unwrap();
                prop_assert_eq!(back, vehicle);
            }
            Err(MapError::NotMotor) => prop_assert!(passage.plate.is_none()),
            Err(MapError::Field(e)) => {
                let known = ["PlateNo", "SubImageList.FileFormat"];
                prop_assert!(known.contains(&e.field.as_str()), "{}", e);
            }
            Err(e) => prop_assert!(false, "{}", e),
        }
    }
}

/// The rules find what is wrong: each field in turn is left out, and is given another type.
#[test]
fn the_rules_refuse_every_broken_field() {
    let mut good = mapped(&golden("passage"));
    // So that every field stands there.
    for (name, value) in [
        ("StorageUrl2", json!("http://h/2")),
        ("StorageUrl5", json!("http://h/5")),
        ("IsSuspicious", json!(false)),
    ] {
        good[name] = value;
    }
    rules::check(&good).unwrap();
    for rule in rules::MOTOR_VEHICLE {
        assert!(good.get(rule.name).is_some(), "{} is not tried", rule.name);
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(rule.name);
        assert_eq!(rules::check(&without).is_err(), rule.must, "{}", rule.name);
        for wrong in [
            json!(null),
            json!([]),
            json!(-1),
            json!("x".repeat(257)),
            json!("\u{7}"),
        ] {
            let mut broken = good.clone();
            broken[rule.name] = wrong.clone();
            let e = rules::check(&broken).unwrap_err();
            assert!(
                e.field.starts_with(rule.name),
                "{}: {wrong}: {e}",
                rule.name
            );
        }
    }
    let image = |name: &str, value: Value| {
        let mut broken = good.clone();
        broken["SubImageList"]["SubImageInfoObject"][1][name] = value;
        rules::check(&broken)
    };
    for rule in rules::SUB_IMAGE {
        let e = image(rule.name, json!(null)).unwrap_err();
        assert_eq!(e.field, format!("SubImageList[1].{}", rule.name));
    }
    assert!(image("Data", json!("%%%%")).is_err() && image("Else", json!(1)).is_err());
    let mut swapped = good.clone();
    swapped["LeftTopX"] = json!(9_999);
    assert_eq!(rules::check(&swapped).unwrap_err().field, "LeftTopX");
}

/// The pages for readers have every field with its type and whether it must be there.
#[test]
fn the_docs_have_the_tables_of_the_rules() {
    for page in ["gat1400.md", "gat1400.zh-CN.md"] {
        let path = format!("{}/../../docs/{page}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        for rule in rules::MOTOR_VEHICLE.iter().chain(rules::SUB_IMAGE) {
            let form = match rule.form {
                rules::Form::Digits(n) => format!("digits({n})"),
                rules::Form::Text(n) => format!("string({n})"),
                rules::Form::Time => "dateTime".to_owned(),
                rules::Form::Whole(from, to) => format!("int {from}–{to}"),
                rules::Form::Boolean => "boolean".to_owned(),
                rules::Form::Percent => "string(3) 0–100".to_owned(),
                rules::Form::Code(_, list) => list.to_owned(),
                rules::Form::Base64 => "base64".to_owned(),
                rules::Form::Images => "SubImageInfo[]".to_owned(),
            };
            let must = if rule.must { "R" } else { "O" };
            let row = format!("| `{}` | {form} | {must} |", rule.name);
            assert!(text.contains(&row), "{page} lacks {row}");
        }
    }
}
