//! What it costs to judge whether a picture need be looked at, and how its camera is, at 1920x1080.
//!
//! `cargo bench -p kakou --bench gate`. Ratios are against a bare read over the same luma plane in
//! the same run; both alternate, and the medians count.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use kakou_sight::camera::{Gate, GateConfig, Grid, Luma, Sight, SightConfig};
use kakou_traffic::geometry::{Point, Polygon};

const SIZE: (u32, u32) = (1920, 1080);
const ROUNDS: usize = 1500;

fn main() {
    let planes: Vec<Vec<u8>> = (0..4).map(plane).collect();
    let lane = |x0: f32, x1: f32| {
        Polygon(
            [(x0, 0.3), (x1, 0.3), (x1, 1.0), (x0, 1.0)]
                .map(|(x, y)| Point::new(x, y))
                .to_vec(),
        )
    };
    let mut gate = Gate::new(
        &[lane(0.1, 0.5), lane(0.5, 0.9)],
        &[],
        GateConfig::default(),
    );
    let mut sight = Sight::new(&[], SightConfig::default());
    let mut times: [Vec<Duration>; 4] = Default::default();
    let mut looks = 0;
    for round in 0..ROUNDS {
        let bytes = &planes[round % planes.len()];
        let now = Duration::from_millis(40 * round as u64);
        let began = Instant::now();
        black_box(read(black_box(bytes)));
        let read = Instant::now();
        let grid = Grid::of(&Luma::packed(SIZE.0, SIZE.1, bytes));
        let made = Instant::now();
        looks += usize::from(black_box(gate.look(&grid, now, false)).is_look());
        let gated = Instant::now();
        black_box(sight.update(&grid, now));
        let seen = Instant::now();
        for (all, time) in
            times
                .iter_mut()
                .zip([read - began, made - read, gated - made, seen - gated])
        {
            all.push(time);
        }
    }
    let [read, grid, gate, sight] = times.map(|mut all| {
        all.sort();
        all[all.len() / 2]
    });
    let all = grid + gate + sight;
    let us = |d: Duration| d.as_secs_f64() * 1e6;
    println!("1920x1080, median of {ROUNDS} pictures, {looks} of them to be looked at");
    for (name, time) in [
        ("read of the plane", read),
        ("grid", grid),
        ("gate", gate),
        ("sight", sight),
        ("all three", all),
    ] {
        println!(
            "{name:<18} {:>7.1} us   ratio {:.2}",
            us(time),
            us(time) / us(read)
        );
    }
}

/// The least that can be done with every pixel.
fn read(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&b| u64::from(b)).sum()
}

/// A street's worth of structure with noise of its own.
fn plane(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let (w, h) = SIZE;
    (0..h)
        .flat_map(|y| (0..w).map(move |x| (x, y)))
        .map(|(x, y)| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = (state >> 40) as i32 % 9 - 4;
            let scene = 90 + (y / 12) as i32 + if x / 160 % 2 == 0 { 30 } else { 0 };
            (scene + noise).clamp(0, 255) as u8
        })
        .collect()
}
