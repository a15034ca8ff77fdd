//! `kakou-central run` and `check-config`.

use std::process::ExitCode;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::CentralConfig;
use crate::ingest::Objects;
use crate::serve::Central;

/// Well within WatchdogSec of the unit.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

pub async fn run(config: &CentralConfig) -> anyhow::Result<ExitCode> {
    let mut term = signal(SignalKind::terminate())?;
    let mut central = Central::start(config).await?;
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[NotifyState::Ready]);
    let mut alive = tokio::time::interval(ALIVE_EVERY);
    loop {
        tokio::select! {
            _ = term.recv() => break,
            result = tokio::signal::ctrl_c() => {
                result?;
                break;
            }
            part = central.ended() => anyhow::bail!(
                "{part} ended by itself, which is a bug; this process ends, so that it begins anew: what it had not committed comes again"
            ),
            _ = alive.tick() => {
                let _ = sd_notify::notify(&[NotifyState::Watchdog]);
            }
        }
    }
    tracing::info!("stops: what was taken is committed and acknowledged first");
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    central.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Opens what the config names, and changes nothing.
pub async fn check(config: &CentralConfig) -> anyhow::Result<ExitCode> {
    let store = super::store(config)?;
    let client = store.client().await?;
    let row = client.query_one("SHOW server_version", &[]).await?;
    super::say(&format!("database: PostgreSQL {}", row.get::<_, &str>(0)))?;
    let objects = Objects::open(&config.objects)?;
    objects.reach().await?;
    super::say("objects: can be reached")?;
    for broker in config.brokers().map_err(anyhow::Error::msg)? {
        if broker.tls {
            config.tls().client_config()?;
        }
        super::say(&format!("broker: {broker}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
