//! `kakou-central agents` and `alarms`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};

use crate::store::Store;

pub async fn agents(store: &Store) -> anyhow::Result<ExitCode> {
    let client = store.client().await?;
    let select = "SELECT a.site, a.agent, s.state, s.reason, s.health, s.since, s.version, s.clock_state, s.heard, \
             (SELECT string_agg(camera || ' ' || coalesce(state, health), ', ' ORDER BY camera) \
              FROM camera_state c WHERE c.agent = a.id) \
         FROM agents a LEFT JOIN agent_state s ON s.agent = a.id ORDER BY a.site, a.agent";
    for row in client.query(select, &[]).await? {
        let text = |n: usize| row.get::<_, Option<&str>>(n).unwrap_or("-").to_owned();
        let time = |n: usize| {
            let time: Option<DateTime<Utc>> = row.get(n);
            time.map_or("-".to_owned(), |time| {
                time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
            })
        };
        let reason = row
            .get::<_, Option<&str>>(3)
            .map(|reason| format!(" ({reason})"));
        super::say(&format!(
            "{}/{} {}{} since {}, health {}, version {}, clock {}, heard {}, cameras: {}",
            text(0),
            text(1),
            text(2),
            reason.unwrap_or_default(),
            time(5),
            text(4),
            text(6),
            text(7),
            time(8),
            text(9),
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, clap::Args)]
pub struct AlarmsArgs {
    /// Those that are over too.
    #[arg(long)]
    all: bool,
    /// End these, which somebody has looked at; what is wrong again raises a new one.
    #[arg(long, value_name = "ID", num_args = 1.., requires = "note", conflicts_with = "all")]
    end: Vec<i64>,
    /// What was found.
    #[arg(long, requires = "end")]
    note: Option<String>,
}

/// Exits with 1 where one is open.
pub async fn alarms(store: &Store, args: &AlarmsArgs) -> anyhow::Result<ExitCode> {
    let client = store.client().await?;
    if let Some(note) = &args.note {
        end(&client, &args.end, note).await?;
    }
    let select = "SELECT l.id, l.kind, a.site || '/' || a.agent, l.raised_at, l.ended_at, l.count, l.detail, \
             l.acknowledged_by, l.ended_by, l.ended_note \
         FROM alarms l LEFT JOIN agents a ON a.id = l.agent \
         WHERE $1 OR l.ended_at IS NULL ORDER BY l.raised_at, l.id";
    let mut open = false;
    let when = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ");
    for row in client.query(select, &[&args.all]).await? {
        let ended: Option<DateTime<Utc>> = row.get(4);
        open |= ended.is_none();
        let agent = row.get::<_, Option<&str>>(2).unwrap_or("-");
        let (id, kind, count, detail): (i64, &str, i64, &str) =
            (row.get(0), row.get(1), row.get(5), row.get(6));
        let mut line = format!("{id} {}", when(row.get(3)));
        if let Some(ended) = ended {
            line += &format!(" to {}", when(ended));
        }
        line += &format!(" {kind} {agent}, {count} times: {detail}");
        if let Some(by) = row.get::<_, Option<&str>>(7) {
            line += &format!("; {by} looks at it");
        }
        if let Some(by) = row.get::<_, Option<&str>>(8) {
            let note = row.get::<_, Option<&str>>(9).unwrap_or_default();
            line += &format!("; ended by {by}: {note}");
        }
        super::say(&line)?;
    }
    Ok(ExitCode::from(u8::from(open)))
}

/// All of them or none.
async fn end(client: &tokio_postgres::Client, ids: &[i64], note: &str) -> anyhow::Result<()> {
    let open = "SELECT id FROM alarms WHERE id = ANY($1) AND ended_at IS NULL";
    let open: Vec<i64> = client
        .query(open, &[&ids])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    if let Some(id) = ids.iter().find(|id| !open.contains(id)) {
        anyhow::bail!("no alarm {id} is open; `kakou-central alarms` shows those that are");
    }
    let by = std::env::var("SUDO_USER").or_else(|_| std::env::var("USER"));
    let by = by.unwrap_or_else(|_| "the command line".to_owned());
    let update = "UPDATE alarms SET ended_at = now(), ended_by = $2, ended_note = $3 \
         WHERE id = ANY($1) AND ended_at IS NULL";
    client
        .execute(update, &[&ids, &by, &crate::ingest::stored(note)])
        .await?;
    Ok(())
}
