//! The agent as a whole: what `kakou run` does. All wiring and the ordered end, in one readable function.
//!
//! cameras (a thread each) -> outbox (writer and reader threads) -> uplink (a tokio task). A worker that ends by itself
//! ends the agent with an error, and systemd starts it again; a camera or a broker that is down is degraded, not dead.

mod camera;
mod cameras;
mod commands;
mod drafts;
mod keeper;
mod live;
mod metrics;
mod recording;
mod reload;
mod status;
mod watchfile;

pub use drafts::drafts;

use crate::store::OutboxStore;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use kakou_contract::{Filter, Id, OfflineReason, PublicKey};
use sd_notify::NotifyState;

use crate::config::{BrokerConfig, Config};
use cameras::{Cameras, Surroundings, model_sets};
use kakou_outbox::{Outbox, OutboxOptions};
use kakou_sight::vision::ModelPool;
use kakou_uplink::{DirectSender, Drain, Outgoing, Uplink, UplinkConfig};
use keeper::{Keeper, Signals};
use status::Identity;
use watchfile::WatchFile;

/// Where a message that cannot be recorded goes; replaced when the config names another broker.
pub(crate) type Direct = Arc<RwLock<DirectSender>>;

/// Reads the config again, with what the command line adds.
pub type Load = Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// What the command line adds to the config.
#[derive(Clone, Default)]
pub struct RunOptions {
    pub state: Option<PathBuf>,
    pub print: bool,
    /// The config's file, and how to read it again; without them a reload reads the watchlist only.
    pub config: Option<(PathBuf, Load)>,
}

/// Runs the agent until SIGTERM or SIGINT. `Err`: a part of it ended that must not.
pub fn run(config: Config, options: RunOptions) -> anyhow::Result<()> {
    // First of all: whoever ends the agent while models are loaded or the outbox is opened wants the ordered end too.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let _in_runtime = runtime.enter();
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
    let models = Arc::new(ModelPool::open(&config.models, model_sets(&config))?);
    let state = options
        .state
        .clone()
        .unwrap_or_else(|| config.outbox.state.clone());
    let outbox = Outbox::open(OutboxOptions {
        limits: config.outbox.limits,
        retention: config.outbox.retention,
        ..OutboxOptions::new(&state, site.clone(), agent.clone())
    })?;
    let identity = Identity {
        site,
        agent,
        started_at: chrono::Local::now().fixed_offset(),
        models: models_used(&models),
        public_key: PublicKey::of(&outbox.public_key()),
    };

    let uplink = Uplink::start(
        uplink_config(broker, &identity),
        OutboxStore(outbox.clone()),
    );
    let list = Arc::new(RwLock::new(Arc::default()));
    let direct: Direct = Arc::new(RwLock::new(uplink.direct_sender()));
    let around = Surroundings {
        outbox: outbox.clone(),
        list: Arc::clone(&list),
        direct: Arc::clone(&direct),
        clock: Arc::new(kakou_time::SystemClock::new()),
        print: options.print,
    };
    let cameras = Cameras::start(&config, around, models)?;
    let watch = config.watchlist.as_ref().map(|file| WatchFile::new(file));
    let shutdown = config.agent_times.shutdown;
    let mut keeper = Keeper {
        identity: identity.clone(),
        outbox: outbox.clone(),
        cameras,
        list,
        watch,
        uplink,
        direct,
        config,
        options,
    };
    let mut result = runtime.block_on(keeper.watch_over(signals));

    // The ordered end: cameras, what they still had to say, the way to the platform, the database.
    let deadline = Instant::now() + shutdown;
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let Keeper {
        cameras, uplink, ..
    } = keeper;
    result = result.and(cameras.end(deadline));
    let reason = if result.is_ok() {
        OfflineReason::Shutdown
    } else {
        OfflineReason::Failure
    };
    let last = Outgoing::of(&identity.offline(reason)).ok();
    let left = deadline
        .saturating_duration_since(Instant::now())
        .max(Duration::from_secs(1));
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

fn models_used(models: &ModelPool) -> Vec<kakou_contract::ModelUsed> {
    let used = |(name, version): &(String, String)| kakou_contract::ModelUsed {
        name: name.clone(),
        version: version.clone(),
    };
    models.used().iter().map(used).collect()
}

fn uplink_config(broker: &BrokerConfig, identity: &Identity) -> UplinkConfig {
    let will = identity.clone();
    let (site, agent) = (&identity.site, &identity.agent);
    UplinkConfig {
        will: Some(Arc::new(move || {
            // A message that cannot be written would have failed the golden tests.
            Outgoing::of(&will.offline(OfflineReason::ConnectionLost)).unwrap_or_default()
        })),
        commands: Some(Filter::commands(site.clone(), agent.clone()).to_string()),
        ..broker.uplink(format!("kakou-{site}-{agent}"))
    }
}

async fn wait_for_empty(outbox: &Outbox, within: Duration) {
    let until = tokio::time::Instant::now() + within.min(Duration::from_secs(3));
    let mut stats = outbox.watch();
    loop {
        if stats
            .borrow_and_update()
            .lanes
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
