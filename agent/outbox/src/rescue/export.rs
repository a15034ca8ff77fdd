//! Messages as JSON. What is read is handed on outside of any transaction: a slow reader of the
//! output holds up nobody.

use base64::Engine;
use kakou_contract::Priority;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::inspect::{COLUMNS, Inspection, Message, SLICE};
use crate::error::OutboxError;
use crate::store::LARGEST_SEQUENCE;
use crate::store::audit::time;

/// Which messages to export.
struct Wanted {
    from: u64,
    last: u64,
    priority: Option<Priority>,
}

impl Inspection {
    /// Tells each message of the range as one JSON object; pictures go to `picture`, which says
    /// where they went.
    pub fn export(
        &self,
        first: u64,
        last: u64,
        priority: Option<Priority>,
        mut picture: impl FnMut(u64, &str, &[u8]) -> std::io::Result<Option<String>>,
        mut line: impl FnMut(Value) -> std::io::Result<()>,
    ) -> Result<u64, OutboxError> {
        let io = |e: std::io::Error| OutboxError::Io {
            path: self.path.clone(),
            why: e.to_string(),
        };
        let mut wanted = Wanted {
            from: first.min(LARGEST_SEQUENCE),
            last: last.min(LARGEST_SEQUENCE),
            priority,
        };
        let mut count = 0;
        loop {
            let some = self
                .read(|conn| slice(conn, &wanted))
                .map_err(|e| self.fault(&e))?;
            let Some((end, _)) = some.last() else {
                return Ok(count);
            };
            wanted.from = end.sequence + 1;
            for (message, stage) in some {
                let mut object = attributes(&message, stage);
                let (name, value) = match json_payload(&message) {
                    Some(json) => ("payload", json),
                    None => {
                        let kind = message.content_type.as_deref().unwrap_or("");
                        let file = picture(message.sequence, kind, &message.payload).map_err(io)?;
                        match file {
                            Some(file) => ("file", Value::String(file)),
                            None => ("base64", base64(&message.payload)),
                        }
                    }
                };
                if let Some(object) = object.as_object_mut() {
                    object.insert(name.to_owned(), value);
                }
                line(object).map_err(io)?;
                count += 1;
            }
        }
    }
}

/// Some messages, and where each stands.
fn slice(conn: &Connection, wanted: &Wanted) -> rusqlite::Result<Vec<(Message, &'static str)>> {
    let mut statement = conn.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message WHERE seq BETWEEN ?1 AND ?2 AND (?3 IS NULL OR lane = ?3)
         ORDER BY seq LIMIT ?4"
    ))?;
    let mut rows = statement.query(params![
        wanted.from,
        wanted.last,
        wanted.priority.map(Priority::index),
        SLICE.0
    ])?;
    let (mut found, mut bytes) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let message = Message::of(row)?;
        bytes += message.payload.len();
        let stage = stage_of(conn, &message)?;
        found.push((message, stage));
        if bytes >= SLICE.1 {
            break;
        }
    }
    Ok(found)
}

fn stage_of(conn: &Connection, message: &Message) -> rusqlite::Result<&'static str> {
    let waits = conn
        .prepare_cached("SELECT 1 FROM waiting WHERE lane = ? AND seq = ?")?
        .exists(params![message.priority, message.sequence])?;
    let is_held = conn
        .prepare_cached("SELECT 1 FROM held WHERE seq = ?")?
        .exists([message.sequence])?;
    Ok(match (waits, is_held) {
        (true, _) => "waiting",
        (false, true) => "held",
        (false, false) => "kept",
    })
}

fn attributes(message: &Message, stage: &str) -> Value {
    json!({
        "sequence": message.sequence,
        "lane": Priority::at(message.priority).map(Priority::as_str),
        "place": stage,
        "committed": kakou_contract::time::to_text(&time(message.committed)),
        "id": message.id,
        "topic": message.topic,
        "content_type": message.content_type,
        "properties": serde_json::from_str::<Value>(&message.properties).unwrap_or(Value::Null),
        "previoushash": hex(&message.previous),
        "hash": hex(&message.hash),
        "whole": message.computed_hash() == message.hash,
    })
}

fn json_payload(message: &Message) -> Option<Value> {
    let kind = message.content_type.as_deref()?;
    kind.starts_with("application/json")
        .then(|| serde_json::from_slice(&message.payload).ok())
        .flatten()
}

fn base64(bytes: &[u8]) -> Value {
    base64::engine::general_purpose::STANDARD
        .encode(bytes)
        .into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
