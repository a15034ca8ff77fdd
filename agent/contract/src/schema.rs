//! JSON Schema of messages and requests, generated from the types so that the two cannot disagree.
//!
//! It is also what a receiver checks bounds against: a bound stands nowhere else.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::bounds;
use crate::rules::Rules;
use crate::{
    AuditMessage, CommandName, Edition, HitMessage, ListChunk, MessageKind, PassageMessage,
    ResultMessage, SignalMessage, StatusMessage,
};

/// The file under `schema/` that holds a kind's schema; pictures have none.
pub fn file_name(kind: MessageKind) -> Option<String> {
    kind.schema_uri().map(|_| format!("{}.json", kind.as_str()))
}

/// The JSON Schema (2020-12) of a kind of message; pictures have none.
///
/// It describes what the agent writes: what it always writes is `required`. It allows unknown
/// fields, which later minor versions add.
pub fn generate(kind: MessageKind) -> Option<Value> {
    let generator = SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator();
    let mut schema = match kind {
        MessageKind::Passage => generator.into_root_schema_for::<PassageMessage>(),
        MessageKind::Hit => generator.into_root_schema_for::<HitMessage>(),
        MessageKind::Signal => generator.into_root_schema_for::<SignalMessage>(),
        MessageKind::Status => generator.into_root_schema_for::<StatusMessage>(),
        MessageKind::Audit => generator.into_root_schema_for::<AuditMessage>(),
        MessageKind::Result => generator.into_root_schema_for::<ResultMessage>(),
        MessageKind::Evidence => return None,
    };
    if let Some(uri) = kind.schema_uri() {
        schema.insert("$id".to_owned(), uri.into());
    }
    let mut schema = schema.to_value();
    bounds::complete(&mut schema);
    Some(schema)
}

/// The file under `schema/` that holds the schema of a command's request.
pub fn command_file(name: CommandName) -> String {
    format!("cmd-{name}.json")
}

/// The file under `schema/` of a piece of a list.
pub(crate) const LIST_CHUNK: &str = "list-chunk.json";

/// The bounds of [`generate`], made once: receivers check every payload against them.
pub(crate) fn rules(kind: MessageKind) -> Option<&'static Rules> {
    static ALL: LazyLock<Vec<(MessageKind, Rules)>> = LazyLock::new(|| {
        MessageKind::ALL
            .into_iter()
            .filter_map(|kind| Some((kind, Rules::of(&generate(kind)?))))
            .collect()
    });
    ALL.iter()
        .find(|(known, _)| *known == kind)
        .map(|(_, rules)| rules)
}

/// Every committed schema file with its content: the messages, the requests of each command, and what
/// carries lists.
pub fn files() -> Vec<(String, Value)> {
    let messages = MessageKind::ALL
        .into_iter()
        .filter_map(|kind| Some((file_name(kind)?, generate(kind)?)));
    let requests = CommandName::ALL
        .iter()
        .map(|&name| (command_file(name), name.schema()));
    let lists = [
        ("edition.json", Edition::schema()),
        (LIST_CHUNK, ListChunk::schema()),
    ];
    let lists = lists.map(|(name, schema)| (name.to_owned(), schema));
    messages.chain(requests).chain(lists).collect()
}
