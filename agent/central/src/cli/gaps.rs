//! `kakou-central gaps`: that nothing is missing, or exactly what and why.

use std::process::ExitCode;

use crate::store::Store;

/// Exits with 1 where something is missing or lost.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this agent, as SITE/AGENT.
    agent: Option<String>,
    /// Each range by itself, also those that will not come with the reason.
    #[arg(long)]
    all: bool,
}

pub async fn show(store: &Store, args: &Args) -> anyhow::Result<ExitCode> {
    let client = store.client().await?;
    let (site, agent) = match &args.agent {
        None => (None, None),
        Some(name) => match name.split_once('/') {
            Some((site, agent)) => (Some(site), Some(agent)),
            None => anyhow::bail!("{name:?} is no agent: write it as SITE/AGENT"),
        },
    };
    let select = "SELECT a.site, a.agent, a.floor, a.highest, \
             coalesce((SELECT sum(last - first + 1) FROM gaps g WHERE g.agent = a.id), 0)::int8, \
             (SELECT min(since) FROM gaps g WHERE g.agent = a.id), \
             coalesce((SELECT sum(upper(r) - lower(r)) FROM ( \
                 SELECT unnest(range_agg(int8range(first, last, '[]'))) AS r FROM gone WHERE gone.agent = a.id \
             ) ranges), 0)::int8, a.id, \
             (SELECT count(*) FROM ledger l WHERE l.agent = a.id) \
         FROM agents a WHERE ($1::text IS NULL OR (a.site = $1 AND a.agent = $2)) \
         ORDER BY a.site, a.agent";
    let rows = client.query(select, &[&site, &agent]).await?;
    if rows.is_empty() {
        anyhow::bail!(
            "no agent was heard{}",
            args.agent
                .as_ref()
                .map_or(String::new(), |a| format!(" by the name {a}"))
        );
    }
    let mut missing = 0;
    let mut told = 0;
    for row in &rows {
        let name = format!("{}/{}", row.get::<_, &str>(0), row.get::<_, &str>(1));
        let (floor, highest): (i64, i64) = (row.get(2), row.get(3));
        let (open, gone): (i64, i64) = (row.get(4), row.get(6));
        missing += open;
        told += gone;
        let since: Option<chrono::DateTime<chrono::Utc>> = row.get(5);
        let mut line = match open {
            0 => format!("{name}: 1 to {highest}, nothing is missing"),
            _ => {
                let since = since
                    .map(|since| format!(" since {}", since.format("%Y-%m-%dT%H:%M:%SZ")))
                    .unwrap_or_default();
                format!(
                    "{name}: all up to {floor}, then {open} of the messages up to {highest} are missing{since}"
                )
            }
        };
        if gone > 0 {
            line.push_str(&format!("; {gone} will not come, as the agent says"));
        }
        let waiting: i64 = row.get(8);
        if waiting > 0 {
            line.push_str(&format!("; {waiting} that came are not looked at yet"));
        }
        super::say(&line)?;
        if args.all {
            ranges(&client, row.get(7)).await?;
        }
    }
    super::say(&format!(
        "{} agents, {missing} messages missing, {told} that will not come",
        rows.len()
    ))?;
    Ok(ExitCode::from(u8::from(missing > 0)))
}

async fn ranges(client: &tokio_postgres::Client, agent: i32) -> anyhow::Result<()> {
    let select =
        "SELECT first, last, since, asked, answer FROM gaps WHERE agent = $1 ORDER BY first";
    for row in client.query(select, &[&agent]).await? {
        let (first, last): (i64, i64) = (row.get(0), row.get(1));
        let asked: i32 = row.get(3);
        let answer = row
            .get::<_, Option<&str>>(4)
            .map(|a| format!(", answered: {a}"));
        let answer = answer.unwrap_or_default();
        super::say(&format!(
            "  {first} to {last}: missing, asked for {asked} times{answer}"
        ))?;
    }
    let select = "SELECT first, last, why, audit FROM gone WHERE agent = $1 ORDER BY first, audit";
    for row in client.query(select, &[&agent]).await? {
        let (first, last): (i64, i64) = (row.get(0), row.get(1));
        let (why, audit): (&str, uuid::Uuid) = (row.get(2), row.get(3));
        super::say(&format!(
            "  {first} to {last}: will not come: {why} (message {audit})"
        ))?;
    }
    Ok(())
}
