//! The committed corpora, and changed copies of them, through every target: what fuzzing found
//! stays mended, without fuzzing.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use kakou_fuzz::{TARGETS, Target};

/// A corpus is for reading too.
const LARGEST: usize = 8 << 10;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Names and contents, in the order of the names.
fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder("corpus").join(name))
        .unwrap_or_else(|e| panic!("no corpus of {name}: {e}"))
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// How many changed inputs a target gets: fewer where one takes milliseconds.
fn changed(name: &str) -> usize {
    match name {
        "database" => 40,
        "editions" => 300,
        "picture" | "workbook" | "http" => 400,
        _ => 2000,
    }
}

#[test]
fn nothing_in_the_corpora_breaks_a_promise() {
    for (name, target) in TARGETS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name}");
        for (file, bytes) in files {
            assert!(bytes.len() <= LARGEST, "{name}/{file} is too large");
            run(target, &bytes, &format!("{name}/{file}"));
        }
    }
}

#[test]
fn nor_does_anything_like_it() {
    std::thread::scope(|threads| {
        for (name, target) in TARGETS {
            threads.spawn(move || {
                let (files, mut chance) = (corpus(name), Chance(0x6b61_6b6f_7561_6e00));
                for round in 0..changed(name) {
                    let bytes = chance.change(&files);
                    run(target, &bytes, &format!("{name}, changed input {round}"));
                }
            });
        }
    });
}

/// Each target is known to the tests, to the corpora and to `cargo fuzz`.
#[test]
fn targets_are_the_same_everywhere() {
    let known: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let listed = |at: &str| -> BTreeSet<String> {
        let entries = std::fs::read_dir(folder(at)).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.trim_end_matches(".rs").to_owned())
            .collect()
    };
    assert_eq!(listed("corpus"), known);
    assert_eq!(listed("fuzz/fuzz_targets"), known);
}

/// Says which input it was.
fn run(target: Target, bytes: &[u8], which: &str) {
    if catch_unwind(AssertUnwindSafe(|| target(bytes))).is_err() {
        panic!("{which}: {}", bytes.escape_ascii());
    }
}

/// The same in each run.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// A file of the corpus with some bytes changed, removed, doubled, or taken from another one.
    fn change(&mut self, files: &[(String, Vec<u8>)]) -> Vec<u8> {
        let any = |chance: &mut Self| files[chance.below(files.len())].1.clone();
        let mut bytes = any(self);
        for _ in 0..1 + self.below(4) {
            let at = self.below(bytes.len() + 1);
            let to = (at + 1 + self.below(32)).min(bytes.len());
            match self.below(6) {
                0 if at < to => bytes[at] ^= 1 << self.below(8),
                1 if at < to => bytes[at] = [0, 0x7f, 0x80, 0xff, b'"', b'\n'][self.below(6)],
                2 => drop(bytes.drain(at..to.max(at))),
                3 if at < to => {
                    let piece = bytes[at..to].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 => {
                    let other = any(self);
                    let from = self.below(other.len() + 1);
                    let end = (from + self.below(200)).min(other.len());
                    bytes.splice(at..at, other[from..end].iter().copied());
                }
                _ => bytes.insert(at, self.next() as u8),
            }
        }
        bytes
    }
}
