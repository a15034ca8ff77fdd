//! What follows when a transaction is on disk, or when it failed: who asked is told, and the state
//! follows.

use std::sync::atomic::Ordering;

use kakou_contract::{AuditEvent, Held, Priority};

use super::answers::{Appended, Others};
use super::ops::{Op, Outcome, Resent};
use super::writer::Writer;
use crate::error::OutboxError;

impl Writer {
    pub(super) fn committed(&mut self, ops: Vec<Op>, outcomes: Vec<Outcome>) {
        let has_append = ops.iter().any(|op| matches!(op, Op::Append { .. }));
        if (has_append || self.condition.is_blocked()) && self.condition.works() {
            tracing::warn!(folder = %self.folder.display(), "the outbox records again");
            self.publish();
        }
        self.shared.transactions.fetch_add(1, Ordering::Relaxed);
        // Before anybody is told: who was told that it is back in line must find it there.
        if ops.iter().any(Op::is_long) {
            self.take_up_revived();
        }
        let mut woken = [0_u64; 4];
        for (op, outcome) in ops.iter().zip(&outcomes) {
            match (op, outcome) {
                (Op::Append { messages, .. }, _) => {
                    self.unrecorded.committed(messages, self.clock.mono());
                    for ready in messages {
                        // `index` is below 4 by its definition.
                        woken[ready.envelope.priority.index()] += 1;
                    }
                }
                (_, Outcome::Moved { messages: 1.., .. })
                | (_, Outcome::Resent(Resent { messages: 1.., .. })) => {
                    woken = woken.map(|n| n + 1);
                }
                _ => {}
            }
        }
        // The uplink too: who was told that it is committed may ask it to finish.
        self.shared.wake(woken);
        let mut appended = Vec::with_capacity(ops.len());
        for (op, outcome) in ops.into_iter().zip(outcomes) {
            match (op, outcome) {
                (
                    Op::Append {
                        messages, reply, ..
                    },
                    Outcome::Appended(numbers),
                ) => {
                    let answer = Appended {
                        numbers,
                        _spent: messages,
                        others: Others::default(),
                    };
                    appended.push((reply, answer));
                }
                (op, outcome) => self.tell(op, outcome),
            }
        }
        Others(appended).tell_one();
    }

    /// A caller that no longer waits has gone; what it asked for is done all the same.
    pub(super) fn tell(&mut self, op: Op, outcome: Outcome) {
        match (op, outcome) {
            (
                Op::Release {
                    reason,
                    most,
                    done,
                    reply,
                    ..
                },
                Outcome::Moved { messages, next },
            ) => {
                let done = done + messages as usize;
                match next.filter(|_| done < most) {
                    Some(from) => self.unfinished.push_back(Op::Release {
                        reason,
                        most,
                        done,
                        from,
                        reply,
                    }),
                    None => drop(reply.send(Ok(done))),
                }
            }
            (
                Op::Resend {
                    wanted,
                    done,
                    reply,
                    ..
                },
                Outcome::Moved {
                    messages,
                    next: Some(from),
                },
            ) => self.unfinished.push_back(Op::Resend {
                wanted,
                done: done + messages,
                from,
                reply,
            }),
            (Op::Resend { reply, .. }, Outcome::Resent(resent)) => drop(reply.send(Ok(resent))),
            (Op::Claim { reply, .. }, Outcome::Claim(claim)) => drop(reply.send(Ok(claim))),
            (Op::Retention { wanted, reply, .. }, _) => {
                self.retention = wanted;
                // Who was told reads it back.
                self.publish();
                drop(reply.send(Ok(())));
            }
            (Op::Limits { wanted, reply }, _) => {
                self.limits = wanted;
                drop(reply.send(Ok(())));
            }
            (Op::Settle(reply), _) => drop(reply.send(Ok(()))),
            (
                Op::Unreadable {
                    priority,
                    ranges,
                    why,
                },
                _,
            ) => self.found_unreadable(priority, &ranges, &why),
            (
                Op::Hold {
                    reason: Held::Damaged,
                    ..
                },
                _,
            ) => {
                self.condition.look_at_damage(&self.db);
            }
            _ => {}
        }
    }

    pub(super) fn failed(&mut self, op: Op, e: &OutboxError) {
        let now = self.clock.now();
        let folder = self.folder.display();
        match &op {
            Op::Append { messages, .. } => {
                tracing::error!(%folder, messages = messages.len(), "not committed: {e}");
                self.unrecorded.add(messages, &now, &e.to_string());
                self.condition.failed(e, now.wall.timestamp_millis());
                // Who was told may look at the state.
                self.publish();
            }
            Op::Unreadable {
                priority, ranges, ..
            } => {
                tracing::error!(%folder, %priority, ?ranges, "unreadable messages stay in line: {e}");
                self.condition.damage(e);
            }
            _ => {
                tracing::warn!(%folder, "a request failed: {e}");
                if e.is_damage() {
                    self.condition.damage(e);
                }
            }
        }
        op.refuse(e.clone());
    }

    pub(super) fn found_unreadable(&mut self, priority: Priority, ranges: &[[u64; 2]], why: &str) {
        tracing::error!(
            folder = %self.folder.display(), %priority, ?ranges,
            "messages that cannot be read are held, all others go on: {why}; see `kakou outbox verify`"
        );
        self.condition.look_at_damage(&self.db);
        self.publish();
        let list: Vec<_> = ranges.iter().map(|[a, b]| format!("{a} to {b}")).collect();
        let event = AuditEvent::Damage {
            detail: format!("messages {} cannot be read and are held", list.join(", ")),
            // They are not lost yet: a repair may read them.
            ranges: Vec::new(),
        };
        if let Err(e) = self.audit(event) {
            tracing::warn!("the damage was not recorded: {e}");
        }
    }

    pub(super) fn audit(&mut self, event: AuditEvent) -> Result<(), OutboxError> {
        let now_ms = self.clock.wall_ms();
        let envelope = self.author.audit(event, &self.db.path, now_ms)?;
        self.db.transact(|tx| tx.append(envelope.clone(), now_ms))?;
        self.shared.wake([0, 1, 0, 0]);
        Ok(())
    }

    /// The platform learns what it will never get.
    pub(super) fn report_unrecorded(&mut self) {
        if let Some(event) = self.unrecorded.event()
            && self.audit(event).is_ok()
        {
            self.unrecorded.reported();
        }
    }
}
