//! How the callers of a group learn what it came to.

use tokio::sync::oneshot;

use crate::error::OutboxError;
use crate::store::Ready;

/// What an appended group came to, on disk.
#[derive(Debug)]
pub(crate) struct Appended {
    pub(crate) numbers: Vec<u64>,
    /// What was appended, back to whoever made it: that thread frees it, not the writer.
    pub(crate) _spent: Vec<Ready>,
    /// Others whose messages are in the same transaction, for this one to wake.
    pub(crate) others: Others,
}

pub(super) type Answer = (oneshot::Sender<Result<Appended, OutboxError>>, Appended);

/// Callers that must still be told. Waking a thread costs the writer as much as a message does, so
/// it wakes one, which wakes the others, each passing on half of what is left. Dropping this tells
/// them: nobody is forgotten, even if the caller that it was given to has gone.
#[derive(Debug, Default)]
pub(crate) struct Others(pub(super) Vec<Answer>);

impl Others {
    /// Wakes one, and hands it all the others.
    pub(super) fn tell_one(mut self) {
        if let Some((reply, mut appended)) = self.0.pop() {
            appended.others = Self(std::mem::take(&mut self.0));
            // A caller that no longer waits has gone; what it asked for is done all the same, and
            // dropping tells the rest.
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
            // The last is asked first, as the one told first; each that is told drops what it was
            // given.
            for (k, answer) in waiting.into_iter().rev() {
                assert_eq!(answer.blocking_recv().unwrap().unwrap().numbers, [k]);
            }
        }
    }
}
