//! The agent as its own page knows it.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use chrono::{DateTime, FixedOffset};
use kakou_contract::{AuditEvent, Envelope, Id};
use kakou_panel::{
    Answer, Before, Camera, Checkpoint, Geometry, LaneShape, LogLine, PassageQuery, Passages,
    Quality, Refused, Report, Saved, Scene, Widths,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::super::answers;
use super::super::camera_view::CameraView;
use super::super::hits::HitDesk;
use super::super::overview::Sources;
use super::super::reload::ReloadRequest;
use super::super::settings::Settings;
use super::super::web::local_status;
use super::panel_of;
use super::records::Records;
use super::save::{self, ConfigFile, Reloaded};
use super::scenes::{Scenes, encoded};
use crate::config::{CameraConfig, Config};

/// A plate has this width in the picture that it is looked for in (docs/operation.md).
const PLATE_WIDTH: f32 = 45.0;
/// Plates that an advice asks for, and the share of them that may be smaller.
const ADVICE_LEAST: usize = 10;
const ADVICE_SMALLER: usize = 10;
/// A model's inputs are multiples of this.
const STEP: f32 = 32.0;
/// A doctor who has found nothing by then hangs.
const DOCTOR: Duration = Duration::from_secs(90);
/// Certificates are looked at this often.
const CERTIFICATES: Duration = Duration::from_secs(60);
/// How long another reload is waited for.
const RELOAD_WAITS: Duration = Duration::from_secs(30);

pub struct AgentCheckpoint {
    pub sources: Sources,
    pub settings: Settings,
    pub hits: HitDesk,
    pub reload: mpsc::Sender<ReloadRequest>,
    /// The config's file; without one nothing can be saved.
    pub config: Option<PathBuf>,
    pub state: PathBuf,
    scenes: Scenes,
    records: Records,
    /// Looked at last, and what was found.
    certificates: Mutex<Option<(Duration, Value)>>,
    /// Held by who saves: from the reading of the file to its being in use.
    saving: Mutex<()>,
}

impl AgentCheckpoint {
    pub fn new(
        sources: Sources,
        settings: Settings,
        hits: HitDesk,
        reload: mpsc::Sender<ReloadRequest>,
        config: Option<PathBuf>,
        state: PathBuf,
    ) -> Self {
        Self {
            sources,
            settings,
            hits,
            reload,
            config,
            scenes: Scenes::default(),
            records: Records {
                state: state.clone(),
            },
            state,
            certificates: Mutex::default(),
            saving: Mutex::default(),
        }
    }

    fn view(&self, camera: &str) -> Result<std::sync::Arc<CameraView>, Refused> {
        let id = camera.parse::<Id>().ok();
        let view = id.and_then(|id| self.sources.views.find(&id));
        view.ok_or_else(|| Refused::NotFound(format!("there is no camera {camera}")))
    }

    fn config_of(&self, camera: &str) -> Result<(CameraConfig, std::sync::Arc<Config>), Refused> {
        let config = self.settings.current();
        let of_camera = config.cameras.iter().find(|c| c.id == camera).cloned();
        let unknown = || Refused::NotFound(format!("there is no camera {camera}"));
        Ok((of_camera.ok_or_else(unknown)?, config))
    }

    fn file(&self) -> Result<ConfigFile, Refused> {
        let none = || Refused::Failed("this agent runs without a config file".into());
        let path = self.config.clone().ok_or_else(none)?;
        // What a link leads to is changed, and not the link.
        let path = path.canonicalize().unwrap_or(path);
        Ok(ConfigFile {
            path,
            state: self.state.clone(),
        })
    }

    /// Takes the config into use.
    fn reloaded(&self) -> Reloaded {
        let (mut request, answer) = oneshot::channel();
        let began = kakou_time::Stopwatch::start();
        while let Err(refused) = self.reload.try_send(request) {
            if began.elapsed() > RELOAD_WAITS {
                return Err("another reload is under way, and takes too long".into());
            }
            request = refused.into_inner();
            std::thread::sleep(Duration::from_millis(50));
        }
        answer
            .blocking_recv()
            .unwrap_or_else(|_| Err("the reload ended unexpectedly; the log says more".into()))
    }

    /// The certificates in use and when they end, by the config's keys.
    fn certificates(&self) -> Value {
        let mut kept = self
            .certificates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = self.sources.clock.mono();
        if let Some((looked, found)) = &*kept
            && now.saturating_sub(*looked) < CERTIFICATES
        {
            return found.clone();
        }
        let config = self.settings.current();
        let mut files = Vec::new();
        if let Some(broker) = config
            .broker
            .as_ref()
            .filter(|b| b.addresses.iter().any(|a| a.tls))
        {
            files.extend(broker.tls.ca.clone().map(|file| ("broker.ca", file)));
            let client = broker.tls.client.clone();
            files.extend(client.map(|(file, _)| ("broker.certificate", file)));
        }
        if let Some(panel) = &config.panel {
            let certificate = panel_of(panel, &self.state).certificate();
            files.extend(certificate.map(|c| ("panel.certificate", c.certificate)));
        }
        let offset = *self.sources.clock.wall().offset();
        let ends = |(about, file): (&str, PathBuf)| {
            // The first to end ends what it is good for.
            let all = kakou_uplink::certificate::of_file(&file).ok()?;
            let ends = all.iter().map(|dates| dates.not_after).min()?;
            let ends = kakou_contract::time::to_text(&ends.with_timezone(&offset));
            Some(json!({ "about": about, "ends": ends }))
        };
        let found: Value = files.into_iter().filter_map(ends).collect();
        *kept = Some((now, found.clone()));
        found
    }

    fn recorded(&self, event: AuditEvent) -> anyhow::Result<()> {
        let identity = &self.sources.identity;
        let now = self.sources.clock.wall();
        let envelope = Envelope::audit(&identity.site, &identity.agent, now, event)?;
        self.sources.outbox.append(vec![envelope])?;
        Ok(())
    }
}

/// The lanes and masks of a camera as the page draws them.
fn shapes(camera: &CameraConfig) -> (Vec<LaneShape>, Vec<Vec<[f32; 2]>>) {
    let points = |p: &kakou_traffic::geometry::Polygon| p.0.iter().map(|p| [p.x, p.y]).collect();
    let lanes = camera.lanes.iter().map(|lane| LaneShape {
        id: lane.id.clone(),
        name: lane.name.clone(),
        polygon: points(&lane.polygon),
        trigger: lane.trigger.map(|t| [[t.a.x, t.a.y], [t.b.x, t.b.y]]),
        direction: lane.direction,
    });
    (lanes.collect(), camera.masks.iter().map(points).collect())
}

/// The longer side of the picture in which all but the smallest plates are wide enough. `widths`
/// are sorted, in pixels of a picture whose longer side is `longer`.
fn advice(widths: &[f32], longer: u32) -> Option<u32> {
    if widths.len() < ADVICE_LEAST {
        return None;
    }
    let small = widths
        .get(widths.len() / ADVICE_SMALLER)
        .filter(|w| **w > 0.0)?;
    let side = longer as f32 * PLATE_WIDTH / small;
    let side = (side / STEP).ceil() * STEP;
    // More than the picture has is of no use, and less than this finds nothing else.
    Some((side as u32).clamp(320, longer.max(320)))
}

fn median(sorted: &[f32]) -> Option<f64> {
    sorted.get(sorted.len() / 2).map(|w| f64::from(*w))
}

impl Checkpoint for AgentCheckpoint {
    fn site(&self) -> String {
        self.sources.identity.site.to_string()
    }

    fn agent(&self) -> String {
        self.sources.identity.agent.to_string()
    }

    fn version(&self) -> &'static str {
        crate::SHORT_VERSION
    }

    fn now(&self) -> DateTime<FixedOffset> {
        self.sources.clock.wall()
    }

    fn mono(&self) -> Duration {
        self.sources.clock.mono()
    }

    fn status(&self) -> Value {
        let mut status = serde_json::to_value(local_status(&self.sources)).unwrap_or_default();
        if let Some(status) = status.as_object_mut() {
            status.insert("certificates".to_owned(), self.certificates());
        }
        status
    }

    fn cameras(&self) -> Vec<Camera> {
        let (config, tallies) = (self.settings.current(), self.sources.tallies.all());
        let mut cameras = Vec::new();
        for view in self.sources.views.all() {
            let id = view.id().to_string();
            let Some(of_config) = config.cameras.iter().find(|c| c.id == id) else {
                continue;
            };
            let (lanes, masks) = shapes(of_config);
            let tally = tallies.iter().find(|(camera, _)| camera == view.id());
            let counted = tally.map(|(_, tally)| tally);
            let sum = |of: fn(&super::super::tally::LaneTally) -> u64| {
                counted.map_or(0, |tally| tally.lanes.values().map(of).sum())
            };
            let widths = view.widths();
            cameras.push(Camera {
                status: view.status(),
                size: view
                    .newest()
                    .map(|(pixels, _)| pixels.size())
                    .map(|(w, h)| [w, h]),
                lanes,
                masks,
                passages: sum(|lane| lane.passages()),
                read: sum(|lane| lane.read),
                plate_width: (!widths.is_empty())
                    .then(|| f64::from(widths.iter().sum::<f32>()) / widths.len() as f64),
                id,
            });
        }
        cameras
    }

    fn picture(&self, camera: &str, width: u32) -> Result<Bytes, Refused> {
        let picture = self.view(camera)?.picture().map_err(Refused::NotFound)?;
        encoded(&picture, width)
    }

    fn scene(&self, camera: &str, motion: bool) -> Result<Scene, Refused> {
        self.scenes
            .scene(&*self.view(camera)?, &self.sources.clock, motion)
    }

    fn scene_picture(&self, camera: &str, frame: u64) -> Result<Bytes, Refused> {
        self.scenes.picture(&*self.view(camera)?, frame)
    }

    fn geometry(&self, camera: &str) -> Result<Geometry, Refused> {
        let (in_use, config) = self.config_of(camera)?;
        let view = self.view(camera)?;
        let widths = view.widths();
        let longer = view
            .newest()
            .map(|(pixels, _)| pixels.size())
            .map(|(w, h)| w.max(h));
        let (version, of_file, writable) = match self.file() {
            Ok(file) => {
                let (version, of_file) = file.now()?;
                (version, of_file, file.is_writable())
            }
            Err(_) => (String::new(), None, false),
        };
        // What is saved takes the place of what the file says, so that is what is drawn on: else a
        // lane that waits there for a reload would be taken away unseen.
        let written = of_file.as_ref().unwrap_or(&config);
        let of_camera = written.cameras.iter().find(|c| c.id == camera);
        let (lanes, masks) = shapes(of_camera.unwrap_or(&in_use));
        Ok(Geometry {
            version,
            writable,
            plate_side: Some(written.look.plate_side),
            plate_side_advice: longer.and_then(|longer| advice(&widths, longer)),
            widths: Widths {
                median: median(&widths),
                count: widths.len(),
            },
            lanes,
            masks,
        })
    }

    fn save(&self, camera: &str, wanted: Geometry, by: &str) -> Result<Saved, Refused> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, config) = self.config_of(camera)?;
        let file = self.file()?;
        // Compared with the file: the side in use may be another one. Where the file changes after
        // this, its version does too.
        let (_, of_file) = file.now()?;
        let before = of_file.as_ref().unwrap_or(&config).look.plate_side;
        let plate_side = wanted.plate_side.filter(|side| *side != before);
        let written = file.write(camera, &wanted, plate_side)?;
        let taken = self.reloaded();
        let what = match &taken {
            Ok(taken) => {
                format!("camera {camera}: lanes and masks saved on the page by {by}; {taken}")
            }
            Err(why) => format!("camera {camera}: saved on the page by {by}, and put back: {why}"),
        };
        tracing::info!(camera, by, "config saved on the page");
        // It is done, whether it can be recorded or not; the log has it too.
        let _ = self.audit(AuditEvent::ConfigReload {
            sha256: save::digest(&written.text),
            detail: Some(what),
        });
        match taken {
            Ok(taken) => Ok(Saved {
                version: file.version()?,
                backup: written.backup,
                notes: written.notes,
                started: names(&taken["cameras_started"]),
            }),
            Err(why) => {
                // What the agent does not run with must not wait for its next start.
                file.put_back(&written)?;
                Err(Refused::Failed(format!("{why}; the config is as it was")))
            }
        }
    }

    fn answer(&self, answer: Answer) -> Result<(), Refused> {
        let Answer {
            hit,
            verdict,
            note,
            by,
        } = answer;
        let given = answers::Answer {
            hit,
            verdict,
            by,
            note,
        };
        let (event, _) = self.hits.answer(given, self.sources.clock.wall());
        let failed =
            |e: anyhow::Error| Refused::Failed(format!("the answer was not recorded: {e:#}"));
        self.recorded(event).map_err(failed)
    }

    fn hits_before(&self, most: usize) -> Vec<Before> {
        self.records.hits(most).unwrap_or_else(|e| {
            tracing::error!("hits of before are not shown on the page: {e}");
            Vec::new()
        })
    }

    fn passages(&self, wanted: &PassageQuery) -> Result<Passages, Refused> {
        self.records.passages(wanted)
    }

    fn evidence(&self, owner: Uuid, role: &str, near: u64) -> Result<Bytes, Refused> {
        self.records.picture(owner, role, near)
    }

    fn quality(&self, hours: u32) -> Result<Quality, Refused> {
        self.records.quality(hours, self.sources.clock.wall())
    }

    fn report(&self, hours: u32) -> Result<Report, Refused> {
        self.records.report(hours, self.sources.clock.wall())
    }

    fn log(&self, most: usize) -> Vec<LogLine> {
        let lines = crate::log::recent(most).into_iter();
        lines
            .map(|line| LogLine {
                time: line.time,
                level: line.level.as_str(),
                target: line.target,
                text: line.text,
            })
            .collect()
    }

    fn doctor(&self) -> Result<Value, Refused> {
        let failed = |e: anyhow::Error| Refused::Failed(format!("the doctor: {e:#}"));
        let none = || Refused::Failed("this agent runs without a config file".into());
        let config = self.config.clone().ok_or_else(none)?;
        doctor(&config, &self.state).map_err(failed)
    }

    fn audit(&self, event: AuditEvent) -> Result<(), Refused> {
        let kind = event.kind();
        self.recorded(event).map_err(|e| {
            tracing::error!(event = kind, "it was not recorded: {e:#}");
            Refused::Failed("it could not be recorded, so it is not done; the log says more".into())
        })
    }
}

/// As a process of its own, at the lowest priority: its models must not stay in this one's memory,
/// and the cameras come first.
fn doctor(config: &std::path::Path, state: &std::path::Path) -> anyhow::Result<Value> {
    let mut child = Command::new("nice")
        .args(["-n", "19"])
        .arg(std::env::current_exe()?)
        .args(["doctor", "--json", "--config"])
        .arg(config)
        .arg("--state")
        .arg(state)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("nice")?;
    let output = child.stdout.take().context("it has no output")?;
    let reader = std::thread::spawn(move || std::io::read_to_string(output));
    let began = kakou_time::Stopwatch::start();
    while child.try_wait()?.is_none() {
        if began.elapsed() > DOCTOR {
            let _ = child.kill();
            let _ = child.wait();
            anyhow::bail!("it was not done within {} s", DOCTOR.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let text = reader
        .join()
        .map_err(|_| anyhow::anyhow!("its output was not read"))??;
    let told: Value = serde_json::from_str(&text).context("it said nothing that can be read")?;
    Ok(told["findings"].clone())
}

fn names(list: &Value) -> Vec<String> {
    let names = list.as_array().into_iter().flatten();
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_advice_makes_all_but_the_smallest_plates_wide_enough() {
        // 1920 wide, plates of 90 px: half the picture is enough.
        assert_eq!(advice(&[90.0; 40], 1920), Some(960));
        // One odd plate among many is not what the camera is set for.
        let mut widths = vec![20.0];
        widths.extend([90.0; 40]);
        assert_eq!(advice(&widths, 1920), Some(960));
        // Never more than the picture has.
        assert_eq!(advice(&[20.0; 40], 1280), Some(1280));
        assert_eq!(advice(&[900.0; 40], 1280), Some(320));
        assert_eq!(advice(&[90.0; 9], 1920), None, "too few to say");
    }
}
