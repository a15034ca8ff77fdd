//! What the upper library asks of this side: its subscriptions.
//!
//! `GET`, `POST`, `PUT` and `DELETE /VIID/Subscribes`, and the same of one at
//! `/VIID/Subscribes/{SubscribeID}`. Every request is authenticated by Digest, and must name the
//! upper library's DeviceID where it names one. Each subscription gets a status of its own; what
//! cannot be served is refused with the field and the mend, and the others are kept.

mod digest;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use axum::routing::any;
use kakou_guard::Secret;
use kakou_time::SharedClock;
use serde::Serialize;

use crate::codes::Answer;
use crate::fault::shown;
use crate::ids::DeviceId;
use crate::stamp;
use crate::subscription::{Hosts, Subscription};
use crate::wire::{
    ResponseStatusList, ResponseStatusListObject, ResponseStatusObject, SubscribeList,
    SubscribeListObject, SubscribeObject,
};
use digest::{Account, Challenges, Proof};

const BODY_MAX: usize = 1 << 20;
/// The most subscriptions of one request.
const REQUEST_MAX: usize = 100;

/// Where subscriptions are kept. A restart must not lose them.
pub trait SubscriptionStore: Send + Sync + 'static {
    type Error: std::error::Error + Send + Sync + 'static;

    fn all(&self) -> impl Future<Output = Result<Vec<SubscribeObject>, Self::Error>> + Send;

    /// In place of the one with the same `SubscribeID`, if there is one.
    fn put(&self, object: SubscribeObject) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Whether there was one.
    fn remove(&self, id: &str) -> impl Future<Output = Result<bool, Self::Error>> + Send;
}

/// What the router must know.
pub struct Gate<S> {
    pub store: S,
    pub clock: SharedClock,
    /// The upper library's DeviceID.
    pub upper: DeviceId,
    /// How the upper library logs in here.
    pub user: String,
    pub password: Secret,
    /// Where notifications may go.
    pub hosts: Hosts,
    /// The most subscriptions that are kept.
    pub most: usize,
}

struct Shared<S> {
    gate: Gate<S>,
    account: Account,
    challenges: Mutex<Challenges>,
}

/// The routes, to be merged into a server of the program. Not to be nested: the other side's answer
/// to a challenge is for the path as it wrote it.
pub fn router<S: SubscriptionStore>(gate: Gate<S>) -> Router {
    let account = Account {
        user: gate.user.clone(),
        password: gate.password.clone(),
    };
    let shared = Arc::new(Shared {
        gate,
        account,
        challenges: Mutex::default(),
    });
    Router::new()
        .route("/VIID/Subscribes", any(several::<S>))
        .route("/VIID/Subscribes/{id}", any(one::<S>))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

type Asked<S> = State<Arc<Shared<S>>>;

async fn several<S: SubscriptionStore>(
    State(shared): Asked<S>,
    method: Method,
    uri: Uri,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let uri = uri.path_and_query().map_or("", |p| p.as_str()).to_owned();
    if let Err(refused) = shared.admit(&method, &uri, &headers) {
        return *refused;
    }
    match method.as_str() {
        "GET" => shared.list(&uri, &query).await,
        "POST" | "PUT" => shared.keep(&uri, &body, None).await,
        "DELETE" => {
            let ids = query.get("IDList").map(String::as_str).unwrap_or_default();
            let ids: Vec<&str> = ids
                .split(',')
                .map(str::trim)
                .filter(|id| !id.is_empty())
                .collect();
            shared.remove(&uri, &ids).await
        }
        _ => shared.refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            &uri,
            Answer::InvalidOperation,
            "no such method",
        ),
    }
}

async fn one<S: SubscriptionStore>(
    State(shared): Asked<S>,
    method: Method,
    uri: Uri,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let uri = uri.path_and_query().map_or("", |p| p.as_str()).to_owned();
    if let Err(refused) = shared.admit(&method, &uri, &headers) {
        return *refused;
    }
    match method.as_str() {
        "GET" => {
            let query = HashMap::from([("SubscribeID".to_owned(), id)]);
            shared.list(&uri, &query).await
        }
        "PUT" => shared.keep(&uri, &body, Some(&id)).await,
        "DELETE" => shared.remove(&uri, &[&id]).await,
        _ => shared.refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            &uri,
            Answer::InvalidOperation,
            "no such method",
        ),
    }
}

impl<S: SubscriptionStore> Shared<S> {
    fn admit(
        &self,
        method: &Method,
        uri: &str,
        headers: &HeaderMap,
    ) -> Result<(), Box<Response<Body>>> {
        let now = self.gate.clock.mono();
        let given = headers
            .get(header::AUTHORIZATION)
            .and_then(|v| v.to_str().ok());
        // A panic elsewhere leaves at most a challenge more or less.
        let mut challenges = self
            .challenges
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let proof =
            given.map(|text| challenges.check(text, &self.account, method.as_str(), uri, now));
        if proof != Some(Proof::Good) {
            let challenge = challenges.challenge(now, proof == Some(Proof::Stale));
            drop(challenges);
            let why = "log in by Digest";
            let mut response =
                self.refuse(StatusCode::UNAUTHORIZED, uri, Answer::InvalidOperation, why);
            if let Ok(value) = challenge.parse() {
                response
                    .headers_mut()
                    .insert(header::WWW_AUTHENTICATE, value);
            }
            return Err(Box::new(response));
        }
        drop(challenges);
        let who = headers.get(crate::USER_IDENTIFY).map(|v| v.as_bytes());
        if who.is_some_and(|who| who != self.gate.upper.as_str().as_bytes()) {
            let why = "User-Identify is not the upper library's DeviceID";
            let refused = self.refuse(StatusCode::FORBIDDEN, uri, Answer::InvalidOperation, why);
            return Err(Box::new(refused));
        }
        Ok(())
    }

    async fn list(&self, uri: &str, query: &HashMap<String, String>) -> Response<Body> {
        let wanted = query.get("SubscribeID");
        match self.gate.store.all().await {
            Ok(mut all) => {
                all.retain(|object| wanted.is_none_or(|id| *id == object.subscribe_id));
                let list = SubscribeListObject {
                    subscribe_object: all,
                };
                reply(
                    StatusCode::OK,
                    &SubscribeList {
                        subscribe_list_object: list,
                    },
                )
            }
            Err(e) => self.fault(uri, &e),
        }
    }

    /// `id`: the one that the path names.
    async fn keep(&self, uri: &str, body: &[u8], id: Option<&str>) -> Response<Body> {
        let list: SubscribeList = match serde_json::from_slice(body) {
            Ok(list) => list,
            Err(e) => {
                let why = shown(&e.to_string());
                return self.refuse(
                    StatusCode::BAD_REQUEST,
                    uri,
                    Answer::InvalidJsonFormat,
                    &why,
                );
            }
        };
        let objects = list.subscribe_list_object.subscribe_object;
        if objects.is_empty() || objects.len() > REQUEST_MAX {
            let why = format!("{} subscriptions; give 1 to {REQUEST_MAX}", objects.len());
            return self.refuse(
                StatusCode::BAD_REQUEST,
                uri,
                Answer::InvalidJsonContent,
                &why,
            );
        }
        let mut known = match self.gate.store.all().await {
            Ok(all) => all.into_iter().map(|o| o.subscribe_id).collect::<Vec<_>>(),
            Err(e) => return self.fault(uri, &e),
        };
        let mut statuses = Vec::with_capacity(objects.len());
        for object in objects {
            let name = object.subscribe_id.clone();
            let (code, why) = self.keep_one(object, id, &mut known).await;
            statuses.push(self.status(uri, code, &why, Some(&name)));
        }
        self.statuses(statuses)
    }

    async fn keep_one(
        &self,
        object: SubscribeObject,
        id: Option<&str>,
        known: &mut Vec<String>,
    ) -> (Answer, String) {
        if id.is_some_and(|id| id != object.subscribe_id) {
            let why = "SubscribeID is not the one of the path; make them equal".to_owned();
            return (Answer::InvalidJsonContent, why);
        }
        let subscription = match Subscription::new(object, &self.gate.hosts) {
            Ok(subscription) => subscription,
            Err(e) => return (Answer::InvalidJsonContent, e.to_string()),
        };
        let object = subscription.object().clone();
        let is_new = !known.contains(&object.subscribe_id);
        if is_new && known.len() >= self.gate.most {
            let why = format!("{} subscriptions are kept; remove one", known.len());
            return (Answer::InvalidOperation, why);
        }
        let name = object.subscribe_id.clone();
        match self.gate.store.put(object).await {
            Ok(()) => {
                if is_new {
                    known.push(name);
                }
                (Answer::Ok, "OK".to_owned())
            }
            Err(e) => {
                tracing::warn!("a subscription cannot be kept: {e}");
                (Answer::Fault, "it cannot be kept now; try again".to_owned())
            }
        }
    }

    async fn remove(&self, uri: &str, ids: &[&str]) -> Response<Body> {
        if ids.is_empty() || ids.len() > REQUEST_MAX {
            let why = format!("{} ids in IDList; give 1 to {REQUEST_MAX}", ids.len());
            return self.refuse(
                StatusCode::BAD_REQUEST,
                uri,
                Answer::InvalidJsonContent,
                &why,
            );
        }
        let mut statuses = Vec::with_capacity(ids.len());
        for id in ids {
            let (code, why) = match self.gate.store.remove(id).await {
                Ok(true) => (Answer::Ok, "OK"),
                Ok(false) => (Answer::InvalidOperation, "there is no such subscription"),
                Err(e) => {
                    tracing::warn!("a subscription cannot be removed: {e}");
                    (Answer::Fault, "it cannot be removed now; try again")
                }
            };
            statuses.push(self.status(uri, code, why, Some(id)));
        }
        self.statuses(statuses)
    }

    fn fault(&self, uri: &str, e: &S::Error) -> Response<Body> {
        tracing::warn!("subscriptions cannot be read: {e}");
        let why = "subscriptions cannot be read now; try again";
        self.refuse(StatusCode::SERVICE_UNAVAILABLE, uri, Answer::Fault, why)
    }

    fn refuse(&self, http: StatusCode, uri: &str, code: Answer, why: &str) -> Response<Body> {
        let response_status_object = vec![self.status(uri, code, why, None)];
        let list = ResponseStatusListObject {
            response_status_object,
        };
        reply(
            http,
            &ResponseStatusList {
                response_status_list_object: list,
            },
        )
    }

    fn statuses(&self, all: Vec<ResponseStatusObject>) -> Response<Body> {
        let list = ResponseStatusListObject {
            response_status_object: all,
        };
        reply(
            StatusCode::OK,
            &ResponseStatusList {
                response_status_list_object: list,
            },
        )
    }

    fn status(&self, uri: &str, code: Answer, why: &str, id: Option<&str>) -> ResponseStatusObject {
        ResponseStatusObject {
            request_url: shown(uri),
            status_code: Some(code as i64),
            status_string: why.to_owned(),
            id: id.map(shown),
            local_time: stamp::text("LocalTime", &self.gate.clock.wall()).ok(),
        }
    }
}

fn reply<T: Serialize>(status: StatusCode, body: &T) -> Response<Body> {
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(crate::CONTENT_TYPE);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
