//! `kakou camera`: what an installer asks of a camera before it is in service.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use chrono::TimeDelta;
use image::RgbImage;
use serde_json::json;

use super::common::{ConfigArgs, print_line};
use crate::config::{CameraConfig, CameraSource, scaled};
use crate::pipeline::Pipeline;
use crate::probe::{listen, next, words};
use kakou_sight::camera::{
    Assumed, CameraAddress, Fault, FaultKind, FrameSource, Live, LiveConfig, LiveFrame, Next,
    Pixels, Transport, open,
};
use kakou_sight::evidence::draw::{SceneDrawing, scene};
use kakou_sight::evidence::jpeg;
use kakou_time::{SharedClock, SystemClock};
use kakou_traffic::geometry::Point;

/// Look at a camera: what it sends, and what the agent sees in it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Probe(Probe),
    Snapshot(Snapshot),
}

/// Connect to a camera; say codec, size, rate and time stamps, and save pictures.
///
/// Exit code 1 when no picture came; the message says whether it is the network, the password or
/// the stream.
#[derive(Debug, clap::Args)]
pub struct Probe {
    /// rtsp://, rtsps://, http:// or https:// (MJPEG), v4l2:/dev/video0. A password on a command
    /// line can be read by every user of this machine: use --user and --password-file instead.
    #[arg(value_name = "URL")]
    url: String,
    /// The camera's user.
    #[arg(long)]
    user: Option<String>,
    /// The file's first line is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// How RTSP brings the pictures: tcp or udp.
    #[arg(long, default_value = "tcp", value_parser = ["tcp", "udp"])]
    transport: String,
    /// How long to listen, once a picture came.
    #[arg(long, value_name = "SECONDS", default_value_t = 4.0)]
    seconds: f64,
    /// How long to wait for the first picture.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0)]
    wait: f64,
    /// Folder for the pictures, with their times in `frames.jsonl`: `kakou replay` takes it in.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Pictures to save, evenly over the time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pictures: u32,
    /// What the camera holds a picture up, in milliseconds: taken off the capture times.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency_ms: u64,
    /// One JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Draw lanes, triggers, masks and what the agent sees into a picture of a camera of the config.
///
/// Takes a second of the stream (or a recording's first frames), looks at it with the models as the
/// agent does, and saves the last picture.
#[derive(Debug, clap::Args)]
pub struct Snapshot {
    /// Id of a `[[camera]]` of the config.
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    config: ConfigArgs,
    /// The picture's file.
    #[arg(long, value_name = "FILE", default_value = "snapshot.jpg")]
    out: PathBuf,
    /// How long to wait for the first picture.
    #[arg(long, value_name = "SECONDS", default_value_t = 15.0)]
    wait: f64,
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Probe(args) => probe(&args)?,
        Command::Snapshot(args) => snapshot(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn seconds(value: f64, name: &str) -> anyhow::Result<Duration> {
    ensure!(
        (0.1..=86_400.0).contains(&value),
        "--{name} {value} is outside 0.1 to 86400 seconds"
    );
    Ok(Duration::from_secs_f64(value))
}

fn rgb(frame: &LiveFrame) -> anyhow::Result<RgbImage> {
    Ok(Pixels::Planes(Arc::clone(&frame.planes)).to_rgb()?)
}

fn clock() -> SharedClock {
    Arc::new(SystemClock::new())
}

/// Saves pictures with their times, as `kakou replay` reads them.
struct Saver {
    folder: PathBuf,
    times: std::fs::File,
    saved: u32,
}

impl Saver {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let path = folder.join("frames.jsonl");
        let times =
            kakou_guard::file::create(&path, 0o640).with_context(|| path.display().to_string())?;
        Ok(Self {
            folder: folder.to_path_buf(),
            times,
            saved: 0,
        })
    }

    fn save(
        &mut self,
        picture: &RgbImage,
        time: chrono::DateTime<chrono::FixedOffset>,
    ) -> anyhow::Result<()> {
        let name = format!("{:06}.jpg", self.saved);
        let path = self.folder.join(&name);
        kakou_guard::file::write(&path, &jpeg(picture, 92)?, 0o640)
            .with_context(|| path.display().to_string())?;
        writeln!(
            self.times,
            "{}",
            json!({ "file": name, "time": kakou_contract::time::to_text(&time) })
        )?;
        self.saved += 1;
        Ok(())
    }
}

fn probe(args: &Probe) -> anyhow::Result<()> {
    let address: CameraAddress = args.url.parse()?;
    let (seconds_listened, wait) = (
        seconds(args.seconds, "seconds")?,
        seconds(args.wait, "wait")?,
    );
    ensure!(
        args.password_file.is_none() || args.user.is_some(),
        "--password-file is given without --user"
    );
    let config = LiveConfig {
        user: args.user.clone(),
        password_file: args.password_file.clone(),
        transport: if args.transport == "udp" {
            Transport::Udp
        } else {
            Transport::Tcp
        },
        latency: Duration::from_millis(args.latency_ms),
        ..LiveConfig::new(address.clone())
    };
    let clock = clock();
    let live = Live::start(&config, Arc::clone(&clock))?;
    let mut saver: Option<Saver> = None;
    let heard = listen(&live, &*clock, wait, seconds_listened, |frame, began| {
        // Not before there is a picture.
        if let (Some(folder), None) = (&args.out, &saver) {
            saver = Some(Saver::new(folder)?);
        }
        let Some(saver) = saver.as_mut().filter(|s| s.saved < args.pictures) else {
            return Ok(());
        };
        let share = f64::from(saver.saved) / f64::from(args.pictures);
        let due = seconds_listened.mul_f64(share);
        if clock.mono().saturating_sub(began) >= due {
            let ago = TimeDelta::from_std(clock.mono().saturating_sub(frame.captured))
                .unwrap_or_default();
            saver.save(&rgb(frame)?, clock.wall() - ago)?;
        }
        Ok(())
    })
    .map_err(|e: ProbeError| match e {
        ProbeError::Camera(fault) if fault.kind == FaultKind::Unauthorised => {
            anyhow::anyhow!("{address}: {fault}; give the camera's user and password by --user and --password-file")
        }
        ProbeError::Camera(fault) => anyhow::Error::new(fault).context(address.to_string()),
        ProbeError::Own(e) => e,
    })?;
    let Some(heard) = heard else {
        bail!("{address}: no picture within {:.0} s", wait.as_secs_f64())
    };
    let stream = &heard.stream;
    let gap = |part: f64| heard.gap_ms(part);
    let report = json!({
        "address": address.to_string(),
        "codec": stream.as_ref().map(|s| s.codec.clone()),
        "said": stream.as_ref().map(|s| s.said.clone()),
        "width": heard.size.0,
        "height": heard.size.1,
        "fps_declared": stream.as_ref().and_then(|s| s.fps),
        "fps": (heard.fps * 10.0).round() / 10.0,
        "frames": heard.frames,
        "frames_broken": heard.broken,
        "gap_ms": { "median": gap(0.5), "most": gap(1.0) },
        "first_picture_s": (heard.first_after.as_secs_f64() * 100.0).round() / 100.0,
        "picture": format!("{:?}", heard.view).to_lowercase(),
        "clock": clock.status(),
        "pictures": saver.as_ref().map(|s| s.saved),
        "ended": heard.ended.as_ref().map(|f| f.text.clone()),
    });
    if args.json {
        return print_line(&report.to_string());
    }
    print_line(&format!("camera      {address}"))?;
    if let Some(s) = stream {
        print_line(&format!("stream      {}", s.said))?;
    }
    print_line(&format!(
        "picture     {} x {}, {}",
        heard.size.0,
        heard.size.1,
        words(heard.view)
    ))?;
    let declared = stream
        .as_ref()
        .and_then(|s| s.fps)
        .map_or(String::new(), |d| format!(" (it claims {d})"));
    print_line(&format!(
        "rate        {:.1} frames/s{declared}, {} frames, {} decoder complaints",
        heard.fps, heard.frames, heard.broken
    ))?;
    let ms = |v: Option<f64>| v.map_or("?".to_owned(), |v| format!("{v} ms"));
    print_line(&format!(
        "time stamps {} from frame to frame (median), at most {}",
        ms(gap(0.5)),
        ms(gap(1.0))
    ))?;
    print_line(&format!(
        "connected   first picture after {:.2} s",
        heard.first_after.as_secs_f64()
    ))?;
    if let (Some(saver), Some(out)) = (&saver, &args.out) {
        print_line(&format!("saved       {} in {}", saver.saved, out.display()))?;
    }
    match heard.ended {
        Some(fault) => bail!("{address}: the stream broke off: {fault}"),
        None => Ok(()),
    }
}

/// Why a probe ends.
enum ProbeError {
    Camera(Fault),
    /// A picture could not be saved.
    Own(anyhow::Error),
}

impl From<Fault> for ProbeError {
    fn from(fault: Fault) -> Self {
        Self::Camera(fault)
    }
}

impl From<anyhow::Error> for ProbeError {
    fn from(error: anyhow::Error) -> Self {
        Self::Own(error)
    }
}

/// Pictures of a camera, whatever its source is, for as long as a track needs to form.
fn look(
    camera: &CameraConfig,
    pipeline: &mut Pipeline,
    wait: Duration,
) -> anyhow::Result<RgbImage> {
    use kakou_sight::camera::{Frame, Moment};
    const LOOKS: u64 = 8;
    let source = camera
        .source
        .as_ref()
        .with_context(|| format!("camera {} has no `url`", camera.id))?;
    let mut last = None;
    match source {
        CameraSource::Recording { path, .. } => {
            let assumed = Assumed {
                start: clock().wall(),
                fps: 25.0,
            };
            let mut source: Box<dyn FrameSource> = open(path, assumed)?;
            while last.as_ref().is_none_or(|f: &Frame| f.number < LOOKS) {
                match source.next()? {
                    Next::End => break,
                    Next::Broken { .. } => {}
                    Next::Frame(frame) => {
                        pipeline.frame(&frame)?;
                        last = Some(frame);
                    }
                }
            }
        }
        CameraSource::Live(config) => {
            let clock = clock();
            let live = Live::start(config, Arc::clone(&clock))?;
            let mut until = clock.mono() + wait;
            for number in 0..=LOOKS {
                let Some(got) =
                    next(&live, &*clock, until).with_context(|| config.address.to_string())?
                else {
                    break;
                };
                until = clock.mono() + Duration::from_secs(2);
                let time = Moment {
                    wall: clock.wall(),
                    mono: got.captured,
                };
                let frame = Frame::new(number, "", time, Pixels::Planes(got.planes));
                pipeline.frame(&frame)?;
                last = Some(frame);
            }
        }
    }
    let frame = last.with_context(|| {
        format!(
            "camera {}: no picture within {:.0} s",
            camera.id,
            wait.as_secs_f64()
        )
    })?;
    Ok(frame.to_rgb()?)
}

fn snapshot(args: &Snapshot) -> anyhow::Result<()> {
    let mut config = args.config.load()?;
    // Every plate is read in every picture: what is shown is what was read in it.
    config.look.enough_reads = 0;
    (config.look.vehicle_every_ms, config.look.plate_every_ms) = (0, 0);
    let Some(camera) = config.cameras.iter().find(|c| c.id == args.id) else {
        let known: Vec<_> = config.cameras.iter().map(|c| c.id.as_str()).collect();
        bail!(
            "there is no [[camera]] `{}` in the config; it has: {}",
            args.id,
            known.join(", ")
        );
    };
    let mut pipeline = Pipeline::open(&config, camera)?;
    let picture = look(camera, &mut pipeline, seconds(args.wait, "wait")?)?;
    let (w, h) = picture.dimensions();
    let seen = pipeline.seen();
    let lanes: Vec<_> = camera
        .lanes
        .iter()
        .map(|l| {
            let trigger = l
                .trigger
                .map(|t| [t.a, t.b].map(|p| Point::new(p.x * w as f32, p.y * h as f32)));
            (
                l.name.clone().unwrap_or_else(|| l.id.clone()),
                scaled(&l.polygon, w, h),
                trigger,
            )
        })
        .collect();
    let masks: Vec<_> = camera.masks.iter().map(|m| scaled(m, w, h)).collect();
    let drawn = scene(
        &picture,
        &SceneDrawing {
            lanes: &lanes,
            masks: &masks,
            seen: &seen,
        },
    );
    kakou_guard::file::write(&args.out, &jpeg(&drawn, 90)?, 0o640)
        .with_context(|| args.out.display().to_string())?;
    let texts: Vec<_> = seen
        .plates
        .iter()
        .filter_map(|p| p.read.as_ref().map(|r| r.text()))
        .collect();
    print_line(&format!(
        "{}: {w} x {h}, {} vehicles, {} plates{}{}",
        args.out.display(),
        seen.vehicles.len(),
        seen.plates.len(),
        if texts.is_empty() { "" } else { ": " },
        texts.join(", ")
    ))
}
