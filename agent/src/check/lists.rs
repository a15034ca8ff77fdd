//! The watchlists and the keys: `[watchlist]`, `[privacy]`.

use std::io::ErrorKind;
use std::path::Path;

use kakou_time::Clock;

use super::credentials::{Found, look};
use super::note::Report;
use super::unit::Unit;
use crate::app::prepare;
use crate::app::watchfile::ListError;
use crate::config::{Config, ListConfig, NonHits};

/// A shorter key could be guessed.
const KEY_LEAST: u64 = 32;

pub(super) fn check(report: &mut Report, config: &Config, unit: Option<&Unit>, clock: &dyn Clock) {
    let alone = usize::from(report.is_written("watchlist.file"));
    for (index, list) in config.watchlist.iter().enumerate() {
        let key = match index.checked_sub(alone) {
            None => "watchlist.file".to_owned(),
            Some(index) => format!("watchlist.list.{index}.file"),
        };
        one(report, &key, list, clock);
    }
    let sealed = config.watchlist.iter().find_map(|l| l.delivered.as_ref());
    if let Some(file) = sealed.and_then(|d| d.store_key_file.as_deref()) {
        key_file(report, "watchlist.store_key_file", file, unit);
    }
    if config.privacy.non_hits == NonHits::Hash
        && let Some(file) = &config.privacy.key_file
    {
        key_file(report, "privacy.key_file", file, unit);
    }
}

fn one(report: &mut Report, key: &str, list: &ListConfig, clock: &dyn Clock) {
    let found = match prepare::list(list, clock) {
        Ok(read) => {
            let (plates, refused) = (read.list.len(), read.refused);
            if refused > 0 {
                let shown = list.file.display();
                report.warning(
                    key,
                    &format!("{refused} lines of {shown} cannot be used"),
                    &format!("see which: kakou watchlist verify {shown}"),
                );
            }
            format!(
                "{plates} plates; lines that cannot be used: {refused}; {}",
                read.told
            )
        }
        Err(e) if matches!(e.downcast_ref(), Some(ListError::Undelivered)) => {
            "the platform sends it; nothing is here yet".to_owned()
        }
        Err(e) => {
            let mend = match std::fs::metadata(&list.file).map_err(|e| e.kind()) {
                Err(ErrorKind::NotFound) => {
                    "put the list there; configs/watchlist.csv shows how one looks".to_owned()
                }
                Err(_) => "give the service's user the right to read it".to_owned(),
                Ok(_) => format!("see why: kakou watchlist verify {}", list.file.display()),
            };
            report.error(key, &format!("{:#}", e.root_cause()), &mend);
            "cannot be used".to_owned()
        }
    };
    report.see(format!("watchlist {}", list.file.display()), &found);
}

fn key_file(report: &mut Report, key: &str, file: &Path, unit: Option<&Unit>) {
    if look(report, key, file, true, unit) != Found::Readable {
        return;
    }
    let bytes = std::fs::metadata(file).map_or(0, |about| about.len());
    if bytes < KEY_LEAST {
        let shown = file.display();
        report.error(
            key,
            &format!("{shown} has {bytes} bytes, and a key at least {KEY_LEAST}"),
            &format!("make one: head -c 32 /dev/urandom > {shown}"),
        );
    }
}
