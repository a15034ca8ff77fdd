//! Gaps are asked back, a few at a time.
//!
//! A question goes to an agent that is connected, for gaps that are old enough: messages overtake
//! each other, and what waits in the agent comes by itself. There is one question to an agent at a
//! time, and the agent with the oldest gap is asked first. What the agent no longer has it says in its answer, and that is no gap any more; what it
//! sends again closes the gap.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use kakou_contract::{Command, Sequence};
use kakou_time::SharedClock;
use tokio_postgres::Client;

use super::book::{number, stored};
use crate::config::GapsConfig;
use crate::push::{CommandsError, want};
use crate::store::StoreError;

/// Who asks, for the agent's audit.
const BY: &str = "kakou-central";
/// An agent that does not answer within this is asked anew.
const PATIENCE: TimeDelta = TimeDelta::minutes(10);
const LONGEST_PAUSE_S: f64 = 3_600.0;

/// Gaps with no more than this between them are asked for together: what lies between comes once more,
/// and that costs less than another question with its answer.
const NEAR: u64 = 4;

/// Asks for what is due, the oldest first; how many agents were asked. Called every `since`.
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
    // By age over all agents: in any other order some would never have their turn.
    let select = "SELECT agent, first FROM ( \
             SELECT DISTINCT ON (g.agent) g.agent, g.first, g.since FROM gaps g \
             JOIN agent_state s ON s.agent = g.agent AND s.state = 'online' \
             WHERE g.since < now() - make_interval(secs => $1) \
                 AND (g.asked_at IS NULL OR g.asked_at < now() \
                     - make_interval(secs => least($2 * power(2, least(g.asked - 1, 20)), $3))) \
                 AND NOT EXISTS (SELECT FROM commands c WHERE c.agent = g.agent \
                     AND c.command = 'resend' AND c.state IN ('wanted', 'sent')) \
             ORDER BY g.agent, g.since, g.first \
         ) due ORDER BY since, agent LIMIT $4";
    let transaction = client.transaction().await?;
    let due = transaction
        .query(select, &[&after, &again, &LONGEST_PAUSE_S, &most])
        .await?;
    let begins: HashMap<i32, u64> = due
        .iter()
        .map(|row| (row.get(0), number(row.get(1))))
        .collect();
    let agents: Vec<i32> = begins.keys().copied().collect();
    let select = "SELECT agent, first, last FROM gaps \
         WHERE agent = ANY($1) AND since < now() - make_interval(secs => $2) ORDER BY agent, first";
    let mut gaps: HashMap<i32, Vec<[u64; 2]>> = HashMap::new();
    for row in transaction.query(select, &[&agents, &after]).await? {
        let gap = [number(row.get(1)), number(row.get(2))];
        gaps.entry(row.get(0)).or_default().push(gap);
    }
    let mut asked = 0;
    for (agent, gaps) in gaps {
        let begin = begins.get(&agent).copied().unwrap_or_default();
        let Some([first, last]) = together(&gaps, begin, u64::from(config.ask_messages)) else {
            continue;
        };
        let (Ok(from), Ok(to)) = (Sequence::new(first), Sequence::new(last)) else {
            continue;
        };
        let command = Command::Resend {
            first: from,
            last: to,
        };
        let expires = clock.wall().with_timezone(&Utc) + PATIENCE;
        let reason = format!("messages {first} to {last} are missing, or some of them");
        match want(&transaction, agent, &command, BY, Some(&reason), expires).await {
            Ok(_) => {}
            Err(CommandsError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "a gap is not asked for");
                continue;
            }
        }
        let update = "UPDATE gaps SET asked = asked + 1, asked_at = now() \
             WHERE agent = $1 AND first BETWEEN $2 AND $3";
        transaction
            .execute(update, &[&agent, &stored(first), &stored(last)])
            .await?;
        asked += 1;
    }
    // What came of the last question to each.
    let answers = "UPDATE gaps SET answer = left(c.code || coalesce(': ' || c.detail, ''), 500) \
         FROM (SELECT DISTINCT agent FROM gaps WHERE asked > 0) a \
         CROSS JOIN LATERAL (SELECT code, detail FROM commands \
             WHERE agent = a.agent AND command = 'resend' AND state = 'answered' AND by = $1 \
             ORDER BY made_at DESC LIMIT 1) c \
         WHERE gaps.agent = a.agent AND gaps.asked > 0 \
             AND gaps.answer IS DISTINCT FROM left(c.code || coalesce(': ' || c.detail, ''), 500)";
    transaction.execute(answers, &[&BY]).await?;
    transaction.commit().await?;
    Ok(asked)
}

/// What one question asks for: the gap that begins at `begin`, and those that follow near it, up to
/// `most` messages. `gaps` are in order.
fn together(gaps: &[[u64; 2]], begin: u64, most: u64) -> Option<[u64; 2]> {
    let mut gaps = gaps.iter().skip_while(|[first, _]| *first != begin);
    let [first, mut last] = *gaps.next()?;
    let end = first.saturating_add(most.max(1) - 1);
    for [next, end_of_next] in gaps {
        if next - last > NEAR + 1 || *next > end {
            break;
        }
        last = *end_of_next;
    }
    Some([first, last.min(end)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_near_each_other_are_asked_for_together() {
        let gaps = [[3, 4], [7, 7], [12, 20], [26, 26], [40, 5_000]];
        for (begin, most, wanted) in [
            (3, 2_000, Some([3, 20])),
            (7, 2_000, Some([7, 20])),
            (12, 2_000, Some([12, 20])),
            (26, 2_000, Some([26, 26])),
            (40, 2_000, Some([40, 2_039])),
            // No more than may be asked for.
            (3, 5, Some([3, 7])),
            (3, 10, Some([3, 12])),
            (12, 1, Some([12, 12])),
            (5, 2_000, None),
        ] {
            assert_eq!(together(&gaps, begin, most), wanted, "{begin} {most}");
        }
    }
}
