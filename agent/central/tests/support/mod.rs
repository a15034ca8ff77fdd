//! Real servers and made-up agents for the tests of the centre.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod agent;
pub mod rmqtt;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use kakou_central::config::CentralConfig;
use kakou_central::scratch::ScratchPostgres;
use kakou_uplink::BrokerAddress;
use rmqtt::Cluster;
use tempfile::TempDir;

/// Long enough for two busy cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A real Mosquitto on a free port; it keeps sessions and messages in its folder.
pub struct Mosquitto {
    folder: TempDir,
    pub port: u16,
    process: Option<Child>,
}

impl Mosquitto {
    pub fn start() -> Self {
        let mut this = Self {
            folder: TempDir::with_prefix("kakou-mq-").unwrap(),
            port: free_port(),
            process: None,
        };
        let config = format!(
            "listener {} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\n\
             max_queued_messages 0\nmax_inflight_messages 0\nuser root\nautosave_interval 1\nautosave_on_changes true\n",
            this.port,
            this.folder.path().display()
        );
        std::fs::write(this.folder.path().join("mosquitto.conf"), config).unwrap();
        this.launch();
        this
    }

    pub fn address(&self) -> BrokerAddress {
        BrokerAddress::new("127.0.0.1", self.port)
    }

    pub fn launch(&mut self) {
        let program = ["/usr/sbin/mosquitto", "mosquitto"];
        let program = program
            .iter()
            .find(|p| Path::new(p).exists())
            .unwrap_or(&"mosquitto");
        let process = Command::new(program)
            .args(["-c", "mosquitto.conf"])
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("mosquitto is installed by the Makefile");
        self.process = Some(process);
        for _ in 0..600 {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("mosquitto does not listen");
    }

    /// As `systemctl stop` does: it writes what it holds.
    pub fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = rustix::process::Pid::from_raw(process.id().cast_signed()).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// What messages go through.
pub enum Brokers {
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
pub struct World {
    pub broker: Brokers,
    pub database: ScratchPostgres,
    pub folder: TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Brokers::One(Mosquitto::start())).await
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

/// Installs the cryptography that TLS has, as the program does.
pub fn begin() {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(std::env::var("KAKOU_LOG").unwrap_or_else(|_| "warn".to_owned()))
        .with_test_writer()
        .try_init();
}
