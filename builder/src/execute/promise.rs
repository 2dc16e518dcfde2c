//! A value that one thread makes and others wait for.

use runtime::Cancel;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// How often a waiting thread looks whether the build was cancelled.
const PATIENCE: Duration = Duration::from_millis(100);

/// Something that will be known, once.
#[derive(Debug)]
pub struct Promise<T> {
    value: Mutex<Option<T>>,
    known: Condvar,
}

impl<T: Clone> Promise<T> {
    /// Returns a promise that is not kept yet.
    pub fn new() -> Self {
        Promise { value: Mutex::new(None), known: Condvar::new() }
    }

    /// Returns a promise that is kept already.
    pub fn kept(value: T) -> Self {
        Promise { value: Mutex::new(Some(value)), known: Condvar::new() }
    }

    /// Keeps the promise; a second value is ignored, because whoever waited may have seen the first.
    pub fn keep(&self, value: T) {
        let mut slot = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        slot.get_or_insert(value);
        self.known.notify_all();
    }

    /// Returns the value if it is known.
    pub fn peek(&self) -> Option<T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for the value; `None` if the build is cancelled first.
    pub fn wait(&self, cancel: &Cancel) -> Option<T> {
        let mut slot = self.value.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(value) = slot.as_ref() {
                return Some(value.clone());
            }
            if cancel.is_cancelled() {
                return None;
            }
            slot = self.known.wait_timeout(slot, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
