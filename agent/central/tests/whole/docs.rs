//! What people are told of the centre is what it is: the example config has every key and no other,
//! the page names every table with its columns and every kind of alarm, and systemd takes the unit.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use kakou_central::config::{CentralConfig, GapsConfig};
use kakou_central::ingest::Doubt;
use kakou_central::life::LifeConfig;
use kakou_central::push::PushSettings;

const PAGES: [&str; 2] = ["docs/central.md", "docs/central.zh-CN.md"];
const EXAMPLE: &str = "configs/central/kakou-central.toml";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// Every file of a folder and of those within it, by its path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => all.push(path),
        }
    }
    all.sort();
    all
}

/// Fields with the text of their types, of each public struct in the sources.
fn structs() -> BTreeMap<String, Vec<(String, String)>> {
    let mut found = BTreeMap::new();
    for path in files(&root().join("agent/central/src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for part in text.split("\npub struct ").skip(1) {
            let Some((name, body)) = part.split_once(" {\n") else {
                continue;
            };
            let body = body.split("\n}").next().unwrap();
            let field = |line: &str| {
                let line = line.strip_prefix("    pub ")?;
                let (name, kind) = line.split_once(": ")?;
                Some((name.to_owned(), kind.to_owned()))
            };
            found.insert(name.to_owned(), body.lines().filter_map(field).collect());
        }
    }
    found
}

/// The keys of a struct and of those that its fields hold.
fn keys(of: &str, structs: &BTreeMap<String, Vec<(String, String)>>, into: &mut BTreeSet<String>) {
    for (name, kind) in &structs[of] {
        into.insert(name.clone());
        let words = kind.split(|c: char| !c.is_alphanumeric());
        for word in words.filter(|word| structs.contains_key(*word)) {
            keys(word, structs, into);
        }
    }
}

/// The example with what stands in comments put into force: lines that are a key or a section.
fn whole() -> String {
    let is_key = |line: &str| {
        let name = line.split(" = ").next().unwrap();
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        line.contains(" = ") && !name.is_empty() && name.chars().all(is_name)
    };
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(bare) if is_key(bare) || bare.starts_with('[') => bare.to_owned(),
        _ => line.to_owned(),
    };
    read(EXAMPLE).lines().map(|l| line(l) + "\n").collect()
}

#[test]
fn the_example_is_a_config_and_so_is_everything_in_its_comments() {
    CentralConfig::read(&root().join(EXAMPLE)).unwrap();
    let all: CentralConfig = toml::from_str(&whole()).unwrap();
    // Comments show defaults.
    let same = |shown: String, default: String| assert_eq!(shown, default);
    same(
        format!("{:?}", all.life),
        format!("{:?}", LifeConfig::default()),
    );
    same(
        format!("{:?}", all.gaps),
        format!("{:?}", GapsConfig::default()),
    );
    let mut push = all.push.clone();
    push.prefecture = None;
    same(
        format!("{push:?}"),
        format!("{:?}", PushSettings::default()),
    );
    let minimal: CentralConfig =
        toml::from_str("group = \"g\"\nname = \"a\"\n[broker]\nurls = []\n[database]\n[objects]\n")
            .unwrap();
    assert_eq!(all.database.connections, minimal.database.connections);
}

#[test]
fn the_example_has_every_key() {
    let mut all = BTreeSet::new();
    keys("CentralConfig", &structs(), &mut all);
    assert!(all.len() > 50, "are the sources read? {all:?}");
    let whole = whole();
    let is_there = |key: &str| {
        let places = [
            format!("\n{key} = "),
            format!("{{ {key} = "),
            format!(", {key} = "),
            format!("[{key}]"),
            format!(".{key}]"),
        ];
        places.iter().any(|place| whole.contains(place))
    };
    let missing: Vec<_> = all.iter().filter(|key| !is_there(key)).collect();
    assert!(missing.is_empty(), "{EXAMPLE} does not show {missing:?}");
}

/// Tables with their columns, as the migrations leave them.
fn tables() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files(&root().join("agent/central/migrations")) {
        let text = std::fs::read_to_string(&path).unwrap();
        let without_comments: String = text
            .lines()
            .map(|line| line.split("--").next().unwrap().to_owned() + "\n")
            .collect();
        for statement in without_comments.split(';') {
            let statement = statement.trim();
            let statement = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            let (name, columns) = if let Some(rest) = statement.strip_prefix("CREATE TABLE ") {
                let rest = rest.strip_prefix("IF NOT EXISTS ").unwrap_or(rest);
                match rest.split_once(" (") {
                    Some((name, columns)) if !name.contains(' ') => (name, columns),
                    // A partition.
                    _ => continue,
                }
            } else if let Some(rest) = statement.strip_prefix("ALTER TABLE ") {
                let (name, columns) = rest.split_once(' ').unwrap();
                (name, columns)
            } else {
                continue;
            };
            let table = found.entry(name.to_owned()).or_default();
            for part in at_top(columns) {
                let part = part.trim();
                let part = part.strip_prefix("ADD COLUMN ").unwrap_or(part);
                let part = part.strip_prefix("IF NOT EXISTS ").unwrap_or(part);
                let first = part.split([' ', '(']).next().unwrap();
                if !first.is_empty()
                    && first
                        .chars()
                        .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
                {
                    table.insert(first.to_owned());
                }
            }
        }
    }
    found
}

/// Split at the commas that stand in no brackets.
fn at_top(columns: &str) -> Vec<String> {
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in columns.chars() {
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(c);
    }
    parts
}

#[test]
fn the_pages_name_every_table_with_its_columns() {
    let tables = tables();
    assert!(tables.len() > 20, "are the migrations read? {tables:?}");
    assert!(tables["alarms"].contains("acknowledged_by"), "{tables:?}");
    for page in PAGES {
        let text = read(page);
        for (table, columns) in &tables {
            let start = format!("| `{table}` |");
            let row = text.lines().find(|line| line.starts_with(&start));
            let row = row.unwrap_or_else(|| panic!("{page} has no row {start}"));
            let missing: Vec<_> = columns
                .iter()
                .filter(|column| !row.contains(&format!("`{column}`")))
                .collect();
            assert!(missing.is_empty(), "{page}, {table}: {missing:?}");
        }
    }
}

#[test]
fn the_pages_say_what_to_do_for_every_kind_of_alarm() {
    let source = read("agent/central/src/alarms.rs");
    let mut kinds: Vec<String> = source
        .lines()
        .filter_map(|line| line.strip_prefix("pub const "))
        .filter_map(|line| Some(line.split_once("= \"")?.1.split_once('"')?.0.to_owned()))
        .collect();
    assert!(kinds.len() >= 8, "{kinds:?}");
    let doubts = [
        Doubt::NoKey,
        Doubt::NotSealed,
        Doubt::Forged,
        Doubt::KeyChanged,
        Doubt::Elsewhere,
        Doubt::Unreadable,
        Doubt::UnknownTopic,
        Doubt::Unstorable,
    ];
    kinds.extend(doubts.iter().map(|doubt| doubt.as_str().to_owned()));
    for page in PAGES {
        let text = read(page);
        for kind in &kinds {
            assert!(text.contains(&format!("| `{kind}` |")), "{page}: {kind}");
        }
    }
}

#[test]
fn systemd_takes_the_unit_and_finds_it_tight() {
    let unit = read("systemd/central/kakou-central.service");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("kakou-central.service");
    // systemd looks whether the program is there.
    let unit = unit.replace(
        "/usr/bin/kakou-central",
        env!("CARGO_BIN_EXE_kakou-central"),
    );
    std::fs::write(&file, unit).unwrap();
    for arguments in [
        &["verify", "--man=no"][..],
        &["security", "--offline=true", "--threshold=15", "--no-pager"],
    ] {
        let out = Command::new("systemd-analyze")
            .args(arguments)
            .arg(&file)
            .output()
            .expect("systemd-analyze is installed");
        let told = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
        let is_good = out.status.success()
            && (arguments[0] != "verify" || !told.contains("kakou-central.service:"));
        assert!(is_good, "{told}");
    }
}
