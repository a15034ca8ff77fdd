use std::collections::{BTreeMap, BTreeSet};

use super::*;

const TRAFFIC: Traffic = Traffic {
    seed: 5,
    agents: 100,
    listed: 0.02,
};

fn sightings(count: usize) -> Vec<Due> {
    let mut city = City::new(TRAFFIC, 2_000, 0, true);
    (0..count).filter_map(|_| city.next()).collect()
}

#[test]
fn the_same_seed_gives_the_same_sightings_in_order_of_time() {
    let all = sightings(30_000);
    assert_eq!(all, sightings(30_000));
    assert!(all.windows(2).all(|w| w[0].at_ms <= w[1].at_ms));
    let agents: BTreeSet<u32> = all.iter().map(|due| due.agent).collect();
    assert_eq!(agents.len(), 100);
}

#[test]
fn a_vehicle_goes_from_checkpoint_to_checkpoint_in_its_time() {
    let mut seen: BTreeMap<u32, Vec<(i64, u32)>> = BTreeMap::new();
    for due in sightings(30_000) {
        if due.sighting.phase != Phase::Ended {
            seen.entry(due.sighting.vehicle)
                .or_default()
                .push((due.at_ms, due.agent));
        }
    }
    let moved = seen
        .values()
        .filter(|s| s.windows(2).any(|w| w[0].1 != w[1].1));
    assert!(moved.count() > 1_900);
    for sightings in seen.values() {
        assert!(
            sightings.windows(2).all(|w| w[1].0 - w[0].0 > 100_000),
            "{sightings:?}"
        );
    }
}

#[test]
fn pairs_travel_together_and_clones_are_in_two_places() {
    let all = sightings(30_000);
    let of = |vehicle: u32| {
        let of_it = all
            .iter()
            .filter(move |due| due.sighting.vehicle == vehicle);
        of_it.map(|due| (due.at_ms, due.agent)).collect::<Vec<_>>()
    };
    let (leader, follower) = (of(200), of(201));
    assert!(!follower.is_empty());
    for (at, agent) in &follower {
        let led = leader
            .iter()
            .any(|(l, a)| a == agent && (0..8_000).contains(&(at - l)));
        assert!(led, "{at} at {agent}: {leader:?}");
    }
    assert_eq!(TRAFFIC.plate(507), TRAFFIC.plate(506));
    assert_ne!(of(507).first().map(|s| s.1), of(506).first().map(|s| s.1));
    assert_eq!(TRAFFIC.clones(2_000).count(), 4);
    assert_eq!(TRAFFIC.pairs(2_000).count(), 20);
}

#[test]
fn every_vehicle_in_sight_passes() {
    let mut city = City::new(TRAFFIC, 2_000, 0, true);
    let mut open = BTreeSet::new();
    let mut told = 0;
    let all: Vec<Due> = (0..20_000).filter_map(|_| city.next()).collect();
    for due in all.into_iter().chain(city.ends()) {
        let key = (due.sighting.vehicle, due.sighting.nth);
        match due.sighting.phase {
            Phase::InSight => {
                told += 1;
                assert!(open.insert(key));
            }
            Phase::Ended => assert!(open.remove(&key)),
            Phase::Passed | Phase::Whole => {}
        }
    }
    assert!(told > 100 && open.is_empty(), "{told} {open:?}");
}

#[test]
fn so_many_vehicles_give_the_rate_that_was_asked_for() {
    let vehicles = 3_000_u32;
    let mut city = City::new(
        Traffic {
            listed: 0.0,
            ..TRAFFIC
        },
        vehicles,
        0,
        true,
    );
    let mut count = 0;
    while city.next_at().is_some_and(|at| at < 3_600_000) {
        count += usize::from(city.next().is_some());
    }
    let rate = count as f64 / 3_600.0;
    let asked = f64::from(vehicles) / BETWEEN;
    assert!((rate / asked - 1.0).abs() < 0.1, "{rate} {asked}");
}
