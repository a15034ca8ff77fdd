//! The life of a hit: the real binary, a real Mosquitto, and a listed vehicle that stands at the
//! line.

use std::collections::HashMap;

use crate::agent::{Checkpoint, answer, on, request};
use crate::standing::{STANDING, checkpoint, of_standing};
use kakou_contract::{
    AuditEvent, AuditMessage, Command, EvidenceRole, HitMessage, HitState, Message, NoPlateReason,
    PassageMessage, ResultCode, RetractionReason, Topic, Verdict,
};
use kakou_uplink::Received;
use uuid::Uuid;

fn hit(m: &Received) -> Option<HitMessage> {
    on(m, "/hit/")
}

fn passage_of_standing(m: &Received) -> Option<PassageMessage> {
    on::<PassageMessage>(m, "/passage/")
        .filter(|p| p.plate.as_ref().is_some_and(|p| p.text == STANDING))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_vehicle_is_told_while_it_stands_and_confirmed_when_it_has_gone() {
    let mut gate = checkpoint(20).await;
    let _agent = gate.start();
    let told = gate.next("provisional hit", of_standing).await;
    assert_eq!(told.state, HitState::Provisional);
    let frame = told
        .evidence
        .iter()
        .find(|e| e.role == EvidenceRole::Frame)
        .unwrap();
    assert!(told.evidence.iter().any(|e| e.role == EvidenceRole::Plate));
    let topic: Topic = frame.topic.as_deref().unwrap().parse().unwrap();
    assert!(matches!(topic, Topic::Evidence { passage, .. } if passage == told.id));
    // Its picture comes, although its passage is far from over.
    let picture = gate.next("picture", |m| {
        (Some(&m.topic) == frame.topic.as_ref()).then(|| m.payload.clone())
    });
    assert_eq!(picture.await.len() as u64, frame.bytes);
    let ended = gate.next("end of the hit", of_standing).await;
    assert_eq!((ended.state, ended.id), (HitState::Confirmed, told.id));
    assert_eq!((ended.passage_id, ended.is_late), (told.passage_id, false));
    let stood = ended.decided_at.unwrap() - told.decided_at.unwrap();
    assert!(stood.num_seconds() >= 15, "told {stood} before the end");
    let passage = gate.next("passage", passage_of_standing).await;
    assert_eq!(passage.id, told.passage_id);
    assert!((passage.last_seen - passage.first_seen).num_seconds() >= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hit_has_one_life() {
    let mut gate = Checkpoint::new("").await;
    let agent = gate.start();
    let mut lives: HashMap<Uuid, Vec<HitState>> = HashMap::new();
    let mut plates: HashMap<(Uuid, String), Uuid> = HashMap::new();
    // The last vehicle of the footage.
    while lives
        .values()
        .filter(|s| s.contains(&HitState::Confirmed))
        .count()
        < 6
    {
        let hit = gate.next("hit", hit).await;
        lives.entry(hit.id).or_default().push(hit.state);
        let entry = (hit.passage_id, hit.entry.plate.clone());
        assert_eq!(*plates.entry(entry).or_insert(hit.id), hit.id);
        hit.check().unwrap();
    }
    agent.signal("-TERM");
    let early = lives
        .values()
        .filter(|s| s[0] == HitState::Provisional)
        .count();
    assert!(
        early >= 4,
        "most are told before they have passed: {lives:?}"
    );
    for states in lives.values() {
        let fits = matches!(
            states.as_slice(),
            [HitState::Confirmed]
                | [
                    HitState::Provisional,
                    HitState::Confirmed | HitState::Retracted
                ]
        );
        assert!(fits, "{lives:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hit_that_a_kill_left_open_ends_as_unresolved() {
    let mut gate = checkpoint(15).await;
    let mut agent = gate.start();
    let told = gate.next("provisional hit", of_standing).await;
    assert_eq!(told.state, HitState::Provisional);
    agent.0.kill().unwrap();
    agent.0.wait().unwrap();
    let _agent = gate.start();
    // What was not acknowledged when it was killed is sent once more.
    let new = |m: &Received| of_standing(m).filter(|hit| *hit != told);
    let ended = gate.next("end of the hit", new).await;
    assert_eq!((ended.state, ended.id), (HitState::Unresolved, told.id));
    assert!(!ended.is_late);
    // The vehicle is there again for the agent that was started again.
    let again = gate.next("the next hit", of_standing).await;
    assert_eq!(again.state, HitState::Provisional);
    assert!(again.id != told.id && again.passage_id != told.passage_id);
    let end = gate.next("its end", of_standing).await;
    assert_eq!((end.state, end.id), (HitState::Confirmed, again.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_is_taken_away_takes_its_hit_back() {
    let mut gate = checkpoint(30).await;
    let agent = gate.start();
    let told = gate.next("provisional hit", of_standing).await;
    let list = std::fs::read_to_string(gate.path("list.csv")).unwrap();
    let shorter: String = list
        .lines()
        .filter(|line| !line.starts_with(STANDING))
        .map(|line| format!("{line}\n"))
        .collect();
    std::fs::write(gate.path("list.csv"), shorter).unwrap();
    gate.reload(&agent).await;
    let ended = gate.next("retraction", of_standing).await;
    assert_eq!((ended.state, ended.id), (HitState::Retracted, told.id));
    assert_eq!(
        ended.retraction.unwrap().reason,
        RetractionReason::NotListed
    );
    let passage = gate.next("passage", passage_of_standing).await;
    assert_eq!(passage.id, told.passage_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_officers_answer_is_recorded_counted_and_sent_on() {
    let mut gate = checkpoint(20).await;
    let _agent = gate.start();
    let told = gate.next("provisional hit", of_standing).await;
    let mut asked = request(Command::Answer {
        hit: told.id,
        verdict: Verdict::WrongPlate,
        note: Some("a trailer's plate".to_owned()),
    });
    gate.send(&asked);
    let done = gate.next("answer", answer).await;
    assert!(done.ok, "{done:?}");
    let counts = done.data.unwrap();
    assert_eq!(counts["entry"]["wrong_plate"], 1, "{counts}");
    let recorded = gate.next("audit", |m| {
        on::<AuditMessage>(m, "/audit")
            .map(|a| a.event)
            .filter(|e| e.kind() == "answer")
    });
    let AuditEvent::Answer {
        hit,
        by,
        plate,
        note,
        ..
    } = recorded.await
    else {
        panic!("another event")
    };
    assert_eq!(
        (hit, by.as_str(), plate.as_deref()),
        (told.id, "duty officer", Some(STANDING))
    );
    assert_eq!(note.as_deref(), Some("a trailer's plate"));
    // Nobody answers without a name.
    (asked.request_id, asked.by) = (told.id, None);
    gate.send(&asked);
    let refused = gate.next("answer", answer).await;
    assert_eq!((refused.ok, refused.code), (false, ResultCode::Invalid));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cameras_tell_one_story() {
    let mut gate = checkpoint(5).await;
    let config = gate.config();
    let camera = &config[config.find("[[camera]]").unwrap()..];
    let rear = camera.replace("id = \"cam-1\"", "id = \"rear\"");
    gate.write_config(&format!("{config}\n{rear}"));
    let _agent = gate.start();
    let mut all: Vec<HitMessage> = Vec::new();
    // Both cameras see the vehicle go.
    while all
        .iter()
        .filter(|h| h.state != HitState::Provisional)
        .count()
        < 2
    {
        all.push(gate.next("hit", of_standing).await);
    }
    let states: Vec<HitState> = all.iter().map(|h| h.state).collect();
    assert_eq!(states[0], HitState::Provisional);
    assert!(
        states.contains(&HitState::Confirmed) && states.contains(&HitState::Again),
        "{states:?}"
    );
    assert!(all.iter().all(|h| h.id == all[0].id), "{states:?}");
    let confirmed = all.iter().find(|h| h.state == HitState::Confirmed).unwrap();
    let again = all.iter().find(|h| h.state == HitState::Again).unwrap();
    assert_ne!(
        (again.camera.as_str(), again.passage_id),
        (confirmed.camera.as_str(), confirmed.passage_id)
    );
}

/// The state folder's files that hold messages.
fn stored(gate: &Checkpoint) -> Vec<u8> {
    let read = |name: &str| std::fs::read(gate.path("state").join(name)).unwrap_or_default();
    [read("outbox.db"), read("outbox.db-wal")].concat()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|w| w == text.as_bytes())
}

/// Nobody but the standing car is looked for.
fn only_standing_is_listed(gate: &Checkpoint, privacy: &str) {
    let list = format!("plate,level,category,reason\n{STANDING},red,stolen,x\n");
    std::fs::write(gate.path("list.csv"), list).unwrap();
    gate.write_config(
        &gate
            .config()
            .replace("[[camera]]", &format!("{privacy}\n[[camera]]")),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vehicle_that_nobody_looks_for_leaves_no_trace_where_nothing_is_kept() {
    let mut gate = Checkpoint::new("").await;
    only_standing_is_listed(&gate, "[privacy]\nnon_hits = \"nothing\"");
    let agent = gate.start();
    let first = gate
        .next("passage", |m| on::<PassageMessage>(m, "/passage/"))
        .await;
    assert_eq!(first.plate.unwrap().text, STANDING);
    // The footage goes on for seconds, and another vehicle passes in it.
    tokio::time::sleep(std::time::Duration::from_secs(8)).await;
    agent.signal("-TERM");
    let _: kakou_contract::StatusMessage = gate
        .next("goodbye", |m| {
            on::<kakou_contract::StatusMessage>(m, "/status")
                .filter(|s| s.state == kakou_contract::AgentState::Offline)
        })
        .await;
    let bytes = stored(&gate);
    assert!(holds(&bytes, STANDING));
    for other in ["京N8P527", "浙AD62983", "苏C7W316", "粤B5T638", "皖K9H275"] {
        assert!(!holds(&bytes, other), "{other} is on the disk");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plate_that_nobody_looks_for_is_a_hash_where_that_is_asked_for() {
    use std::os::unix::fs::PermissionsExt;
    let mut gate = Checkpoint::new("").await;
    let privacy = "[privacy]\nnon_hits = \"hash\"\nkey_file = \"hash.key\"";
    only_standing_is_listed(&gate, privacy);
    std::fs::write(gate.path("hash.key"), [7; 32]).unwrap();
    std::fs::set_permissions(gate.path("hash.key"), PermissionsExt::from_mode(0o600)).unwrap();
    let _agent = gate.start();
    let mut hashes = 0;
    loop {
        let passage = gate
            .next("passage", |m| on::<PassageMessage>(m, "/passage/"))
            .await;
        passage.check().unwrap();
        if passage.plate.is_some_and(|plate| plate.text == STANDING) {
            assert_eq!(passage.evidence.len(), 3);
            break;
        }
        if passage.plate_hash.is_some() {
            assert_eq!(passage.no_plate_reason, Some(NoPlateReason::Withheld));
            assert!(passage.evidence.is_empty());
            hashes += 1;
        }
    }
    assert!(hashes >= 1, "another vehicle passes before it");
    assert!(!holds(&stored(&gate), "浙AD62983"));
}
