//! What two lists do not share.

use std::collections::BTreeMap;
use std::process::ExitCode;

use kakou_traffic::watchlist::{Column, Entry, List};

use super::common::print_line;
use super::table::clean;
use super::watchlist_write::{COLUMNS, cell, line};

/// What makes two entries the same one: the plate, its kind and its place in the list's order.
type Key = (String, Option<kakou_contract::PlateKind>, usize);

pub fn diff(old: &List, new: &List) -> anyhow::Result<ExitCode> {
    let (before, now) = (keyed(old), keyed(new));
    let (mut added, mut gone, mut changed) = (0, 0, 0);
    for (key, entry) in &before {
        match now.get(key) {
            None => {
                gone += 1;
                print_line(&format!("- {}", line(entry)))?;
            }
            Some(after) => {
                let what = changes(entry, after);
                if !what.is_empty() {
                    changed += 1;
                    print_line(&format!("~ {}: {}", entry.plate, clean(&what.join("; "))))?;
                }
            }
        }
    }
    for (_, entry) in now.iter().filter(|(key, _)| !before.contains_key(key)) {
        added += 1;
        print_line(&format!("+ {}", line(entry)))?;
    }
    print_line(&format!(
        "{} entries before, {} now: added {added}, gone {gone}, changed {changed}",
        old.len(),
        new.len()
    ))?;
    Ok(match added + gone + changed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

fn keyed(list: &List) -> BTreeMap<Key, Entry<'_>> {
    let mut all: BTreeMap<Key, Entry<'_>> = BTreeMap::new();
    for entry in list.entries() {
        let mut key = (entry.plate.clone(), entry.kind, 0);
        while all.contains_key(&key) {
            key.2 += 1;
        }
        all.insert(key, entry);
    }
    all
}

fn changes(old: &Entry<'_>, new: &Entry<'_>) -> Vec<String> {
    // Plate and kind are what makes two entries the same one.
    let compared = COLUMNS
        .into_iter()
        .filter(|c| !matches!(c, Column::Plate | Column::Kind));
    compared
        .map(|c| (c, cell(old, c), cell(new, c)))
        .filter(|(_, old, new)| old != new)
        .map(|(column, old, new)| format!("{} {old:?} -> {new:?}", column.name()))
        .collect()
}
