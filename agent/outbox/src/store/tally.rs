//! The counters in the database: how many messages of each priority stand where. They change in the
//! transaction that moves the messages, as differences, because another process may have moved
//! messages since they were read.

use rusqlite::{Connection, Transaction, params};

use crate::policy::Counts;

pub(crate) fn read(conn: &Connection) -> rusqlite::Result<[Counts; 4]> {
    let mut all = [Counts::default(); 4];
    let mut statement = conn.prepare_cached(
        "SELECT lane, waiting, waiting_bytes, held, held_bytes, kept, kept_bytes, evicted,
         evicted_bytes FROM lane",
    )?;
    let mut rows = statement.query([])?;
    while let Some(r) = rows.next()? {
        let at: usize = r.get(0)?;
        if let Some(counts) = all.get_mut(at) {
            *counts = Counts {
                waiting: r.get(1)?,
                waiting_bytes: r.get(2)?,
                held: r.get(3)?,
                held_bytes: r.get(4)?,
                kept: r.get(5)?,
                kept_bytes: r.get(6)?,
                evicted: r.get(7)?,
                evicted_bytes: r.get(8)?,
            };
        }
    }
    Ok(all)
}

pub(super) fn write(
    tx: &Transaction<'_>,
    before: &[Counts; 4],
    after: &[Counts; 4],
) -> rusqlite::Result<()> {
    for (index, (before, after)) in before
        .iter()
        .zip(after)
        .enumerate()
        .filter(|(_, (before, after))| before != after)
    {
        let change = |before: u64, after: u64| after as i64 - before as i64;
        tx.prepare_cached(
            "UPDATE lane SET waiting = waiting + ?2, waiting_bytes = waiting_bytes + ?3,
             held = held + ?4, held_bytes = held_bytes + ?5, kept = kept + ?6,
             kept_bytes = kept_bytes + ?7, evicted = evicted + ?8,
             evicted_bytes = evicted_bytes + ?9 WHERE lane = ?1",
        )?
        .execute(params![
            index,
            change(before.waiting, after.waiting),
            change(before.waiting_bytes, after.waiting_bytes),
            change(before.held, after.held),
            change(before.held_bytes, after.held_bytes),
            change(before.kept, after.kept),
            change(before.kept_bytes, after.kept_bytes),
            change(before.evicted, after.evicted),
            change(before.evicted_bytes, after.evicted_bytes)
        ])?;
    }
    Ok(())
}
