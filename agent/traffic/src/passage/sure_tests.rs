#![allow(clippy::unwrap_used)]
//! What is said of vehicles while they are in sight.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::scene_tests::{lanes, time};
use super::*;
use crate::detections::Detections;
use crate::track::sim::{SIZE, Vehicle, World};
use crate::track::{TrackConfig, Tracker};

/// All that was told, with the time of the frame that told it.
fn told(
    world: &World,
    config: &PassageConfig,
    change: impl Fn(f32, &mut Detections),
) -> Vec<(Duration, News<u64>)> {
    let mut tracker = Tracker::new(TrackConfig::default());
    let mut passages = Passages::new(config.clone());
    let (mut out, mut last) = (Vec::new(), Duration::ZERO);
    for (now, mut det) in world.frames() {
        change(world.seconds_at(now), &mut det);
        let upd = tracker.update(now, SIZE, &det);
        out.push((now, passages.update(&0, time(now), &det, &upd)));
        last = now;
    }
    out.push((last, passages.finish()));
    out
}

/// Waits for two minutes in the picture.
fn standing(text: &str) -> Vehicle {
    Vehicle::new(
        text,
        &[
            (1.0, 400.0, 60.0, 220.0),
            (4.0, 400.0, 420.0, 330.0),
            (124.0, 400.0, 421.0, 330.0),
            (127.0, 400.0, 980.0, 560.0),
        ],
    )
}

#[test]
fn a_standing_vehicle_is_told_while_it_stands() {
    let world = World {
        fps: 8.0,
        ..World::new(vec![standing("皖A12345")], 132.0)
    };
    // A reader that is as sure of what it reads as ours is of a plate at the line.
    let all = told(&world, &lanes(), |_, det| {
        let reads = det.plates.iter_mut().filter_map(|p| p.read.as_mut());
        for c in reads.flat_map(|r| &mut r.chars) {
            c.conf = c.conf.max(0.995);
        }
    });
    let begin = all[0].0;
    let (at, first) = all.iter().find(|(_, news)| !news.sure.is_empty()).unwrap();
    assert!(*at - begin < Duration::from_secs(4), "{:?}", *at - begin);
    let sure = &first.sure[0];
    assert_eq!(sure.plate.as_ref().unwrap().text, "皖A12345");
    assert_eq!(sure.lane.as_deref(), Some("1"));
    assert!(sure.best.as_ref().unwrap().read.is_some());
    let passed: Vec<_> = all.iter().flat_map(|(_, news)| &news.passed).collect();
    assert_eq!(passed.len(), 1);
    assert_eq!(passed[0].vehicle, sure.vehicle);
    assert_eq!(passed[0].also, []);
    // A list that changes while it stands is matched again, but not at every frame.
    let times = all.iter().map(|(_, news)| news.sure.len()).sum::<usize>();
    assert!((60..140).contains(&times), "{times}");
}

#[test]
fn nothing_is_said_outside_the_lanes_or_of_what_stands_still_by_itself() {
    let mut config = lanes();
    config.lanes.remove(0);
    let world = World {
        fps: 8.0,
        overlay: Some(("鲁E6K829".into(), crate::geometry::Point::new(900.0, 30.0))),
        ..World::new(vec![standing("皖A12345")], 60.0)
    };
    let all = told(&world, &config, |_, _| {});
    let said: Vec<_> = all.iter().flat_map(|(_, n)| &n.sure).collect();
    assert!(said.is_empty(), "{:?}", said[0]);
}

#[test]
fn a_vote_that_turns_is_told_anew() {
    let world = World {
        fps: 8.0,
        ..World::new(vec![standing("皖A12345")], 60.0)
    };
    // The plate is half hidden at first, and read as another one.
    let all = told(&world, &lanes(), |t, det| {
        for read in det.plates.iter_mut().filter_map(|p| p.read.as_mut()) {
            let sure = if t < 5.0 { 0.97 } else { 0.999 };
            for c in &mut read.chars {
                (c.conf, c.runner_up) = (sure, None);
            }
            if t < 5.0 {
                read.chars.last_mut().unwrap().ch = '6';
            }
        }
    });
    let mut texts: Vec<String> = Vec::new();
    for sure in all.iter().flat_map(|(_, news)| &news.sure) {
        let text = &sure.plate.as_ref().unwrap().text;
        if texts.last() != Some(text) {
            texts.push(text.clone());
        }
    }
    assert_eq!(texts, ["皖A12346", "皖A12345"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Each vehicle of which something was said ends in exactly one place, and no id comes twice.
    #[test]
    fn whoever_was_told_of_ends_once(
        seed in 0_u64..1_000_000,
        starts in prop::collection::vec((0.0_f32..20.0, 0_usize..3, 1.5_f32..8.0), 1..8),
        gaps in prop::collection::vec((0.0_f32..24.0, 0.2_f32..3.0), 0..3),
        fps in prop::sample::select(vec![3.0_f32, 8.0, 12.0]),
    ) {
        let texts = ["皖A12345", "鲁E6K829", "浙AD62983", "京N8P0X1", "川A99K27", "粤B1Q2W3", "苏E5T66H", "闽D0A9Z8"];
        let vehicles = starts
            .iter()
            .zip(texts)
            .map(|(&(t, lane, seconds), text)| {
                let mut v = Vehicle::approaching(text, [250.0, 600.0, 950.0][lane], t, seconds);
                v.hidden = gaps.iter().map(|g| (g.0, g.0 + g.1)).collect();
                v
            })
            .collect();
        let world = World { fps, seed, ..World::new(vehicles, 32.0) };
        let all = told(&world, &PassageConfig::default(), |_, _| {});
        let mut said: BTreeMap<u64, u32> = BTreeMap::new();
        for sure in all.iter().flat_map(|(_, news)| &news.sure) {
            said.entry(sure.vehicle.number).or_default();
        }
        let passed = all.iter().flat_map(|(_, n)| &n.passed).map(|p| (p.vehicle, &p.also));
        let dropped = all.iter().flat_map(|(_, n)| &n.dropped).map(|d| (d.vehicle, &d.also));
        let mut own = BTreeMap::new();
        for (vehicle, also) in passed.chain(dropped) {
            *own.entry(vehicle.number).or_insert(0) += 1;
            for id in std::iter::once(vehicle).chain(also.iter().copied()) {
                if let Some(n) = said.get_mut(&id.number) {
                    *n += 1;
                }
            }
        }
        prop_assert!(said.values().all(|n| *n == 1), "{said:?}");
        prop_assert!(own.values().all(|n| *n == 1), "{own:?}");
    }
}
