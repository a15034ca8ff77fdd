//! Taking a changed config into use without a restart. What cannot be used leaves everything as it was.

use std::sync::PoisonError;
use std::time::Duration;

use kakou_contract::{AuditEvent, Sha256Hex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::keeper::{Asking, Keeper};
use super::watchfile::WatchFile;
use crate::config::Config;
use crate::store::OutboxStore;
use kakou_uplink::{Drain, Uplink};

/// What a camera may take to end what it has open.
const CAMERA_END: Duration = Duration::from_secs(10);
/// What the old broker may take to acknowledge what it was sent.
const UPLINK_END: Duration = Duration::from_secs(5);

impl Keeper {
    /// Reads config and watchlist again. `Ok`: what was taken into use. `Err`: why nothing, or not all of it, was.
    pub(super) async fn reload(&mut self, asking: &Asking) -> Result<Value, String> {
        let Some((path, load)) = self.options.config.clone() else {
            self.look_at_list().await;
            return Ok(json!({ "read_again": ["watchlist"] }));
        };
        let sha256 = std::fs::read(&path).map(|bytes| Sha256Hex(Sha256::digest(&bytes).into()));
        let result = match load() {
            Ok(config) => self.take_into_use(config, asking).await,
            Err(e) => Err(format!("{e:#}")),
        };
        let detail = match &result {
            Ok(what) => {
                tracing::info!(file = %path.display(), "config read again: {what}");
                what.to_string()
            }
            Err(why) => {
                tracing::error!(file = %path.display(), "the config was not taken into use: {why}");
                why.clone()
            }
        };
        if let Ok(sha256) = sha256 {
            self.audit(AuditEvent::ConfigReload {
                sha256,
                detail: Some(detail),
            })
            .await;
        }
        result
    }

    async fn take_into_use(&mut self, config: Config, asking: &Asking) -> Result<Value, String> {
        self.refuse_what_cannot(&config)?;
        let mut taken = vec!["watchlist"];
        if config.watchlist != self.config.watchlist {
            *self.list.write().unwrap_or_else(PoisonError::into_inner) = Default::default();
            self.watch = config.watchlist.as_ref().map(|file| WatchFile::new(file));
        }
        self.look_at_list().await;
        if config.outbox.retention != self.config.outbox.retention {
            self.outbox
                .set_retention(config.outbox.retention)
                .await
                .map_err(|e| e.to_string())?;
            taken.push("retention");
        }
        if config.outbox.limits != self.config.outbox.limits {
            self.outbox
                .set_limits(config.outbox.limits)
                .await
                .map_err(|e| e.to_string())?;
            taken.push("limits");
        }
        if let Some(broker) = config
            .broker
            .as_ref()
            .filter(|b| Some(*b) != self.config.broker.as_ref())
        {
            // One client id has one connection: the old one ends first. What it has not sent waits in the outbox.
            let new = super::uplink_config(broker, &self.identity);
            if let Err(e) = self.uplink.end(Drain::InFlight, None, UPLINK_END).await {
                tracing::warn!("{e}; what was not acknowledged goes to the new broker");
            }
            self.uplink = Uplink::start(
                new,
                OutboxStore(self.outbox.clone()),
                std::sync::Arc::new(kakou_time::SystemClock::new()),
            );
            *self.direct.write().unwrap_or_else(PoisonError::into_inner) =
                self.uplink.direct_sender();
            self.listen(asking);
            taken.push("broker");
        }
        let changed = tokio::task::block_in_place(|| self.cameras.reload(&config, CAMERA_END));
        self.config = config;
        let changed = changed.map_err(|e| format!("{e:#}"))?;
        Ok(
            json!({ "read_again": taken, "cameras_ended": changed.ended, "cameras_started": changed.started }),
        )
    }

    /// What an outbox or a connection was made with at the start stays until a restart.
    fn refuse_what_cannot(&self, new: &Config) -> Result<(), String> {
        let old = &self.config;
        let refused = [
            (new.site != old.site, "site"),
            (new.agent != old.agent, "agent"),
            (new.outbox.state != old.outbox.state, "outbox.state"),
            (new.broker.is_none(), "[broker], which is gone"),
            (
                !new.cameras.iter().any(|c| c.source.is_some()),
                "[[camera]], of which none has a `url`",
            ),
        ];
        match refused.iter().find(|(changed, _)| *changed) {
            Some((_, what)) => Err(format!(
                "nothing was taken into use: {what} needs a restart"
            )),
            None => Ok(()),
        }
    }
}
