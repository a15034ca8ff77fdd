//! The command line of the centre.

#[cfg(feature = "demo")]
mod demo;
mod gaps;
mod keys;
mod list;
mod places;
mod run;
mod upper;
mod users;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::config::CentralConfig;
use crate::store::Store;

/// The central subscriber of Kakou: what the agents of a city send, into PostgreSQL.
#[derive(Debug, clap::Parser)]
#[command(name = "kakou-central", version)]
pub struct Args {
    /// The config.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        default_value = "/etc/kakou-central/kakou-central.toml",
        env = "KAKOU_CENTRAL_CONFIG"
    )]
    config: PathBuf,
    /// What is logged: error, warn, info, debug.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        default_value = "info",
        env = "KAKOU_LOG"
    )]
    log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Take in what the agents send, until told to stop.
    Run,
    /// Check the config, and what it names.
    CheckConfig,
    /// Bring the database to the schema of this version; `run` does it too.
    Migrate,
    /// Show for each agent that nothing is missing, or exactly what and why.
    Gaps(gaps::Args),
    /// Show the agents: who is there, who is not, since when.
    Agents,
    /// Show what somebody has to look at.
    Alarms(list::AlarmsArgs),
    /// Show all of it at work on this machine, with made-up agents; needs no config.
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    /// Show how it stands with the upper view library: what waits, what was sent, what was refused.
    Upper(upper::Args),
    /// Show or set the keys by which agents are believed.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Take in organisations, sites and cameras.
    #[command(subcommand)]
    Places(places::Command),
    /// Who may use the HTTP interface.
    #[command(subcommand)]
    Users(users::Command),
}

/// Runs the command; an error is told on stderr.
pub fn main(args: Args) -> ExitCode {
    // The one cryptography library behind TLS.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    if let Err(error) = log(&args.log) {
        eprintln!("kakou-central: --log {}: {error}", args.log);
        return ExitCode::from(2);
    }
    match begin(&args) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("kakou-central: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log(filter: &str) -> Result<(), tracing_subscriber::filter::ParseError> {
    let filter = tracing_subscriber::EnvFilter::try_new(format!(
        "{filter},tokio_postgres=warn,refinery_core=warn,object_store=warn"
    ))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    Ok(())
}

fn begin(args: &Args) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    #[cfg(feature = "demo")]
    if let Command::Demo(args) = &args.command {
        return runtime.block_on(demo::run(args));
    }
    let config = CentralConfig::read(&args.config)?;
    runtime.block_on(async {
        match &args.command {
            Command::Run => run::run(&config).await,
            Command::CheckConfig => run::check(&config).await,
            Command::Migrate => {
                let steps = store(&config)?.migrate().await?;
                say(&match steps {
                    0 => "the database has the schema of this version".to_owned(),
                    steps => format!("{steps} steps done"),
                })?;
                Ok(ExitCode::SUCCESS)
            }
            Command::Gaps(args) => gaps::show(&store(&config)?, args).await,
            Command::Agents => list::agents(&store(&config)?).await,
            Command::Alarms(args) => list::alarms(&store(&config)?, args).await,
            Command::Places(command) => places::run(&store(&config)?, command).await,
            Command::Users(command) => users::run(&store(&config)?, command).await,
            #[cfg(feature = "demo")]
            Command::Demo(args) => demo::run(args).await,
            Command::Upper(args) => upper::show(&store(&config)?, args).await,
            Command::Keys(command) => keys::run(&store(&config)?, command).await,
        }
    })
}

fn store(config: &CentralConfig) -> anyhow::Result<Store> {
    config.store(Some(2))
}

/// A line on stdout; a reader that has gone is no error of ours to tell.
fn say(line: &str) -> anyhow::Result<()> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}
