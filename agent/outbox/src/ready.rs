//! A draft made ready for the writer. Whoever appends does this work in his own thread, while the writer waits for the
//! disk: the writer is one for all.

use bytes::Bytes;
use kakou_contract::seal::digest;
use kakou_contract::{Keep, Priority};
use tokio::sync::oneshot;

use super::db::LARGEST;
use super::error::OutboxError;
use kakou_contract::Envelope;

/// A draft as it goes into the database, but for its number and what follows from it.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) lane: Priority,
    pub(super) keep: Keep,
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) content_type: Option<String>,
    /// As JSON.
    pub(super) properties: String,
    pub(super) correlation: Option<Vec<u8>>,
    pub(super) retain: bool,
    pub(super) captured_ms: Option<i64>,
    pub(super) numbered: bool,
    pub(super) payload: Bytes,
    /// Of the payload without its number.
    pub(super) digest: [u8; 32],
}

impl Ready {
    pub(super) fn of(draft: Envelope) -> Result<Self, OutboxError> {
        let (size, limit) = (draft.payload.len(), LARGEST);
        if size > limit {
            return Err(OutboxError::TooLarge {
                topic: draft.topic,
                size,
                limit,
            });
        }
        let properties =
            serde_json::to_string(&draft.user_properties).map_err(|e| OutboxError::Envelope {
                topic: draft.topic.clone(),
                why: e.to_string(),
            })?;
        let digest = digest(&draft.payload);
        let Envelope {
            priority: lane,
            keep,
            id,
            topic,
            content_type,
            correlation,
            retain,
            captured_ms,
            numbered,
            payload,
            ..
        } = draft;
        Ok(Self {
            lane,
            keep,
            id,
            topic,
            content_type,
            properties,
            correlation,
            retain,
            captured_ms,
            numbered,
            payload,
            digest,
        })
    }

    pub(super) fn all(drafts: Vec<Envelope>) -> Result<Vec<Self>, OutboxError> {
        drafts.into_iter().map(Self::of).collect()
    }
}

/// What an appended group came to, on disk.
#[derive(Debug)]
pub(super) struct Appended {
    pub(super) numbers: Vec<u64>,
    /// What was appended, back to whoever made it: he frees it, not the writer.
    pub(super) _spent: Vec<Ready>,
    /// Others whose messages are in the same transaction, for this one to wake.
    pub(super) others: Others,
}

pub(super) type Answer = (oneshot::Sender<Result<Appended, OutboxError>>, Appended);

/// Callers that must still be told. Waking a thread costs the writer as much as a message does, so it wakes one, who wakes
/// the others, each passing half of what is left on. Whoever drops this tells them: nobody is forgotten, even if the
/// one it was given to has gone.
#[derive(Debug, Default)]
pub(super) struct Others(pub(super) Vec<Answer>);

impl Others {
    /// Wakes one, with all the others in his hands.
    pub(super) fn tell_one(mut self) {
        if let Some((reply, mut appended)) = self.0.pop() {
            appended.others = Self(std::mem::take(&mut self.0));
            // A caller that no longer waits has gone; what it asked for is done all the same, and dropping tells the rest.
            drop(reply.send(Ok(appended)));
        }
    }
}

impl Drop for Others {
    fn drop(&mut self) {
        while let Some((reply, mut appended)) = self.0.pop() {
            let half = self.0.len() / 2;
            appended.others = Self(self.0.split_off(half));
            drop(reply.send(Ok(appended)));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn everybody_is_told_even_by_those_who_have_gone() {
        for n in 0..40_u64 {
            let (mut answers, mut waiting) = (Vec::new(), Vec::new());
            for k in 0..n {
                let (reply, answer) = oneshot::channel();
                let appended = Appended {
                    numbers: vec![k],
                    _spent: Vec::new(),
                    others: Others::default(),
                };
                answers.push((reply, appended));
                // Every third has gone.
                if k % 3 != n % 3 {
                    waiting.push((k, answer));
                }
            }
            Others(answers).tell_one();
            // The last is asked first, as the one told first; each that is told drops what it was given.
            for (k, answer) in waiting.into_iter().rev() {
                assert_eq!(answer.blocking_recv().unwrap().unwrap().numbers, [k]);
            }
        }
    }
}
