//! Watches over the agent from the outside of its parts: signals, the service manager's watchdog,
//! and whether anything works at all. It waits for nothing else, so that it lives as long as the
//! process is worth keeping.

use std::time::Duration;

use kakou_contract::CameraState;
use kakou_outbox::OutboxState;
use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::overview::{Overview, Sources};
use super::recorder::Recorder;
use super::reload::ReloadRequest;
use super::signals::{Asked, Signals};
use super::signs::{GIVE_UP_AFTER, Signs, SignsOfLife};

pub struct Keeper {
    pub sources: Sources,
    pub recorder: Recorder,
    pub reload: mpsc::Sender<ReloadRequest>,
    pub signals: Signals,
}

/// What stays wrong is told again this often: who looks at the last hours of the log finds it.
const REMIND_EVERY: Duration = Duration::from_secs(3600);

/// What was said already, so that it is said once.
#[derive(Default)]
struct Said {
    /// Since when something is wrong, or was last told to be.
    wrong: Option<Duration>,
    hanging: bool,
    broken: bool,
    writer_gone: bool,
}

impl Keeper {
    /// Until a signal (`Ok`), or until nothing has worked for minutes.
    pub async fn watch_over(&mut self) -> anyhow::Result<()> {
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut life = SignsOfLife::new(self.sources.clock.mono());
        let mut said = Said::default();
        // All parts are started; models may take longer to open, and the status says so.
        notify(&[NotifyState::Ready]);
        loop {
            tokio::select! {
                asked = self.signals.next() => match asked {
                    Asked::End => return Ok(()),
                    Asked::Reload => self.ask_for_reload(),
                },
                _ = second.tick() => self.look(&mut life, &mut said)?,
            }
        }
    }

    /// Each fault is told where it arises; this is for those that last.
    fn remind(&self, overview: &Overview, said: &mut Said) {
        let now = self.sources.clock.mono();
        let reasons = overview.reasons();
        if reasons.is_empty() {
            said.wrong = None;
        } else if now.saturating_sub(*said.wrong.get_or_insert(now)) >= REMIND_EVERY {
            said.wrong = Some(now);
            tracing::warn!("still not well: {}", reasons.join("; ").replace('\n', " "));
        }
    }

    fn ask_for_reload(&self) {
        // What comes of it is in the log and in an audit message.
        let (request, _) = oneshot::channel();
        if self.reload.try_send(request).is_err() {
            tracing::warn!("a reload is under way and another one waits: this signal adds nothing");
        }
    }

    fn look(&self, life: &mut SignsOfLife, said: &mut Said) -> anyhow::Result<()> {
        let overview = self.sources.look();
        self.look_at_outbox(&overview, said)?;
        self.remind(&overview, said);
        let dead_for = life.dead_for(self.sources.clock.mono(), self.signs(&overview));
        if dead_for >= GIVE_UP_AFTER {
            anyhow::bail!(
                "nothing has worked for {} s: {}; {}",
                dead_for.as_secs(),
                overview.headline(),
                self.sources.parts.faults()
            );
        }
        match self.sources.parts.hanging() {
            None => {
                said.hanging = false;
                let line = overview.headline();
                notify(&[NotifyState::Watchdog, NotifyState::Status(&line)]);
            }
            Some((part, silent)) if !said.hanging => {
                said.hanging = true;
                tracing::error!(
                    part,
                    ?silent,
                    "it hangs; unless it moves, the watchdog ends this process"
                );
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// A database that cannot be used is a state, not the end. A writer that is gone is the one
    /// fault that only a new process mends; where it is gone again soon after each start, hits go
    /// past it meanwhile.
    fn look_at_outbox(&self, overview: &Overview, said: &mut Said) -> anyhow::Result<()> {
        if let OutboxState::Broken(why) = &overview.outbox.state {
            if !std::mem::replace(&mut said.broken, true) {
                tracing::error!("the outbox records nothing, hits go past it: {why}");
            }
        } else {
            said.broken = false;
        }
        if self.sources.outbox.is_alive() {
            return Ok(());
        }
        anyhow::ensure!(
            self.sources.clock.mono() < GIVE_UP_AFTER,
            "the outbox's writer ended unexpectedly; a new process can open the outbox again"
        );
        if !std::mem::replace(&mut said.writer_gone, true) {
            tracing::error!("the outbox's writer ended unexpectedly; hits go past it");
        }
        Ok(())
    }

    fn signs(&self, overview: &Overview) -> Signs {
        let cameras = &overview.status.cameras;
        let idle = |state| matches!(state, Some(CameraState::OffDuty | CameraState::Ended));
        Signs {
            frames: cameras
                .iter()
                .map(|c| c.frames + c.frames_still.unwrap_or(0))
                .sum(),
            committed: self.recorder.committed(),
            acknowledged: overview.link.acked,
            is_connected: overview.link.connected,
            is_idle: cameras.iter().all(|c| idle(c.state)),
            is_at_long_work: self.sources.parts.at_long_work(),
        }
    }
}

/// Without a service manager there is nobody to tell.
pub fn notify(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}
