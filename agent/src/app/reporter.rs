//! Sends the status: after each connection, at intervals, when it changes, and when it is asked
//! for.

use std::time::Duration;

use kakou_contract::{Envelope, Keep, Priority, StatusMessage};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::overview::Sources;
use super::settings::Settings;
use super::status::{Gist, gist};
use super::supervise::{Pulse, TaskPart};

/// How often it is looked whether there is something to tell.
const EVERY: Duration = Duration::from_secs(1);
/// An outbox that takes longer than this does not keep the platform from learning how the agent is.
const COMMIT_WITHIN: Duration = Duration::from_secs(3);

pub struct Reporter {
    pub sources: Sources,
    pub settings: Settings,
    /// Somebody wants the status now.
    pub asked: mpsc::Receiver<()>,
    /// What was told last, and when.
    pub told: Option<(Gist, Duration)>,
    /// Connections that the status was sent after.
    pub connections: u64,
}

impl TaskPart for Reporter {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = tokio::select! {
                asked = self.asked.recv() => match asked {
                    Some(()) => true,
                    None => return Ok(()),
                },
                _ = tick.tick() => false,
            };
            pulse.working();
            self.report(now).await;
        }
    }
}

impl Reporter {
    async fn report(&mut self, now: bool) {
        let overview = self.sources.look();
        let (link, gist, time) = (
            &overview.link,
            gist(&overview.status),
            self.sources.clock.mono(),
        );
        let is_new_connection = link.connections != self.connections;
        self.connections = link.connections;
        // A box that is cut off does not fill its outbox with its state; the next connection brings
        // it.
        let is_due = link.connected
            && self.told.as_ref().is_none_or(|(told, at)| {
                *told != gist || time.saturating_sub(*at) >= self.settings.status_every()
            });
        if now || is_new_connection || is_due {
            self.told = Some((gist, time));
            self.send(&overview.status).await;
        }
    }

    async fn send(&self, status: &StatusMessage) {
        let envelope = match Envelope::of(status, Priority::Control, Keep::Control) {
            Ok(envelope) => envelope,
            Err(e) => return tracing::error!("a status cannot be written: {e}"),
        };
        let append = self.sources.outbox.append_async(vec![envelope]);
        let why = match timeout(COMMIT_WITHIN, append).await {
            Ok(Ok(_)) => return,
            Ok(Err(e)) => e.to_string(),
            Err(_) => "the outbox does not answer".to_owned(),
        };
        let sent = Envelope::of(status, Priority::Control, Keep::Control)
            .is_ok_and(|message| self.sources.link.send_past(message));
        tracing::warn!(sent, "a status goes past the outbox: {why}");
    }
}
