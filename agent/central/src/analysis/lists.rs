//! Organisations, sites and cameras, out of CSV files.
//!
//! A file has a line with the names of the columns, in any order, and a line for each entry. It is
//! taken as a whole or not at all: every line that is wrong is told with its number and the mend. An
//! entry that is there already is written anew; one that the file lacks stays.

use kakou_guard::presentable;
use tokio_postgres::Transaction;

use crate::store::{Store, StoreError};
use crate::table::{Line, Wrong, id, read};

#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error(transparent)]
    Lines(#[from] Wrong),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for ListError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

fn digits(line: &Line, name: &str, length: usize, what: &str) -> Result<(), String> {
    match line.get(name) {
        Some(text) if text.len() != length || !text.bytes().all(|b| b.is_ascii_digit()) => {
            let text = presentable(text);
            Err(format!(
                "{name} `{text}` is no {what}; give {length} digits"
            ))
        }
        _ => Ok(()),
    }
}

/// Columns `code`, `name`, and `parent` where there is one. How many were written.
pub async fn organisations(store: &Store, csv: &[u8]) -> Result<usize, ListError> {
    let lines = read(
        csv,
        &["code", "name", "parent"],
        &["code", "name"],
        1,
        |line| {
            let is_code =
                |text: &String| text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
            for name in ["code", "parent"] {
                if let Some(text) = line.get(name).filter(|text| !is_code(text)) {
                    let text = presentable(text);
                    return Err(format!("{name} `{text}`: give up to 32 letters and digits"));
                }
            }
            match line.get("parent") == line.get("code") {
                true => Err("parent is the organisation itself; leave it empty".into()),
                false => Ok(()),
            }
        },
    )?;
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    for (_, line) in &lines {
        let sql = "INSERT INTO organisations (code, name, parent) VALUES ($1, $2, $3)
                   ON CONFLICT (code) DO UPDATE SET name = excluded.name, parent = excluded.parent";
        let text = |name| line.get(name).map(String::as_str);
        transaction
            .execute(sql, &[&text("code"), &text("name"), &text("parent")])
            .await?;
    }
    transaction.commit().await?;
    Ok(lines.len())
}

const OF_SITES: [&str; 7] = [
    "site",
    "name",
    "organisation",
    "grid",
    "prefecture",
    "longitude",
    "latitude",
];

fn degrees(line: &Line, name: &str, most: f64) -> Result<Option<f64>, String> {
    let Some(text) = line.get(name) else {
        return Ok(None);
    };
    let read = text
        .parse()
        .ok()
        .filter(|degrees: &f64| degrees.abs() <= most);
    let wrong = || {
        let text = presentable(text);
        format!("{name} `{text}`: give degrees of WGS 84, -{most} to {most}, as 116.3912")
    };
    read.map(Some).ok_or_else(wrong)
}

fn check_site(line: &Line) -> Result<(), String> {
    id(line, "site")?;
    digits(line, "prefecture", 6, "division code of GB/T 2260")?;
    if line
        .get("prefecture")
        .is_some_and(|code| code.starts_with('0'))
    {
        return Err("prefecture: no division code begins with 0; see GB/T 2260".into());
    }
    let longitude = degrees(line, "longitude", 180.0)?;
    let latitude = degrees(line, "latitude", 90.0)?;
    match longitude.is_some() == latitude.is_some() {
        true => Ok(()),
        false => Err("longitude and latitude: give both or none".into()),
    }
}

/// Columns `site` and `name`; `organisation`, `grid`, `prefecture`, `longitude` and `latitude` where
/// they are known. How many were written.
pub async fn sites(store: &Store, csv: &[u8]) -> Result<usize, ListError> {
    let lines = read(csv, &OF_SITES, &["site", "name"], 1, check_site)?;
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    known(
        &transaction,
        &lines,
        "organisation",
        "organisations",
        "code",
    )
    .await?;
    for (_, line) in &lines {
        let sql = "INSERT INTO sites
                       (site, name, organisation, grid, prefecture, longitude, latitude)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)
                   ON CONFLICT (site) DO UPDATE SET name = excluded.name,
                       organisation = excluded.organisation, grid = excluded.grid,
                       prefecture = excluded.prefecture, longitude = excluded.longitude,
                       latitude = excluded.latitude";
        let text = |name| line.get(name).map(String::as_str);
        let number = |name| -> Option<f64> { line.get(name)?.parse().ok() };
        transaction
            .execute(
                sql,
                &[
                    &text("site"),
                    &text("name"),
                    &text("organisation"),
                    &text("grid"),
                    &text("prefecture"),
                    &number("longitude"),
                    &number("latitude"),
                ],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(lines.len())
}

/// Columns `site`, `agent` and `camera`; `name`, `device` and `tollgate` where they are known. How
/// many were written.
pub async fn cameras(store: &Store, csv: &[u8]) -> Result<usize, ListError> {
    let columns = ["site", "agent", "camera", "name", "device", "tollgate"];
    let lines = read(csv, &columns, &["site", "agent", "camera"], 3, |line| {
        for name in ["site", "agent", "camera"] {
            id(line, name)?;
        }
        digits(line, "device", 20, "device id of GA/T 1400")?;
        digits(line, "tollgate", 20, "tollgate id of GA/T 1400")
    })?;
    let mut client = store.client().await?;
    let transaction = client.transaction().await?;
    known(&transaction, &lines, "site", "sites", "site").await?;
    for (_, line) in &lines {
        let sql = "INSERT INTO site_cameras (site, agent, camera, name, device, tollgate)
                   VALUES ($1, $2, $3, $4, $5, $6)
                   ON CONFLICT (site, agent, camera) DO UPDATE SET name = excluded.name,
                       device = excluded.device, tollgate = excluded.tollgate";
        let text = |name| line.get(name).map(String::as_str);
        transaction
            .execute(
                sql,
                &[
                    &text("site"),
                    &text("agent"),
                    &text("camera"),
                    &text("name"),
                    &text("device"),
                    &text("tollgate"),
                ],
            )
            .await?;
    }
    transaction.commit().await?;
    Ok(lines.len())
}

/// Whether what the lines refer to is in its list.
async fn known(
    transaction: &Transaction<'_>,
    lines: &[(u64, Line)],
    column: &str,
    table: &str,
    key: &str,
) -> Result<(), ListError> {
    let rows = transaction
        .query(&format!("SELECT {key} FROM {table}"), &[])
        .await?;
    let mut there = std::collections::HashSet::new();
    for row in &rows {
        there.insert(row.try_get::<_, String>(0)?);
    }
    let mut wrong = Wrong::default();
    for (at, line) in lines {
        if let Some(text) = line.get(column).filter(|text| !there.contains(*text)) {
            let text = presentable(text);
            wrong.add(
                *at,
                format!("{column} `{text}` is not in the list of {table}; load that list first"),
            );
        }
    }
    Ok(wrong.or(())?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn faults(csv: &str) -> Vec<(u64, String)> {
        match read(csv.as_bytes(), &OF_SITES, &["site", "name"], 1, check_site) {
            Err(wrong) => wrong.lines,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_line_that_is_wrong_is_told_with_its_number() {
        let csv = "name,site,prefecture,longitude,latitude\n\
                   北口,g15-k42,130600,115.4,38.9\n\
                   南口,g15/k43,130600,115.4,38.9\n\
                   ,g15-k44,130600,,\n\
                   东口,g15-k45,1306,,\n\
                   西口,g15-k46,130600,200,38\n\
                   中口,g15-k47,130600,115,\n\
                   北口,g15-k42,130600,,\n\
                   长,g15-k48\n";
        let lines: Vec<u64> = faults(csv).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9]);
        let told = Wrong {
            lines: faults(csv),
            more: 0,
        }
        .to_string();
        assert!(told.contains("line 3: site \"g15/k43\" has '/'"), "{told}");
        assert!(told.contains("line 8: g15-k42 stands in line 2"), "{told}");
    }

    #[test]
    fn columns_are_known_by_name_and_told() {
        let told = faults("site,name,colour\n");
        assert!(told[0].1.contains("no column `colour`"), "{told:?}");
        assert!(faults("name\nx\n")[0].1.contains("site is missing"));
        assert!(faults("site,site,name\n")[0].1.contains("twice"));
        let right = "\u{feff}site , name\n g15-k42 , 北口 \n";
        let read = read(
            right.as_bytes(),
            &OF_SITES,
            &["site", "name"],
            1,
            check_site,
        )
        .unwrap();
        assert_eq!(read[0].1["name"], "北口");
    }
}
