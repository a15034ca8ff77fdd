//! The screen of `kakou status`. Pure: from a status to lines.

use chrono::{DateTime, FixedOffset, TimeDelta};
use kakou_contract::{CameraStatus, ClockState, Health, PartState};
use unicode_width::UnicodeWidthStr as _;

use super::table::clean;
use crate::app::web::LocalStatus;

const NONE: &str = "—";
const GIB: f64 = (1_u64 << 30) as f64;

/// All that is worth knowing, on one screen.
pub fn screen(local: &LocalStatus, coloured: bool) -> Vec<String> {
    let s = &local.status;
    let now = s.time;
    let mut lines = vec![format!(
        "{}/{}  {}  {} {}, up {}  {}",
        s.site,
        s.agent,
        painted(s.health.as_str(), s.health, coloured),
        clean(&s.software.name),
        clean(&s.software.version),
        span(now - s.started_at),
        now.format("%Y-%m-%d %H:%M:%S %:z")
    )];
    for reason in &local.reasons {
        lines.push(format!("  ! {}", clean(reason)));
    }
    lines.push(String::new());
    lines.extend(cameras(local, coloured));
    lines.push(String::new());
    lines.push(broker(local));
    if let Some(disk) = &s.disk {
        lines.push(format!(
            "disk       {:.1} of {:.1} GiB free",
            disk.free_bytes as f64 / GIB,
            disk.total_bytes as f64 / GIB
        ));
    }
    if let Some(clock) = s.clock {
        let offset = clock
            .offset_ms
            .filter(|_| clock.state == ClockState::Synchronised);
        let offset = offset.map_or(String::new(), |ms| format!(", off by {ms} ms"));
        lines.push(format!("clock      {}{offset}", clock.state));
    }
    if let Some(list) = &s.watchlist {
        let since = list.modified.map_or(String::new(), |at| {
            format!(", written {}", at.format("%Y-%m-%d %H:%M"))
        });
        let (entries, file) = (list.entries, clean(&list.file));
        lines.push(format!("watchlist  {entries} plates, {file}{since}"));
    }
    let models: Vec<String> = s
        .models
        .iter()
        .map(|m| format!("{} {}", clean(&m.name), clean(&m.version)))
        .collect();
    if !models.is_empty() {
        lines.push(format!("models     {}", models.join(", ")));
    }
    let restarted = s
        .parts
        .iter()
        .filter(|p| p.restarts > 0 || p.state == PartState::Failing);
    for part in restarted {
        lines.push(format!(
            "part       {} {}, started anew {} times{}",
            clean(&part.name),
            part.state,
            part.restarts,
            part.detail
                .as_ref()
                .map_or(String::new(), |d| format!(": {}", clean(d)))
        ));
    }
    lines
}

fn broker(local: &LocalStatus) -> String {
    let s = &local.status;
    let mut line = format!("broker     {}", clean(&local.uplink));
    if let Some(since) = s.uplink.as_ref().and_then(|u| u.connected_since) {
        line.push_str(&format!(" for {}", span(s.time - since)));
    }
    if let Some(outbox) = &s.outbox {
        line.push_str(&format!(
            "; {} waiting, {} of them hits",
            outbox.waiting, outbox.waiting_hits
        ));
        if let Some(oldest) = outbox.oldest {
            line.push_str(&format!(", the oldest for {}", span(s.time - oldest)));
        }
        if outbox.evicted > 0 {
            line.push_str(&format!("; {} given up ever", outbox.evicted));
        }
    }
    line
}

fn cameras(local: &LocalStatus, coloured: bool) -> Vec<String> {
    const HEADINGS: [&str; 9] = [
        "camera",
        "state",
        "for",
        "fps",
        "looks/s",
        "passages",
        "read",
        "last passage",
        "last read",
    ];
    let s = &local.status;
    let rows: Vec<(Health, [String; 9])> = s
        .cameras
        .iter()
        .map(|camera| (camera.health, row(local, camera)))
        .collect();
    let mut widths = HEADINGS.map(|h| h.width());
    for (_, row) in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let padded = |cell: &str, at: usize| {
        let gap = " ".repeat(widths[at].saturating_sub(cell.width()));
        match at {
            // Numbers stand under one another by their last digit.
            2..=6 => format!("{gap}{cell}"),
            _ => format!("{cell}{gap}"),
        }
    };
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(at, c)| padded(c, at))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![line(&HEADINGS.map(str::to_owned))];
    for (health, row) in &rows {
        let text = line(row);
        // After the widths were taken: what paints takes no room.
        let state = row[1].as_str();
        lines.push(text.replacen(state, &painted(state, *health, coloured), 1));
    }
    lines
}

fn row(local: &LocalStatus, camera: &CameraStatus) -> [String; 9] {
    let now = local.status.time;
    let traffic = local
        .traffic
        .iter()
        .find(|t| t.camera == camera.camera.as_str());
    let rate = |value: Option<kakou_contract::PerSecond>| {
        value.map_or(NONE.to_owned(), |f| format!("{:.1}", f.get()))
    };
    let ago = |time: Option<DateTime<FixedOffset>>| {
        time.map_or(NONE.to_owned(), |t| format!("{} ago", span(now - t)))
    };
    // A status that came from the broker does not say what passed.
    let nothing = if local.traffic.is_empty() { NONE } else { "0" };
    let count = |n: Option<u64>| n.map_or(nothing.to_owned(), |n| n.to_string());
    [
        camera.camera.to_string(),
        camera
            .state
            .map_or(camera.health.as_str(), |s| s.as_str())
            .to_owned(),
        camera.since.map_or(NONE.to_owned(), |t| span(now - t)),
        rate(camera.fps),
        rate(camera.fps_looked),
        count(traffic.map(|t| t.passages)),
        count(traffic.map(|t| t.read)),
        ago(traffic.and_then(|t| t.last_passage)),
        ago(traffic.and_then(|t| t.last_read)),
    ]
}

/// The two largest units of a time: `3 d 4 h`, `12 s`.
fn span(time: TimeDelta) -> String {
    let seconds = time.num_seconds().max(0);
    let (d, h, m, s) = (
        seconds / 86_400,
        seconds / 3600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, m) => format!("{m} min {s} s"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

fn painted(text: &str, health: Health, coloured: bool) -> String {
    let colour = match health {
        _ if !coloured => return text.to_owned(),
        Health::Ok => 32,
        Health::Degraded => 33,
        Health::Failed => 31,
    };
    format!("\x1b[1;{colour}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_contract::{Message as _, StatusMessage};

    use super::*;
    use crate::app::web::Traffic;

    fn local() -> LocalStatus {
        let golden = include_bytes!("../../contract/golden/status-online.json");
        let status = StatusMessage::from_json(golden).unwrap();
        LocalStatus {
            traffic: vec![Traffic {
                camera: status.cameras[0].camera.to_string(),
                passages: 1204,
                read: 1190,
                hits: 3,
                last_passage: Some(status.time - TimeDelta::seconds(75)),
                last_read: Some(status.time - TimeDelta::minutes(190)),
            }],
            reasons: vec!["cam-2: \x1b[2Jgone".to_owned()],
            uplink: "connected".to_owned(),
            status,
        }
    }

    #[test]
    fn it_says_of_each_camera_what_passed_and_when() {
        let lines = screen(&local(), false);
        let all = lines.join("\n");
        let camera = lines.iter().find(|l| l.starts_with("cam-1")).unwrap();
        for part in ["1204", "1190", "1 min 15 s ago", "3 h 10 min ago"] {
            assert!(camera.contains(part), "{part}\n{all}");
        }
        assert!(all.contains("broker     connected"), "{all}");
    }

    #[test]
    fn nothing_that_came_from_outside_steers_the_terminal() {
        assert!(!screen(&local(), false).join("").contains('\x1b'));
    }

    #[test]
    fn columns_stand_under_their_headings_whether_painted_or_not() {
        let plain = screen(&local(), false);
        let painted = screen(&local(), true);
        let unpainted: Vec<String> = painted
            .iter()
            .map(|line| {
                let mut text = line.clone();
                for code in ["\x1b[1;31m", "\x1b[1;32m", "\x1b[1;33m", "\x1b[0m"] {
                    text = text.replace(code, "");
                }
                text
            })
            .collect();
        assert_eq!(plain, unpainted);
        let heading = plain.iter().position(|l| l.starts_with("camera ")).unwrap();
        let at = plain[heading].find("last passage").unwrap();
        let under: String = plain[heading + 1].chars().skip(at).take(12).collect();
        assert_eq!(under, "1 min 15 s a");
    }

    #[test]
    fn a_time_is_told_by_its_two_largest_units() {
        let told = |s| span(TimeDelta::seconds(s));
        assert_eq!(
            [told(-5), told(59), told(61), told(3700), told(270_000)],
            ["0 s", "59 s", "1 min 1 s", "1 h 1 min", "3 d 3 h"]
        );
    }
}
