//! `kakou run` as it is in service: the real binary, a real Mosquitto, the sample footage in real
//! time.

use crate::{agent, support};
use std::time::{Duration, Instant};

use crate::agent::{Checkpoint, LONG, answer, on, request};
use kakou_contract::{
    AgentState, AuditEvent, AuditMessage, Command, HitMessage, HitState, Level, OfflineReason,
    PartState, PassageMessage, ResultCode, ResultMessage, StatusMessage,
};
use kakou_uplink::Received;

#[tokio::test(flavor = "multi_thread")]
async fn passages_and_hits_arrive_and_the_end_is_told() {
    let mut gate = Checkpoint::new("").await;
    let mut agent = gate.start();
    let of_list =
        |m: &Received| on::<AuditMessage>(m, "/audit").filter(|a| a.event.kind() == "watchlist");
    let list: AuditMessage = gate.next("audit of the list", of_list).await;
    assert!(
        matches!(list.event, AuditEvent::Watchlist { refused: 1, .. }),
        "{list:?}"
    );
    let birth: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    assert_eq!(
        (birth.state, birth.public_key.is_some()),
        (AgentState::Online, true)
    );
    assert!(birth.sequence.is_some());
    // The end of its life: what was told before has pictures of its own (hits.rs).
    let confirmed = |m: &Received| {
        on::<HitMessage>(m, "/hit/orange/cam-1").filter(|hit| hit.state == HitState::Confirmed)
    };
    let hit = gate.next("hit", confirmed).await;
    assert_eq!(
        (hit.level, hit.is_late, hit.entry.plate.as_str()),
        (Level::Orange, false, hit.plate.text.as_str())
    );
    let passage: PassageMessage = gate
        .next("its passage", |m| {
            on::<PassageMessage>(m, "/passage/").filter(|p| p.id == hit.passage_id)
        })
        .await;
    assert_eq!(passage.evidence, hit.evidence);
    assert!(
        passage.clock.is_some() && hit.clock == passage.clock,
        "how the clock stood"
    );
    let role = passage.evidence[0].role;
    let topic = format!("/evidence/{}/{role}", passage.id);
    let bytes = gate
        .next("its picture", |m| {
            m.topic.contains(&topic).then(|| m.payload.clone())
        })
        .await;
    assert_eq!(bytes.len() as u64, passage.evidence[0].bytes);

    // The birth does not wait for the models.
    let all_work = |m: &Received| {
        // The request for it is heard here too.
        if m.topic.contains("/cmd/") {
            return None;
        }
        on::<StatusMessage>(m, "/status")
            .filter(|s| s.parts.iter().all(|p| p.state == PartState::Working))
    };
    gate.send(&request(Command::Status));
    let working = gate.next("status with all parts at work", all_work).await;
    // Ours, and the reader that gives a second opinion.
    assert_eq!(working.models.len(), 4, "{working:?}");
    let names: Vec<_> = working.parts.iter().map(|p| p.name.as_str()).collect();
    for name in ["models", "camera-cam-1", "uplink", "watchlist", "commands"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }

    agent.signal("-TERM");
    let offline =
        |m: &Received| on::<StatusMessage>(m, "/status").filter(|s| s.state == AgentState::Offline);
    let end = gate.next("offline status", offline).await;
    assert_eq!(end.reason, Some(OfflineReason::Shutdown));
    assert!(agent.0.wait().unwrap().success());
    let verified = support::kakou(&["outbox", "verify", "--state", &gate.state()]);
    assert!(verified.status.success(), "{}", support::stdout(&verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_is_asked_for_while_it_starts_is_orderly() {
    let gate = Checkpoint::new("").await;
    let mut agent = gate.start();
    let began = Instant::now();
    let hears_term = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", agent.0.id())).unwrap();
        let caught = status
            .lines()
            .find_map(|l| l.strip_prefix("SigCgt:"))
            .unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() >> 14 & 1 == 1
    };
    // From here on it must not simply die of it, though it has loaded and opened next to nothing.
    while !hears_term() {
        assert!(began.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(1));
    }
    agent.signal("-TERM");
    assert!(agent.0.wait().unwrap().success());
    let verified = support::kakou(&["outbox", "verify", "--state", &gate.state()]);
    assert!(verified.status.success(), "{}", support::stdout(&verified));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_are_carried_out_once_answered_and_audited() {
    let mut gate = Checkpoint::new("loop = true").await;
    let agent = gate.start();
    let _: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    // The subscription follows the birth closely; a command sent in between is repeated by its
    // sender.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let ping = request(Command::Ping);
    gate.send(&ping);
    let with_correlation = |m: &Received| Some((answer(m)?, m.correlation.clone()));
    let (first, correlation) = gate.next("answer", with_correlation).await;
    assert_eq!(
        (first.code, first.request_id, first.ok),
        (ResultCode::Done, Some(ping.request_id), true)
    );
    assert_eq!(correlation.as_deref(), Some(b"c-7".as_slice()));
    let audit: AuditMessage = gate
        .next("audit", |m| {
            on::<AuditMessage>(m, "/audit").filter(|a| a.event.kind() == "command")
        })
        .await;
    assert!(
        matches!(&audit.event, AuditEvent::Command { by: Some(by), accepted: true, .. } if by == "duty officer")
    );
    gate.send(&ping);
    let again = gate.next("second answer", answer).await;
    assert_eq!((again.code, again.ok), (ResultCode::Repeated, true));

    let camera = "cam-1".parse().unwrap();
    gate.send(&request(Command::Snapshot { camera }));
    let picture = gate.next("picture", answer).await;
    assert_eq!(picture.code, ResultCode::Done, "{picture:?}");
    assert!(picture.data.unwrap()["base64"].as_str().unwrap().len() > 10_000);

    gate.send(&request(agent::resend(1, 2)));
    let resent = gate.next("answer", answer).await;
    assert_eq!(resent.data.unwrap()["messages"], 2);
    gate.broker
        .publish(&["-t", "kakou/v1/north/box-1/cmd/reboot", "-m", "{}"]);
    let refused: ResultMessage = gate.next("answer", |m| on(m, "/result")).await;
    assert_eq!(refused.code, ResultCode::UnknownCommand);
    assert!(refused.detail.unwrap().contains("reboot"));

    // Killed without a word: the broker tells.
    agent.signal("-KILL");
    let offline =
        |m: &Received| on::<StatusMessage>(m, "/status").filter(|s| s.state == AgentState::Offline);
    assert_eq!(
        gate.next("last will", offline).await.reason,
        Some(OfflineReason::ConnectionLost)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_config_is_taken_into_use_and_a_wrong_one_is_not() {
    let mut gate = Checkpoint::new("loop = true").await;
    let agent = gate.start();
    let _: StatusMessage = gate.next("birth", |m| on(m, "/status")).await;
    let path = gate.dir.path().join("kakou.toml");
    let old = std::fs::read_to_string(&path).unwrap();
    let of = |kind: &'static str| {
        move |m: &Received| on::<AuditMessage>(m, "/audit").filter(|a| a.event.kind() == kind)
    };

    std::fs::write(&path, old.replace("loop = true", "loop = true\nlaps = 3")).unwrap();
    agent.signal("-HUP");
    let AuditEvent::ConfigReload {
        detail: Some(why), ..
    } = gate.next("reload", of("config_reload")).await.event
    else {
        panic!("no reason")
    };
    assert!(why.contains("laps") && why.contains("kakou.toml"), "{why}");

    std::fs::write(&path, old.replace("agent = \"box-1\"", "agent = \"box-2\"")).unwrap();
    agent.signal("-HUP");
    let AuditEvent::ConfigReload {
        detail: Some(why), ..
    } = gate.next("reload", of("config_reload")).await.event
    else {
        panic!("no reason")
    };
    assert!(why.contains("agent needs a restart"), "{why}");

    // A second camera, another broker address (the same broker), and metrics.
    let dusk = support::root().join("agent/samples/dusk");
    let more = format!(
        "{old}\n[[camera]]\nid = \"cam-2\"\nurl = {dusk:?}\nloop = true\n[metrics]\nfile = \"kakou.prom\"\n"
    );
    std::fs::write(
        &path,
        more.replace("[broker]", "[broker]\nkeep_alive_s = 20")
            .replace("[outbox]", "[outbox]\nmax_mib = 64"),
    )
    .unwrap();
    agent.signal("-HUP");
    let AuditEvent::ConfigReload {
        detail: Some(what), ..
    } = gate.next("reload", of("config_reload")).await.event
    else {
        panic!("no account")
    };
    assert!(
        what.contains("\"cameras_started\":[\"cam-2\"]") && what.contains("\"cameras_ended\":[]"),
        "{what}"
    );
    assert!(what.contains("broker") && what.contains("limits"), "{what}");
    let _: PassageMessage = gate
        .next("passage of the new camera", |m| on(m, "/passage/cam-2"))
        .await;
    let _: PassageMessage = gate
        .next("passage of the old camera", |m| on(m, "/passage/cam-1"))
        .await;
    // Written every few seconds.
    let limit = Instant::now() + LONG;
    let metrics = loop {
        let metrics =
            std::fs::read_to_string(gate.dir.path().join("kakou.prom")).unwrap_or_default();
        if metrics.contains("kakou_camera_state{camera=\"cam-2\",state=\"ok\"} 1") {
            break metrics;
        }
        assert!(Instant::now() < limit, "{metrics}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert!(metrics.contains("kakou_uplink_connected 1"), "{metrics}");

    // Without it, it ends.
    std::fs::write(&path, &old).unwrap();
    agent.signal("-HUP");
    let AuditEvent::ConfigReload {
        detail: Some(what), ..
    } = gate.next("reload", of("config_reload")).await.event
    else {
        panic!("no account")
    };
    assert!(what.contains("\"cameras_ended\":[\"cam-2\"]"), "{what}");
}
