//! How much is done at once: a number of slots, each held while something runs.

use runtime::Cancel;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often somebody who waits looks whether the build was cancelled.
const PATIENCE: Duration = Duration::from_millis(100);

/// A fixed number of slots.
#[derive(Debug)]
pub struct Slots {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A slot that is held until this is dropped.
#[derive(Debug)]
pub struct Slot<'s>(&'s Slots);

/// A slot that is held wherever this goes, until it is dropped.
#[derive(Debug)]
pub struct OwnedSlot(Arc<Slots>);

impl Slots {
    /// Returns `count` free slots.
    pub fn new(count: usize) -> Self {
        Slots { free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Waits for a slot; `None` if the build is cancelled first.
    pub fn take(&self, cancel: &Cancel) -> Option<Slot<'_>> {
        self.wait(cancel).then_some(Slot(self))
    }

    /// Waits for a slot that may be held longer than this is borrowed; `None` if the build is cancelled first.
    pub fn take_owned(self: &Arc<Self>, cancel: &Cancel) -> Option<OwnedSlot> {
        self.wait(cancel).then(|| OwnedSlot(self.clone()))
    }

    /// Waits until one more is taken; tells whether it is.
    fn wait(&self, cancel: &Cancel) -> bool {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        while *free == 0 {
            if cancel.is_cancelled() {
                return false;
            }
            free = self.freed.wait_timeout(free, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        *free -= 1;
        true
    }

    fn give_back(&self) {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.freed.notify_one();
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Drop for OwnedSlot {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_hold_a_slot_than_there_are() {
        let (slots, cancel) = (Slots::new(3), Cancel::new());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let _slot = slots.take(&cancel).unwrap();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn who_waits_is_told_of_the_end() {
        let (slots, cancel) = (Slots::new(1), Cancel::new());
        let _held = slots.take(&cancel).unwrap();
        cancel.cancel();
        assert!(slots.take(&cancel).is_none());
    }
}
