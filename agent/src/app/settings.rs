//! The config in use, for those who look at it again and again. A reload replaces it as a whole.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::config::{Config, MetricsConfig, PanelConfig};

#[derive(Clone)]
pub struct Settings(Arc<RwLock<Arc<Config>>>);

impl Settings {
    pub fn new(config: Config) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(config))))
    }

    pub fn current(&self) -> Arc<Config> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn replace(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    pub fn status_every(&self) -> Duration {
        self.current().agent_times.status_every
    }

    pub fn metrics(&self) -> MetricsConfig {
        self.current().metrics.clone()
    }

    pub fn panel(&self) -> Option<PanelConfig> {
        self.current().panel.clone()
    }
}
