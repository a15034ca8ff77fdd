//! What a plate says: reads, grammar, colours and kinds. Pure.
mod read;
pub use read::{CharRead, PlateRead};

/// Whether a text could stand on a mainland plate.
pub fn plausible(text: &str) -> bool {
    let c: Vec<char> = text.chars().collect();
    (7..=8).contains(&c.len())
        && !c[0].is_ascii()
        && c[1].is_ascii_uppercase()
        && c[2..6].iter().all(|c| c.is_ascii_alphanumeric())
}
