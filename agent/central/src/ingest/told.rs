//! What a message means beyond its row, in the transaction that makes the row; for what is new alone.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use kakou_contract::{AUDIT_RANGES_MAX, CommandName};
use serde_json::json;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::decode::{Believed, Doubt};
use super::rows::Row;
use crate::alarms::{self, Alarm};
use crate::push::NewHit;
use crate::store::StoreError;

pub(super) fn new_hits<'a>(rows: &[&'a Believed], fresh: &HashSet<String>) -> Vec<NewHit<'a>> {
    let hit = |one: &&'a Believed| match &one.row {
        Row::Hit(_) if fresh.contains(&one.frame.event_id) => Some(NewHit {
            event_id: &one.frame.event_id,
            time: one.frame.time,
        }),
        _ => None,
    };
    rows.iter().filter_map(hit).collect()
}

/// Hits that came past their box's outbox.
pub(super) fn unsealed(rows: &[&Believed], fresh: &HashSet<String>) -> Vec<Alarm> {
    let alarm = |one: &&Believed| {
        let is_one = one.frame.sequence.is_none() && fresh.contains(&one.frame.event_id);
        let detail = format!(
            "hit {} came without a seal: the outbox of the box has failed, or somebody else speaks in its name",
            one.frame.event_id
        );
        is_one.then(|| Alarm::new(Doubt::NotSealed.as_str(), Some(one.frame.agent), detail))
    };
    rows.iter().filter_map(alarm).collect()
}

pub(super) fn new_passages(
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Vec<(Uuid, DateTime<Utc>)> {
    let passage = |one: &&Believed| match &one.row {
        Row::Passage(message) if fresh.contains(&one.frame.event_id) => {
            Some((message.id, one.frame.time))
        }
        _ => None,
    };
    rows.iter().filter_map(passage).collect()
}

/// What agents say will not come, for the auditor.
pub(super) async fn gone(
    transaction: &Transaction<'_>,
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO ledger_gone (agent, first, last, why, audit) \
         SELECT $1, first, last, $4, $5 FROM unnest($2::int8[], $3::int8[]) AS said (first, last)";
    for one in rows {
        let Row::Audit(message) = &one.row else {
            continue;
        };
        let ranges = message.event.gone();
        if ranges.is_empty() || !fresh.contains(&one.frame.event_id) {
            continue;
        }
        let side = |n: usize| -> Vec<i64> {
            ranges
                .iter()
                .map(|range| i64::try_from(range[n]).unwrap_or(i64::MAX))
                .collect()
        };
        let (first, last) = (side(0), side(1));
        let why = message.event.kind();
        transaction
            .execute(
                insert,
                &[&one.frame.agent, &first, &last, &why, &message.id],
            )
            .await?;
    }
    Ok(())
}

/// What agents no longer have, as they answer to a resend: it will not come either.
pub(super) async fn missing(
    transaction: &Transaction<'_>,
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO ledger_gone (agent, first, last, why, audit) \
         VALUES ($1, $2, $3, 'missing', $4)";
    for one in rows {
        let Row::Result(message) = &one.row else {
            continue;
        };
        if message.command.as_str() != CommandName::Resend.as_str()
            || !fresh.contains(&one.frame.event_id)
        {
            continue;
        }
        let ranges = message.data.as_ref().and_then(|data| data.get("missing"));
        let ranges: Vec<[i64; 2]> = ranges
            .and_then(|ranges| serde_json::from_value(ranges.clone()).ok())
            .unwrap_or_default();
        for [first, last] in ranges.into_iter().take(AUDIT_RANGES_MAX) {
            if first < 1 || first > last {
                continue;
            }
            transaction
                .execute(insert, &[&one.frame.agent, &first, &last, &message.id])
                .await?;
        }
    }
    Ok(())
}

/// Pictures that are not those that their passage or hit promised. Both are sealed by the agent, so
/// this says that the agent itself errs, or that its key is in other hands.
pub(super) async fn altered(
    transaction: &Transaction<'_>,
    rows: &[&Believed],
    fresh: &HashSet<String>,
) -> Result<(), StoreError> {
    let (mut pictures, mut owners) = (HashMap::new(), Vec::new());
    for one in rows {
        if let Row::Picture(picture) = &one.row
            && fresh.contains(&one.frame.event_id)
        {
            owners.push(picture.owner);
            pictures.insert(one.frame.event_id.as_str(), one);
        }
    }
    let times = pictures.values().map(|one| one.frame.time);
    let (Some(from), Some(to)) = (times.clone().min(), times.max()) else {
        return Ok(());
    };
    // A vehicle is in sight for at most some hours; the bounds keep the look to few partitions.
    let select = "SELECT evidence FROM passages \
             WHERE id = ANY($1) AND time BETWEEN $2::timestamptz - interval '1 hour' AND $3::timestamptz + interval '1 day' \
         UNION ALL SELECT evidence FROM hits \
             WHERE hit = ANY($1) AND time BETWEEN $2::timestamptz - interval '1 hour' AND $3::timestamptz + interval '1 day'";
    let mut wrong = Vec::new();
    for row in transaction.query(select, &[&owners, &from, &to]).await? {
        for line in row.get::<_, Vec<String>>(0) {
            let Some((name, promised)) = line.split_once(' ') else {
                continue;
            };
            let Some(one) = pictures.get(name) else {
                continue;
            };
            let Row::Picture(picture) = &one.row else {
                continue;
            };
            let came = picture.sha256.to_string();
            if came != promised {
                let detail = format!("picture {name} is not the one that was promised");
                let evidence =
                    json!({ "promised": promised, "came": came, "object": picture.object });
                wrong.push(
                    Alarm::new(alarms::PICTURE_ALTERED, Some(one.frame.agent), detail)
                        .about(name)
                        .with(evidence),
                );
            }
        }
    }
    alarms::raise(transaction, wrong).await
}
