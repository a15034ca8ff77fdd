//! `[[camera]]`: when it is looked at, and what counts as a fault of it.

use std::path::Path;
use std::time::Duration;

use kakou_sight::camera::Schedule;

use super::super::keys::{camera as keys, watching as watching_keys};
use super::super::part::Part;
use super::super::settings::{CameraConfig, Watching};
use super::{lane, source};

/// More than any box can decode; each is compared with every other.
const MOST: usize = 256;

pub(super) fn cameras(parts: &[Part<'_>], base: &Path) -> Vec<CameraConfig> {
    let (parts, more) = parts.split_at(parts.len().min(MOST));
    if let Some(first) = more.first() {
        first.wrong(&keys::ID, format!("there may be {MOST} cameras at most"));
    }
    let cameras: Vec<CameraConfig> = parts.iter().map(|part| camera(part, base)).collect();
    for (index, (camera, part)) in cameras.iter().zip(parts).enumerate() {
        let before = || cameras.iter().zip(parts).take(index);
        let same = before().find(|(other, _)| other.id == camera.id && !camera.id.is_empty());
        if let Some((_, first)) = same {
            let reason = format!(
                "`{}` is also the camera in line {}; ids must differ",
                camera.id,
                part.at.line(&first.place_or_header(&keys::ID))
            );
            part.wrong(&keys::ID, reason);
        }
        let twin =
            before().find(|(other, _)| camera.source.is_some() && other.source == camera.source);
        if let Some((other, twin)) = twin {
            let reason = format!(
                "is the url of camera `{}` (line {}) too, so each vehicle would be recorded twice; give each camera its own",
                other.id,
                part.at.line(&twin.place_or_header(&keys::URL))
            );
            part.doubtful(&keys::URL, reason);
        }
    }
    cameras
}

fn camera(part: &Part<'_>, base: &Path) -> CameraConfig {
    let masks = part.get(&keys::MASKS).unwrap_or_default();
    CameraConfig {
        id: part.get(&keys::ID).unwrap_or_default(),
        source: source::source(part, base),
        lanes: lane::lanes(part, &masks),
        watching: watching(part),
        masks,
    }
}

fn watching(part: &Part<'_>) -> Watching {
    let seconds = Duration::from_secs_f32;
    let mut watching = Watching {
        schedule: Schedule(
            part.get(&keys::SCHEDULE)
                .into_iter()
                .flatten()
                .map(|(span, _)| span)
                .collect(),
        ),
        rate: part.get(&keys::RATE),
        ..Watching::default()
    };
    let gate = part.part(&watching_keys::GATE);
    watching.gate_enabled = gate.get(&watching_keys::GATE_ENABLED);
    watching.gate.routine = seconds(gate.get(&watching_keys::LOOK_EVERY_S));

    let health = part.part(&watching_keys::HEALTH);
    let no_frames = health.get(&watching_keys::NO_FRAMES_S);
    if let Some(rate) = watching.rate
        && no_frames * rate < 1.0
    {
        let reason = format!(
            "{no_frames} s is less than the time between two frames at {}, so the camera would \
             always count as silent; write a longer time",
            part.named(&keys::RATE, rate)
        );
        health.wrong(&watching_keys::NO_FRAMES_S, reason);
    }
    let condition = &mut watching.condition;
    condition.size = part.get(&keys::SIZE);
    condition.no_frames_after = seconds(no_frames);
    condition.rate_low = health.get(&watching_keys::LOW_RATE);
    condition.rate_well = condition.rate_well.max(condition.rate_low + 0.05);
    condition.rate_over = seconds(health.get(&watching_keys::LOW_RATE_S));
    let sight = &mut watching.sight;
    sight.frozen_after = seconds(health.get(&watching_keys::FROZEN_S));
    sight.black_after = seconds(health.get(&watching_keys::BLACK_S));
    sight.blinded_after = seconds(health.get(&watching_keys::BLINDED_S));
    sight.turned_after = seconds(health.get(&watching_keys::TURNED_AWAY_S));
    watching
}
