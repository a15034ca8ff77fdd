//! An agent that has run for years decides as one that started now.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::scene_tests::{any_scene, lanes, run};
use super::*;
use crate::track::sim::World;

const TEN_YEARS_S: u64 = 10 * 365 * 86_400;

/// The passages with their times counted from the scene's beginning.
fn from_the_beginning(world: &World, config: &PassageConfig) -> Vec<Passage<u64>> {
    let start = world.start();
    let earlier = |m: Moment| Moment {
        wall: m.wall - start,
        mono: m.mono - start,
    };
    let mut passages = run(world, config);
    for p in &mut passages {
        p.vehicle.since = earlier(p.vehicle.since);
        p.first_seen = earlier(p.first_seen);
        p.passed_at = earlier(p.passed_at);
        p.last_seen = earlier(p.last_seen);
        if let Some(best) = &mut p.best {
            best.time = earlier(best.time);
            // The frame handle of the simulation is the frame's time.
            best.frame -= start.as_micros() as u64;
        }
    }
    passages
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_uptime_gives_the_same_passages(world in any_scene(), uptime_s in 1..TEN_YEARS_S, micros in 0u32..1_000_000) {
        let fresh = World { epoch: Some(Duration::ZERO), ..world.clone() };
        let old = World { epoch: Some(Duration::new(uptime_s, micros * 1000)), ..world };
        for config in [PassageConfig::default(), lanes()] {
            prop_assert_eq!(from_the_beginning(&fresh, &config), from_the_beginning(&old, &config));
        }
    }
}
