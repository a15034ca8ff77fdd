//! JSON Schema of the messages, generated from the types so that the two cannot disagree.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::{AuditMessage, HitMessage, MessageKind, PassageMessage, ResultMessage, StatusMessage};

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
        MessageKind::Status => generator.into_root_schema_for::<StatusMessage>(),
        MessageKind::Audit => generator.into_root_schema_for::<AuditMessage>(),
        MessageKind::Result => generator.into_root_schema_for::<ResultMessage>(),
        MessageKind::Evidence => return None,
    };
    if let Some(uri) = kind.schema_uri() {
        schema.insert("$id".to_owned(), uri.into());
    }
    Some(schema.to_value())
}

/// The text of the schema's file.
pub fn text(kind: MessageKind) -> Option<String> {
    generate(kind).map(|schema| format!("{schema:#}\n"))
}
