//! Commands that hang or come twice, at a real outbox.
#![allow(clippy::unwrap_used)]

use kakou_contract::{ClockStatus, Command};
use kakou_outbox::OutboxOptions;
use kakou_time::{Clock, SystemClock};
use std::sync::Arc;
use tokio::sync::mpsc;

use super::*;
use crate::config::HitConfig;

const LONG: Duration = Duration::from_secs(20);

struct Rig {
    commander: Commander,
    /// Requests for a reload, which nobody carries out.
    reloads: mpsc::Receiver<ReloadRequest>,
    _status: mpsc::Receiver<()>,
    _folder: tempfile::TempDir,
}

fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let (site, agent): (Id, Id) = ("north".parse().unwrap(), "box-1".parse().unwrap());
    let options = OutboxOptions::new(folder.path(), site.clone(), agent.clone());
    let hits = HitDesk::new(
        &HitConfig {
            sure: [0.9; 4],
            story: Duration::from_secs(300),
        },
        folder.path(),
    );
    let (status_now, status) = mpsc::channel(1);
    let (reload, reloads) = mpsc::channel(1);
    Rig {
        commander: Commander {
            site,
            agent,
            clock: Arc::new(SystemClock::new()),
            outbox: Outbox::open(options).unwrap(),
            cameras: CameraViews::default(),
            hits,
            status_now,
            reload,
            under_way: Mutex::default(),
        },
        reloads,
        _status: status,
        _folder: folder,
    }
}

fn received(request: &Request) -> Received {
    Received {
        topic: format!("kakou/v1/north/box-1/cmd/{}", request.command.name()),
        payload: request.to_json(),
        ..Received::default()
    }
}

fn request(command: Command) -> Request {
    let now = SystemClock::new().wall();
    Request {
        request_id: live_id(now),
        sent_at: now,
        expires_at: None,
        by: None,
        command,
    }
}

impl Rig {
    /// Each answer so far: its code and its detail.
    async fn answers(&self) -> Vec<(ResultCode, Option<String>)> {
        let mut all = Vec::new();
        for number in 1.. {
            let stored = self.commander.outbox.stored_payload(number).await.unwrap();
            let Some(payload) = stored else { break };
            let value: Value = serde_json::from_slice(&payload).unwrap();
            if let Some(code) = value["code"].as_str() {
                let detail = value["detail"].as_str().map(str::to_owned);
                all.push((code.parse().unwrap(), detail));
            }
        }
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_hangs_is_answered_and_keeps_no_other_waiting() {
    let mut rig = rig();
    let hanging = received(&request(Command::Reload));
    let outcome = rig
        .commander
        .obey(hanging, Duration::from_millis(200))
        .await;
    assert!(
        outcome.unwrap_err().starts_with("reload: not done within"),
        "it did not hang"
    );
    assert!(rig.reloads.try_recv().is_ok(), "it was begun");
    let ping = received(&request(Command::Ping));
    assert_eq!(
        rig.commander.obey(ping, Duration::from_secs(60)).await,
        Ok(())
    );
    let answers = rig.answers().await;
    assert_eq!(answers[0].0, ResultCode::Failed);
    assert!(answers[0].1.as_ref().unwrap().contains("not done within"));
    assert_eq!(answers[1], (ResultCode::Done, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_that_comes_while_the_first_is_carried_out_is_not_carried_out() {
    let mut rig = rig();
    let twice = request(Command::Reload);
    let long = Duration::from_secs(60);
    let first = rig.commander.obey(received(&twice), long);
    let second = async {
        // The first one has begun.
        let answer = rig.reloads.recv().await.unwrap();
        rig.commander.obey(received(&twice), long).await.unwrap();
        answer.send(Ok(json!({}))).unwrap();
    };
    let (outcome, ()) = tokio::join!(first, second);
    assert_eq!(outcome, Ok(()));
    assert!(rig.reloads.try_recv().is_err(), "it was carried out twice");
    let codes: Vec<_> = rig.answers().await.into_iter().map(|a| a.0).collect();
    assert_eq!(codes, [ResultCode::Repeated, ResultCode::Done]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_finds_no_room_is_told_so_and_may_come_again() {
    let rig = rig();
    let ping = request(Command::Ping);
    rig.commander.refuse_as_busy(received(&ping)).await;
    let long = Duration::from_secs(60);
    rig.commander.obey(received(&ping), long).await.unwrap();
    let answers = rig.answers().await;
    assert_eq!(answers[0].0, ResultCode::Refused);
    assert!(answers[0].1.as_ref().unwrap().contains("busy"));
    assert_eq!(answers[1], (ResultCode::Done, None));
}

#[tokio::test]
async fn a_request_of_another_day_is_not_carried_out() {
    let mut rig = rig();
    let clock = Arc::new(kakou_time::SimulatedClock::new(
        SystemClock::new().wall(),
        Duration::ZERO,
    ));
    rig.commander.clock = clock.clone();
    let now = clock.wall();
    let (fresh, old, ahead) = (
        TimeDelta::hours(23),
        TimeDelta::hours(25),
        -TimeDelta::hours(1),
    );
    for synchronised in [true, false] {
        clock.set_status(ClockStatus {
            state: if synchronised {
                ClockState::Synchronised
            } else {
                ClockState::Unsynchronised
            },
            offset_ms: None,
        });
        for (age, stale) in [(fresh, false), (old, synchronised), (ahead, synchronised)] {
            assert_eq!(
                rig.commander.is_stale(now - age),
                stale,
                "{age} {synchronised}"
            );
        }
    }
}

#[tokio::test]
async fn the_first_answer_to_an_id_stays() {
    let rig = rig();
    let ping = request(Command::Ping);
    rig.commander.obey(received(&ping), LONG).await.unwrap();
    // The same id again, and expired.
    let late = Request {
        expires_at: Some(ping.sent_at + TimeDelta::milliseconds(1)),
        ..ping.clone()
    };
    tokio::time::sleep(Duration::from_millis(20)).await;
    rig.commander.obey(received(&late), LONG).await.unwrap();
    let Ok(Claim::Known {
        answer: Some(first),
    }) = rig
        .commander
        .outbox
        .claim(ping.request_id.to_string())
        .await
    else {
        unreachable!("it was carried out");
    };
    let payload = rig
        .commander
        .outbox
        .stored_payload(first)
        .await
        .unwrap()
        .unwrap();
    let first: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!(first["code"], "done");
}

#[test]
fn answers_go_below_the_agents_own_result_or_outside_of_the_tree() {
    let (site, agent) = ("north".parse().unwrap(), "box-1".parse().unwrap());
    let allowed = |topic: &str| kakou_contract::command::answer_topic(Some(topic), &site, &agent);
    for topic in [
        "kakou/v1/north/box-1/result",
        "kakou/v1/north/box-1/result/console-7",
        "kakou/v1/north/box-1/result/a/b",
        "platform/answers",
    ] {
        assert_eq!(allowed(topic).as_deref(), Some(topic));
    }
    for topic in [
        "kakou/v1/north/box-1/results",
        "kakou/v1/north/box-1/hit/red/cam-1",
        "kakou/v1/north/box-2/result/console-7",
        "kakou/v1/north/box-1/result/#",
        "kakou/v1/north/box-1/result/+",
    ] {
        assert_eq!(allowed(topic), None, "{topic}");
    }
}

#[tokio::test]
async fn a_refused_response_topic_is_answered_where_answers_go() {
    let rig = rig();
    let mut asked = received(&request(Command::Ping));
    asked.response_topic = Some("kakou/v1/other/box/hit".to_owned());
    rig.commander.obey(asked, LONG).await.unwrap();
    let outbox = &rig.commander.outbox;
    let waiting = outbox
        .fetch(Default::default(), &Priority::ORDER, 10, 1 << 20)
        .await
        .unwrap();
    let mut topics: Vec<&str> = waiting.iter().map(|m| m.envelope.topic.as_str()).collect();
    topics.sort_unstable();
    assert_eq!(
        topics,
        ["kakou/v1/north/box-1/audit", "kakou/v1/north/box-1/result"]
    );
}
