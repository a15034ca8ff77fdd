//! `kakou bench`: how fast is this box, and where does the time go?

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::bench_providers;
use super::common::{ConfigArgs, print_line};
use super::replay::choose_camera;
use crate::pipeline::{Event, Pipeline};
use kakou_sight::camera::{Assumed, Frame, Next, open};
use kakou_sight::vision::{Provider, Spent};
use kakou_time::Stopwatch;

/// Measure speed: frames a second end to end, milliseconds per stage, memory, and the agent's own
/// overhead.
///
/// Frames are decoded and worked through one after the other on one thread. `overhead` is the time
/// per frame without decoding the recording, over the sum of the bare model runs inside it: 1.0
/// would be models and nothing else.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of frames (or a video file). [default: the project's own sample footage,
    /// agent/samples/day]
    #[arg(long, value_name = "DIR")]
    frames: Option<PathBuf>,
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Camera of the config whose lanes and masks hold. [default: the config's only camera]
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// Work through the frames this often; the first time is not counted if there are several.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Keep the config's intervals (vehicle_every_ms, plate_every_ms, enough_reads). Without this,
    /// vehicles and plates are looked for, and plates read, in every frame.
    #[arg(long)]
    as_configured: bool,
    /// Execution provider; overrides the config.
    #[arg(long, value_name = "NAME", conflicts_with = "providers")]
    provider: Option<Provider>,
    /// Measure each execution provider that is there, and say which one to write into the config.
    #[arg(long)]
    providers: bool,
    /// Print one JSON object.
    #[arg(long)]
    pub(super) json: bool,
}

impl Args {
    /// The command line that measures the same with one provider.
    pub(super) fn for_provider(&self, provider: &str) -> Vec<OsString> {
        let mut args: Vec<OsString> = ["bench", "--json", "--provider", provider]
            .map(OsString::from)
            .into();
        args.extend(["--rounds".into(), self.rounds.to_string().into()]);
        let paths = [
            ("--frames", &self.frames),
            ("--config", &self.config.config),
            ("--models", &self.config.models),
        ];
        for (option, path) in paths {
            if let Some(path) = path {
                args.extend([option.into(), path.into()]);
            }
        }
        if let Some(threads) = self.config.threads {
            args.extend(["--threads".into(), threads.to_string().into()]);
        }
        if let Some(camera) = &self.camera {
            args.extend(["--camera".into(), camera.into()]);
        }
        if self.as_configured {
            args.push("--as-configured".into());
        }
        args
    }
}

/// What was measured; times are means per frame in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) frames: u64,
    pub(super) passages: u64,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) threads: usize,
    /// Decoding included.
    pub(super) frames_per_second: f64,
    /// Decoding left out, as with a camera whose decoder runs elsewhere.
    pub(super) frames_per_second_without_decoding: f64,
    pub(super) ms_decode: f64,
    /// Bare model runs.
    pub(super) ms_vehicles: f64,
    pub(super) ms_plates: f64,
    pub(super) ms_reader: f64,
    /// Scaling, straightening, decoding of the models' outputs.
    pub(super) ms_around_models: f64,
    pub(super) ms_track: f64,
    pub(super) ms_evidence: f64,
    pub(super) runs_vehicles: f64,
    pub(super) runs_plates: f64,
    pub(super) runs_reader: f64,
    pub(super) overhead: f64,
    pub(super) resident_mib: f64,
}

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.providers {
        bench_providers::run(&args)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut config = args.config.load()?;
    if let Some(provider) = args.provider {
        config.models.provider = provider;
    }
    if !args.as_configured {
        (
            config.look.vehicle_every_ms,
            config.look.plate_every_ms,
            config.look.enough_reads,
        ) = (0, 0, 0);
    }
    let camera = choose_camera(&config, args.camera.as_deref())?;
    let path = match &args.frames {
        Some(p) => p.clone(),
        None => samples(&config.models.location.manifest)?,
    };
    let mut pipeline = Pipeline::open(&config, &camera)?;
    let mut m = Measured {
        threads: config.models.threads,
        ..Measured::default()
    };
    for round in 0..args.rounds {
        if args.rounds > 1 && round == 0 {
            one_round(&path, &mut pipeline, &mut Measured::default())?;
            continue;
        }
        let counted = one_round(&path, &mut pipeline, &mut m)?;
        m = counted;
    }
    if args.json {
        print_line(&serde_json::to_string(&m)?)?;
    } else {
        show(&m)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The project's footage lies beside its models.
fn samples(manifest: &Path) -> anyhow::Result<PathBuf> {
    let root = manifest
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."));
    let day = root.join("agent/samples/day");
    anyhow::ensure!(
        day.is_dir(),
        "there is no sample footage at {}; name frames by --frames",
        day.display()
    );
    Ok(day)
}

/// Sums over rounds; the means are taken anew each time.
fn one_round(
    path: &Path,
    pipeline: &mut Pipeline,
    before: &mut Measured,
) -> anyhow::Result<Measured> {
    let assumed = Assumed {
        start: chrono::DateTime::default(),
        fps: 25.0,
    };
    let mut source = open(path, assumed)?;
    let (spent, stages) = (pipeline.spent(), pipeline.stages());
    let (mut decode, mut work) = (Duration::ZERO, Duration::ZERO);
    let (mut frames, mut passages, mut size) = (0u64, 0u64, (0, 0));
    loop {
        let start = Stopwatch::start();
        let next = source.next()?;
        decode += start.elapsed();
        let frame: Frame = match next {
            Next::End => break,
            Next::Broken { name, reason } => {
                eprintln!("kakou: skipped {name}: {reason}");
                continue;
            }
            Next::Frame(f) => f,
        };
        size = frame.size();
        let start = Stopwatch::start();
        passages += passed(pipeline.frame(&frame)?);
        work += start.elapsed();
        frames += 1;
    }
    let start = Stopwatch::start();
    passages += passed(pipeline.finish());
    work += start.elapsed();
    anyhow::ensure!(
        frames > 0,
        "{} holds no frame that can be read",
        path.display()
    );
    let now = pipeline.spent();
    let spent = Spent {
        vehicles: (
            now.vehicles.0 - spent.vehicles.0,
            now.vehicles.1 - spent.vehicles.1,
        ),
        plates: (now.plates.0 - spent.plates.0, now.plates.1 - spent.plates.1),
        reader: (now.reader.0 - spent.reader.0, now.reader.1 - spent.reader.1),
    };
    let after = pipeline.stages();
    let n = before.frames as f64;
    let total = n + frames as f64;
    // Mean over all rounds so far, from the mean before and this round's sum.
    let ms = |mean: f64, sum: Duration| (mean * n + sum.as_secs_f64() * 1e3) / total;
    let runs = |mean: f64, sum: u64| (mean * n + sum as f64) / total;
    let vision = after.vision - stages.vision;
    let mut m = Measured {
        frames: before.frames + frames,
        passages: before.passages + passages,
        width: size.0,
        height: size.1,
        ms_decode: ms(before.ms_decode, decode),
        ms_vehicles: ms(before.ms_vehicles, spent.vehicles.0),
        ms_plates: ms(before.ms_plates, spent.plates.0),
        ms_reader: ms(before.ms_reader, spent.reader.0),
        ms_around_models: ms(
            before.ms_around_models,
            vision.saturating_sub(spent.total()),
        ),
        ms_track: ms(before.ms_track, after.track - stages.track),
        ms_evidence: ms(before.ms_evidence, after.evidence - stages.evidence),
        runs_vehicles: runs(before.runs_vehicles, spent.vehicles.1),
        runs_plates: runs(before.runs_plates, spent.plates.1),
        runs_reader: runs(before.runs_reader, spent.reader.1),
        resident_mib: resident_mib().context("reading /proc/self/status")?,
        ..before.clone()
    };
    let before_work = if n > 0.0 {
        1e3 / before.frames_per_second_without_decoding
    } else {
        0.0
    };
    let work = ms(before_work, work);
    m.frames_per_second_without_decoding = 1e3 / work;
    m.frames_per_second = 1e3 / (work + m.ms_decode);
    m.overhead = work / (m.ms_vehicles + m.ms_plates + m.ms_reader);
    Ok(m)
}

/// Memory this process holds (VmRSS).
fn resident_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmRSS:"))
        .context("no VmRSS")?;
    let kib: f64 = line
        .split_whitespace()
        .next()
        .context("VmRSS without a number")?
        .parse()?;
    Ok(kib / 1024.0)
}

fn show(m: &Measured) -> anyhow::Result<()> {
    print_line(&format!(
        "{} frames of {}x{}, {} passages, {} thread(s)",
        m.frames, m.width, m.height, m.passages, m.threads
    ))?;
    print_line(&format!(
        "frames/s            {:8.1}   ({:.1} without decoding)",
        m.frames_per_second, m.frames_per_second_without_decoding
    ))?;
    print_line("ms per frame")?;
    for (name, ms, runs) in [
        ("decode", m.ms_decode, None),
        ("vehicle model", m.ms_vehicles, Some(m.runs_vehicles)),
        ("plate model", m.ms_plates, Some(m.runs_plates)),
        ("reader model", m.ms_reader, Some(m.runs_reader)),
        ("around the models", m.ms_around_models, None),
        ("track, passage", m.ms_track, None),
        ("evidence", m.ms_evidence, None),
    ] {
        let runs = runs.map_or(String::new(), |r| format!("   {r:.2} runs"));
        print_line(&format!("  {name:<18}{ms:8.2}{runs}"))?;
    }
    print_line(&format!("overhead            {:8.3}", m.overhead))?;
    print_line(&format!("resident            {:8.1} MiB", m.resident_mib))
}

fn passed(events: Vec<Event>) -> u64 {
    events.into_iter().filter_map(Event::passed).count() as u64
}
