//! The AsyncAPI 3.0 description of all topics and messages, made from the types, for whoever makes
//! clients or documentation from such a file.
//!
//! It is told from the platform's side: it receives what agents say, and sends commands and lists.
//! Payloads are those of the committed JSON Schemas, named by their files and not repeated.

use serde_json::{Map, Value, json};

use crate::SPEC_VERSION;
use crate::codes::{EvidenceRole, Level};
use crate::command::CommandName;
use crate::message::{MessageKind, SchemaVersion};
use crate::schema;
use crate::signal::SignalKind;
use crate::topics::{QOS, ROOT};

/// The file beside the schemas.
pub const FILE: &str = "asyncapi.json";

/// How the payloads' schemas are written. AsyncAPI's own parser passes over it unless it is told
/// how to read it, as `agent/contract/validators` does.
const SCHEMA_FORMAT: &str = "application/schema+json;version=2020-12";
const BINDING: &str = "0.2.0";

/// One topic with the one message that is published to it.
struct Channel {
    /// In the document's maps, and in the names of operations.
    key: String,
    /// The levels behind site and agent.
    levels: String,
    title: String,
    summary: &'static str,
    retain: bool,
    /// The platform publishes to it.
    sent: bool,
    message: Value,
}

/// The whole document, as `schema/asyncapi.json` has it.
pub fn document() -> Value {
    let channels = channels();
    let mut operations: Map<String, Value> = channels.iter().map(operation).collect();
    operations.insert("receiveAnswer".to_owned(), receive_answer());
    let mut topics: Map<String, Value> = channels
        .iter()
        .map(|channel| (channel.key.clone(), topic(channel)))
        .collect();
    topics.insert("answer".to_owned(), answer_topic());
    let messages: Map<String, Value> = channels
        .into_iter()
        .map(|channel| (channel.key, channel.message))
        .collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Kakou",
            "version": SchemaVersion::CURRENT.to_string(),
            "description": "What the agents of road checkpoints and the platform say to each other \
                over MQTT 5, seen from the platform. docs/messages.md explains every field.",
            "license": { "name": "Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "broker.example:8883",
                "protocol": "mqtts",
                "protocolVersion": "5.0",
                "description": "The platform's broker. The name is an example.",
                "security": [
                    { "$ref": "#/components/securitySchemes/password" },
                    { "$ref": "#/components/securitySchemes/certificate" },
                ],
            },
        },
        "channels": topics,
        "operations": operations,
        "components": {
            "messages": messages,
            "parameters": parameters(),
            "securitySchemes": {
                "password": { "type": "userPassword", "description": "A user of the broker." },
                "certificate": { "type": "X509", "description": "A client certificate." },
            },
        },
    })
}

fn channels() -> Vec<Channel> {
    let from_agents = MessageKind::ALL.into_iter().map(|kind| {
        let (levels, title, summary) = describe(kind);
        Channel {
            key: kind.as_str().to_owned(),
            levels: levels.to_owned(),
            title: title.to_owned(),
            summary,
            retain: kind.retained(),
            sent: false,
            message: told(kind, title, summary),
        }
    });
    let commands = CommandName::ALL.iter().map(|&name| Channel {
        key: format!("command-{name}"),
        levels: format!("cmd/{name}"),
        title: format!("Command {name}"),
        summary: asked(name),
        retain: false,
        sent: true,
        message: request(name),
    });
    let lists = std::iter::once(Channel {
        key: "list".to_owned(),
        levels: "list/{list}".to_owned(),
        title: "Piece of a list".to_owned(),
        summary: LIST,
        retain: false,
        sent: true,
        message: json!({
            "name": "list",
            "title": "Piece of a list",
            "summary": LIST,
            "contentType": "application/json",
            "payload": payload(schema::LIST_CHUNK),
        }),
    });
    from_agents.chain(commands).chain(lists).collect()
}

const LIST: &str = "A piece (chunk) of a signed edition of a watchlist.";

/// The topic behind site and agent, a title, and what it says.
fn describe(kind: MessageKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        MessageKind::Passage => (
            "passage/{camera}",
            "Passage",
            "One vehicle passed; whether or not its plate could be read.",
        ),
        MessageKind::Hit => (
            "hit/{level}/{camera}",
            "Hit",
            "A vehicle on the watchlist is in sight, or has passed.",
        ),
        MessageKind::Signal => (
            "signal/{kind}/{camera}",
            "Signal",
            "Something about a passage does not fit.",
        ),
        MessageKind::Status => (
            "status",
            "Status",
            "How the agent and its parts are; also its last will. Retained.",
        ),
        MessageKind::Audit => ("audit", "Audit", "What the agent did, or lost."),
        MessageKind::Result => (
            "result",
            "Answer to a command",
            "The answer to a command that named no response topic.",
        ),
        MessageKind::Evidence => (
            "evidence/{owner}/{role}",
            "Picture",
            "A picture of a passage or a hit. The payload is its bytes.",
        ),
    }
}

fn asked(name: CommandName) -> &'static str {
    match name {
        CommandName::Ping => "Answer, and do nothing else.",
        CommandName::Status => "Send the status now.",
        CommandName::Snapshot => "Send the newest picture of a camera.",
        CommandName::Resend => "Send messages again that the platform misses.",
        CommandName::Retention => {
            "Keep messages on the box for so long after the platform has them."
        }
        CommandName::Reload => "Read config and watchlist again.",
        CommandName::Answer => "What an officer found out about a hit.",
    }
}

/// A message of an agent.
fn told(kind: MessageKind, title: &str, summary: &str) -> Value {
    let mut message = json!({
        "name": kind.as_str(),
        "title": title,
        "summary": summary,
        "headers": attributes(kind),
    });
    let (Some(file), Value::Object(fields)) = (schema::file_name(kind), &mut message) else {
        // The bytes of a picture have no schema, and its content type is its own.
        message["contentType"] = "image/jpeg".into();
        return message;
    };
    fields.insert("contentType".to_owned(), "application/json".into());
    fields.insert("payload".to_owned(), payload(&file));
    let mut bindings = json!({ "payloadFormatIndicator": 1, "bindingVersion": BINDING });
    if kind == MessageKind::Result {
        bindings["correlationData"] = correlation();
    }
    fields.insert("bindings".to_owned(), json!({ "mqtt": bindings }));
    message
}

fn request(name: CommandName) -> Value {
    let response_topic = json!({
        "type": "string",
        "maxLength": 1024,
        "description": "Where the answer goes. Below the agent's own result/ it needs no further rights.",
    });
    json!({
        "name": format!("command-{name}"),
        "title": format!("Command {name}"),
        "summary": asked(name),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "description": "The MQTT 5 properties of these names; no user properties.",
            "properties": { "responseTopic": response_topic, "correlationData": correlation() },
        },
        "payload": payload(&schema::command_file(name)),
        "bindings": {
            "mqtt": {
                "responseTopic": response_topic,
                "correlationData": correlation(),
                "bindingVersion": BINDING,
            },
        },
    })
}

fn correlation() -> Value {
    json!({ "type": "string", "description": "Bytes that the answer carries back." })
}

fn payload(file: &str) -> Value {
    json!({ "schemaFormat": SCHEMA_FORMAT, "schema": { "$ref": format!("./{file}") } })
}

/// The MQTT user properties: CloudEvents attributes and the seal.
fn attributes(kind: MessageKind) -> Value {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let mut properties = json!({
        "specversion": { "const": SPEC_VERSION },
        "id": text("The same for every repeat of a message, and for nothing else of this source."),
        "source": text("/kakou/{site}/{agent}"),
        "type": { "const": kind.event_type() },
        "subject": text("What at the agent the message is about."),
        "time": { "type": "string", "format": "date-time" },
        "sequence": text("The number of the message, from 1, without a gap. Not in a replay."),
        "previoushash": text("The hash of the message before it, in hexadecimal. Not in a replay."),
        "hash": text("The hash of this message, in hexadecimal. Not in a replay."),
        "signature": text("Ed25519 by the agent's key, in base64. Not in a replay."),
    });
    let mut required = vec!["specversion", "id", "source", "type", "subject", "time"];
    if let Some(uri) = kind.schema_uri() {
        properties["dataschema"] = json!({ "const": uri });
        required.push("dataschema");
    }
    json!({
        "type": "object",
        "description": "MQTT 5 user properties. More may be added.",
        "properties": properties,
        "required": required,
    })
}

/// A topic as the document names it: `kakou/v1/{site}/{agent}/passage/{camera}`.
fn address(levels: &str) -> String {
    format!("{ROOT}/{{site}}/{{agent}}/{levels}")
}

fn topic(channel: &Channel) -> Value {
    let address = address(&channel.levels);
    let parameters: Map<String, Value> = address
        .split('/')
        .filter_map(|level| level.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let reference = json!({ "$ref": format!("#/components/parameters/{name}") });
            (name.to_owned(), reference)
        })
        .collect();
    let key = &channel.key;
    let mut messages = Map::new();
    messages.insert(
        key.clone(),
        json!({ "$ref": format!("#/components/messages/{key}") }),
    );
    json!({
        "address": address,
        "title": channel.title,
        "summary": channel.summary,
        "messages": messages,
        "parameters": parameters,
        "servers": [{ "$ref": "#/servers/broker" }],
    })
}

/// Where answers go that have a response topic of their own: no address is known before.
fn answer_topic() -> Value {
    json!({
        "address": null,
        "title": "Answer to a command, where it was asked for",
        "summary": "The response topic of the command.",
        "messages": { "result": { "$ref": "#/components/messages/result" } },
        "servers": [{ "$ref": "#/servers/broker" }],
    })
}

fn operation(channel: &Channel) -> (String, Value) {
    let key = &channel.key;
    let action = if channel.sent { "send" } else { "receive" };
    let name: String = key.split('-').map(capitalised).collect();
    let mut operation = json!({
        "action": action,
        "channel": { "$ref": format!("#/channels/{key}") },
        "title": channel.title,
        "summary": channel.summary,
        "messages": [{ "$ref": format!("#/channels/{key}/messages/{key}") }],
        "bindings": {
            "mqtt": { "qos": QOS, "retain": channel.retain, "bindingVersion": BINDING },
        },
    });
    if key.starts_with("command-") {
        operation["reply"] = json!({
            "address": {
                "location": "$message.header#/responseTopic",
                "description": "Without a response topic the answer comes on the agent's result topic.",
            },
            "channel": { "$ref": "#/channels/answer" },
            "messages": [{ "$ref": "#/channels/answer/messages/result" }],
        });
    }
    (format!("{action}{name}"), operation)
}

fn receive_answer() -> Value {
    json!({
        "action": "receive",
        "channel": { "$ref": "#/channels/answer" },
        "title": "Answer to a command, where it was asked for",
        "messages": [{ "$ref": "#/channels/answer/messages/result" }],
        "bindings": { "mqtt": { "qos": QOS, "retain": false, "bindingVersion": BINDING } },
    })
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(letters).collect()
    })
}

fn parameters() -> Value {
    let one_of =
        |words: Vec<&str>, description: &str| json!({ "enum": words, "description": description });
    let id = |what: &str| json!({ "description": format!("{what}: 1 to 64 characters of A-Z a-z 0-9 _ -") });
    json!({
        "site": id("The checkpoint"),
        "agent": id("The box, unique in the city"),
        "camera": id("The camera"),
        "list": id("The name of the list"),
        "owner": {
            "description": "The id of the passage, or of the provisional hit, that the picture belongs \
                to: a UUID in lower case with hyphens",
        },
        "level": one_of(Level::ALL.iter().map(|v| v.as_str()).collect(), "The level of the list's entry"),
        "kind": one_of(SignalKind::ALL.iter().map(|v| v.as_str()).collect(), "What does not fit"),
        "role": one_of(EvidenceRole::ALL.iter().map(|v| v.as_str()).collect(), "What the picture shows"),
    })
}
