//! A counting semaphore: how much is done at once.

use runtime::{CancellationToken, Monitor};
use std::sync::Arc;
use std::time::Duration;

/// A fixed number of permits.
#[derive(Debug)]
pub struct Semaphore {
    permits: usize,
    available: Monitor<usize>,
}

/// A permit that is held until this is dropped.
#[derive(Debug)]
pub struct Permit<'s>(&'s Semaphore);

/// A permit that is held wherever this goes, until it is dropped.
#[derive(Debug)]
pub struct OwnedPermit(Arc<Semaphore>);

impl Semaphore {
    /// Returns a semaphore whose permits are all available.
    pub fn new(permits: usize) -> Self {
        Semaphore { permits, available: Monitor::new(permits) }
    }

    /// Waits for a permit; `None` if the build is cancelled first.
    pub fn acquire(&self, cancel: &CancellationToken) -> Option<Permit<'_>> {
        self.available.wait(cancel, take).map(|()| Permit(self))
    }

    /// Waits for a permit that may be held longer than this is borrowed; `None` if the build is cancelled first.
    pub fn acquire_owned(self: &Arc<Self>, cancel: &CancellationToken) -> Option<OwnedPermit> {
        self.available.wait(cancel, take).map(|()| OwnedPermit(self.clone()))
    }

    /// Returns a permit if one is available now.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.available.update(take).map(|()| Permit(self))
    }

    /// Returns how many permits are held.
    pub fn held(&self) -> usize {
        self.permits - self.available.read(|available| *available)
    }

    /// Waits until a permit is released, or for `timeout`.
    pub fn wait_for_release(&self, timeout: Duration) {
        let before = self.available.read(|available| *available);
        let released = |available: &mut usize| (*available > before).then_some(());
        let _ = self.available.wait_timeout(&CancellationToken::new(), timeout, released);
    }

    fn release(&self) {
        self.available.update(|available| *available += 1);
    }
}

/// Takes one of the available permits.
fn take(available: &mut usize) -> Option<()> {
    *available = available.checked_sub(1)?;
    Some(())
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.release();
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.0.release();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn no_more_permits_are_held_than_there_are() {
        let (semaphore, cancel) = (Semaphore::new(3), CancellationToken::new());
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..20 {
                scope.spawn(|| {
                    let _permit = semaphore.acquire(&cancel).unwrap();
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(2));
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }

    #[test]
    fn a_cancelled_build_does_not_wait_for_a_permit() {
        let (semaphore, cancel) = (Semaphore::new(1), CancellationToken::new());
        let _held = semaphore.acquire(&cancel).unwrap();
        cancel.cancel();
        assert!(semaphore.acquire(&cancel).is_none());
    }

    #[test]
    fn a_dropped_permit_is_available_again() {
        let semaphore = Semaphore::new(1);
        let permit = semaphore.try_acquire().unwrap();
        assert!(semaphore.try_acquire().is_none());
        assert_eq!(semaphore.held(), 1);
        drop(permit);
        assert!(semaphore.try_acquire().is_some());
    }
}
