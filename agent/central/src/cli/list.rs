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
}

/// Exits with 1 where one is open.
pub async fn alarms(store: &Store, args: &AlarmsArgs) -> anyhow::Result<ExitCode> {
    let client = store.client().await?;
    let select = "SELECT l.kind, a.site || '/' || a.agent, l.subject, l.raised_at, l.ended_at, l.count, l.detail \
         FROM alarms l LEFT JOIN agents a ON a.id = l.agent \
         WHERE $1 OR l.ended_at IS NULL ORDER BY l.raised_at, l.id";
    let mut open = false;
    for row in client.query(select, &[&args.all]).await? {
        let ended: Option<DateTime<Utc>> = row.get(4);
        open |= ended.is_none();
        let raised: DateTime<Utc> = row.get(3);
        let agent = row.get::<_, Option<&str>>(1).unwrap_or("-");
        let ended = ended.map_or(String::new(), |end| {
            format!(" to {}", end.format("%Y-%m-%dT%H:%M:%SZ"))
        });
        let (kind, count, detail): (&str, i64, &str) = (row.get(0), row.get(5), row.get(6));
        super::say(&format!(
            "{}{ended} {kind} {agent}, {count} times: {detail}",
            raised.format("%Y-%m-%dT%H:%M:%SZ")
        ))?;
    }
    Ok(ExitCode::from(u8::from(open)))
}
