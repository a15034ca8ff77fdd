//! How the agent is, for Prometheus: in a file, for node_exporter's textfile collector or whoever
//! reads it, and over HTTP ([`super::web`]). docs/metrics.md explains each.

mod figures;
mod text;

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

use super::overview::Sources;
use super::settings::Settings;
use super::supervise::{Pulse, TaskPart};

pub use figures::figures;

/// How often the file is written.
const EVERY: Duration = Duration::from_secs(5);

/// Writes the file again and again, where the config names one.
pub struct MetricsPart {
    pub sources: Sources,
    pub settings: Settings,
}

impl TaskPart for MetricsPart {
    async fn run_once(&mut self, pulse: &Pulse) -> anyhow::Result<()> {
        loop {
            if let Some(file) = self.settings.metrics().file {
                let text = figures(&self.sources);
                // A disk may let a write wait.
                tokio::task::spawn_blocking(move || write(&file, &text)).await??;
            }
            pulse.working();
            tokio::time::sleep(EVERY).await;
        }
    }
}

/// Writes the file anew, as a whole or not at all.
fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    // Whoever reads it, a node_exporter say, needs not be in our group: it holds counts alone.
    kakou_guard::file::replace(file, text.as_bytes(), 0o644)
        .with_context(|| format!("{}: the metrics cannot be written", file.display()))
}
