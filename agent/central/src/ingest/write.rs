//! A batch of messages into the database: all of it in one transaction, or nothing.
//!
//! The rows of each table go by COPY where they belong. Where one of them is there already, all of the
//! batch go by COPY into a staging table of this connection, and from there those that are not. In the same transaction each seal goes into the ledger,
//! for the auditor, with the word whether its message was new; what an agent says will not come goes
//! beside it; a hit that is new is handed to the push; and what is kept apart goes to the quarantine
//! with its alarm. So after a kill at any moment a message either did all of that or nothing, and in
//! that case the broker sends it again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;

use chrono::{DateTime, Utc};
use deadpool_postgres::Object;
use kakou_contract::{AUDIT_RANGES_MAX, CommandName};
use serde_json::{Value, json};
use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use uuid::Uuid;

use super::decode::{Apart, Believed, Doubt};
use super::rows::{Row, Table, stored};
use crate::alarms::{self, Alarm};
use crate::push::NewHit;
use crate::store::StoreError;

/// What one transaction takes.
#[derive(Debug, Default)]
pub struct Batch {
    pub believed: Vec<Believed>,
    pub apart: Vec<Apart>,
    /// Rows of the quarantine that this batch was made of: released with it.
    pub released: Vec<i64>,
}

impl Batch {
    pub fn is_empty(&self) -> bool {
        self.believed.is_empty() && self.apart.is_empty() && self.released.is_empty()
    }

    /// Two halves, to find the one that the database does not take.
    pub fn halves(mut self) -> (Self, Self) {
        let second = Self {
            believed: self.believed.split_off(self.believed.len() / 2),
            apart: self.apart.split_off(self.apart.len() / 2),
            released: std::mem::take(&mut self.released),
        };
        (self, second)
    }

    pub fn len(&self) -> usize {
        self.believed.len() + self.apart.len()
    }
}

/// What a transaction did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub fresh: u64,
    pub repeats: u64,
    pub apart: u64,
}

/// After a repeat, which the table refuses together with its whole batch, so many go by the staging
/// table: repeats come in crowds, when a connection was lost.
const WARY: u32 = 20;

/// The connection of one lane, with its staging tables.
pub struct Writer {
    client: Object,
    staged: HashSet<Table>,
    /// So many tables of batches more go by their staging table: lately there were repeats.
    wary: u32,
}

impl Writer {
    pub fn new(client: Object) -> Self {
        Self {
            client,
            staged: HashSet::new(),
            wary: 0,
        }
    }

    pub fn client(&self) -> &tokio_postgres::Client {
        &self.client
    }

    /// `on_new` runs in the transaction for what is new.
    pub async fn write(
        &mut self,
        batch: &Batch,
        on_new: &impl OnNew,
    ) -> Result<Written, StoreError> {
        let mut tables: BTreeMap<Table, Vec<&Believed>> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut written = Written::default();
        for one in &batch.believed {
            let table = one.row.table();
            if seen.insert((table, one.frame.event_id.as_str())) {
                tables.entry(table).or_default().push(one);
            } else {
                written.repeats += 1;
            }
        }
        for rows in tables.values_mut() {
            // Two processes with the same messages wait for each other in one order.
            rows.sort_by(|a, b| a.frame.event_id.cmp(&b.frame.event_id));
        }
        for table in tables.keys() {
            if self.staged.insert(*table) {
                stage(&self.client, *table).await?;
            }
        }
        let client: &mut tokio_postgres::Client = &mut self.client;
        let mut transaction = client.transaction().await?;
        for (table, rows) in &tables {
            let straight = match self.wary {
                0 => straight(&mut transaction, *table, rows).await?,
                _ => None,
            };
            let fresh = match straight {
                Some(fresh) => fresh,
                None => {
                    self.wary = match self.wary {
                        0 => WARY,
                        wary => wary - 1,
                    };
                    copy(&transaction, *table, rows).await?
                }
            };
            written.fresh += fresh.len() as u64;
            written.repeats += (rows.len() - fresh.len()) as u64;
            match table {
                Table::Hits => {
                    let hits = new_hits(rows, &fresh);
                    on_new.hits(&transaction, &hits).await?;
                    alarms::raise(&transaction, unsealed(rows, &fresh)).await?;
                }
                Table::Passages => {
                    let passages = new_passages(rows, &fresh);
                    on_new.passages(&transaction, &passages).await?;
                }
                Table::Audits => gone(&transaction, rows, &fresh).await?,
                Table::Results => missing(&transaction, rows, &fresh).await?,
                Table::Pictures => altered(&transaction, rows, &fresh).await?,
                _ => {}
            }
        }
        written.apart = batch.apart.len() as u64;
        keep_apart(&transaction, &batch.apart).await?;
        if !batch.released.is_empty() {
            let update = "UPDATE quarantine SET released_at = now() WHERE id = ANY($1)";
            transaction.execute(update, &[&batch.released]).await?;
        }
        transaction.commit().await?;
        Ok(written)
    }
}

/// What else a new hit or passage means, in the same transaction.
pub trait OnNew: Send + Sync {
    fn hits(
        &self,
        transaction: &Transaction<'_>,
        hits: &[NewHit<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Each with its id and time.
    fn passages(
        &self,
        transaction: &Transaction<'_>,
        passages: &[(Uuid, DateTime<Utc>)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

async fn stage(client: &Object, table: Table) -> Result<(), StoreError> {
    let name = table.name();
    let columns: Vec<&str> = table.columns().iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "CREATE TEMPORARY TABLE IF NOT EXISTS staged_{name} ON COMMIT DELETE ROWS AS \
         SELECT {columns}, ''::text AS staged_event_id FROM {name} WITH NO DATA"
    );
    Ok(client.batch_execute(&sql).await?)
}

/// Copies rows into their table and each seal into the ledger, as if none were there yet, which is
/// how it is nearly always. `None`: one was there, and nothing was done.
async fn straight(
    transaction: &mut Transaction<'_>,
    table: Table,
    rows: &[&Believed],
) -> Result<Option<HashSet<String>>, StoreError> {
    let part = transaction.transaction().await?;
    let columns = table.columns();
    let mut list: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let mut types: Vec<Type> = columns.iter().map(|(_, kind)| kind.clone()).collect();
    if table.keeps_event_id() {
        list.push("event_id");
        types.push(Type::TEXT);
    }
    let sql = format!(
        "COPY {} ({}) FROM STDIN BINARY",
        table.name(),
        list.join(", ")
    );
    let copied = async {
        let sink = part.copy_in(&sql).await?;
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for one in rows {
            let cells = one.row.cells(&one.frame);
            let cells = cells.0.iter().map(|cell| &**cell as &(dyn ToSql + Sync));
            let cells: Vec<&(dyn ToSql + Sync)> = cells.take(types.len()).collect();
            writer.as_mut().write(&cells).await?;
        }
        writer.finish().await
    };
    match copied.await {
        Ok(_) => {}
        Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
            part.rollback().await?;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    }
    note(&part, rows).await?;
    part.commit().await?;
    let ids = rows.iter().map(|one| one.frame.event_id.clone());
    Ok(Some(ids.collect()))
}

/// The seals of rows that are new, into the ledger.
async fn note(transaction: &Transaction<'_>, rows: &[&Believed]) -> Result<(), StoreError> {
    let sql =
        "COPY ledger (agent, sequence, previous_hash, hash, fresh, event_id) FROM STDIN BINARY";
    let types = [
        Type::INT4,
        Type::INT8,
        Type::BYTEA,
        Type::BYTEA,
        Type::BOOL,
        Type::TEXT,
    ];
    let sink = transaction.copy_in(sql).await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for one in rows {
        let frame = &one.frame;
        if frame.sequence.is_some() {
            let cells: [&(dyn ToSql + Sync); 6] = [
                &frame.agent,
                &frame.sequence,
                &frame.previous,
                &frame.hash,
                &true,
                &frame.event_id,
            ];
            writer.as_mut().write(&cells).await?;
        }
    }
    writer.finish().await?;
    Ok(())
}

/// Puts rows into their table unless they are there, and each seal into the ledger; the event ids
/// of those that were not there.
async fn copy(
    transaction: &Transaction<'_>,
    table: Table,
    rows: &[&Believed],
) -> Result<HashSet<String>, StoreError> {
    let name = table.name();
    let columns = table.columns();
    let list: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let list = list.join(", ");
    let sink = transaction
        .copy_in(&format!("COPY staged_{name} FROM STDIN BINARY"))
        .await?;
    let types: Vec<Type> = columns
        .iter()
        .map(|(_, kind)| kind.clone())
        .chain([Type::TEXT])
        .collect();
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
    for one in rows {
        let cells = one.row.cells(&one.frame);
        let cells: Vec<&(dyn ToSql + Sync)> = cells
            .0
            .iter()
            .map(|cell| &**cell as &(dyn ToSql + Sync))
            .collect();
        writer.as_mut().write(&cells).await?;
    }
    writer.finish().await?;
    let key = table.key();
    let (into, from) = match table.keeps_event_id() {
        true => (
            format!("{list}, event_id"),
            format!("{list}, staged_event_id"),
        ),
        false => (list.clone(), list),
    };
    let staged_key: Vec<String> = key
        .iter()
        .map(|column| match *column {
            "event_id" => "s.staged_event_id".to_owned(),
            other => format!("s.{other}"),
        })
        .collect();
    let key = key.join(", ");
    // Sorted: two processes with the same messages wait for each other in one order.
    let sql = format!(
        "WITH fresh AS ( \
             INSERT INTO {name} ({into}) SELECT {from} FROM staged_{name} s \
             ORDER BY {staged} ON CONFLICT DO NOTHING RETURNING {key} \
         ), said AS ( \
             SELECT s.*, ({staged}) IN (SELECT * FROM fresh) AS is_fresh FROM staged_{name} s \
         ), noted AS ( \
             INSERT INTO ledger (agent, sequence, previous_hash, hash, fresh, event_id) \
             SELECT agent, sequence, previous_hash, hash, is_fresh, staged_event_id FROM said \
             WHERE sequence IS NOT NULL \
         ) \
         SELECT staged_event_id FROM said WHERE is_fresh",
        staged = staged_key.join(", "),
    );
    let rows = transaction.query(&sql, &[]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

fn new_hits<'a>(rows: &[&'a Believed], fresh: &HashSet<String>) -> Vec<NewHit<'a>> {
    let hit = |one: &&'a Believed| match &one.row {
        Row::Hit(_) if fresh.contains(&one.frame.event_id) => Some(NewHit {
            event_id: &one.frame.event_id,
            time: one.frame.time,
        }),
        _ => None,
    };
    rows.iter().filter_map(hit).collect()
}

/// Hits that came past their box's outbox.
fn unsealed(rows: &[&Believed], fresh: &HashSet<String>) -> Vec<Alarm> {
    let alarm = |one: &&Believed| {
        let is_one = one.frame.sequence.is_none() && fresh.contains(&one.frame.event_id);
        let detail = format!(
            "hit {} came without a seal: the outbox of the box has failed, or somebody else speaks in its name",
            one.frame.event_id
        );
        is_one.then(|| Alarm::new(Doubt::NotSealed.as_str(), Some(one.frame.agent), detail))
    };
    rows.iter().filter_map(alarm).collect()
}

fn new_passages(rows: &[&Believed], fresh: &HashSet<String>) -> Vec<(Uuid, DateTime<Utc>)> {
    let passage = |one: &&Believed| match &one.row {
        Row::Passage(message) if fresh.contains(&one.frame.event_id) => {
            Some((message.id, one.frame.time))
        }
        _ => None,
    };
    rows.iter().filter_map(passage).collect()
}

/// What agents say will not come, for the auditor.
async fn gone(
    transaction: &Transaction<'_>,
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO ledger_gone (agent, first, last, why, audit) \
         SELECT $1, first, last, $4, $5 FROM unnest($2::int8[], $3::int8[]) AS said (first, last)";
    for one in rows {
        let Row::Audit(message) = &one.row else {
            continue;
        };
        let ranges = message.event.gone();
        if ranges.is_empty() || !fresh.contains(&one.frame.event_id) {
            continue;
        }
        let side = |n: usize| -> Vec<i64> {
            ranges
                .iter()
                .map(|range| i64::try_from(range[n]).unwrap_or(i64::MAX))
                .collect()
        };
        let (first, last) = (side(0), side(1));
        let why = message.event.kind();
        transaction
            .execute(
                insert,
                &[&one.frame.agent, &first, &last, &why, &message.id],
            )
            .await?;
    }
    Ok(())
}

/// What agents no longer have, as they answer to a resend: it will not come either.
async fn missing(
    transaction: &Transaction<'_>,
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO ledger_gone (agent, first, last, why, audit) \
         VALUES ($1, $2, $3, 'missing', $4)";
    for one in rows {
        let Row::Result(message) = &one.row else {
            continue;
        };
        if message.command.as_str() != CommandName::Resend.as_str()
            || !fresh.contains(&one.frame.event_id)
        {
            continue;
        }
        let ranges = message.data.as_ref().and_then(|data| data.get("missing"));
        let ranges: Vec<[i64; 2]> = ranges
            .and_then(|ranges| serde_json::from_value(ranges.clone()).ok())
            .unwrap_or_default();
        for [first, last] in ranges.into_iter().take(AUDIT_RANGES_MAX) {
            if first < 1 || first > last {
                continue;
            }
            transaction
                .execute(insert, &[&one.frame.agent, &first, &last, &message.id])
                .await?;
        }
    }
    Ok(())
}

/// Pictures that are not those that their passage or hit promised. Both are sealed by the agent, so
/// this says that the agent itself errs, or that its key is in other hands.
async fn altered(
    transaction: &Transaction<'_>,
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Result<(), StoreError> {
    let (mut pictures, mut owners) = (HashMap::new(), Vec::new());
    for one in rows {
        if let Row::Picture(picture) = &one.row
            && fresh.contains(&one.frame.event_id)
        {
            owners.push(picture.owner);
            pictures.insert(one.frame.event_id.as_str(), one);
        }
    }
    let times = pictures.values().map(|one| one.frame.time);
    let (Some(from), Some(to)) = (times.clone().min(), times.max()) else {
        return Ok(());
    };
    // A vehicle is in sight for at most some hours; the bounds keep the look to few partitions.
    let select = "SELECT evidence FROM passages \
             WHERE id = ANY($1) AND time BETWEEN $2::timestamptz - interval '1 hour' AND $3::timestamptz + interval '1 day' \
         UNION ALL SELECT evidence FROM hits \
             WHERE hit = ANY($1) AND time BETWEEN $2::timestamptz - interval '1 hour' AND $3::timestamptz + interval '1 day'";
    let mut wrong = Vec::new();
    for row in transaction.query(select, &[&owners, &from, &to]).await? {
        for line in row.get::<_, Vec<String>>(0) {
            let Some((name, promised)) = line.split_once(' ') else {
                continue;
            };
            let Some(one) = pictures.get(name) else {
                continue;
            };
            let Row::Picture(picture) = &one.row else {
                continue;
            };
            let came = hex(&picture.sha256);
            if came != promised {
                let detail = format!("picture {name} is not the one that was promised");
                let evidence =
                    json!({ "promised": promised, "came": came, "object": picture.object });
                wrong.push(
                    Alarm::new(alarms::PICTURE_ALTERED, Some(one.frame.agent), detail)
                        .about(name)
                        .with(evidence),
                );
            }
        }
    }
    alarms::raise(transaction, wrong).await
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn keep_apart(transaction: &Transaction<'_>, apart: &[Apart]) -> Result<(), StoreError> {
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
