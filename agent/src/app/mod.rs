//! The agent as a whole: what `kakou run` does. All wiring and the ordered end, in one readable function.
//!
//! cameras (a thread each) -> outbox (writer and reader threads) -> uplink (a tokio task). A worker that ends by itself
//! ends the agent with an error, and systemd starts it again; a camera or a broker that is down is degraded, not dead.

mod camera;
mod commands;
mod drafts;
mod status;
mod watchfile;

pub use drafts::drafts;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use kakou_contract::{AuditEvent, AuditMessage, Filter, Id, Keep, OfflineReason, PublicKey, SchemaVersion, live_id};
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::outbox::{Draft, Lane, Outbox, OutboxOptions, OutboxState};
use crate::uplink::{Drain, Outgoing, Uplink};
use crate::vision::Opener;
use camera::{CameraState, CameraWorker};
use commands::Commander;
use status::{Identity, gist};
use watchfile::{Look, WatchFile};

/// A camera's thread that says nothing for so long hangs: models and disks do not take that.
const HANGS: Duration = Duration::from_secs(30);

/// What the command line adds to the config.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    pub state: Option<PathBuf>,
    pub print: bool,
}

/// Runs the agent until SIGTERM or SIGINT. `Err`: a part of it ended that must not.
pub fn run(config: Config, options: RunOptions) -> anyhow::Result<()> {
    let (site, agent) = (Id::new("site", config.site.as_str())?, Id::new("agent", config.agent.as_str())?);
    let broker = config.broker.as_ref().context("the config names no [broker]; nothing would leave this box")?;
    let with_source: Vec<_> =
        config.cameras.iter().filter_map(|c| c.source.clone().map(|source| (c.clone(), source))).collect();
    anyhow::ensure!(!with_source.is_empty(), "no [[camera]] of the config has a `url`; there is nothing to look at");
    let models = Opener::new(&config.models)?
        .used()
        .into_iter()
        .map(|(name, version)| kakou_contract::ModelUsed { name, version })
        .collect();
    let state = options.state.clone().unwrap_or_else(|| config.outbox.state.clone());
    let outbox = Outbox::open(OutboxOptions {
        limits: config.outbox.limits,
        retention: config.outbox.retention,
        ..OutboxOptions::new(&state, site.clone(), agent.clone())
    })?;
    let identity = Identity {
        site: site.clone(),
        agent: agent.clone(),
        started_at: chrono::Local::now().fixed_offset(),
        models,
        public_key: PublicKey::of(&outbox.public_key()),
    };

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _in_runtime = runtime.enter();
    let will = identity.clone();
    let mut uplink = Uplink::start(
        crate::uplink::UplinkConfig {
            will: Some(Arc::new(move || {
                // A message that cannot be written would have failed the golden tests.
                Outgoing::of(&will.offline(OfflineReason::ConnectionLost)).unwrap_or_default()
            })),
            commands: Some(Filter::commands(site.clone(), agent.clone()).to_string()),
            ..broker.uplink(format!("kakou-{site}-{agent}"))
        },
        outbox.clone(),
    );

    let list = Arc::new(RwLock::new(Arc::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let mut cameras = Vec::new();
    let mut threads: Vec<(String, JoinHandle<anyhow::Result<()>>)> = Vec::new();
    for (camera, source) in with_source {
        let state = Arc::new(CameraState::new(Id::new("camera", camera.id.as_str())?));
        cameras.push(Arc::clone(&state));
        let name = format!("camera-{}", camera.id);
        let worker = CameraWorker {
            config: config.clone(),
            camera,
            source,
            outbox: outbox.clone(),
            list: Arc::clone(&list),
            direct: Some(uplink.direct_sender()),
            state,
            stop: Arc::clone(&stop),
            print: options.print,
        };
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || worker.run())?;
        threads.push((name, thread));
    }

    let (status_now, status_asked) = mpsc::channel(1);
    let (reload, reload_asked) = mpsc::channel(1);
    let commander = Commander { site, agent, outbox: outbox.clone(), cameras: cameras.clone(), status_now, reload };
    if let Some(mut commands) = uplink.commands() {
        tokio::spawn(async move {
            while let Some(received) = commands.recv().await {
                commander.take(received).await;
            }
        });
    }
    let watch = config.watchlist.as_ref().map(|file| WatchFile::new(file));
    let keeper = Keeper { identity: identity.clone(), outbox: outbox.clone(), cameras, list, watch };
    let ended = runtime.block_on(keeper.watch_over(
        &uplink,
        &threads,
        config.agent_times.status_every,
        status_asked,
        reload_asked,
    ));

    // The ordered end: cameras, what they still had to say, the way to the platform, the database.
    let deadline = Instant::now() + config.agent_times.shutdown;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    stop.store(true, Ordering::Relaxed);
    let mut result = ended;
    for (name, thread) in threads {
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !thread.is_finished() {
            tracing::error!("{name} did not end in time; what it had open is lost");
            continue;
        }
        let outcome = thread.join().unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
        result = result.and(outcome.with_context(|| format!("{name} ended")));
    }
    let reason = if result.is_ok() { OfflineReason::Shutdown } else { OfflineReason::Failure };
    let last = Outgoing::of(&identity.offline(reason)).ok();
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    // What was committed last is given the chance to go; the rest stays.
    runtime.block_on(async {
        let drained = wait_for_empty(&outbox, left / 2);
        drained.await;
        if let Err(e) = uplink.finish(Drain::InFlight, last, left / 2).await {
            tracing::warn!("{e}; what was not acknowledged stays in the outbox");
        }
    });
    result.and(outbox.close().context("closing the outbox"))
}

async fn wait_for_empty(outbox: &Outbox, within: Duration) {
    let until = tokio::time::Instant::now() + within.min(Duration::from_secs(3));
    let mut stats = outbox.watch();
    loop {
        if stats.borrow_and_update().lanes.iter().all(|l| l.waiting == 0) {
            return;
        }
        tokio::select! {
            changed = stats.changed() => if changed.is_err() { return },
            () = tokio::time::sleep_until(until) => return,
        }
    }
}

/// Watches over the workers, tells how they are, and looks after the watchlist.
struct Keeper {
    identity: Identity,
    outbox: Outbox,
    cameras: Vec<Arc<CameraState>>,
    list: watchfile::Current,
    watch: Option<WatchFile>,
}

impl Keeper {
    /// Until a signal (`Ok`), or until a worker ends that must not.
    async fn watch_over(
        mut self,
        uplink: &Uplink,
        threads: &[(String, JoinHandle<anyhow::Result<()>>)],
        status_every: Duration,
        mut status_asked: mpsc::Receiver<()>,
        mut reload_asked: mpsc::Receiver<()>,
    ) -> anyhow::Result<()> {
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut hup = signal(SignalKind::hangup())?;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let link = uplink.status();
        let (mut connections, mut told, mut told_at) = (0, None, Instant::now());
        let mut ready = false;
        self.look_at_list().await;
        loop {
            let mut now = false;
            tokio::select! {
                _ = term.recv() => return Ok(()),
                _ = int.recv() => return Ok(()),
                _ = hup.recv() => self.look_at_list().await,
                Some(()) = reload_asked.recv() => self.look_at_list().await,
                Some(()) = status_asked.recv() => now = true,
                _ = second.tick() => self.look_at_list().await,
            }
            for (name, thread) in threads {
                anyhow::ensure!(!thread.is_finished(), "{name} ended unexpectedly");
            }
            let stats = self.outbox.stats();
            anyhow::ensure!(self.outbox.is_alive(), "the outbox's writer ended unexpectedly");
            if let OutboxState::Broken(why) = &stats.state {
                anyhow::bail!("the outbox cannot be used any more: {why}");
            }
            anyhow::ensure!(uplink.is_alive(), "the uplink ended unexpectedly: {}", link.borrow().state);
            let status = self.identity.online(&self.cameras, &stats, &link.borrow());
            let newly = link.borrow().connections != connections;
            connections = link.borrow().connections;
            let due = told_at.elapsed() >= status_every && link.borrow().connected;
            // A box that is cut off does not fill its outbox with its state; the next connection brings it.
            let changed = told.as_ref() != Some(&gist(&status)) && link.borrow().connected;
            if now || newly || due || changed {
                told = Some(gist(&status));
                told_at = Instant::now();
                self.tell(uplink, &status).await;
            }
            if !ready {
                ready = true;
                let _ = sd_notify::notify(&[NotifyState::Ready]);
            }
            let hanging = self
                .cameras
                .iter()
                .find(|c| c.heartbeat.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > HANGS);
            match hanging {
                None => {
                    let waiting: u64 = stats.lanes.iter().map(|l| l.waiting).sum();
                    let line = format!("{}; {waiting} waiting", link.borrow().state);
                    let _ = sd_notify::notify(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
                }
                Some(c) => {
                    let id = c.status.lock().unwrap_or_else(PoisonError::into_inner).camera.clone();
                    tracing::error!(camera = %id, "its thread hangs; the watchdog will end this process");
                }
            }
        }
    }

    async fn tell(&self, uplink: &Uplink, status: &kakou_contract::StatusMessage) {
        let recorded = match Draft::of(status, Lane::Control, Keep::Control) {
            Ok(draft) => self.outbox.append_async(vec![draft]).await.map(|_| ()).map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(e) = recorded {
            let sent = Outgoing::of(status).is_ok_and(|o| uplink.direct(o));
            tracing::error!(sent, "a status went past the outbox: {e}");
        }
    }

    async fn look_at_list(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let Look::New { list, refused } = watch.look() else { return };
        let now = chrono::Local::now().fixed_offset();
        let audit = AuditMessage {
            schema_version: SchemaVersion::CURRENT,
            id: live_id(now),
            site: self.identity.site.clone(),
            agent: self.identity.agent.clone(),
            time: now,
            event: AuditEvent::Watchlist {
                list: list.name.clone(),
                version: list.version.clone(),
                entries: list.len() as u64,
                refused,
            },
            sequence: None,
        };
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
        if let Ok(draft) = Draft::of(&audit, Lane::Control, Keep::Control)
            && let Err(e) = self.outbox.append_async(vec![draft]).await
        {
            tracing::error!("the change of the watchlist was not recorded: {e}");
        }
    }
}
