//! `kakou-central demo`: everything at once on this machine, with made-up agents.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use kakou_fleet::{Fleet, FleetOptions};
use kakou_uplink::BrokerAddress;
use tempfile::TempDir;
use tokio_postgres::Client;

use crate::config::CentralConfig;
use crate::scratch::ScratchPostgres;
use crate::serve::Central;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For the broker to listen, and for what was sent to become rows.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// Starts a PostgreSQL and a Mosquitto of its own in a temporary folder, the subscriber, and a fleet
/// of made-up agents with outages, repeats and messages given up; shows the tables fill, and in the
/// end whether every message that the broker took is there. Nothing of it stays.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Made-up agents.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    agents: u32,
    /// Passages a second of all of them.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rate: u32,
    /// How long they drive.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    seconds: u64,
}

pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = TempDir::with_prefix("kakou-central-demo-")?;
    super::say("PostgreSQL and Mosquitto start in a temporary folder")?;
    let database = ScratchPostgres::start().await?;
    let broker = Broker::start(folder.path()).await?;
    let config = config(folder.path(), &database.url(), broker.port)?;
    let central = Central::start(&config).await?;
    tokio::time::timeout(PATIENCE, central.subscribed())
        .await
        .context("the broker does not confirm the subscriptions")?;

    let mut options = FleetOptions::new(args.agents);
    options.rate = f64::from(args.rate);
    options.pictures = 1;
    options.hits = 0.05;
    options.status_every = Duration::from_secs(10);
    options.troubles.outages = 0.05;
    options.troubles.outage = Duration::from_secs(5);
    options.troubles.repeats = 0.02;
    options.troubles.evictions = 0.002;
    let fleet = Fleet::start(options, vec![BrokerAddress::new("127.0.0.1", broker.port)])?;
    super::say(&format!(
        "{} made-up agents drive for {} s",
        args.agents, args.seconds
    ))?;
    super::say("")?;
    let client = central.store.client().await?;
    super::say(HEAD)?;
    for _ in 0..args.seconds.div_ceil(LOOK_EVERY.as_secs()) {
        tokio::time::sleep(LOOK_EVERY).await;
        super::say(&line(&client).await?)?;
    }
    let truth = fleet.stop_and_drain().await?;
    let sent = i64::try_from(truth.summary.acknowledged).unwrap_or(i64::MAX);
    let stored = all_stored(&client, sent).await?;
    super::say(&line(&client).await?)?;
    super::say("")?;
    hits(&client).await?;
    let missing: i64 = number(&client, MISSING).await?;
    let gone: i64 = number(&client, GONE).await?;
    super::say(&format!(
        "\nthe broker took {sent} messages, {} of them more than once; {stored} are rows, {missing} are missing; {gone} will not come, as their agents say",
        truth.summary.repeats
    ))?;
    std::io::stdout().flush()?;
    central.stop().await;
    Ok(ExitCode::from(u8::from(stored != sent || missing > 0)))
}

const HEAD: &str = "passages    hits  pictures  signals  statuses  agents here  missing  alarms";
const MISSING: &str = "SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gaps";
const GONE: &str = "SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gone";
/// Whatever was sealed, of every table.
const STORED: &str = "SELECT (SELECT count(*) FROM passages) + (SELECT count(*) FROM hits) \
     + (SELECT count(*) FROM signals) + (SELECT count(*) FROM audits) \
     + (SELECT count(*) FROM results) + (SELECT count(*) FROM pictures) \
     + (SELECT count(*) FROM statuses WHERE sequence IS NOT NULL)";

async fn number(client: &Client, sql: &str) -> anyhow::Result<i64> {
    Ok(client.query_one(sql, &[]).await?.get(0))
}

async fn line(client: &Client) -> anyhow::Result<String> {
    let select = "SELECT (SELECT count(*) FROM passages), (SELECT count(*) FROM hits), \
         (SELECT count(*) FROM pictures), (SELECT count(*) FROM signals), (SELECT count(*) FROM statuses), \
         (SELECT count(*) FROM agent_state WHERE state = 'online'), \
         (SELECT coalesce(sum(last - first + 1), 0)::int8 FROM gaps), \
         (SELECT count(*) FROM alarms WHERE ended_at IS NULL)";
    let row = client.query_one(select, &[]).await?;
    let n = |column: usize| row.get::<_, i64>(column);
    Ok(format!(
        "{:>8}  {:>6}  {:>8}  {:>7}  {:>8}  {:>11}  {:>7}  {:>6}",
        n(0),
        n(1),
        n(2),
        n(3),
        n(4),
        n(5),
        n(6),
        n(7)
    ))
}

/// Waits until all that was sent is there; how much is.
async fn all_stored(client: &Client, sent: i64) -> anyhow::Result<i64> {
    let wait = async {
        while number(client, STORED).await? < sent || number(client, MISSING).await? > 0 {
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    if let Ok(done) = tokio::time::timeout(PATIENCE, wait).await {
        done?;
    }
    number(client, STORED).await
}

async fn hits(client: &Client) -> anyhow::Result<()> {
    let select = "SELECT h.time, a.site, h.plate, h.level, h.state, h.category FROM hits h \
         JOIN agents a ON a.id = h.agent ORDER BY h.received_at DESC LIMIT 5";
    super::say("the last hits")?;
    for row in client.query(select, &[]).await? {
        let time: chrono::DateTime<chrono::Utc> = row.get(0);
        let text = |n: usize| row.get::<_, &str>(n);
        super::say(&format!(
            "  {} {} {} {} {} {}",
            time.format("%H:%M:%S"),
            text(1),
            text(2),
            text(3),
            text(4),
            text(5)
        ))?;
    }
    Ok(())
}

fn config(folder: &Path, database: &str, port: u16) -> anyhow::Result<CentralConfig> {
    let path = folder.join("demo.toml");
    let pictures = folder.join("pictures");
    std::fs::write(
        &path,
        format!(
            "group = \"central\"\nname = \"demo\"\n[broker]\nurls = [\"mqtt://127.0.0.1:{port}\"]\n\
             [database]\nurl = {database:?}\n[objects]\nfolder = {pictures:?}\n\
             [gaps]\nask_after_s = 5\nask_again_s = 5\n"
        ),
    )?;
    Ok(CentralConfig::read(&path)?)
}

/// A Mosquitto of the demo's own.
struct Broker {
    process: Child,
    port: u16,
}

impl Broker {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let config = folder.join("mosquitto.conf");
        let text = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        );
        std::fs::write(&config, text)?;
        // Debian's place is in the path of root alone.
        let program = [PathBuf::from("/usr/sbin/mosquitto")];
        let program = program.iter().find(|path| path.exists());
        let program = program.map_or(Path::new("mosquitto"), PathBuf::as_path);
        let process = Command::new(program)
            .arg("-c")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("mosquitto cannot be started; install Debian's package mosquitto")?;
        let this = Self { process, port };
        let listens = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port))
                .await
                .is_err()
            {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens)
            .await
            .context("mosquitto does not listen")?;
        Ok(this)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
