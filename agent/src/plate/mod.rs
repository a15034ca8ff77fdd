//! What a plate says: reads, grammar, colours and kinds. Pure.
mod read;
pub use read::{CharRead, PlateRead};
