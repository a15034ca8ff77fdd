//! Messages into the database, whoever brings them: a lane from the broker, or the release of what
//! was kept apart.

use std::collections::HashMap;
use std::time::Duration;

use chrono::Utc;
use kakou_contract::Topic;
use kakou_time::SharedClock;
use kakou_uplink::{Backoff, Received};

use super::agents::{Agents, Known, Name};
use super::decode::{Apart, Doubt, birth_key, decode, topic};
use super::objects::{Objects, ObjectsError};
use super::rows::Row;
use super::write::{Batch, OnNew, Writer, Written};
use crate::store::{Days, Store, StoreError};

/// Pauses while the database or the object store is away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What a message's topic says, if it is one of the contract's, and the message.
type ByTopic = (Option<(Topic, Name)>, Received);

#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    #[error("decoding ended unexpectedly: {0}")]
    Decode(String),
}

impl TakeError {
    /// This batch, not the database, is what is wrong.
    fn is_of_the_batch(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_of_the_values())
    }
}

/// What every lane works with.
#[derive(Debug, Clone)]
pub struct Intake<H> {
    pub store: Store,
    pub agents: Agents,
    pub days: Days,
    pub objects: Objects,
    pub clock: SharedClock,
    pub on_new: H,
}

impl<H: OnNew + Clone + 'static> Intake<H> {
    /// Takes them in, however long the database is away; returns when all are committed.
    pub async fn take(&self, writer: &mut Option<Writer>, messages: Vec<Received>) -> Written {
        self.take_released(writer, messages, Vec::new()).await
    }

    /// The same for messages that were rows of the quarantine, which are released with it.
    pub async fn take_released(
        &self,
        writer: &mut Option<Writer>,
        messages: Vec<Received>,
        released: Vec<i64>,
    ) -> Written {
        let batch = self.decode(writer, messages, released).await;
        self.write(writer, batch).await
    }

    /// Believes them or not; for that it asks the database who they are from.
    pub async fn decode(
        &self,
        writer: &mut Option<Writer>,
        messages: Vec<Received>,
        released: Vec<i64>,
    ) -> Batch {
        let named: Vec<ByTopic> = messages
            .into_iter()
            .map(|message| (topic(&message.topic), message))
            .collect();
        let mut patience = Patience::new("agents");
        let agents = loop {
            match self.try_prepare(writer, &named).await {
                Ok(agents) => break agents,
                Err(error) => patience.wait(writer, &error).await,
            }
        };
        patience.is_over();
        let decoded = tokio::task::spawn_blocking(move || decode_all(&agents, named)).await;
        match decoded {
            Ok(mut batch) => {
                batch.released = released;
                batch
            }
            // A bug. The lane ends with it, and then the process: its messages are not acknowledged, so
            // they come again.
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime ends.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Writes a batch that is decoded, however long that takes.
    pub async fn write(&self, writer: &mut Option<Writer>, batch: Batch) -> Written {
        let mut total = Written::default();
        let mut todo = vec![batch];
        let mut patience = Patience::new("messages");
        while let Some(batch) = todo.pop() {
            match self.try_write(writer, &batch).await {
                Ok(written) => {
                    patience.is_over();
                    total.fresh += written.fresh;
                    total.repeats += written.repeats;
                    total.apart += written.apart;
                }
                Err(error) if !error.is_of_the_batch() => {
                    patience.wait(writer, &error).await;
                    todo.push(batch);
                }
                Err(error) => {
                    // Its transaction is gone with it.
                    *writer = None;
                    if batch.messages() <= 1 {
                        todo.extend(unstorable(batch, &error));
                    } else {
                        let (first, second) = batch.halves();
                        todo.push(second);
                        todo.push(first);
                    }
                }
            }
        }
        total
    }

    async fn try_prepare(
        &self,
        writer: &mut Option<Writer>,
        named: &[ByTopic],
    ) -> Result<HashMap<Name, Known>, TakeError> {
        let client = self.ready(writer).await?.client();
        let names = named
            .iter()
            .filter_map(|(found, _)| Some(found.as_ref()?.1.clone()));
        let mut agents = self.agents.know(client, names.collect()).await?;
        for (found, message) in named {
            let Some((Topic::Status { .. }, name)) = found else {
                continue;
            };
            if let Some(known) = agents.get_mut(name).filter(|known| known.key.is_none())
                && let Some(key) = birth_key(message)
            {
                known.key = self.agents.pin(client, name, known, &key).await?;
            }
        }
        Ok(agents)
    }

    async fn try_write(
        &self,
        writer: &mut Option<Writer>,
        batch: &Batch,
    ) -> Result<Written, TakeError> {
        let mut pictures = Vec::new();
        for one in &batch.believed {
            if let Row::Picture(picture) = &one.row {
                pictures.push((picture.object.clone(), one.frame.body.clone()));
            }
        }
        self.objects.put(pictures).await?;
        let writer = self.ready(writer).await?;
        let times: Vec<_> = batch.believed.iter().map(|one| one.frame.time).collect();
        let now = self.clock.wall().with_timezone(&Utc);
        self.days.make(writer.client(), now, times).await?;
        Ok(writer.write(batch, &self.on_new).await?)
    }

    async fn ready<'a>(&self, writer: &'a mut Option<Writer>) -> Result<&'a mut Writer, TakeError> {
        if writer.is_none() {
            *writer = Some(Writer::new(self.store.client().await?));
        }
        writer
            .as_mut()
            .ok_or_else(|| StoreError::Connection("none".to_owned()).into())
    }
}

/// Waits while something is away, and says so once.
struct Patience {
    what: &'static str,
    backoff: Backoff,
    told: bool,
}

impl Patience {
    fn new(what: &'static str) -> Self {
        Self {
            what,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            told: false,
        }
    }

    /// The connection is a new one after each failure.
    async fn wait(&mut self, writer: &mut Option<Writer>, error: &TakeError) {
        *writer = None;
        if !self.told {
            let what = self.what;
            tracing::warn!(what, %error, "not taken yet, it is tried again; what comes waits at the broker");
            self.told = true;
        }
        tokio::time::sleep(self.backoff.wait()).await;
    }

    fn is_over(&mut self) {
        if std::mem::take(&mut self.told) {
            tracing::info!(what = self.what, "taken again");
            self.backoff.reset();
        }
    }
}

/// What the database refuses by itself is kept apart, with the reason.
fn unstorable(batch: Batch, error: &TakeError) -> Option<Batch> {
    let Some(one) = batch.believed.into_iter().next() else {
        tracing::error!(%error, "a message cannot even be kept apart");
        return None;
    };
    tracing::error!(event = one.frame.event_id, %error, "the database does not take this message");
    let frame = one.frame;
    let seal = match (frame.sequence, frame.previous, frame.hash) {
        (Some(sequence), Some(previous), Some(hash)) => Some((sequence, previous, hash)),
        _ => None,
    };
    let mut apart = Batch::default();
    apart.apart.push(Apart {
        agent: Some(frame.agent),
        doubt: Doubt::Unstorable,
        detail: error.to_string(),
        message: Received {
            topic: format!("{} {}", one.row.table().name(), frame.event_id),
            payload: frame.body.to_vec(),
            ..Received::default()
        },
        seal,
    });
    apart.released = batch.released;
    Some(apart)
}

/// Signatures and JSON: the work of a processor, not of the runtime.
fn decode_all(agents: &HashMap<Name, Known>, named: Vec<ByTopic>) -> Batch {
    let mut batch = Batch::default();
    let named = named.into_iter().map(|(found, message)| {
        let known = found.and_then(|(topic, name)| Some((topic, agents.get(&name)?.clone())));
        (message, known)
    });
    for one in decode(named.collect()) {
        match one {
            Ok(believed) => batch.believed.push(believed),
            Err(apart) => batch.apart.push(*apart),
        }
    }
    batch
}
