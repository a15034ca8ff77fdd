//! What each kind of message carries beside its payload.

use crate::common::{crate_folder, read};
use bytes::Bytes;
use kakou_contract::{
    AuditEvent, Envelope, EvidenceRole, HitMessage, Keep, Message, PassageMessage, Priority,
    StatusMessage, Topic,
};

fn golden<M: Message>(name: &str) -> M {
    M::from_json(read(crate_folder().join("golden").join(name)).as_bytes()).unwrap()
}

fn property<'a>(envelope: &'a Envelope, name: &str) -> &'a str {
    let found = envelope.user_properties.iter().find(|(n, _)| n == name);
    &found.unwrap_or_else(|| panic!("no {name}")).1
}

#[test]
fn a_message_takes_everything_from_what_it_says() {
    let passage: PassageMessage = golden("passage.json");
    let envelope = Envelope::of(&passage, Priority::Passage, Keep::Hit).unwrap();
    assert_eq!(
        envelope.topic,
        "kakou/v1/g15-k42/box-1/passage/cam-1".to_owned()
    );
    assert_eq!(envelope.id, passage.id.to_string());
    assert_eq!(property(&envelope, "id"), envelope.id);
    assert_eq!(property(&envelope, "type"), "kakou.passage.v1");
    assert_eq!(envelope.content_type.as_deref(), Some("application/json"));
    assert_eq!(envelope.payload, passage.to_json().unwrap());
    assert_eq!(
        (envelope.priority, envelope.keep),
        (Priority::Passage, Keep::Hit)
    );
    assert!(envelope.numbered && !envelope.retain && envelope.correlation.is_none());
}

#[test]
fn only_a_status_stays_with_the_broker() {
    let status: StatusMessage = golden("status-online.json");
    let hit: HitMessage = golden("hit.json");
    let event = AuditEvent::retention(24 * 60, 48 * 60);
    let audit = Envelope::audit(&hit.site, &hit.agent, hit.time, event).unwrap();
    assert!(
        Envelope::of(&status, Priority::Control, Keep::Control)
            .unwrap()
            .retain
    );
    assert!(!Envelope::of(&hit, Priority::Hit, Keep::Hit).unwrap().retain);
    assert!(!audit.retain);
    assert_eq!(audit.topic, "kakou/v1/g15-k42/box-1/audit");
    assert_eq!(
        (audit.priority, audit.keep),
        (Priority::Control, Keep::Control)
    );
}

#[test]
fn only_what_a_live_camera_saw_can_be_late() {
    let hit: HitMessage = golden("hit.json");
    let live = Envelope::live(&hit, Priority::Hit, Keep::Hit).unwrap();
    assert_eq!(live.captured_ms, Some(hit.captured_at().timestamp_millis()));
    let recorded = Envelope::of(&hit, Priority::Hit, Keep::Hit).unwrap();
    assert_eq!(recorded.captured_ms, None);
    let live = Envelope {
        captured_ms: None,
        ..live
    };
    assert_eq!(live, recorded, "nothing else differs");
}

#[test]
fn a_picture_is_a_message_of_its_own_that_names_its_passage() {
    let passage: PassageMessage = golden("passage.json");
    let evidence = &passage.evidence[1];
    let bytes = Bytes::from_static(b"JPEG");
    let picture = Envelope::picture(passage.id, &passage, evidence, Keep::Passage, bytes.clone());
    assert_eq!(Some(&picture.topic), evidence.topic.as_ref());
    let topic: Topic = picture.topic.parse().unwrap();
    assert!(matches!(
        topic,
        Topic::Evidence {
            role: EvidenceRole::Plate,
            ..
        }
    ));
    assert_eq!(picture.id, format!("{}/plate", passage.id));
    assert_eq!(property(&picture, "subject"), passage.id.to_string());
    assert_eq!(picture.content_type.as_deref(), Some("image/jpeg"));
    let captured = kakou_contract::time::to_text(&evidence.captured_at.unwrap());
    assert_eq!(property(&picture, "time"), captured, "when it was captured");
    assert!(!picture.numbered && !picture.retain && picture.captured_ms.is_none());
    assert_eq!(picture.priority, Priority::Picture);
    // Shared, not copied.
    assert_eq!(picture.payload.as_ptr(), bytes.as_ptr());
}
