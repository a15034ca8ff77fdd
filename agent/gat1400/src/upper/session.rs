//! Registration, keep-alive and time.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;

use super::http::{Answer, Login};
use super::wait::Wait;
use super::{UpperLibrary, json, outcome};
use crate::codes::{self, Meaning};
use crate::fault::{UpperError, shown};
use crate::stamp;
use crate::wire::{Device, Keepalive, Register, UnRegister};

/// So many keep-alives may fail in a row.
const MISSED_MAX: u32 = 3;
/// An offset that is worth a warning: GA/T 832 wants clocks within a second of Beijing time, and
/// the library tells whole seconds.
const OFFSET_WARN_MS: i64 = 2_000;

impl UpperLibrary {
    /// Registers with Digest: 401, then 200.
    pub async fn register(&self) -> Result<(), UpperError> {
        let body = Register {
            register_object: self.device(),
        };
        self.ask("VIID/System/Register", &body, Login::Answer)
            .await?;
        self.state.send_modify(|state| {
            state.registered = true;
            state.registrations += 1;
        });
        tracing::info!("registered with the upper library");
        Ok(())
    }

    pub async fn unregister(&self) -> Result<(), UpperError> {
        let body = UnRegister {
            unregister_object: self.device(),
        };
        let done = self
            .ask("VIID/System/UnRegister", &body, Login::Answer)
            .await;
        self.state.send_modify(|state| state.registered = false);
        done.map(|_| ())
    }

    pub async fn keep_alive(&self) -> Result<(), UpperError> {
        let body = Keepalive {
            keepalive_object: self.device(),
        };
        let answer = self
            .ask("VIID/System/Keepalive", &body, self.login())
            .await?;
        self.went_well(&answer);
        Ok(())
    }

    /// The upper library's time less ours, in milliseconds.
    pub async fn offset_ms(&self) -> Result<i64, UpperError> {
        let path = "VIID/System/Time";
        let url = self.url(path)?;
        let before = self.clock.now();
        let answer = self
            .http
            .send(Method::GET, &url, Bytes::new(), self.login())
            .await?;
        let after = self.clock.now();
        good(path, &answer)?;
        let value: Value = serde_json::from_slice(&answer.body)
            .map_err(|e| UpperError::answer(path, e.to_string()))?;
        let holder = ["SystemTimeObject", "ResponseStatusObject"]
            .into_iter()
            .find_map(|name| value.get(name))
            .unwrap_or(&value);
        let text = holder
            .get("LocalTime")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let theirs = stamp::parse("LocalTime", text)?;
        // The middle of the request, by the clock that does not jump.
        let half = after.mono.saturating_sub(before.mono) / 2;
        let half = i64::try_from(half.as_millis()).unwrap_or(i64::MAX);
        let ours = before.wall.timestamp_millis().saturating_add(half);
        Ok(theirs.timestamp_millis().saturating_sub(ours))
    }

    fn device(&self) -> Device {
        Device {
            device_id: self.config.settings.device_id.clone(),
        }
    }

    /// A 401 says that the registration is gone. If it comes again although we registered anew, the
    /// library wants user and password with each request, and gets them.
    pub(super) fn login(&self) -> Login {
        if self.relapses.load(Ordering::Relaxed) > 0 {
            Login::Answer
        } else {
            Login::Leave
        }
    }

    async fn ask<T: Serialize>(
        &self,
        path: &str,
        body: &T,
        login: Login,
    ) -> Result<Answer, UpperError> {
        let url = self.url(path)?;
        let body = json(path, body)?;
        let answer = self.http.send(Method::POST, &url, body, login).await?;
        good(path, &answer)?;
        Ok(answer)
    }

    /// Who asked for user and password is answered at once the next time.
    pub(super) fn went_well(&self, answer: &Answer) {
        self.relapses
            .store(u32::from(answer.logged_in), Ordering::Relaxed);
        self.state
            .send_if_modified(|state| state.failure.take().is_some());
    }

    /// A request that was sent under this registration got a 401 or 403. Where we registered anew
    /// since, that says nothing.
    pub(super) fn lost_registration(&self, registration: u64, status: u16) {
        let is_news = self.state.send_if_modified(|state| {
            let is_this = state.registered && state.registrations == registration;
            state.registered &= !is_this;
            is_this
        });
        if is_news {
            self.relapses.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("the upper library answers {status}: registering anew");
        }
    }

    pub(super) fn registration(&self) -> u64 {
        self.state.borrow().registrations
    }

    /// Registers, keeps alive, and registers anew where that fails. Never ends.
    pub(super) async fn keep_registered(&self) {
        let settings = &self.config.settings;
        let mut wait = Wait::new(settings.wait_least, settings.wait_most);
        let mut state = self.state.subscribe();
        loop {
            // A library that forgets us at once is not asked without a pause.
            if self.relapses.load(Ordering::Relaxed) > 1 {
                wait.sleep().await;
            }
            if let Err(e) = self.register().await {
                self.failed(&e);
                wait.sleep().await;
                continue;
            }
            self.tell_time().await;
            let mut missed = 0;
            while missed < MISSED_MAX {
                let lost = state.wait_for(|state| !state.registered);
                if tokio::time::timeout(settings.keep_alive, lost)
                    .await
                    .is_ok()
                {
                    break;
                }
                let current = self.registration();
                match self.keep_alive().await {
                    Ok(()) => {
                        missed = 0;
                        wait.reset();
                    }
                    Err(UpperError::NotRegistered { status, .. }) => {
                        self.lost_registration(current, status);
                    }
                    Err(UpperError::Login { .. }) => self.lost_registration(current, 401),
                    Err(e) => {
                        missed += 1;
                        self.failed(&e);
                    }
                }
            }
            self.state.send_modify(|state| state.registered = false);
        }
    }

    async fn tell_time(&self) {
        match self.offset_ms().await {
            Ok(offset) => {
                self.state
                    .send_modify(|state| state.offset_ms = Some(offset));
                if offset.abs() >= OFFSET_WARN_MS {
                    tracing::warn!(
                        "the upper library's clock is {offset} ms ahead of ours; set both by one \
                         time source"
                    );
                }
            }
            Err(e) => tracing::warn!("{e}; the offset of the clocks is not known"),
        }
    }
}

/// Whether the request as a whole went well. A library that gives no status has taken it.
fn good(path: &str, answer: &Answer) -> Result<(), UpperError> {
    let status = answer.status.as_u16();
    let path = path.to_owned();
    if matches!(status, 401 | 403) {
        return Err(UpperError::NotRegistered { path, status });
    }
    let told = outcome::statuses(&answer.body).and_then(|all| all.into_iter().next());
    let why = told
        .as_ref()
        .map(|s| shown(&s.status_string))
        .unwrap_or_default();
    let code = told.and_then(|s| s.status_code).unwrap_or(0);
    let taken = u32::try_from(code).is_ok_and(|code| codes::meaning(code) == Meaning::Taken);
    if answer.status.is_success() && taken {
        return Ok(());
    }
    let why = format!("{why} (StatusCode {code})");
    Err(UpperError::Status { path, status, why })
}
