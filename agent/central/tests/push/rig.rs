//! A database with hits, and recipients as a config says them.

use std::io::Write;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use kakou_central::push::{
    AgreementConfig, NewHit, PushBroker, PushPace, PushSettings, Pusher, RecipientConfig,
    Recipients, enqueue,
};
use kakou_central::scratch::ScratchPostgres;
use kakou_central::store::Store;
use kakou_contract::{HitMessage, HitState, Level, Message as _};
use kakou_time::{SharedClock, SystemClock};
use serde::Deserialize;
use tempfile::TempDir;
use uuid::Uuid;

/// What is waited for comes long before; only a fault takes as long.
pub(crate) const LONG: Duration = Duration::from_secs(90);
pub(crate) const KEY: &str = "S3CRET-key-of-more-than-24-bytes";
const HIT: &[u8] = include_bytes!("../../../contract/golden/hit.json");

pub(crate) struct Rig {
    pub(crate) postgres: ScratchPostgres,
    pub(crate) store: Store,
    pub(crate) clock: SharedClock,
    folder: TempDir,
}

#[derive(Clone)]
pub(crate) struct Hit {
    pub(crate) site: &'static str,
    pub(crate) level: Level,
    pub(crate) state: HitState,
    pub(crate) category: &'static str,
    pub(crate) age: Duration,
}

/// Of the site "north", which lies in 130100.
pub(crate) const RED: Hit = Hit {
    site: "north",
    level: Level::Red,
    state: HitState::Confirmed,
    category: "stolen",
    age: Duration::ZERO,
};
pub(crate) const BLUE: Hit = Hit {
    level: Level::Blue,
    ..RED
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    recipient: Vec<RecipientConfig>,
    #[serde(default)]
    agreement: Vec<AgreementConfig>,
    #[serde(default)]
    push: PushSettings,
}

/// What all tests of this process log.
pub(crate) fn log() -> String {
    String::from_utf8_lossy(&sink().lock().unwrap()).into_owned()
}

fn sink() -> &'static Arc<Mutex<Vec<u8>>> {
    static SINK: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();
    SINK.get_or_init(|| {
        let sink = Arc::new(Mutex::new(Vec::new()));
        let writer = sink.clone();
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(move || Sink(writer.clone()))
            .init();
        sink
    })
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        sink();
        let postgres = ScratchPostgres::start().await.unwrap();
        let store = Store::open(&postgres.url(), 16).unwrap();
        store.migrate().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("key"), KEY).unwrap();
        let rig = Self {
            postgres,
            store,
            clock: Arc::new(SystemClock::new()),
            folder,
        };
        // Whoever made the table may ask for a name.
        rig.sql(
            "ALTER TABLE sites ADD COLUMN IF NOT EXISTS name text;
             INSERT INTO sites (site, name, prefecture) VALUES
                 ('north', 'North', '130100'), ('south', 'South', '130100'),
                 ('east', 'East', '130200');
             INSERT INTO agents (site, agent) VALUES
                 ('north', 'box-1'), ('south', 'box-1'), ('east', 'box-1'), ('nowhere', 'box-1')",
        )
        .await;
        rig
    }

    /// `KEY` in quotes stands for the file with the key.
    pub(crate) fn recipients(&self, config: &str) -> Arc<Recipients> {
        let file = self.folder.path().join("key");
        let config = config.replace("\"KEY\"", &format!("{:?}", file.to_str().unwrap()));
        let config: Config = toml::from_str(&config).unwrap();
        let checked = Recipients::check(&config.recipient, &config.agreement, &config.push);
        Arc::new(checked.unwrap())
    }

    pub(crate) fn push(&self, recipients: &Arc<Recipients>) -> Pusher {
        self.push_with(recipients, None, pace())
    }

    pub(crate) fn push_with(
        &self,
        recipients: &Arc<Recipients>,
        broker: Option<&PushBroker>,
        pace: PushPace,
    ) -> Pusher {
        let (store, clock) = (self.store.clone(), self.clock.clone());
        Pusher::start(store, recipients.clone(), broker, clock, pace).unwrap()
    }

    /// Commits these hits as the subscriber does; their event ids.
    pub(crate) async fn hits(&self, recipients: &Recipients, hits: &[Hit]) -> Vec<String> {
        let mut client = self.store.client().await.unwrap();
        let transaction = client.transaction().await.unwrap();
        let mut made = Vec::new();
        for hit in hits {
            let time = self.clock.wall() - TimeDelta::from_std(hit.age).unwrap();
            made.push(insert(&transaction, hit, time.with_timezone(&Utc)).await);
        }
        let new = made.iter().map(|(event_id, time)| NewHit {
            event_id,
            time: *time,
        });
        let new: Vec<_> = new.collect();
        enqueue(&*transaction, &new, recipients).await.unwrap();
        transaction.commit().await.unwrap();
        made.into_iter().map(|(event_id, _)| event_id).collect()
    }

    pub(crate) async fn sql(&self, sql: &str) {
        let client = self.store.client().await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }

    /// One value as text.
    pub(crate) async fn value(&self, sql: &str) -> String {
        let client = self.store.client().await.unwrap();
        let sql = format!("SELECT coalesce(({sql})::text, '')");
        client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    /// Until a query gives this value.
    pub(crate) async fn until(&self, sql: &str, wanted: &str) {
        let last = Mutex::new(String::new());
        let waiting = async {
            loop {
                let value = self.value(sql).await;
                if value == wanted {
                    return;
                }
                *last.lock().unwrap() = value;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(LONG, waiting).await.is_err() {
            let table = self
                .value("SELECT string_agg(d::text, E'\\n') FROM deliveries d")
                .await;
            let last = last.lock().unwrap();
            panic!("{sql}: {last:?} in place of {wanted:?} after {LONG:?}\n{table}");
        }
    }
}

async fn insert(
    client: &tokio_postgres::Transaction<'_>,
    hit: &Hit,
    time: DateTime<Utc>,
) -> (String, DateTime<Utc>) {
    let mut message: HitMessage = HitMessage::from_json(HIT).unwrap();
    message.id = Uuid::now_v7();
    message.site = hit.site.parse().unwrap();
    message.level = hit.level;
    message.state = hit.state;
    message.category = hit.category.to_owned();
    message.time = time.fixed_offset();
    message.decided_at = Some(time.fixed_offset());
    if hit.state == HitState::Retracted {
        message.retraction = Some(kakou_contract::Retraction {
            reason: kakou_contract::RetractionReason::VoteChanged,
            plate: None,
        });
    }
    let event_id = message.event_id();
    client
        .execute(
            "INSERT INTO hits (event_id, time, hit, state, passage, agent, camera, level, category,
                 reason, list, entry_plate, plate, plate_confidence, is_late, body)
             SELECT $1, $2, $3, $4, $5, id, 'cam-1', $6, $7, 'r', 'l', 'p', 'p', 1, false, $8
             FROM agents WHERE site = $9",
            &[
                &event_id,
                &time,
                &message.id,
                &message.state.as_str(),
                &message.passage_id,
                &message.level.as_str(),
                &message.category,
                &message.to_json().unwrap(),
                &hit.site,
            ],
        )
        .await
        .unwrap();
    (event_id, time)
}

/// As fast as tests need it.
pub(crate) fn pace() -> PushPace {
    PushPace {
        look: Duration::from_millis(50),
        sweep: Duration::from_millis(50),
        lease_beyond: Duration::from_millis(500),
        again_first: Duration::from_millis(20),
        again_most: Duration::from_millis(200),
        away_first: Duration::from_millis(20),
        away_most: Duration::from_millis(200),
    }
}

pub(crate) async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let happened = tokio::time::timeout(LONG, waiting).await;
    assert!(
        happened.is_ok(),
        "{what}: it did not happen within {LONG:?}"
    );
}
