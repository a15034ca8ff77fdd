//! The file that `kakou support` makes: a tar in gzip, readable by whoever made it alone.

use std::io::{Result, Write};
use std::path::Path;

use chrono::{DateTime, FixedOffset};
use flate2::Compression;
use flate2::write::GzEncoder;

use super::support_parts::Part;

const MODE: u32 = 0o600;

/// Writes it, and returns its size. A link in its place is replaced, never followed; if it cannot
/// be written to the end, nothing stays of it.
pub fn pack(
    out: &Path,
    folder: &str,
    parts: &[Part],
    now: &DateTime<FixedOffset>,
) -> Result<usize> {
    let bytes = packed(folder, parts, now)?;
    let written = kakou_guard::file::create(out, MODE).and_then(|mut file| {
        file.write_all(&bytes)?;
        file.sync_all()
    });
    written.inspect_err(|_| {
        // What cannot be removed was not made.
        let _ = std::fs::remove_file(out);
    })?;
    Ok(bytes.len())
}

fn packed(folder: &str, parts: &[Part], now: &DateTime<FixedOffset>) -> Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let mut add = |name: &str, text: &str| {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(MODE);
        header.set_mtime(u64::try_from(now.timestamp()).unwrap_or(0));
        header.set_cksum();
        archive.append_data(&mut header, format!("{folder}/{name}"), text.as_bytes())
    };
    add("README.txt", &contents(parts, now))?;
    for part in parts {
        if let Ok(text) = &part.content {
            add(part.name, text)?;
        }
    }
    archive.into_inner()?.finish()
}

/// What is in it, and what is not.
fn contents(parts: &[Part], now: &DateTime<FixedOffset>) -> String {
    let mut text = format!(
        "Made by `kakou support` of {} at {}.\nSecrets and plates were found by their form and \
         replaced by ***.\n\n",
        crate::LONG_VERSION,
        kakou_contract::time::to_text(now)
    );
    for part in parts {
        text += &match &part.content {
            Ok(_) => format!("{:<18} {}\n", part.name, part.about),
            Err(why) => format!("{:<18} missing: {why}\n", part.name),
        };
    }
    text
}
