//! `kakou replay`: a recording through the whole path.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, FixedOffset};
use indicatif::{ProgressBar, ProgressStyle};
use kakou_contract::{EvidenceRole, Message, PassageMessage};

use super::broker::BrokerUrl;
use super::common::{ConfigArgs, print_line};
use super::send::Sender;
use super::table::{Table, clean, print};
use crate::config::Config;
use crate::measure::replay::{ReplayEvent, Summary, replay};
use crate::measure::truth::{Comparison, compare, read};
use crate::pipeline::{Pipeline, Record};
use kakou_sight::camera::Assumed;
use kakou_sight::evidence::jpeg;
use kakou_uplink::UplinkConfig;

/// Run a recording through the whole path and show or send its passages.
///
/// PATH is a folder of JPEG or PNG frames in natural order (times from a frames.jsonl beside them,
/// else from --fps), or a video file (decoded by ffmpeg, true frame times kept). The same input and
/// config give the same passages, byte for byte.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of frames, or video file.
    path: PathBuf,
    #[command(flatten)]
    config: ConfigArgs,
    /// Camera of the config whose lanes and masks hold. [default: the config's only camera]
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// Publish the passages and their pictures to this MQTT 5 broker, e.g. mqtt://127.0.0.1:1883.
    #[arg(long, value_name = "URL")]
    broker: Option<BrokerUrl>,
    /// State folder of the outbox that is sent from; what is not acknowledged stays there.
    /// [default: a temporary folder, which is kept only if something was not acknowledged]
    #[arg(long, value_name = "DIR")]
    outbox: Option<PathBuf>,
    /// Print one passage message a line (JSON) on stdout, and nothing else.
    #[arg(long)]
    json: bool,
    /// Compare with the passages known to be in the recording: matched, missed, extra, duplicate.
    /// Exit code 1 if any was missed, extra or duplicate. With --json this goes to stderr.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// With --truth: by how many characters a text may be off.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "truth")]
    tolerance: usize,
    /// Frames a second of a folder without frames.jsonl.
    #[arg(long, default_value_t = 25.0, value_parser = positive)]
    fps: f64,
    /// Capture time of the first frame of a recording that carries no times (RFC 3339).
    #[arg(long, value_name = "TIME", default_value = "2000-01-01T00:00:00+00:00")]
    start: DateTime<FixedOffset>,
    /// Write each passage's pictures, the annotated frame among them, into this folder.
    #[arg(long, value_name = "DIR")]
    evidence: Option<PathBuf>,
}

pub(super) fn positive(s: &str) -> Result<f64, String> {
    match s.parse::<f64>() {
        Ok(v) if v.is_finite() && v > 0.0 && v <= 1000.0 => Ok(v),
        _ => Err(format!(
            "`{s}` is no frame rate (more than 0, at most 1000 frames a second)"
        )),
    }
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.config.load()?;
    let known = args
        .truth
        .as_ref()
        .map(|t| read(t, &args.path))
        .transpose()?;
    let camera = choose_camera(&config, args.camera.as_deref())?;
    let mut pipeline = Pipeline::open(&config, &camera)?;
    let given = args.broker.as_ref().map(BrokerUrl::address).transpose()?;
    let client_id = format!("kakou-replay-{}", config.agent);
    let uplink = match given {
        Some(address) => Some(UplinkConfig::new(vec![address], client_id)),
        None => config
            .broker
            .as_ref()
            .map(|broker| broker.uplink(client_id)),
    };
    let mut sender = uplink
        .map(|u| Sender::connect(u, &config, args.outbox.as_deref()))
        .transpose()?;
    let bar = if args.json {
        ProgressBar::hidden()
    } else {
        progress()
    };
    let mut table = (!args.json).then(Table::for_stdout);
    let mut messages: Vec<PassageMessage> = Vec::new();
    let assumed = Assumed {
        start: args.start,
        fps: args.fps,
    };
    let summary = replay(
        &args.path,
        assumed,
        &mut pipeline,
        |event| -> anyhow::Result<()> {
            match event {
                ReplayEvent::Progress(done, total) => advance(&bar, done, total),
                ReplayEvent::Broken(what) => bar.suspend(|| eprintln!("kakou: skipped {what}")),
                ReplayEvent::Record(record) => {
                    if let Some(dir) = &args.evidence {
                        write_pictures(dir, &record)?;
                    }
                    if let Some(s) = &mut sender {
                        s.send(&record)?;
                    }
                    match &mut table {
                        Some(t) => print(&t.passage(&record.message), Some(&bar))?,
                        None => print_line(&String::from_utf8(record.message.to_json()?)?)?,
                    }
                    messages.push(record.message);
                }
            }
            Ok(())
        },
    )?;
    bar.finish_and_clear();
    if let Some(s) = sender {
        s.finish(Duration::from_secs(30))?;
    }
    if !args.json {
        let broken = summary.broken.len();
        print_line(&format!(
            "{} frames, {broken} broken, {} passages",
            summary.frames, summary.passages
        ))?;
        if let Some(dir) = args.evidence.as_ref().filter(|_| summary.passages > 0) {
            print_line(&format!("pictures in {}", dir.display()))?;
        }
    }
    if let Some(hint) = hint(&args.path, &summary) {
        eprintln!("kakou: {hint}");
    }
    let Some(known) = known else {
        return Ok(ExitCode::SUCCESS);
    };
    let comparison = compare(
        &known,
        &messages,
        summary.start.unwrap_or(args.start),
        args.tolerance,
    );
    if args.json {
        eprintln!("{}", serde_json::to_string(&comparison)?);
    } else {
        show(&comparison)?;
    }
    Ok(if comparison.is_perfect() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What may be the matter with a recording that gave little.
fn hint(path: &Path, summary: &Summary) -> Option<String> {
    let shown = clean(&path.display().to_string());
    let has_times = path.join("frames.jsonl").is_file();
    let is_folder = path.is_dir() || (path.is_file() && summary.frames == 1);
    if is_folder && !has_times && (summary.sizes_differ || summary.passages == 0) {
        return Some(format!(
            "{shown}: a film is asked for, in which a vehicle is seen again and again; for single \
             pictures use `kakou read {shown}`"
        ));
    }
    (summary.passages == 0 && summary.frames > 0).then(|| {
        format!(
            "{shown}: nothing passed. Without --config the whole picture counts, with it the lanes \
             do: `kakou camera snapshot` draws them. `--log kakou=debug` tells what was followed and \
             why it was no passage"
        )
    })
}

/// The camera whose lanes hold: the one named, or the only one.
pub fn choose_camera(
    config: &Config,
    id: Option<&str>,
) -> anyhow::Result<crate::config::CameraConfig> {
    let known = || {
        config
            .cameras
            .iter()
            .map(|c| c.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (id, config.cameras.as_slice()) {
        (Some(id), []) => Ok(crate::config::CameraConfig::plain(id)),
        (Some(id), cameras) => cameras
            .iter()
            .find(|c| c.id == id)
            .cloned()
            .with_context(|| {
                format!(
                    "--camera {id}: the config has no such camera; it has {}",
                    known()
                )
            }),
        (None, [only]) => Ok(only.clone()),
        (None, []) => Ok(crate::config::CameraConfig::plain("replay")),
        (None, _) => anyhow::bail!(
            "the config has several cameras; say which by --camera: {}",
            known()
        ),
    }
}

pub fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} frames  {per_sec}  {eta} left");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

pub fn advance(bar: &ProgressBar, done: u64, total: Option<u64>) {
    if bar.length() == Some(0)
        && let Some(n) = total
    {
        bar.set_length(n);
    }
    bar.set_position(done);
}

/// `<time>-<id>-frame.jpg`, `-plate.jpg`, `-thumbnail.jpg`, `-annotated.jpg`.
pub fn write_pictures(dir: &std::path::Path, record: &Record) -> anyhow::Result<()> {
    let place = || format!("writing pictures to {}", dir.display());
    std::fs::create_dir_all(dir).with_context(place)?;
    let m = &record.message;
    let stem = format!("{}-{}", m.time.format("%Y%m%dT%H%M%S%3f"), m.id);
    for p in &record.pictures {
        let role = match p.role {
            EvidenceRole::Frame => "frame",
            EvidenceRole::Plate => "plate",
            EvidenceRole::Thumbnail => "thumbnail",
        };
        kakou_guard::file::write(&dir.join(format!("{stem}-{role}.jpg")), &p.bytes, 0o640)
            .with_context(place)?;
    }
    let annotated = jpeg(&record.annotated()?, 85)?;
    kakou_guard::file::write(
        &dir.join(format!("{stem}-annotated.jpg")),
        &annotated,
        0o640,
    )
    .with_context(place)
}

fn show(c: &Comparison) -> anyhow::Result<()> {
    print_line(&format!("matched     {} of {}", c.matched, c.passages))?;
    for (what, list) in [
        ("missed", &c.missed),
        ("extra", &c.extra),
        ("duplicate", &c.duplicate),
        ("other lane", &c.wrong_lane),
        ("other class", &c.wrong_class),
    ] {
        let names = if list.is_empty() {
            String::new()
        } else {
            format!("  {}", list.join(", "))
        };
        print_line(&format!("{what:<12}{}{names}", list.len()))?;
    }
    Ok(())
}
