//! How long the broker has owed acknowledgements. Pure: times are handed in.
//!
//! Only an acknowledgement counts as an answer. A broker that answers pings and acknowledges
//! nothing is as useless as one that is silent, and a ping must not hide it. Two clocks run:
//!
//! - since the last acknowledgement, or since the first message went out after all were answered;
//! - for each message since it went out, so that one that is passed over shows as well.
//!
//! A slow link is given time: a message may take as long as the slowest link that is waited for
//! needs for what was open when it went out.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

/// The slowest link that is waited for, in bytes a second.
const SLOWEST: f64 = 8192.0;

#[derive(Debug)]
struct Sent {
    at: Instant,
    order: u64,
}

#[derive(Debug)]
pub(crate) struct AnswerClock {
    patience: Duration,
    /// Messages that went out and are not acknowledged, by packet id.
    sent: HashMap<u16, Sent>,
    /// When each of them is overdue, in the order in which they went out.
    due: BTreeMap<u64, Instant>,
    count: u64,
    /// The last sign that messages get through; `None` while nothing is open.
    progress: Option<Instant>,
}

impl AnswerClock {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            patience,
            sent: HashMap::new(),
            due: BTreeMap::new(),
            count: 0,
            progress: None,
        }
    }

    /// A message was given to the connection.
    pub(crate) fn handed(&mut self, now: Instant) {
        self.progress.get_or_insert(now);
    }

    /// It went out, when this many bytes were open, its own included.
    pub(crate) fn sent(&mut self, now: Instant, id: u16, open_bytes: usize) {
        self.count += 1;
        let order = self.count;
        self.sent.insert(id, Sent { at: now, order });
        self.due
            .insert(order, now + self.patience + transit(open_bytes));
    }

    /// It was acknowledged; how long that took.
    pub(crate) fn answered(&mut self, now: Instant, id: u16) -> Option<Duration> {
        self.progress = Some(now);
        let sent = self.sent.remove(&id)?;
        self.due.remove(&sent.order);
        Some(now.saturating_duration_since(sent.at))
    }

    /// Nothing is open any more.
    pub(crate) fn idle(&mut self) {
        self.progress = None;
    }

    /// When the connection counts as lost; `largest`: bytes of the largest open message.
    pub(crate) fn overdue(&self, largest: usize) -> Option<Instant> {
        let silent = self.progress? + self.patience + transit(largest);
        Some(
            self.due
                .values()
                .next()
                .map_or(silent, |oldest| silent.min(*oldest)),
        )
    }

    pub(crate) fn waited(&self, now: Instant) -> Duration {
        let oldest = self.sent.values().map(|sent| sent.at).min();
        oldest
            .or(self.progress)
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    /// A new connection: nothing is open.
    pub(crate) fn start(&mut self) {
        *self = Self::new(self.patience);
    }
}

fn transit(bytes: usize) -> Duration {
    Duration::from_secs_f64(bytes as f64 / SLOWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(7);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn a_broker_that_acknowledges_nothing_is_overdue_after_its_time() {
        let (start, mut clock) = (Instant::now(), AnswerClock::new(PATIENCE));
        assert_eq!(clock.overdue(0), None);
        clock.handed(start);
        assert_eq!(clock.overdue(0), Some(start + PATIENCE), "not even sent");
        clock.sent(start + seconds(1), 1, 0);
        assert_eq!(clock.overdue(0), Some(start + PATIENCE));
        assert_eq!(clock.answered(start + seconds(3), 1), Some(seconds(2)));
        clock.idle();
        assert_eq!(clock.overdue(0), None);
    }

    #[test]
    fn one_message_that_is_passed_over_is_noticed_while_others_are_acknowledged() {
        let (start, mut clock) = (Instant::now(), AnswerClock::new(PATIENCE));
        clock.handed(start);
        clock.sent(start, 1, 0);
        for n in 1..=20 {
            let id = n as u16 + 1;
            clock.sent(start + seconds(n), id, 0);
            clock.answered(start + seconds(n), id);
        }
        assert_eq!(clock.overdue(0), Some(start + PATIENCE));
        assert_eq!(clock.waited(start + seconds(20)), seconds(20));
    }

    #[test]
    fn a_slow_link_is_given_the_time_that_what_is_open_takes() {
        let (start, mut clock) = (Instant::now(), AnswerClock::new(PATIENCE));
        clock.handed(start);
        // Two pictures: the second has to wait for the first.
        clock.sent(start, 1, 81_920);
        clock.sent(start, 2, 163_840);
        assert_eq!(clock.overdue(81_920), Some(start + PATIENCE + seconds(10)));
        clock.answered(start + seconds(10), 1);
        assert_eq!(clock.overdue(81_920), Some(start + PATIENCE + seconds(20)));
    }
}
