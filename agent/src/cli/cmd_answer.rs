//! An agent's answer in words. Pure; whoever prints it takes out what may steer a terminal.

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kakou_contract::{CommandName, ResultMessage};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What became of a command that was carried out.
pub fn told(
    command: CommandName,
    answer: &ResultMessage,
    data: Option<&Value>,
    after: Duration,
) -> Vec<String> {
    let null = Value::Null;
    let data = data.unwrap_or(&null);
    match command {
        CommandName::Ping => {
            let clock = answer.time.format("%Y-%m-%d %H:%M:%S%.3f %:z");
            let ms = after.as_secs_f64() * 1e3;
            vec![format!("answers after {ms:.0} ms; its clock says {clock}")]
        }
        CommandName::Resend => resend(data),
        CommandName::Retention => {
            let of = |key: &str| data[key].as_u64().map_or("?".to_owned(), span);
            vec![format!(
                "keeps passages for {} and hits for {}",
                of("passage_minutes"),
                of("hit_minutes")
            )]
        }
        CommandName::Reload => reload(data),
        CommandName::Answer => verdict(data),
        CommandName::Status | CommandName::Snapshot => Vec::new(),
    }
}

/// Minutes as people say them.
fn span(minutes: u64) -> String {
    match minutes {
        m if m % 60 == 0 => format!("{} h", m / 60),
        m => format!("{m} min"),
    }
}

fn resend(data: &Value) -> Vec<String> {
    let messages = data["messages"].as_u64().unwrap_or(0);
    let mut lines = vec![format!("puts {messages} messages back in line")];
    let ranges = data["missing"].as_array().into_iter().flatten();
    let missing: Vec<String> = ranges
        .filter_map(|range| {
            let (first, last) = (range[0].as_u64()?, range[1].as_u64()?);
            Some(match first == last {
                true => first.to_string(),
                false => format!("{first} to {last}"),
            })
        })
        .collect();
    if !missing.is_empty() {
        lines.push(format!("has no longer: {}", missing.join(", ")));
    }
    lines
}

fn texts(data: &Value) -> Vec<&str> {
    let all = data.as_array().into_iter().flatten();
    all.filter_map(Value::as_str).collect()
}

fn reload(data: &Value) -> Vec<String> {
    let changed = texts(&data["read_again"]);
    let mut lines = vec![match changed.is_empty() {
        true => "has read its config again; nothing of it changed".to_owned(),
        false => format!(
            "has read its config again; taken in anew: {}",
            changed.join(", ")
        ),
    }];
    for (key, word) in [("cameras_ended", "ended"), ("cameras_started", "started")] {
        let cameras = texts(&data[key]);
        if !cameras.is_empty() {
            lines.push(format!("cameras {word}: {}", cameras.join(", ")));
        }
    }
    lines
}

fn verdict(data: &Value) -> Vec<String> {
    if data["counted"] != true {
        let why = data["detail"].as_str().unwrap_or("recorded, not counted");
        return vec![why.to_owned()];
    }
    let counts = |of: &Value| {
        let all = of.as_object().into_iter().flatten();
        let words: Vec<String> = all
            .filter_map(|(verdict, n)| Some(format!("{} {verdict}", n.as_u64()?)))
            .collect();
        words.join(", ")
    };
    let mut lines = vec![format!(
        "recorded; so far for this entry: {}; for this camera: {}",
        counts(&data["entry"]),
        counts(&data["camera"])
    )];
    if data["raised"] == true {
        lines.push("this entry must be read more surely from now on".to_owned());
    }
    lines
}

/// The picture of a snapshot's answer, and when it was taken. Its bytes are what the agent says
/// they are, and a JPEG.
pub fn picture(data: Option<&Value>) -> anyhow::Result<(Vec<u8>, Option<String>)> {
    let data = data.context("it has no `data`")?;
    let text = data["base64"].as_str().context("it has no `base64`")?;
    let bytes = STANDARD
        .decode(text)
        .context("its `base64` cannot be read")?;
    let kind = data["content_type"].as_str().unwrap_or_default();
    ensure!(
        kind == "image/jpeg" && bytes.starts_with(&[0xff, 0xd8]),
        "it is no JPEG"
    );
    let sha: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    ensure!(
        data["sha256"].as_str() == Some(sha.as_str()),
        "its bytes are not those of its `sha256`"
    );
    Ok((bytes, data["time"].as_str().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kakou_contract::Message;
    use serde_json::json;

    use super::*;

    fn lines(command: CommandName, data: Value) -> String {
        let answer = include_bytes!("../../contract/golden/result.json");
        let answer = ResultMessage::from_json(answer).unwrap();
        told(command, &answer, Some(&data), Duration::from_millis(42)).join("\n")
    }

    #[test]
    fn answers_are_told_in_words() {
        let ping = lines(CommandName::Ping, Value::Null);
        assert_eq!(
            ping,
            "answers after 42 ms; its clock says 2031-05-04 09:15:00.000 +08:00"
        );
        let data = json!({ "messages": 2, "missing": [[1002, 1004], [7, 7]] });
        assert_eq!(
            lines(CommandName::Resend, data),
            "puts 2 messages back in line\nhas no longer: 1002 to 1004, 7"
        );
        let data = json!({ "passage_minutes": 90, "hit_minutes": 120 });
        assert_eq!(
            lines(CommandName::Retention, data),
            "keeps passages for 90 min and hits for 2 h"
        );
        let data =
            json!({ "read_again": ["limits"], "cameras_ended": [], "cameras_started": ["b"] });
        assert_eq!(
            lines(CommandName::Reload, data),
            "has read its config again; taken in anew: limits\ncameras started: b"
        );
        let data = json!({ "counted": true, "entry": { "confirmed": 1, "wrong_plate": 3 },
                           "camera": { "confirmed": 9 }, "raised": true });
        assert_eq!(
            lines(CommandName::Answer, data),
            "recorded; so far for this entry: 1 confirmed, 3 wrong_plate; for this camera: \
             9 confirmed\nthis entry must be read more surely from now on"
        );
    }

    #[test]
    fn nothing_that_an_agent_answers_breaks_the_words() {
        for command in CommandName::ALL {
            for data in [
                Value::Null,
                json!([1]),
                json!({ "missing": [[]], "entry": 3 }),
            ] {
                let _ = lines(*command, data);
            }
        }
    }

    #[test]
    fn a_picture_is_what_its_digest_says() {
        let bytes = b"\xff\xd8picture".to_vec();
        let sha: String = Sha256::digest(&bytes)
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        let good = json!({ "time": "T", "content_type": "image/jpeg", "sha256": sha,
                           "base64": STANDARD.encode(&bytes) });
        let (read, time) = picture(Some(&good)).unwrap();
        assert_eq!((read, time.as_deref()), (bytes, Some("T")));
        for (key, value) in [
            ("sha256", json!("00")),
            ("base64", json!("?")),
            ("base64", json!(STANDARD.encode(b"#!/bin/sh"))),
            ("content_type", json!("text/html")),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(picture(Some(&bad)).is_err(), "{key}");
        }
        assert!(picture(None).is_err());
    }
}
