//! A value that threads change and wait for, until their work is cancelled.

use crate::CancellationToken;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A value with its lock and the condition that it changed; its clones are the same value.
#[derive(Debug)]
pub struct Monitor<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Clone for Monitor<T> {
    fn clone(&self) -> Self {
        Monitor { shared: self.shared.clone() }
    }
}

impl<T> Monitor<T> {
    /// Returns a monitor of `value`.
    pub fn new(value: T) -> Self {
        Monitor { shared: Arc::new(Shared { value: Mutex::new(value), changed: Condvar::new() }) }
    }

    /// Reads the value.
    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&self.shared.lock())
    }

    /// Changes the value and wakes all waiters.
    pub fn update<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.shared.lock());
        self.shared.changed.notify_all();
        result
    }
}

impl<T: Send + 'static> Monitor<T> {
    /// Waits until `ready` returns something, which may change the value; `None` if `cancel` is cancelled before.
    pub fn wait<R>(&self, cancel: &CancellationToken, ready: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        self.wait_until(cancel, None, ready)
    }

    /// Waits as [`Monitor::wait`] does, but at most for `timeout`.
    pub fn wait_timeout<R>(
        &self,
        cancel: &CancellationToken,
        timeout: Duration,
        ready: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        self.wait_until(cancel, Instant::now().checked_add(timeout), ready)
    }

    fn wait_until<R>(
        &self,
        cancel: &CancellationToken,
        deadline: Option<Instant>,
        mut ready: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        if let Some(result) = ready(&mut self.shared.lock()) {
            return Some(result);
        }
        let shared = self.shared.clone();
        // The lock is taken first, so that no thread is between its look at the token and its wait.
        let _registration = cancel.on_cancel(move || {
            drop(shared.lock());
            shared.changed.notify_all();
        });
        let mut value = self.shared.lock();
        loop {
            if let Some(result) = ready(&mut value) {
                return Some(result);
            }
            if cancel.is_cancelled() {
                return None;
            }
            value = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                Some(Duration::ZERO) => return None,
                Some(left) => self.shared.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.shared.changed.wait(value).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_wakes_and_a_cancellation_wakes() {
        let (number, cancel) = (Monitor::new(0), CancellationToken::new());
        let waiting = {
            let (number, cancel) = (number.clone(), cancel.clone());
            std::thread::spawn(move || {
                let reached = number.wait(&cancel, |number| (*number >= 2).then_some(*number));
                (reached, number.wait(&cancel, |number| (*number >= 4).then_some(*number)))
            })
        };
        for _ in 0..3 {
            number.update(|number| *number += 1);
            std::thread::sleep(Duration::from_millis(2));
        }
        cancel.cancel();
        let (reached, never) = waiting.join().unwrap();
        assert!(matches!(reached, Some(2 | 3)), "{reached:?}");
        assert_eq!(never, None);
    }

    #[test]
    fn what_is_ready_is_returned_though_the_work_is_cancelled() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert_eq!(Monitor::new(7).wait(&cancel, |value| Some(*value)), Some(7));
        assert_eq!(Monitor::new(7).wait(&cancel, |_| None::<()>), None);
    }
}
