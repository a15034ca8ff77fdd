//! Follows each agent's chain: one process at a time, behind the ones that take messages in.
//!
//! They leave the seal of each message in the ledger, in the transaction that keeps the message. A
//! sweep takes seals out of it, hands them to the agent's [`kakou_contract::Continuity`], and keeps
//! what follows: up to where all is there, what is missing, and alarms. All of that is one
//! transaction, so a kill between two sweeps changes nothing: what was not swept is still in the
//! ledger.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use kakou_contract::{Finding, Sha256Hex};
use serde_json::json;
use tokio_postgres::{Client, Transaction};

use super::book::{Book, hash, number, stored};
use super::keys::CHAINS;
use crate::alarms::{self, Alarm};
use crate::store::StoreError;

/// Seals in one sweep.
const AT_ONCE: i64 = 20_000;

#[derive(Default)]
pub struct Auditor {
    books: HashMap<i32, Book>,
    /// By the database's clock.
    last: Option<DateTime<Utc>>,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub seals: usize,
    /// There may be more.
    pub is_full: bool,
}

struct Seal {
    sequence: u64,
    previous: [u8; 32],
    hash: [u8; 32],
    fresh: bool,
    event_id: String,
}

struct Gone {
    first: u64,
    last: u64,
    why: String,
    audit: uuid::Uuid,
}

#[derive(Default)]
struct News {
    seals: Vec<Seal>,
    gone: Vec<Gone>,
}

impl Auditor {
    /// Takes what is in the ledger. After an error everything is read anew from the database.
    pub async fn sweep(&mut self, client: &mut Client) -> Result<Swept, StoreError> {
        let swept = self.try_sweep(client).await;
        if swept.is_err() {
            self.books.clear();
        }
        swept
    }

    async fn try_sweep(&mut self, client: &mut Client) -> Result<Swept, StoreError> {
        let transaction = client.transaction().await?;
        transaction.execute(CHAINS, &[]).await?;
        self.forget_replaced(&transaction).await?;
        let (news, seals) = news(&transaction).await?;
        let mut raised = Vec::new();
        let mut floors = Floors::default();
        for (agent, news) in &news {
            if !self.books.contains_key(agent) {
                let book = Book::open(&transaction, *agent).await?;
                self.books.insert(*agent, book);
            }
            let Some(book) = self.books.get_mut(agent) else {
                continue;
            };
            raised.extend(follow(&transaction, *agent, book, news).await?);
            floors.add(*agent, book);
            keep_chain(&transaction, *agent, book, &news.seals).await?;
            keep_gaps(&transaction, *agent, book).await?;
        }
        floors.keep(&transaction).await?;
        heard(&transaction, news.keys().copied().collect()).await?;
        alarms::raise(&transaction, raised).await?;
        transaction.commit().await?;
        Ok(Swept {
            seals,
            is_full: seals as i64 >= AT_ONCE,
        })
    }
}

impl Auditor {
    /// Where an operator set another key, the chain begins anew.
    async fn forget_replaced(&mut self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let select = "SELECT now(), ARRAY(SELECT id FROM agents \
             WHERE key_source = 'operator' AND key_since >= $1)";
        let last = self.last.unwrap_or_default();
        let row = transaction.query_one(select, &[&last]).await?;
        for agent in row.get::<_, Vec<i32>>(1) {
            self.books.remove(&agent);
        }
        self.last = Some(row.get(0));
        Ok(())
    }
}

async fn news(transaction: &Transaction<'_>) -> Result<(BTreeMap<i32, News>, usize), StoreError> {
    let mut news: BTreeMap<i32, News> = BTreeMap::new();
    // In their order: where there are more than one sweep takes, a repeat must not come before the
    // message itself, which would then look like another one with the same number.
    let take = "WITH taken AS (SELECT number FROM ledger ORDER BY number LIMIT $1) \
         DELETE FROM ledger USING taken WHERE ledger.number = taken.number \
         RETURNING agent, sequence, previous_hash, hash, fresh, event_id";
    let rows = transaction.query(take, &[&AT_ONCE]).await?;
    let seals = rows.len();
    for row in rows {
        let (Some(previous), Some(own)) = (hash(row.get(2)), hash(row.get(3))) else {
            continue;
        };
        news.entry(row.get(0)).or_default().seals.push(Seal {
            sequence: number(row.get(1)),
            previous,
            hash: own,
            fresh: row.get(4),
            event_id: row.get(5),
        });
    }
    let take = "DELETE FROM ledger_gone RETURNING agent, first, last, why, audit";
    for row in transaction.query(take, &[]).await? {
        news.entry(row.get(0)).or_default().gone.push(Gone {
            first: number(row.get(1)),
            last: number(row.get(2)),
            why: row.get(3),
            audit: row.get(4),
        });
    }
    for news in news.values_mut() {
        // Of a message that came twice, the time that made the row comes first, as it did.
        news.seals.sort_by_key(|seal| (seal.sequence, !seal.fresh));
    }
    Ok((news, seals))
}

async fn follow(
    transaction: &Transaction<'_>,
    agent: i32,
    book: &mut Book,
    news: &News,
) -> Result<Vec<Alarm>, StoreError> {
    let mut raised = Vec::new();
    for seal in &news.seals {
        let told = book
            .continuity
            .message(seal.sequence, &seal.previous, &seal.hash);
        for finding in told {
            let alarm = match finding {
                // The number was used before, and the message was not there: another message had
                // it, or the agent had said that it would not come.
                Finding::Repeat { sequence } if seal.fresh => {
                    match was_gone(transaction, agent, sequence).await? {
                        true => continue,
                        false => reused(agent, seal),
                    }
                }
                Finding::Repeat { .. } => continue,
                Finding::Conflict { .. } => reused(agent, seal),
                Finding::BrokenLink { before, after } => {
                    let detail = format!(
                        "message {after} does not follow message {before}: one of the two was left out, put in or changed"
                    );
                    Alarm::new(alarms::CHAIN_BROKEN, Some(agent), detail)
                        .about(format!("{before}-{after}"))
                        .with(evidence(seal))
                }
            };
            raised.push(alarm);
        }
    }
    for gone in &news.gone {
        let lost = lost(book, gone);
        book.continuity.gone(gone.first, gone.last);
        let insert = "INSERT INTO gone (agent, first, last, why, audit) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT DO NOTHING";
        let (first, last) = (stored(gone.first), stored(gone.last));
        transaction
            .execute(insert, &[&agent, &first, &last, &gone.why, &gone.audit])
            .await?;
        if lost > 0 {
            let detail = format!(
                "{lost} of the messages {} to {} never came and will not: {}",
                gone.first, gone.last, gone.why
            );
            raised.push(
                Alarm::new(alarms::LOST, Some(agent), detail)
                    .about(format!("{}-{}", gone.first, gone.last))
                    .with(json!({ "why": gone.why, "said_by": gone.audit })),
            );
        }
    }
    // What is complete needs no hashes any more.
    book.continuity.forget(0);
    Ok(raised)
}

/// How many of these numbers had not come.
fn lost(book: &Book, gone: &Gone) -> u64 {
    let beyond = gone
        .last
        .saturating_sub(book.continuity.highest().max(gone.first - 1));
    let within: u64 = book
        .continuity
        .gaps()
        .iter()
        .map(|[first, last]| {
            let (from, to) = (*first.max(&gone.first), *last.min(&gone.last));
            to.saturating_add(1).saturating_sub(from)
        })
        .sum();
    within + beyond
}

async fn was_gone(
    transaction: &Transaction<'_>,
    agent: i32,
    sequence: u64,
) -> Result<bool, StoreError> {
    let select = "SELECT EXISTS (SELECT FROM gone WHERE agent = $1 AND $2 BETWEEN first AND last)";
    let row = transaction
        .query_one(select, &[&agent, &stored(sequence)])
        .await?;
    Ok(row.get(0))
}

fn reused(agent: i32, seal: &Seal) -> Alarm {
    let detail = format!(
        "number {} was used before by another message: the box went back to an old state, or somebody else holds its key",
        seal.sequence
    );
    Alarm::new(alarms::NUMBER_REUSED, Some(agent), detail).with(evidence(seal))
}

fn evidence(seal: &Seal) -> serde_json::Value {
    json!({
        "sequence": seal.sequence,
        "event_id": seal.event_id,
        "previous_hash": Sha256Hex(seal.previous),
        "hash": Sha256Hex(seal.hash),
    })
}

/// The new ends of the agents' chains, in one statement.
#[derive(Default)]
struct Floors {
    agents: Vec<i32>,
    floors: Vec<i64>,
    hashes: Vec<Option<Vec<u8>>>,
    highest: Vec<i64>,
}

impl Floors {
    fn add(&mut self, agent: i32, book: &Book) {
        let (floor, hash) = book.continuity.floor();
        self.agents.push(agent);
        self.floors.push(stored(floor));
        self.hashes.push(hash.map(|hash| hash.to_vec()));
        self.highest.push(stored(book.continuity.highest()));
    }

    async fn keep(self, transaction: &Transaction<'_>) -> Result<(), StoreError> {
        let update = "UPDATE agents SET floor = new.floor, floor_hash = new.hash, highest = new.highest \
             FROM unnest($1::int[], $2::int8[], $3::bytea[], $4::int8[]) AS new (id, floor, hash, highest) \
             WHERE agents.id = new.id";
        let (agents, floors) = (self.agents, self.floors);
        transaction
            .execute(update, &[&agents, &floors, &self.hashes, &self.highest])
            .await?;
        Ok(())
    }
}

/// What lies above the floor, so that the next start finds it.
async fn keep_chain(
    transaction: &Transaction<'_>,
    agent: i32,
    book: &Book,
    seals: &[Seal],
) -> Result<(), StoreError> {
    let (floor, _) = book.continuity.floor();
    let above: Vec<&Seal> = seals.iter().filter(|seal| seal.sequence > floor).collect();
    // The usual case: nothing was above it before either, and nothing is now.
    if above.is_empty() && book.gaps.is_empty() {
        return Ok(());
    }
    let delete = "DELETE FROM chain WHERE agent = $1 AND sequence <= $2";
    transaction
        .execute(delete, &[&agent, &stored(floor)])
        .await?;
    let insert = "INSERT INTO chain (agent, sequence, previous_hash, hash) \
         SELECT $1, * FROM unnest($2::int8[], $3::bytea[], $4::bytea[]) ON CONFLICT DO NOTHING";
    let sequences: Vec<i64> = above.iter().map(|seal| stored(seal.sequence)).collect();
    let previous: Vec<&[u8]> = above.iter().map(|seal| seal.previous.as_slice()).collect();
    let hashes: Vec<&[u8]> = above.iter().map(|seal| seal.hash.as_slice()).collect();
    transaction
        .execute(insert, &[&agent, &sequences, &previous, &hashes])
        .await?;
    Ok(())
}

/// A gap that becomes smaller, or falls apart, stays as old as it was. Where it was asked for, what is
/// left of it has been asked for once, now: a question that brings something is no reason to wait
/// longer for the next.
async fn keep_gaps(
    transaction: &Transaction<'_>,
    agent: i32,
    book: &mut Book,
) -> Result<(), StoreError> {
    let gaps = book.missing();
    if gaps == book.gaps {
        return Ok(());
    }
    let side = |n: usize| -> Vec<i64> { gaps.iter().map(|gap| stored(gap[n])).collect() };
    let (first, last) = (side(0), side(1));
    let replace = "WITH old AS (DELETE FROM gaps WHERE agent = $1 RETURNING *) \
         SELECT new.first, new.last, old.since, \
             CASE WHEN smaller THEN least(asked, 1) ELSE coalesce(asked, 0) END, \
             CASE WHEN smaller AND asked > 0 THEN now() ELSE asked_at END, old.answer \
         FROM unnest($2::int8[], $3::int8[]) AS new (first, last) \
         LEFT JOIN LATERAL ( \
             SELECT *, new.last - new.first < old.last - old.first AS smaller FROM old \
             WHERE old.first <= new.last AND old.last >= new.first ORDER BY since LIMIT 1 \
         ) old ON true";
    let insert = "INSERT INTO gaps (agent, first, last, since, asked, asked_at, answer) \
         SELECT $1, first, last, coalesce(since, now()), asked, asked_at, answer \
         FROM unnest($2::int8[], $3::int8[], $4::timestamptz[], $5::int[], $6::timestamptz[], $7::text[]) \
             AS new (first, last, since, asked, asked_at, answer)";
    let rows = transaction.query(replace, &[&agent, &first, &last]).await?;
    let (mut first, mut last, mut asked) = (Vec::new(), Vec::new(), Vec::new());
    let (mut since, mut asked_at, mut answer) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        first.push(row.get::<_, i64>(0));
        last.push(row.get::<_, i64>(1));
        since.push(row.get::<_, Option<DateTime<Utc>>>(2));
        asked.push(row.get::<_, i32>(3));
        asked_at.push(row.get::<_, Option<DateTime<Utc>>>(4));
        answer.push(row.get::<_, Option<&str>>(5));
    }
    transaction
        .execute(
            insert,
            &[&agent, &first, &last, &since, &asked, &asked_at, &answer],
        )
        .await?;
    book.gaps = gaps;
    Ok(())
}

/// When something of an agent last came; written now and then, not for each message.
async fn heard(transaction: &Transaction<'_>, agents: Vec<i32>) -> Result<(), StoreError> {
    let upsert = "INSERT INTO agent_state (agent, heard) SELECT agent, now() FROM unnest($1::int[]) AS dirty (agent) \
         WHERE NOT EXISTS (SELECT FROM agent_state s \
             WHERE s.agent = dirty.agent AND s.heard > now() - interval '10 seconds') \
         ON CONFLICT (agent) DO UPDATE SET heard = excluded.heard";
    transaction.execute(upsert, &[&agents]).await?;
    Ok(())
}
