//! The committed schema files are those of the types.

use std::collections::BTreeSet;

use crate::common::{crate_folder, read};
use kakou_contract::{asyncapi, schema};
use serde_json::Value;

#[test]
fn committed_schema_files_are_those_of_the_types() {
    for (name, schema) in schema::files() {
        let committed = read(crate_folder().join("schema").join(&name));
        // Compared as values: the order of keys hangs on a feature of serde_json that any crate of
        // the workspace may turn on.
        let committed: Value = serde_json::from_str(&committed).unwrap();
        assert!(
            committed == schema,
            "agent/contract/schema/{name} is not the schema of the types; look at what changed, \
             then: cargo run -p kakou-contract --example write-schema"
        );
    }
}

#[test]
fn no_schema_file_is_left_over() {
    let committed: BTreeSet<String> = std::fs::read_dir(crate_folder().join("schema"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let mut made: BTreeSet<String> = schema::files().into_iter().map(|(name, _)| name).collect();
    made.insert(asyncapi::FILE.to_owned());
    assert_eq!(committed, made);
}

/// A platform may be older than the agent; an agent refuses what it does not know.
#[test]
fn a_schema_is_valid_and_open_to_later_fields_unless_it_is_a_request() {
    for (name, schema) in schema::files() {
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
        let closed = schema.to_string().contains("additionalProperties");
        assert_eq!(closed, name.starts_with("cmd-"), "{name}");
    }
}

/// Validators that are strict about formats, Ajv by default, refuse a schema with one they do not
/// know.
#[test]
fn every_format_is_one_of_json_schema() {
    fn formats(value: &Value, out: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(format)) = map.get("format") {
                    out.insert(format.clone());
                }
                map.values().for_each(|v| formats(v, out));
            }
            Value::Array(items) => items.iter().for_each(|v| formats(v, out)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    for (_, schema) in schema::files() {
        formats(&schema, &mut found);
    }
    let known = ["date-time", "uuid"].map(str::to_owned);
    assert_eq!(found, BTreeSet::from(known));
}
