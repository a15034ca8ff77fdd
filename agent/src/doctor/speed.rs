//! The models, opened as the agent opens them, and how many looks a second they make on this box.

use std::sync::Arc;
use std::time::Duration;

use kakou_sight::camera::{Coding, Frame, LOOKS_NEEDED, Layout, Moment, Pixels, Planes};
use kakou_sight::vision::ModelPool;
use kakou_time::{SharedClock, Stopwatch};

use super::finding::{Area, Finding};
use crate::app::prepare;
use crate::check;
use crate::config::{CameraConfig, Config, message_and_mend};
use crate::pipeline::Pipeline;

/// What vehicles in sight cost beyond an empty road: their plates are read.
const MARGIN: f64 = 1.5;
/// How long is measured.
const MEASURE: Duration = Duration::from_secs(1);
/// The size of a picture where the config names none.
const USUAL: (u32, u32) = (1920, 1080);

pub(super) fn examine(config: &Config, clock: &SharedClock, tell: &mut dyn FnMut(Finding)) {
    let wanted = prepare::wanted_models(config);
    let manifest = config.models.location.manifest.display().to_string();
    let pool = match wanted.open() {
        Ok(pool) => pool,
        Err(e) => {
            let (key, text) = check::model_fault(&e);
            let (message, mend) = message_and_mend(&text);
            let mend = mend
                .unwrap_or("fetch the models again (make models), or install the package again");
            let finding = Finding::fault(Area::Models, format!("{key}: {message}"));
            return tell(finding.about(manifest).mend(mend));
        }
    };
    let used = pool.used().iter();
    let named: Vec<_> = used.map(|(name, v)| format!("{name} {v}")).collect();
    let message = format!("opened on {}: {}", config.models.provider, named.join(", "));
    tell(Finding::ok(Area::Models, message).about(manifest));
    let cameras: Vec<&CameraConfig> = config
        .cameras
        .iter()
        .filter(|camera| camera.source.is_some())
        .collect();
    match looks_a_second(config, &cameras, &pool, wanted.sets, clock) {
        Ok(looks) => tell(judge(looks, &cameras)),
        Err(e) => tell(
            Finding::fault(Area::Speed, format!("a look failed: {e:#}"))
                .mend("fetch the models again (make models), or install the package again"),
        ),
    }
}

/// Of all sets of models together, on an empty road.
fn looks_a_second(
    config: &Config,
    cameras: &[&CameraConfig],
    pool: &Arc<ModelPool>,
    sets: usize,
    clock: &SharedClock,
) -> anyhow::Result<f64> {
    let mut config = config.clone();
    // In every picture, as with a vehicle in sight whose plate is not sure yet.
    config.look.enough_reads = 0;
    (config.look.vehicle_every_ms, config.look.plate_every_ms) = (0, 0);
    let plain = CameraConfig::plain("trial");
    let camera: &CameraConfig = cameras.first().copied().unwrap_or(&plain);
    let size = camera.watching.condition.size.unwrap_or(USUAL);
    let rates: Vec<anyhow::Result<f64>> = std::thread::scope(|scope| {
        let (config, camera) = (&config, camera);
        let all: Vec<_> = (0..sets)
            .map(|_| scope.spawn(move || one_set(config, camera, Arc::clone(pool), size, clock)))
            .collect();
        let broken = || anyhow::anyhow!("the trial itself broke off");
        all.into_iter()
            .map(|set| set.join().unwrap_or_else(|_| Err(broken())))
            .collect()
    });
    let rates = rates.into_iter().collect::<anyhow::Result<Vec<f64>>>()?;
    Ok(rates.iter().sum())
}

fn one_set(
    config: &Config,
    camera: &CameraConfig,
    pool: Arc<ModelPool>,
    size: (u32, u32),
    clock: &SharedClock,
) -> anyhow::Result<f64> {
    let mut pipeline = Pipeline::new(config, camera, pool)?;
    let pixels = Pixels::from(empty_road(size));
    let now = clock.now();
    let frame = |number: u64| {
        let later = Duration::from_millis(100 * number);
        let time = Moment {
            mono: now.mono + later,
            ..now
        };
        Frame::new(number, "", time, pixels.clone())
    };
    // The first look makes room in memory.
    pipeline.frame(&frame(0))?;
    let watch = Stopwatch::start();
    let mut looks = 0;
    while watch.elapsed() < MEASURE {
        looks += 1;
        pipeline.frame(&frame(looks))?;
    }
    Ok(looks as f64 / watch.elapsed().as_secs_f64())
}

/// A grey picture that is lighter to the bottom: nothing in it is found.
fn empty_road((width, height): (u32, u32)) -> Planes {
    let mut bytes = vec![128; Planes::size_of(width, height)];
    let rows = (width as usize).max(1);
    let lines = bytes.chunks_mut(rows).take(height as usize);
    for (y, line) in lines.enumerate() {
        line.fill(u8::try_from(60 + y * 100 / (height as usize).max(1)).unwrap_or(128));
    }
    Planes {
        width,
        height,
        layout: Layout::I420,
        coding: Coding {
            full_range: false,
            bt709: true,
        },
        bytes,
    }
}

/// What the cameras need. One that is told to give fewer frames needs no more than those.
fn needed(cameras: &[&CameraConfig]) -> f64 {
    let of = |camera: &&CameraConfig| {
        let rate = camera.watching.rate.map_or(f64::MAX, f64::from);
        rate.min(LOOKS_NEEDED.into())
    };
    cameras.iter().map(of).sum()
}

fn judge(looks: f64, cameras: &[&CameraConfig]) -> Finding {
    let needed = needed(cameras);
    let of = match cameras.len() {
        1 => "1 camera needs".to_owned(),
        n => format!("{n} cameras need"),
    };
    let message =
        format!("{looks:.1} looks a second at an empty road; {of} {needed:.0} while vehicles pass");
    let mend = "stop what else runs on this box and try again; else fewer cameras, a smaller \
                [vision] plate_side, or another provider (kakou bench --providers)";
    if looks < needed {
        Finding::warning(Area::Speed, format!("{message}: plates will get lost")).mend(mend)
    } else if looks < needed * MARGIN {
        Finding::warning(Area::Speed, format!("{message}: that is little more")).mend(mend)
    } else {
        Finding::ok(Area::Speed, message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn what_is_measured_is_held_against_what_the_cameras_need() {
        let (plain, mut slow) = (CameraConfig::plain("a"), CameraConfig::plain("b"));
        slow.watching.rate = Some(2.0);
        let four = [&plain; 4];
        assert_eq!((needed(&four), needed(&[&plain, &slow])), (16.0, 6.0));
        assert_eq!(judge(40.0, &four).state, State::Ok);
        assert_eq!(judge(20.0, &four).state, State::Warning);
        let lost = judge(7.2, &four);
        assert_eq!(lost.state, State::Warning);
        assert!(lost.message.contains("7.2 looks") && lost.message.contains("need 16"));
        assert!(lost.mend.is_some());
        assert_eq!(
            judge(0.1, &[]).state,
            State::Ok,
            "nothing is to be looked at"
        );
    }
}
