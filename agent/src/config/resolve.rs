//! From the config as written to the config as used.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;

use super::camera::camera;
use super::raw::RawConfig;
use super::{CameraConfig, Config, ConfigError, PassageTimes};
use kakou_sight::evidence::EvidenceConfig;
use kakou_sight::models::locate;
use kakou_sight::vision::{LookConfig, ModelChoice};
use kakou_traffic::geometry::{Point, Polygon};

pub(super) struct At<'a> {
    text: &'a str,
    path: &'a Path,
}

impl At<'_> {
    pub(super) fn wrong(
        &self,
        span: Range<usize>,
        key: &str,
        reason: impl Into<String>,
    ) -> ConfigError {
        let line = self
            .text
            .get(..span.start)
            .map_or(1, |before| before.matches('\n').count() + 1);
        ConfigError::Value {
            path: self.path.into(),
            line,
            key: key.into(),
            reason: reason.into(),
        }
    }

    /// A number within bounds, or the default where it is not given.
    pub(super) fn within<T: PartialOrd + Copy + std::fmt::Display>(
        &self,
        key: &str,
        value: Option<&Spanned<T>>,
        bounds: std::ops::RangeInclusive<T>,
        default: T,
    ) -> Result<T, ConfigError> {
        let Some(v) = value else { return Ok(default) };
        if bounds.contains(v.get_ref()) {
            return Ok(*v.get_ref());
        }
        let reason = format!(
            "{} is outside {} to {}",
            v.get_ref(),
            bounds.start(),
            bounds.end()
        );
        Err(self.wrong(v.span(), key, reason))
    }

    /// Ids stand in MQTT topics.
    pub(super) fn id(&self, key: &str, id: &Spanned<String>) -> Result<String, ConfigError> {
        let s = id.get_ref();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if s.is_empty() || s.len() > 64 || !s.chars().all(fits) {
            let reason = format!(
                "`{s}` must be 1 to 64 of the characters A-Z a-z 0-9 - _ (it stands in MQTT topics)"
            );
            return Err(self.wrong(id.span(), key, reason));
        }
        Ok(s.clone())
    }

    pub(super) fn polygon(
        &self,
        key: &str,
        points: &Spanned<Vec<[f32; 2]>>,
    ) -> Result<Polygon, ConfigError> {
        if points.get_ref().len() < 3 {
            return Err(self.wrong(points.span(), key, "a polygon has at least three points"));
        }
        let p = points
            .get_ref()
            .iter()
            .map(|p| self.point(key, &points.span(), *p))
            .collect::<Result<_, _>>()?;
        Ok(Polygon(p))
    }

    pub(super) fn point(
        &self,
        key: &str,
        span: &Range<usize>,
        [x, y]: [f32; 2],
    ) -> Result<Point, ConfigError> {
        if (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y) {
            return Ok(Point::new(x, y));
        }
        let reason =
            format!("[{x}, {y}] must be in parts of the picture's width and height, 0 to 1");
        Err(self.wrong(span.clone(), key, reason))
    }
}

pub(super) fn resolve(raw: RawConfig, text: &str, path: &Path) -> Result<Config, ConfigError> {
    let at = At { text, path };
    let base = path.parent().unwrap_or(Path::new("."));
    let v = &raw.vision;
    let broker = raw
        .broker
        .as_ref()
        .map(|b| super::broker::resolve(b, &at, base))
        .transpose()?;
    let models = ModelChoice {
        location: locate(v.manifest.as_ref().map(|m| base.join(m)).as_deref()),
        runtime: v.runtime.as_ref().map(|r| base.join(r)),
        vehicles: v.vehicles.clone().unwrap_or_else(|| "vehicles".into()),
        plates: v.plates.clone().unwrap_or_else(|| "plate-detector".into()),
        reader: v.reader.clone().unwrap_or_else(|| "plate-reader".into()),
        provider: v.provider.unwrap_or_default(),
        threads: at.within("vision.threads", v.threads.as_ref(), 1..=64, 1)?,
    };
    let look = LookConfig {
        vehicle_score: at.within(
            "vision.vehicle_score",
            v.vehicle_score.as_ref(),
            0.05..=0.99,
            0.3,
        )?,
        plate_side: at.within("vision.plate_side", v.plate_side.as_ref(), 160..=4096, 960)?,
        vehicle_every_ms: v.vehicle_every_ms.unwrap_or(200),
        plate_every_ms: v.plate_every_ms.unwrap_or(300),
        enough_reads: v.enough_reads.unwrap_or(8),
    };
    let p = &raw.passage;
    let passage = PassageTimes {
        lost_after_s: at.within(
            "passage.lost_after_s",
            p.lost_after_s.as_ref(),
            0.2..=60.0,
            2.0,
        )?,
        standing_lost_after_s: at.within(
            "passage.standing_lost_after_s",
            p.standing_lost_after_s.as_ref(),
            0.2..=600.0,
            10.0,
        )?,
        rejoin_s: at.within("passage.rejoin_s", p.rejoin_s.as_ref(), 0.0..=600.0, 20.0)?,
    };
    let e = &raw.evidence;
    let evidence = EvidenceConfig {
        quality: at.within("evidence.quality", e.quality.as_ref(), 30..=100, 85)?,
        thumbnail_width: at.within(
            "evidence.thumbnail_width",
            e.thumbnail_width.as_ref(),
            32..=1920,
            320,
        )?,
    };
    let mut cameras: Vec<CameraConfig> = Vec::new();
    for c in &raw.cameras {
        let camera = camera(&at, c, base)?;
        if cameras.iter().any(|o| o.id == camera.id) {
            return Err(at.wrong(
                c.id.span(),
                "camera.id",
                format!("`{}` is given twice", camera.id),
            ));
        }
        cameras.push(camera);
    }
    Ok(Config {
        site: at.id("site", &raw.site)?,
        agent: at.id("agent", &raw.agent)?,
        broker,
        outbox: super::outbox::outbox(&raw.outbox, &at, base)?,
        agent_times: super::outbox::agent(&raw.agent_times, &at)?,
        watchlist: raw.watchlist.as_ref().map(|w| base.join(&w.file)),
        metrics: raw.metrics.as_ref().map(|m| base.join(&m.file)),
        workers: at.within(
            "vision.workers",
            v.workers.as_ref(),
            1..=64,
            kakou_sight::share::cores(),
        )?,
        models,
        look,
        passage,
        evidence,
        cameras,
    })
}
