//! What does not fit among the passages of the whole box: one desk for all cameras.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kakou_contract::{PassageMessage, SignalMessage, live_id};
use kakou_time::Moment;
use kakou_traffic::signals::{SignalRules, Signals};
use uuid::Uuid;

/// A clone is another hand on the same one.
#[derive(Clone)]
pub struct SignalDesk(Arc<Mutex<Signals>>);

impl SignalDesk {
    pub fn new(rules: &SignalRules) -> Self {
        Self(Arc::new(Mutex::new(Signals::new(rules.clone()))))
    }

    /// Takes what a reload changed into use.
    pub fn configure(&self, rules: &SignalRules) {
        self.with(|signals| signals.set_rules(rules.clone()));
    }

    /// A vehicle has passed, and its passage is as it will be sent.
    pub fn passed(
        &self,
        passage: &PassageMessage,
        also: &[Uuid],
        now: Moment,
    ) -> Vec<SignalMessage> {
        let seen = mono_of_last_seen(passage, now);
        let told = self.with(|signals| signals.passed(passage, also, seen));
        told.into_iter()
            .map(|signal| signal.message(passage, live_id(now.wall)))
            .collect()
    }

    fn with<T>(&self, what: impl FnOnce(&mut Signals) -> T) -> T {
        what(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How long ago the vehicle was last seen is the same on both clocks: a passage has the times of the
/// wall clock as it stands at its end.
fn mono_of_last_seen(passage: &PassageMessage, now: Moment) -> Duration {
    let ago = (now.wall - passage.last_seen).to_std().unwrap_or_default();
    now.mono.saturating_sub(ago)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use kakou_contract::{Message, SignalKind};
    use kakou_traffic::signals::Distance;

    const PASSAGE: &[u8] = include_bytes!("../../contract/golden/passage.json");

    #[test]
    fn the_delay_until_a_passage_is_told_makes_no_difference() {
        let first = PassageMessage::from_json(PASSAGE).unwrap();
        let mut second = first.clone();
        second.id = Uuid::from_u128(7);
        second.camera = "cam-2".parse().unwrap();
        let shift = chrono::TimeDelta::seconds(4);
        second.first_seen += shift;
        second.last_seen += shift;
        second.time += shift;
        second.evidence.clear();
        let desk = SignalDesk::new(&SignalRules::default());
        desk.configure(&SignalRules {
            distances: vec![Distance {
                cameras: [first.camera.clone(), second.camera.clone()],
                metres: 1200,
            }],
            ..SignalRules::default()
        });
        let begun = first.last_seen;
        let after = |seconds: i64| Moment {
            wall: begun + chrono::TimeDelta::seconds(seconds),
            mono: Duration::from_secs(1000 + seconds.unsigned_abs()),
        };
        // The first one stood in a queue for long; the second one was told at once.
        assert!(desk.passed(&first, &[], after(60)).is_empty());
        let told = desk.passed(&second, &[], after(61));
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].kind, SignalKind::Travel);
        assert_eq!(told[0].passage_id, second.id);
        told[0].check().unwrap();
    }
}
