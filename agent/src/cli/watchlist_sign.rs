//! `kakou watchlist keygen` and `sign`: the platform's side of a list that boxes are sent.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, ensure};
use clap::Args;
use kakou_contract::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, Id, PublicKey, Sequence, time};
use kakou_delivery::{Draft, Package, make_platform_key, read_platform_key, whole};
use kakou_time::{Clock, SystemClock};
use kakou_traffic::watchlist::List;

use super::common::print_line;
use super::watchlist::{Reading, report};
use super::watchlist_write::{COLUMNS, cell};

#[derive(Debug, Args)]
pub struct Keygen {
    /// The file to make; it must not be there yet. Keep it where the platform signs, and nowhere
    /// else.
    file: PathBuf,
}

/// Makes a key, or prints the public half of one that is there.
pub fn keygen(args: &Keygen) -> anyhow::Result<ExitCode> {
    let key = match args.file.exists() {
        true => read_platform_key(&args.file)?,
        false => make_platform_key(&args.file)?,
    };
    print_line(&PublicKey::of(&key.verifying_key()).base64)?;
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
pub struct Sign {
    /// The list, in any form that `import` reads.
    file: PathBuf,
    /// The platform's key, as `keygen` makes it.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// The list's name, as the boxes' configs have it.
    #[arg(long, value_name = "NAME")]
    list: Id,
    /// Counts the editions of this list; larger than that of every edition before.
    #[arg(long, value_name = "N", value_parser = number)]
    version: Sequence,
    /// The list as it was in the version --since-version: only what has changed is sent to boxes
    /// that have it.
    #[arg(long, value_name = "FILE", requires = "since_version")]
    since: Option<PathBuf>,
    #[arg(long, value_name = "N", value_parser = number, requires = "since")]
    since_version: Option<Sequence>,
    /// Only for these sites. [default: every site]
    #[arg(long, value_name = "SITE", value_delimiter = ',')]
    site: Vec<Id>,
    /// Bytes of it in each MQTT message; brokers with a small packet limit need less.
    #[arg(long, value_name = "BYTES", default_value_t = CHUNK_BYTES_MAX,
          value_parser = clap::value_parser!(u32).range(i64::from(CHUNK_BYTES_MIN)..=i64::from(CHUNK_BYTES_MAX)))]
    chunk_bytes: u32,
    /// Where to write the edition.
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    reading: Reading,
}

fn number(text: &str) -> Result<Sequence, String> {
    let number: u64 = text.parse().map_err(|_| "write a whole number from 1 on")?;
    Sequence::new(number).map_err(|e| e.to_string())
}

/// Signs a list. Lines that cannot be used are told and keep it from being signed.
pub fn sign(args: &Sign) -> anyhow::Result<ExitCode> {
    let key = read_platform_key(&args.key)?;
    let read = |file: &PathBuf| -> anyhow::Result<Vec<u8>> {
        let read = args.reading.read(file)?;
        let refused = read.parsed.refused.count;
        if refused > 0 {
            report(file, &read, false)?;
        }
        ensure!(
            refused == 0,
            "{}: {refused} lines cannot be used; nothing signed",
            file.display()
        );
        Ok(text(&read.parsed.list))
    };
    let now = read(&args.file)?;
    let since = match (&args.since, args.since_version) {
        (Some(file), Some(version)) => {
            ensure!(
                version < args.version,
                "--since-version {version} is not before --version {}",
                args.version
            );
            Some((version, read(file)?))
        }
        _ => None,
    };
    let draft = Draft {
        authority: args.reading.authority.clone(),
        sites: args.site.clone(),
        chunk_bytes: args.chunk_bytes,
        ..Draft::new(
            args.list.clone(),
            args.version,
            SystemClock::default().wall(),
        )
    };
    let since = since.as_ref().map(|(v, text)| (*v, text.as_slice()));
    let package = Package::make(draft, &now, since, &key)?;
    let edition = package.edition()?;
    kakou_guard::file::replace(&args.out, &package.to_bytes(), 0o600)
        .with_context(|| args.out.display().to_string())?;
    print_line(&format!(
        "written {}: list {} version {}{}, {} entries, {} bytes in {} messages, signed {}",
        args.out.display(),
        edition.list,
        edition.version,
        edition
            .base
            .map_or(String::new(), |base| format!(" (changes since {base})")),
        edition.entries,
        edition.packed.bytes,
        edition.chunks(),
        time::to_text(&edition.issued_at)
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// A list in the form that is signed: every column, so that two versions always have the same.
fn text(list: &List) -> Vec<u8> {
    let header = COLUMNS.map(|column| column.name()).join(",");
    let rows = list.entries().map(|entry| {
        let cells = COLUMNS
            .iter()
            .map(|column| one_line(&cell(&entry, *column)));
        cells.map(Into::into).collect()
    });
    let csv = kakou_sheet::write_csv(rows);
    whole(&header, csv.lines())
}

/// An entry has one line.
fn one_line(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(plain).collect()
}
