//! The table `deliveries`: what is to be told to whom, and what came of it.
//!
//! A row is made in the transaction of its hit, so neither is there without the other. Who takes a
//! row holds it under a lease and counts the try before it begins; a process that is killed loses
//! the lease, and another one tries again. So a recipient may hear a hit twice, with the same id,
//! and never not at all.

use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::ClientWrapper;
use kakou_contract::{HitState, Level};
use tokio_postgres::types::Type;
use tokio_postgres::{GenericClient, Row};

use super::config::Recipients;
use super::rights::HitFacts;
use crate::store::StoreError;

/// What is notified when rows were made.
pub const NOTIFIED: &str = "kakou_push";
/// An error in the table is for people.
const ERROR_MAX: usize = 500;

/// A hit whose row is new: its key.
#[derive(Debug, Clone, Copy)]
pub struct NewHit<'a> {
    /// CloudEvents id.
    pub event_id: &'a str,
    pub time: DateTime<Utc>,
}

/// How a recipient is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channel {
    Webhook,
    Mqtt,
}

impl Channel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Mqtt => "mqtt",
        }
    }
}

/// Notes who is to be told of these hits, and wakes the pushers once the transaction commits. Call
/// it in the transaction that made the rows of `hits`, after them, with those alone that are new.
/// Returns how many deliveries were made.
pub async fn enqueue(
    transaction: &impl GenericClient,
    hits: &[NewHit<'_>],
    recipients: &Recipients,
) -> Result<u64, StoreError> {
    if hits.is_empty() || recipients.is_empty() {
        return Ok(0);
    }
    let events: Vec<&str> = hits.iter().map(|hit| hit.event_id).collect();
    let at: Vec<DateTime<Utc>> = hits.iter().map(|hit| hit.time).collect();
    let (Some(first), Some(last)) = (at.iter().min(), at.iter().max()) else {
        return Ok(0);
    };
    // The bounds keep the look to few partitions.
    let rows = transaction
        .query_typed(
            "SELECT h.event_id, h.time, a.site, s.prefecture, h.level, h.state, h.category
             FROM unnest($1, $2) AS new (event_id, time)
             JOIN hits h USING (event_id, time) JOIN agents a ON a.id = h.agent
             LEFT JOIN sites s ON s.site = a.site WHERE h.time BETWEEN $3 AND $4",
            &[
                (&events, Type::TEXT_ARRAY),
                (&at, Type::TIMESTAMPTZ_ARRAY),
                (first, Type::TIMESTAMPTZ),
                (last, Type::TIMESTAMPTZ),
            ],
        )
        .await?;
    let (mut ids, mut times, mut levels) = (Vec::new(), Vec::new(), Vec::new());
    let (mut names, mut channels) = (Vec::new(), Vec::new());
    for row in &rows {
        let event_id: &str = row.get(0);
        let (Ok(level), Ok(state)) = (
            row.get::<_, &str>(4).parse::<Level>(),
            row.get::<_, &str>(5).parse::<HitState>(),
        ) else {
            tracing::error!(
                hit = event_id,
                "told to nobody: its level or state is unknown"
            );
            continue;
        };
        let facts = HitFacts {
            site: row.get(2),
            prefecture: row.get(3),
            level,
            state,
            category: row.get(6),
        };
        for recipient in &recipients.list {
            if recipients.grant(recipient, &facts).is_none() {
                continue;
            }
            let webhook = recipient.webhook.as_ref().map(|_| Channel::Webhook);
            let mqtt = recipient.mqtt.as_ref().map(|_| Channel::Mqtt);
            for channel in webhook.into_iter().chain(mqtt) {
                ids.push(event_id);
                times.push(row.get::<_, DateTime<Utc>>(1));
                levels.push(level.as_str());
                names.push(recipient.name.as_str());
                channels.push(channel.as_str());
            }
        }
    }
    if ids.is_empty() {
        return Ok(0);
    }
    let row = transaction
        .query_typed_one(
            "WITH made AS (
                 INSERT INTO deliveries (event_id, time, recipient, channel, level)
                 SELECT * FROM unnest($1, $2, $3, $4, $5)
                 ON CONFLICT DO NOTHING RETURNING 1
             ), counted AS (SELECT count(*) AS n FROM made)
             SELECT n, CASE WHEN n > 0 THEN pg_notify('kakou_push', '') END FROM counted",
            &[
                (&ids, Type::TEXT_ARRAY),
                (&times, Type::TIMESTAMPTZ_ARRAY),
                (&names, Type::TEXT_ARRAY),
                (&channels, Type::TEXT_ARRAY),
                (&levels, Type::TEXT_ARRAY),
            ],
        )
        .await?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

/// A recipient and a channel that has room.
#[derive(Debug)]
pub(super) struct Room<'a> {
    pub(super) recipient: &'a str,
    pub(super) channel: Channel,
    /// SHA-256 of where it goes; one that said "never again" is passed over.
    pub(super) address: &'a str,
    pub(super) room: usize,
    /// Of those that are fresh.
    pub(super) only_red: bool,
}

/// A delivery under a lease.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    pub(super) event_id: String,
    pub(super) time: DateTime<Utc>,
    pub(super) recipient: String,
    pub(super) channel: Channel,
    pub(super) level: Level,
    pub(super) created_at: DateTime<Utc>,
    /// This try is the n-th.
    pub(super) attempts: i32,
}

/// Takes what is due, the most urgent first.
pub(super) async fn claim(
    client: &ClientWrapper,
    lanes: &[Room<'_>],
    lease: Duration,
) -> Result<Vec<Claimed>, StoreError> {
    let statement = client
        .prepare_typed_cached(
            "WITH picked AS (
                 SELECT d.event_id, d.recipient, d.channel
                 FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::smallint[])
                     AS l (recipient, channel, address, room, urgency)
                 CROSS JOIN LATERAL (
                     SELECT event_id, recipient, channel FROM deliveries
                     WHERE recipient = l.recipient AND channel = l.channel
                       AND done_at IS NULL AND failed_at IS NULL
                       AND urgency <= l.urgency AND next_at <= now()
                     ORDER BY urgency, created_at LIMIT l.room FOR UPDATE SKIP LOCKED
                 ) d
                 WHERE NOT EXISTS (
                     SELECT FROM deliveries_off o WHERE o.recipient = l.recipient
                       AND o.channel = l.channel AND o.address = l.address)
             )
             UPDATE deliveries d
             SET attempts = attempts + 1, next_at = now() + make_interval(secs => $6)
             FROM picked p
             WHERE (d.event_id, d.recipient, d.channel) = (p.event_id, p.recipient, p.channel)
             RETURNING d.event_id, d.time, d.recipient, d.channel, d.level, d.created_at, d.attempts,
                 d.urgency",
            &[],
        )
        .await?;
    let recipients: Vec<&str> = lanes.iter().map(|lane| lane.recipient).collect();
    let channels: Vec<&str> = lanes.iter().map(|lane| lane.channel.as_str()).collect();
    let addresses: Vec<&str> = lanes.iter().map(|lane| lane.address).collect();
    let room = |lane: &Room<'_>| i64::try_from(lane.room).unwrap_or(1);
    let rooms: Vec<i64> = lanes.iter().map(room).collect();
    let urgency = |lane: &Room<'_>| if lane.only_red { 0_i16 } else { i16::MAX };
    let urgencies: Vec<i16> = lanes.iter().map(urgency).collect();
    let rows = client
        .query(
            &statement,
            &[
                &recipients,
                &channels,
                &addresses,
                &rooms,
                &urgencies,
                &lease.as_secs_f64(),
            ],
        )
        .await?;
    let mut rows: Vec<(i16, Claimed)> = rows.iter().map(|row| (row.get(7), claimed(row))).collect();
    rows.sort_by_key(|(urgency, it)| (*urgency, it.created_at));
    Ok(rows.into_iter().map(|(_, claimed)| claimed).collect())
}

fn claimed(row: &Row) -> Claimed {
    let channel: &str = row.get(3);
    let level: &str = row.get(4);
    Claimed {
        event_id: row.get(0),
        time: row.get(1),
        recipient: row.get(2),
        channel: match channel {
            "mqtt" => Channel::Mqtt,
            _ => Channel::Webhook,
        },
        // A word of a newer program: as urgent as the least.
        level: level.parse().unwrap_or(Level::Blue),
        created_at: row.get(5),
        attempts: row.get(6),
    }
}

/// A hit as its row has it.
#[derive(Debug)]
pub(super) struct StoredHit {
    pub(super) body: Vec<u8>,
    pub(super) site: String,
    pub(super) prefecture: Option<String>,
    pub(super) level: String,
    pub(super) state: String,
    pub(super) category: String,
    /// It says that a vehicle is in sight, and a later word says that it was none.
    pub(super) is_taken_back: bool,
}

/// `None`: its row is gone.
pub(super) async fn fetch(
    client: &ClientWrapper,
    delivery: &Claimed,
) -> Result<Option<StoredHit>, StoreError> {
    let statement = client
        .prepare_typed_cached(
            "SELECT h.body, a.site, s.prefecture, h.level, h.state, h.category,
                 h.state = 'provisional' AND EXISTS (SELECT FROM hits e
                     WHERE e.hit = h.hit AND e.state = 'retracted'
                       AND e.time BETWEEN h.time - interval '1 day' AND h.time + interval '1 day')
             FROM hits h JOIN agents a ON a.id = h.agent LEFT JOIN sites s ON s.site = a.site
             WHERE h.event_id = $1 AND h.time = $2",
            &[],
        )
        .await?;
    let row = client
        .query_opt(&statement, &[&delivery.event_id, &delivery.time])
        .await?;
    Ok(row.map(|row| StoredHit {
        body: row.get(0),
        site: row.get(1),
        prefecture: row.get(2),
        level: row.get(3),
        state: row.get(4),
        category: row.get(5),
        is_taken_back: row.get(6),
    }))
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Done,
    /// To be tried again after this pause, unless its deadline is over by then.
    Again {
        pause: Duration,
        why: String,
    },
    Failed {
        why: String,
    },
}

/// A delivery that was given up, as recorded.
#[derive(Debug)]
pub(super) struct GivenUp {
    pub(super) event_id: String,
    pub(super) recipient: String,
    pub(super) channel: String,
    pub(super) error: String,
}

/// Records what came of tries; returns those that were given up. `give_up` has the seconds of each
/// delivery.
pub(super) async fn record(
    client: &ClientWrapper,
    tries: &[(Claimed, Verdict)],
    give_up: impl Fn(Level) -> Duration,
) -> Result<Vec<GivenUp>, StoreError> {
    let statement = client
        .prepare_typed_cached(
            "UPDATE deliveries d
             SET done_at = CASE WHEN o.word = 'done' THEN now() END,
                 failed_at = CASE WHEN o.word = 'failed' OR is_over THEN now() END,
                 next_at = now() + make_interval(secs => o.pause),
                 error = CASE WHEN o.word = 'done' THEN NULL
                     WHEN o.word = 'again' AND is_over
                     THEN format('not delivered within %s s, %s tries; the last one: %s',
                         o.give_up, d.attempts, o.why)
                     ELSE o.why END
             FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::text[], $6::float8[],
                     $7::text[], $8::float8[])
                 AS o (event_id, recipient, channel, attempts, word, pause, why, give_up)
             JOIN deliveries was USING (event_id, recipient, channel)
             CROSS JOIN LATERAL (SELECT o.word = 'again' AND now() + make_interval(secs => o.pause)
                 > was.created_at + make_interval(secs => o.give_up) AS is_over) e
             WHERE (d.event_id, d.recipient, d.channel) = (o.event_id, o.recipient, o.channel)
               AND d.done_at IS NULL
               AND (o.word = 'done' OR (d.attempts = o.attempts AND d.failed_at IS NULL))
             RETURNING d.failed_at IS NOT NULL, d.event_id, d.recipient, d.channel, d.error",
            &[],
        )
        .await?;
    let of = |pick: fn(&Claimed) -> &str| -> Vec<&str> {
        tries.iter().map(|(it, _)| pick(it)).collect()
    };
    let attempts: Vec<i32> = tries.iter().map(|(it, _)| it.attempts).collect();
    let (mut words, mut pauses, mut whys) = (Vec::new(), Vec::new(), Vec::new());
    for (_, verdict) in tries {
        let (word, pause, why) = match verdict {
            Verdict::Done => ("done", Duration::ZERO, ""),
            Verdict::Again { pause, why } => ("again", *pause, why.as_str()),
            Verdict::Failed { why } => ("failed", Duration::ZERO, why.as_str()),
        };
        words.push(word);
        pauses.push(pause.as_secs_f64());
        whys.push(why.chars().take(ERROR_MAX).collect::<String>());
    }
    let limits = tries.iter().map(|(it, _)| give_up(it.level).as_secs_f64());
    let limits: Vec<f64> = limits.collect();
    let rows = client
        .query(
            &statement,
            &[
                &of(|it| &it.event_id),
                &of(|it| &it.recipient),
                &of(|it| it.channel.as_str()),
                &attempts,
                &words,
                &pauses,
                &whys,
                &limits,
            ],
        )
        .await?;
    let failed = rows.iter().filter(|row| row.get(0));
    Ok(failed.map(|row| given_up(row, 1)).collect())
}

fn given_up(row: &Row, from: usize) -> GivenUp {
    GivenUp {
        event_id: row.get(from),
        recipient: row.get(from + 1),
        channel: row.get(from + 2),
        error: row.get::<_, Option<String>>(from + 3).unwrap_or_default(),
    }
}

/// Gives up what nobody tries any more: of recipients that are off, or in no config.
pub(super) async fn sweep(
    client: &ClientWrapper,
    give_up: impl Fn(Level) -> Duration,
) -> Result<Vec<GivenUp>, StoreError> {
    let levels: Vec<&str> = Level::ALL.iter().map(|level| level.as_str()).collect();
    let limits = Level::ALL.iter().map(|level| give_up(*level).as_secs_f64());
    let limits: Vec<f64> = limits.collect();
    let statement = client
        .prepare_typed_cached(
            "UPDATE deliveries d
             SET failed_at = now(),
                 error = format('not delivered within %s s, %s tries; %s', l.give_up, d.attempts,
                     coalesce(
                         'the recipient is off: ' || (SELECT reason FROM deliveries_off o
                             WHERE o.recipient = d.recipient AND o.channel = d.channel),
                         'the last one: ' || d.error,
                         'never tried: the recipient was away, is in no config, or no pusher ran'))
             FROM unnest($1::text[], $2::float8[]) AS l (level, give_up)
             WHERE d.level = l.level AND d.done_at IS NULL AND d.failed_at IS NULL
               AND d.next_at <= now() AND d.created_at + make_interval(secs => l.give_up) < now()
             RETURNING d.event_id, d.recipient, d.channel, d.error",
            &[],
        )
        .await?;
    let rows = client.query(&statement, &[&levels, &limits]).await?;
    Ok(rows.iter().map(|row| given_up(row, 0)).collect())
}
