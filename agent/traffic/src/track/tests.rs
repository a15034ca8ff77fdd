#![allow(clippy::unwrap_used)]
//! The tracker on simulated traffic: identities hold.

use std::collections::{BTreeMap, BTreeSet};

use super::sim::{SIZE, Vehicle, World};
use super::*;
use crate::detections::Detections;
use crate::geometry::Point;

type Bore = BTreeMap<String, BTreeSet<TrackId>>;
type Ends = Vec<(f32, TrackId, EndReason)>;

/// Which tracks bore which text's plate, by near-equality, and all ends.
fn run(world: &World) -> (Bore, Ends) {
    let mut tracker = Tracker::new(TrackConfig::default());
    let (mut bore, mut ends) = (Bore::new(), Ends::new());
    for (now, det) in world.frames() {
        let upd = tracker.update(now, SIZE, &det);
        for v in &upd.tracks {
            let read = v.plate_find.and_then(|i| det.plates[i].read.as_ref());
            let Some(read) = read else { continue };
            let near = world
                .vehicles
                .iter()
                .find(|w| crate::plate::similarity(&w.text, &read.text()) > 0.8);
            if let Some(w) = near {
                bore.entry(w.text.clone()).or_default().insert(v.id);
            }
        }
        let ids: Vec<TrackId> = upd.tracks.iter().map(|t| t.id).collect();
        assert!(ids.is_sorted() && upd.ended.iter().all(|e| !ids.contains(&e.0)));
        ends.extend(upd.ended.iter().map(|e| (world.seconds_at(now), e.0, e.1)));
    }
    (bore, ends)
}

fn one_track_each(world: &World) {
    let (bore, _) = run(world);
    assert_eq!(
        bore.len(),
        world.vehicles.iter().filter(|v| !v.text.is_empty()).count()
    );
    for (text, ids) in bore {
        assert_eq!(ids.len(), 1, "{text} {ids:?}");
    }
}

#[test]
fn side_by_side_at_all_rates() {
    let cars = vec![
        Vehicle::approaching("皖A12345", 350.0, 0.2, 4.0),
        Vehicle::approaching("鲁GD12345", 900.0, 0.5, 4.0),
    ];
    for fps in [5.0, 8.0, 12.5, 25.0] {
        for seed in 0..10 {
            one_track_each(&World {
                fps,
                seed,
                ..World::new(cars.clone(), 6.0)
            });
        }
    }
}

#[test]
fn a_queue_hidden_by_a_passer_by() {
    let mut standing = Vehicle::new(
        "皖A12345",
        &[
            (0.0, 400.0, 150.0, 240.0),
            (2.0, 400.0, 500.0, 380.0),
            (20.0, 400.0, 500.0, 380.0),
        ],
    );
    standing.hidden = vec![(8.0, 13.0)];
    let passer = Vehicle::new(
        "皖B77777",
        &[(8.0, -100.0, 600.0, 500.0), (12.5, 1500.0, 600.0, 500.0)],
    );
    for seed in 0..10 {
        one_track_each(&World {
            seed,
            ..World::new(vec![standing.clone(), passer.clone()], 20.0)
        });
    }
}

#[test]
fn leaving_over_the_border_ends_early() {
    let world = World::new(vec![Vehicle::approaching("皖A12345", 600.0, 0.0, 4.0)], 8.0);
    let (_, ends) = run(&world);
    assert_eq!(ends.len(), 1, "{ends:?}");
    assert_eq!(ends[0].2, EndReason::LeftPicture);
    assert!(ends[0].0 < 5.0, "{ends:?}");
}

#[test]
fn a_detector_that_did_not_look_says_nothing() {
    let mut tracker = Tracker::new(TrackConfig::default());
    let world = World::new(
        vec![Vehicle::new(
            "皖A12345",
            &[(0.0, 600.0, 500.0, 400.0), (30.0, 600.0, 500.0, 400.0)],
        )],
        30.0,
    );
    let mut seen = BTreeSet::new();
    for (now, mut det) in world.frames() {
        if (3.0..29.0).contains(&world.seconds_at(now)) {
            det = Detections::default();
        }
        let upd = tracker.update(now, SIZE, &det);
        assert!(upd.ended.is_empty());
        seen.extend(upd.tracks.iter().map(|t| t.id));
    }
    assert_eq!(seen.len(), 1);
}

#[test]
fn another_plate_in_the_same_place_is_another_vehicle() {
    let (a, b) = ((0.0, 600.0, 500.0, 400.0), (4.0, 600.0, 500.0, 400.0));
    let first = Vehicle::new("皖A12345", &[a, b]);
    // The footage was cut: another vehicle stands in the very same spot.
    let second = Vehicle::new(
        "鲁B8K6P7",
        &[(4.0, 600.0, 500.0, 400.0), (8.0, 600.0, 500.0, 400.0)],
    );
    let (bore, ends) = run(&World::new(vec![first, second], 8.0));
    assert!(bore["皖A12345"].is_disjoint(&bore["鲁B8K6P7"]));
    assert_eq!(ends[0].2, EndReason::Replaced);
}

#[test]
fn a_pause_and_a_clock_that_goes_back_end_all() {
    let world = World::new(vec![Vehicle::approaching("皖A12345", 600.0, 0.0, 4.0)], 2.0);
    let mut tracker = Tracker::new(TrackConfig::default());
    let frames = world.frames();
    for (now, det) in &frames {
        tracker.update(*now, SIZE, det);
    }
    let (now, det) = frames.last().unwrap();
    let late = *now + std::time::Duration::from_secs(60);
    let upd = tracker.update(late, SIZE, det);
    assert_eq!(
        upd.ended.iter().map(|e| e.1).collect::<Vec<_>>(),
        [EndReason::Cut]
    );
    // A clock that goes back is a cut too, not an error.
    assert!(!tracker.update(*now, SIZE, det).ended.is_empty());
}

#[test]
fn a_scene_jump_is_noticed() {
    let mut a = Vehicle::new(
        "皖A12345",
        &[(0.0, 300.0, 400.0, 300.0), (4.0, 300.0, 400.0, 300.0)],
    );
    let mut b = Vehicle::new(
        "皖B77777",
        &[(0.0, 900.0, 400.0, 300.0), (4.0, 900.0, 400.0, 300.0)],
    );
    let c = Vehicle::new(
        "鲁E6K829",
        &[(4.01, 600.0, 700.0, 300.0), (8.0, 600.0, 700.0, 300.0)],
    );
    (a.score, b.score) = (0.9, 0.9);
    let mut world = World::new(vec![a, b, c], 8.0);
    world.errors.plate_missed = 0.0;
    world.errors.vehicle_missed = 0.0;
    let (_, ends) = run(&world);
    assert_eq!(
        ends.iter().filter(|e| e.2 == EndReason::Cut).count(),
        2,
        "{ends:?}"
    );
    assert!(ends[0].0 < 4.3);
}

#[test]
fn whole_picture_boxes_and_badges_begin_nothing() {
    let mut world = World::new(Vec::new(), 4.0);
    world.ghosts = vec![
        (Rect::new(5.0, 5.0, 1275.0, 715.0), 0.9),
        (Rect::new(50.0, 5.0, 1000.0, 715.0), 0.45),
    ];
    world.overlay = Some(("JAC".into(), Point::new(600.0, 300.0)));
    let (bore, ends) = run(&world);
    assert!(bore.is_empty() && ends.is_empty());
}
