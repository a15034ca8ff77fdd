//! Real servers and made-up agents for the tests of the centre.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod agent;
#[path = "../../../../tests/uplink/mosquitto.rs"]
#[allow(clippy::disallowed_methods)]
pub mod mosquitto;
pub mod process;
pub mod rmqtt;
pub mod s3;

use std::time::Duration;

use kakou_central::config::CentralConfig;
use kakou_central::scratch::ScratchPostgres;
use kakou_central::store::Store;
use kakou_uplink::BrokerAddress;
pub(crate) use mosquitto::Mosquitto;
use rmqtt::Cluster;
use tempfile::TempDir;

/// Long enough for two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What messages go through.
pub(crate) enum Brokers {
    One(Mosquitto),
    Cluster(Cluster),
}

impl Brokers {
    /// Where one publishes.
    pub fn address(&self) -> BrokerAddress {
        self.addresses().remove(0)
    }

    pub fn addresses(&self) -> Vec<BrokerAddress> {
        match self {
            Self::One(broker) => vec![broker.address()],
            Self::Cluster(cluster) => cluster.addresses(),
        }
    }
}

/// Broker, database and a folder for the pictures.
pub(crate) struct World {
    pub broker: Brokers,
    pub database: ScratchPostgres,
    pub folder: TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Brokers::One(Mosquitto::start(""))).await
    }

    pub async fn with(broker: Brokers) -> Self {
        Self {
            broker,
            database: ScratchPostgres::start().await.unwrap(),
            folder: TempDir::with_prefix("kakou-central-").unwrap(),
        }
    }

    pub fn config_text(&self, name: &str) -> String {
        self.config_asking(name, 1)
    }

    /// With gaps that are asked for after so many seconds.
    pub fn config_asking(&self, name: &str, after_s: u32) -> String {
        let urls = self.broker.addresses();
        let url = |broker: &BrokerAddress| format!("\"mqtt://{}:{}\"", broker.host, broker.port);
        let urls: Vec<String> = urls.iter().map(url).collect();
        format!(
            "group = \"central\"\nname = \"{name}\"\n[broker]\nurls = [{}]\n\
             [database]\nurl = \"{}\"\n[objects]\nfolder = \"{}\"\n[gaps]\nask_after_s = {after_s}\nask_again_s = 2\n",
            urls.join(", "),
            self.database.url(),
            self.folder.path().join("pictures").display(),
        )
    }

    pub fn config(&self, name: &str) -> CentralConfig {
        let path = self.folder.path().join(format!("{name}.toml"));
        std::fs::write(&path, self.config_text(name)).unwrap();
        CentralConfig::read(&path).unwrap()
    }

    pub async fn client(&self) -> tokio_postgres::Client {
        let (client, connection) =
            tokio_postgres::connect(&self.database.url(), tokio_postgres::NoTls)
                .await
                .unwrap();
        tokio::spawn(connection);
        client
    }

    /// One number out of the database.
    pub async fn number(&self, sql: &str) -> i64 {
        self.client()
            .await
            .query_one(sql, &[])
            .await
            .unwrap()
            .get(0)
    }

    /// Waits until a statement gives this number.
    pub async fn becomes(&self, sql: &str, wanted: i64) {
        self.becomes_within(sql, wanted, PATIENCE).await;
    }

    pub async fn becomes_within(&self, sql: &str, wanted: i64, patience: Duration) {
        let client = self.client().await;
        let mut last = None;
        let wait = async {
            loop {
                // The schema may not be there yet.
                if let Ok(row) = client.query_one(sql, &[]).await {
                    last = Some(row.get::<_, i64>(0));
                    if last == Some(wanted) {
                        return;
                    }
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        if tokio::time::timeout(patience, wait).await.is_err() {
            let apart = "SELECT coalesce(string_agg(topic || ': ' || reason || ': ' || detail, E'\\n'), 'nothing') FROM quarantine";
            let apart: String = client.query_one(apart, &[]).await.unwrap().get(0);
            panic!("{sql}: {last:?} instead of {wanted}; kept apart: {apart}");
        }
    }
}

/// A database alone, with the schema.
pub(crate) async fn database() -> (ScratchPostgres, Store) {
    let database = ScratchPostgres::start().await.unwrap();
    let store = Store::open(&database.url(), 4).unwrap();
    store.migrate().await.unwrap();
    (database, store)
}

/// Installs the cryptography that TLS has, as the program does.
pub fn begin() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(std::env::var("KAKOU_LOG").unwrap_or_else(|_| "warn".to_owned()))
        .with_test_writer()
        .try_init();
}
