//! Pinned keys, as an operator sees and sets them.

use chrono::{DateTime, Utc};
use kakou_contract::{KeyError, PublicKey};
use tokio_postgres::{Client, Transaction};

use crate::store::StoreError;
use crate::table::{Wrong, id, read};

#[derive(Debug, Clone)]
pub struct PinnedKey {
    pub site: String,
    pub agent: String,
    /// In base64; `None`: not pinned yet.
    pub key: Option<String>,
    /// birth, list, operator
    pub source: Option<String>,
    pub since: Option<DateTime<Utc>>,
}

#[derive(Debug, thiserror::Error)]
pub enum KeyFault {
    #[error("{site}/{agent}: {fault}; give the base64 text that `kakou status` on the box shows")]
    Key {
        site: String,
        agent: String,
        fault: KeyError,
    },
    #[error(
        "{site}/{agent} has another key since {since}; a box that was set up anew needs --replace, which begins its numbers anew too"
    )]
    Pinned {
        site: String,
        agent: String,
        since: DateTime<Utc>,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a list of keys is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ListFault {
    #[error(transparent)]
    Lines(#[from] Wrong),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<tokio_postgres::Error> for KeyFault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

pub async fn keys(client: &Client) -> Result<Vec<PinnedKey>, StoreError> {
    let select =
        "SELECT site, agent, public_key, key_source, key_since FROM agents ORDER BY site, agent";
    let rows = client.query(select, &[]).await?;
    let key = |bytes: &[u8]| {
        let key = kakou_contract::VerifyingKey::try_from(bytes).ok()?;
        Some(PublicKey::of(&key).base64)
    };
    Ok(rows
        .iter()
        .map(|row| PinnedKey {
            site: row.get(0),
            agent: row.get(1),
            key: row.get::<_, Option<&[u8]>>(2).and_then(key),
            source: row.get(3),
            since: row.get(4),
        })
        .collect())
}

/// Held until the end of a transaction by whoever follows chains or begins one anew.
pub(super) const CHAINS: &str = "SELECT pg_advisory_xact_lock(hashtext('kakou chains'))";

/// A key that somebody gives for an agent.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    pub site: &'a str,
    pub agent: &'a str,
    pub base64: &'a str,
    /// operator, list
    pub source: &'a str,
    /// It takes the place of another one, and the chain begins anew: the old rows stay, and the old
    /// chain's end is no gap.
    pub replace: bool,
}

/// Pins a key; running processes see it within [`crate::ingest::LOOK_AGAIN`] of the commit.
pub async fn pin_by_hand(transaction: &Transaction<'_>, given: Given<'_>) -> Result<(), KeyFault> {
    let Given {
        site,
        agent,
        base64,
        source,
        replace,
    } = given;
    let key = PublicKey {
        algorithm: "ed25519".to_owned(),
        base64: base64.to_owned(),
    };
    let key = key.key().map_err(|fault| KeyFault::Key {
        site: site.to_owned(),
        agent: agent.to_owned(),
        fault,
    })?;
    let bytes: &[u8] = key.as_bytes();
    // Not while the leader follows chains: it would go on with the old one.
    transaction.execute(CHAINS, &[]).await?;
    let insert = "INSERT INTO agents (site, agent) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    transaction.execute(insert, &[&site, &agent]).await?;
    let select =
        "SELECT id, public_key, key_since FROM agents WHERE site = $1 AND agent = $2 FOR UPDATE";
    let row = transaction.query_one(select, &[&site, &agent]).await?;
    let id: i32 = row.get(0);
    match row.get::<_, Option<&[u8]>>(1) {
        Some(old) if old == bytes => return Ok(()),
        Some(_) if !replace => {
            return Err(KeyFault::Pinned {
                site: site.to_owned(),
                agent: agent.to_owned(),
                since: row.get(2),
            });
        }
        Some(_) => {
            for table in ["chain", "gaps", "gone", "ledger", "ledger_gone"] {
                let delete = format!("DELETE FROM {table} WHERE agent = $1");
                transaction.execute(&delete, &[&id]).await?;
            }
            let begin = "UPDATE agents SET floor = 0, highest = 0, floor_hash = decode(repeat('00', 32), 'hex') WHERE id = $1";
            transaction.execute(begin, &[&id]).await?;
            let end = "UPDATE alarms SET ended_at = now() WHERE agent = $1 AND ended_at IS NULL \
                 AND kind IN ('key_changed', 'forged', 'chain_broken', 'number_reused')";
            transaction.execute(end, &[&id]).await?;
        }
        None => {}
    }
    let update = "UPDATE agents SET public_key = $2, key_source = $3, key_since = clock_timestamp() WHERE id = $1";
    transaction.execute(update, &[&id, &bytes, &source]).await?;
    Ok(())
}

/// Pins all keys of a CSV file with the columns `site`, `agent` and `key`, or none. How many there are.
pub async fn pin_list(client: &mut Client, csv: &[u8]) -> Result<usize, ListFault> {
    let columns = ["site", "agent", "key"];
    let lines = read(csv, &columns, &columns, 2, |line| {
        id(line, "site").and_then(|()| id(line, "agent"))
    })?;
    let transaction = client.transaction().await.map_err(StoreError::from)?;
    let mut wrong = Wrong::default();
    for (at, line) in &lines {
        let text = |name| line.get(name).map_or("", String::as_str);
        let given = Given {
            site: text("site"),
            agent: text("agent"),
            base64: text("key"),
            source: "list",
            replace: false,
        };
        match pin_by_hand(&transaction, given).await {
            Ok(()) => {}
            Err(KeyFault::Store(error)) => return Err(error.into()),
            Err(fault) => wrong.add(*at, fault.to_string()),
        }
    }
    wrong.or(())?;
    transaction.commit().await.map_err(StoreError::from)?;
    Ok(lines.len())
}
