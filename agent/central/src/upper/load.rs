//! From a row of a queue to what the gateway sends: the passage from its row, the pictures from the
//! object store.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kakou_contract::codes::EvidenceRole;
use kakou_contract::{Message as _, PassageMessage};
use kakou_gat1400::{Item, Picture};
use tokio_postgres::{GenericClient, Row};
use uuid::Uuid;

use crate::ingest::{Objects, ObjectsError};
use crate::store::{Store, StoreError};

/// A passage that waits is looked at again after half of its age, within these.
const AGAIN_LEAST: Duration = Duration::from_millis(500);
const AGAIN_MOST: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
}

impl From<tokio_postgres::Error> for LoadError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A row of a queue, with what is there of its pictures.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) id: Uuid,
    pub(super) time: DateTime<Utc>,
    /// When to look again, if it has to wait.
    pub(super) next_at: DateTime<Utc>,
    pictures: Vec<Stored>,
}

#[derive(Debug)]
struct Stored {
    role: String,
    object: String,
    bytes: i64,
}

impl Waiting {
    pub(super) fn bytes(&self) -> i64 {
        self.pictures.iter().map(|picture| picture.bytes).sum()
    }

    pub(super) fn keys(all: &[Self]) -> (Vec<Uuid>, Vec<DateTime<Utc>>) {
        all.iter().map(|one| (one.id, one.time)).unzip()
    }
}

#[derive(Clone)]
pub(super) struct Loader {
    pub(super) objects: Objects,
    /// How long a passage waits for its pictures.
    pub(super) patience: Duration,
}

impl Loader {
    /// `rows` have id, time, made_at and the database's now. Those that can go, and those that wait for pictures.
    pub(super) async fn look(
        &self,
        client: &impl GenericClient,
        rows: &[Row],
    ) -> Result<(Vec<Waiting>, Vec<Waiting>), StoreError> {
        let (mut ready, mut wait) = (Vec::new(), Vec::new());
        let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
        let times: Vec<DateTime<Utc>> = rows.iter().map(|row| row.get(1)).collect();
        let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
            return Ok((ready, wait));
        };
        let select = "SELECT id, time, evidence FROM passages
             WHERE id = ANY($1) AND time BETWEEN $2 AND $3";
        let found = client.query(select, &[&ids, first, last]).await?;
        let mut promised: HashMap<(Uuid, DateTime<Utc>), Vec<String>> = found
            .iter()
            .map(|row| ((row.get(0), row.get(1)), row.get(2)))
            .collect();
        // A picture has the time at which its vehicle was first seen; a vehicle is in sight for at
        // most some hours.
        let select = "SELECT owner, owner || '/' || role || ' ' || encode(sha256, 'hex'), role, object, bytes
             FROM pictures WHERE owner = ANY($1)
               AND time BETWEEN $2::timestamptz - interval '1 day' AND $3::timestamptz + interval '1 hour'";
        let mut there: HashMap<Uuid, Vec<(String, Stored)>> = HashMap::new();
        for row in client.query(select, &[&ids, first, last]).await? {
            let stored = Stored {
                role: row.get(2),
                object: row.get(3),
                bytes: row.get(4),
            };
            there
                .entry(row.get(0))
                .or_default()
                .push((row.get(1), stored));
        }
        for (row, (id, time)) in rows.iter().zip(ids.into_iter().zip(times)) {
            let (made_at, now): (DateTime<Utc>, DateTime<Utc>) = (row.get(2), row.get(3));
            let mut promised = promised.remove(&(id, time)).unwrap_or_default();
            promised.retain(|line| line.starts_with(&format!("{id}/")));
            // One that was not promised is no picture of it: that is an alarm of its own.
            let mut pictures = there.remove(&id).unwrap_or_default();
            pictures.retain(|(line, _)| promised.contains(line));
            let is_complete = promised.iter().all(|line| {
                let name = line.split(' ').next().unwrap_or_default();
                let role = name.split('/').next_back().unwrap_or_default();
                pictures.iter().any(|(_, stored)| stored.role == role)
            });
            let age = (now - made_at).to_std().unwrap_or_default();
            let over = made_at + span(self.patience);
            let again = now + span((age / 2).clamp(AGAIN_LEAST, AGAIN_MOST));
            let one = Waiting {
                id,
                time,
                next_at: again.min(over),
                pictures: pictures.into_iter().map(|(_, stored)| stored).collect(),
            };
            match is_complete || now >= over {
                true => ready.push(one),
                false => wait.push(one),
            }
        }
        Ok((ready, wait))
    }

    /// With the reasons of those that cannot be sent, as when the row of a passage is gone.
    pub(super) async fn load(
        &self,
        store: &Store,
        ready: Vec<Waiting>,
    ) -> Result<(Vec<Item>, HashMap<Uuid, String>), LoadError> {
        let (ids, times) = Waiting::keys(&ready);
        let mut bodies = bodies(store, &ids, &times).await?;
        let (mut items, mut lost) = (Vec::new(), HashMap::new());
        for one in ready {
            let Some(body) = bodies.remove(&(one.id, one.time)) else {
                let why = "its record is not kept any more".to_owned();
                lost.insert(one.id, why);
                continue;
            };
            let passage = match PassageMessage::from_json(&body) {
                Ok(passage) => passage,
                Err(error) => {
                    lost.insert(one.id, format!("its record cannot be read: {error}"));
                    continue;
                }
            };
            let mut pictures = Vec::new();
            for stored in one.pictures {
                let Ok(role) = stored.role.parse::<EvidenceRole>() else {
                    continue;
                };
                match self.objects.get(&stored.object).await? {
                    Some(bytes) => pictures.push(Picture {
                        role,
                        bytes: Some(bytes),
                        url: None,
                    }),
                    None => tracing::warn!(
                        object = stored.object,
                        "a picture is not in the object store; its passage goes without"
                    ),
                }
            }
            items.push(Item {
                passage,
                pictures,
                // Hits come after their passages, and may be taken back: that is not told here.
                suspicious: None,
            });
        }
        Ok((items, lost))
    }
}

type Bodies = HashMap<(Uuid, DateTime<Utc>), Vec<u8>>;

async fn bodies(
    store: &Store,
    ids: &[Uuid],
    times: &[DateTime<Utc>],
) -> Result<Bodies, StoreError> {
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else {
        return Ok(Bodies::new());
    };
    let select = "SELECT id, time, body FROM passages
         WHERE id = ANY($1) AND time BETWEEN $2 AND $3";
    let client = store.client().await?;
    let rows = client.query(select, &[&ids, first, last]).await?;
    let body = |row: &Row| ((row.get(0), row.get(1)), row.get(2));
    Ok(rows.iter().map(body).collect())
}

fn span(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX)
}
