//! `kakou panel`: who may use the box's own page, and where it is.

use std::collections::BTreeSet;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use kakou_guard::Secret;
use kakou_panel::access::{Role, User, Users};
use kakou_panel::{Certificate, fingerprint};

use super::common::print_line;
use crate::app::panel::panel_of;
use crate::config::Config;
use crate::doctor::usual_config;

/// The box's own page: users, and where it is answered.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Where the page is answered, by which certificate, and who may use it.
    Status(Place),
    /// Who may log in, and as what.
    #[command(subcommand)]
    User(UserCommand),
}

/// Who may log in at the page, and as what.
#[derive(Debug, clap::Subcommand)]
pub enum UserCommand {
    /// Add a user, or give one another password and other roles.
    ///
    /// The password is asked for; where there is no terminal, it is the first line of the input.
    Add(Add),
    /// Take a user out. Open sessions of that user end.
    Remove(Remove),
    /// All users with their roles.
    List(Place),
}

/// Which box's page.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// Config file (TOML). [default: /etc/kakou/kakou.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// State folder; overrides the config's `[outbox] state`.
    #[arg(long, value_name = "DIR", env = "KAKOU_STATE")]
    state: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Add {
    /// Letters of any script, digits, `-`, `_` and `.`.
    name: String,
    /// officer: sees hits and answers them. installer: aims cameras and draws lanes. operator: sees
    /// how the box is, looks passages up. Several: --role officer --role operator.
    #[arg(long = "role", value_name = "ROLE", required = true)]
    roles: Vec<Role>,
    #[command(flatten)]
    place: Place,
}

#[derive(Debug, clap::Args)]
pub struct Remove {
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Place {
    fn config(&self) -> anyhow::Result<Config> {
        let file = self.config.as_deref().unwrap_or(usual_config());
        Ok(Config::read(file)?)
    }

    fn state(&self) -> anyhow::Result<PathBuf> {
        match &self.state {
            Some(state) => Ok(state.clone()),
            None => Ok(self.config()?.outbox.state),
        }
    }

    fn users(&self) -> anyhow::Result<Users> {
        let state = self.state()?;
        ensure!(
            state.is_dir(),
            "{}: there is no such folder; the agent makes it at its first start, or name another one by --state",
            state.display()
        );
        Ok(Users::of(&state))
    }
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(place) => status(&place),
        Command::User(UserCommand::Add(add)) => {
            let users = add.place.users()?;
            let password = password()?;
            let roles: BTreeSet<Role> = add.roles.into_iter().collect();
            users.put(&add.name, roles, &password)?;
            print_line(&format!("{} may log in", add.name))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::User(UserCommand::Remove(remove)) => {
            remove.place.users()?.remove(&remove.name)?;
            print_line(&format!("{} may not log in any more", remove.name))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::User(UserCommand::List(place)) => {
            let users = place.users()?.all()?;
            if users.is_empty() {
                print_line("nobody: kakou panel user add NAME --role officer")?;
            }
            users.iter().try_for_each(|user| print_line(&shown(user)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn shown(user: &User) -> String {
    let roles: Vec<&str> = user.roles.iter().map(|role| role.as_str()).collect();
    format!("{}  {}", user.name, roles.join(", "))
}

/// Typed twice at a terminal, else one line of the input.
fn password() -> anyhow::Result<Secret> {
    if !std::io::stdin().is_terminal() {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        let line = line.trim_end_matches(['\r', '\n']);
        ensure!(
            !line.is_empty(),
            "the input's first line must be the password"
        );
        return Ok(Secret::new(line));
    }
    let ask =
        |prompt: &str| rpassword::prompt_password(prompt).context("the password was not read");
    let (first, again) = (ask("password: ")?, ask("once more: ")?);
    if first != again {
        bail!("the two are not the same");
    }
    Ok(Secret::new(first))
}

fn status(place: &Place) -> anyhow::Result<ExitCode> {
    let (config, state) = (place.config()?, place.state()?);
    let Some(panel) = &config.panel else {
        print_line("there is no page: write [panel] into the config, and reload")?;
        return Ok(ExitCode::FAILURE);
    };
    let panel = panel_of(panel, &state);
    let scheme = if panel.certificate().is_some() {
        "https"
    } else {
        "http"
    };
    print_line(&format!("address      {scheme}://{}/", panel.listen))?;
    if let Some(certificate) = panel.certificate() {
        print_line(&format!("certificate  {}", told(&certificate, &state)))?;
    }
    let users = Users::of(&state).all()?;
    let names: Vec<String> = users.iter().map(shown).collect();
    let names = match names.is_empty() {
        true => "nobody: kakou panel user add NAME --role officer".to_owned(),
        false => names.join("\n             "),
    };
    print_line(&format!("users        {names}"))?;
    Ok(ExitCode::SUCCESS)
}

fn told(certificate: &Certificate, state: &Path) -> String {
    let file = certificate.certificate.display();
    match fingerprint(&certificate.certificate) {
        Ok(sha256) => format!("{file}\n             SHA-256 {sha256}"),
        Err(_) if *certificate == Certificate::own(state) && !certificate.certificate.exists() => {
            "none yet: one is made when the page is first answered".to_owned()
        }
        Err(e) => e.to_string(),
    }
}
