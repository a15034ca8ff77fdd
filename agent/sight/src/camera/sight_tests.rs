#![allow(clippy::unwrap_used)]
use super::super::scene::{Car, Road, SIZE, Shot, footage, grid_of, polygon};
use super::*;
use crate::camera::Luma;

const FPS: usize = 5;

fn at(frame: usize) -> Duration {
    Duration::from_millis((frame * 1000 / FPS) as u64)
}

/// Feeds pictures from frame `from` on for so many seconds and gives the views that were told,
/// without repeats.
fn watch(
    sight: &mut Sight,
    from: &mut usize,
    seconds: usize,
    mut picture: impl FnMut(usize) -> Grid,
) -> Vec<View> {
    let mut views: Vec<View> = Vec::new();
    for i in *from..*from + seconds * FPS {
        let view = sight.update(&picture(i), at(i));
        if views.last() != Some(&view) {
            views.push(view);
        }
    }
    *from += seconds * FPS;
    views
}

fn learnt(road: &mut Road) -> (Sight, usize) {
    let (mut sight, mut from) = (Sight::new(&[], SightConfig::default()), 0);
    assert_eq!(
        watch(&mut sight, &mut from, 70, |_| road
            .grid(Shot::default(), &[])),
        [View::Clear]
    );
    (sight, from)
}

fn plain(level: u8, noise: u8, i: usize) -> Grid {
    let n = (SIZE.0 * SIZE.1) as usize;
    let bytes: Vec<u8> = (0..n)
        .map(|p| level + ((p * 31 + i * 17) % 97) as u8 % (noise + 1))
        .collect();
    Grid::of(&Luma::packed(SIZE.0, SIZE.1, &bytes))
}

#[test]
fn a_frozen_picture_is_told_after_its_time_and_ends_within_a_moment() {
    let mut road = Road::new(1);
    let (mut sight, mut from) = learnt(&mut road);
    let stuck = road.grid(Shot::default(), &[]);
    assert_eq!(
        watch(&mut sight, &mut from, 19, |_| stuck.clone()),
        [View::Clear]
    );
    assert_eq!(
        watch(&mut sight, &mut from, 5, |_| stuck.clone()),
        [View::Clear, View::Frozen]
    );
    assert_eq!(
        watch(&mut sight, &mut from, 5, |_| road
            .grid(Shot::default(), &[])),
        [View::Frozen, View::Clear]
    );
    // Sent unchanged between key frames ten seconds apart: alive.
    let mut held = road.grid(Shot::default(), &[]);
    let views = watch(&mut sight, &mut from, 60, |i| {
        if i % (10 * FPS) == 0 {
            held = road.grid(Shot::default(), &[]);
        }
        held.clone()
    });
    assert_eq!(views, [View::Clear]);
}

/// The picture stands, the clock that the encoder burns in goes on: frozen all the same.
#[test]
fn a_running_clock_does_not_hide_a_frozen_picture() {
    let mask = polygon(&[(0.5, 0.5), (0.7, 0.5), (0.7, 0.65), (0.5, 0.65)]);
    for masks in [vec![], vec![mask]] {
        let mut sight = Sight::new(&masks, SightConfig::default());
        let mut from = 0;
        let views = watch(&mut sight, &mut from, 25, |i| {
            let shot = Shot {
                noise: 0.0,
                clock: Some(at(i).as_secs() as u32),
                ..Shot::default()
            };
            Road::new(2).grid(shot, &[])
        });
        assert_eq!(views, [View::Clear, View::Frozen]);
    }
}

#[test]
fn black_and_blinded_pictures_are_told_and_forgotten() {
    let mut road = Road::new(3);
    let (mut sight, mut from) = learnt(&mut road);
    // A covered lens at the highest gain still has noise; a switched-off encoder has none.
    for noise in [6, 0] {
        assert_eq!(
            watch(&mut sight, &mut from, 9, |i| plain(16, noise, i)),
            [View::Clear]
        );
        assert_eq!(
            watch(&mut sight, &mut from, 30, |i| plain(16, noise, i)),
            [View::Clear, View::Black]
        );
        assert_eq!(
            watch(&mut sight, &mut from, 1, |_| road
                .grid(Shot::default(), &[])),
            [View::Black]
        );
        assert_eq!(
            watch(&mut sight, &mut from, 4, |_| road
                .grid(Shot::default(), &[])),
            [View::Black, View::Clear]
        );
    }
    let glare = Shot {
        gain: 4.0,
        ..Shot::default()
    };
    assert_eq!(
        watch(&mut sight, &mut from, 30, |_| road.grid(glare, &[])),
        [View::Clear, View::Blinded]
    );
    assert_eq!(
        watch(&mut sight, &mut from, 5, |_| road
            .grid(Shot::default(), &[])),
        [View::Blinded, View::Clear]
    );
    // Head lights that come and go, and a bright sky, are daily life.
    let lights = |i: usize| {
        let on = i % (8 * FPS) < 5 * FPS;
        if on {
            vec![Car {
                x: 60.0,
                y: 100.0,
                w: 520.0,
                h: 240.0,
                contrast: 150.0,
            }]
        } else {
            vec![]
        }
    };
    assert_eq!(
        watch(&mut sight, &mut from, 40, |i| road
            .grid(Shot::default(), &lights(i))),
        [View::Clear]
    );
}

#[test]
fn a_night_road_with_lamps_is_not_black() {
    let (mut sight, mut from) = (Sight::new(&[], SightConfig::default()), 0);
    let mut road = Road::new(4);
    let night = Shot {
        gain: 0.15,
        noise: 5.0,
        ..Shot::default()
    };
    let lamps: Vec<Car> = (0..6)
        .map(|i| Car {
            x: 40.0 + 100.0 * i as f32,
            y: 60.0,
            w: 30.0,
            h: 30.0,
            contrast: 1500.0,
        })
        .collect();
    assert_eq!(
        watch(&mut sight, &mut from, 60, |_| road.grid(night, &lamps)),
        [View::Clear]
    );
}

#[test]
fn a_camera_turned_away_is_told_and_turned_back_too() {
    let mut road = Road::new(5);
    let (mut sight, mut from) = learnt(&mut road);
    let turned = Shot {
        shift: (90, 45),
        ..Shot::default()
    };
    assert_eq!(
        watch(&mut sight, &mut from, 55, |_| road.grid(turned, &[])),
        [View::Clear]
    );
    assert_eq!(
        watch(&mut sight, &mut from, 20, |_| road.grid(turned, &[])),
        [View::Clear, View::TurnedAway]
    );
    assert_eq!(
        watch(&mut sight, &mut from, 600, |_| road.grid(turned, &[])),
        [View::TurnedAway],
        "it is not learnt"
    );
    assert_eq!(
        watch(&mut sight, &mut from, 10, |_| road
            .grid(Shot::default(), &[])),
        [View::TurnedAway, View::Clear]
    );
}

#[test]
fn neither_light_nor_wind_nor_a_queue_turns_a_camera_away() {
    let mut road = Road::new(6);
    let (mut sight, mut from) = learnt(&mut road);
    let clear = [View::Clear];
    for gain in [0.4, 1.8] {
        let shot = Shot {
            gain,
            noise: 4.0,
            ..Shot::default()
        };
        assert_eq!(
            watch(&mut sight, &mut from, 90, |_| road.grid(shot, &[])),
            clear,
            "gain {gain}"
        );
    }
    let wind = |i: usize| Shot {
        shift: ((i % 7) as i32 * 2 - 6, (i % 5) as i32 * 2 - 4),
        ..Shot::default()
    };
    assert_eq!(
        watch(&mut sight, &mut from, 90, |i| road.grid(wind(i), &[])),
        clear,
        "wind"
    );
    // A queue on both lanes for five minutes, bumper to bumper.
    let queue: Vec<Car> = (0..8)
        .map(|i| Car {
            x: 110.0 + 220.0 * (i % 2) as f32,
            y: 120.0 + 58.0 * (i / 2) as f32,
            w: 190.0,
            h: 54.0,
            contrast: 60.0,
        })
        .collect();
    assert_eq!(
        watch(&mut sight, &mut from, 300, |_| road
            .grid(Shot::default(), &queue)),
        clear,
        "queue"
    );
    assert_eq!(
        watch(&mut sight, &mut from, 90, |_| road
            .grid(Shot::default(), &[])),
        clear,
        "queue gone"
    );
}

#[test]
fn after_a_pause_nothing_is_known() {
    let (mut sight, mut from) = (Sight::new(&[], SightConfig::default()), 0);
    watch(&mut sight, &mut from, 8, |i| plain(16, 4, i));
    from += 60 * FPS;
    assert_eq!(
        watch(&mut sight, &mut from, 8, |i| plain(16, 4, i)),
        [View::Clear]
    );
}

/// The rendered footage by day, then at dusk at once; then turned in several ways.
#[test]
fn the_footage_is_known_again_at_dusk_and_not_when_turned() {
    let grids =
        |pictures: &[image::GrayImage]| pictures.iter().step_by(2).map(grid_of).collect::<Vec<_>>();
    let (day, dusk) = (footage("day"), footage("dusk"));
    let (by_day, at_dusk) = (grids(&day), grids(&dusk));
    let mut from = 0;
    // Footage that comes round every few seconds is as good as frozen, which is not asked here.
    let config = SightConfig {
        frozen_after: Duration::from_secs(36_000),
        ..SightConfig::default()
    };
    let mut sight = Sight::new(&[], config);
    assert_eq!(
        watch(&mut sight, &mut from, 90, |i| by_day[i % by_day.len()]
            .clone()),
        [View::Clear]
    );
    println!("day: {:?} match", sight.matching());
    assert_eq!(
        watch(&mut sight, &mut from, 120, |i| at_dusk[i % at_dusk.len()]
            .clone()),
        [View::Clear],
        "dusk"
    );
    println!("dusk: {:?} match", sight.matching());
    assert_eq!(
        watch(&mut sight, &mut from, 30, |i| by_day[i % by_day.len()]
            .clone()),
        [View::Clear]
    );

    // Not mirrored: no camera turns like that, and this road's two halves are each other's mirror.
    type Turn = fn(&image::GrayImage) -> image::GrayImage;
    let turned: [(&str, Turn); 3] = [
        ("to the side", |p| {
            image::GrayImage::from_fn(p.width(), p.height(), |x, y| {
                *p.get_pixel((x + 130).min(p.width() - 1), y)
            })
        }),
        ("upside down", image::imageops::rotate180),
        ("moved", |p| {
            image::GrayImage::from_fn(p.width(), p.height(), |x, y| {
                *p.get_pixel((x + 260).min(p.width() - 1), (y + 120).min(p.height() - 1))
            })
        }),
    ];
    for (what, turn) in turned {
        let elsewhere: Vec<_> = day.iter().step_by(2).map(|p| grid_of(&turn(p))).collect();
        let views = watch(&mut sight, &mut from, 90, |i| {
            elsewhere[i % elsewhere.len()].clone()
        });
        println!("{what}: {:?} match", sight.matching());
        assert_eq!(views, [View::Clear, View::TurnedAway], "{what}");
        let views = watch(&mut sight, &mut from, 10, |i| {
            by_day[i % by_day.len()].clone()
        });
        assert_eq!(views, [View::TurnedAway, View::Clear], "{what}, and back");
    }
    // Day into dusk over four minutes.
    let began = from;
    let views = watch(&mut sight, &mut from, 240, |i| {
        let part = (i - began) as f32 / (240 * FPS) as f32;
        let (a, b) = (&day[i * 2 % day.len()], &dusk[i * 2 % dusk.len()]);
        let mixed = image::GrayImage::from_fn(a.width(), a.height(), |x, y| {
            let (a, b) = (
                f32::from(a.get_pixel(x, y)[0]),
                f32::from(b.get_pixel(x, y)[0]),
            );
            image::Luma([(a + part * (b - a)) as u8])
        });
        grid_of(&mixed)
    });
    assert_eq!(views, [View::Clear], "day into dusk");
}
