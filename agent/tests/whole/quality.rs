//! The report of a day, over a real midnight. The real binary, a clock that Debian's faketime sets.

use crate::agent::{Checkpoint, on};
use kakou_contract::{AuditEvent, AuditMessage, PassageMessage, QualityReport};
use kakou_uplink::Received;

fn report(m: &Received) -> Option<QualityReport> {
    match on::<AuditMessage>(m, "/audit")?.event {
        AuditEvent::Quality(report) => Some(report),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_reported_after_its_midnight_with_what_passed() {
    let mut gate = Checkpoint::new("loop = true").await;
    // The wall clock alone: half a minute before midnight.
    let library = crate::clock::faketime().display().to_string();
    let _agent = gate.start_with(&[
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME", "@2031-05-03 23:59:30"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("TZ", "Asia/Shanghai"),
    ]);
    let _: PassageMessage = gate.next("passage", |m| on(m, "/passage/cam-1")).await;
    let report = gate.next("report", report).await;
    let date = |time: chrono::DateTime<chrono::FixedOffset>| time.format("%F %T").to_string();
    assert_eq!(date(report.until), "2031-05-04 00:00:00");
    assert!(
        date(report.from).starts_with("2031-05-03 23:59:3"),
        "{report:?}"
    );
    let passages: u64 = report.lanes.iter().map(|l| l.passages).sum();
    let read: u64 = report.lanes.iter().map(|l| l.read).sum();
    assert!(passages >= read && read > 0, "{report:?}");
    assert!(
        report.lanes.iter().all(|l| l.before.is_none()),
        "{report:?}"
    );
    let lane = report.lanes.iter().find(|l| l.read > 0).unwrap();
    assert!(lane.plate_width.is_some_and(|w| w.get() > 20.0), "{lane:?}");
    let camera = &report.cameras[0];
    assert!(
        camera.camera.as_str() == "cam-1" && camera.looked > 0,
        "{camera:?}"
    );
    assert!((20..=40).contains(&report.covered_s), "{report:?}");
    assert!(gate.path("state/quality.json").is_file());
}
