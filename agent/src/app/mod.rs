//! The agent as a whole: what `kakou run` does. All wiring and the ordered end, in one readable
//! function.
//!
//! cameras (a thread each) -> recorder (in memory) -> outbox (on disk) -> link -> platform. Each
//! camera, the models, the link, the watchlist, the metrics and the commands are supervised for
//! themselves ([`supervise`]): one that fails is begun again and ends no other. The agent ends by a
//! signal, or when nothing has worked for minutes ([`signs`]).
//!
//! | file | what it holds |
//! | --- | --- |
//! | `supervise/` | parts that are begun again when they fail; how each is |
//! | `keeper`, `signals`, `signs` | watchdog, signals of the system, and when the agent gives itself up |
//! | `camera`, `live`, `recording`, `cameras` | a camera's thread, and all of them |
//! | `camera_view` | what a camera shows to the others |
//! | `models` | the models that all cameras share |
//! | `recorder`, `backlog`, `past`, `drafts` | from a record to the outbox, or past it |
//! | `hits`, `answers` | the life of hits over all cameras and restarts, and what officers answer |
//! | `desk` | what does not fit about the passages of all cameras |
//! | `privacy` | what is kept of vehicles that nobody looks for |
//! | `link` | the uplink and its way past the outbox |
//! | `watchlist`, `watchfile` | the lists in use, and their files |
//! | `delivery` | lists that the platform sends |
//! | `notes` | what people looked up or took out on the box, for the record |
//! | `commands`, `listener` | what the platform may ask for |
//! | `tally`, `quality` | what passed, counted; the report of each day |
//! | `overview`, `status`, `reporter`, `metrics`, `web` | how all of it is, and who is told |
//! | `panel` | the box's own page |
//! | `prepare`, `reload`, `settings` | a config that is taken into use |

mod answers;
mod backlog;
mod camera;
mod camera_view;
mod cameras;
mod commands;
mod delivery;
mod desk;
mod drafts;
mod hits;
mod keeper;
mod link;
mod listener;
mod live;
mod metrics;
mod models;
pub mod notes;
mod options;
mod overview;
pub(crate) mod panel;
mod past;
pub(crate) mod prepare;
mod privacy;
mod quality;
mod recorder;
mod recording;
mod reload;
mod reporter;
mod settings;
mod signals;
mod signs;
mod status;
mod supervise;
mod tally;
pub mod watchfile;
mod watchlist;
pub mod web;

pub use drafts::{Footage, drafts};
pub use options::{Load, RunOptions};
pub use recorder::OnCommitted;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use kakou_contract::{Id, OfflineReason, PublicKey};
use kakou_outbox::{Outbox, OutboxOptions};
use kakou_panel::Hub;
use kakou_time::SharedClock;
use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::config::Config;
use camera_view::CameraViews;
use cameras::{Cameras, Surroundings};
use commands::Commander;
use delivery::{CHUNKS, DeliveryPart};
use desk::SignalDesk;
use hits::HitDesk;
use keeper::{Keeper, notify};
use link::{Link, LinkPart, Order, uplink_config};
use listener::Listener;
use metrics::MetricsPart;
use models::{Models, ModelsPart};
use notes::NotesPart;
use overview::Sources;
use panel::{AgentCheckpoint, PanelPart};
use past::HitsPast;
use quality::QualityPart;
use recorder::Recorder;
use reload::Reloader;
use reporter::Reporter;
use settings::Settings;
use signals::Signals;
use status::Identity;
use supervise::{Parts, Pulse, Stop, spawn_task, spawn_thread};
use tally::Tallies;
use watchlist::{Watchlist, WatchlistPart};
use web::{MetricsServer, StatusServer};

/// Runs the agent until SIGTERM or SIGINT. `Err`: it could not start, or nothing worked any more.
pub fn run(config: Config, options: RunOptions, clock: SharedClock) -> anyhow::Result<()> {
    // First of all: whoever ends the agent while the outbox is opened wants the ordered end too.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let in_runtime = runtime.enter();
    let signals = Signals::listen()?;
    let (site, agent) = (
        Id::new("site", config.site.as_str())?,
        Id::new("agent", config.agent.as_str())?,
    );
    let broker = config
        .broker
        .as_ref()
        .context("the config names no [broker]; nothing would leave this box")?;
    anyhow::ensure!(
        config.cameras.iter().any(|c| c.source.is_some()),
        "no [[camera]] of the config has a `url`; there is nothing to look at"
    );
    let state = options
        .state
        .clone()
        .unwrap_or_else(|| config.outbox.state.clone());
    // A database that cannot be opened is repaired at once: a box that waits for a person records
    // nothing.
    let (outbox, repaired) = Outbox::open_or_repair(OutboxOptions {
        limits: config.outbox.limits,
        retention: config.outbox.retention,
        clock: Arc::clone(&clock),
        ..OutboxOptions::new(&state, site.clone(), agent.clone())
    })?;
    if repaired.is_some() {
        tracing::error!(
            folder = %state.display(),
            "the outbox was damaged and has been repaired; losses are reported to the platform: check the disk"
        );
    }
    let identity = Identity {
        site: site.clone(),
        agent: agent.clone(),
        started_at: clock.wall(),
        public_key: PublicKey::of(&outbox.public_key()),
    };

    let cameras = config.cameras.iter().filter(|c| c.source.is_some());
    let lanes: usize = cameras.clone().map(|c| c.lanes.len()).sum();
    tracing::info!(
        version = crate::SHORT_VERSION,
        %site, %agent, cameras = cameras.count(), lanes, state = %state.display(), config = options.file(),
        "begins"
    );

    // What the parts share.
    let (parts, link) = (Parts::default(), Link::default());
    let sources = Sources {
        identity: identity.clone(),
        clock: Arc::clone(&clock),
        outbox: outbox.clone(),
        views: CameraViews::default(),
        tallies: Tallies::default(),
        link: link.clone(),
        parts: parts.clone(),
        watchlist: Watchlist::new(&config.watchlist, Arc::clone(&clock)),
        models: Models::new(prepare::wanted_models(&config)),
    };
    let page = Hub::new(clock.wall());
    let past = HitsPast::new(link.clone());
    runtime.spawn(past.clone().keep_trying());
    let recorder = Recorder::new(
        outbox.clone(),
        past,
        Arc::clone(&clock),
        (site.clone(), agent.clone()),
        options.on_committed.clone(),
        page.clone(),
    );
    let settings = Settings::new(config.clone());
    let part = |name: &str| {
        let pulse = Arc::new(Pulse::of_task(name, Arc::clone(&clock)));
        parts.add(&pulse);
        pulse
    };

    // The parts, in the order they are shown.
    let models = Arc::new(Pulse::of_thread("models", Arc::clone(&clock)));
    parts.add(&models);
    let stop_models = Stop::default();
    let opener = ModelsPart(sources.models.clone());
    let opener = spawn_thread(opener, models, stop_models.clone(), || true)?;
    let desk = HitDesk::new(&config.hits, &state);
    // Before a camera can open new ones.
    hits::end_open(&outbox, &recorder.intake("hits"), &clock);
    let mut cameras = Cameras::new(
        &config,
        Surroundings {
            clock: Arc::clone(&clock),
            recorder: recorder.clone(),
            watchlist: sources.watchlist.clone(),
            hits: desk.clone(),
            signals: SignalDesk::new(&config.signals),
            models: sources.models.clone(),
            parts: parts.clone(),
            views: sources.views.clone(),
            tallies: sources.tallies.clone(),
        },
    );
    let first = cameras.prepare(&config, false)?;
    cameras.commit(first, Duration::ZERO);
    let cameras = Arc::new(Mutex::new(cameras));
    let (status_now, status_asked) = mpsc::channel(1);
    let (reload, reload_asked) = mpsc::channel(1);
    let (orders, ordered) = mpsc::channel(4);
    let (lists, chunks) = mpsc::channel(CHUNKS);
    let uplink = part("uplink");
    let listener = Listener::new(
        Commander {
            site,
            agent,
            clock: Arc::clone(&clock),
            outbox: outbox.clone(),
            cameras: sources.views.clone(),
            hits: desk.clone(),
            status_now,
            reload: reload.clone(),
            under_way: Mutex::default(),
        },
        part("commands"),
    );
    spawn_task(
        LinkPart {
            config: uplink_config(broker, &identity, &clock, config.hears_lists()),
            outbox: outbox.clone(),
            clock: Arc::clone(&clock),
            link,
            listener,
            lists,
            orders: ordered,
        },
        uplink,
    );
    let (watchlist_part, metrics_part) = (part("watchlist"), part("metrics"));
    let server_part = part("metrics-server");
    let panel_part = part("panel");
    if config.panel.is_none() {
        parts.remove(&panel_part);
    }
    if config.metrics.listen.is_none() {
        parts.remove(&server_part);
    }
    if config.watchlist.is_empty() {
        parts.remove(&watchlist_part);
    }
    if config.metrics.file.is_none() {
        parts.remove(&metrics_part);
    }
    spawn_task(
        WatchlistPart {
            watchlist: sources.watchlist.clone(),
            intake: recorder.intake("watchlist"),
        },
        Arc::clone(&watchlist_part),
    );
    spawn_task(
        DeliveryPart::new(
            settings.clone(),
            &identity,
            Arc::clone(&clock),
            recorder.intake("delivery"),
            chunks,
        ),
        part("delivery"),
    );
    spawn_task(
        NotesPart {
            state: state.clone(),
            outbox: outbox.clone(),
            identity: identity.clone(),
        },
        part("notes"),
    );
    spawn_task(
        MetricsPart {
            sources: sources.clone(),
            settings: settings.clone(),
        },
        Arc::clone(&metrics_part),
    );
    spawn_task(
        MetricsServer {
            sources: sources.clone(),
            settings: settings.clone(),
        },
        Arc::clone(&server_part),
    );
    spawn_task(
        StatusServer {
            sources: sources.clone(),
            state: state.clone(),
        },
        part("status-socket"),
    );
    let checkpoint = AgentCheckpoint::new(
        sources.clone(),
        settings.clone(),
        desk,
        reload.clone(),
        options.config.as_ref().map(|(file, _)| file.clone()),
        state.clone(),
    );
    spawn_task(
        PanelPart {
            settings: settings.clone(),
            checkpoint: Arc::new(checkpoint),
            hub: page,
            state: state.clone(),
        },
        Arc::clone(&panel_part),
    );
    spawn_task(
        QualityPart::new(sources.clone(), recorder.intake("quality"), &state),
        part("quality"),
    );
    spawn_task(
        Reporter {
            sources: sources.clone(),
            settings: settings.clone(),
            asked: status_asked,
            told: None,
            connections: 0,
        },
        part("status"),
    );
    let reloader = spawn_task(
        Reloader {
            requests: reload_asked,
            file: options.config,
            sources: sources.clone(),
            settings: settings.clone(),
            cameras: Arc::clone(&cameras),
            link: orders.clone(),
            intake: recorder.intake("reload"),
            watchlist_part,
            metrics_part,
            server_part,
            panel_part,
        },
        part("reload"),
    );
    let mut keeper = Keeper {
        sources,
        recorder: recorder.clone(),
        reload,
        signals,
    };
    let outcome = runtime.block_on(keeper.watch_over());

    // The ordered end: cameras, what they still had to say, the way to the platform, the database.
    let within = settings.current().agent_times.shutdown;
    let deadline = clock.mono() + within;
    let left = || {
        deadline
            .saturating_sub(clock.mono())
            .max(Duration::from_secs(1))
    };
    notify(&[NotifyState::Stopping]);
    reloader.abort();
    stop_models.tell();
    cameras
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .end(within);
    // A library that is left in the middle of opening a model may take the process down at its end.
    while !opener.is_finished() && clock.mono() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let reason = match outcome {
        Ok(()) => OfflineReason::Shutdown,
        Err(_) => OfflineReason::Failure,
    };
    let last = identity.offline_envelope(reason, &*clock);
    runtime.block_on(async {
        recorder.finish(Instant::now() + left() / 2).await;
        // What was committed last is given the chance to go; the rest stays.
        let within = left() / 2;
        wait_for_empty(&outbox, within).await;
        let (done, told) = oneshot::channel();
        let finish = Order::Finish { last, within, done };
        if orders.send(finish).await.is_ok() {
            // It ends within that time, and says itself what it left behind.
            let _ = tokio::time::timeout(within + Duration::from_secs(1), told).await;
        }
    });
    let closed = outbox.close().context("closing the outbox");
    match &outcome {
        Ok(()) => tracing::info!("has ended in order"),
        Err(e) => tracing::error!("gives itself up: {e:#}"),
    }
    drop(in_runtime);
    // What hangs in a file system does not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome.and(closed)
}

async fn wait_for_empty(outbox: &Outbox, within: Duration) {
    let until = Instant::now() + within.min(Duration::from_secs(3));
    let mut stats = outbox.watch();
    loop {
        if stats
            .borrow_and_update()
            .counts
            .iter()
            .all(|l| l.waiting == 0)
        {
            return;
        }
        tokio::select! {
            changed = stats.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(until) => return,
        }
    }
}
