//! The task that tells recipients of hits.
//!
//! It wakes when a hit is committed, takes what is due from the table, most urgent first, and sends
//! it; it also looks by itself, so that a notification that is lost costs a moment and no hit. One
//! statement takes for all recipients, and one records what came of the tries. Both are committed
//! without waiting for the disk: what a power cut of the database takes back is sent once more.
//!
//! It ends only when told to. No error of the database, the broker or a recipient ends it; it is
//! logged, and tried again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use deadpool_postgres::{ClientWrapper, Object};
use futures_util::future::try_join_all;
use kakou_contract::{HitMessage, Message as _};
use kakou_time::SharedClock;
use kakou_uplink::Backoff;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};

use super::config::Recipients;
use super::event::Event;
use super::lanes::{self, Lane, Parcel};
use super::publisher::PushBroker;
use super::queue::{self, Channel, Claimed, GivenUp, NOTIFIED, StoredHit, Verdict};
use super::rights::HitFacts;
use super::upkeep::switch_off;
use super::webhook::{Outcome, WebhookError};
use crate::store::{Store, StoreError};

#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Webhook(#[from] WebhookError),
    #[error("recipient {0:?} is told over MQTT, and there is no broker; name one in the config")]
    NoBroker(String),
}

/// How fast a pusher goes about it. The default is for use; tests are faster.
#[derive(Debug, Clone)]
pub struct PushPace {
    /// Without a notification it looks after so long.
    pub look: Duration,
    /// What is given up without a try is looked for that often.
    pub sweep: Duration,
    /// Beyond the timeout of a try, before another process takes it.
    pub lease_beyond: Duration,
    /// Pauses of a delivery that was not taken.
    pub again_first: Duration,
    pub again_most: Duration,
    /// Pauses of a recipient that is away.
    pub away_first: Duration,
    pub away_most: Duration,
}

impl Default for PushPace {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(500),
            sweep: Duration::from_secs(30),
            lease_beyond: Duration::from_secs(20),
            again_first: Duration::from_millis(500),
            again_most: Duration::from_secs(60),
            away_first: Duration::from_millis(200),
            away_most: Duration::from_secs(15),
        }
    }
}

/// Dropping it ends it at once; what was on its way is tried again by another process, or at the
/// next start.
#[derive(Debug)]
pub struct Pusher {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    ears: JoinHandle<()>,
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.task.abort();
        self.ears.abort();
    }
}

impl Pusher {
    /// Must be called within a tokio runtime.
    pub fn start(
        store: Store,
        recipients: Arc<Recipients>,
        broker: Option<&PushBroker>,
        clock: SharedClock,
        pace: PushPace,
    ) -> Result<Self, PushError> {
        let lanes = lanes::open(&recipients, broker, &clock, &pace)?;
        let (stop, stopping) = watch::channel(false);
        let wake = Arc::new(Notify::new());
        let ears = tokio::spawn(listen(store.clone(), NOTIFIED, wake.clone()));
        let work = Work {
            store,
            recipients,
            clock,
            pace,
            lanes,
            wake,
            stopping,
            tries: JoinSet::new(),
            tickets: HashMap::new(),
            unrecorded: Vec::new(),
            gone: Vec::new(),
        };
        let task = tokio::spawn(work.run());
        Ok(Self { stop, task, ears })
    }

    /// Returns when it has ended, which it does only when told to, or by a panic.
    pub async fn ended(&mut self) {
        tokio::select! {
            _ = &mut self.task => {}
            _ = &mut self.ears => {}
        }
    }

    /// Takes nothing more, waits for what is on its way, and records it. A database that is away
    /// makes it wait no longer than `within`.
    pub async fn stop(mut self, within: Duration) {
        // Its task may have ended.
        let _ = self.stop.send(true);
        let _ = tokio::time::timeout(within, &mut self.task).await;
    }
}

/// Wakes on each notification, and on each new connection: what was notified meanwhile was not
/// heard.
pub(super) async fn listen(store: Store, channel: &'static str, wake: Arc<Notify>) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    loop {
        match store.listen(channel, 1).await {
            Ok(mut listener) => {
                backoff.reset();
                wake.notify_one();
                while listener.hear().await {
                    wake.notify_one();
                }
            }
            Err(error) => tracing::warn!(%error, channel, "nothing is heard from the database"),
        }
        sleep(backoff.wait()).await;
    }
}

/// A connection for one task alone. What it commits need not be on the disk at once.
pub(super) async fn own_connection(store: &Store) -> Result<ClientWrapper, StoreError> {
    let client = Object::take(store.client().await?);
    client.batch_execute("SET synchronous_commit = off").await?;
    Ok(client)
}

struct Work {
    store: Store,
    recipients: Arc<Recipients>,
    clock: SharedClock,
    pace: PushPace,
    lanes: Vec<Lane>,
    wake: Arc<Notify>,
    stopping: watch::Receiver<bool>,
    tries: JoinSet<Outcome>,
    /// Which try is which: the lane, and what it sends.
    tickets: HashMap<Id, (usize, Claimed)>,
    /// Kept until the database has it.
    unrecorded: Vec<(Claimed, Verdict)>,
    /// Lanes that said "never again", until the database has it.
    gone: Vec<usize>,
}

impl Work {
    async fn run(mut self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            let session = async {
                let client = own_connection(&self.store).await?;
                backoff.reset();
                self.session(&client).await
            };
            match session.await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "hits are not pushed; trying again"),
            }
            sleep(backoff.wait()).await;
        }
    }

    /// One connection to the database. Ok: told to stop, and all is recorded.
    async fn session(&mut self, client: &ClientWrapper) -> Result<(), StoreError> {
        let mut sweep_at = Instant::now();
        loop {
            while let Some(ended) = self.tries.try_join_next_with_id() {
                self.ended(ended);
            }
            self.record(client).await?;
            let is_stopping = *self.stopping.borrow();
            if is_stopping && self.tries.is_empty() {
                return Ok(());
            }
            if !is_stopping {
                if self.claim(client).await? {
                    // Perhaps there is more.
                    continue;
                }
                if sweep_at <= Instant::now() {
                    let limits = self.recipients.settings.give_up_after_s;
                    tell(&queue::sweep(client, |level| limits.of(level)).await?);
                    sweep_at = Instant::now() + self.pace.sweep;
                }
            }
            self.wait(is_stopping).await;
        }
    }

    /// Until there may be something to do.
    async fn wait(&mut self, is_stopping: bool) {
        let now = Instant::now();
        let back = self.lanes.iter().filter_map(Lane::back_at);
        let back = back.filter(|at| *at > now);
        let look = now + self.pace.look;
        let look = back.min().map_or(look, |at| at.min(look));
        let ended = tokio::select! {
            Some(ended) = self.tries.join_next_with_id() => Some(ended),
            () = self.wake.notified(), if !is_stopping => None,
            () = sleep_until(look) => None,
            _ = self.stopping.changed(), if !is_stopping => None,
        };
        if let Some(ended) = ended {
            self.ended(ended);
        }
    }

    fn ended(&mut self, ended: Result<(Id, Outcome), tokio::task::JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) => (
                error.id(),
                Outcome::NotTaken {
                    why: format!("a fault of this program: {error}"),
                },
            ),
        };
        let Some((index, delivery)) = self.tickets.remove(&id) else {
            return;
        };
        let Some(lane) = self.lanes.get_mut(index) else {
            return;
        };
        lane.busy = lane.busy.saturating_sub(1);
        if outcome == Outcome::Gone {
            self.gone.push(index);
        }
        let verdict = lane.judge(&delivery, outcome);
        self.unrecorded.push((delivery, verdict));
    }

    async fn record(&mut self, client: &ClientWrapper) -> Result<(), StoreError> {
        while let Some(lane) = self.gone.last().and_then(|index| self.lanes.get(*index)) {
            let key = lane.key();
            let why = "410 Gone: the recipient wants nothing any more";
            switch_off(&**client, key, why).await?;
            tracing::warn!(recipient = key.0, "answered 410 Gone and is switched off");
            self.gone.pop();
        }
        if self.unrecorded.is_empty() {
            return Ok(());
        }
        let limits = self.recipients.settings.give_up_after_s;
        let given_up = queue::record(client, &self.unrecorded, |level| limits.of(level)).await?;
        self.unrecorded.clear();
        tell(&given_up);
        Ok(())
    }

    /// `true`: something was taken.
    async fn claim(&mut self, client: &ClientWrapper) -> Result<bool, StoreError> {
        let now = Instant::now();
        let rooms: Vec<_> = self
            .lanes
            .iter()
            .filter_map(|lane| lane.room(now))
            .collect();
        if rooms.is_empty() {
            return Ok(false);
        }
        let timeout = Duration::from_secs(self.recipients.settings.timeout_s);
        let lease = timeout + self.pace.lease_beyond;
        let claimed = queue::claim(client, &rooms, lease).await?;
        let hits = claimed
            .iter()
            .map(|delivery| queue::fetch(client, delivery));
        let hits = try_join_all(hits).await?;
        let is_any = !claimed.is_empty();
        for (delivery, hit) in claimed.into_iter().zip(hits) {
            match self.parcel(&delivery, hit) {
                Ok((index, parcel)) => {
                    if let Some(lane) = self.lanes.get_mut(index) {
                        lane.busy += 1;
                        let id = self.tries.spawn(lane.send(parcel, timeout)).id();
                        self.tickets.insert(id, (index, delivery));
                    }
                }
                Err(why) => self.unrecorded.push((delivery, Verdict::Failed { why })),
            }
        }
        Ok(is_any)
    }

    /// What is sent, by the rights as they are now, or why nothing can be.
    fn parcel(
        &self,
        delivery: &Claimed,
        hit: Option<StoredHit>,
    ) -> Result<(usize, Parcel), String> {
        let is_lane =
            |lane: &Lane| lane.recipient == delivery.recipient && lane.channel == delivery.channel;
        let index = self.lanes.iter().position(is_lane);
        let index = index.ok_or("the recipient is in no config")?;
        let hit = hit.ok_or("the row of the hit is gone")?;
        // Each delivery is tried by pauses of its own, so the later word may have gone before.
        if hit.is_taken_back {
            return Err("it was taken back before it was told".to_owned());
        }
        let recipient = self.recipients.list.iter();
        let recipient = recipient
            .clone()
            .find(|it| it.name.as_str() == delivery.recipient)
            .ok_or("the recipient is in no config")?;
        let word = |what: &str, word: &str| format!("the hit has an unknown {what} {word:?}");
        let facts = HitFacts {
            site: &hit.site,
            prefecture: hit.prefecture.as_deref(),
            level: hit.level.parse().map_err(|_| word("level", &hit.level))?,
            state: hit.state.parse().map_err(|_| word("state", &hit.state))?,
            category: &hit.category,
        };
        let grant = self.recipients.grant(recipient, &facts);
        let grant = grant.ok_or("the recipient has no right to it any more")?;
        let settings = &self.recipients.settings;
        let now = self.clock.wall().with_timezone(&Utc);
        let age = |since: DateTime<Utc>| (now - since).to_std().unwrap_or_default();
        // As the agent counts: from the last frame that it rests on.
        let decided = serde_json::from_slice::<HitMessage>(&hit.body);
        let decided = decided.map_or(delivery.time, |it| it.captured_at().with_timezone(&Utc));
        let is_late = age(decided) > settings.late_after_s.of(delivery.level);
        let event = Event::new(&hit.body, grant, is_late).map_err(|e| e.to_string())?;
        let left = settings.give_up_after_s.of(delivery.level);
        let left = left.saturating_sub(age(delivery.created_at));
        let parcel = Parcel {
            event,
            event_id: delivery.event_id.clone(),
            expires_s: match delivery.channel {
                Channel::Mqtt => lanes::expires_s(&hit.state, left),
                Channel::Webhook => 0,
            },
            site: hit.site,
            level: delivery.level,
        };
        Ok((index, parcel))
    }
}

fn tell(given_up: &[GivenUp]) {
    for it in given_up {
        let (recipient, channel) = (&it.recipient, &it.channel);
        tracing::warn!(
            recipient,
            channel,
            hit = it.event_id,
            error = it.error,
            "a hit was not delivered"
        );
    }
}
