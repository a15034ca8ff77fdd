//! Cameras: their pictures, live, and where they look.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::Stream;
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Interval, MissedTickBehavior, interval};
use utoipa::{IntoParams, ToSchema};

use super::events::place;
use super::hits::wrong;
use super::session::invalid;
use super::{App, jpeg};
use crate::access::Role;
use crate::checkpoint::{Camera, Geometry, Saved};
use crate::fault::{Code, Fault, Told};
use crate::gate::In;

/// Five pictures a second.
const SCENE_EVERY: Duration = Duration::from_millis(200);
const WIDTH: u32 = 640;
const WIDTH_MOST: u32 = 1920;
/// Lanes and masks of one camera, and points of one of them.
const SHAPES_MOST: usize = 32;
const POINTS_MOST: usize = 64;

const WHO_AIMS: &[Role] = &[Role::Installer, Role::Operator];

#[derive(Serialize, ToSchema)]
pub struct Cameras {
    cameras: Vec<Camera>,
}

/// All cameras, with their lanes.
#[utoipa::path(get, path = "/api/v1/cameras", responses((status = 200, body = Cameras)))]
pub async fn cameras(State(app): State<Arc<App>>, _: In) -> Result<Json<Cameras>, Fault> {
    let cameras = app.ask(|checkpoint| Ok(checkpoint.cameras())).await?;
    Ok(Json(Cameras { cameras }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Width {
    /// The most that it may be wide, in pixels.
    width: Option<u32>,
}

/// A camera's newest picture.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/picture", params(Width), responses(
    (status = 200, content_type = "image/jpeg", body = Vec<u8>),
    (status = 404, description = "`not_found`: no picture has come yet", body = Told),
))]
pub async fn picture(
    State(app): State<Arc<App>>,
    _: In,
    id: Result<Path<String>, PathRejection>,
    width: Result<Query<Width>, QueryRejection>,
) -> Result<Response, Fault> {
    let Path(id) = id.map_err(|e| wrong(&e.body_text()))?;
    let Query(Width { width }) = width.map_err(|e| wrong(&e.body_text()))?;
    let width = width.unwrap_or(WIDTH).clamp(64, WIDTH_MOST);
    let bytes = app
        .ask(move |checkpoint| checkpoint.picture(&id, width))
        .await?;
    Ok(jpeg(bytes))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// `1`: with the cells that moved.
    motion: Option<u8>,
}

struct Watch {
    app: Arc<App>,
    token: String,
    camera: String,
    motion: bool,
    tick: Interval,
    shown: Option<u64>,
    _place: OwnedSemaphorePermit,
}

/// What a camera sees, some five times a second: `scene` events, whose pictures are asked for by
/// their frame.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/live", params(Wanted), responses(
    (status = 200, description = "Events `scene`, each with the JSON of a Scene.",
     content_type = "text/event-stream", body = String),
))]
pub async fn live(
    State(app): State<Arc<App>>,
    asks: In,
    id: Result<Path<String>, PathRejection>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    asks.must_be(WHO_AIMS)?;
    let Path(camera) = id.map_err(|e| wrong(&e.body_text()))?;
    let Query(Wanted { motion }) = wanted.map_err(|e| wrong(&e.body_text()))?;
    let known = camera.clone();
    app.ask(move |checkpoint| checkpoint.geometry(&known))
        .await?;
    let place = place(&app)?;
    let mut tick = interval(SCENE_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch {
        token: asks.token,
        camera,
        motion: motion == Some(1),
        tick,
        shown: None,
        _place: place,
        app,
    };
    let stream = unfold(watch, |mut watch| async move {
        let event = watch.next().await?;
        Some((Ok(event), watch))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))))
}

impl Watch {
    async fn next(&mut self) -> Option<Event> {
        loop {
            self.tick.tick().await;
            if !self
                .app
                .sessions
                .holds(&self.token, self.app.checkpoint.mono())
            {
                return None;
            }
            let (camera, motion) = (self.camera.clone(), self.motion);
            // A camera without pictures for now is waited for.
            let scene = self.app.ask(move |c| c.scene(&camera, motion)).await;
            let Ok(scene) = scene else { continue };
            if self.shown == Some(scene.frame) {
                continue;
            }
            self.shown = Some(scene.frame);
            match serde_json::to_string(&scene) {
                Ok(data) => return Some(Event::default().event("scene").data(data)),
                Err(e) => {
                    tracing::error!(camera = self.camera, "a scene cannot be written: {e}");
                    return None;
                }
            }
        }
    }
}

/// The picture of a scene; the last few are kept.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/frames/{frame}", responses(
    (status = 200, content_type = "image/jpeg", body = Vec<u8>),
    (status = 404, description = "`not_found`: a newer one is shown", body = Told),
))]
pub async fn frame(
    State(app): State<Arc<App>>,
    asks: In,
    place: Result<Path<(String, u64)>, PathRejection>,
) -> Result<Response, Fault> {
    asks.must_be(WHO_AIMS)?;
    let Path((camera, frame)) = place.map_err(|e| wrong(&e.body_text()))?;
    let bytes = app.ask(move |c| c.scene_picture(&camera, frame)).await?;
    Ok(jpeg(bytes))
}

/// Where a camera looks, as the config says it.
#[utoipa::path(get, path = "/api/v1/cameras/{id}/config", responses((status = 200, body = Geometry)))]
pub async fn geometry(
    State(app): State<Arc<App>>,
    asks: In,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Geometry>, Fault> {
    asks.must_be(&[Role::Installer])?;
    let Path(id) = id.map_err(|e| wrong(&e.body_text()))?;
    Ok(Json(
        app.ask(move |checkpoint| checkpoint.geometry(&id)).await?,
    ))
}

/// Write lanes and masks into the config, check it, and take it into use.
#[utoipa::path(put, path = "/api/v1/cameras/{id}/config", request_body = Geometry, responses(
    (status = 200, body = Saved),
    (status = 403, description = "`read_only`: `toml` has what was to be written", body = Told),
    (status = 409, description = "`conflict`: the config was changed meanwhile", body = Told),
    (status = 422, description = "`invalid`: `notes` says what is wrong", body = Told),
))]
pub async fn save(
    State(app): State<Arc<App>>,
    asks: In,
    id: Result<Path<String>, PathRejection>,
    wanted: Result<Json<Geometry>, JsonRejection>,
) -> Result<Json<Saved>, Fault> {
    asks.must_be(&[Role::Installer])?;
    let Path(id) = id.map_err(|e| wrong(&e.body_text()))?;
    let Json(wanted) = wanted.map_err(|e| invalid(&e))?;
    bounded(&wanted)?;
    let by = asks.session.user;
    let saved = app.ask_much(move |c| c.save(&id, wanted, &by)).await?;
    Ok(Json(saved))
}

fn bounded(wanted: &Geometry) -> Result<(), Fault> {
    let polygons = wanted.lanes.iter().map(|l| &l.polygon).chain(&wanted.masks);
    if wanted.lanes.len() > SHAPES_MOST || wanted.masks.len() > SHAPES_MOST {
        return Err(wrong(&format!(
            "a camera has at most {SHAPES_MOST} lanes and as many masks"
        )));
    }
    let ids: BTreeSet<&str> = wanted.lanes.iter().map(|l| l.id.as_str()).collect();
    if ids.len() < wanted.lanes.len() {
        return Err(wrong("two lanes have the same id; give each its own"));
    }
    for polygon in polygons {
        if polygon.len() > POINTS_MOST {
            return Err(wrong(&format!(
                "a polygon has at most {POINTS_MOST} points"
            )));
        }
        if polygon.iter().flatten().any(|v| !(0.0..=1.0).contains(v)) {
            let message = "a coordinate is a part of the picture's width or height, 0 to 1";
            return Err(Fault::new(Code::Invalid, message));
        }
    }
    Ok(())
}
