//! Connections to PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Timeouts};
use kakou_uplink::TlsFiles;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::ClientConfig;

use super::listen::Listener;

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// Two processes that start at once do not migrate at once: the key of an advisory lock, "kakou" in
/// ASCII.
const MIGRATING: i64 = 0x006b_616b_6f75;
/// How long a caller waits for a connection before it hears that there is none.
const WAIT: Duration = Duration::from_secs(10);
/// A server that vanishes with its host says no goodbye: a connection that waits for its answer would
/// wait for the two hours of the kernel. What the URL says goes before.
const PROBE_AFTER: Duration = Duration::from_secs(10);
const PROBE_EVERY: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;
const UNHEARD: Duration = Duration::from_secs(30);
/// What `tokio_postgres` has where the URL says nothing.
const IDLE_UNSAID: Duration = Duration::from_secs(2 * 60 * 60);

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(
        "database url: {0}; write it as libpq does, such as host=db.example user=kakou dbname=kakou"
    )]
    Url(String),
    #[error("database: {}", chain(.0))]
    Query(#[from] tokio_postgres::Error),
    #[error("database: no connection: {0}")]
    Connection(String),
    #[error("database schema: {0}")]
    Migration(#[from] refinery::Error),
    #[error("certificates for the database: {0}")]
    Tls(String),
}

impl StoreError {
    /// Trying again may help: the server is away, restarting or only to be read, or another
    /// transaction was in the way.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connection(_) => true,
            // Connection, transaction state, transaction rollback, resources, object not in the state
            // that is needed, operator intervention, system.
            Self::Query(error) => {
                error.code().is_none()
                    || self.is_of_class(&["08", "25", "40", "53", "55", "57", "58"])
            }
            _ => false,
        }
    }

    /// What was written is at fault: it does not fit the columns or their rules. Whatever else goes
    /// wrong is the database's, and would go wrong for every other row too.
    pub fn is_of_the_values(&self) -> bool {
        // Data, integrity, limits of the program, internal errors.
        self.is_of_class(&["22", "23", "54", "XX"])
    }

    /// Whether its SQLSTATE is of one of these classes.
    fn is_of_class(&self, classes: &[&str]) -> bool {
        let Self::Query(error) = self else {
            return false;
        };
        let code = error.code().map(SqlState::code);
        code.is_some_and(|code| classes.iter().any(|class| code.starts_with(class)))
    }
}

/// The message of `tokio_postgres` says "db error"; the cause says which.
fn chain(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(cause) => format!("{} ({})", cause.message(), cause.code().code()),
        None => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        }
    }
}

#[derive(Clone)]
pub struct Store {
    pool: Pool,
    dial: Arc<Dial>,
}

/// How a connection beside the pool is made.
pub(super) struct Dial {
    pub(super) config: tokio_postgres::Config,
    pub(super) tls: Option<MakeRustlsConnect>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

impl Store {
    /// Nothing is dialled yet. `url` is that of libpq (`host=... user=...` or `postgresql://...`);
    /// `connections` is the most at once.
    pub fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        Self::open_trusting(url, None, connections)
    }

    /// With who may vouch for the server, in PEM; `None`: whom this machine trusts.
    pub fn open_trusting(
        url: &str,
        ca: Option<&Path>,
        connections: usize,
    ) -> Result<Self, StoreError> {
        let mut config: tokio_postgres::Config = url
            .parse()
            .map_err(|e: tokio_postgres::Error| StoreError::Url(chain(&e)))?;
        config.application_name("kakou-central");
        config.connect_timeout(Duration::from_secs(5));
        if config.get_keepalives_idle() == IDLE_UNSAID {
            config.keepalives_idle(PROBE_AFTER);
            config.keepalives_interval(PROBE_EVERY);
            config.keepalives_retries(PROBES);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNHEARD);
        }
        let recycle = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let files = TlsFiles {
            ca: ca.map(Path::to_owned),
            client: None,
        };
        // A server on a Unix socket is not asked for TLS.
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            mode => match files.client_config() {
                Ok(tls) => Some(MakeRustlsConnect::new(ClientConfig::clone(&tls))),
                // A machine that trusts nobody, and a server that may have no TLS.
                Err(_) if mode == SslMode::Prefer && ca.is_none() => None,
                Err(error) => return Err(StoreError::Tls(error.to_string())),
            },
        };
        let manager = match &tls {
            None => Manager::from_config(config.clone(), tokio_postgres::NoTls, recycle),
            Some(tls) => Manager::from_config(config.clone(), tls.clone(), recycle),
        };
        let pool = Pool::builder(manager)
            .max_size(connections.max(2))
            .timeouts(Timeouts {
                wait: Some(WAIT),
                create: Some(WAIT),
                recycle: Some(WAIT),
            })
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|e| StoreError::Connection(e.to_string()))?;
        let dial = Arc::new(Dial { config, tls });
        Ok(Self { pool, dial })
    }

    /// A connection beside the pool that hears `NOTIFY channel`; at most `most` wait to be taken.
    pub async fn listen(&self, channel: &str, most: usize) -> Result<Listener, StoreError> {
        Listener::open(&self.dial, channel, most).await
    }

    pub async fn client(&self) -> Result<Object, StoreError> {
        self.pool
            .get()
            .await
            .map_err(|e| StoreError::Connection(e.to_string()))
    }

    /// Brings the database to the schema of this program; how many steps that took. A database that
    /// is newer than the program is refused.
    pub async fn migrate(&self) -> Result<usize, StoreError> {
        let mut client = self.client().await?;
        client
            .execute("SELECT pg_advisory_lock($1)", &[&MIGRATING])
            .await?;
        let report = migrations::migrations::runner()
            .set_abort_missing(true)
            .run_async(&mut **client)
            .await;
        client
            .execute("SELECT pg_advisory_unlock($1)", &[&MIGRATING])
            .await?;
        Ok(report?.applied_migrations().len())
    }
}
