//! Taking a changed config into use without a restart, in two phases.
//!
//! Everything that can fail is prepared first: the config is read and checked, the list is read,
//! models are opened, files of broker and cameras are looked at, threads of new cameras are made.
//! If any of it fails, nothing has changed, and log, audit and answer say why. Then all of it is
//! committed, by steps that cannot fail. The one that can, storing the retention, comes before the
//! others.
//!
//! A second reload of the same file tries everything again that the first could not do.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use kakou_contract::{AuditEvent, Sha256Hex};
use kakou_sight::vision::{ModelChoice, ModelPool};
use kakou_uplink::UplinkConfig;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::cameras::{Cameras, PreparedCameras};
use super::link::{Order, uplink_config};
use super::models::Wanted;
use super::options::Load;
use super::overview::Sources;
use super::prepare;
use super::recorder::Intake;
use super::settings::Settings;
use super::supervise::{Pulse, TaskPart};
use crate::config::Config;

/// What a camera may take to end what it has open.
const CAMERA_END: Duration = Duration::from_secs(10);

/// Asks for a reload; what came of it is answered.
pub type ReloadRequest = oneshot::Sender<Result<Value, String>>;

/// Carries out one reload after the other.
pub struct Reloader {
    pub requests: mpsc::Receiver<ReloadRequest>,
    /// The config's file, and how to read it again; without them a reload reads the watchlist only.
    pub file: Option<(PathBuf, Load)>,
    pub sources: Sources,
    pub settings: Settings,
    pub cameras: Arc<Mutex<Cameras>>,
    pub link: mpsc::Sender<Order>,
    pub intake: Intake,
    /// Parts that are shown only while the config names their file.
    pub watchlist_part: Arc<Pulse>,
    pub metrics_part: Arc<Pulse>,
    pub server_part: Arc<Pulse>,
    pub panel_part: Arc<Pulse>,
}

/// A config that can be taken into use, with all that had to be made for it.
struct Prepared {
    config: Config,
    lists: Vec<prepare::Tried>,
    models: Option<(Wanted, Arc<ModelPool>)>,
    uplink: Option<Box<UplinkConfig>>,
    cameras: PreparedCameras,
}

impl TaskPart for Reloader {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        pulse.working();
        while let Some(request) = self.requests.recv().await {
            let outcome = self.reload().await;
            pulse.working();
            // Who asked may have gone; it is done all the same.
            let _ = request.send(outcome);
        }
        Ok(())
    }
}

impl Reloader {
    /// `Ok`: what was taken into use. `Err`: why nothing was.
    async fn reload(&mut self) -> Result<Value, String> {
        let Some((path, load)) = self.file.clone() else {
            return self.list_alone().await;
        };
        let sha256 = kakou_guard::file::read_bounded(&path, crate::config::LARGEST)
            .map(|bytes| Sha256Hex(Sha256::digest(&bytes).into()));
        let outcome = match self.prepare(load).await {
            Ok(prepared) => self.commit(prepared).await,
            Err(e) => Err(e),
        };
        let (outcome, detail) = match outcome {
            Ok(what) => {
                tracing::info!(file = %path.display(), "config read again: {what}");
                (Ok(what.clone()), what.to_string())
            }
            Err(e) => {
                let why = format!("nothing was taken into use: {e:#}");
                tracing::error!(file = %path.display(), "{why}");
                (Err(why.clone()), why)
            }
        };
        if let Ok(sha256) = sha256 {
            self.intake.audit(AuditEvent::ConfigReload {
                sha256,
                detail: Some(detail),
            });
        }
        outcome
    }

    async fn list_alone(&self) -> Result<Value, String> {
        let watchlist = self.sources.watchlist.clone();
        let looked = tokio::task::spawn_blocking(move || watchlist.look()).await;
        let looked = looked.map_err(|e| e.to_string())?;
        looked
            .events
            .into_iter()
            .for_each(|event| self.intake.audit(event));
        match looked.fault {
            None => Ok(json!({ "read_again": ["watchlist"] })),
            Some(e) => Err(e.to_string()),
        }
    }

    async fn prepare(&self, load: Load) -> anyhow::Result<Prepared> {
        let (old, sources, cameras) = (
            self.settings.current(),
            self.sources.clone(),
            Arc::clone(&self.cameras),
        );
        let prepare = move || prepare_all(&load, &old, &sources, &cameras);
        tokio::task::spawn_blocking(prepare).await?
    }

    async fn commit(&self, prepared: Prepared) -> anyhow::Result<Value> {
        let Prepared {
            config,
            lists,
            models,
            uplink,
            cameras,
        } = prepared;
        let mut taken = vec!["watchlist"];
        taken.extend(self.commit_outbox(&config).await?);
        let events = self.sources.watchlist.replace(lists);
        events
            .into_iter()
            .for_each(|event| self.intake.audit(event));
        if let Some(uplink) = uplink {
            // The part that takes it ends only with the agent.
            let _ = self.link.send(Order::Change(uplink)).await;
            taken.push("broker");
        }
        if let Some((wanted, pool)) = models {
            self.sources.models.replace(wanted, pool);
            taken.push("models");
        }
        let parts = &self.sources.parts;
        for (is_there, part) in [
            (!config.watchlist.is_empty(), &self.watchlist_part),
            (config.metrics.file.is_some(), &self.metrics_part),
            (config.metrics.listen.is_some(), &self.server_part),
            (config.panel.is_some(), &self.panel_part),
        ] {
            match is_there {
                true => parts.add(part),
                false => parts.remove(part),
            }
        }
        self.settings.replace(config);
        let all = Arc::clone(&self.cameras);
        let commit = move || {
            let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
            all.commit(cameras, CAMERA_END)
        };
        let changed = tokio::task::spawn_blocking(commit).await?;
        Ok(
            json!({ "read_again": taken, "cameras_ended": changed.ended, "cameras_started": changed.started }),
        )
    }

    /// The steps that may fail, of which each is undone if the next one does.
    async fn commit_outbox(&self, config: &Config) -> anyhow::Result<Vec<&'static str>> {
        let (old, new, outbox) = (
            &self.settings.current().outbox,
            &config.outbox,
            &self.sources.outbox,
        );
        let mut taken = Vec::new();
        if new.limits != old.limits {
            outbox.set_limits(new.limits).await?;
            taken.push("limits");
        }
        if new.retention != old.retention {
            if let Err(e) = outbox.follow_config(new.retention).await {
                if new.limits != old.limits
                    && let Err(also) = outbox.set_limits(old.limits).await
                {
                    return Err(anyhow::Error::new(e).context(format!(
                        "the limits are new already, and could not be set back ({also})"
                    )));
                }
                return Err(e.into());
            }
            taken.push("retention");
        }
        Ok(taken)
    }
}

fn prepare_all(
    load: &Load,
    old: &Config,
    sources: &Sources,
    cameras: &Mutex<Cameras>,
) -> anyhow::Result<Prepared> {
    let config = load()?;
    refuse_what_needs_a_restart(old, &config)?;
    let lists = prepare::watchlist(&config, &*sources.clock)?;
    let uplink = match config.broker.as_ref() {
        Some(broker)
            if Some(broker) != old.broker.as_ref() || config.hears_lists() != old.hears_lists() =>
        {
            prepare::broker(broker)?;
            let lists = config.hears_lists();
            let config = uplink_config(broker, &sources.identity, &sources.clock, lists);
            Some(Box::new(config))
        }
        _ => None,
    };
    for camera in config.cameras.iter().filter(|c| !old.cameras.contains(c)) {
        prepare::camera(camera)?;
    }
    if let Some(folder) = config.metrics.file.as_deref().and_then(Path::parent)
        && config.metrics.file != old.metrics.file
    {
        std::fs::metadata(folder).with_context(|| format!("metrics: {}", folder.display()))?;
    }
    let (wanted, in_use) = (prepare::wanted_models(&config), sources.models.wanted());
    // By itself, how many threads a run has follows from the number of cameras, and changes nothing of
    // what it finds: those that stay need not begin anew for it.
    let same_threads = ModelChoice {
        threads: in_use.choice.threads,
        ..wanted.choice.clone()
    };
    let others = same_threads != in_use.choice || config.threads != old.threads;
    // A camera more may need a set more; one less gives none back.
    let sets =
        wanted.sets > in_use.sets || (config.workers != old.workers && wanted.sets != in_use.sets);
    let models = match others || sets {
        false => None,
        true => {
            let pool = wanted.open().context("models")?;
            Some((wanted, pool))
        }
    };
    let cameras = cameras.lock().unwrap_or_else(PoisonError::into_inner);
    let cameras = cameras.prepare(&config, others)?;
    Ok(Prepared {
        config,
        lists,
        models,
        uplink,
        cameras,
    })
}

/// What an outbox or a connection was made with at the start stays until a restart.
fn refuse_what_needs_a_restart(old: &Config, new: &Config) -> anyhow::Result<()> {
    let refused = [
        (new.site != old.site, "site"),
        (new.agent != old.agent, "agent"),
        (new.outbox.state != old.outbox.state, "outbox.state"),
        (new.broker.is_none(), "[broker], which is gone,"),
        (
            !new.cameras.iter().any(|c| c.source.is_some()),
            "[[camera]], of which none has a `url`,",
        ),
    ];
    match refused.iter().find(|(changed, _)| *changed) {
        Some((_, what)) => bail!("{what} needs a restart"),
        None => Ok(()),
    }
}
