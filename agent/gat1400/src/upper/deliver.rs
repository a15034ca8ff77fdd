//! From the source to the upper library, batch by batch.

use bytes::Bytes;
use reqwest::Method;
use uuid::Uuid;

use super::UpperLibrary;
use super::outcome::{self, Outcome, Verdict};
use super::source::{Item, Outgoing, Refusal};
use super::wait::Wait;
use crate::fault::UpperError;

const PATH: &str = "VIID/MotorVehicles";
const HEAD: &[u8] = br#"{"MotorVehicleListObject":{"MotorVehicleObject":["#;
const TAIL: &[u8] = b"]}}";

/// A vehicle object, ready for the wire.
struct Ready {
    passage: Uuid,
    object: String,
    json: Vec<u8>,
}

/// How a round ended.
enum Round {
    /// Everything was answered, and something was taken or refused.
    On,
    /// Wait before the next.
    Pause,
}

impl UpperLibrary {
    /// Never ends.
    pub(super) async fn push_all<S: Outgoing>(&self, source: &S) {
        let settings = &self.config.settings;
        let mut wait = Wait::new(settings.wait_least, settings.wait_most);
        let mut state = self.state.subscribe();
        loop {
            // The sender lives as long as this.
            let _ = state.wait_for(|state| state.registered).await;
            let items = match source.next(settings.batch_objects).await {
                Ok(items) => items,
                Err(e) => {
                    self.failed(&format_args!("what is to be sent cannot be read: {e}"));
                    wait.sleep().await;
                    continue;
                }
            };
            if items.is_empty() {
                tokio::time::sleep(settings.idle).await;
                continue;
            }
            match self.round(source, items).await {
                Ok(Round::On) => wait.reset(),
                Ok(Round::Pause) => wait.sleep().await,
                Err(e) => {
                    self.failed(&format_args!(
                        "what was sent cannot be noted: {e}; it is sent again"
                    ));
                    wait.sleep().await;
                }
            }
        }
    }

    async fn round<S: Outgoing>(&self, source: &S, items: Vec<Item>) -> Result<Round, S::Error> {
        let mut ready = Vec::with_capacity(items.len());
        for item in items {
            match self.ready(&item) {
                Ok(one) => ready.push(one),
                Err(why) => self.give_up(source, item.passage.id, &why).await?,
            }
        }
        // The last is sent first.
        let mut batches = self.batches(ready);
        batches.reverse();
        while let Some(batch) = batches.pop() {
            match self.push(&batch).await {
                Ok(Outcome::Each(verdicts)) => {
                    if let Round::Pause = self.note(source, &batch, verdicts).await? {
                        return Ok(Round::Pause);
                    }
                }
                Ok(Outcome::Split(why)) => match halves(batch) {
                    Ok((first, second)) => batches.extend([second, first]),
                    Err(only) => {
                        for one in only {
                            let why = Refusal::Upper(why.clone());
                            self.give_up(source, one.passage, &why).await?;
                        }
                    }
                },
                Ok(Outcome::NotRegistered) => return Ok(Round::Pause),
                Ok(Outcome::Later(why)) => {
                    self.failed(&format_args!("{PATH}: {why}; it is tried again"));
                    return Ok(Round::Pause);
                }
                Err(e) => {
                    self.failed(&e);
                    return Ok(Round::Pause);
                }
            }
        }
        Ok(Round::On)
    }

    fn ready(&self, item: &Item) -> Result<Ready, Refusal> {
        let vehicle = self
            .mapping()
            .vehicle(&item.passage, &item.pictures, item.suspicious)?;
        let json = serde_json::to_vec(&vehicle).map_err(|e| Refusal::Upper(e.to_string()))?;
        let (bytes, most) = (
            json.len() + HEAD.len() + TAIL.len(),
            self.config.settings.batch_bytes,
        );
        if bytes > most {
            return Err(Refusal::TooLarge { bytes, most });
        }
        Ok(Ready {
            passage: item.passage.id,
            object: vehicle.motor_vehicle_id.to_string(),
            json,
        })
    }

    /// As few as keep the bound of bytes.
    fn batches(&self, ready: Vec<Ready>) -> Vec<Vec<Ready>> {
        let room = self
            .config
            .settings
            .batch_bytes
            .saturating_sub(HEAD.len() + TAIL.len());
        let mut batches: Vec<Vec<Ready>> = Vec::new();
        let mut used = 0;
        for one in ready {
            // And the comma before it.
            let bytes = one.json.len() + 1;
            match batches.last_mut() {
                Some(batch) if used + bytes <= room => batch.push(one),
                _ => {
                    used = 0;
                    batches.push(vec![one]);
                }
            }
            used += bytes;
        }
        batches
    }

    async fn push(&self, batch: &[Ready]) -> Result<Outcome, UpperError> {
        let objects: Vec<&[u8]> = batch.iter().map(|one| one.json.as_slice()).collect();
        let body = Bytes::from([HEAD, &objects.join(&b','), TAIL].concat());
        let url = self.url(PATH)?;
        let current = self.registration();
        let answer = match self.http.send(Method::POST, &url, body, self.login()).await {
            // It took user and password when we registered: now it does not know us any more.
            Err(UpperError::Login { .. }) => {
                self.lost_registration(current, 401);
                return Ok(Outcome::NotRegistered);
            }
            sent => sent?,
        };
        let ids: Vec<&str> = batch.iter().map(|one| one.object.as_str()).collect();
        let library = self.config.settings.device_id.as_str();
        let outcome = outcome::of(answer.status, &answer.body, &ids, library);
        match &outcome {
            Outcome::NotRegistered => self.lost_registration(current, answer.status.as_u16()),
            Outcome::Each(_) => self.went_well(&answer),
            Outcome::Split(_) | Outcome::Later(_) => {}
        }
        Ok(outcome)
    }

    async fn note<S: Outgoing>(
        &self,
        source: &S,
        batch: &[Ready],
        verdicts: Vec<Verdict>,
    ) -> Result<Round, S::Error> {
        let all = || batch.iter().zip(&verdicts);
        let taken: Vec<Uuid> = all()
            .filter(|(_, verdict)| **verdict == Verdict::Taken)
            .map(|(one, _)| one.passage)
            .collect();
        if !taken.is_empty() {
            source.done(&taken).await?;
            self.state
                .send_modify(|state| state.taken += taken.len() as u64);
        }
        let mut progress = !taken.is_empty();
        for (one, verdict) in all() {
            match verdict {
                Verdict::Taken => {}
                Verdict::Refused(why) => {
                    self.give_up(source, one.passage, &Refusal::Upper(why.clone()))
                        .await?;
                    progress = true;
                }
                Verdict::Again(why) => {
                    tracing::debug!("passage {} is sent again: {why}", one.passage);
                    source.again(one.passage, why).await?;
                    self.state.send_modify(|state| {
                        state.again += 1;
                        state.failure = Some(why.clone());
                    });
                }
            }
        }
        Ok(if progress { Round::On } else { Round::Pause })
    }

    async fn give_up<S: Outgoing>(
        &self,
        source: &S,
        passage: Uuid,
        why: &Refusal,
    ) -> Result<(), S::Error> {
        tracing::warn!("passage {passage} is not sent to the upper library: {why}");
        source.refused(passage, why).await?;
        self.state.send_modify(|state| state.refused += 1);
        Ok(())
    }
}

/// `Err`: it is a single one.
fn halves(mut batch: Vec<Ready>) -> Result<(Vec<Ready>, Vec<Ready>), Vec<Ready>> {
    if batch.len() < 2 {
        return Err(batch);
    }
    let second = batch.split_off(batch.len() / 2);
    Ok((batch, second))
}
