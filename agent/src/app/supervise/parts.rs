//! All parts of the agent, for whoever asks how they are.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kakou_contract::{PartState, PartStatus};

use super::pulse::Pulse;

/// The pulses of all parts, in the order they were added. A clone is another hand on the same list.
#[derive(Debug, Clone, Default)]
pub struct Parts(Arc<Mutex<Vec<Arc<Pulse>>>>);

impl Parts {
    /// Adds a part; one of the same name that was there gives way to it, in its place.
    pub fn add(&self, pulse: &Arc<Pulse>) {
        let mut all = self.lock();
        match all.iter_mut().find(|p| p.name() == pulse.name()) {
            Some(place) => *place = Arc::clone(pulse),
            None => all.push(Arc::clone(pulse)),
        }
    }

    /// Takes out a part that is no longer there.
    pub fn remove(&self, pulse: &Arc<Pulse>) {
        self.lock().retain(|p| !Arc::ptr_eq(p, pulse));
    }

    pub fn status(&self) -> Vec<PartStatus> {
        self.all().iter().map(|p| p.status()).collect()
    }

    /// A part that has not been heard of for longer than it may be silent: its name and for how
    /// long.
    pub fn hanging(&self) -> Option<(String, Duration)> {
        self.all()
            .iter()
            .find_map(|p| p.hangs().map(|silent| (p.name().to_owned(), silent)))
    }

    /// Whether a part is at something that takes long, such as opening models.
    pub fn at_long_work(&self) -> bool {
        self.all().iter().any(|p| p.is_at_long_work())
    }

    /// Each part that does not work, with its cause, in one line.
    pub fn faults(&self) -> String {
        let all: Vec<String> = self
            .status()
            .into_iter()
            .filter(|p| p.state != PartState::Working)
            .map(|p| match p.detail {
                Some(detail) => format!("{} {}: {detail}", p.name, p.state),
                None => format!("{} {}", p.name, p.state),
            })
            .collect();
        match all.is_empty() {
            true => "no part says why".to_owned(),
            false => all.join("; "),
        }
    }

    fn all(&self) -> Vec<Arc<Pulse>> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Pulse>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
