//! How many things a worker does at once.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Places that can be taken.
pub struct Slots {
    all: usize,
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place that is taken; free again when it is dropped.
pub struct Slot<'a>(&'a Slots);

impl Slots {
    /// Returns `count` free places.
    pub fn new(count: usize) -> Self {
        Slots { all: count, free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Takes a place, if one is free.
    pub fn take(&self) -> Option<Slot<'_>> {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Slot(self))
    }

    /// Returns how many places are taken.
    pub fn taken(&self) -> usize {
        self.all - *self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a place becomes free, or for `limit`.
    pub fn wait(&self, limit: Duration) {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.freed.wait_timeout(free, limit);
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_after_its_use() {
        let slots = Slots::new(1);
        let slot = slots.take().unwrap();
        assert!(slots.take().is_none());
        assert_eq!(slots.taken(), 1);
        drop(slot);
        assert!(slots.take().is_some());
    }
}
