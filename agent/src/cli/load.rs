//! `kakou load`: made-up passages through a real outbox and uplink; with `--agents`, of a whole
//! fleet (`load_fleet`).

use crate::store::OutboxStore;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use kakou_contract::{Id, Priority};
use kakou_time::{Clock as _, Stopwatch, SystemClock};

use super::broker::Access;
use super::common::print_line;
use super::load_fleet::{BrokerUrls, FleetArgs};
use kakou_contract::{Envelope, Keep};
use kakou_outbox::{Outbox, OutboxOptions};
use kakou_uplink::{Drain, Uplink, UplinkConfig};

/// Send made-up messages: to try out a broker, a link and a disk before there are cameras.
///
/// They go through a real outbox in the state folder, with the topics of camera `load`; their
/// payload says that they are made up. Ends when `--count` is sent and acknowledged, or on SIGTERM.
///
/// With `--agents N` there is no outbox: N made-up agents in one process, each with its own key,
/// cameras and connection, send what checkpoints of a city would, to try a platform with.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// State folder of the outbox; must not be that of an agent in service.
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "agents",
        conflicts_with = "agents"
    )]
    state: Option<PathBuf>,
    /// Where to send; without it, the messages wait in the outbox. With --agents several, separated
    /// by commas: the agents are spread over them.
    #[arg(long, value_name = "URL")]
    broker: Option<BrokerUrls>,
    #[command(flatten)]
    access: Access,
    /// The site that the messages name.
    #[arg(long, default_value = "load", conflicts_with = "agents")]
    site: String,
    /// The agent that the messages name.
    #[arg(long, default_value = "load", conflicts_with = "agents")]
    agent: String,
    /// Passages to append.
    #[arg(long, value_name = "N", default_value_t = u64::MAX)]
    count: u64,
    /// Passages a second; 0: as fast as it goes.
    #[arg(long, value_name = "N", default_value_t = 0.0, value_parser = rate)]
    rate: f64,
    /// Bytes of a passage.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 1024,
        conflicts_with = "agents"
    )]
    size: usize,
    /// Pictures with each passage.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pictures: usize,
    /// Bytes of a picture. [default: 60000, with --agents 6000]
    #[arg(long, value_name = "BYTES")]
    picture_size: Option<usize>,
    /// Every so many passages one is a hit too; 0: none.
    #[arg(long, value_name = "N", default_value_t = 0, conflicts_with = "agents")]
    hit_every: u64,
    /// Threads that append.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64), conflicts_with = "agents")]
    producers: u64,
    /// Print `committed SEQUENCE LANE ID` for each message that is on disk.
    #[arg(long, conflicts_with = "agents")]
    print: bool,
    #[command(flatten)]
    fleet: FleetArgs,
}

/// Bytes of a picture where none are given.
const PICTURE_SIZE: usize = 60_000;

pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let brokers = match &args.broker {
        Some(urls) => urls.addresses(&args.access)?,
        None => Vec::new(),
    };
    let Some(state) = &args.state else {
        let common = Common {
            rate: args.rate,
            count: (args.count < u64::MAX).then_some(args.count),
            pictures: args.pictures,
            picture_size: args.picture_size,
            tls: args.access.tls(),
        };
        return args.fleet.run(common, brokers);
    };
    anyhow::ensure!(
        brokers.len() < 2,
        "--broker names several; one agent sends to one, --agents N is for more"
    );
    let (site, agent) = (
        Id::new("site", args.site.as_str())?,
        Id::new("agent", args.agent.as_str())?,
    );
    let outbox = Outbox::open(OutboxOptions::new(state, site, agent))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let _in_runtime = runtime.enter();
    let client_id = format!("kakou-load-{}-{}", args.site, args.agent);
    let uplink = (!brokers.is_empty()).then(|| {
        Uplink::start(
            UplinkConfig {
                tls: args.access.tls(),
                ..UplinkConfig::new(brokers, client_id)
            },
            OutboxStore(outbox.clone()),
            std::sync::Arc::new(kakou_time::SystemClock::new()),
        )
    });
    let stop = AtomicBool::new(false);
    let given = AtomicU64::new(0);
    let began = Stopwatch::start();
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let producers: Vec<_> = (0..args.producers)
            .map(|_| scope.spawn(|| produce(&args, &outbox, &given, &stop, began)))
            .collect();
        runtime.block_on(async {
            let mut term =
                tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            while !producers
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
            {
                tokio::select! {
                    _ = term.recv() => stop.store(true, Ordering::Relaxed),
                    _ = tokio::signal::ctrl_c() => stop.store(true, Ordering::Relaxed),
                    () = tokio::time::sleep(Duration::from_millis(20)) => {}
                }
            }
            anyhow::Ok(())
        })?;
        for producer in producers {
            producer
                .join()
                .map_err(|_| anyhow::anyhow!("a producer ended unexpectedly"))??;
        }
        Ok(())
    })?;
    let stopped = stop.load(Ordering::Relaxed);
    let seconds = began.elapsed().as_secs_f64();
    let count = given.load(Ordering::Relaxed).min(args.count);
    eprintln!(
        "kakou: {count} passages committed in {seconds:.2} s, {:.0} a second",
        count as f64 / seconds
    );
    if let Some(uplink) = uplink {
        // Who ends it early does not wait for a broker that is away.
        let (drain, within) = if stopped {
            (Drain::InFlight, Duration::from_secs(10))
        } else {
            (Drain::Everything, Duration::from_secs(3600))
        };
        let status = runtime.block_on(uplink.finish(drain, None, within))?;
        eprintln!(
            "kakou: {} messages acknowledged in {:.2} s",
            status.acked,
            began.elapsed().as_secs_f64()
        );
    }
    outbox.close()?;
    Ok(ExitCode::SUCCESS)
}

/// What both ways have in common.
pub(super) struct Common {
    pub(super) rate: f64,
    pub(super) count: Option<u64>,
    pub(super) pictures: usize,
    pub(super) picture_size: Option<usize>,
    pub(super) tls: kakou_uplink::TlsFiles,
}

/// A rate so low that the next passage is due after the end of time is no rate.
fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|e| format!("{e}"))?;
    if rate == 0.0 || (1e-6..=1e9).contains(&rate) {
        Ok(rate)
    } else {
        Err("a rate is 0 or from 0.000001 to 1000000000 passages a second".to_owned())
    }
}

fn produce(
    args: &Args,
    outbox: &Outbox,
    given: &AtomicU64,
    stop: &AtomicBool,
    began: Stopwatch,
) -> anyhow::Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let n = given.fetch_add(1, Ordering::Relaxed);
        if n >= args.count {
            break;
        }
        if args.rate > 0.0 {
            let due = Duration::from_secs_f64(n as f64 / args.rate);
            if !wait_until(due, began, stop) {
                break;
            }
        }
        let drafts = made_up(args, n);
        let named: Vec<_> = drafts.iter().map(|d| (d.priority, d.id.clone())).collect();
        let numbers = outbox.append(drafts)?;
        if args.print {
            for (number, (lane, id)) in numbers.iter().zip(&named) {
                print_line(&format!("committed {number} {lane} {id}"))?;
            }
        }
    }
    Ok(())
}

/// Sleeps in short pieces, so that an end is heard at a low rate too. False: it is time to end.
fn wait_until(due: Duration, began: Stopwatch, stop: &AtomicBool) -> bool {
    const PIECE: Duration = Duration::from_millis(50);
    loop {
        if stop.load(Ordering::Relaxed) {
            return false;
        }
        let left = due.saturating_sub(began.elapsed());
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(PIECE));
    }
}

fn made_up(args: &Args, n: u64) -> Vec<Envelope> {
    let now = SystemClock::new().wall();
    let passage = kakou_contract::live_id(now);
    let root = format!("kakou/v1/{}/{}", args.site, args.agent);
    let draft = |lane: Priority, id: String, topic: String, payload: Vec<u8>| Envelope {
        priority: lane,
        keep: Keep::Passage,
        user_properties: vec![("id".to_owned(), id.clone())],
        id,
        topic,
        content_type: Some(
            if lane == Priority::Picture {
                "image/jpeg"
            } else {
                "application/json"
            }
            .to_owned(),
        ),
        correlation: None,
        retain: false,
        captured_ms: (lane != Priority::Picture).then(|| now.timestamp_millis()),
        numbered: lane != Priority::Picture,
        payload: payload.into(),
    };
    let text = |id: &str| {
        let head = format!("{{\"is_late\":false,\"id\":\"{id}\",\"made_up\":\"");
        let pad = args.size.saturating_sub(head.len() + 2);
        format!("{head}{}\"}}", "x".repeat(pad)).into_bytes()
    };
    let mut all = Vec::with_capacity(2 + args.pictures);
    if args.hit_every > 0 && n.is_multiple_of(args.hit_every) {
        let id = kakou_contract::live_id(now).to_string();
        all.push(draft(
            Priority::Hit,
            id.clone(),
            format!("{root}/hit/red/load"),
            text(&id),
        ));
    }
    let id = passage.to_string();
    all.push(draft(
        Priority::Passage,
        id.clone(),
        format!("{root}/passage/load"),
        text(&id),
    ));
    for p in 0..args.pictures {
        let size = args.picture_size.unwrap_or(PICTURE_SIZE);
        let bytes = vec![(n as u8) ^ (p as u8); size];
        all.push(draft(
            Priority::Picture,
            format!("{id}/{p}"),
            format!("{root}/evidence/{id}/frame"),
            bytes,
        ));
    }
    all
}
