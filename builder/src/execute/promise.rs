//! A value that one thread makes and others wait for.

use runtime::{CancellationToken, Monitor};

/// Something that will be known, once.
#[derive(Debug)]
pub struct Promise<T> {
    value: Monitor<Option<T>>,
}

impl<T: Clone + Send + 'static> Promise<T> {
    /// Returns a promise that is not kept yet.
    pub fn new() -> Self {
        Promise { value: Monitor::new(None) }
    }

    /// Returns a promise that is kept already.
    pub fn kept(value: T) -> Self {
        Promise { value: Monitor::new(Some(value)) }
    }

    /// Keeps the promise; a second value is ignored, because whoever waited may have seen the first.
    pub fn keep(&self, value: T) {
        self.value.update(|known| {
            known.get_or_insert(value);
        });
    }

    /// Returns the value if it is known.
    pub fn peek(&self) -> Option<T> {
        self.value.read(Clone::clone)
    }

    /// Waits for the value; `None` if the build is cancelled first.
    pub fn wait(&self, cancel: &CancellationToken) -> Option<T> {
        self.value.wait(cancel, |known| known.clone())
    }
}
