//! Gaps are asked back, a few at a time.
//!
//! A question goes to an agent that is connected, for a gap that is old enough: messages overtake
//! each other, and what waits in the agent comes by itself. There is one question to an agent at a
//! time. What the agent no longer has it says in its answer, and that is no gap any more; what it
//! sends again closes the gap.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use kakou_contract::{Command, Sequence};
use kakou_time::SharedClock;
use tokio_postgres::Client;

use super::book::number;
use crate::config::GapsConfig;
use crate::push::{CommandsError, want};
use crate::store::StoreError;

/// Who asks, for the agent's audit.
const BY: &str = "kakou-central";
/// An agent that does not answer within this is asked anew.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
const LONGEST_PAUSE_S: f64 = 3_600.0;

/// Asks for what is due; how many agents were asked. Called every `since`.
pub async fn ask(
    client: &mut Client,
    config: &GapsConfig,
    clock: &SharedClock,
    since: Duration,
) -> Result<usize, StoreError> {
    let most = f64::from(config.ask_a_minute) * since.as_secs_f64() / 60.0;
    // At least one, however rarely it is called.
    let most = (most as i64).max(1);
    let (after, again) = (f64::from(config.ask_after_s), f64::from(config.ask_again_s));
    let select = "SELECT DISTINCT ON (g.agent) g.agent, g.first, g.last FROM gaps g \
         JOIN agent_state s ON s.agent = g.agent AND s.state = 'online' \
         WHERE g.since < now() - make_interval(secs => $1) \
             AND (g.asked_at IS NULL OR g.asked_at < now() \
                 - make_interval(secs => least($2 * power(2, least(g.asked - 1, 20)), $3))) \
             AND NOT EXISTS (SELECT FROM commands c WHERE c.agent = g.agent \
                 AND c.command = 'resend' AND c.state IN ('wanted', 'sent')) \
         ORDER BY g.agent, g.first LIMIT $4";
    let transaction = client.transaction().await?;
    let due = transaction
        .query(select, &[&after, &again, &LONGEST_PAUSE_S, &most])
        .await?;
    let mut asked = 0;
    for row in &due {
        let (agent, first, last): (i32, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let last = last.min(first + i64::from(config.ask_messages) - 1);
        let (Ok(from), Ok(to)) = (Sequence::new(number(first)), Sequence::new(number(last))) else {
            continue;
        };
        let command = Command::Resend {
            first: from,
            last: to,
        };
        let expires = clock.wall().with_timezone(&Utc) + PATIENCE;
        let reason = format!("messages {first} to {last} are missing");
        match want(&transaction, agent, &command, BY, Some(&reason), expires).await {
            Ok(_) => {}
            Err(CommandsError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a gap is not asked for");
                continue;
            }
        }
        let update =
            "UPDATE gaps SET asked = asked + 1, asked_at = now() WHERE agent = $1 AND first = $2";
        transaction.execute(update, &[&agent, &first]).await?;
        asked += 1;
    }
    // What came of the last question to each.
    let answers = "UPDATE gaps SET answer = left(c.code || coalesce(': ' || c.detail, ''), 500) \
         FROM (SELECT DISTINCT ON (agent) agent, code, detail FROM commands \
               WHERE command = 'resend' AND state = 'answered' AND by = $1 \
               ORDER BY agent, answered_at DESC) c \
         WHERE gaps.agent = c.agent AND gaps.asked > 0 \
             AND gaps.answer IS DISTINCT FROM left(c.code || coalesce(': ' || c.detail, ''), 500)";
    transaction.execute(answers, &[&BY]).await?;
    transaction.commit().await?;
    Ok(asked)
}
