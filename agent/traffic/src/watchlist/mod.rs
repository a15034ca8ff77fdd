//! The watchlist: which plates are looked for. Pure: knows nothing of files or MQTT.
//!
//! A list is CSV in UTF-8 with the header `plate,level,category,reason,valid_until,kind`, in any
//! order; `valid_until` and `kind` may be missing. A row that can never match or cannot be
//! understood is refused by its line, and the rest is used. A list that is cut off, as one that is
//! still being copied, is not used at all: each row ends with a line end, and a line `# entries N`
//! says how many rows there are.
//!
//! A plate matches character by character or not at all. Where an entry names a kind, a plate that
//! is surely of another kind does not match.

mod list;
mod parse;
mod row;

#[cfg(test)]
mod tests;

pub use list::{Entry, List};
pub use parse::{BadLine, ListError, Parsed};
