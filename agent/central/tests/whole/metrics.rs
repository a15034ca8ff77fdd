//! What the centre says of itself to whoever watches it: metrics, health, the shipped alerts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use kakou_central::config::CentralConfig;
use kakou_central::serve::Central;

use crate::promtool::promtool;
use crate::support::agent::{Agent, publish};
use crate::support::{PATIENCE, World, begin, mosquitto};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Watched {
    url: String,
    client: reqwest::Client,
}

impl Watched {
    async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.client.get(format!("{}{path}", self.url)).send().await;
        let answer = answer.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until a line of the metrics is this one.
    async fn says(&self, line: &str) {
        let mut text = String::new();
        let wait = async {
            loop {
                text = self
                    .get("/metrics")
                    .await
                    .map_or_else(String::new, |it| it.1);
                if text.lines().any(|it| it == line) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, wait).await.is_err() {
            panic!("no line {line} in\n{text}");
        }
    }

    async fn is_well(&self, wanted: u16) -> String {
        let mut last = None;
        let wait = async {
            loop {
                last = self.get("/health").await;
                if let Some((code, body)) = &last
                    && *code == wanted
                {
                    return body.clone();
                }
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
        };
        let waited = tokio::time::timeout(PATIENCE, wait).await;
        waited.unwrap_or_else(|_| panic!("{wanted}, and not {last:?}"))
    }
}

fn watched(world: &World, more: &str) -> (CentralConfig, Watched) {
    let port = mosquitto::free_port();
    let path = world.folder.path().join("watched.toml");
    let text = world.config_text("a");
    let text = format!("{text}\n[metrics]\nlisten = \"127.0.0.1:{port}\"\n{more}");
    std::fs::write(&path, text).unwrap();
    let watched = Watched {
        url: format!("http://127.0.0.1:{port}"),
        client: reqwest::Client::new(),
    };
    (CentralConfig::read(&path).unwrap(), watched)
}

/// Each family of a text that Prometheus takes.
fn names(text: &str) -> BTreeSet<String> {
    let family = |line: &str| {
        let rest = line.strip_prefix("# TYPE ")?;
        Some(rest.split(' ').next()?.to_owned())
    };
    text.lines().filter_map(family).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_in_is_counted_and_a_database_that_is_away_is_told() {
    begin();
    let mut world = World::start().await;
    // Nobody is at the upper library: it has its metrics all the same.
    let secret = world.folder.path().join("upper");
    std::fs::write(&secret, "upper").unwrap();
    let upper = format!(
        "[gat1400]\nurl = \"http://127.0.0.1:9/\"\ndevice_id = \"13010000005030000001\"\n\
         user = \"kakou\"\npassword_file = {secret:?}\n"
    );
    let (config, watched) = watched(&world, &upper);
    let central = Central::start(&config).await.unwrap();
    central.subscribed().await;
    let mut agent = Agent::new("north-1", 7);
    let broker = world.broker.address();
    let first = [
        agent.status(),
        agent.passage("京A12345"),
        agent.passage("京A12346"),
    ];
    publish(&broker, &first).await;
    publish(&broker, &first[1..2]).await;
    drop(agent.passage("京A12347"));
    publish(&broker, &[agent.passage("京A12348")]).await;
    watched
        .says("kakou_central_messages_total{lane=\"records\",outcome=\"fresh\"} 4")
        .await;
    watched
        .says("kakou_central_messages_total{lane=\"records\",outcome=\"repeat\"} 1")
        .await;
    watched.says("kakou_central_missing_messages 1").await;
    watched
        .says("kakou_central_agents{state=\"online\"} 1")
        .await;
    watched.says("kakou_central_leads 1").await;
    for lane in ["hits", "records", "pictures"] {
        watched
            .says(&format!(
                "kakou_central_lane_subscribed{{lane=\"{lane}\"}} 1"
            ))
            .await;
    }
    watched.is_well(200).await;
    assert_eq!(watched.get("/else").await.unwrap().0, 404);

    let (_, text) = watched.get("/metrics").await.unwrap();
    promtool(&["check", "metrics"], world.folder.path(), &text);
    let names = names(&text);
    assert!(names.len() >= 20, "{names:?}");
    for page in ["docs/central.md", "docs/central.zh-CN.md"] {
        let page = std::fs::read_to_string(root().join(page)).unwrap();
        let rows = page
            .lines()
            .filter(|line| line.starts_with("| `kakou_central_"));
        let told: BTreeSet<String> = rows
            .map(|row| row.split('`').nth(1).unwrap().to_owned())
            .collect();
        assert_eq!(told, names);
    }
    let rules =
        std::fs::read_to_string(root().join("configs/monitoring/central-alerts.yml")).unwrap();
    let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
    let asked = rules
        .split(|c| !is_name(c))
        .filter(|word| word.starts_with("kakou_central_"));
    let unknown: Vec<&str> = asked.filter(|word| !names.contains(*word)).collect();
    assert_eq!(unknown, Vec::<&str>::new());

    world.database.kill();
    watched.says("kakou_central_database_up 0").await;
    let why = watched.is_well(503).await;
    assert!(why.contains("database"), "{why}");
    world.database.restart().await.unwrap();
    watched.says("kakou_central_database_up 1").await;
    watched.is_well(200).await;
    central.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_has_is_taken_when_it_is_free_and_costs_no_message() {
    begin();
    let world = World::start().await;
    let (config, watched) = watched(&world, "");
    let address = config.metrics.as_ref().unwrap().listen;
    let taken = std::net::TcpListener::bind(address).unwrap();
    let central = Central::start(&config).await.unwrap();
    central.subscribed().await;
    let mut agent = Agent::new("north-1", 7);
    publish(
        &world.broker.address(),
        &[agent.status(), agent.passage("京A12345")],
    )
    .await;
    world.becomes("SELECT count(*) FROM passages", 1).await;
    drop(taken);
    watched.is_well(200).await;
    central.stop().await;
}

#[test]
fn the_shipped_rules_hold() {
    let folder = root().join("configs/monitoring");
    promtool(&["check", "rules", "central-alerts.yml"], &folder, "");
    promtool(&["test", "rules", "central-alerts_test.yml"], &folder, "");
}
