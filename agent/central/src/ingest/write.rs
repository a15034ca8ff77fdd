//! A batch of messages into the database: all of it in one transaction, or nothing.
//!
//! The rows of each table go by COPY where they belong. Where one of them is there already, all of
//! the batch go by COPY into a staging table of this connection, and from there those that are not.
//! In the same transaction each seal goes into the ledger, for the auditor, with the word whether its
//! message was new; what an agent says will not come goes beside it; a hit that is new is handed to
//! the push; and what is kept apart goes to the quarantine with its alarm. So after a kill at any
//! moment a message either did all of that or nothing, and in that case the broker sends it again.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, Utc};
use deadpool_postgres::Object;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::apart::keep_apart;
use super::copy::{staged, straight};
use super::decode::{Apart, Believed};
use super::rows::Table;
use super::told::{altered, gone, missing, new_hits, new_passages, unsealed};
use crate::alarms;
use crate::push::NewHit;
use crate::store::StoreError;

/// What one transaction takes.
#[derive(Debug, Default)]
pub struct Batch {
    pub believed: Vec<Believed>,
    pub apart: Vec<Apart>,
    /// Rows of the quarantine that this batch was made of: released with it.
    pub released: Vec<i64>,
}

impl Batch {
    /// Two parts, to find the one that the database does not take; both smaller, where there are two
    /// messages or more.
    pub fn halves(mut self) -> (Self, Self) {
        let (believed, apart) = match self.believed.is_empty() || self.apart.is_empty() {
            true => (self.believed.len() / 2, self.apart.len() / 2),
            false => (self.believed.len(), 0),
        };
        let second = Self {
            believed: self.believed.split_off(believed),
            apart: self.apart.split_off(apart),
            released: std::mem::take(&mut self.released),
        };
        (self, second)
    }

    pub fn messages(&self) -> usize {
        self.believed.len() + self.apart.len()
    }
}

/// What a transaction did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub fresh: u64,
    pub repeats: u64,
    pub apart: u64,
}

/// After a repeat, which the table refuses together with its whole batch, so many go by the staging
/// table: repeats come in crowds, when a connection was lost.
const WARY: u32 = 20;

/// The connection of one lane.
pub struct Writer {
    client: Object,
    /// So many tables of batches more go by their staging table: lately there were repeats.
    wary: u32,
}

impl Writer {
    pub fn new(client: Object) -> Self {
        Self { client, wary: 0 }
    }

    pub fn client(&self) -> &tokio_postgres::Client {
        &self.client
    }

    /// `on_new` runs in the transaction for what is new.
    pub async fn write(
        &mut self,
        batch: &Batch,
        on_new: &impl OnNew,
    ) -> Result<Written, StoreError> {
        let mut tables: BTreeMap<Table, Vec<&Believed>> = BTreeMap::new();
        let mut seen = HashSet::new();
        let mut written = Written::default();
        for one in &batch.believed {
            let table = one.row.table();
            if seen.insert((table, one.frame.event_id.as_str())) {
                tables.entry(table).or_default().push(one);
            } else {
                written.repeats += 1;
            }
        }
        for rows in tables.values_mut() {
            // Two processes with the same messages wait for each other in one order.
            rows.sort_by(|a, b| a.frame.event_id.cmp(&b.frame.event_id));
        }
        let client: &mut tokio_postgres::Client = &mut self.client;
        let mut transaction = client.transaction().await?;
        for (table, rows) in &tables {
            let straight = match self.wary {
                0 => straight(&mut transaction, *table, rows).await?,
                _ => None,
            };
            let fresh = match straight {
                Some(fresh) => fresh,
                None => {
                    self.wary = match self.wary {
                        0 => WARY,
                        wary => wary - 1,
                    };
                    staged(&transaction, *table, rows).await?
                }
            };
            written.fresh += fresh.len() as u64;
            written.repeats += (rows.len() - fresh.len()) as u64;
            match table {
                Table::Hits => {
                    let hits = new_hits(rows, &fresh);
                    on_new.hits(&transaction, &hits).await?;
                    alarms::raise(&transaction, unsealed(rows, &fresh)).await?;
                }
                Table::Passages => {
                    let passages = new_passages(rows, &fresh);
                    on_new.passages(&transaction, &passages).await?;
                }
                Table::Audits => gone(&transaction, rows, &fresh).await?,
                Table::Results => missing(&transaction, rows, &fresh).await?,
                Table::Pictures => altered(&transaction, rows, &fresh).await?,
                _ => {}
            }
        }
        written.apart = batch.apart.len() as u64;
        keep_apart(&transaction, &batch.apart).await?;
        if !batch.released.is_empty() {
            let update = "UPDATE quarantine SET released_at = now() WHERE id = ANY($1)";
            transaction.execute(update, &[&batch.released]).await?;
        }
        transaction.commit().await?;
        Ok(written)
    }
}

/// What else a new hit or passage means, in the same transaction.
pub trait OnNew: Send + Sync {
    fn hits(
        &self,
        transaction: &Transaction<'_>,
        hits: &[NewHit<'_>],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Each with its id and time.
    fn passages(
        &self,
        transaction: &Transaction<'_>,
        passages: &[(Uuid, DateTime<Utc>)],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::Doubt;

    fn apart() -> Apart {
        Apart {
            agent: None,
            doubt: Doubt::UnknownTopic,
            detail: String::new(),
            message: kakou_uplink::Received::default(),
            seal: None,
        }
    }

    fn believed() -> Believed {
        let time = DateTime::<Utc>::UNIX_EPOCH.fixed_offset();
        Believed {
            frame: crate::ingest::Frame::new(1, String::new(), time, None, bytes::Bytes::new()),
            row: crate::ingest::Row::Picture(crate::ingest::Picture {
                owner: Uuid::nil(),
                role: String::new(),
                content_type: String::new(),
                sha256: kakou_contract::Sha256Hex([0; 32]),
                object: String::new(),
            }),
        }
    }

    #[test]
    fn a_batch_comes_apart_until_each_message_is_by_itself() {
        for (good, bad) in [(1, 1), (2, 0), (0, 2), (3, 1), (1, 3), (7, 6)] {
            let mut todo = vec![Batch {
                believed: (0..good).map(|_| believed()).collect(),
                apart: (0..bad).map(|_| apart()).collect(),
                released: vec![1],
            }];
            let (mut single, mut released) = (0, 0);
            while let Some(batch) = todo.pop() {
                if batch.messages() <= 1 {
                    single += batch.messages();
                    released += batch.released.len();
                    continue;
                }
                let all = batch.messages();
                let (first, second) = batch.halves();
                assert!(
                    first.messages() < all && second.messages() < all,
                    "{good} and {bad}"
                );
                todo.extend([first, second]);
            }
            assert_eq!((single, released), (good + bad, 1));
        }
    }
}
