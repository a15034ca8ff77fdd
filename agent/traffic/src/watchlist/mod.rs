//! The watchlist: which plates are looked for. Pure: knows nothing of files or MQTT.
//!
//! A list is built row by row ([`Builder`]). A row that can never match or cannot be understood is
//! refused by its line, and the rest is used. A [`Policy`] says how a list is used; [`Lists`] are
//! all of them, and say which hit a vehicle is.
//!
//! Where an entry names a kind, a plate that is surely of another kind does not match.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `plates`, `words`, `dates`, `rules` | what a row may say |
//! | `builder` | rows to a list, with a report |
//! | `codes`, `store`, `exact`, `patterns` | a list in memory, and what is found in it |
//! | `weights`, `near`, `traits` | what else a read may stand for, and what speaks against a match |
//! | `policy`, `lists`, `found` | how lists are used together, and the hit |

mod builder;
mod codes;
mod dates;
mod exact;
mod found;
mod list;
mod lists;
mod near;
mod patterns;
mod plates;
mod policy;
mod rules;
mod store;
mod traits;
mod weights;
mod words;

#[cfg(test)]
mod matching_tests;
#[cfg(test)]
mod tests;

pub use builder::{
    BadLine, BadLines, Builder, ENTRIES_MAX, HeaderError, ListOptions, PATTERNS_MAX, Parsed,
    Require,
};
pub use found::Match;
pub use list::{Entry, List};
pub use lists::{Conditions, Listed, Lists};
pub use policy::{Mode, Policy, Unlisted};
pub use rules::{Rules, Sighting};
pub use weights::{Confusion, Weights};
pub use words::Column;
