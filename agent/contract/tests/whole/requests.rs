//! The examples of what the platform sends: each is taken, and none is missing.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::common::{crate_folder, read};
use kakou_contract::{Command, CommandName, Id, ListChunk, schema, trusted_key};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

fn folder() -> PathBuf {
    crate_folder().join("golden/requests")
}

/// Every example of a request: the name of its file, and of its command.
fn examples() -> Vec<(String, CommandName)> {
    let names = std::fs::read_dir(folder()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<(String, CommandName)> = names
        .filter_map(|file| {
            let rest = file.strip_prefix("cmd-")?;
            let word = rest.split(['-', '.']).next()?;
            let command = word.parse().unwrap_or_else(|e| panic!("{file}: {e}"));
            Some((file, command))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_example_of_a_request_is_one_and_every_command_has_one() {
    let mut commands = BTreeSet::new();
    for (file, command) in examples() {
        let text = read(folder().join(&file));
        let name = Id::new("command", command.as_str()).unwrap();
        let request = Command::parse(&name, text.as_bytes());
        let request = request.unwrap_or_else(|e| panic!("{file}: {e}"));
        assert_eq!(request.command.name(), command, "{file}");
        let schema = read(
            crate_folder()
                .join("schema")
                .join(schema::command_file(command)),
        );
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert!(jsonschema::is_valid(&schema, &value), "{file}");
        commands.insert(command);
    }
    assert_eq!(commands, CommandName::ALL.iter().copied().collect());
}

#[test]
fn the_example_of_a_list_s_piece_is_signed_and_whole() {
    let text = read(folder().join("list-chunk.json"));
    let chunk = ListChunk::parse(text.as_bytes()).unwrap();
    let key = trusted_key(&chunk.signed.key).unwrap();
    let edition = chunk.signed.open(&[key]).unwrap();
    assert_eq!(edition.chunks(), 1);
    let bytes = chunk.bytes(&edition).unwrap();
    let digest: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(
        serde_json::to_value(edition.packed.sha256).unwrap(),
        digest
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>()
    );
}
