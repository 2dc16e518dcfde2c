//! Pauses: a registry that limits requests is left alone by all requests of the process, not by the one that it answered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Until when registries want to be left alone.
#[derive(Debug, Default)]
pub(crate) struct Pauses(Mutex<HashMap<String, Instant>>);

impl Pauses {
    /// Takes note that a registry wants to be left alone; the longest of several pauses counts.
    pub(crate) fn begin(&self, registry: &str, pause: Duration) {
        let until = Instant::now() + pause;
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pauses.entry(registry.to_owned()).and_modify(|known| *known = until.max(*known)).or_insert(until);
    }

    /// Waits until the registry may be asked again.
    pub(crate) async fn wait(&self, registry: &str) {
        while let Some(until) = self.until(registry) {
            tokio::time::sleep_until(until.into()).await;
        }
    }

    fn until(&self, registry: &str) -> Option<Instant> {
        let mut pauses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let until = pauses.get(registry).copied()?;
        if until > Instant::now() {
            return Some(until);
        }
        pauses.remove(registry);
        None
    }
}
