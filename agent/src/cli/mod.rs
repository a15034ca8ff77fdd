//! The command line: one small file per subcommand.

pub mod bench;
mod bench_providers;
mod box_name;
mod broker;
mod camera;
mod check_config;
mod cmd;
mod cmd_answer;
mod cmd_exchange;
mod common;
mod config;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
mod eval;
mod eval_calibration;
mod eval_hits;
mod eval_report;
mod eval_vehicles;
mod generate;
mod load;
mod load_fleet;
mod models;
mod outbox;
mod panel;
mod read;
mod replay;
mod run;
mod send;
mod setup;
mod setup_ask;
mod setup_camera;
mod setup_message;
mod setup_probe;
mod setup_vendors;
mod setup_write;
mod status;
mod status_screen;
mod support;
mod support_archive;
mod support_machine;
mod support_parts;
mod support_scrub;
pub mod table;
mod watch;
mod watchlist;
mod watchlist_diff;
mod watchlist_publish;
mod watchlist_sign;
mod watchlist_test;
mod watchlist_write;

use clap::{Parser, Subcommand};

/// Kakou (卡口), the agent of a road checkpoint: camera frames in, one truthful record per vehicle
/// out, over MQTT.
#[derive(Debug, Parser)]
#[command(name = "kakou", version = crate::LONG_VERSION, propagate_version = true)]
pub struct Cli {
    /// Log filter, for example `info`, `debug`, `kakou_traffic::track=trace`. The log goes to
    /// stderr.
    #[arg(
        long,
        global = true,
        env = "KAKOU_LOG",
        default_value = "warn",
        value_name = "FILTER"
    )]
    pub log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    Replay(replay::Args),
    Read(read::Args),
    Setup(setup::Args),
    Run(run::Args),
    Eval(eval::Args),
    Bench(bench::Args),
    CheckConfig(check_config::Args),
    Doctor(doctor::Args),
    #[command(subcommand)]
    Config(config::Command),
    #[command(subcommand)]
    Models(models::Command),
    Status(status::Args),
    Support(support::Args),
    Watch(watch::Args),
    Cmd(cmd::Args),
    #[command(subcommand)]
    Watchlist(watchlist::Command),
    #[command(subcommand)]
    Outbox(outbox::Command),
    #[command(subcommand)]
    Panel(panel::Command),
    Load(load::Args),
    #[command(subcommand)]
    Camera(camera::Command),
    /// For those who make packages.
    #[command(subcommand, hide = true)]
    Generate(generate::Command),
}

impl Cli {
    /// Runs the subcommand; the result is the process's exit code.
    pub fn run(self) -> anyhow::Result<std::process::ExitCode> {
        match self.command {
            #[cfg(feature = "demo")]
            Command::Demo(a) => demo::run(a),
            Command::Replay(a) => replay::run(a),
            Command::Read(a) => read::run(a),
            Command::Setup(a) => setup::run(a),
            Command::Run(a) => run::run(a),
            Command::Eval(a) => eval::run(a),
            Command::Bench(a) => bench::run(a),
            Command::CheckConfig(a) => check_config::run(a),
            Command::Doctor(a) => doctor::run(a),
            Command::Config(c) => config::run(&c),
            Command::Models(c) => models::run(c),
            Command::Status(a) => status::run(a),
            Command::Support(a) => support::run(a),
            Command::Watch(a) => watch::run(a),
            Command::Cmd(a) => cmd::run(a),
            Command::Watchlist(c) => watchlist::run(c),
            Command::Outbox(c) => outbox::run(c),
            Command::Panel(c) => panel::run(c),
            Command::Load(a) => load::run(a),
            Command::Camera(c) => camera::run(c),
            Command::Generate(c) => generate::run(&c),
        }
    }
}
