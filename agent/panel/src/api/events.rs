//! News as they come, by server-sent events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::App;
use super::status::status_text;
use crate::access::{Role, Session};
use crate::fault::{Code, Fault};
use crate::gate::In;
use crate::hub::{News, OF_HITS, Viewer};

const STATUS_EVERY: Duration = Duration::from_secs(2);
/// A line of comment, so that a dead connection is noticed by both sides.
const ALIVE_EVERY: Duration = Duration::from_secs(10);
/// A browser that lost the connection tries again after this.
const RETRY: Duration = Duration::from_secs(1);

struct Feed {
    app: Arc<App>,
    session: Session,
    token: String,
    ready: VecDeque<Event>,
    news: Receiver<Arc<News>>,
    tick: Interval,
    _viewer: Viewer,
    _place: OwnedSemaphorePermit,
}

/// News as they come: `hit` and `answer` (a hit as it stands), `passage`, `status`, and `reset` where
/// some were missed and the lists are to be asked for anew.
#[utoipa::path(get, path = "/api/v1/events", responses(
    (status = 200, description = "text/event-stream. With `Last-Event-ID` the hits missed come first.",
     content_type = "text/event-stream", body = String),
))]
pub async fn events(
    State(app): State<Arc<App>>,
    asks: In,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let place = place(&app)?;
    let last = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let sees_hits = asks.session.has(OF_HITS);
    let seen = last
        .and_then(|text| text.parse().ok())
        .filter(|_| sees_hits);
    let (missed, news) = app.hub.listen(seen);
    let mut tick = interval(STATUS_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ready: VecDeque<Event> = missed.iter().map(|news| event(news)).collect();
    ready.push_front(Event::default().retry(RETRY).comment("kakou"));
    let feed = Feed {
        session: asks.session,
        token: asks.token,
        ready,
        news,
        tick,
        _viewer: app.hub.viewer(),
        _place: place,
        app,
    };
    let stream = unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok(event), feed))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(ALIVE_EVERY)))
}

pub(super) fn place(app: &App) -> Result<OwnedSemaphorePermit, Fault> {
    Arc::clone(&app.streams).try_acquire_owned().map_err(|_| {
        let busy = Fault::new(Code::Busy, "too many watch at the same time");
        busy.after(Duration::from_secs(10))
    })
}

fn event(news: &News) -> Event {
    let event = Event::default().event(news.kind).data(&news.data);
    match news.number {
        Some(number) => event.id(number.to_string()),
        None => event,
    }
}

impl Feed {
    /// `None`: the session is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            tokio::select! {
                news = self.news.recv() => match news {
                    Ok(news) if self.sees(news.to) => self.ready.push_back(event(&news)),
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => {
                        self.ready.push_back(Event::default().event("reset").data("{}"));
                    }
                    Err(RecvError::Closed) => return None,
                },
                _ = self.tick.tick() => {
                    if !self.app.sessions.holds(&self.token, self.app.checkpoint.mono()) {
                        return None;
                    }
                    let status = status_text(&self.app);
                    self.ready.push_back(Event::default().event("status").data(&*status));
                }
            }
        }
    }

    fn sees(&self, roles: &[Role]) -> bool {
        self.session.has(roles)
    }
}

/// The throttle's and the status' locks are held for a moment only.
pub(super) fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
