//! What `kakou support` packs. Each part stands for itself: one that cannot be had is named with
//! the reason, and the others are there all the same. Every text passes [`scrub`].

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use kakou_guard::file::read_bounded;
use kakou_outbox::Inspection;
use kakou_time::SharedClock;
use serde_json::{Value, json};

use super::outbox::figures;
use super::status;
use super::support_machine::{files, machine};
use super::support_scrub::{scrub, scrub_json};
use crate::check::{Depth, check};
use crate::config;
use crate::doctor::{self, Limits, examine};

/// The most that is taken of the journal.
const JOURNAL_LINES: &str = "50000";
const JOURNAL_BYTES: u64 = 32 << 20;
/// How long the doctor may try things.
const LIMITS: Limits = Limits {
    picture: Duration::from_secs(10),
    listen: Duration::from_secs(4),
    broker: Duration::from_secs(10),
};

/// Which box it is about.
pub struct Patient {
    pub config: PathBuf,
    pub state: PathBuf,
    /// The state folder, where it is not the config's own.
    pub given_state: Option<PathBuf>,
    /// Try broker and cameras too.
    pub network: bool,
    pub hours: u32,
}

/// One file of the archive.
pub struct Part {
    pub name: &'static str,
    pub about: &'static str,
    /// `Err`: why it cannot be had.
    pub content: Result<String, String>,
}

pub fn collect(patient: &Patient, clock: &SharedClock) -> Vec<Part> {
    let part = |name, about, content: anyhow::Result<String>| Part {
        name,
        about,
        content: content.map_err(|e| scrub(&format!("{e:#}")).replace('\n', " ")),
    };
    vec![
        part(
            "version.txt",
            "versions of kakou, ffmpeg and the system",
            Ok(versions()),
        ),
        part(
            "config.toml",
            "the config without secrets and comments",
            masked(&patient.config),
        ),
        part(
            "check-config.json",
            "what `kakou check-config` finds",
            checked(patient, clock),
        ),
        part(
            "doctor.json",
            "what `kakou doctor` finds",
            examined(patient, clock),
        ),
        part(
            "status.json",
            "what the running agent says of itself",
            asked(&patient.state, "/status").and_then(|text| of_json(&text)),
        ),
        part(
            "metrics.txt",
            "the figures of the running agent",
            asked(&patient.state, "/metrics").map(|text| scrub(&text)),
        ),
        part(
            "outbox.json",
            "how many messages wait, are held and are kept",
            outbox(&patient.state),
        ),
        part(
            "journal.txt",
            "the service's journal",
            journal(patient.hours),
        ),
        part(
            "machine.txt",
            "processor, memory, disk room, clock",
            Ok(scrub(&machine(patient, clock))),
        ),
        part(
            "files.txt",
            "names, sizes and rights of files; not what is in them",
            Ok(scrub(&files(patient))),
        ),
    ]
}

/// The first line of what a program says.
fn first_line(program: &str, args: &[&str]) -> String {
    let said = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output();
    match said {
        Ok(o) => {
            let text = String::from_utf8_lossy(&o.stdout).into_owned();
            let line = text.lines().next().unwrap_or_default();
            scrub(line)
        }
        Err(e) => format!("{program}: {e}"),
    }
}

fn versions() -> String {
    let ffmpeg = std::env::var("KAKOU_FFMPEG").unwrap_or_else(|_| "ffmpeg".to_owned());
    let mut text = format!("kakou {}\n", crate::LONG_VERSION);
    text += &format!("{}\n", first_line(&ffmpeg, &["-version"]));
    text += &format!("{}\n", first_line("systemctl", &["--version"]));
    for file in ["/proc/version", "/etc/os-release"] {
        let read = std::fs::read_to_string(file).unwrap_or_default();
        let lines = read
            .lines()
            .filter(|l| file == "/proc/version" || l.starts_with("PRETTY"));
        lines.for_each(|line| text += &format!("{line}\n"));
    }
    text
}

fn masked(file: &Path) -> anyhow::Result<String> {
    let bytes = read_bounded(file, config::LARGEST)?;
    let text = String::from_utf8(bytes).with_context(|| format!("{}: no UTF-8", file.display()))?;
    let text = text.trim_start_matches('\u{feff}');
    config::masked(text, &scrub).with_context(|| {
        let file = file.display();
        format!("{file} is no TOML, so secrets cannot be told from the rest; see check-config.json")
    })
}

fn pretty(value: Value) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&scrub_json(value))? + "\n")
}

fn of_json(text: &str) -> anyhow::Result<String> {
    pretty(serde_json::from_str(text)?)
}

fn checked(patient: &Patient, clock: &SharedClock) -> anyhow::Result<String> {
    let (report, _) = check(&patient.config, Depth::Files, &**clock);
    pretty(json!({
        "file": patient.config,
        "usable": report.is_usable(),
        "findings": report.notes,
        "seen": report.seen,
    }))
}

fn examined(patient: &Patient, clock: &SharedClock) -> anyhow::Result<String> {
    let doctors = doctor::Patient {
        config: patient.config.clone(),
        state: patient.given_state.clone(),
        brokers: patient.network,
        cameras: patient.network,
        limits: LIMITS,
    };
    let mut findings = Vec::new();
    examine(&doctors, clock, &mut |finding| findings.push(finding));
    pretty(json!({ "network": patient.network, "findings": findings }))
}

fn asked(state: &Path, what: &str) -> anyhow::Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(status::fetch(state, what))?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn outbox(state: &Path) -> anyhow::Result<String> {
    pretty(figures(&Inspection::open(state)?.overview()?))
}

/// Without what the log says only for those who read the code: it may take a plate apart into its
/// characters, which nobody finds by their form.
fn journal(hours: u32) -> anyhow::Result<String> {
    let since = format!("-{hours}h");
    let mut child = Command::new("journalctl")
        .args([
            "--unit",
            "kakou",
            "--since",
            &since,
            "--lines",
            JOURNAL_LINES,
        ])
        .args([
            "--priority",
            "info",
            "--output",
            "short-iso",
            "--no-pager",
            "--quiet",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("journalctl cannot be started")?;
    let mut bytes = Vec::new();
    let read = match child.stdout.take() {
        Some(stdout) => stdout.take(JOURNAL_BYTES).read_to_end(&mut bytes),
        None => Ok(0),
    };
    // More than that is not wanted.
    let _ = child.kill();
    let ended = child.wait();
    read.context("journalctl")?;
    if bytes.is_empty() {
        let why = ended.map_or(String::new(), |status| format!(" (journalctl: {status})"));
        bail!("there is nothing of the last {hours} h that this user may read{why}");
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| scrub(line) + "\n");
    Ok(lines.collect())
}
