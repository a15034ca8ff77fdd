//! What the writer is asked to do, and what came of it.

use kakou_contract::{Held, Priority};
use tokio::sync::oneshot;

use super::answers::Appended;
use crate::error::OutboxError;
use crate::policy::{OutboxLimits, Retention};
use crate::store::{Claim, Ready};

pub(crate) type Reply<T> = oneshot::Sender<Result<T, OutboxError>>;

/// What is put back in line, and what of the wanted range is no longer there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resent {
    pub messages: u64,
    /// Inclusive ranges of numbers that this box no longer has.
    pub missing: Vec<[u64; 2]>,
}

pub(crate) enum Op {
    Append {
        messages: Vec<Ready>,
        /// The command that this answers.
        request: Option<String>,
        reply: Reply<Appended>,
    },
    Acked(u64),
    Hold {
        sequence: u64,
        reason: Held,
        why: String,
    },
    /// The reader came upon messages that it cannot read.
    Unreadable {
        priority: Priority,
        ranges: Vec<[u64; 2]>,
        why: String,
    },
    Release {
        reason: Option<Held>,
        most: usize,
        /// Done so far, and where the next slice begins.
        done: usize,
        from: u64,
        reply: Reply<usize>,
    },
    Resend {
        wanted: [u64; 2],
        done: u64,
        from: u64,
        reply: Reply<Resent>,
    },
    Claim {
        request: String,
        reply: Reply<Claim>,
    },
    Retention {
        wanted: Retention,
        /// It is the config's, which every start reads again, and not the platform's.
        by_config: bool,
        reply: Reply<()>,
    },
    Limits {
        wanted: OutboxLimits,
        reply: Reply<()>,
    },
    Settle(Reply<()>),
    /// Notes ages and looks after limits and retention at once, by these.
    #[cfg(test)]
    Upkeep {
        limits: OutboxLimits,
        retention: Retention,
        reply: Reply<()>,
    },
    Close,
}

/// What one request came to, told once the transaction is on disk.
pub(super) enum Outcome {
    Appended(Vec<u64>),
    /// A slice of a longer request: how many were moved, and where the next one begins.
    Moved {
        messages: u64,
        next: Option<u64>,
    },
    Resent(Resent),
    Claim(Claim),
    Nothing,
}

impl Op {
    /// Of an append that is nobody's answer.
    pub(super) fn plain_append(&self) -> Option<&[Ready]> {
        match self {
            Self::Append {
                messages,
                request: None,
                ..
            } => Some(messages),
            _ => None,
        }
    }

    /// Works in slices: between two of them others have their turn.
    pub(super) fn is_long(&self) -> bool {
        matches!(self, Self::Release { .. } | Self::Resend { .. })
    }

    /// Messages and bytes.
    pub(super) fn weight(&self) -> (usize, usize) {
        match self {
            Self::Append { messages, .. } => {
                (messages.len(), messages.iter().map(Ready::size).sum())
            }
            _ => (1, 0),
        }
    }

    /// Tells whoever asked that it failed.
    pub(super) fn refuse(self, e: OutboxError) {
        // A caller that no longer waits has gone.
        match self {
            Self::Append { reply, .. } => drop(reply.send(Err(e))),
            Self::Release { reply, .. } => drop(reply.send(Err(e))),
            Self::Resend { reply, .. } => drop(reply.send(Err(e))),
            Self::Claim { reply, .. } => drop(reply.send(Err(e))),
            Self::Retention { reply, .. } | Self::Limits { reply, .. } | Self::Settle(reply) => {
                drop(reply.send(Err(e)));
            }
            #[cfg(test)]
            Self::Upkeep { reply, .. } => drop(reply.send(Err(e))),
            // They are sent again after the next loss of the connection, which the platform knows
            // how to take.
            Self::Acked(_) | Self::Hold { .. } | Self::Unreadable { .. } | Self::Close => {}
        }
    }
}
