//! The models that all cameras share, as a part of their own: opened in the background, and tried
//! again where that fails.
//!
//! While there are none, cameras wait; the uplink, the commands and the status go on. A reload
//! hands in a pool that it has opened itself, so that nothing in use is given up for one that does
//! not open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use kakou_contract::ModelUsed;
use kakou_sight::vision::{ModelChoice, ModelPool};

use super::supervise::{Part, Pulse, Stop};

/// Opening may take this long: some providers build an engine for the device they find.
pub const OPENING_MOST: Duration = Duration::from_secs(3600);
/// How often the part looks whether it is to end or to open others.
const PIECE: Duration = Duration::from_millis(100);

/// Which models, and how many sets of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub choice: ModelChoice,
    pub sets: usize,
}

impl Wanted {
    /// Opens them. Takes seconds, with some providers minutes.
    pub fn open(&self) -> anyhow::Result<Arc<ModelPool>> {
        let pool = ModelPool::open(&self.choice, self.sets).with_context(|| {
            format!(
                "opening the models of {}",
                self.choice.location.manifest.display()
            )
        })?;
        Ok(Arc::new(pool))
    }
}

struct Inner {
    wanted: Wanted,
    pool: Option<Arc<ModelPool>>,
}

/// The pool in use; a clone is another hand on the same one.
#[derive(Clone)]
pub struct Models(Arc<Mutex<Inner>>);

impl Models {
    pub fn new(wanted: Wanted) -> Self {
        Self(Arc::new(Mutex::new(Inner { wanted, pool: None })))
    }

    /// The pool, as soon as it is open.
    pub fn pool(&self) -> Option<Arc<ModelPool>> {
        self.lock().pool.clone()
    }

    /// Takes another pool into use.
    pub fn replace(&self, wanted: Wanted, pool: Arc<ModelPool>) {
        *self.lock() = Inner {
            wanted,
            pool: Some(pool),
        };
    }

    /// What is in use, or is being opened.
    pub fn wanted(&self) -> Wanted {
        self.lock().wanted.clone()
    }

    /// What the status says of them.
    pub fn used(&self) -> Vec<ModelUsed> {
        let pool = self.pool();
        let used = pool.as_ref().map(|p| p.used()).unwrap_or_default();
        used.iter()
            .map(|(name, version)| ModelUsed {
                name: name.clone(),
                version: version.clone(),
            })
            .collect()
    }

    /// A pool that was opened for these, unless another has been taken into use meanwhile.
    fn opened(&self, wanted: &Wanted, pool: Arc<ModelPool>) {
        let mut inner = self.lock();
        if inner.wanted == *wanted {
            inner.pool.get_or_insert(pool);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the models that are wanted, until there are some.
pub struct ModelsPart(pub Models);

impl Part for ModelsPart {
    fn run_once(&mut self, pulse: &Pulse, stop: &Stop) -> anyhow::Result<()> {
        while !stop.is_told() {
            let wanted = self.0.wanted();
            if self.0.pool().is_none() {
                pulse.long_work("opening the models", OPENING_MOST);
                let pool = wanted.open()?;
                self.0.opened(&wanted, pool);
                continue;
            }
            pulse.working();
            std::thread::sleep(PIECE);
        }
        Ok(())
    }
}
