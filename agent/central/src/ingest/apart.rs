//! What is not believed, into the quarantine, with its alarm.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio_postgres::Transaction;

use super::decode::Apart;
use super::rows::stored;
use crate::alarms::{self, Alarm};
use crate::store::StoreError;

pub(super) async fn keep_apart(
    transaction: &Transaction<'_>,
    apart: &[Apart],
) -> Result<(), StoreError> {
    if apart.is_empty() {
        return Ok(());
    }
    let insert = "INSERT INTO quarantine (agent, reason, detail, topic, content_type, properties, payload) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id";
    let note = "INSERT INTO ledger (agent, sequence, previous_hash, hash, fresh, event_id) \
         VALUES ($1, $2, $3, $4, false, '')";
    let mut raised: BTreeMap<(&str, Option<i32>), Alarm> = BTreeMap::new();
    for one in apart {
        let (topic, detail) = (stored(&one.message.topic), stored(&one.detail));
        let content_type = one.message.content_type.as_deref().map(stored);
        let properties: Vec<[String; 2]> = one
            .message
            .user_properties
            .iter()
            .map(|(name, value)| [stored(name), stored(value)])
            .collect();
        let properties = json!(properties);
        let reason = one.doubt.as_str();
        let row = transaction
            .query_one(
                insert,
                &[
                    &one.agent,
                    &reason,
                    &detail,
                    &topic,
                    &content_type,
                    &properties,
                    &one.message.payload,
                ],
            )
            .await?;
        if let (Some(agent), Some((sequence, previous, hash))) = (one.agent, &one.seal) {
            transaction
                .execute(note, &[&agent, sequence, previous, hash])
                .await?;
        }
        if one.doubt.is_alarm() {
            let id: i64 = row.get(0);
            let alarm = raised.entry((reason, one.agent)).or_insert_with(|| {
                let mut alarm = Alarm::new(reason, one.agent, "");
                alarm.count = 0;
                alarm
            });
            alarm.count += 1;
            alarm.detail = format!("{topic}: {detail}");
            alarm.evidence = Some(evidence(id, one));
        }
    }
    alarms::raise(transaction, raised.into_values().collect()).await
}

/// Where the message lies, and what its seal says.
fn evidence(quarantine: i64, one: &Apart) -> Value {
    let seal: Vec<&(String, String)> = one
        .message
        .user_properties
        .iter()
        .filter(|(name, _)| {
            use kakou_contract::seal::{HASH, PREVIOUS_HASH, SEQUENCE, SIGNATURE};
            [SEQUENCE, PREVIOUS_HASH, HASH, SIGNATURE].contains(&name.as_str())
        })
        .take(8)
        .collect();
    let seal: Value = seal
        .iter()
        .map(|(name, value)| {
            let value: String = value.chars().take(200).collect();
            (name.clone(), Value::String(stored(&value)))
        })
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({ "quarantine": quarantine, "seal": seal })
}
