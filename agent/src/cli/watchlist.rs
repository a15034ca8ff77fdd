//! `kakou watchlist`: lists, outside of the agent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use kakou_contract::Level;
use kakou_traffic::watchlist::{ListOptions, Policy, Require};

use super::common::print_line;
use super::table::clean;
use super::watchlist_diff::diff;
use super::watchlist_publish::{Publish, publish};
use super::watchlist_sign::{Keygen, Sign, keygen, sign};
use super::watchlist_test::TestArgs;
use super::watchlist_write::{self, Written};
use crate::app::watchfile::{Decoded, bytes_of, decode, decoded};
use crate::config::{Config, ListConfig};

/// How many lines of a report are printed; `--all` prints them all.
const LINES_PRINTED: usize = 20;

/// Look after watchlists: read what people have, check it, and try plates on it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a list in any form that is known, say what was taken and what not, and write what was
    /// taken as a list of kakou's own form.
    ///
    /// CSV, JSON and XLSX; UTF-8, UTF-16 and GB 18030; columns named in English or Chinese. Nothing
    /// is written without --out.
    Import(Import),
    /// Write a list as CSV or JSON, for another program or another box.
    Export(Export),
    /// Print what a list holds: how many entries of which level and category, and the entries.
    Show(Show),
    /// Check lists as the agent would read them. Exit code 1 if a list, or a line of one, cannot be
    /// used.
    Verify(Verify),
    /// Say which entries a plate would hit, and why others would not.
    Test(TestArgs),
    /// Print which entries two lists do not share: added (+), gone (-), changed (~). Exit code 1 if
    /// there are any.
    Diff {
        old: PathBuf,
        new: PathBuf,
        #[command(flatten)]
        reading: Reading,
    },
    /// Make a key to sign lists with, and print its public half for `[watchlist] keys` of the
    /// boxes.
    Keygen(Keygen),
    /// Sign a list, or what changed in it, as an edition that boxes can be sent.
    Sign(Sign),
    /// Send editions to boxes over MQTT, and what they ask back for.
    Publish(Publish),
}

/// What holds for entries that do not say it.
#[derive(Debug, Clone, Default, Args)]
pub struct Reading {
    /// The level of entries that do not say it: red, orange, yellow or blue.
    #[arg(long, value_name = "LEVEL", value_parser = Level::from_str)]
    pub level: Option<Level>,
    /// The category of entries that do not say it, for example `stolen`.
    #[arg(long, value_name = "WORD")]
    pub category: Option<String>,
    /// Who answers for entries that do not say it.
    #[arg(long, value_name = "NAME")]
    pub authority: Option<String>,
    /// By which law, order or case, for entries that do not say it.
    #[arg(long, value_name = "TEXT")]
    pub basis: Option<String>,
    /// What each entry must have: authority, basis, end; as `[watchlist] require`.
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub require: Vec<Needed>,
    /// Take what was probably meant for a mistaken plate (京A0O123 for 京A00123), and say so.
    #[arg(long)]
    pub mend: bool,
}

/// See [`Reading::require`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Needed {
    Authority,
    Basis,
    End,
}

impl Reading {
    pub fn options(&self, file: &Path) -> ListOptions {
        let has = |what| self.require.contains(&what);
        ListOptions {
            name: file
                .file_stem()
                .map(|n| n.to_string_lossy().into_owned())
                .unwrap_or_default(),
            authority: self.authority.clone(),
            basis: self.basis.clone(),
            level: self.level,
            category: self.category.clone(),
            require: Require {
                authority: has(Needed::Authority),
                basis: has(Needed::Basis),
                end: has(Needed::End),
            },
            mend: self.mend,
        }
    }

    /// Reads a file; it is not waited for until it rests.
    pub fn read(&self, file: &Path) -> anyhow::Result<Decoded> {
        let bytes = bytes_of(file)?;
        decode(&self.options(file), &bytes).with_context(|| file.display().to_string())
    }
}

#[derive(Debug, Args)]
pub struct Import {
    /// The list to read.
    file: PathBuf,
    /// Write what was taken here, aside and then renamed, so that an agent never reads half of it.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form of --out.
    #[arg(long, value_enum, default_value_t)]
    format: Written,
    /// Print every line of the report, not only the first.
    #[arg(long)]
    all: bool,
    /// Write nothing if a line cannot be used.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub struct Export {
    /// The list to read.
    file: PathBuf,
    /// Where to write it; without it, to stdout.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    #[arg(long, value_enum, default_value_t)]
    format: Written,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub struct Show {
    /// The list to read.
    file: PathBuf,
    /// How many entries are printed; 0 for none.
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Args)]
pub struct Verify {
    /// Lists to check.
    #[arg(required_unless_present = "config")]
    files: Vec<PathBuf>,
    /// Check the lists of this config, as it says they are read.
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    config: Option<PathBuf>,
    /// Print every line of the report, not only the first.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    reading: Reading,
}

pub fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => import(&args),
        Command::Export(args) => {
            let read = args.reading.read(&args.file)?;
            let text = watchlist_write::text(&read.parsed.list, args.format)?;
            match &args.out {
                Some(out) => watchlist_write::aside(out, &text)?,
                None => watchlist_write::print(&text)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Show(args) => {
            let read = args.reading.read(&args.file)?;
            watchlist_write::show(&read, args.limit)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Verify(args) => verify(&args),
        Command::Keygen(args) => keygen(&args),
        Command::Sign(args) => sign(&args),
        Command::Publish(args) => publish(&args),
        Command::Test(args) => super::watchlist_test::run(&args),
        Command::Diff { old, new, reading } => {
            let (old, new) = (reading.read(&old)?, reading.read(&new)?);
            diff(&old.parsed.list, &new.parsed.list)
        }
    }
}

fn import(args: &Import) -> anyhow::Result<ExitCode> {
    let read = args.reading.read(&args.file)?;
    report(&args.file, &read, args.all)?;
    let refused = read.parsed.refused.count;
    let code = match refused {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    };
    let Some(out) = &args.out else {
        print_line("nothing written; name a file with --out")?;
        return Ok(code);
    };
    ensure!(
        !read.parsed.list.is_empty() || refused == 0,
        "no line of the list can be used; nothing written"
    );
    if args.strict && refused > 0 {
        bail!("{refused} lines cannot be used; nothing written (--strict)");
    }
    let text = watchlist_write::text(&read.parsed.list, args.format)?;
    watchlist_write::aside(out, &text)?;
    print_line(&format!(
        "written {}: {} entries",
        out.display(),
        read.parsed.list.len()
    ))?;
    Ok(code)
}

fn verify(args: &Verify) -> anyhow::Result<ExitCode> {
    let lists: Vec<ListConfig> = match &args.config {
        Some(config) => {
            let lists = Config::read(config)?.watchlist;
            ensure!(
                !lists.is_empty(),
                "{}: there is no [watchlist]",
                config.display()
            );
            lists
        }
        None => {
            let list = |file: &PathBuf| alone(file, args.reading.options(file));
            args.files.iter().map(list).collect()
        }
    };
    let mut faults = 0_u64;
    for list in &lists {
        match decoded(list) {
            Ok(read) => {
                report(&list.file, &read, args.all)?;
                faults += read.parsed.refused.count;
            }
            Err(e) => {
                eprintln!("kakou: {e}");
                faults += 1;
            }
        }
    }
    Ok(match faults {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// What was taken, and what not.
pub fn report(file: &Path, read: &Decoded, all: bool) -> anyhow::Result<()> {
    let parsed = &read.parsed;
    let list = &parsed.list;
    print_line(&format!("{}: {}", file.display(), read.told))?;
    print_line(&format!(
        "version {}, sha256 {}",
        clean(&list.version),
        list.sha256
    ))?;
    print_line(&format!(
        "rows {}, taken {}, refused {}, notes {}",
        read.told.rows,
        list.len(),
        parsed.refused.count,
        parsed.notes.count
    ))?;
    for (what, lines) in [("refused", &parsed.refused), ("note", &parsed.notes)] {
        let printed = if all { usize::MAX } else { LINES_PRINTED };
        let told = lines.told.iter().take(printed);
        let shown = told.len() as u64;
        for line in told {
            print_line(&format!("{what}  {}", clean(&line.to_string())))?;
        }
        if lines.count > shown {
            print_line(&format!("{what}  and {} more", lines.count - shown))?;
        }
    }
    Ok(())
}

/// A list alone, used as it is by default.
pub fn alone(file: &Path, options: ListOptions) -> ListConfig {
    ListConfig {
        file: file.to_path_buf(),
        delivered: None,
        options,
        policy: Policy::default(),
    }
}
