//! `kakou-central keys`: by which keys agents are believed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use kakou_contract::Id;
use kakou_guard::file::read_bounded;

use crate::store::Store;
use crate::table::LARGEST;
use crate::trust::{Given, keys, pin_by_hand, pin_list};

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
            for (what, text) in [("site", site), ("agent", name)] {
                Id::new(what, text)?;
            }
            let transaction = client.transaction().await?;
            let given = Given {
                site,
                agent: name,
                base64: key,
                source: "operator",
                replace: *replace,
            };
            pin_by_hand(&transaction, given).await?;
            transaction.commit().await?;
            super::say(&format!("{agent} is believed by {key}"))?;
        }
        Command::Import { file } => {
            let place = || file.display().to_string();
            let bytes = read_bounded(file, LARGEST).with_context(place)?;
            let count = pin_list(&mut client, &bytes).await.with_context(place)?;
            super::say(&format!("{count} keys are pinned"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
