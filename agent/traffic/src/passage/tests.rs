#![allow(clippy::unwrap_used)]
//! One rule at a time.

use kakou_contract::{Direction, VehicleClass};

use std::time::Duration;

use super::scene_tests::{lanes, run, run_changed, texts};
use super::*;
use crate::geometry::Point;
use crate::track::sim::{Vehicle, World};

#[test]
fn a_vehicle_without_a_plate_says_why() {
    let p = run(
        &World::new(vec![Vehicle::approaching("", 600.0, 0.5, 4.0)], 8.0),
        &PassageConfig::default(),
    );
    assert_eq!(p.len(), 1);
    assert_eq!(
        (p[0].plate.as_ref(), p[0].no_plate),
        (None, Some(NoPlate::NoneFound))
    );
    assert_eq!(p[0].class.unwrap().0, VehicleClass::Car);
    let best = p[0].best.as_ref().unwrap().vehicle.unwrap();
    assert!(
        best.width() > 250.0 && best.y1 < 719.0,
        "the largest whole view: {best:?}"
    );

    let small = Vehicle::new(
        "皖A12345",
        &[(0.0, 300.0, 200.0, 130.0), (4.0, 900.0, 260.0, 150.0)],
    );
    let p = run(&World::new(vec![small], 8.0), &PassageConfig::default());
    assert_eq!(
        p.iter().map(|p| p.no_plate).collect::<Vec<_>>(),
        [Some(NoPlate::TooSmall)]
    );

    let mut blurred = World::new(vec![Vehicle::approaching("皖A12345", 600.0, 0.5, 4.0)], 8.0);
    blurred.errors.misread = 0.0;
    let out = run_changed(&blurred, &PassageConfig::default(), |_, det| {
        let reads = det.plates.iter_mut().filter_map(|p| p.read.as_mut());
        for c in reads.flat_map(|r| &mut r.chars) {
            c.conf = 0.25;
        }
    });
    assert_eq!(reasons(&out), [Some(NoPlate::TooUncertain)]);

    let out = run_changed(&blurred, &PassageConfig::default(), |_, det| {
        for plate in &mut det.plates {
            plate.read = None;
        }
    });
    assert_eq!(reasons(&out), [Some(NoPlate::NotReadable)]);

    let out = run_changed(&blurred, &PassageConfig::default(), |_, det| {
        det.plates.clear();
        det.plates_looked_for = false;
    });
    assert_eq!(reasons(&out), [Some(NoPlate::NotLookedFor)]);
}

fn reasons(passages: &[Passage<u64>]) -> Vec<Option<NoPlate>> {
    passages.iter().map(|p| p.no_plate).collect()
}

#[test]
fn a_plate_without_a_vehicle_is_a_passage() {
    let mut v = Vehicle::approaching("皖A12345", 600.0, 0.5, 4.0);
    v.plate_only = true;
    let p = run(&World::new(vec![v], 8.0), &PassageConfig::default());
    assert_eq!(texts(&p), ["皖A12345"]);
    assert_eq!(p[0].class, None);
    assert_eq!(p[0].direction, Direction::Approaching);
}

#[test]
fn burnt_in_text_and_static_ghosts_are_none() {
    let mut world = World::new(Vec::new(), 60.0);
    world.overlay = Some(("皖A12345".into(), Point::new(1000.0, 30.0)));
    world.ghosts = vec![
        (Rect::new(700.0, 200.0, 900.0, 340.0), 0.55),
        (Rect::new(100.0, 400.0, 300.0, 600.0), 0.5),
    ];
    assert!(run(&world, &PassageConfig::default()).is_empty());
    world.seconds = 20.0;
    world.vehicles = vec![Vehicle::approaching("鲁E6K829", 500.0, 2.0, 5.0)];
    assert_eq!(texts(&run(&world, &PassageConfig::default())), ["鲁E6K829"]);
}

#[test]
fn ghosts_are_none_at_few_looks_a_second() {
    for fps in [2.0, 3.0, 5.0, 12.0] {
        for seed in 0..10 {
            let mut world = World {
                fps,
                seed,
                ..World::new(Vec::new(), 60.0)
            };
            // Near each other, so that one flickers where the other has just been.
            world.ghosts = vec![
                (Rect::new(700.0, 200.0, 900.0, 340.0), 0.55),
                (Rect::new(720.0, 330.0, 930.0, 480.0), 0.55),
                (Rect::new(100.0, 400.0, 300.0, 600.0), 0.5),
            ];
            world.overlay = Some(("皖A12345".into(), Point::new(1000.0, 30.0)));
            let p = run(&world, &PassageConfig::default());
            assert_eq!(texts(&p), [""; 0], "ghosts, fps {fps} seed {seed}");

            // A shadow and a sign in a few looks.
            let spot = |x: f32, t: f32| [(t, x, 500.0, 300.0), (t + 1.5, x, 500.0, 300.0)];
            let mut shadow = Vehicle::new("", &spot(300.0, 1.0));
            shadow.score = 0.55;
            let mut sign = Vehicle::new("皖A1234", &spot(900.0, 2.0));
            sign.plate_only = true;
            let world = World {
                vehicles: vec![shadow, sign],
                ghosts: Vec::new(),
                overlay: None,
                seconds: 30.0,
                ..world
            };
            let p = run(&world, &PassageConfig::default());
            assert_eq!(texts(&p), [""; 0], "a few looks, fps {fps} seed {seed}");
        }
    }
}

#[test]
fn parked_all_the_time_is_one_passage_at_the_end() {
    let spot = [(0.0, 600.0, 500.0, 400.0), (60.0, 600.0, 500.0, 400.0)];
    for text in ["皖A12345", ""] {
        let p = run(
            &World::new(vec![Vehicle::new(text, &spot)], 60.0),
            &PassageConfig::default(),
        );
        assert_eq!(p.len(), 1, "{text}");
        assert_eq!(p[0].direction, Direction::Standing);
    }
}

#[test]
fn the_best_frame_is_one_that_reads_as_the_result() {
    let mut world = World::new(vec![Vehicle::approaching("皖A12345", 600.0, 0.5, 4.0)], 8.0);
    world.errors.misread = 0.5;
    for seed in 0..20 {
        world.seed = seed;
        let p = run(&world, &PassageConfig::default());
        assert_eq!(texts(&p), ["皖A12345"]);
        let best = p[0].best.as_ref().unwrap();
        assert_eq!(best.read.as_ref().unwrap().text(), "皖A12345");
        // The frame handle of the simulation is the frame's time.
        assert_eq!(u128::from(best.frame), best.time.mono.as_micros());
        assert!(best.quad.is_some() && best.vehicle.is_some());
    }
}

#[test]
fn lane_trigger_and_direction() {
    let config = lanes();
    let down = Vehicle::approaching("皖A12345", 300.0, 0.5, 4.0);
    let mut up = Vehicle::approaching("鲁E6K829", 950.0, 0.0, 4.0);
    for w in &mut up.way {
        w.t = 5.0 - w.t;
    }
    up.way.reverse();
    let aside = Vehicle::new(
        "皖B77777",
        &[(0.5, 1180.0, 100.0, 150.0), (4.0, 1240.0, 300.0, 200.0)],
    );
    let world = World::new(vec![down, up, aside], 8.0);
    let p = run(&world, &config);
    assert_eq!(p.len(), 2);
    for p in &p {
        let left = p.plate.as_ref().unwrap().text == "皖A12345";
        assert_eq!(p.lane.as_deref(), Some(if left { "1" } else { "2" }));
        assert_eq!(
            p.direction,
            if left {
                Direction::Approaching
            } else {
                Direction::Leaving
            }
        );
        // Lane 2 expects what lane 1 expects.
        assert_eq!(p.wrong_way, !left);
        let crossed = world.seconds_at(p.passed_at.mono);
        assert!((2.0..4.0).contains(&crossed), "{crossed}");
        assert!(p.first_seen.mono < p.passed_at.mono && p.passed_at.mono < p.last_seen.mono);
    }
}

#[test]
fn motorcycles_stay_motorcycles() {
    let mut v = Vehicle::approaching("皖A12345", 600.0, 0.5, 4.0);
    v.class = VehicleClass::Motorcycle;
    let p = run(&World::new(vec![v], 8.0), &PassageConfig::default());
    assert_eq!(p[0].class.unwrap().0, VehicleClass::Motorcycle);
}

#[test]
fn records_go_out_promptly() {
    let world = World::new(
        vec![Vehicle::approaching("皖A12345", 600.0, 0.0, 4.0)],
        30.0,
    );
    let mut tracker = crate::track::Tracker::new(crate::track::TrackConfig::default());
    let mut passages = Passages::new(PassageConfig::default());
    for (now, det) in world.frames() {
        let upd = tracker.update(now, crate::track::sim::SIZE, &det);
        if let Some(p) = passages
            .update(&0, super::scene_tests::time(now), &det, &upd)
            .passed
            .first()
        {
            let wait = now - p.last_seen.mono;
            assert!(wait < Duration::from_millis(2000), "{wait:?}");
            assert_eq!(passages.pending(), 0);
            return;
        }
    }
    unreachable!("no passage");
}

#[test]
fn the_colour_is_that_of_the_looks_and_a_motorcycle_has_none() {
    use kakou_contract::VehicleColour;
    let world = World::new(vec![Vehicle::approaching("皖A12345", 600.0, 0.5, 4.0)], 8.0);
    let seen = |class: Option<VehicleClass>| {
        let out = run_changed(&world, &PassageConfig::default(), |_, det| {
            for v in &mut det.vehicles {
                v.colour = Some((VehicleColour::Red, 0.8));
                v.class = class.unwrap_or(v.class);
            }
        });
        out[0].colour
    };
    let (colour, sure) = seen(None).unwrap();
    assert_eq!(colour, VehicleColour::Red);
    assert!((sure - 0.8).abs() < 1e-3, "{sure}");
    assert_eq!(seen(Some(VehicleClass::Motorcycle)), None);
}
