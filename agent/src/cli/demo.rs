//! `kakou demo`: the sample footage through the real path, over a broker within the process.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use indicatif::ProgressBar;
use kakou_contract::{Filter, Message, PassageMessage};
use kakou_time::Stopwatch;

use super::common::{manifest, print_line};
use super::replay::{advance, progress, write_pictures};
use super::send::Sender;
use super::table::{Table, print};
use crate::config::Config;
use crate::demo::Broker;
use crate::measure::replay::{ReplayEvent, replay};
use crate::measure::truth::{Comparison, compare, read};
use crate::pipeline::Pipeline;
use kakou_sight::camera::Assumed;
use kakou_sight::models::locate;
use kakou_uplink::{
    BrokerAddress, Subscriber, SubscriberConfig, SubscriberEvent as Heard, UplinkConfig,
};

/// Show what Kakou does: recorded frames in, passages out over MQTT, pictures on disk.
///
/// Starts an MQTT broker within this process, replays the project's sample footage through the real
/// models, and shows the passages as a central subscriber receives them. Needs no camera, broker or
/// network.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the annotated pictures and the other evidence are written.
    #[arg(long, value_name = "DIR", default_value = "out/demo")]
    out: PathBuf,
    /// Model manifest, or the folder it lies in. [default: models/manifest.toml, looked for here
    /// and upwards]
    #[arg(long, value_name = "FILE")]
    models: Option<PathBuf>,
}

/// A sequence of the sample footage and the config that holds for it.
const SEQUENCES: [(&str, &str); 3] = [
    ("day", "samples.toml"),
    ("dusk", "samples.toml"),
    ("leaving", "samples-leaving.toml"),
];
/// How long the broker may take to hand on what it was given.
const HAND_ON: Duration = Duration::from_secs(10);

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let location = args
        .models
        .as_deref()
        .map_or_else(|| locate(None), manifest);
    let root = location
        .manifest
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("."))
        .to_path_buf();
    let started = Stopwatch::start();
    let broker = Broker::start()?;
    let address = broker.address();
    print_line(&format!(
        "MQTT broker on {address}; models from {}",
        location.manifest.display()
    ))?;
    let bar = progress();
    let centre = Centre::start(address.clone(), bar.clone())?;
    let uplink = UplinkConfig::new(vec![address.clone()], "kakou-demo");
    let first = Config::read(&root.join("configs").join(SEQUENCES[0].1))?;
    let mut sender = Sender::connect(uplink, &first, None)?;
    let (mut sent, mut frames) = (0, 0);
    let mut truths = Vec::new();
    for (name, config) in SEQUENCES {
        let mut config = Config::read(&root.join("configs").join(config))?;
        config.models.location = location.clone();
        let footage = root.join("agent/samples").join(name);
        let records = sequence(&footage, &config, &args.out.join(name), &mut sender, &bar)?;
        sent += records.messages.len();
        frames += records.frames;
        truths.push((name, records.comparison));
    }
    bar.finish_and_clear();
    sender.finish(HAND_ON)?;
    let received = centre.finish(sent)?;
    print_line("")?;
    for (name, c) in &truths {
        print_line(&verdict(name, c))?;
    }
    let seconds = started.elapsed().as_secs_f64();
    print_line(&format!(
        "{frames} frames, {received} passages received over MQTT in {seconds:.1} s"
    ))?;
    print_line(&format!(
        "annotated pictures: {}/*/*-annotated.jpg",
        args.out.display()
    ))?;
    let perfect = truths.iter().all(|(_, c)| c.is_perfect()) && received == sent;
    Ok(if perfect {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn verdict(name: &str, c: &Comparison) -> String {
    let mut line = format!(
        "{name:<8} {} of {} known passages matched",
        c.matched, c.passages
    );
    for (what, list) in [
        ("missed", &c.missed),
        ("extra", &c.extra),
        ("duplicate", &c.duplicate),
    ] {
        if !list.is_empty() {
            line.push_str(&format!("; {what}: {}", list.join(", ")));
        }
    }
    line
}

struct Sequence {
    messages: Vec<PassageMessage>,
    frames: u64,
    comparison: Comparison,
}

fn sequence(
    footage: &Path,
    config: &Config,
    out: &Path,
    sender: &mut Sender,
    bar: &ProgressBar,
) -> anyhow::Result<Sequence> {
    let camera = config
        .cameras
        .first()
        .context("the sample config has no camera")?;
    let known = read(&footage.join("truth.jsonl"), footage)?;
    let mut pipeline = Pipeline::open(config, camera)?;
    let mut messages = Vec::new();
    let before = bar.position();
    let length = bar.length().unwrap_or(0);
    let assumed = Assumed {
        start: chrono::DateTime::default(),
        fps: 10.0,
    };
    let summary = replay(
        footage,
        assumed,
        &mut pipeline,
        |event| -> anyhow::Result<()> {
            match event {
                ReplayEvent::Progress(done, total) => {
                    bar.set_length(length + total.unwrap_or(done));
                    advance(bar, before + done, None);
                }
                ReplayEvent::Broken(what) => bar.suspend(|| eprintln!("kakou: skipped {what}")),
                ReplayEvent::Record(record) => {
                    sender.send(&record)?;
                    write_pictures(out, &record)?;
                    messages.push(record.message);
                }
            }
            Ok(())
        },
    )?;
    let comparison = compare(&known, &messages, summary.start.unwrap_or_default(), 0);
    Ok(Sequence {
        messages,
        frames: summary.frames,
        comparison,
    })
}

/// The central side: shows passages as they arrive from the broker.
struct Centre {
    thread: std::thread::JoinHandle<anyhow::Result<usize>>,
    expected: tokio::sync::watch::Sender<Option<usize>>,
}

impl Centre {
    /// Returns when the subscription holds.
    fn start(address: BrokerAddress, bar: ProgressBar) -> anyhow::Result<Self> {
        let (expected, told) = tokio::sync::watch::channel(None);
        let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("centre".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()?;
                runtime.block_on(listen(address, &bar, told, &ready))
            })?;
        // An error before the subscription holds drops `ready`; the thread then says why.
        if is_ready.recv_timeout(HAND_ON).is_err() && thread.is_finished() {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("the subscriber ended unexpectedly"))??;
            anyhow::bail!("the subscriber ended before anything was sent");
        }
        Ok(Self { thread, expected })
    }

    /// Waits for `sent` passages; returns how many came.
    fn finish(self, sent: usize) -> anyhow::Result<usize> {
        self.expected.send_replace(Some(sent));
        self.thread
            .join()
            .map_err(|_| anyhow::anyhow!("the subscriber ended unexpectedly"))?
    }
}

async fn listen(
    address: BrokerAddress,
    bar: &ProgressBar,
    mut told: tokio::sync::watch::Receiver<Option<usize>>,
    ready: &std::sync::mpsc::SyncSender<()>,
) -> anyhow::Result<usize> {
    let mut subscriber = Subscriber::connect(
        address,
        SubscriberConfig::new([Filter::passages().to_string()]),
    );
    subscriber.subscribed(HAND_ON).await?;
    // The other side waits for this; it has not gone.
    let _ = ready.send(());
    let mut table = Table::for_stdout();
    let mut received = 0;
    let mut expected = None;
    loop {
        if expected.is_some_and(|n| received >= n) {
            return Ok(received);
        }
        let limit = if expected.is_some() {
            HAND_ON
        } else {
            Duration::from_secs(3600)
        };
        tokio::select! {
            changed = told.changed() => {
                // The sender is only dropped after it told the number, or with an error on its
                // side.
                changed.context("the replay ended with an error")?;
                expected = *told.borrow();
            }
            heard = tokio::time::timeout(limit, subscriber.recv()) => match heard {
                Ok(Some(Heard::Message(m))) => {
                    let message = PassageMessage::from_json(&m.payload)?;
                    print(&table.passage(&message), Some(bar))?;
                    received += 1;
                }
                Ok(Some(Heard::Lost { why })) => bar.suspend(|| eprintln!("kakou: connection lost: {why}")),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return Ok(received),
            },
        }
    }
}
