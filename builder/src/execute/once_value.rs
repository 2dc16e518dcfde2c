//! A value that one thread sets once and others wait for.

use runtime::{CancellationToken, Monitor};

/// A value that is set once.
#[derive(Debug)]
pub struct OnceValue<T> {
    value: Monitor<Option<T>>,
}

impl<T: Clone + Send + 'static> OnceValue<T> {
    /// Returns one without a value.
    pub fn new() -> Self {
        OnceValue { value: Monitor::new(None) }
    }

    /// Returns one that has its value already.
    pub fn with(value: T) -> Self {
        OnceValue { value: Monitor::new(Some(value)) }
    }

    /// Sets the value; a second one is ignored, because a thread that waited may have seen the first.
    pub fn set(&self, value: T) {
        self.value.update(|known| {
            known.get_or_insert(value);
        });
    }

    /// Returns the value if it is set.
    pub fn get(&self) -> Option<T> {
        self.value.read(Clone::clone)
    }

    /// Waits for the value; `None` if the build is cancelled first.
    pub fn wait(&self, cancel: &CancellationToken) -> Option<T> {
        self.value.wait(cancel, |known| known.clone())
    }
}
