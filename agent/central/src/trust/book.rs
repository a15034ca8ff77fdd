//! What is remembered of one agent's chain, and how it comes back from the database.

use kakou_contract::Continuity;
use tokio_postgres::Transaction;

use crate::store::StoreError;

/// More gaps than this are not listed one by one; the later ones are when the first are closed.
const GAPS_LISTED: usize = 1_000;

pub struct Book {
    pub continuity: Continuity,
    /// As they are listed in the table.
    pub gaps: Vec<[u64; 2]>,
}

impl Book {
    /// As the last sweep left it.
    pub async fn open(transaction: &Transaction<'_>, agent: i32) -> Result<Self, StoreError> {
        let select = "SELECT floor, floor_hash FROM agents WHERE id = $1";
        let row = transaction.query_one(select, &[&agent]).await?;
        let floor = number(row.get(0));
        let mut continuity =
            Continuity::after(floor, row.get::<_, Option<&[u8]>>(1).and_then(hash));
        let select = "SELECT first, last FROM gone WHERE agent = $1 AND last > $2";
        let from = row.get::<_, i64>(0);
        for row in transaction.query(select, &[&agent, &from]).await? {
            continuity.gone(number(row.get(0)), number(row.get(1)));
        }
        let select =
            "SELECT sequence, previous_hash, hash FROM chain WHERE agent = $1 ORDER BY sequence";
        for row in transaction.query(select, &[&agent]).await? {
            if let (Some(previous), Some(own)) = (hash(row.get(1)), hash(row.get(2))) {
                continuity.message(number(row.get(0)), &previous, &own);
            }
        }
        let select = "SELECT first, last FROM gaps WHERE agent = $1 ORDER BY first";
        let gaps = transaction.query(select, &[&agent]).await?;
        let gaps = gaps
            .iter()
            .map(|row| [number(row.get(0)), number(row.get(1))]);
        Ok(Self {
            continuity,
            gaps: gaps.collect(),
        })
    }

    /// What is missing now, as far as it is listed.
    pub fn missing(&self) -> Vec<[u64; 2]> {
        let mut gaps = self.continuity.gaps();
        gaps.truncate(GAPS_LISTED);
        gaps
    }
}

pub fn hash(bytes: &[u8]) -> Option<[u8; 32]> {
    bytes.try_into().ok()
}

/// The contract's numbers go to 2^53, and none is negative.
pub fn number(stored: i64) -> u64 {
    u64::try_from(stored).unwrap_or(0)
}

pub fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
