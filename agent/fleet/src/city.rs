//! Vehicles that drive through a city, and at which checkpoint each is seen when.
//!
//! The checkpoints stand on a grid of streets; a vehicle goes from one to a neighbour in some
//! minutes, and now and then it parks. Some drive in pairs, and some carry a plate that another
//! vehicle carries too, in another part of the city. All follows from the seed: the same seed and
//! sizes give the same sightings in the same order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::plates::{self, MadeUp};
use crate::random::Random;

/// From one checkpoint to the next, in milliseconds.
const DRIVE: (i64, i64) = (120_000, 300_000);
const PARKED: (i64, i64) = (600_000, 3_000_000);
const PARKS: f64 = 0.08;
/// The mean time from one sighting of a vehicle to the next, in seconds.
pub(crate) const BETWEEN: f64 = 0.92 * 210.0 + 0.08 * 1_800.0;
/// From the message that a vehicle is in sight to the one that it has passed.
pub(crate) const IN_SIGHT: i64 = 1_500;
/// One vehicle in so many leads another one.
const PAIRS: u32 = 100;
/// One vehicle in so many carries another one's plate.
const CLONES: u32 = 500;

/// Streams of draws that must not meet.
mod stream {
    pub(super) const DRIVE: u64 = 1;
    pub(super) const VEHICLE: u64 = 2;
    pub(super) const CAMERAS: u64 = 3;
    pub(super) const SIGHTING: u64 = 4;
}

/// What of a sighting is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// A vehicle passed.
    Passed,
    /// A listed vehicle is in sight; `Ended` follows.
    InSight,
    Ended,
    /// Both at once.
    Whole,
}

/// A vehicle at a checkpoint: all that is told of it follows from this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sighting {
    /// When it was last seen, in milliseconds from the start.
    pub(crate) at_ms: i64,
    pub(crate) vehicle: u32,
    /// How often that vehicle was seen before.
    pub(crate) nth: u32,
    pub(crate) camera: u8,
    pub(crate) lane: u8,
    pub(crate) phase: Phase,
}

/// A sighting with its place, and when it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    pub(crate) at_ms: i64,
    pub(crate) agent: u32,
    pub(crate) sighting: Sighting,
}

/// What the vehicles of a city have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) seed: u64,
    pub(crate) agents: u32,
    /// The share of vehicles that are on a list.
    pub(crate) listed: f64,
}

impl Traffic {
    /// How many cameras a checkpoint has.
    pub(crate) fn cameras(&self, agent: u32) -> u8 {
        let mut random = Random::of(&[self.seed, stream::CAMERAS, u64::from(agent)]);
        random.within(1, 4) as u8
    }

    /// How many lanes a camera sees.
    pub(crate) fn lanes(&self, agent: u32, camera: u8) -> u8 {
        let parts = [
            self.seed,
            stream::CAMERAS,
            u64::from(agent),
            u64::from(camera),
        ];
        Random::of(&parts).within(1, 3) as u8
    }

    pub(crate) fn is_listed(&self, vehicle: u32) -> bool {
        let mut random = self.of_vehicle(owner(vehicle));
        random.chance(self.listed)
    }

    /// The plate that this vehicle carries.
    pub(crate) fn plate(&self, vehicle: u32) -> MadeUp {
        let mut random = self.of_vehicle(owner(vehicle));
        let _ = random.draw();
        plates::made_up(&mut random, self.seed)
    }

    /// Draws for what is told of one sighting.
    pub(crate) fn of_sighting(&self, sighting: &Sighting) -> Random {
        let (vehicle, nth) = (u64::from(sighting.vehicle), u64::from(sighting.nth));
        Random::of(&[self.seed, stream::SIGHTING, vehicle, nth])
    }

    fn of_vehicle(&self, vehicle: u32) -> Random {
        Random::of(&[self.seed, stream::VEHICLE, u64::from(vehicle)])
    }

    /// Pairs of plates that travel together, of so many vehicles.
    pub(crate) fn pairs(&self, vehicles: u32) -> impl Iterator<Item = [String; 2]> {
        let leaders = (0..vehicles).filter(move |v| leads(*v) && v + 1 < vehicles);
        leaders.map(|v| [self.plate(v).text, self.plate(v + 1).text])
    }

    /// Plates that two vehicles carry.
    pub(crate) fn clones(&self, vehicles: u32) -> impl Iterator<Item = String> {
        let cloned = (0..vehicles).filter(|v| owner(*v) != *v);
        cloned.map(|v| self.plate(v).text)
    }
}

fn leads(vehicle: u32) -> bool {
    vehicle.is_multiple_of(PAIRS)
}

fn follows(vehicle: u32) -> bool {
    vehicle % PAIRS == 1
}

/// Whose plate it is: with a few vehicles that of another one.
fn owner(vehicle: u32) -> u32 {
    if vehicle % CLONES == 7 {
        vehicle - 1
    } else {
        vehicle
    }
}

#[derive(Debug, Clone, Copy)]
struct Place {
    agent: u32,
    heading: u8,
    nth: u32,
}

/// The vehicles on their way.
#[derive(Debug)]
pub(crate) struct City {
    traffic: Traffic,
    /// Checkpoints to a street.
    side: u32,
    places: Vec<Place>,
    arrivals: BinaryHeap<Reverse<(i64, u32)>>,
    /// What follows from an arrival some seconds later.
    later: BinaryHeap<Reverse<Due>>,
    /// Whether what is in sight is told by itself.
    lives: bool,
}

impl City {
    /// `vehicles` that are first seen from `from_ms` on.
    pub(crate) fn new(traffic: Traffic, vehicles: u32, from_ms: i64, lives: bool) -> Self {
        let agents = traffic.agents.max(1);
        let side = (f64::from(agents).sqrt().ceil() as u32).max(1);
        let span = (BETWEEN * 1000.0) as i64;
        let mut arrivals = BinaryHeap::with_capacity(vehicles as usize);
        let places = (0..vehicles).map(|vehicle| {
            let mut random = Random::of(&[traffic.seed, stream::DRIVE, u64::from(vehicle)]);
            if !follows(vehicle) {
                arrivals.push(Reverse((from_ms + random.within(0, span), vehicle)));
            }
            let home = random.below(u64::from(agents)) as u32;
            // One with another's plate begins as far from it as the city allows.
            let agent = match owner(vehicle) {
                same if same == vehicle => home,
                other => {
                    let mut random = Random::of(&[traffic.seed, stream::DRIVE, u64::from(other)]);
                    let _ = random.within(0, span);
                    let far = random.below(u64::from(agents)) as u32;
                    (far + agents / 2) % agents
                }
            };
            Place {
                agent,
                heading: random.below(4) as u8,
                nth: 0,
            }
        });
        let places = places.collect();
        Self {
            traffic,
            side,
            places,
            arrivals,
            later: BinaryHeap::new(),
            lives,
        }
    }

    /// When the next sighting is told; `None`: there are no vehicles.
    pub(crate) fn next_at(&self) -> Option<i64> {
        let arrival = self.arrivals.peek().map(|Reverse((at, _))| *at);
        let later = self.later.peek().map(|Reverse(due)| due.at_ms);
        arrival.into_iter().chain(later).min()
    }

    pub(crate) fn next(&mut self) -> Option<Due> {
        let at = self.next_at()?;
        let is_later = self
            .later
            .peek()
            .is_some_and(|Reverse(due)| due.at_ms <= at);
        if is_later {
            return self.later.pop().map(|Reverse(due)| due);
        }
        let Reverse((at, vehicle)) = self.arrivals.pop()?;
        Some(self.arrive(at, vehicle))
    }

    /// What has yet to be told of vehicles that are in sight.
    pub(crate) fn ends(&mut self) -> Vec<Due> {
        let later = std::mem::take(&mut self.later).into_sorted_vec();
        let of_sight = later.into_iter().rev().map(|Reverse(due)| due);
        of_sight
            .filter(|due| due.sighting.phase == Phase::Ended)
            .collect()
    }

    fn arrive(&mut self, at: i64, vehicle: u32) -> Due {
        let place = self.places[vehicle as usize];
        let parts = [
            self.traffic.seed,
            stream::DRIVE,
            u64::from(vehicle),
            u64::from(place.nth),
        ];
        let mut random = Random::of(&parts);
        let cameras = self.traffic.cameras(place.agent);
        let camera = random.below(u64::from(cameras)) as u8;
        let lanes = self.traffic.lanes(place.agent, camera);
        let seen = |at_ms, vehicle, nth, lane, phase| Due {
            at_ms,
            agent: place.agent,
            sighting: Sighting {
                at_ms,
                vehicle,
                nth,
                camera,
                lane,
                phase,
            },
        };
        let lane = random.below(u64::from(lanes)) as u8;
        if leads(vehicle)
            && let Some(follower) = self.places.get_mut(vehicle as usize + 1)
        {
            let nth = follower.nth;
            follower.nth += 1;
            let phase = self.passed(vehicle + 1);
            let (lag, lane) = (
                random.within(1_800, 7_000),
                random.below(u64::from(lanes)) as u8,
            );
            let due = seen(at + lag, vehicle + 1, nth, lane, phase);
            self.later.push(Reverse(due));
        }
        self.drive_on(at, vehicle, &mut random);
        let mut due = seen(at, vehicle, place.nth, lane, self.passed(vehicle));
        // Some are read surely only when they have passed.
        if due.sighting.phase == Phase::Whole && self.lives && random.chance(0.8) {
            due.sighting.at_ms += IN_SIGHT;
            let mut end = due;
            (end.at_ms, end.sighting.phase) = (at + IN_SIGHT, Phase::Ended);
            self.later.push(Reverse(end));
            due.sighting.phase = Phase::InSight;
        }
        due
    }

    fn passed(&self, vehicle: u32) -> Phase {
        if self.traffic.is_listed(vehicle) {
            Phase::Whole
        } else {
            Phase::Passed
        }
    }

    fn drive_on(&mut self, at: i64, vehicle: u32, random: &mut Random) {
        let agents = self.traffic.agents.max(1);
        let place = &mut self.places[vehicle as usize];
        place.nth += 1;
        // Mostly straight on.
        if random.chance(0.4) {
            place.heading = random.below(4) as u8;
        }
        let (column, row) = (place.agent % self.side, place.agent / self.side);
        let next = match place.heading {
            0 if column + 1 < self.side => place.agent + 1,
            1 if column > 0 => place.agent - 1,
            2 => place.agent + self.side,
            3 if row > 0 => place.agent - self.side,
            _ => agents,
        };
        if next < agents {
            place.agent = next;
        } else {
            // The edge of the city: it turns, and is seen here once more.
            place.heading = (place.heading ^ 1) & 3;
        }
        let (from, to) = if random.chance(PARKS) { PARKED } else { DRIVE };
        self.arrivals
            .push(Reverse((at + random.within(from, to), vehicle)));
    }
}

#[cfg(test)]
#[path = "city_tests.rs"]
mod tests;
