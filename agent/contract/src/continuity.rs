//! Whether an agent's messages are all there, and still the ones it sealed.

use std::collections::BTreeMap;

use crate::ranges::Ranges;
use crate::seal::{GENESIS, Seal};

/// Checks the chain of one agent's messages, in whatever order they come.
///
/// For a platform: one of these per agent, fed with the seals that verified, and with the ranges
/// that the agent's audit messages report as given up. It remembers the hashes of what it has seen
/// until [`Continuity::forget`].
#[derive(Debug, Clone)]
pub struct Continuity {
    /// Everything up to here is accounted for and its hashes are forgotten.
    floor: u64,
    /// The hash of message `floor`, unless that one was never seen.
    floor_hash: Option<[u8; 32]>,
    seen: BTreeMap<u64, Link>,
    /// Seen or gone, above the floor.
    known: Ranges,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Link {
    previous: [u8; 32],
    hash: [u8; 32],
}

/// What is remarkable about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Seen before: "at least once" allows it.
    Repeat { sequence: u64 },
    /// Another message had this number: the box went back to an old state (a restored backup), or
    /// somebody else holds its key.
    Conflict { sequence: u64 },
    /// `after` does not carry the hash of `before`, the message before it.
    BrokenLink { before: u64, after: u64 },
}

impl Default for Continuity {
    fn default() -> Self {
        Self::new()
    }
}

impl Continuity {
    /// From the agent's first message on.
    pub fn new() -> Self {
        Self::after(0, Some(GENESIS))
    }

    /// From the message after `sequence` on; `hash` is that of message `sequence`, where it is known.
    pub fn after(sequence: u64, hash: Option<[u8; 32]>) -> Self {
        Self {
            floor: sequence,
            floor_hash: hash,
            seen: BTreeMap::new(),
            known: Ranges::new(),
        }
    }

    /// Takes a message; empty: it is new and fits its neighbours, as far as these are known.
    pub fn message(&mut self, sequence: u64, previous: &[u8; 32], hash: &[u8; 32]) -> Vec<Finding> {
        let link = Link {
            previous: *previous,
            hash: *hash,
        };
        if sequence <= self.floor {
            let other =
                sequence == self.floor && self.floor_hash.is_some_and(|known| known != *hash);
            return vec![if other {
                Finding::Conflict { sequence }
            } else {
                Finding::Repeat { sequence }
            }];
        }
        if let Some(known) = self.seen.get(&sequence) {
            return vec![if *known == link {
                Finding::Repeat { sequence }
            } else {
                Finding::Conflict { sequence }
            }];
        }
        let mut findings = Vec::new();
        if self
            .hash_of(sequence - 1)
            .is_some_and(|before| before != link.previous)
        {
            findings.push(Finding::BrokenLink {
                before: sequence - 1,
                after: sequence,
            });
        }
        if let Some(after) = sequence.checked_add(1)
            && self
                .seen
                .get(&after)
                .is_some_and(|next| next.previous != link.hash)
        {
            findings.push(Finding::BrokenLink {
                before: sequence,
                after,
            });
        }
        self.seen.insert(sequence, link);
        self.known.insert(sequence, sequence);
        findings
    }

    /// [`Continuity::message`], from a seal that verified.
    pub fn seal(&mut self, seal: &Seal) -> Vec<Finding> {
        self.message(seal.sequence, &seal.previous, &seal.hash)
    }

    /// The agent said that `first..=last` will not come (any more): no gap. A message that comes all
    /// the same is welcome.
    pub fn gone(&mut self, first: u64, last: u64) {
        self.known
            .insert(first.max(self.floor.saturating_add(1)), last);
    }

    /// What is missing below the highest number heard of, as `[first, last]`. Hits overtake, so a
    /// young gap is no loss yet; `resend` asks for an old one.
    pub fn gaps(&self) -> Vec<[u64; 2]> {
        self.floor
            .checked_add(1)
            .map_or_else(Vec::new, |from| self.known.gaps_from(from))
    }

    /// The highest number seen or heard of.
    pub fn highest(&self) -> u64 {
        self.known.last().unwrap_or(self.floor).max(self.floor)
    }

    /// Everything up to here is seen or gone.
    pub fn complete_to(&self) -> u64 {
        self.floor
            .checked_add(1)
            .and_then(|next| self.known.end_of(next))
            .unwrap_or(self.floor)
    }

    /// Up to where hashes are forgotten, and the hash of that message, unless it was never seen: what
    /// [`Continuity::after`] goes on from.
    pub fn floor(&self) -> (u64, Option<[u8; 32]>) {
        (self.floor, self.floor_hash)
    }

    /// Forgets hashes, but not those after the first gap and those of the last `keep` messages before
    /// it: of a message that is forgotten only its number is checked. Where gaps stay, memory grows
    /// (about 100 bytes a message) until they are filled or told [`Continuity::gone`].
    pub fn forget(&mut self, keep: u64) {
        let to = self.complete_to().saturating_sub(keep);
        if to <= self.floor {
            return;
        }
        self.floor_hash = self.hash_of(to);
        self.floor = to;
        self.seen = self.seen.split_off(&to.saturating_add(1));
        let mut known = Ranges::new();
        for [first, last] in self.known.pairs() {
            if last > to {
                known.insert(first.max(to.saturating_add(1)), last);
            }
        }
        self.known = known;
    }

    fn hash_of(&self, sequence: u64) -> Option<[u8; 32]> {
        if sequence == self.floor {
            self.floor_hash
        } else {
            self.seen.get(&sequence).map(|link| link.hash)
        }
    }
}
