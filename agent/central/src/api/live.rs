//! Hits as they come, by server-sent events.
//!
//! Whoever writes a hit notifies the channel `kakou_hits` with the id of its message. One connection
//! of this process listens, and asks the database for the hit once for each set of rights that
//! somebody watches with: what a viewer may see is decided there, as for every other question.
//!
//! Where the connection was lost, or a viewer was too slow, `reset` says that some may be missing and
//! that the list is to be asked for anew.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::FutureExt as _;
use futures_util::stream::{Stream, unfold};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::{Interval, MissedTickBehavior, interval};
use uuid::Uuid;

use super::fault::{Code, Fault, Told};
use super::gate::In;
use super::hits::{HitRow, OF_HITS};
use super::query::{Scope, objects};
use super::{App, locked};
use crate::store::StoreError;

pub const CHANNEL: &str = "kakou_hits";
/// A viewer that lags behind by more is told to ask anew.
const WAITING: usize = 256;
/// Notifications that wait for the database.
const NOTIFIED: usize = 1024;
/// An id of a message is shorter.
const ID_MOST: usize = 200;
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// How often it is looked whether the user may still watch.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_secs(2);
/// Rows are committed in another order than they were received in: what came so long before the last
/// one seen is sent again.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);
const MISSED_MOST: i64 = 500;
/// A hit's id has the time of its first message; the others are told within this.
const LIFE: TimeDelta = TimeDelta::days(2);

#[derive(Debug)]
enum News {
    Hit { mark: String, json: String },
    Reset,
}

/// Who watches, by their rights.
#[derive(Debug, Default)]
pub struct Live {
    watched: Mutex<HashMap<Scope, broadcast::Sender<Arc<News>>>>,
}

impl Live {
    fn watch(&self, scope: Scope) -> broadcast::Receiver<Arc<News>> {
        let mut watched = locked(&self.watched);
        watched.retain(|_, sender| sender.receiver_count() > 0);
        let sender = watched
            .entry(scope)
            .or_insert_with(|| broadcast::channel(WAITING).0);
        sender.subscribe()
    }

    fn scopes(&self) -> Vec<Scope> {
        let watched = locked(&self.watched);
        let is_there = |s: &&broadcast::Sender<Arc<News>>| s.receiver_count() > 0;
        let all = watched.iter().filter(|(_, s)| is_there(s));
        all.map(|(scope, _)| scope.clone()).collect()
    }

    fn tell(&self, scope: &Scope, news: Arc<News>) {
        if let Some(sender) = locked(&self.watched).get(scope) {
            // Nobody may be left who watches.
            let _ = sender.send(news);
        }
    }

    fn reset(&self) {
        let news = Arc::new(News::Reset);
        for sender in locked(&self.watched).values() {
            let _ = sender.send(Arc::clone(&news));
        }
    }
}

/// Listens for as long as it is polled; a connection that is lost is made anew.
pub(super) async fn listen(app: &App) -> Infallible {
    loop {
        if let Err(error) = listen_once(app).await {
            tracing::warn!("hits as they come: {error}; trying again");
        }
        app.live.reset();
        tokio::time::sleep(RETRY).await;
    }
}

async fn listen_once(app: &App) -> Result<(), StoreError> {
    let mut notified = app.store.listen(CHANNEL, NOTIFIED).await?;
    // What came before this is in no notification.
    app.live.reset();
    while let Some(id) = notified.recv().await {
        let Some(id) = id.filter(|id| id.len() <= ID_MOST) else {
            app.live.reset();
            continue;
        };
        for scope in app.live.scopes() {
            let found = app.hit_message(&scope, &id).await;
            match found {
                Ok(rows) => {
                    for row in rows {
                        app.live.tell(&scope, Arc::new(news(&row)));
                    }
                }
                Err(_) => app.live.tell(&scope, Arc::new(News::Reset)),
            }
        }
    }
    Ok(())
}

fn news(row: &HitRow) -> News {
    match serde_json::to_string(row) {
        Ok(json) => News::Hit {
            mark: row.received_at.timestamp_micros().to_string(),
            json,
        },
        Err(_) => News::Reset,
    }
}

/// When the messages of a hit were, as far as its id says.
fn life(event_id: &str) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    let id = event_id.split('/').next().and_then(|id| id.parse().ok());
    let seconds = id
        .and_then(|id: Uuid| id.get_timestamp())
        .map(|time| time.to_unix().0)
        .and_then(|seconds| i64::try_from(seconds).ok());
    let time = seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    (
        time.and_then(|time| time.checked_sub_signed(LIFE)),
        time.and_then(|time| time.checked_add_signed(LIFE)),
    )
}

impl App {
    async fn hit_message(&self, scope: &Scope, event_id: &str) -> Result<Vec<HitRow>, Fault> {
        let sql = objects(
            "SELECT * FROM seen.hits WHERE event_id = $1
             AND ($2::timestamptz IS NULL OR time BETWEEN $2 AND $3::timestamptz)",
        );
        let (from, to) = life(event_id);
        self.ask(scope, &sql, &[&event_id, &from, &to]).await
    }

    /// Messages that came since one was seen; `None`: too many.
    async fn missed(&self, scope: &Scope, mark: i64) -> Result<Option<Vec<HitRow>>, Fault> {
        let Some(since) = DateTime::from_timestamp_micros(mark) else {
            return Ok(None);
        };
        let sql = objects(
            "SELECT * FROM seen.hits WHERE received_at >= $1 ORDER BY received_at, event_id LIMIT $2",
        );
        let since = since.checked_sub_signed(OVERLAP).unwrap_or(since);
        let rows: Vec<HitRow> = self.ask(scope, &sql, &[&since, &(MISSED_MOST + 1)]).await?;
        let few = rows.len() <= usize::try_from(MISSED_MOST).unwrap_or_default();
        Ok(few.then_some(rows))
    }
}

struct Feed {
    app: Arc<App>,
    asks: In,
    ready: VecDeque<Event>,
    news: broadcast::Receiver<Arc<News>>,
    tick: Interval,
    _place: OwnedSemaphorePermit,
}

/// Hits as they come: `hit` (a message of a hit's life, as a row of the list), and `reset` where some
/// may be missing. With `Last-Event-ID` those that were missed come first; of the last minute before it
/// some come twice, with the same `event_id`.
#[utoipa::path(get, path = "/api/v1/hits/live", responses(
    (status = 200, description = "text/event-stream", content_type = "text/event-stream", body = String),
    (status = 403, body = Told), (status = 429, description = "`busy`: too many watch", body = Told),
))]
pub(super) async fn live(
    State(app): State<Arc<App>>,
    asks: In,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    asks.must_be(OF_HITS)?;
    let place = Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        Fault::new(Code::Busy, "too many watch at the same time").after(Duration::from_secs(10))
    })?;
    // First this, so that nothing lies between.
    let news = app.live.watch(asks.scope());
    let mut ready = VecDeque::from([Event::default().retry(RETRY).comment("kakou")]);
    if let Some(last) = headers.get("last-event-id") {
        let mark = last.to_str().ok().and_then(|text| text.parse().ok());
        let missed = match mark {
            Some(mark) => app.missed(&asks.scope(), mark).await?,
            None => None,
        };
        match missed {
            Some(rows) => ready.extend(rows.iter().map(|row| event(&self::news(row)))),
            None => ready.push_back(event(&News::Reset)),
        }
    }
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let feed = Feed {
        app,
        asks,
        ready,
        news,
        tick,
        _place: place,
    };
    let stream = unfold(feed, |mut feed| {
        async move {
            let event = feed.next().await?;
            Some((Ok(event), feed))
        }
        .boxed()
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

fn event(news: &News) -> Event {
    match news {
        News::Hit { mark, json } => Event::default().event("hit").id(mark).data(json),
        News::Reset => Event::default().event("reset").data("{}"),
    }
}

impl Feed {
    /// `None`: the user may not watch any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                news = self.news.recv() => match news {
                    Ok(news) => self.ready.push_back(event(&news)),
                    Err(RecvError::Lagged(_)) => self.ready.push_back(event(&News::Reset)),
                    Err(RecvError::Closed) => return None,
                },
                _ = self.tick.tick() => {
                    if !self.may_watch().await {
                        return None;
                    }
                }
            }
        }
    }

    /// Another role, another limit or another password ends the stream; the client comes again.
    async fn may_watch(&self) -> bool {
        let (app, was) = (&self.app, &self.asks.user);
        let token = self.asks.token.reveal();
        let found = match &self.asks.session {
            Some(_) if app.sessions.holds(token, app.clock.mono()).is_none() => return false,
            Some(_) => app.users.find(&was.name).await,
            None => app.users.holder(token, app.clock.wall().to_utc()).await,
        };
        match found {
            Ok(Some(user)) => {
                user.mark() == was.mark() && user.roles == was.roles && user.scope() == was.scope()
            }
            Ok(None) => false,
            // A database that is away for a moment ends nobody's stream.
            Err(_) => true,
        }
    }
}
