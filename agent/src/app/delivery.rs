//! Lists that the platform sends: their chunks into the vault, and what is missing asked for.
//!
//! The list itself is taken into use by the watchlist's part, which sees that its file has changed,
//! as with any other list. What the platform should know goes out as audit records: what was
//! refused, and what is wanted.

use std::collections::BTreeMap;
use std::time::Duration;

use kakou_contract::{AuditEvent, Id, Topic};
use kakou_delivery::{Inbox, InboxOptions, Told};
use kakou_time::SharedClock;
use kakou_uplink::Received;
use tokio::sync::mpsc;

use super::recorder::Intake;
use super::settings::Settings;
use super::status::Identity;
use super::supervise::{Pulse, TaskPart};
use super::watchfile::vault;
use crate::config::ListConfig;

/// Chunks that wait; who sends faster is asked again later.
pub const CHUNKS: usize = 256;
/// How often it is looked whether something is missing.
const EVERY: Duration = Duration::from_secs(5);
/// A list that is not configured is told once in this time.
const TELL_EVERY: Duration = Duration::from_secs(600);

pub struct DeliveryPart {
    settings: Settings,
    site: Id,
    clock: SharedClock,
    intake: Intake,
    chunks: mpsc::Receiver<Received>,
    /// What the inboxes were made for.
    lists: Vec<ListConfig>,
    inboxes: BTreeMap<String, Inbox>,
    unknown_told: Option<Duration>,
}

impl DeliveryPart {
    pub fn new(
        settings: Settings,
        identity: &Identity,
        clock: SharedClock,
        intake: Intake,
        chunks: mpsc::Receiver<Received>,
    ) -> Self {
        Self {
            settings,
            site: identity.site.clone(),
            clock,
            intake,
            chunks,
            lists: Vec::new(),
            inboxes: BTreeMap::new(),
            unknown_told: None,
        }
    }

    /// Makes an inbox for each list that the config says is delivered.
    async fn follow_config(&mut self) -> anyhow::Result<()> {
        let config = self.settings.current();
        let delivered = config.watchlist.iter().filter(|l| l.delivered.is_some());
        let all_open = self.inboxes.len() == self.lists.len();
        if all_open && delivered.clone().eq(self.lists.iter()) {
            return Ok(());
        }
        let lists: Vec<ListConfig> = delivered.cloned().collect();
        let (site, now, wanted) = (self.site.clone(), self.clock.mono(), lists.clone());
        self.inboxes = tokio::task::spawn_blocking(move || {
            let opened = wanted.iter().filter_map(|list| open(list, &site, now));
            opened.collect()
        })
        .await?;
        self.lists = lists;
        Ok(())
    }

    async fn hear(&mut self, received: Received) -> anyhow::Result<()> {
        let Ok(Topic::List { list, .. }) = received.topic.parse::<Topic>() else {
            return Ok(());
        };
        let now = self.clock.mono();
        let Some(mut inbox) = self.inboxes.remove(list.as_str()) else {
            self.unknown(list, now);
            return Ok(());
        };
        // It is opened anew if this is ended before it is back.
        let lists = std::mem::take(&mut self.lists);
        let (inbox, told) = tokio::task::spawn_blocking(move || {
            let told = inbox.hear(&received.payload, now);
            (inbox, told)
        })
        .await?;
        self.inboxes.insert(list.to_string(), inbox);
        self.lists = lists;
        match told {
            Some(Told::Stored { version, entries }) => {
                tracing::info!(%list, %version, entries, "the platform sent a list");
            }
            Some(Told::Refused { version, detail }) => {
                tracing::warn!(%list, "a list was not taken: {detail}");
                self.intake.audit(AuditEvent::ListRefused {
                    list,
                    version,
                    detail,
                });
            }
            None => {}
        }
        Ok(())
    }

    fn unknown(&mut self, list: Id, now: Duration) {
        if self
            .unknown_told
            .is_some_and(|at| now.saturating_sub(at) < TELL_EVERY)
        {
            return;
        }
        self.unknown_told = Some(now);
        tracing::warn!(%list, "a list came that the config does not know as delivered");
        self.intake.audit(AuditEvent::ListRefused {
            list,
            version: None,
            detail: "this box's config has no list of this name that is delivered".to_owned(),
        });
    }

    /// Asks for what is missing.
    fn ask(&mut self) {
        let now = self.clock.mono();
        for (list, inbox) in &mut self.inboxes {
            let (Some(wanted), Ok(list)) = (inbox.ask(now), Id::new("list", list.as_str())) else {
                continue;
            };
            tracing::info!(%list, ?wanted, "the platform is asked for a list");
            self.intake.audit(AuditEvent::ListWanted {
                list,
                have: wanted.have,
                version: wanted.version,
                chunks: wanted.chunks,
            });
        }
    }
}

fn open(list: &ListConfig, site: &Id, now: Duration) -> Option<(String, Inbox)> {
    let delivered = list.delivered.as_ref()?;
    let name = delivered.list.to_string();
    // A key that cannot be read is told by the part that reads the list, and tried again; nothing
    // may be kept without it.
    let vault = vault(&list.file, delivered).ok()?;
    if let Err(e) = vault.seal(&delivered.list, &delivered.trusted) {
        tracing::warn!(list = name, "{e}");
    }
    let options = InboxOptions {
        list: delivered.list.clone(),
        site: site.clone(),
        trusted: delivered.trusted.clone(),
        vault,
    };
    Some((name, Inbox::open(options, now)))
}

impl TaskPart for DeliveryPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                received = self.chunks.recv() => match received {
                    Some(received) => {
                        self.follow_config().await?;
                        self.hear(received).await?;
                    }
                    None => return Ok(()),
                },
                _ = tick.tick() => {
                    self.follow_config().await?;
                    self.ask();
                    pulse.working();
                }
            }
        }
    }
}
