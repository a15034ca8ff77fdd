//! What is lost and what is invented at few looks a second.
//!
//! `cargo test --release -p kakou-traffic rate_tests -- --nocapture` prints the figures.

use super::scene_tests::{expect, lanes, run, texts};
use super::*;
use crate::track::sim::{Vehicle, World};

/// Of `all` vehicles, how many have no passage of their own, and how many passages belong to no
/// vehicle.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: usize,
    missed: usize,
    extra: usize,
}

impl Count {
    fn add(&mut self, world: &World, config: &PassageConfig) {
        let wanted = expect(world);
        let mut left = texts(&run(world, config));
        self.all += wanted.len();
        for text in &wanted {
            match left.iter().position(|t| t == text) {
                Some(i) => drop(left.remove(i)),
                None => self.missed += 1,
            }
        }
        self.extra += left.len();
    }

    fn percent(part: usize, all: usize) -> f32 {
        100.0 * part as f32 / all.max(1) as f32
    }

    fn missed(&self) -> f32 {
        Self::percent(self.missed, self.all)
    }

    fn extra(&self) -> f32 {
        Self::percent(self.extra, self.all)
    }
}

/// The same scene in which every vehicle takes a part of the time.
fn faster(mut world: World, by: f32) -> World {
    for v in &mut world.vehicles {
        let begin = v.way[0].t;
        for w in &mut v.way {
            w.t = begin + (w.t - begin) / by;
        }
    }
    world
}

fn count(world: &World, config: &PassageConfig, fps: f32, seeds: u64) -> Count {
    let mut count = Count::default();
    for seed in 0..seeds {
        let world = World {
            fps,
            seed,
            ..world.clone()
        };
        count.add(&world, config);
    }
    count
}

fn without_plates(gap: f32) -> World {
    let cars = (0..4_u8).map(|i| Vehicle::approaching("", 400.0, 0.3 + gap * f32::from(i), 4.0));
    World::new(cars.collect(), 4.0 * gap + 5.0)
}

/// Four vehicles that never hide each other, in sight for two seconds.
#[test]
fn vehicles_without_a_plate_are_seldom_lost_in_the_short_view() {
    for (fps, most) in [(5.0, 1.0), (3.0, 3.0), (2.0, 8.0)] {
        let world = faster(without_plates(6.0), 2.0);
        let c = count(&world, &PassageConfig::default(), fps, 250);
        println!(
            "no plates, 2 s in sight, {fps} looks/s: {:.1} % lost, {:.1} % too many, of {}",
            c.missed(),
            c.extra(),
            c.all
        );
        assert!(c.missed() < most && c.extra() < 1.0, "{fps}/s: {c:?}");
    }
}

/// Far less than one vehicle in a hundred is lost where each shows its plate for a while.
#[test]
fn plates_and_tailgating_at_few_looks_a_second() {
    let tailgating = |gap: f32| {
        let cars = (0..4_u8).map(|i| {
            let text = format!("皖A{}", 12345 + 11111 * u32::from(i));
            Vehicle::approaching(&text, 400.0, 0.3 + gap * f32::from(i), 4.0)
        });
        World::new(cars.collect(), 4.0 * gap + 5.0)
    };
    let two_lanes = vec![
        Vehicle::approaching("皖A12345", 330.0, 0.5, 4.0),
        Vehicle::approaching("鲁GD12345", 900.0, 1.0, 3.5),
        Vehicle::approaching("皖A12346", 340.0, 5.0, 4.0),
        Vehicle::approaching("", 880.0, 5.0, 4.0),
    ];
    let scenes = [
        ("two lanes", World::new(two_lanes, 11.0), lanes()),
        ("2.5 s apart", tailgating(2.5), PassageConfig::default()),
        ("0.5 s apart", tailgating(0.5), PassageConfig::default()),
    ];
    for (name, world, config) in &scenes {
        for fps in [2.0, 3.0, 5.0, 8.0] {
            let c = count(world, config, fps, 50);
            println!(
                "{name}, {fps} looks/s: {:.1} % lost, {:.1} % too many",
                c.missed(),
                c.extra()
            );
            assert!(
                c.missed() < 1.0 && c.extra() <= 2.0,
                "{name} {fps}/s: {c:?}"
            );
        }
    }
}

/// Boxes that overlap are told apart only where they show two vehicles in one look: the figures,
/// and no promise but that nothing is invented.
#[test]
fn tailgating_without_plates() {
    for gap in [0.5, 1.0] {
        for (fps, most) in [(3.0, 55.0), (5.0, 35.0), (8.0, 30.0)] {
            let c = count(&without_plates(gap), &PassageConfig::default(), fps, 50);
            println!(
                "no plates, {gap} s apart, {fps} looks/s: {:.1} % lost, {:.1} % too many",
                c.missed(),
                c.extra()
            );
            assert!(
                c.missed() < most && c.extra() <= 2.0,
                "{gap} s {fps}/s: {c:?}"
            );
        }
    }
}

/// A fast vehicle whose plate was read surely, if only once.
#[test]
fn one_sure_read_is_a_passage() {
    for fps in [2.0, 3.0, 4.0] {
        for seed in 0..40 {
            let mut car = Vehicle::approaching("皖A12345", 330.0, 0.5, 1.2);
            car.score = 0.9;
            let mut world = World::new(vec![car], 6.0);
            world.errors.misread = 0.0;
            world.errors.plate_missed = 0.0;
            world.errors.vehicle_missed = 0.0;
            let world = World { fps, seed, ..world };
            let read = world
                .frames()
                .iter()
                .any(|(_, det)| det.plates.iter().any(|p| p.read.is_some()));
            let got = texts(&run(&world, &lanes()));
            if read {
                assert_eq!(got, ["皖A12345"], "{fps}/s seed {seed}");
            }
        }
    }
}
