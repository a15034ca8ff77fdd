//! What a plate says: reads, grammar, colours and kinds. Pure.
//!
//! The grammar is a weight, never a filter: a foreign or damaged plate passes through as it was
//! read.
mod colour;
mod confusable;
mod confusions;
mod contradiction;
mod grammar;
mod kind;
mod probability;
mod read;
mod tally;
mod vote;

#[cfg(test)]
mod vote_tests;

pub use colour::{ColourVote, fits};
pub use confusable::{confusable, distance, similarity};
pub use confusions::odds;
pub use contradiction::contradictions;
pub use grammar::{Form, Grammar, Invalid, PROVINCES, check, is_province};
pub use kind::{kind, possible_kinds};
pub use probability::Signs;
pub use read::{CharRead, PlateRead};
pub use tally::Correction;
pub(crate) use vote::quality;
pub use vote::{Ballot, NotReadable, VoteConfig, VotedPlate};
