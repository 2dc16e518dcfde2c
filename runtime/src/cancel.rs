//! A flag that ends a build, seen by all its threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, seen everywhere.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    set: Arc<AtomicBool>,
    above: Option<Arc<Cancel>>,
}

impl Cancel {
    /// Returns a flag that is not set.
    pub fn new() -> Self {
        Cancel::default()
    }

    /// Returns a flag for a part of the work: it is set with this one, but setting it leaves this one alone.
    pub fn part(&self) -> Self {
        Cancel { set: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    /// Sets the flag.
    pub fn cancel(&self) {
        self.set.store(true, Ordering::Relaxed);
    }

    /// Tells whether the flag is set.
    pub fn is_cancelled(&self) -> bool {
        self.set.load(Ordering::Relaxed) || self.above.as_ref().is_some_and(|above| above.is_cancelled())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_ends_with_the_whole_but_not_the_other_way_round() {
        let whole = Cancel::new();
        let (one, other) = (whole.part(), whole.part());
        one.cancel();
        assert!(one.is_cancelled() && !other.is_cancelled() && !whole.is_cancelled());
        whole.cancel();
        assert!(other.is_cancelled());
    }
}
