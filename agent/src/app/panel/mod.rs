//! The box's own page, where the config asks for one: `kakou_panel` answers, this gives it what it
//! shows.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `agent` | the agent as the panel knows it |
//! | `scenes` | live pictures with what was found in them |
//! | `records` | what the outbox still has of what has passed |
//! | `save` | lanes and masks, written into the config |
//! | `proposal` | the same where only root may write the config |
//! | `tap` | hits and passages, shown in passing |

mod agent;
pub mod proposal;
mod records;
pub mod save;
mod scenes;
pub mod tap;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kakou_panel::access::Users;
use kakou_panel::{Certificate, Checkpoint, Hub, Panel};
use tokio::time::{Duration, sleep};

use super::settings::Settings;
use super::supervise::{Pulse, TaskPart};
use crate::config::PanelConfig;

pub use agent::AgentCheckpoint;

/// How often it is looked whether the config asks for the page.
const LOOK: Duration = Duration::from_secs(1);
/// Hits of before the start that are shown.
const HITS_BEFORE: usize = 400;

/// Where a config has its page.
pub fn panel_of(config: &PanelConfig, state: &Path) -> Panel {
    Panel {
        listen: config.listen,
        certificate: config
            .certificate
            .clone()
            .map(|(certificate, key)| Certificate { certificate, key }),
        state: state.to_owned(),
    }
}

/// Answers where the config says, while it says so.
pub struct PanelPart {
    pub settings: Settings,
    pub checkpoint: Arc<AgentCheckpoint>,
    pub hub: Hub,
    pub state: PathBuf,
}

impl TaskPart for PanelPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            pulse.working();
            let Some(config) = self.settings.panel() else {
                self.hub.listen_to_nothing();
                sleep(LOOK).await;
                continue;
            };
            if self.hub.begin() {
                let checkpoint = Arc::clone(&self.checkpoint);
                let before =
                    tokio::task::spawn_blocking(move || checkpoint.hits_before(HITS_BEFORE));
                // The newest state of each comes last.
                self.hub.remember(before.await?.into_iter().rev());
            }
            let users = Arc::new(Users::of(&self.state));
            match users.all() {
                Ok(all) if all.is_empty() => {
                    tracing::warn!(
                        "nobody can log in at the page yet; `kakou panel user add` makes users"
                    );
                }
                Ok(_) => {}
                Err(e) => tracing::error!("nobody can log in at the page: {e}"),
            }
            let panel = panel_of(&config, &self.state);
            let settings = self.settings.clone();
            let go_on = || {
                pulse.working();
                settings.panel().as_ref() == Some(&config)
            };
            let checkpoint: Arc<dyn Checkpoint> = self.checkpoint.clone();
            kakou_panel::serve(&panel, checkpoint, self.hub.clone(), users, go_on).await?;
        }
    }
}
