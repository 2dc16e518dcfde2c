//! How much is done at once: a number of slots, each held while something runs.

use runtime::{CancellationToken, Monitor};
use std::sync::Arc;

/// A fixed number of slots.
#[derive(Debug)]
pub struct Slots {
    free: Monitor<usize>,
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
        Slots { free: Monitor::new(count) }
    }

    /// Waits for a slot; `None` if the build is cancelled first.
    pub fn take(&self, cancel: &CancellationToken) -> Option<Slot<'_>> {
        self.wait(cancel).then_some(Slot(self))
    }

    /// Waits for a slot that may be held longer than this is borrowed; `None` if the build is cancelled first.
    pub fn take_owned(self: &Arc<Self>, cancel: &CancellationToken) -> Option<OwnedSlot> {
        self.wait(cancel).then(|| OwnedSlot(self.clone()))
    }

    /// Waits until one more is taken; returns whether it is.
    fn wait(&self, cancel: &CancellationToken) -> bool {
        let take = |free: &mut usize| {
            *free = free.checked_sub(1)?;
            Some(())
        };
        self.free.wait(cancel, take).is_some()
    }

    fn give_back(&self) {
        self.free.update(|free| *free += 1);
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
    use std::time::Duration;

    #[test]
    fn no_more_hold_a_slot_than_there_are() {
        let (slots, cancel) = (Slots::new(3), CancellationToken::new());
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
        let (slots, cancel) = (Slots::new(1), CancellationToken::new());
        let _held = slots.take(&cancel).unwrap();
        cancel.cancel();
        assert!(slots.take(&cancel).is_none());
    }
}
