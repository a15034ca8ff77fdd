//! `kakou outbox`: what waits on this box, whether it is whole, and putting it back in line.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use chrono::{DateTime, Local};
use kakou_contract::{AuditEvent, Held, Priority, Sequence};
use kakou_guard::clean_line;
use serde_json::json;

use kakou_time::{Clock, SystemClock};

use super::common::print_line;
use crate::app::notes;
use kakou_outbox::{Inspection, Overview, Repair, RepairOptions, Requeue, repair, requeue};

/// Look at an agent's outbox, on a live or a dead box.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// What waits, what is held and why, what is kept, and how much room there is.
    Status(Status),
    /// Check every message against its hash, the chain, its signature, and the counters. Exit code
    /// 1 on any fault.
    Verify(Verify),
    /// Write messages as JSON lines.
    Export(Export),
    /// Put messages back in line: held ones, or a range that the platform asks for again.
    Requeue(RequeueArgs),
    /// Make a new outbox of all that can be read of a damaged one. No agent may have it open.
    Repair(RepairArgs),
}

#[derive(Debug, clap::Args)]
pub struct State {
    /// The agent's state folder.
    #[arg(
        long,
        value_name = "DIR",
        env = "KAKOU_STATE",
        default_value = "/var/lib/kakou"
    )]
    state: PathBuf,
}

#[derive(Debug, clap::Args)]
pub struct Status {
    #[command(flatten)]
    state: State,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    #[command(flatten)]
    state: State,
}

#[derive(Debug, clap::Args)]
pub struct Export {
    #[command(flatten)]
    state: State,
    /// First sequence number.
    #[arg(long, value_name = "N", default_value_t = 1)]
    first: u64,
    /// Last sequence number. [default: the last there is]
    #[arg(long, value_name = "N")]
    last: Option<u64>,
    /// Only this lane: hit, control, passage or picture.
    #[arg(long)]
    lane: Option<Priority>,
    /// Where to write; `-` is stdout.
    #[arg(long, value_name = "FILE", default_value = "-")]
    out: PathBuf,
    /// Why, for the audit record that the agent makes of it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Write pictures as files into this folder, instead of base64 into the lines.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct RequeueArgs {
    #[command(flatten)]
    state: State,
    /// Only what is held for this reason: not_authorised, too_large, refused or damaged. [default:
    /// all that is held]
    #[arg(long, value_name = "REASON", conflicts_with_all = ["first", "last"])]
    held: Option<Held>,
    /// First sequence number of a range to send again.
    #[arg(long, value_name = "N", requires = "last")]
    first: Option<u64>,
    /// Last sequence number of that range.
    #[arg(long, value_name = "N", requires = "first")]
    last: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct RepairArgs {
    #[command(flatten)]
    state: State,
    /// Whose outbox it is, as in the config; needed where the file does not tell any more.
    #[arg(long, value_name = "SITE/AGENT")]
    agent: Option<String>,
    /// The highest number that the platform has of this agent; new ones are above it, and in any
    /// case far above the last one that is found.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 52))]
    above: u64,
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(a) => status(&a),
        Command::Verify(a) => verify(&a),
        Command::Export(a) => export(&a),
        Command::Repair(a) => mend(a),
        Command::Requeue(a) => {
            let what = match (a.first, a.last) {
                (Some(first), Some(last)) => Requeue::Range { first, last },
                _ => Requeue::Held(a.held),
            };
            print_line(&format!(
                "{} messages are back in line",
                requeue(&a.state.state, what)?
            ))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn time(ms: Option<i64>) -> Option<String> {
    let time = ms
        .and_then(DateTime::from_timestamp_millis)?
        .with_timezone(&Local)
        .fixed_offset();
    Some(kakou_contract::time::to_text(&time))
}

/// What is where, in figures.
pub(super) fn figures(o: &Overview) -> serde_json::Value {
    let lanes: serde_json::Map<_, _> = Priority::ORDER
        .iter()
        .zip(&o.counts)
        .map(|(lane, c)| {
            let places = json!({
                "waiting": c.waiting, "waiting_bytes": c.waiting_bytes, "held": c.held, "held_bytes": c.held_bytes,
                "kept": c.kept, "kept_bytes": c.kept_bytes, "evicted": c.evicted, "evicted_bytes": c.evicted_bytes,
            });
            (lane.as_str().to_owned(), places)
        })
        .collect();
    let held: Vec<_> = o
        .held
        .iter()
        .map(|(reason, n, why)| json!({ "reason": reason, "messages": n, "first": why }))
        .collect();
    json!({
        "file": o.path, "agent": o.agent, "in_use": o.in_use, "sequence": o.head.sequence, "lanes": lanes,
        "oldest": time(o.oldest_ms), "held": held, "used_bytes": o.used_bytes, "file_bytes": o.file_bytes,
        "disk_free_bytes": o.disk_free_bytes, "public_key": o.public_key.as_ref().map(|k| &k.base64),
    })
}

fn status(a: &Status) -> anyhow::Result<ExitCode> {
    let o = Inspection::open(&a.state.state)?.overview()?;
    if a.json {
        print_line(&figures(&o).to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let live = if o.in_use {
        "in use by an agent"
    } else {
        "no agent has it open"
    };
    print_line(&format!(
        "{}  {}  {live}",
        o.path.display(),
        o.agent.as_deref().unwrap_or("no agent yet")
    ))?;
    print_line(&format!(
        "{:<10}{:>16}{:>16}{:>16}{:>16}",
        "lane", "waiting", "held", "kept", "evicted"
    ))?;
    for (lane, c) in Priority::ORDER.iter().zip(&o.counts) {
        let cell = |n: u64, bytes: u64| {
            if n == 0 {
                "-".to_owned()
            } else {
                format!("{n} ({})", size(bytes))
            }
        };
        print_line(&format!(
            "{:<10}{:>16}{:>16}{:>16}{:>16}",
            lane.as_str(),
            cell(c.waiting, c.waiting_bytes),
            cell(c.held, c.held_bytes),
            cell(c.kept, c.kept_bytes),
            cell(c.evicted, c.evicted_bytes)
        ))?;
    }
    for (reason, n, why) in &o.held {
        print_line(&format!("held as {reason}: {n}; the first: {why}"))?;
    }
    print_line(&format!(
        "last number {}; oldest waiting {}",
        o.head.sequence,
        time(o.oldest_ms).as_deref().unwrap_or("-")
    ))?;
    let free = o.disk_free_bytes.map_or("?".to_owned(), size);
    print_line(&format!(
        "{} in use of a file of {}; {free} free on the disk",
        size(o.used_bytes),
        size(o.file_bytes)
    ))?;
    print_line(&format!(
        "public key {}",
        o.public_key.map_or("-".to_owned(), |k| k.base64)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..0x10_0000 => format!("{} KiB", bytes >> 10),
        0x10_0000..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

fn verify(a: &Verify) -> anyhow::Result<ExitCode> {
    let shown = std::io::stderr().is_terminal();
    let verdict = Inspection::open(&a.state.state)?.verify(|n| {
        if shown && n.is_multiple_of(10_000) {
            eprint!("\r{n} messages");
        }
    })?;
    if shown {
        eprint!("\r");
    }
    for fault in &verdict.faults {
        print_line(&clean_line(&format!("FAULT {fault}")))?;
    }
    let (messages, head, gone) = (verdict.messages, verdict.head, verdict.gone);
    let word = if verdict.is_whole() {
        "whole"
    } else {
        "NOT whole"
    };
    print_line(&format!(
        "{messages} messages up to number {head}, {gone} deleted or reported lost: the chain is {word}"
    ))?;
    Ok(if verdict.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn mend(a: RepairArgs) -> anyhow::Result<ExitCode> {
    let shown = std::io::stderr().is_terminal();
    let done = repair(
        &a.state.state,
        &RepairOptions {
            agent: a.agent,
            above: a.above,
        },
        |n| {
            if shown && n.is_multiple_of(10_000) {
                eprint!("\r{n} messages");
            }
        },
    )?;
    if shown {
        eprint!("\r");
    }
    let repaired = match done {
        Repair::NotNeeded { messages } => {
            print_line(&format!(
                "{messages} messages, and the chain is whole: nothing to repair, nothing was changed"
            ))?;
            return Ok(ExitCode::SUCCESS);
        }
        Repair::Done(repaired) => repaired,
    };
    for [first, last] in &repaired.lost {
        print_line(&format!("LOST {first} to {last}"))?;
    }
    let lost: u64 = repaired
        .lost
        .iter()
        .map(|[first, last]| last - first + 1)
        .sum();
    print_line(&format!(
        "{} messages saved, {lost} lost; numbers go on at {}",
        repaired.messages, repaired.next
    ))?;
    if let Some(aside) = &repaired.aside {
        print_line(&format!("the damaged file is kept as {}", aside.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The agent makes an audit record of it. A copy of a dead box, where nobody can write, is exported
/// all the same.
fn note_export(a: &Export) {
    let last = a
        .last
        .unwrap_or(Sequence::MAX.get())
        .min(Sequence::MAX.get());
    let event = AuditEvent::Export {
        by: notes::user(),
        reason: a.reason.clone(),
        first: Sequence::new(a.first).unwrap_or(Sequence::MIN),
        last: Sequence::new(last).unwrap_or(Sequence::MAX),
    };
    if let Err(e) = notes::leave(&a.state.state, event, SystemClock::default().wall()) {
        eprintln!("kakou: no audit record of this export is made: {e:#}");
    }
}

fn export(a: &Export) -> anyhow::Result<ExitCode> {
    let inspection = Inspection::open(&a.state.state)?;
    note_export(a);
    let to_stdout = a.out.as_os_str() == "-";
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(std::io::stdout().lock())
    } else {
        Box::new(
            kakou_guard::file::create(&a.out, 0o640)
                .with_context(|| a.out.display().to_string())?,
        )
    };
    if let Some(dir) = &a.pictures {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let picture = |sequence: u64, content_type: &str, bytes: &[u8]| {
        let Some(dir) = &a.pictures else {
            return Ok(None);
        };
        let extension = if content_type == "image/jpeg" {
            "jpg"
        } else {
            "bin"
        };
        let file = dir.join(format!("{sequence}.{extension}"));
        kakou_guard::file::write(&file, bytes, 0o640)?;
        Ok(Some(file.display().to_string()))
    };
    let count = inspection.export(a.first, a.last.unwrap_or(u64::MAX), a.lane, picture, |v| {
        writeln!(out, "{v}")
    })?;
    out.flush()?;
    if !to_stdout {
        print_line(&format!("{count} messages in {}", a.out.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}
