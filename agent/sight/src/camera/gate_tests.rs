#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::super::scene::{
    CELL, Car, Road, Shot, footage, grid_of, lanes, polygon, sample_lanes, samples,
};
use super::*;

const FPS: f32 = 12.5;

fn at(frame: usize) -> Duration {
    Duration::from_secs_f32(frame as f32 / FPS)
}

fn gate() -> Gate {
    Gate::new(&lanes(), &[], GateConfig::default())
}

fn frames(seconds: f32) -> usize {
    (seconds * FPS) as usize
}

/// The verdicts on so many pictures from `from` on, each taken as `shot` says.
fn watch(
    gate: &mut Gate,
    road: &mut Road,
    from: usize,
    count: usize,
    mut shot: impl FnMut(usize) -> (Shot, Vec<Car>),
) -> Vec<Verdict> {
    (from..from + count)
        .map(|i| {
            let (shot, cars) = shot(i);
            gate.look(&road.grid(shot, &cars), at(i), false)
        })
        .collect()
}

fn looks(verdicts: &[Verdict]) -> f32 {
    verdicts.iter().filter(|v| v.is_look()).count() as f32 / verdicts.len() as f32
}

fn moves(verdicts: &[Verdict]) -> usize {
    verdicts
        .iter()
        .filter(|v| matches!(v, Verdict::Look(Reason::Motion { .. })))
        .count()
}

/// Nothing but routine looks, which at 12.5 frames a second are one of 25 or 26.
fn assert_still(verdicts: &[Verdict], what: &str) {
    let stray = verdicts
        .iter()
        .filter(|v| !matches!(v, Verdict::Still | Verdict::Look(Reason::Routine)))
        .count();
    assert!(
        looks(verdicts) < 0.05,
        "{what}: {:.3} looked at, {stray} not by routine",
        looks(verdicts)
    );
}

#[test]
fn a_still_road_gets_routine_looks_only() {
    for noise in [0.0, 2.0, 6.0, 12.0, 16.0] {
        let (mut gate, mut road) = (gate(), Road::new(1));
        let shot = Shot {
            noise,
            ..Shot::default()
        };
        let v = watch(&mut gate, &mut road, 0, frames(30.0), |_| (shot, vec![]));
        assert!(
            v[..frames(2.0)]
                .iter()
                .all(|v| *v == Verdict::Look(Reason::First))
        );
        let rest = &v[frames(6.0)..];
        assert_still(rest, &format!("noise {noise}"));
        let routine = rest
            .iter()
            .filter(|v| **v == Verdict::Look(Reason::Routine))
            .count();
        assert!(routine >= 11, "{routine} routine looks in 24 s");
    }
}

#[test]
fn key_frames_that_pulse_are_no_movement() {
    let (mut gate, mut road) = (gate(), Road::new(2));
    // Sharp at the key frame, once a second and a half, softer towards the next.
    let v = watch(&mut gate, &mut road, 0, frames(60.0), |i| {
        let age = i % frames(1.5);
        (
            Shot {
                noise: 1.0,
                blur: age as f32 * 0.05,
                ..Shot::default()
            },
            vec![],
        )
    });
    assert_still(&v[frames(20.0)..], "pulsing");
}

#[test]
fn rain_settles_and_hides_no_vehicle() {
    let (mut gate, mut road) = (gate(), Road::new(3));
    let rain = Shot {
        noise: 4.0,
        rain: 150,
        ..Shot::default()
    };
    let v = watch(&mut gate, &mut road, 0, frames(90.0), |_| (rain, vec![]));
    println!(
        "rain: {:.2} looked at in the first 45 s",
        looks(&v[..frames(45.0)])
    );
    // A downpour stays more than the routine, but little.
    println!("rain: {:.3} later", looks(&v[frames(45.0)..]));
    assert!(
        looks(&v[frames(45.0)..]) < 0.1,
        "{}",
        looks(&v[frames(45.0)..])
    );
    let from = frames(90.0);
    let v = watch(&mut gate, &mut road, from, frames(3.0), |i| {
        (
            rain,
            vec![Car {
                x: 200.0,
                y: 100.0 + (i - from) as f32 * 5.0,
                w: 80.0,
                h: 60.0,
                contrast: 50.0,
            }],
        )
    });
    assert!(
        moves(&v) >= 9,
        "a vehicle in the rain moved in {} of {} pictures",
        moves(&v),
        v.len()
    );
}

#[test]
fn a_shaking_mast_settles() {
    let (mut gate, mut road) = (gate(), Road::new(4));
    let v = watch(&mut gate, &mut road, 0, frames(90.0), |i| {
        let sway = |period: f32| (1.6 * (i as f32 / period).sin()).round() as i32;
        (
            Shot {
                shift: (sway(1.7), sway(2.9)),
                ..Shot::default()
            },
            vec![],
        )
    });
    println!(
        "shaking: {:.2} looked at in the first 45 s",
        looks(&v[..frames(45.0)])
    );
    assert_still(&v[frames(45.0)..], "shaking");
}

#[test]
fn changes_of_light_settle() {
    let (mut gate, mut road) = (gate(), Road::new(5));
    let v = watch(&mut gate, &mut road, 0, frames(64.0), |i| {
        let gain = match i as f32 / FPS {
            t if t < 10.0 => 1.0,
            t if t < 20.0 => 1.35,
            t if t < 30.0 => 0.55,
            // A cloud, in and out.
            t => 0.8 + 0.25 * (t / 5.0).sin(),
        };
        (
            Shot {
                gain,
                ..Shot::default()
            },
            vec![],
        )
    });
    for (from, to) in [(12.5, 20.0), (22.5, 30.0), (34.0, 64.0)] {
        assert_still(
            &v[frames(from)..frames(to)],
            &format!("light from {from} s on"),
        );
    }
}

#[test]
fn a_burnt_in_clock_is_learnt_or_masked_and_hides_no_vehicle() {
    let shot = |i: usize| Shot {
        clock: Some(at(i).as_secs() as u32),
        ..Shot::default()
    };
    let mask = polygon(&[(0.5, 0.54), (0.57, 0.54), (0.57, 0.61), (0.5, 0.61)]);
    let mut masked = Gate::new(&lanes(), &[mask], GateConfig::default());
    let v = watch(&mut masked, &mut Road::new(6), 0, frames(20.0), |i| {
        (shot(i), vec![])
    });
    assert_still(&v[frames(4.0)..], "masked clock");

    let (mut gate, mut road) = (gate(), Road::new(6));
    let v = watch(&mut gate, &mut road, 0, frames(120.0), |i| {
        (shot(i), vec![])
    });
    assert!(moves(&v[..frames(20.0)]) > 0, "this clock is none to learn");
    assert_still(&v[frames(60.0)..], "clock");
    let from = frames(120.0);
    let v = watch(&mut gate, &mut road, from, frames(6.0), |i| {
        let x = 250.0 + (i - from) as f32 * 2.0;
        (
            shot(i),
            vec![Car {
                x,
                y: 190.0,
                w: 40.0,
                h: 35.0,
                contrast: 20.0,
            }],
        )
    });
    assert!(
        moves(&v) >= 6,
        "a vehicle over the clock moved in {} pictures",
        moves(&v)
    );
}

#[test]
fn what_lies_beside_the_lanes_is_not_watched_and_the_lane_is_named() {
    let (mut gate, mut road) = (gate(), Road::new(7));
    let car = |x: f32, i: usize| Car {
        x,
        y: 200.0 + (i % 10) as f32 * 8.0,
        w: 45.0,
        h: 40.0,
        contrast: 60.0,
    };
    watch(&mut gate, &mut road, 0, frames(4.0), |_| {
        (Shot::default(), vec![])
    });
    let v = watch(&mut gate, &mut road, frames(4.0), 40, |i| {
        (Shot::default(), vec![car(5.0, i)])
    });
    assert_eq!(moves(&v), 0);
    let v = watch(&mut gate, &mut road, frames(4.0) + 40, 40, |i| {
        (Shot::default(), vec![car(450.0, i)])
    });
    assert!(v.contains(&Verdict::Look(Reason::Motion { lane: Some(1) })));
    assert!(!v.contains(&Verdict::Look(Reason::Motion { lane: Some(0) })));
}

#[test]
fn another_size_begins_anew() {
    let mut gate = gate();
    let picture = |w: u32, h: u32| {
        Grid::of(&super::super::grid::Luma::packed(
            w,
            h,
            &vec![90; (w * h) as usize],
        ))
    };
    let v: Vec<_> = (0..100)
        .map(|i| gate.look(&picture(640, 360), at(i), false))
        .collect();
    assert!(
        v[0] == Verdict::Look(Reason::First) && !v[30..].contains(&Verdict::Look(Reason::First))
    );
    for i in 100..120 {
        assert_eq!(
            gate.look(&picture(320, 180), at(i), false),
            Verdict::Look(Reason::First)
        );
    }
}

/// While tracks are open everything is looked at; a queue that does not move, five times a second.
#[test]
fn open_tracks_keep_it_looking() {
    let (mut gate, mut road) = (gate(), Road::new(8));
    watch(&mut gate, &mut road, 0, frames(4.0), |_| {
        (Shot::default(), vec![])
    });
    let car = [Car {
        x: 200.0,
        y: 180.0,
        w: 60.0,
        h: 50.0,
        contrast: 40.0,
    }];
    let v: Vec<_> = (frames(4.0)..frames(24.0))
        .map(|i| gate.look(&road.grid(Shot::default(), &car), at(i), true))
        .collect();
    assert!(
        v[..frames(3.0)]
            .iter()
            .all(|v| *v == Verdict::Look(Reason::Busy))
    );
    let rest = &v[frames(4.0)..];
    assert!((0.3..0.5).contains(&looks(rest)), "{}", looks(rest));
    assert!(
        rest.windows(4)
            .all(|w| w.contains(&Verdict::Look(Reason::Busy)))
    );
    // It drives off: every picture again.
    let v: Vec<_> = (0..frames(2.0))
        .map(|i| {
            let car = Car {
                y: 180.0 + i as f32 * 4.0,
                ..car[0]
            };
            gate.look(
                &road.grid(Shot::default(), &[car]),
                at(frames(24.0) + i),
                true,
            )
        })
        .collect();
    assert!(looks(&v) > 0.9, "{}", looks(&v));
}

/// A vehicle that stops and is forgotten by everyone gets its routine looks, and is seen when it
/// goes on.
#[test]
fn a_vehicle_that_stops_for_minutes_is_looked_at_and_seen_to_leave() {
    let (mut gate, mut road) = (gate(), Road::new(9));
    let y = |i: usize| match i as f32 / FPS {
        t if t < 5.0 => -100.0,
        t if t < 8.0 => 120.0 + (t - 5.0) * 40.0,
        t if t < 188.0 => 240.0,
        t => 240.0 + (t - 188.0) * 30.0,
    };
    let v = watch(&mut gate, &mut road, 0, frames(191.0), |i| {
        (
            Shot::default(),
            vec![Car {
                x: 180.0,
                y: y(i),
                w: 60.0,
                h: 50.0,
                contrast: 25.0,
            }],
        )
    });
    assert!(looks(&v[frames(5.2)..frames(8.0)]) > 0.9);
    let standing = &v[frames(9.0)..frames(188.0)];
    assert_still(standing, "standing");
    assert!(
        standing
            .windows(frames(2.0) + 2)
            .all(|w| w.iter().any(|v| v.is_look()))
    );
    assert!(looks(&v[frames(188.4)..]) > 0.8);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// Whatever its size, contrast and speed, a vehicle that moves in a lane is looked at as
    /// moving: for every three cells that it went, and from the first second that it is in.
    #[test]
    fn a_vehicle_that_moves_is_looked_at(
        seed in 1_u64..1000,
        noise in 0.0_f32..8.0,
        contrast in prop_oneof![-60.0_f32..-14.0, 14.0_f32..90.0],
        w in 24.0_f32..160.0,
        speed in prop_oneof![0.5_f32..2.0, 2.0_f32..20.0, 20.0_f32..60.0],
        x in 120.0_f32..400.0,
    ) {
        let (mut gate, mut road) = (gate(), Road::new(seed));
        let shot = Shot { noise, ..Shot::default() };
        watch(&mut gate, &mut road, 0, frames(3.0), |_| (shot, vec![]));
        let from = frames(3.0);
        // Cells a second: at the slowest for eight cells, at the fastest for the whole lane.
        let count = frames((8.0 / speed).max(30.0 / speed).min(12.0)).max(4);
        let car = |i: usize| Car {
            x, y: 150.0 + (i - from) as f32 / FPS * speed * CELL, w, h: w * 0.8, contrast,
        };
        let v = watch(&mut gate, &mut road, from, count, |i| (shot, vec![car(i)]));
        let gap = (frames(3.0 / speed) + 2).max(3);
        prop_assert!(v[..2].iter().any(|v| v.is_look()), "it came: {:?}", &v[..2]);
        for part in v.chunks(gap).filter(|p| p.len() == gap) {
            prop_assert!(part.iter().any(|v| v.is_look()), "not looked at for {gap} of {count}: {v:?}");
        }
        // Not by routine alone.
        let need = count / gap / 2;
        prop_assert!(moves(&v) >= need.max(1), "{} moves in {count}, gap {gap}: {v:?}", moves(&v));
    }

    /// One that creeps for a minute is never taken for background: at least the routine's looks,
    /// and none far apart.
    #[test]
    fn a_vehicle_that_creeps_is_not_swallowed(seed in 1_u64..1000, contrast in 15.0_f32..60.0, speed in 0.02_f32..0.5) {
        let (mut gate, mut road) = (gate(), Road::new(seed));
        let v = watch(&mut gate, &mut road, 0, frames(60.0), |i| {
            let y = 140.0 + i as f32 / FPS * speed * CELL;
            (Shot::default(), vec![Car { x: 200.0, y, w: 70.0, h: 60.0, contrast }])
        });
        prop_assert!(v.windows(frames(2.0) + 2).all(|w| w.iter().any(|v| v.is_look())));
        // One cell is 2/3 of a second at a time: it moved many times over.
        if speed > 0.1 {
            prop_assert!(moves(&v) >= 3, "{} moves", moves(&v));
        }
    }
}

/// The truth of a recording: lane and the time each vehicle is in the picture.
fn passages(name: &str) -> Vec<(f64, f64)> {
    let text = std::fs::read_to_string(samples(name).join("truth.jsonl")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let passages = truth["passages"].as_array().unwrap().iter();
    passages
        .map(|p| (p["from_s"].as_f64().unwrap(), p["to_s"].as_f64().unwrap()))
        .collect()
}

/// The rendered footage with nobody saying that tracks are open. The camera has watched the empty
/// road before (its pixels' medians), so that no first looks help.
#[test]
fn vehicles_of_the_footage_are_looked_at_without_tracks() {
    for name in ["day", "dusk", "leaving"] {
        let pictures = footage(name);
        let empty = median(&pictures);
        let mut gate = Gate::new(&sample_lanes(), &[], GateConfig::default());
        let before = 40;
        let time = |i: usize| Duration::from_millis(100 * i as u64);
        let rest: Vec<_> = (0..before)
            .map(|i| gate.look(&grid_of(&empty), time(i), false))
            .collect();
        assert!(
            rest[21..]
                .iter()
                .all(|v| matches!(v, Verdict::Still | Verdict::Look(Reason::Routine))),
            "{name}"
        );
        let v: Vec<_> = pictures
            .iter()
            .enumerate()
            .map(|(i, p)| gate.look(&grid_of(p), time(before + i), false))
            .collect();
        let still = v.iter().filter(|v| !v.is_look()).count();
        println!("{name}: {still} of {} still, {} moved", v.len(), moves(&v));
        for (from, to) in passages(name) {
            let (first, last) = (
                (from * 10.0) as usize,
                ((to * 10.0) as usize).min(v.len() - 1),
            );
            // From half a second after it came, at the latest.
            let soon = &v[first..=(first + 5).min(last)];
            assert!(
                soon.iter().any(|v| v.is_look()),
                "{name} {from} to {to}: not seen to come"
            );
            // And as long as it is there, no longer than the routine's two seconds without a look.
            let there = &v[first..=last];
            assert!(
                there.windows(21).all(|w| w.iter().any(|v| v.is_look())),
                "{name} {from} to {to}"
            );
            // Its last second, in which it crosses the line and leaves, moving: nearly all.
            assert!(
                looks(&v[last.saturating_sub(9)..=last]) >= 0.9,
                "{name} {from} to {to}: {:?}",
                &v[last - 9..=last]
            );
        }
    }
}

/// Each pixel's median over the pictures: the road without vehicles that pass.
fn median(pictures: &[image::GrayImage]) -> image::GrayImage {
    let some: Vec<_> = pictures
        .iter()
        .step_by((pictures.len() / 25).max(1))
        .collect();
    image::GrayImage::from_fn(pictures[0].width(), pictures[0].height(), |x, y| {
        let mut levels: Vec<u8> = some.iter().map(|p| p.get_pixel(x, y)[0]).collect();
        levels.sort_unstable();
        image::Luma([levels[levels.len() / 2]])
    })
}
