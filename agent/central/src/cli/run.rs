//! `kakou-central run` and `check-config`.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::config::CentralConfig;
use crate::ingest::Objects;
use crate::serve::Central;

pub async fn run(config: &CentralConfig) -> anyhow::Result<ExitCode> {
    let mut term = signal(SignalKind::terminate())?;
    let central = Central::start(config).await?;
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
    tokio::select! {
        _ = term.recv() => {}
        result = tokio::signal::ctrl_c() => result?,
    }
    tracing::info!("stops: what was taken is committed and acknowledged first");
    let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
    central.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Opens what the config names, and changes nothing.
pub async fn check(config: &CentralConfig) -> anyhow::Result<ExitCode> {
    let store = super::store(config)?;
    let client = store.client().await?;
    let row = client.query_one("SHOW server_version", &[]).await?;
    super::say(&format!("database: PostgreSQL {}", row.get::<_, &str>(0)))?;
    Objects::open(&config.objects)?;
    super::say("objects: can be opened")?;
    for broker in config.brokers().map_err(anyhow::Error::msg)? {
        if broker.tls {
            config.tls().client_config()?;
        }
        super::say(&format!("broker: {broker}"))?;
    }
    Ok(ExitCode::SUCCESS)
}
