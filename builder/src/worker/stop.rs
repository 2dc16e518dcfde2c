//! How a worker is asked to end: claim nothing more, give what runs some time, then give it back to the queue.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The wish that a worker ends, seen by all its threads.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<Mutex<Option<Instant>>>);

impl Stop {
    /// Returns a wish that nobody has yet.
    pub fn new() -> Self {
        Stop::default()
    }

    /// Asks the worker to claim nothing more and to end what runs within `patience`; asking again can only shorten it.
    pub fn ask(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *asked = Some(asked.map_or(until, |before| before.min(until)));
    }

    /// Returns whether the worker was asked to end.
    pub fn is_asked(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Returns whether the time for what runs is over.
    pub fn is_over(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_again_shortens_the_time() {
        let stop = Stop::new();
        assert!(!stop.is_asked() && !stop.is_over());
        stop.ask(Duration::from_secs(600));
        assert!(stop.is_asked() && !stop.is_over());
        stop.ask(Duration::ZERO);
        stop.ask(Duration::from_secs(600));
        assert!(stop.is_over());
    }
}
