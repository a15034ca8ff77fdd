//! The golden files are what subscribers were told to expect: reading one and writing it again
//! gives the same bytes, and each is valid by the committed schema.

use crate::common::{compact, crate_folder, golden_files, read};
use kakou_contract::{
    HitMessage, Message, MessageKind, PassageMessage, PlateColour, StatusMessage, Topic, schema,
};
use serde_json::{Value, json};

fn rewrite<M: Message>(text: &str) -> Result<String, kakou_contract::MessageError> {
    Ok(String::from_utf8(M::from_json(text.as_bytes())?.to_json()?).unwrap())
}

fn rewrite_as(kind: MessageKind, text: &str) -> Result<String, kakou_contract::MessageError> {
    match kind {
        MessageKind::Passage => rewrite::<PassageMessage>(text),
        MessageKind::Hit => rewrite::<HitMessage>(text),
        MessageKind::Signal => rewrite::<kakou_contract::SignalMessage>(text),
        MessageKind::Status => rewrite::<StatusMessage>(text),
        MessageKind::Audit => rewrite::<kakou_contract::AuditMessage>(text),
        MessageKind::Result => rewrite::<kakou_contract::ResultMessage>(text),
        MessageKind::Evidence => panic!("pictures are not JSON"),
    }
}

fn passage(name: &str) -> PassageMessage {
    let text = read(crate_folder().join("golden").join(name));
    PassageMessage::from_json(text.as_bytes()).unwrap()
}

#[test]
fn golden_files_survive_reading_and_writing() {
    for (name, kind, text) in golden_files() {
        let again = rewrite_as(kind, &text).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(again, compact(&text), "{name}");
    }
}

#[test]
fn golden_files_are_valid_by_the_committed_schema() {
    for (name, kind, text) in golden_files() {
        let file = schema::file_name(kind).unwrap();
        let schema: Value =
            serde_json::from_str(&read(crate_folder().join("schema").join(file))).unwrap();
        let validator = jsonschema::options()
            .should_validate_formats(true)
            .build(&schema)
            .unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&serde_json::from_str(&text).unwrap())
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

#[test]
fn the_schema_refuses_what_the_types_refuse() {
    let schema = schema::generate(MessageKind::Passage).unwrap();
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&schema)
        .unwrap();
    let good = serde_json::to_value(passage("passage.json")).unwrap();
    assert!(validator.is_valid(&good));
    for (pointer, bad) in [
        ("/schema_version", json!("2.0")),
        ("/id", json!("seven")),
        ("/camera", json!("cam/1")),
        ("/direction", json!("sideways")),
        ("/time", json!("2031-05-04 08:15")),
        ("/frames_seen", json!(-1)),
        ("/vehicle/class", json!("tank")),
        ("/plate/confidence", json!(97.1)),
        (
            "/plate/kind",
            json!({ "code": "02", "standard": "JT/T 415" }),
        ),
        ("/plate/kind/code", json!("2")),
        ("/plate/quad", json!([[1.0, 2.0]])),
        ("/plate/characters/0/char", json!("冀Z")),
        ("/evidence/0/sha256", json!("abc")),
        ("/picture", Value::Null),
    ] {
        let mut message = good.clone();
        *message.pointer_mut(pointer).unwrap() = bad;
        assert!(!validator.is_valid(&message), "the schema takes {pointer}");
        let text = message.to_string();
        assert!(
            PassageMessage::from_json(text.as_bytes()).is_err(),
            "the type takes {pointer}"
        );
    }
}

/// A platform that is older than the agent must go on reading.
#[test]
fn unknown_fields_are_passed_over_everywhere() {
    for (name, kind, text) in golden_files() {
        let mut value: Value = serde_json::from_str(&text).unwrap();
        add_unknown(&mut value);
        value["schema_version"] = json!("1.9");
        let again = rewrite_as(kind, &value.to_string()).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            again.replace("\"1.9\"", "\"1.0\""),
            compact(&text),
            "{name}"
        );
    }
}

fn add_unknown(value: &mut Value) {
    match value {
        Value::Object(map) => {
            // The content of an answer is for its command to define: it is carried as it is.
            map.iter_mut()
                .filter(|(name, _)| *name != "data")
                .for_each(|(_, v)| add_unknown(v));
            map.insert("of_a_later_version".to_owned(), json!({ "a": [1, null] }));
        }
        Value::Array(items) => items.iter_mut().for_each(add_unknown),
        _ => {}
    }
}

#[test]
fn a_message_that_contradicts_itself_is_refused_with_the_field() {
    let good = serde_json::to_value(passage("passage.json")).unwrap();
    for (pointer, bad, field) in [
        ("/plate", Value::Null, "no_plate_reason"),
        ("/plate/text", json!("冀Z7K0T8"), "plate.characters"),
        ("/plate/rows", json!(3), "plate.rows"),
        (
            "/plate/corrected",
            json!([{"position": 4, "from": "O", "to": "1"}]),
            "plate.corrected",
        ),
        (
            "/plate/corrected",
            json!([{"position": 9, "from": "O", "to": "1"}]),
            "plate.corrected",
        ),
        ("/last_seen", json!("2031-05-04T08:15:30.249+08:00"), "time"),
        (
            "/first_seen",
            json!("2031-05-04T08:15:31.131+08:00"),
            "first_seen",
        ),
        (
            "/evidence/0/captured_at",
            json!("2031-05-04T08:15:28.809+08:00"),
            "evidence.captured_at",
        ),
    ] {
        let mut message = good.clone();
        *message.pointer_mut(pointer).unwrap() = bad;
        let e = PassageMessage::from_json(message.to_string().as_bytes())
            .unwrap_err()
            .to_string();
        assert!(e.starts_with(&format!("{field}: ")), "{pointer}: {e}");
    }
}

/// Agents in service that do not say when a picture was captured go on being read.
#[test]
fn a_passage_without_capture_times_is_read() {
    let text = read(crate_folder().join("golden/passage.json"));
    let mut message: Value = serde_json::from_str(&text).unwrap();
    for picture in message["evidence"].as_array_mut().unwrap() {
        let removed = picture.as_object_mut().unwrap().remove("captured_at");
        assert!(removed.is_some());
    }
    let message = PassageMessage::from_json(message.to_string().as_bytes()).unwrap();
    assert!(message.evidence.iter().all(|e| e.captured_at.is_none()));
}

/// Agents in service that know nothing of a camera's state go on being read.
#[test]
fn a_status_without_the_later_fields_is_read() {
    let text = read(crate_folder().join("golden/status-online.json"));
    let mut status: Value = serde_json::from_str(&text).unwrap();
    for camera in status["cameras"].as_array_mut().unwrap() {
        for later in ["state", "frames_still", "fps", "fps_looked", "restarts"] {
            assert!(
                camera.as_object_mut().unwrap().remove(later).is_some(),
                "{later} is not in the golden file"
            );
        }
    }
    let status = StatusMessage::from_json(status.to_string().as_bytes()).unwrap();
    assert!(
        status
            .cameras
            .iter()
            .all(|c| c.state.is_none() && c.fps.is_none() && c.frames_still.is_none())
    );
}

#[test]
fn a_state_that_did_not_change_is_no_event() {
    let text =
        read(crate_folder().join("golden/audit-camera.json")).replace("\"ok\"", "\"unreachable\"");
    let e = kakou_contract::AuditMessage::from_json(text.as_bytes())
        .unwrap_err()
        .to_string();
    assert!(e.starts_with("event.was: "), "{e}");
}

#[test]
fn a_missing_field_is_named() {
    let e = PassageMessage::from_json(br#"{"schema_version":"1.0"}"#)
        .unwrap_err()
        .to_string();
    assert!(
        e.starts_with("not a passage message: missing field `id`"),
        "{e}"
    );
}

#[test]
fn the_golden_files_show_what_they_are_named_for() {
    assert!(passage("passage-no-plate.json").plate.is_none());
    let corrected = passage("passage-corrected.json").plate.unwrap();
    assert_eq!(corrected.corrected.len(), 1);
    assert_ne!(corrected.raw, corrected.text);
    let green = passage("passage-green.json").plate.unwrap();
    assert_eq!(green.colour.unwrap().value, PlateColour::Green);
    assert_eq!(green.characters.len(), 8);
    assert!(passage("passage-replay.json").vehicle.is_none());
}

#[test]
fn ids_and_topics_in_golden_files_are_what_the_code_makes() {
    let m = passage("passage.json");
    assert_eq!(
        m.topic().to_string(),
        "kakou/v1/g15-k42/box-1/passage/cam-1"
    );
    assert_eq!(m.id.get_version_num(), 7);
    assert_eq!(
        i64::try_from(m.id.as_u128() >> 80).unwrap(),
        m.time.timestamp_millis()
    );
    for evidence in &m.evidence {
        let topic: Topic = evidence.topic.as_deref().unwrap().parse().unwrap();
        let (site, agent) = (m.site.clone(), m.agent.clone());
        assert_eq!(
            topic,
            Topic::Evidence {
                site,
                agent,
                passage: m.id,
                role: evidence.role
            }
        );
    }
}

fn signal(name: &str) -> kakou_contract::SignalMessage {
    let text = read(crate_folder().join("golden").join(name));
    kakou_contract::SignalMessage::from_json(text.as_bytes()).unwrap()
}

#[test]
fn a_signal_has_exactly_the_fields_of_its_kind() {
    use kakou_contract::SignalKind as K;
    let travel = signal("signal.json");
    let contradiction = signal("signal-contradiction.json");
    let wrong_way = signal("signal-wrong-way.json");
    let kinds = [travel.kind, contradiction.kind, wrong_way.kind];
    assert_eq!(kinds, [K::Travel, K::Contradiction, K::WrongWay]);
    let field = |message: kakou_contract::SignalMessage| {
        let error = message.check().unwrap_err().to_string();
        error.split(": ").next().unwrap().to_owned()
    };
    let as_kind = |message: &kakou_contract::SignalMessage, kind| {
        field(kakou_contract::SignalMessage {
            kind,
            ..message.clone()
        })
    };
    assert_eq!(as_kind(&travel, K::Contradiction), "conflicts");
    assert_eq!(as_kind(&travel, K::WrongWay), "other");
    assert_eq!(as_kind(&travel, K::Twice), "speed_kmh");
    assert_eq!(as_kind(&travel, K::NoPlate), "plate");
    assert_eq!(as_kind(&contradiction, K::WrongWay), "conflicts");
    assert_eq!(as_kind(&wrong_way, K::Travel), "plate");
    let mut same = travel.clone();
    same.other.as_mut().unwrap().passage_id = same.passage_id;
    assert_eq!(field(same), "other.passage_id");
    let mut here = travel.clone();
    here.other.as_mut().unwrap().camera = here.camera.clone();
    assert_eq!(field(here), "metres");
    let mut apart = travel;
    (apart.kind, apart.speed_kmh) = (K::Twice, None);
    assert_eq!(field(apart), "other");
}
