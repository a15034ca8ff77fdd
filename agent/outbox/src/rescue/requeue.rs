//! Putting messages back in line from outside, also beside a live agent. It works in slices, so
//! that the agent's commits have their turn in between.

use std::path::Path;
use std::time::Duration;

use kakou_contract::Held;

use super::inspect::existing;
use crate::error::OutboxError;
use crate::store::{Db, Slice, checked, key};

/// Messages that are looked at in one transaction.
const SLICE: usize = 500;
/// Between two slices. A waiting writer asks for the lock again within this time.
const PAUSE: Duration = Duration::from_millis(5);

/// Which messages to put back in line.
#[derive(Debug, Clone, Copy)]
pub enum Requeue {
    Held(Option<Held>),
    Range { first: u64, last: u64 },
}

/// Puts messages back in line. A live agent takes them up within a second. If it is interrupted, a
/// part of them is in line; doing it again does the rest.
pub fn requeue(folder: &Path, what: Requeue) -> Result<u64, OutboxError> {
    let mut from = match what {
        Requeue::Held(_) => 1,
        // Whatever the largest number is, the last message is the end.
        Requeue::Range { first, .. } => checked("first", first)?,
    };
    existing(folder)?;
    let key = key::read(folder)?.ok_or_else(|| OutboxError::Key {
        path: key::path(folder),
        why: "there is no signing key beside the outbox".to_owned(),
    })?;
    let mut db = Db::open(folder, key)?;
    let mut moved = 0;
    loop {
        let slice: Slice = db.transact(|tx| {
            let slice = match what {
                Requeue::Held(reason) => tx.release(reason, from, SLICE)?,
                Requeue::Range { last, .. } => tx.resend(from, last, SLICE)?,
            };
            tx.note_revived(&slice.moved)?;
            Ok(slice)
        })?;
        moved += slice.moved.len() as u64;
        match slice.next {
            Some(next) => from = next,
            None => return Ok(moved),
        }
        std::thread::sleep(PAUSE);
    }
}
