//! `[[camera]]`: where its frames come from, what is looked at in them, and when.

use std::path::Path;
use std::time::Duration;

use kakou_contract::Direction;
use serde::Deserialize;
use toml::Spanned;

use super::broker::secret_path;
use super::resolve::At;
use super::{CameraConfig, CameraSource, ConfigError, LaneConfig, Watching};
use kakou_sight::camera::{
    CameraAddress, ConditionConfig, Decoder, LiveConfig, Protocol, Schedule, Transport,
};
use kakou_traffic::geometry::Line;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCamera {
    pub id: Spanned<String>,
    pub url: Option<Spanned<String>>,
    #[serde(default, rename = "loop")]
    pub again: bool,
    pub user: Option<Spanned<String>>,
    pub password_file: Option<Spanned<String>>,
    pub transport: Option<Spanned<Transport>>,
    pub decoder: Option<Spanned<Decoder>>,
    pub codec: Option<Spanned<String>>,
    pub ffmpeg_args: Option<Spanned<Vec<String>>>,
    pub rate: Option<Spanned<f32>>,
    pub size: Option<Spanned<[u32; 2]>>,
    pub latency_ms: Option<Spanned<u32>>,
    #[serde(default)]
    pub schedule: Vec<Spanned<String>>,
    #[serde(default)]
    pub gate: RawGate,
    #[serde(default)]
    pub health: RawHealth,
    #[serde(default, rename = "lane")]
    pub lanes: Vec<RawLane>,
    #[serde(default)]
    pub masks: Vec<Spanned<Vec<[f32; 2]>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawGate {
    pub enabled: Option<bool>,
    pub look_every_s: Option<Spanned<f32>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawHealth {
    pub no_frames_s: Option<Spanned<f32>>,
    pub frozen_s: Option<Spanned<f32>>,
    pub black_s: Option<Spanned<f32>>,
    pub blinded_s: Option<Spanned<f32>>,
    pub turned_away_s: Option<Spanned<f32>>,
    pub low_rate: Option<Spanned<f32>>,
    pub low_rate_s: Option<Spanned<f32>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawLane {
    pub id: Spanned<String>,
    pub name: Option<String>,
    pub polygon: Spanned<Vec<[f32; 2]>>,
    pub trigger: Option<Spanned<[[f32; 2]; 2]>>,
    pub direction: Option<Spanned<Direction>>,
}

pub(super) fn camera(at: &At<'_>, c: &RawCamera, base: &Path) -> Result<CameraConfig, ConfigError> {
    let mut lanes: Vec<LaneConfig> = Vec::new();
    for l in &c.lanes {
        let lane = lane(at, l)?;
        if lanes.iter().any(|o| o.id == lane.id) {
            return Err(at.wrong(
                l.id.span(),
                "camera.lane.id",
                format!("`{}` is given twice", lane.id),
            ));
        }
        lanes.push(lane);
    }
    let masks = c
        .masks
        .iter()
        .map(|m| at.polygon("camera.masks", m))
        .collect::<Result<_, _>>()?;
    Ok(CameraConfig {
        id: at.id("camera.id", &c.id)?,
        source: source(at, c, base)?,
        lanes,
        masks,
        watching: watching(at, c)?,
    })
}

fn source(at: &At<'_>, c: &RawCamera, base: &Path) -> Result<Option<CameraSource>, ConfigError> {
    let Some(url) = &c.url else { return Ok(None) };
    let live = CameraAddress::is_live(url.get_ref());
    // A key that would do nothing is a mistake somebody should hear of.
    let only = |given: Option<std::ops::Range<usize>>, key: &str, what: &str| match given {
        Some(span) => Err(at.wrong(span, key, format!("means something for {what} only"))),
        None => Ok(()),
    };
    if !live {
        only(
            c.user.as_ref().map(Spanned::span),
            "camera.user",
            "a live camera",
        )?;
        only(
            c.password_file.as_ref().map(Spanned::span),
            "camera.password_file",
            "a live camera",
        )?;
        only(
            c.transport.as_ref().map(Spanned::span),
            "camera.transport",
            "rtsp://",
        )?;
        only(
            c.decoder.as_ref().map(Spanned::span),
            "camera.decoder",
            "a live camera",
        )?;
        only(
            c.codec.as_ref().map(Spanned::span),
            "camera.codec",
            "a live camera",
        )?;
        only(
            c.ffmpeg_args.as_ref().map(Spanned::span),
            "camera.ffmpeg_args",
            "a live camera",
        )?;
        only(
            c.rate.as_ref().map(Spanned::span),
            "camera.rate",
            "a live camera",
        )?;
        only(
            c.latency_ms.as_ref().map(Spanned::span),
            "camera.latency_ms",
            "a live camera",
        )?;
        return Ok(Some(CameraSource::Recording {
            path: base.join(url.get_ref()),
            again: c.again,
        }));
    }
    if c.again {
        return Err(at.wrong(
            url.span(),
            "camera.loop",
            "means something for a recording only",
        ));
    }
    let address: CameraAddress =
        url.get_ref()
            .parse()
            .map_err(|e: kakou_sight::camera::AddressError| {
                at.wrong(url.span(), "camera.url", e.to_string())
            })?;
    if address.protocol() != Protocol::Rtsp {
        only(
            c.transport.as_ref().map(Spanned::span),
            "camera.transport",
            "rtsp://",
        )?;
    }
    let password_file = c
        .password_file
        .as_ref()
        .map(|f| secret_path(f, "camera.password_file", at, base))
        .transpose()?;
    if let (Some(f), None, None) = (&c.password_file, &c.user, address.login()) {
        return Err(at.wrong(
            f.span(),
            "camera.user",
            "`password_file` is given without `user`",
        ));
    }
    let decoder = c.decoder.as_ref().map(|d| *d.get_ref()).unwrap_or_default();
    let codec = match &c.codec {
        None => "h264".to_owned(),
        Some(s) => match s.get_ref().as_str() {
            "h264" => "h264".to_owned(),
            "h265" | "hevc" => "hevc".to_owned(),
            other => {
                return Err(at.wrong(
                    s.span(),
                    "camera.codec",
                    format!("`{other}`; write \"h264\" or \"h265\""),
                ));
            }
        },
    };
    Ok(Some(CameraSource::Live(Box::new(LiveConfig {
        user: c.user.as_ref().map(|u| u.get_ref().clone()),
        password_file,
        transport: c
            .transport
            .as_ref()
            .map(|t| *t.get_ref())
            .unwrap_or_default(),
        decoder,
        codec,
        ffmpeg_args: c
            .ffmpeg_args
            .as_ref()
            .map(|a| a.get_ref().clone())
            .unwrap_or_default(),
        latency: Duration::from_millis(
            at.within("camera.latency_ms", c.latency_ms.as_ref(), 0..=10_000, 0)?
                .into(),
        ),
        ..LiveConfig::new(address)
    }))))
}

fn watching(at: &At<'_>, c: &RawCamera) -> Result<Watching, ConfigError> {
    let mut schedule = Schedule::default();
    for s in &c.schedule {
        let span = s.get_ref().parse();
        schedule
            .0
            .push(span.map_err(|e: kakou_sight::camera::SpanError| {
                at.wrong(s.span(), "camera.schedule", e.to_string())
            })?);
    }
    if let Some(s) = &c.size
        && s.get_ref().iter().any(|n| !(16..=16_384).contains(n))
    {
        return Err(at.wrong(
            s.span(),
            "camera.size",
            "write [width, height] in pixels, 16 to 16384 each",
        ));
    }
    let seconds = |key: &str, v: &Option<Spanned<f32>>, most: f32, default: Duration| {
        let s = at.within(key, v.as_ref(), 0.5..=most, default.as_secs_f32())?;
        Ok::<_, ConfigError>(Duration::from_secs_f32(s))
    };
    let h = &c.health;
    let rate = match &c.rate {
        None => None,
        some => Some(at.within("camera.rate", some.as_ref(), 0.5..=120.0, 0.0)?),
    };
    let mut w = Watching {
        schedule,
        rate,
        ..Watching::default()
    };
    w.condition.size = c.size.as_ref().map(|s| (s.get_ref()[0], s.get_ref()[1]));
    w.gate_enabled = c.gate.enabled.unwrap_or(true);
    w.gate.routine = seconds(
        "camera.gate.look_every_s",
        &c.gate.look_every_s,
        60.0,
        w.gate.routine,
    )?;
    let ConditionConfig {
        no_frames_after,
        rate_low,
        rate_over,
        ..
    } = w.condition;
    w.condition.no_frames_after = seconds(
        "camera.health.no_frames_s",
        &h.no_frames_s,
        600.0,
        no_frames_after,
    )?;
    w.condition.rate_low = at.within(
        "camera.health.low_rate",
        h.low_rate.as_ref(),
        0.0..=0.9,
        rate_low,
    )?;
    w.condition.rate_well = w.condition.rate_well.max(w.condition.rate_low + 0.05);
    w.condition.rate_over = seconds("camera.health.low_rate_s", &h.low_rate_s, 3600.0, rate_over)?;
    let s = &mut w.sight;
    s.frozen_after = seconds(
        "camera.health.frozen_s",
        &h.frozen_s,
        3600.0,
        s.frozen_after,
    )?;
    s.black_after = seconds("camera.health.black_s", &h.black_s, 3600.0, s.black_after)?;
    s.blinded_after = seconds(
        "camera.health.blinded_s",
        &h.blinded_s,
        3600.0,
        s.blinded_after,
    )?;
    s.turned_after = seconds(
        "camera.health.turned_away_s",
        &h.turned_away_s,
        36_000.0,
        s.turned_after,
    )?;
    Ok(w)
}

fn lane(at: &At<'_>, l: &RawLane) -> Result<LaneConfig, ConfigError> {
    let trigger = match &l.trigger {
        Some(t) => {
            let [a, b] = *t.get_ref();
            if a == b {
                return Err(at.wrong(
                    t.span(),
                    "camera.lane.trigger",
                    "its two ends are the same point",
                ));
            }
            let p = |v| at.point("camera.lane.trigger", &t.span(), v);
            Some(Line { a: p(a)?, b: p(b)? })
        }
        None => None,
    };
    if let Some(d) = &l.direction
        && !matches!(d.get_ref(), Direction::Approaching | Direction::Leaving)
    {
        return Err(at.wrong(
            d.span(),
            "camera.lane.direction",
            "must be \"approaching\" or \"leaving\"",
        ));
    }
    Ok(LaneConfig {
        id: at.id("camera.lane.id", &l.id)?,
        name: l.name.clone(),
        polygon: at.polygon("camera.lane.polygon", &l.polygon)?,
        trigger,
        direction: l.direction.as_ref().map(|d| *d.get_ref()),
    })
}
