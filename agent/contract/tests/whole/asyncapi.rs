//! The committed AsyncAPI document is that of the types, and says of topics what they are.

use std::collections::BTreeSet;

use crate::common::{crate_folder, read};
use kakou_contract::{CommandName, MessageKind, QOS, Topic, asyncapi};
use serde_json::Value;

fn committed() -> Value {
    serde_json::from_str(&read(crate_folder().join("schema").join(asyncapi::FILE))).unwrap()
}

/// The channels that have an address, with it.
fn addresses(document: &Value) -> Vec<(String, String)> {
    let channels = document["channels"].as_object().unwrap();
    let addresses = channels
        .iter()
        .filter_map(|(key, channel)| Some((key.clone(), channel["address"].as_str()?.to_owned())));
    addresses.collect()
}

/// A topic of the channel: each parameter has a value that it allows.
fn example(document: &Value, address: &str) -> String {
    let level = |level: &str| {
        let Some(name) = level.strip_prefix('{').and_then(|l| l.strip_suffix('}')) else {
            return level.to_owned();
        };
        let parameter = &document["components"]["parameters"][name];
        assert!(parameter.is_object(), "{address}: {name} is not described");
        match parameter["enum"].get(0) {
            Some(word) => word.as_str().unwrap().to_owned(),
            None if name == "owner" => "01c2abf3-45ca-7f24-9866-babef5c81ab8".to_owned(),
            None => format!("a-{name}"),
        }
    };
    address.split('/').map(level).collect::<Vec<_>>().join("/")
}

#[test]
fn the_committed_document_is_that_of_the_types() {
    assert!(
        committed() == asyncapi::document(),
        "agent/contract/schema/asyncapi.json is not that of the types; look at what changed, then: \
         cargo run -p kakou-contract --example write-schema"
    );
}

#[test]
fn every_address_is_a_topic_of_the_contract_and_every_topic_has_one() {
    let document = committed();
    let mut found = BTreeSet::new();
    for (key, address) in addresses(&document) {
        let topic: Topic = example(&document, &address)
            .parse()
            .unwrap_or_else(|e| panic!("{key}: {e}"));
        found.insert(match topic {
            Topic::Passage { .. } => "passage".to_owned(),
            Topic::Hit { .. } => "hit".to_owned(),
            Topic::Signal { .. } => "signal".to_owned(),
            Topic::Status { .. } => "status".to_owned(),
            Topic::Audit { .. } => "audit".to_owned(),
            Topic::Result { .. } => "result".to_owned(),
            Topic::Evidence { .. } => "evidence".to_owned(),
            Topic::Command { command, .. } => format!("command-{command}"),
            Topic::List { .. } => "list".to_owned(),
        });
        assert!(found.contains(&key), "{key} has the address of another");
    }
    let kinds = MessageKind::ALL.map(|kind| kind.as_str().to_owned());
    let commands = CommandName::ALL
        .iter()
        .map(|name| format!("command-{name}"));
    let all = kinds.into_iter().chain(commands).chain(["list".to_owned()]);
    assert_eq!(found, all.collect());
}

#[test]
fn every_payload_is_a_committed_schema() {
    let document = committed();
    let mut files = BTreeSet::new();
    for (name, message) in document["components"]["messages"].as_object().unwrap() {
        let Some(reference) = message["payload"]["schema"]["$ref"].as_str() else {
            assert_eq!(name, "evidence", "{name} has no payload");
            continue;
        };
        let file = reference.strip_prefix("./").unwrap();
        let schema = read(crate_folder().join("schema").join(file));
        let schema: Value = serde_json::from_str(&schema).unwrap();
        let uri = &message["headers"]["properties"]["dataschema"]["const"];
        assert!(uri.is_null() || *uri == schema["$id"], "{name}: {uri}");
        files.insert(file.to_owned());
    }
    // An edition is the text within a piece of a list, and no payload of its own.
    let all = kakou_contract::schema::files().into_iter().map(|f| f.0);
    let all: BTreeSet<String> = all.filter(|name| name != "edition.json").collect();
    assert_eq!(files, all);
}

#[test]
fn operations_are_the_platform_s() {
    let document = committed();
    let operations = document["operations"].as_object().unwrap();
    let mut used = BTreeSet::new();
    for (name, operation) in operations {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        let channel = channel.strip_prefix("#/channels/").unwrap();
        used.insert(channel.to_owned());
        let is_sent = channel == "list" || channel.starts_with("command-");
        let action = if is_sent { "send" } else { "receive" };
        assert_eq!(operation["action"], action, "{name}");
        let mqtt = &operation["bindings"]["mqtt"];
        assert_eq!(mqtt["qos"], QOS, "{name}");
        let kind = MessageKind::ALL.into_iter().find(|k| k.as_str() == channel);
        assert_eq!(
            mqtt["retain"],
            kind.is_some_and(MessageKind::retained),
            "{name}"
        );
        assert_eq!(
            operation["reply"].is_object(),
            channel.starts_with("command-"),
            "{name}"
        );
    }
    let channels = document["channels"].as_object().unwrap();
    assert_eq!(used, channels.keys().cloned().collect());
}
