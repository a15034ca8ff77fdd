//! What waits in memory to be committed, in bounded room. Pure.
//!
//! Where there is no more room, the oldest that holds no hit is given up, and only then the oldest
//! of all; the one that is being committed never is. What was given up is counted, for the platform
//! is to learn of it.

use std::collections::VecDeque;

use kakou_contract::{AuditEvent, Envelope, HitMessage, Priority};

/// Messages that are committed together: all of them or none.
#[derive(Debug, Clone)]
pub struct Group {
    pub envelopes: Vec<Envelope>,
    /// The hits among them.
    pub hits: Vec<HitMessage>,
    /// They have been handed to the way past the outbox.
    pub hit_is_past: bool,
}

impl Group {
    pub fn new(envelopes: Vec<Envelope>, hits: Vec<HitMessage>) -> Self {
        Self {
            envelopes,
            hits,
            hit_is_past: false,
        }
    }

    fn bytes(&self) -> usize {
        self.envelopes.iter().map(|e| e.payload.len()).sum()
    }

    /// The id of its first message, for the log.
    pub fn id(&self) -> &str {
        self.envelopes.first().map_or("", |e| e.id.as_str())
    }
}

/// Hits and passages that were given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lost {
    pub messages: u64,
    from_ms: i64,
    to_ms: i64,
    reason: String,
}

impl Lost {
    fn add(&mut self, group: &Group, reason: &str) {
        for envelope in &group.envelopes {
            if !matches!(envelope.priority, Priority::Hit | Priority::Passage) {
                continue;
            }
            let at = envelope.captured_ms.unwrap_or_default();
            (self.from_ms, self.to_ms) = match self.messages {
                0 => (at, at),
                _ => (self.from_ms.min(at), self.to_ms.max(at)),
            };
            self.messages += 1;
        }
        self.reason = reason.to_owned();
    }

    /// What the platform is told of them; `None` if there are none.
    pub fn event(&self) -> Option<AuditEvent> {
        let time = |ms| {
            chrono::DateTime::from_timestamp_millis(ms)
                .map(|t| t.with_timezone(&chrono::Local).fixed_offset())
        };
        (self.messages > 0).then_some(())?;
        Some(AuditEvent::Unrecorded {
            messages: self.messages,
            from: time(self.from_ms)?,
            to: time(self.to_ms)?,
            reason: self.reason.clone(),
        })
    }
}

#[derive(Debug)]
pub struct Backlog {
    groups: VecDeque<Group>,
    bytes: usize,
    most_bytes: usize,
    /// The first one is being committed.
    busy: bool,
    pub lost: Lost,
}

impl Backlog {
    pub fn new(most_bytes: usize) -> Self {
        Self {
            groups: VecDeque::new(),
            bytes: 0,
            most_bytes,
            busy: false,
            lost: Lost::default(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Takes one in; returns those that had to go for it.
    #[must_use]
    pub fn push(&mut self, group: Group) -> Vec<Group> {
        self.bytes += group.bytes();
        self.groups.push_back(group);
        let mut gone = Vec::new();
        while self.bytes > self.most_bytes {
            let first = usize::from(self.busy);
            // The newest stays, however large it is: there is nothing to be won by giving it up for
            // nothing.
            let candidates = first..self.groups.len().saturating_sub(1);
            let Some(victim) = candidates
                .clone()
                .find(|i| self.groups[*i].hits.is_empty())
                .or_else(|| candidates.clone().next())
            else {
                break;
            };
            if let Some(group) = self.groups.remove(victim) {
                self.bytes -= group.bytes();
                self.lost
                    .add(&group, "no room in memory while the outbox takes nothing");
                gone.push(group);
            }
        }
        gone
    }

    /// The next to be committed, which stays until [`Self::done`].
    pub fn begin(&mut self) -> Option<Vec<Envelope>> {
        let envelopes = self.groups.front().map(|g| g.envelopes.clone());
        self.busy = envelopes.is_some();
        envelopes
    }

    /// The one that was begun is committed, or given up.
    pub fn done(&mut self) -> Option<Group> {
        self.busy = false;
        let group = self.groups.pop_front()?;
        self.bytes -= group.bytes();
        Some(group)
    }

    /// Each hit that has not gone past the outbox yet; from now on they have.
    pub fn hits_to_send_past(&mut self) -> Vec<HitMessage> {
        self.groups
            .iter_mut()
            .flat_map(|g| match std::mem::replace(&mut g.hit_is_past, true) {
                true => Vec::new(),
                false => g.hits.clone(),
            })
            .collect()
    }

    /// Gives all up.
    pub fn abandon(&mut self) -> Vec<Group> {
        self.bytes = 0;
        self.busy = false;
        self.groups.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use kakou_contract::{Keep, Message};

    use super::*;

    const HIT: &[u8] = include_bytes!("../../contract/golden/hit.json");

    fn group(id: &str, bytes: usize, is_hit: bool) -> Group {
        let hit = HitMessage::from_json(HIT).unwrap();
        let mut envelope = Envelope::live(&hit, Priority::Passage, Keep::Passage).unwrap();
        envelope.payload = vec![0; bytes].into();
        envelope.id = id.to_owned();
        Group::new(vec![envelope], Vec::from_iter(is_hit.then_some(hit)))
    }

    fn ids(groups: &[Group]) -> Vec<&str> {
        groups.iter().map(Group::id).collect()
    }

    #[test]
    fn the_oldest_without_a_hit_goes_first_and_never_what_is_being_committed() {
        let mut backlog = Backlog::new(100);
        for (id, is_hit) in [("a", false), ("b", true), ("c", false)] {
            assert!(backlog.push(group(id, 30, is_hit)).is_empty());
        }
        assert_eq!(backlog.begin().unwrap()[0].id, "a");
        assert_eq!(ids(&backlog.push(group("d", 30, true))), ["c"]);
        assert_eq!(ids(&backlog.push(group("e", 30, false))), ["b"]);
        assert_eq!(backlog.lost.messages, 2);
        assert_eq!(backlog.done().unwrap().id(), "a");
        assert!(backlog.push(group("f", 30, false)).is_empty());
        // One that is larger than all the room is kept alone.
        assert_eq!(ids(&backlog.push(group("g", 200, false))), ["e", "f", "d"]);
        assert_eq!(
            (
                backlog.groups.len(),
                backlog.begin().unwrap()[0].id.as_str()
            ),
            (1, "g")
        );
    }

    #[test]
    fn a_hit_goes_past_the_outbox_once() {
        let mut backlog = Backlog::new(1000);
        for (id, is_hit) in [("a", true), ("b", false), ("c", true)] {
            assert!(backlog.push(group(id, 1, is_hit)).is_empty());
        }
        assert_eq!(backlog.hits_to_send_past().len(), 2);
        assert!(backlog.push(group("d", 1, true)).is_empty());
        assert_eq!(backlog.hits_to_send_past().len(), 1);
        assert_eq!(backlog.hits_to_send_past().len(), 0);
    }

    #[test]
    fn what_was_given_up_is_told_with_its_time() {
        let mut backlog = Backlog::new(10);
        assert_eq!(backlog.lost.event(), None);
        for id in ["a", "b", "c"] {
            let _ = backlog.push(group(id, 10, false));
        }
        let Some(AuditEvent::Unrecorded {
            messages, from, to, ..
        }) = backlog.lost.event()
        else {
            panic!("nothing is told")
        };
        let captured = HitMessage::from_json(HIT).unwrap().captured_at();
        assert_eq!((messages, from, to), (2, captured, captured));
    }
}
