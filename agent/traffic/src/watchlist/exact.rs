//! Whole plates, found by hash.
//!
//! Entries stand in the order of their hashes, and an index says where those begin that share their
//! first bits: a look-up is a bit of a filter that fits into the processor's cache and, where that
//! bit is set, one place of the index and the entry or two that it points to. A near search asks for
//! dozens of plates, of which hardly one is listed: it seldom leaves the filter.

use super::codes::hash;
use super::store::Meta;

/// Bits of the filter for each plate: one in sixteen plates that are not listed passes.
const FILTER_BITS: usize = 16;

/// A plate and its entry side by side, so that one fetch from memory brings both.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// In two halves, high and low: eight bytes at once would have to be aligned.
    key: [u32; 2],
    meta: Meta,
}

impl Row {
    fn new((key, meta): (u64, Meta)) -> Self {
        let key = [(key >> 32) as u32, key as u32];
        Self { key, meta }
    }

    fn key(&self) -> u64 {
        (u64::from(self.key[0]) << 32) | u64::from(self.key[1])
    }
}

#[derive(Debug, Clone)]
pub(super) struct Exact {
    /// By hash; entries of one plate stand together, the most severe first.
    rows: Vec<Row>,
    /// Where the rows begin whose hash has these first bits; one place more for the end.
    starts: Vec<u32>,
    filter: Vec<u64>,
    /// How far a hash is shifted to be its place in `starts`, and its bit in the filter.
    shifts: (u32, u32),
}

impl Default for Exact {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl Exact {
    /// From entries in any order.
    pub fn new(mut entries: Vec<(u64, Meta)>) -> Self {
        entries.sort_unstable_by_key(|(key, m)| (hash(*key), *key, m.level(), m.line));
        let rows: Vec<Row> = entries.iter().copied().map(Row::new).collect();
        drop(entries);
        // Two at least: a number cannot be shifted by all of its bits.
        let places = rows.len().next_power_of_two().max(2);
        let bits = (rows.len() * FILTER_BITS).next_power_of_two().max(64);
        let shifts = (64 - places.trailing_zeros(), 64 - bits.trailing_zeros());
        let mut filter = vec![0_u64; bits / 64];
        let mut starts = vec![0_u32; places + 1];
        for row in &rows {
            let digest = hash(row.key());
            let bit = digest >> shifts.1;
            filter[(bit / 64) as usize] |= 1 << (bit % 64);
            starts[(digest >> shifts.0) as usize + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        Self {
            rows,
            starts,
            filter,
            shifts,
        }
    }

    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// The entries for a plate, the most severe first.
    pub fn get(&self, key: u64) -> impl Iterator<Item = &Meta> {
        let of_key = move |row: &&Row| row.key() == key;
        let rows = self.sharing(hash(key)).iter().filter(of_key);
        rows.map(|row| &row.meta)
    }

    /// The rows that may have this hash.
    fn sharing(&self, digest: u64) -> &[Row] {
        let bit = digest >> self.shifts.1;
        if self.filter[(bit / 64) as usize] & (1 << (bit % 64)) == 0 {
            return &[];
        }
        let place = (digest >> self.shifts.0) as usize;
        &self.rows[self.starts[place] as usize..self.starts[place + 1] as usize]
    }

    /// All entries; those of one plate follow one another.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &Meta)> {
        self.rows.iter().map(|row| (row.key(), &row.meta))
    }

    /// All entries in the order of their plates. It takes as long as sorting them.
    pub fn sorted(&self) -> impl Iterator<Item = (u64, &Meta)> {
        let mut order: Vec<&Row> = self.rows.iter().collect();
        order.sort_unstable_by_key(|row| (row.key(), row.meta.level(), row.meta.line));
        order.into_iter().map(|row| (row.key(), &row.meta))
    }

    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.starts.capacity() * 4
            + self.filter.capacity() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_takes_44_bytes() {
        assert_eq!(size_of::<Row>(), 44);
    }
}
