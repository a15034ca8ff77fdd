//! Writes the man pages of `kakou-central` into a folder, for its package. Not part of the program, which needs no library
//! for it in service.

use anyhow::Context as _;
use clap::CommandFactory as _;

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1);
    let folder = folder.context("name the folder: cargo run --example man -- DIR")?;
    let folder = std::path::PathBuf::from(folder);
    let place = || format!("{} cannot be written", folder.display());
    std::fs::create_dir_all(&folder).with_context(place)?;
    clap_mangen::generate_to(kakou_central::cli::Args::command(), &folder).with_context(place)
}
