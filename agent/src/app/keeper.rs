//! Watches over the workers, tells how they are, and looks after config and watchlist.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use kakou_contract::{AuditEvent, Keep};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::cameras::Cameras;
use super::commands::{Commander, ReloadRequest};
use super::metrics;
use super::status::{Identity, gist};
use super::watchfile::{self, Look, WatchFile};
use super::{Direct, RunOptions};
use crate::config::Config;
use kakou_contract::{Envelope, Priority};
use kakou_outbox::{Outbox, OutboxState};
use kakou_uplink::Uplink;

/// A camera's thread that says nothing for so long hangs: models and disks do not take that.
const HANGS: Duration = Duration::from_secs(30);

pub(super) struct Keeper {
    pub identity: Identity,
    pub outbox: Outbox,
    pub cameras: Cameras,
    pub list: watchfile::Current,
    pub watch: Option<WatchFile>,
    pub uplink: Uplink,
    pub direct: Direct,
    pub config: Config,
    pub options: RunOptions,
}

/// The ends that commands speak into.
#[derive(Clone)]
pub(super) struct Asking {
    pub status: mpsc::Sender<()>,
    pub reload: mpsc::Sender<ReloadRequest>,
}

/// What the agent is told from outside. From its making on, none of them ends the process by itself.
pub(super) struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Signals {
    pub(super) fn listen() -> std::io::Result<Self> {
        let [term, int, hup] = [
            SignalKind::terminate(),
            SignalKind::interrupt(),
            SignalKind::hangup(),
        ]
        .map(signal);
        Ok(Self {
            term: term?,
            int: int?,
            hup: hup?,
        })
    }
}

impl Keeper {
    /// Hears the commands that come over the uplink in use.
    pub(super) fn listen(&mut self, asking: &Asking) {
        let commander = Commander {
            site: self.identity.site.clone(),
            agent: self.identity.agent.clone(),
            outbox: self.outbox.clone(),
            cameras: self.cameras.states(),
            status_now: asking.status.clone(),
            reload: asking.reload.clone(),
        };
        if let Some(mut commands) = self.uplink.commands() {
            tokio::spawn(async move {
                while let Some(received) = commands.recv().await {
                    commander.take(received).await;
                }
            });
        }
    }

    /// Until a signal (`Ok`), or until a worker ends that must not.
    pub(super) async fn watch_over(&mut self, signals: Signals) -> anyhow::Result<()> {
        let Signals {
            mut term,
            mut int,
            mut hup,
        } = signals;
        let mut second = tokio::time::interval(Duration::from_secs(1));
        let (status_now, mut status_asked) = mpsc::channel(1);
        let (reload, mut reload_asked) = mpsc::channel::<ReloadRequest>(1);
        let asking = Asking {
            status: status_now,
            reload,
        };
        self.listen(&asking);
        let (mut connections, mut told, mut told_at) = (0, None, Instant::now());
        let mut measured_at: Option<Instant> = None;
        let mut ready = false;
        self.look_at_list().await;
        loop {
            let mut now = false;
            tokio::select! {
                _ = term.recv() => return Ok(()),
                _ = int.recv() => return Ok(()),
                // What came of it is in the log and in an audit message.
                _ = hup.recv() => drop(self.reload(&asking).await),
                Some(request) = reload_asked.recv() => {
                    // Who asked may have gone; it is done all the same.
                    let _ = request.send(self.reload(&asking).await);
                }
                Some(()) = status_asked.recv() => now = true,
                _ = second.tick() => self.look_at_list().await,
            }
            self.cameras.check()?;
            let stats = self.outbox.stats();
            anyhow::ensure!(
                self.outbox.is_alive(),
                "the outbox's writer ended unexpectedly"
            );
            if let OutboxState::Broken(why) = &stats.state {
                anyhow::bail!("the outbox cannot be used any more: {why}");
            }
            let link = self.uplink.status().borrow().clone();
            anyhow::ensure!(
                self.uplink.is_alive(),
                "the uplink ended unexpectedly: {}",
                link.state
            );
            let status = self
                .identity
                .online(&self.cameras.states().all(), &stats, &link);
            let newly = link.connections != connections;
            connections = link.connections;
            let due = told_at.elapsed() >= self.config.agent_times.status_every && link.connected;
            // A box that is cut off does not fill its outbox with its state; the next connection brings it.
            let changed = told.as_ref() != Some(&gist(&status)) && link.connected;
            if now || newly || due || changed {
                told = Some(gist(&status));
                told_at = Instant::now();
                self.tell(&status).await;
            }
            if let Some(file) = &self.config.metrics
                && measured_at.is_none_or(|at| at.elapsed() >= metrics::EVERY)
            {
                measured_at = Some(Instant::now());
                metrics::write(file, &status, &self.cameras.states().all(), &stats, &link);
            }
            if !ready {
                ready = true;
                let _ = sd_notify::notify(&[NotifyState::Ready]);
            }
            match self.cameras.hanging(HANGS) {
                None => {
                    let waiting: u64 = stats.counts.iter().map(|l| l.waiting).sum();
                    let line = format!("{}; {waiting} waiting", link.state);
                    let _ = sd_notify::notify(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
                }
                Some(id) => {
                    tracing::error!(camera = %id, "its thread hangs; the watchdog will end this process");
                }
            }
        }
    }

    async fn tell(&self, status: &kakou_contract::StatusMessage) {
        let recorded = match Envelope::of(status, Priority::Control, Keep::Control) {
            Ok(draft) => self
                .outbox
                .append_async(vec![draft])
                .await
                .map(|_| ())
                .map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(e) = recorded {
            let again = Envelope::of(status, Priority::Control, Keep::Control);
            let sent = again.is_ok_and(|status| self.uplink.direct(status));
            tracing::error!(sent, "a status went past the outbox: {e}");
        }
    }

    pub(super) async fn audit(&self, event: AuditEvent) {
        let now = chrono::Local::now().fixed_offset();
        let kind = event.kind();
        let recorded = match Envelope::audit(&self.identity.site, &self.identity.agent, now, event)
        {
            Ok(draft) => self
                .outbox
                .append_async(vec![draft])
                .await
                .map(|_| ())
                .map_err(|e| e.to_string()),
            Err(e) => Err(e.to_string()),
        };
        if let Err(e) = recorded {
            tracing::error!(event = kind, "it was not recorded: {e}");
        }
    }

    pub(super) async fn look_at_list(&mut self) {
        let Some(watch) = &mut self.watch else { return };
        let Look::New { list, refused } = watch.look() else {
            return;
        };
        let event = AuditEvent::Watchlist {
            list: list.name.clone(),
            version: list.version.clone(),
            entries: list.len() as u64,
            refused,
        };
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = list;
        self.audit(event).await;
    }
}
