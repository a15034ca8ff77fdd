//! The upper view library (上级视图库) as this side sees it.
//!
//! [`UpperLibrary::serve`] registers, keeps alive, and pushes what the source has, until it is
//! stopped; then it unregisters. Whatever fails is tried again after a wait that doubles up to the
//! configured most and is spread by chance. Three failed keep-alives, or one 401 or 403 to anything,
//! make it register anew.

mod deliver;
mod http;
mod outcome;
mod session;
mod source;
mod wait;

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use kakou_time::SharedClock;
use reqwest::Method;
use serde::Serialize;
use tokio::sync::watch;
use url::Url;

use crate::config::UpperConfig;
use crate::fault::{FieldError, UpperError};
use crate::map::Mapping;
use crate::subscription::Subscription;
use crate::wire::{
    DispositionNotificationList, DispositionNotificationListObject, DispositionNotificationObject,
    SubscribeNotificationList, SubscribeNotificationListObject, SubscribeNotificationObject,
};
use http::{Http, Login};
use outcome::Outcome;

pub use outcome::Verdict;
pub use source::{Item, Outgoing, Refusal};

/// How it stands with the upper library; for people and for metrics.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct UpperState {
    pub registered: bool,
    /// How often it registered since the start.
    pub registrations: u64,
    /// The upper library's time less ours, in milliseconds; it tells whole seconds only.
    pub offset_ms: Option<i64>,
    /// Vehicles it took, refused for good, and did not take at first.
    pub taken: u64,
    pub refused: u64,
    pub again: u64,
    /// The last failure; `None` once something went well.
    pub failure: Option<String>,
}

pub struct UpperLibrary {
    config: UpperConfig,
    mapping: RwLock<Arc<Mapping>>,
    clock: SharedClock,
    http: Http,
    state: watch::Sender<UpperState>,
    /// How often the registration was lost since a request went well.
    relapses: std::sync::atomic::AtomicU32,
}

impl UpperLibrary {
    /// The program must have installed a TLS provider.
    pub fn new(
        config: UpperConfig,
        mapping: Mapping,
        clock: SharedClock,
    ) -> Result<Self, FieldError> {
        let http = Http::new(&config)?;
        Ok(Self {
            config,
            mapping: RwLock::new(Arc::new(mapping)),
            clock,
            http,
            state: watch::Sender::default(),
            relapses: Default::default(),
        })
    }

    /// How it stands, now and at each change.
    pub fn state(&self) -> watch::Receiver<UpperState> {
        self.state.subscribe()
    }

    /// How passages become objects now.
    pub fn mapping(&self) -> Arc<Mapping> {
        Arc::clone(&self.mapping.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The list of cameras changed: what is sent from now on goes by this.
    pub fn map_by(&self, mapping: Mapping) {
        let mut current = self.mapping.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(mapping);
    }

    /// Runs until `stop` is ready. What was under way then is sent again after the next start.
    pub async fn serve<S: Outgoing>(&self, source: &S, stop: impl Future<Output = ()>) {
        let work = async { tokio::join!(self.keep_registered(), self.push_all(source)) };
        tokio::select! {
            _ = work => {}
            () = stop => {}
        }
        if self.state.borrow().registered
            && let Err(e) = self.unregister().await
        {
            tracing::warn!("{e}; the upper library will notice by the missing keep-alive");
        }
    }

    /// Tells a subscriber. `Ok` only if it took the notification; else it is to be told again.
    pub async fn notify(
        &self,
        subscription: &Subscription,
        notification: SubscribeNotificationObject,
    ) -> Result<Verdict, UpperError> {
        // The list of hosts may have changed since the subscription was taken.
        let url = self
            .config
            .hosts
            .address("ReceiveAddr", subscription.address().as_str())?;
        let id = notification.notification_id.to_string();
        let body = SubscribeNotificationList {
            subscribe_notification_list_object: SubscribeNotificationListObject {
                subscribe_notification_object: vec![notification],
            },
        };
        self.tell(&url, &id, &body).await
    }

    /// Tells the upper library of a hit on one of its dispositions.
    pub async fn notify_disposition(
        &self,
        notification: DispositionNotificationObject,
    ) -> Result<Verdict, UpperError> {
        let url = self.url("VIID/DispositionNotifications")?;
        let id = notification.notification_id.to_string();
        let body = DispositionNotificationList {
            disposition_notification_list_object: DispositionNotificationListObject {
                disposition_notification_object: vec![notification],
            },
        };
        self.tell(&url, &id, &body).await
    }

    async fn tell<T: Serialize>(
        &self,
        url: &Url,
        id: &str,
        body: &T,
    ) -> Result<Verdict, UpperError> {
        let bytes = json(url.path(), body)?;
        let answer = self
            .http
            .send(Method::POST, url, bytes, Login::Answer)
            .await?;
        let library = self.config.settings.device_id.as_str();
        let path = url.path().to_owned();
        match outcome::of(answer.status, &answer.body, &[id], library) {
            Outcome::Each(each) => each
                .into_iter()
                .next()
                .ok_or_else(|| UpperError::answer(&path, "it says nothing of the notification")),
            Outcome::Split(why) => Ok(Verdict::Refused(why)),
            Outcome::NotRegistered => {
                let status = answer.status.as_u16();
                Err(UpperError::NotRegistered { path, status })
            }
            Outcome::Later(why) => {
                let status = answer.status.as_u16();
                Err(UpperError::Status { path, status, why })
            }
        }
    }

    fn url(&self, path: &str) -> Result<Url, UpperError> {
        self.config
            .base
            .join(path)
            .map_err(|e| UpperError::answer(path, e.to_string()))
    }

    fn failed(&self, what: &dyn std::fmt::Display) {
        let text = what.to_string();
        tracing::warn!("{text}");
        self.state.send_modify(|state| state.failure = Some(text));
    }
}

fn json<T: Serialize>(path: &str, body: &T) -> Result<Bytes, UpperError> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|e| UpperError::answer(path, e.to_string()))
}
