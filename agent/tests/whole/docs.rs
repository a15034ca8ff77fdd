//! The docs as their readers use them: command blocks run as they stand, both languages show the
//! same commands, and links lead somewhere.
//!
//! A block of language `sh` or `bash` is run, in the order of its page and in an empty folder that
//! holds the files of [`FILES`]. One that cannot be run in a test says so in a comment above it:
//! `<!-- not run: reason -->`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::mosquitto::Mosquitto;
use crate::support::{self, root};

const NOT_RUN: &str = "<!-- not run: ";

/// What the pages suppose to be there.
const FILES: [(&str, &str); 2] = [
    (
        "stolen.csv",
        "plate,level,category,reason,valid_until,authority,basis\n\
         冀Z7K0T9,red,stolen,an example,2099-12-31,municipal police,case 31-0504\n",
    ),
    (
        "new.csv",
        "plate,level,category,reason,valid_until,authority,basis\n\
         冀Z7K0T9,red,stolen,an example,2099-12-31,municipal police,case 31-0504\n\
         冀Z8A3D6,yellow,stolen,an example,2099-12-31,municipal police,case 31-0505\n",
    ),
];

/// A block of commands.
#[derive(Debug)]
struct Block {
    /// Where it begins, from 1.
    line: usize,
    text: String,
    is_run: bool,
}

/// Every page for readers, by its path from the root.
fn pages() -> Vec<PathBuf> {
    let of = |folder: &str| {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        let names = entries.map(move |e| Path::new(folder).join(e.unwrap().file_name()));
        names
            .filter(|p| p.extension().is_some_and(|e| e == "md"))
            .collect::<Vec<_>>()
    };
    let mut all: Vec<PathBuf> = ["", "docs"].into_iter().flat_map(of).collect();
    all.sort();
    assert!(all.len() > 20, "{all:?}");
    all
}

fn read(page: &Path) -> String {
    let path = root().join(page);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The fenced blocks of commands on a page.
fn blocks(page: &Path) -> Vec<Block> {
    let text = read(page);
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    let mut open: Option<(usize, &str)> = None;
    for (at, line) in lines.iter().enumerate() {
        let Some(language) = line.trim_start().strip_prefix("```") else {
            continue;
        };
        let Some((begin, opened)) = open.take() else {
            open = Some((at, language));
            continue;
        };
        if matches!(opened, "sh" | "bash") {
            let above = begin.checked_sub(1).map_or("", |above| lines[above]);
            let reason = above
                .strip_prefix(NOT_RUN)
                .and_then(|r| r.strip_suffix(" -->"));
            assert!(
                reason.is_none_or(|reason| !reason.trim().is_empty()),
                "{}: line {begin}: why is it not run?",
                page.display()
            );
            found.push(Block {
                line: begin + 1,
                text: lines[begin + 1..at].join("\n"),
                is_run: reason.is_none(),
            });
        }
    }
    assert!(
        open.is_none(),
        "{}: a block has no end: {open:?}",
        page.display()
    );
    found
}

fn to_run(blocks: &[Block]) -> Vec<&Block> {
    blocks.iter().filter(|b| b.is_run).collect()
}

/// Runs blocks in one shell, so that what one sets holds for the next.
fn run(page: &Path, blocks: &[&Block], folder: &Path) {
    let script: String = blocks
        .iter()
        .map(|b| format!("echo '== line {}' >&2\n{}\n", b.line, b.text))
        .collect();
    let program = Path::new(env!("CARGO_BIN_EXE_kakou"));
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", program.parent().unwrap().display());
    let done = Command::new("bash")
        .args(["-eu", "-o", "pipefail", "-c", &script])
        .current_dir(folder)
        .env("PATH", path)
        .env("HOME", folder)
        .env_remove("KAKOU_LOG")
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}: the last block that is named below fails: {}\n{}\n{}",
        page.display(),
        done.status,
        String::from_utf8_lossy(&done.stderr),
        String::from_utf8_lossy(&done.stdout)
    );
}

fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

#[test]
fn command_blocks_run_as_they_stand() {
    let mut count = 0;
    for page in pages() {
        let all = blocks(&page);
        let wanted = to_run(&all);
        if !wanted.is_empty() {
            count += wanted.len();
            run(&page, &wanted, prepared().path());
        }
    }
    assert!(count > 10, "{count} blocks: are the pages read?");
}

/// A command without what differs by language: comments, and the space before them.
fn bare(line: &str) -> String {
    let (mut quote, mut before) = (None, ' ');
    let mut kept = String::new();
    for c in line.chars() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => break,
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), _) if open == c => quote = None,
            _ => {}
        }
        kept.push(c);
        before = c;
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All lines of a page that are commands or their output: fenced blocks of commands, and what is
/// indented by four.
fn commands(page: &Path) -> Vec<String> {
    let text = read(page);
    let mut fence: Option<&str> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(language), None) => fence = Some(language),
            (Some(_), Some(_)) => fence = None,
            (None, Some("sh" | "bash")) => found.push(bare(line)),
            (None, None) if line.starts_with("    ") => found.push(bare(line)),
            _ => {}
        }
    }
    found.retain(|line| !line.is_empty());
    found
}

#[test]
fn both_languages_show_the_same_commands() {
    let mut pairs = 0;
    for page in pages() {
        let Some(stem) = page.to_str().unwrap().strip_suffix(".zh-CN.md") else {
            continue;
        };
        let english = PathBuf::from(format!("{stem}.md"));
        for (here, there) in commands(&english).iter().zip(commands(&page)) {
            assert_eq!(*here, there, "{stem}");
        }
        let counts = (commands(&english).len(), commands(&page).len());
        assert_eq!(counts.0, counts.1, "{stem}: so many lines of commands");
        pairs += 1;
    }
    assert!(pairs > 6, "{pairs}");
}

/// What follows the `#` of a link to this heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(page: &Path) -> Vec<String> {
    let text = read(page);
    let mut in_block = false;
    let headings = text.lines().filter(|line| {
        in_block ^= line.starts_with("```");
        !in_block && line.starts_with('#')
    });
    headings.map(anchor).collect()
}

/// Paths that lead out of `docs` by one `..`, made plain.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => assert!(plain.pop(), "{}", path.display()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn links_lead_somewhere() {
    let mut headings: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    let mut wrong = Vec::new();
    for page in pages() {
        for (at, line) in read(&page).lines().enumerate() {
            for rest in line.split("](").skip(1) {
                let target = rest.split(')').next().unwrap_or_default();
                if target.contains("://") || target.is_empty() {
                    continue;
                }
                let (file, place) = target.split_once('#').unwrap_or((target, ""));
                let file = match file {
                    "" => page.clone(),
                    file => plain(&page.parent().unwrap().join(file)),
                };
                let told = format!("{}:{}: {target}", page.display(), at + 1);
                if !root().join(&file).exists() {
                    wrong.push(told);
                } else if !place.is_empty() {
                    let known = headings
                        .entry(file.clone())
                        .or_insert_with(|| anchors(&file));
                    if !known.iter().any(|a| a == place) {
                        wrong.push(told);
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What `kakou doctor` says of the broker: its state and its message.
fn doctor(folder: &Path) -> (String, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_kakou"))
        .args(["doctor", "--json", "--config"])
        .arg(folder.join("kakou.toml"))
        .env("SYSTEMD_UNIT_PATH", folder.join("units"))
        .output()
        .unwrap();
    let told: Value = serde_json::from_str(&support::stdout(&done)).unwrap();
    let all = told["findings"].as_array().unwrap();
    let found = all.iter().find(|f| f["area"] == "broker");
    let found = found.unwrap_or_else(|| panic!("{told:#}"));
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("state"), text("message"))
}

/// The certificates of the page, in use: the box's is its user, and after the last steps of the
/// page it is let in no more.
#[test]
fn the_certificates_of_the_page_do_what_it_says() {
    let page = Path::new("docs/certificates.md");
    let all = blocks(page);
    let first = all.iter().position(|b| b.text.contains("-revoke"));
    let (before, after) = all.split_at(first.expect("a block that revokes"));
    let made = prepared();
    let ca = made.path();
    run(page, &to_run(before), ca);

    let dir = ca.display();
    let settings = format!(
        "cafile {dir}/ca.pem\ncertfile {dir}/broker.pem\nkeyfile {dir}/broker.key\n\
         require_certificate true\nuse_identity_as_username true\nallow_anonymous false\n\
         acl_file {{dir}}/acl\ncrlfile {dir}/crl.pem"
    );
    let empty = "openssl ca -config ca.cnf -gencrl -out crl.pem";
    let list = Block {
        line: 0,
        text: empty.to_owned(),
        is_run: true,
    };
    run(page, &[&list], ca);
    let mut broker = Mosquitto::start_with(&settings, |folder| {
        let rights = root().join("configs/broker/mosquitto.acl");
        std::fs::copy(rights, folder.join("acl")).unwrap();
    });
    let address = format!(
        "url = \"mqtts://localhost:{}\"\nca = {:?}\ncertificate = {:?}\nkey = {:?}",
        broker.address().port,
        ca.join("ca.pem"),
        ca.join("box-1.pem"),
        ca.join("box-1.key")
    );
    let gate = tempfile::tempdir().unwrap();
    support::checkpoint(gate.path(), &address, "day", "", "");
    let config = gate.path().join("kakou.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    // The site of the certificate; and no models, which are not what this is about.
    let models = format!("{:?}", root().join("models/manifest.toml"));
    let text = text
        .replace("site = \"north\"", "site = \"g15-k42\"")
        .replace(&models, "\"nowhere/manifest.toml\"");
    std::fs::write(&config, text).unwrap();

    let (state, message) = doctor(gate.path());
    assert_eq!(state, "ok", "{message}");
    assert!(message.contains("by TLS"), "{message}");

    run(page, &to_run(after), ca);
    broker.restart();
    let (state, message) = doctor(gate.path());
    assert_eq!(state, "fault", "a revoked certificate is let in: {message}");
}
