//! Messages that were kept apart until their agent's key was known, taken in as if they came now.

use kakou_uplink::Received;
use tokio_postgres::Client;

use crate::ingest::{Intake, OnNew, Writer};
use crate::store::StoreError;

/// Messages in one transaction.
const AT_ONCE: i64 = 500;

/// Those of agents that have a key now; how many were looked at. What is not believed with the key
/// either is kept apart again, with that reason.
pub async fn release<H: OnNew + Clone + 'static>(
    client: &Client,
    intake: &Intake<H>,
    writer: &mut Option<Writer>,
) -> Result<usize, StoreError> {
    let select = "SELECT q.id, q.topic, q.content_type, q.properties, q.payload \
         FROM quarantine q JOIN agents a ON a.id = q.agent \
         WHERE q.released_at IS NULL AND a.public_key IS NOT NULL \
             AND (q.reason = 'no_key' \
                 OR (q.reason IN ('forged', 'key_changed') AND q.received_at < a.key_since \
                     AND a.key_source = 'operator')) \
         ORDER BY q.id LIMIT $1";
    let rows = client.query(select, &[&AT_ONCE]).await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let (mut ids, mut messages) = (Vec::new(), Vec::new());
    for row in &rows {
        ids.push(row.get::<_, i64>(0));
        let properties: serde_json::Value = row.get(3);
        messages.push(Received {
            topic: row.get(1),
            content_type: row.get(2),
            user_properties: serde_json::from_value(properties).unwrap_or_default(),
            payload: row.get(4),
            ..Received::default()
        });
    }
    // The key may have been pinned by another process.
    intake.agents.forget();
    intake.take_released(writer, messages, ids).await;
    Ok(rows.len())
}
