//! Carries out what a group of requests asks for, within one transaction.

use crate::error::OutboxError;
use crate::store::{Tx, settings};

use super::ops::{Op, Outcome, Resent};

/// Rows that one slice of a long request looks at: milliseconds, so that a hit does not wait for
/// it.
const SLICE: usize = 500;

/// When it is: by the wall clock, and by what is proven of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall_ms: i64,
    pub(super) proven_ms: i64,
}

/// What each of these came to. Nothing outside the transaction is changed: it may fail yet.
pub(super) fn apply_all(
    tx: &mut Tx<'_>,
    ops: &[Op],
    now: Now,
) -> Result<Vec<Outcome>, OutboxError> {
    let mut outcomes = Vec::with_capacity(ops.len());
    let mut rest = ops;
    while let Some(op) = rest.first() {
        // Appends that follow one another share their statements.
        let appends: Vec<_> = rest.iter().map_while(Op::plain_append).collect();
        if appends.is_empty() {
            outcomes.push(apply(tx, op, now)?);
            rest = &rest[1..];
        } else {
            let numbers = tx.append_all(&appends, now.wall_ms)?;
            outcomes.extend(numbers.into_iter().map(Outcome::Appended));
            rest = &rest[appends.len()..];
        }
    }
    Ok(outcomes)
}

fn apply(tx: &mut Tx<'_>, op: &Op, now: Now) -> Result<Outcome, OutboxError> {
    Ok(match op {
        Op::Append {
            messages, request, ..
        } => {
            let all = tx.append_all(&[messages.as_slice()], now.wall_ms)?.concat();
            if let (Some(request), Some(first)) = (request, all.first()) {
                tx.answered(request, *first)?;
            }
            Outcome::Appended(all)
        }
        Op::Acked(sequence) => {
            tx.acked(*sequence)?;
            Outcome::Nothing
        }
        Op::Hold {
            sequence,
            reason,
            why,
        } => {
            tx.hold(*sequence, *reason, why, now.wall_ms)?;
            Outcome::Nothing
        }
        Op::Unreadable {
            priority,
            ranges,
            why,
        } => {
            for range in ranges {
                tx.hold_unreadable(*priority, *range, why, now.wall_ms)?;
            }
            Outcome::Nothing
        }
        Op::Release {
            reason,
            most,
            done,
            from,
            ..
        } => {
            let slice = tx.release(*reason, *from, SLICE.min(most.saturating_sub(*done)))?;
            tx.note_revived(&slice.moved)?;
            Outcome::Moved {
                messages: slice.moved.len() as u64,
                next: slice.next,
            }
        }
        Op::Resend {
            wanted: [first, last],
            done,
            from,
            ..
        } => {
            let slice = tx.resend(*from, *last, SLICE)?;
            tx.note_revived(&slice.moved)?;
            let messages = slice.moved.len() as u64;
            match slice.next {
                Some(_) => Outcome::Moved {
                    messages,
                    next: slice.next,
                },
                None => Outcome::Resent(Resent {
                    messages: done + messages,
                    missing: tx.missing(*first, *last)?,
                }),
            }
        }
        Op::Claim { request, .. } => Outcome::Claim(tx.claim(request, now.proven_ms)?),
        Op::Retention {
            wanted, by_config, ..
        } => {
            match *by_config {
                // Stored, it would hold over every config to come.
                true => settings::forget_retention(tx)?,
                false => settings::write_retention(tx, wanted)?,
            }
            Outcome::Nothing
        }
        Op::Limits { .. } | Op::Settle(_) | Op::Close => Outcome::Nothing,
        // Carried out by itself.
        #[cfg(test)]
        Op::Upkeep { .. } => Outcome::Nothing,
    })
}
