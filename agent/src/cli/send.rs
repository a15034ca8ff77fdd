//! Sending records of a recording: through the same outbox and uplink as a box in service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use kakou_contract::Id;
use tokio::runtime::Runtime;

use crate::app::{Footage, drafts};
use crate::config::Config;
use crate::pipeline::Record;
use crate::store::OutboxStore;
use kakou_outbox::{Outbox, OutboxOptions};
use kakou_uplink::{Drain, Uplink, UplinkConfig};

/// How long a broker may take to answer before the work begins.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// An outbox with its uplink, on a small runtime of its own.
pub struct Sender {
    runtime: Runtime,
    outbox: Outbox,
    uplink: Uplink,
    folder: PathBuf,
    /// The folder is only for this run.
    temporary: bool,
}

impl Sender {
    /// Connects; a broker that does not answer is an error at once, before a recording was worked
    /// through.
    pub fn connect(
        uplink: UplinkConfig,
        config: &Config,
        folder: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let temporary = folder.is_none();
        let folder = match folder {
            Some(folder) => folder.to_path_buf(),
            None => std::env::temp_dir().join(format!("kakou-{}", uuid::Uuid::now_v7().simple())),
        };
        let (site, agent) = (
            Id::new("site", config.site.as_str())?,
            Id::new("agent", config.agent.as_str())?,
        );
        let outbox = Outbox::open(OutboxOptions::new(&folder, site, agent))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let store = outbox.clone();
        let started = runtime.block_on(async {
            let uplink = Uplink::start(
                uplink,
                OutboxStore(store),
                std::sync::Arc::new(kakou_time::SystemClock::new()),
            );
            uplink.connected(FIRST_ANSWER).await.map(|()| uplink)
        });
        match started {
            Ok(uplink) => Ok(Self {
                runtime,
                outbox,
                uplink,
                folder,
                temporary,
            }),
            Err(e) => {
                outbox.close()?;
                if temporary {
                    // Nothing was recorded yet.
                    let _ = std::fs::remove_dir_all(&folder);
                }
                Err(e.into())
            }
        }
    }

    /// Commits the passage with its pictures; sending goes on beside it.
    pub fn send(&mut self, record: &Record) -> anyhow::Result<()> {
        let drafts = drafts(record, &[], &[], Footage::Recorded)?;
        self.outbox.append(drafts)?;
        Ok(())
    }

    /// Waits until the broker has acknowledged every message. What could not be sent stays in the
    /// folder.
    pub fn finish(self, within: Duration) -> anyhow::Result<()> {
        let Self {
            runtime,
            outbox,
            uplink,
            folder,
            temporary,
        } = self;
        let status = uplink.status();
        let ended = runtime.block_on(uplink.finish(Drain::Everything, None, within));
        let stats = outbox.stats();
        outbox.close()?;
        let held: u64 = stats.counts.iter().map(|l| l.held).sum();
        let keep = || {
            format!(
                "what was not sent is in {}; `kakou outbox status --state` shows it",
                folder.display()
            )
        };
        ended.with_context(keep)?;
        if held > 0 || status.borrow().refused > 0 {
            let first = status
                .borrow()
                .refusals
                .first()
                .map(|r| format!("{}: {}", r.topic, r.why))
                .unwrap_or_default();
            let count = status.borrow().refused;
            return Err(anyhow::anyhow!(
                "the broker refused {count} messages; the first: {first}"
            ))
            .with_context(keep);
        }
        if temporary {
            std::fs::remove_dir_all(&folder)
                .with_context(|| format!("removing {}", folder.display()))?;
        }
        Ok(())
    }
}
