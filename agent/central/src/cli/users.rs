//! `kakou-central users`: who may use the HTTP interface, and as what.

use std::collections::BTreeSet;
use std::io::{BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use kakou_guard::Secret;
use kakou_time::{Clock as _, SystemClock};

use crate::api::{Role, Users};
use crate::store::Store;

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Add a user, or give one another password, other roles and another limit.
    ///
    /// The password is asked for; where there is no terminal, it is the first line of the input.
    Add {
        /// Letters of any script, digits, `-`, `_` and `.`.
        name: String,
        /// viewer: sees hits and how agents are. investigator: looks plates up. operator: looks after
        /// the agents. admin: makes users, reads what was searched. Several: one --role each.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<Role>,
        /// Sees only the sites of this prefecture (GB/T 2260, six digits). Several: one --prefecture
        /// each. Without it: all.
        #[arg(long = "prefecture", value_name = "CODE")]
        prefectures: Vec<String>,
    },
    /// Take a user out, with all tokens.
    Remove { name: String },
    /// All users with their roles.
    List,
    /// Make a token that stands for a user in programs. It is shown once.
    Token {
        name: String,
        /// What it is for.
        #[arg(long)]
        label: String,
        /// How long it is good.
        #[arg(long, value_name = "DAYS", default_value_t = 90)]
        days: u32,
    },
}

pub async fn run(store: &Store, command: &Command) -> anyhow::Result<ExitCode> {
    let users = Users::of(store.clone());
    match command {
        Command::Add {
            name,
            roles,
            prefectures,
        } => {
            let password = password()?;
            let limit = (!prefectures.is_empty()).then(|| prefectures.clone());
            let roles: BTreeSet<Role> = roles.iter().copied().collect();
            users.add(name, roles, limit, &password).await?;
            super::say(&format!("{name} may log in"))?;
        }
        Command::Remove { name } => {
            users.remove(name).await?;
            super::say(&format!("{name} is taken out"))?;
        }
        Command::List => {
            for user in users.list().await? {
                let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
                let limit = match &user.prefectures {
                    Some(codes) => codes.join(" "),
                    None => "all prefectures".to_owned(),
                };
                super::say(&format!("{} {} ({limit})", user.name, roles.join(" ")))?;
            }
        }
        Command::Token { name, label, days } => {
            let now = SystemClock::new().wall();
            let (token, until) = users.token(name, label, *days, now).await?;
            super::say(&format!("{} (until {until})", token.reveal()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn password() -> anyhow::Result<Secret> {
    let input = std::io::stdin();
    if input.is_terminal() {
        let first = rpassword::prompt_password("password: ")?;
        ensure!(
            first == rpassword::prompt_password("once more: ")?,
            "the two are not the same"
        );
        return Ok(Secret::new(first));
    }
    let mut line = String::new();
    let read = input.lock().read_line(&mut line);
    read.context("the password is the first line of the input")?;
    Ok(Secret::new(line.trim_end_matches(['\r', '\n'])))
}
