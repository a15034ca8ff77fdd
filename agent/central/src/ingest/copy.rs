//! Rows into their table, and each seal into the ledger beside them.
//!
//! [`straight`] takes it that none is there yet, and does nothing where one is; [`staged`] goes by a
//! staging table and takes those that are not. Either says which were new.

use std::collections::HashSet;
use std::pin::pin;

use tokio_postgres::Transaction;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{ToSql, Type};

use super::decode::Believed;
use super::rows::Table;
use crate::store::StoreError;

/// The staging table of this connection, where it is not there yet.
async fn stage(transaction: &Transaction<'_>, table: Table) -> Result<(), StoreError> {
    let name = table.name();
    let columns: Vec<&str> = table.columns().iter().map(|(name, _)| *name).collect();
    let columns = columns.join(", ");
    let sql = format!(
        "CREATE TEMPORARY TABLE IF NOT EXISTS staged_{name} ON COMMIT DELETE ROWS AS \
         SELECT {columns}, ''::text AS staged_event_id FROM {name} WITH NO DATA"
    );
    Ok(transaction.batch_execute(&sql).await?)
}

/// Copies rows into their table and each seal into the ledger, as if none were there yet, which is
/// how it is nearly always. `None`: one was there, and nothing was done.
pub(super) async fn straight(
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
pub(super) async fn staged(
    transaction: &Transaction<'_>,
    table: Table,
    rows: &[&Believed],
) -> Result<HashSet<String>, StoreError> {
    stage(transaction, table).await?;
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
