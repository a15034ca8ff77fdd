//! The committed schema files are those of the types.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{crate_folder, read};
use kakou_contract::{MessageKind, schema};
use serde_json::Value;

#[test]
fn committed_schema_files_are_those_of_the_types() {
    for kind in MessageKind::ALL {
        let Some(name) = schema::file_name(kind) else {
            continue;
        };
        let committed = read(crate_folder().join("schema").join(&name));
        // Compared as values: the order of keys hangs on a feature of serde_json that any crate of
        // the workspace may turn on.
        let committed: Value = serde_json::from_str(&committed).unwrap();
        assert!(
            committed == schema::generate(kind).unwrap(),
            "agent/contract/schema/{name} is not the schema of the types; look at what changed, \
             then: cargo run -p kakou-contract --example write-schema"
        );
    }
}

#[test]
fn a_schema_is_valid_in_itself_and_open_to_later_fields() {
    for schema in MessageKind::ALL.into_iter().filter_map(schema::generate) {
        assert!(jsonschema::meta::is_valid(&schema));
        assert!(!schema.to_string().contains("additionalProperties"));
    }
}
