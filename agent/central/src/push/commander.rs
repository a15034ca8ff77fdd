//! The task that publishes commands, and joins the answers that the subscriber stores.
//!
//! A command goes out when it is wanted, and again with the same request id after growing pauses
//! while no answer is stored: the agent carries it out once. The broker keeps it no longer than it
//! is worth, and the agent does not carry it out after that. The answer comes on the agent's own
//! topic for results, so it is sealed and stored as everything else.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, FixedOffset, Utc};
use deadpool_postgres::ClientWrapper;
use kakou_contract::Id;
use kakou_time::SharedClock;
use kakou_uplink::{Backoff, Call};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::commands::{self, Due, NOTIFIED};
use super::publisher::{Published, Publisher, PushBroker};
use super::pusher::{listen, own_connection};
use crate::store::{Store, StoreError};

/// Beyond the time that one try may take, before another process takes it.
const LEASE: Duration = Duration::from_secs(60);

/// How fast commands are gone about. The default is for use; tests are faster.
#[derive(Debug, Clone)]
pub struct CommandPace {
    /// Answers are looked for that often, while something is open.
    pub look: Duration,
    /// Answers to what has expired.
    pub look_late: Duration,
    /// Pauses before a command without an answer is published again.
    pub repeat_first: Duration,
    pub repeat_most: Duration,
    /// Pauses before one that the broker did not take, or that nobody listened to.
    pub again_first: Duration,
    pub again_most: Duration,
}

impl Default for CommandPace {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            look_late: Duration::from_secs(60),
            repeat_first: Duration::from_secs(30),
            repeat_most: Duration::from_secs(600),
            again_first: Duration::from_secs(1),
            again_most: Duration::from_secs(30),
        }
    }
}

/// Dropping it ends it; what was on its way is published again under the same request id.
#[derive(Debug)]
pub struct Commander {
    task: JoinHandle<()>,
    ears: JoinHandle<()>,
}

impl Drop for Commander {
    fn drop(&mut self) {
        self.task.abort();
        self.ears.abort();
    }
}

impl Commander {
    /// Returns when it has ended, which it does only by a panic.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = &mut self.task => {}
            _ = &mut self.ears => {}
        }
    }

    /// Must be called within a tokio runtime.
    pub fn start(store: Store, broker: &PushBroker, clock: SharedClock, pace: CommandPace) -> Self {
        let wake = Arc::new(Notify::new());
        let ears = tokio::spawn(listen(store.clone(), NOTIFIED, wake.clone()));
        let work = Work {
            publisher: Publisher::connect(broker, "commands"),
            store,
            clock,
            pace,
            wake,
        };
        let task = tokio::spawn(work.run());
        Self { task, ears }
    }
}

struct Work {
    store: Store,
    publisher: Publisher,
    clock: SharedClock,
    pace: CommandPace,
    wake: Arc<Notify>,
}

impl Work {
    async fn run(self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let session = async {
                let client = own_connection(&self.store).await?;
                backoff.reset();
                self.session(&client).await
            };
            let Err::<Infallible, _>(error) = session.await;
            tracing::warn!(%error, "commands are not published; trying again");
            sleep(backoff.wait()).await;
        }
    }

    /// One connection to the database; why it ended.
    async fn session(&self, client: &ClientWrapper) -> Result<Infallible, StoreError> {
        let mut late_at = Instant::now();
        loop {
            let is_late = late_at <= Instant::now();
            if is_late {
                late_at = Instant::now() + self.pace.look_late;
            }
            // Before anything is published or given up: what is answered is neither.
            commands::answers(client, is_late).await?;
            let expired = commands::expire(client).await?;
            if expired > 0 {
                tracing::warn!(expired, "commands got no answer in time");
            }
            for due in commands::claim(client, LEASE).await? {
                self.publish(client, &due).await?;
            }
            // Something was wanted, or it is time to look.
            let _ = timeout(self.pace.look, self.wake.notified()).await;
        }
    }

    async fn publish(&self, client: &ClientWrapper, due: &Due) -> Result<(), StoreError> {
        let now = self.clock.wall();
        let call = match call(due, now) {
            Ok(call) => call,
            Err(why) => return commands::failed(&**client, due, &why).await,
        };
        let topic = call.topic.clone();
        let why = match self.publisher.publish(call).await {
            Published::Taken => {
                let pause = growing(self.pace.repeat_first, self.pace.repeat_most, due);
                return commands::sent(&**client, due, now, pause).await;
            }
            Published::NobodyListens => format!("nobody listens on {topic} at the broker"),
            Published::Refused(why) => format!(
                "the broker does not take it on {topic}: {why}; log in as a user who may write there"
            ),
            Published::NoConnection(why) | Published::Lost(why) => why,
        };
        let pause = growing(self.pace.again_first, self.pace.again_most, due);
        commands::not_sent(&**client, due, &why, pause).await
    }
}

fn call(due: &Due, now: DateTime<FixedOffset>) -> Result<Call, String> {
    let request = due.request(now)?;
    let site = Id::new("site", due.site.as_str()).map_err(|e| e.to_string())?;
    let agent = Id::new("agent", due.agent.as_str()).map_err(|e| e.to_string())?;
    let topic = request.topic(site, agent).map_err(|e| e.to_string())?;
    let left = (due.expires_at - now.with_timezone(&Utc)).num_seconds();
    Ok(Call {
        topic: topic.to_string(),
        payload: request.to_json(),
        user_properties: Vec::new(),
        response_topic: None,
        correlation: None,
        expires_s: u32::try_from(left).unwrap_or(0).max(1),
    })
}

fn growing(first: Duration, most: Duration, due: &Due) -> Duration {
    let mut backoff = Backoff::new(first, most);
    for _ in 1..due.attempts.clamp(1, 32) {
        backoff.step(1.0);
    }
    backoff.wait()
}
