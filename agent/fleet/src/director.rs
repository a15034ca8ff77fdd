//! Says what happens when: vehicles pass, statuses are due, connections are lost. It follows the
//! clock, or goes as fast as the agents can tell it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use crate::agent::Order;
use crate::city::{City, Due, Phase};
use crate::line::Event;
use crate::random::Random;
use crate::scene::Shared;
use crate::store::{Books, MemoryStore};

/// The longest pause between two looks at the clock.
const PAUSE: Duration = Duration::from_millis(20);
/// Sightings that are told between two looks at what waits.
const BATCH: usize = 512;
/// Things that may wait at a rate, until they are told later than they happen.
const UNTOLD_AT_RATE: i64 = 4_000_000;

/// An agent as the director knows it.
pub(crate) struct Hand {
    pub(crate) store: MemoryStore,
    pub(crate) orders: mpsc::Sender<Order>,
}

pub(crate) struct Director {
    shared: Arc<Shared>,
    books: Books,
    hands: Arc<Vec<Hand>>,
    city: City,
    /// When each agent's status is due.
    statuses: BinaryHeap<Reverse<(i64, u32)>>,
    /// When each agent's connection is lost next.
    outages: BinaryHeap<Reverse<(i64, u32)>>,
    outage_draws: Random,
    /// Passages so far.
    passages: u64,
    /// More may wait than these.
    untold_most: i64,
    /// Each passage has the time at which it is made.
    is_stamped: bool,
}

impl Director {
    /// What waits in each agent at the start is there when this returns.
    pub(crate) fn new(shared: Arc<Shared>, books: Books, hands: Arc<Vec<Hand>>) -> Self {
        let options = &shared.options;
        let is_stamped = options.rate == 0.0 && !shared.time.stands();
        let every = millis(options.status_every);
        let mut statuses = BinaryHeap::new();
        let mut outages = BinaryHeap::new();
        let mut draws = Random::of(&[options.seed, 50]);
        for agent in 0..options.agents {
            statuses.push(Reverse((draws.within(every / 2, every), agent)));
        }
        if options.troubles.outages > 0.0 {
            for agent in 0..options.agents {
                outages.push(Reverse((
                    draws.within(0, between(&shared, &mut draws.clone())),
                    agent,
                )));
            }
        }
        let mut director = Self {
            city: City::new(shared.traffic, options.live_vehicles(), 0, !is_stamped),
            untold_most: UNTOLD_AT_RATE,
            statuses,
            outages,
            outage_draws: draws,
            passages: 0,
            is_stamped,
            hands,
            books,
            shared,
        };
        director.begin();
        let waits = director.books.untold.load(Ordering::Relaxed);
        director.untold_most += waits;
        if director.shared.options.rate == 0.0 {
            let agents = i64::from(director.shared.options.agents);
            director.untold_most = waits + 20_000 + 200 * agents;
        }
        director
    }

    /// Births, and what happened before the start.
    fn begin(&mut self) {
        let options = &self.shared.options;
        let before = millis(options.backlog);
        for hand in self.hands.iter() {
            hand.store.push(Event::Status { at_ms: -before });
        }
        let rate = options.history_rate();
        if before == 0 || rate == 0.0 {
            return;
        }
        let vehicles = options.vehicles(rate);
        let mut past = City::new(self.shared.traffic, vehicles, -before, true);
        while past.next_at().is_some_and(|at| at < 0)
            && let Some(due) = past.next()
        {
            self.tell(due);
        }
        for due in past.ends() {
            self.tell(due);
        }
        for hand in self.hands.iter() {
            hand.store.push(Event::Status { at_ms: 0 });
        }
    }

    fn tell(&self, due: Due) {
        if let Some(hand) = self.hands.get(due.agent as usize) {
            hand.store.push(Event::Sighting(due.sighting));
        }
    }

    /// Until all is made, or it is told to stop. What is in sight then has passed all the same.
    pub(crate) async fn direct(
        mut self,
        mut stop: watch::Receiver<bool>,
        made: watch::Sender<bool>,
    ) {
        while !*stop.borrow() {
            if self.is_all_made() {
                break;
            }
            let wait = self.step();
            tokio::select! {
                _ = stop.changed() => break,
                () = tokio::time::sleep(wait), if !wait.is_zero() => {}
                () = tokio::task::yield_now(), if wait.is_zero() => {}
            }
        }
        for due in self.city.ends() {
            self.tell(due);
        }
        made.send_replace(true);
        // The agents go on until they are told to end.
        while !*stop.borrow() && stop.changed().await.is_ok() {}
    }

    fn is_all_made(&self) -> bool {
        self.shared
            .options
            .count
            .is_some_and(|count| self.passages >= count)
    }

    /// What is due; how long nothing else is.
    fn step(&mut self) -> Duration {
        self.outages();
        if self.books.untold.load(Ordering::Relaxed) >= self.untold_most {
            return PAUSE;
        }
        let is_timed = self.shared.options.rate > 0.0;
        let now = self.shared.time.elapsed_ms();
        for _ in 0..BATCH {
            let Some(at) = self.city.next_at() else {
                return PAUSE;
            };
            if is_timed && at > now {
                self.statuses(now);
                let left = u64::try_from(at - now).unwrap_or(0);
                return Duration::from_millis(left).clamp(Duration::from_millis(1), PAUSE);
            }
            if self.is_all_made() {
                break;
            }
            let Some(mut due) = self.city.next() else {
                return PAUSE;
            };
            if self.is_stamped {
                due.sighting.at_ms = now;
            }
            self.passages += u64::from(due.sighting.phase != Phase::Ended);
            self.tell(due);
            if self.shared.time.stands() {
                self.statuses(due.at_ms);
            }
        }
        if !self.shared.time.stands() {
            self.statuses(now);
        }
        Duration::ZERO
    }

    fn statuses(&mut self, now: i64) {
        let every = millis(self.shared.options.status_every);
        while let Some(Reverse((at, agent))) = self.statuses.peek().copied()
            && at <= now
        {
            self.statuses.pop();
            self.statuses.push(Reverse((at + every, agent)));
            if let Some(hand) = self.hands.get(agent as usize) {
                hand.store.push(Event::Status { at_ms: at });
            }
        }
    }

    fn outages(&mut self) {
        let now = self.shared.time.elapsed_ms();
        while let Some(Reverse((at, agent))) = self.outages.peek().copied()
            && at <= now
        {
            self.outages.pop();
            let mean = millis(self.shared.options.troubles.outage);
            let length = self.outage_draws.within(mean / 2, mean + mean / 2);
            let next = between(&self.shared, &mut self.outage_draws);
            self.outages.push(Reverse((now + length + next, agent)));
            let time = Duration::from_millis(u64::try_from(length).unwrap_or(0));
            if let Some(hand) = self.hands.get(agent as usize) {
                // One that is busy with another order misses none.
                let _ = hand.orders.try_send(Order::Away(time));
            }
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

/// From the end of an outage to the next one.
fn between(shared: &Shared, draws: &mut Random) -> i64 {
    let troubles = &shared.options.troubles;
    let share = troubles.outages.max(1e-6);
    let mean = (millis(troubles.outage) as f64 * (1.0 - share) / share).min(1e12) as i64;
    draws.within(mean / 2, mean + mean / 2).max(1)
}
