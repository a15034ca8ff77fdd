//! Whole plates, found by hash.
//!
//! A table of numbers beside sorted keys: a look-up is a bit of a filter that fits into the
//! processor's cache, and, where that bit is set, one probe of the table and the keys that follow.
//! A near search asks for dozens of plates, of which hardly one is listed: it seldom leaves the
//! filter.

use hashbrown::HashTable;

use super::codes::hash;
use super::store::Meta;

/// Bits of the filter for each plate: one in sixteen plates that are not listed passes.
const FILTER_BITS: usize = 16;

#[derive(Debug, Clone, Default)]
pub(super) struct Exact {
    /// Sorted; entries of one plate stand together, the most severe first.
    keys: Vec<u64>,
    metas: Vec<Meta>,
    /// The first place of each key.
    table: HashTable<u32>,
    filter: Vec<u64>,
    /// What is left of a hash is its bit in the filter.
    shift: u32,
}

impl Exact {
    /// From entries in any order.
    pub fn new(mut entries: Vec<(u64, Meta)>) -> Self {
        entries.sort_unstable_by_key(|(key, meta)| (*key, meta.level(), meta.line));
        let keys: Vec<u64> = entries.iter().map(|(key, _)| *key).collect();
        let metas = entries.iter().map(|(_, meta)| *meta).collect();
        drop(entries);
        let firsts = || {
            let first = |at: &usize| *at == 0 || keys[*at] != keys[*at - 1];
            (0..keys.len()).filter(first)
        };
        let bits = (keys.len() * FILTER_BITS).next_power_of_two().max(64);
        let shift = 64 - bits.trailing_zeros();
        let mut filter = vec![0_u64; bits / 64];
        let mut table = HashTable::with_capacity(firsts().count());
        for at in firsts() {
            let digest = hash(keys[at]);
            let bit = digest >> shift;
            filter[(bit / 64) as usize] |= 1 << (bit % 64);
            table.insert_unique(digest, at as u32, |at| hash(keys[*at as usize]));
        }
        Self {
            keys,
            metas,
            table,
            filter,
            shift,
        }
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The entries for a plate, the most severe first.
    pub fn get(&self, key: u64) -> &[Meta] {
        let digest = hash(key);
        let bit = digest >> self.shift;
        let word = self.filter.get((bit / 64) as usize).copied().unwrap_or(0);
        if word & (1 << (bit % 64)) == 0 {
            return &[];
        }
        let keys = &self.keys;
        let Some(first) = self.table.find(digest, |at| keys[*at as usize] == key) else {
            return &[];
        };
        let first = *first as usize;
        let many = keys[first..].iter().take_while(|k| **k == key).count();
        &self.metas[first..first + many]
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Meta)> {
        self.keys.iter().copied().zip(&self.metas)
    }

    pub fn bytes(&self) -> usize {
        self.keys.capacity() * 8
            + self.metas.capacity() * size_of::<Meta>()
            + self.table.allocation_size()
            + self.filter.capacity() * 8
    }
}
