//! `kakou-central keys`: by which keys agents are believed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::store::Store;
use crate::trust::{keys, pin_by_hand};

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Show each agent with its key, where that came from, and since when.
    List,
    /// Pin a key before the agent is heard, or say that the one pinned is right.
    Pin {
        /// The agent, as SITE/AGENT.
        agent: String,
        /// The public key in base64, as `kakou status` shows it on the box.
        key: String,
        /// The box was set up anew: the old key is not believed any more, and the numbers begin at
        /// 1 again.
        #[arg(long)]
        replace: bool,
    },
    /// Pin the keys of a CSV file with the columns site, agent, key.
    Import { file: PathBuf },
}

pub async fn run(store: &Store, command: &Command) -> anyhow::Result<ExitCode> {
    let mut client = store.client().await?;
    match command {
        Command::List => {
            for one in keys(&client).await? {
                let key = one.key.as_deref().unwrap_or("not pinned yet");
                let source = one.source.as_deref().unwrap_or("-");
                let since = one
                    .since
                    .map(|t| t.format("%Y-%m-%dT%H:%M:%SZ").to_string());
                let since = since.as_deref().unwrap_or("-");
                super::say(&format!(
                    "{}/{} {key} {source} {since}",
                    one.site, one.agent
                ))?;
            }
        }
        Command::Pin {
            agent,
            key,
            replace,
        } => {
            let (site, name) = agent
                .split_once('/')
                .with_context(|| format!("{agent:?} is no agent: write it as SITE/AGENT"))?;
            pin_by_hand(&mut client, site, name, key, "operator", *replace).await?;
            super::say(&format!("{agent} is believed by {key}"))?;
        }
        Command::Import { file } => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            let mut count = 0;
            for (n, line) in text.lines().enumerate() {
                let line = line.trim();
                if line.is_empty() || line == "site,agent,key" {
                    continue;
                }
                let place = || format!("{}, line {}", file.display(), n + 1);
                let cells: Vec<&str> = line.split(',').map(str::trim).collect();
                let [site, name, key] = cells[..] else {
                    anyhow::bail!(
                        "{}: {line:?} does not have the three columns site, agent, key",
                        place()
                    );
                };
                pin_by_hand(&mut client, site, name, key, "list", false)
                    .await
                    .with_context(place)?;
                count += 1;
            }
            super::say(&format!("{count} keys are pinned"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
