//! Layers that builds of this machine are making: of several that need the same one at once, one executes its step and the
//! others take it from the cache.

use image_store::{Alone, Store};
use runtime::{CancellationToken, Monitor};
use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How often is looked whether another process has made a layer.
const PAUSE: Duration = Duration::from_millis(20);
/// How long another process is waited for: it may be stopped, or make another layer whose name shares the lock.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The names of the layers.
static MADE_NOW: LazyLock<Monitor<HashSet<String>>> = LazyLock::new(|| Monitor::new(HashSet::new()));

/// The right to make a layer, until it is dropped: nobody else on this machine makes it meanwhile.
#[derive(Debug)]
pub(crate) struct Making {
    name: String,
    lock: Option<Alone>,
}

impl Making {
    /// Waits until nobody makes the layer `name`; `None` if the build is cancelled first. A right is given up before another one is
    /// waited for, or without waiting: so builds never wait for each other in a circle.
    pub(crate) fn begin(store: &Store, name: String, cancel: &CancellationToken) -> Option<Making> {
        MADE_NOW.wait(cancel, |names| names.insert(name.clone()).then_some(()))?;
        let mut making = Making { name, lock: None };
        let began = Instant::now();
        loop {
            match store.try_alone(&making.name) {
                Ok(Some(alone)) => making.lock = Some(alone),
                Ok(None) if began.elapsed() < TIMEOUT => {
                    MADE_NOW.wait_timeout(cancel, PAUSE, |_| None::<()>);
                    if cancel.is_cancelled() {
                        return None;
                    }
                    continue;
                }
                Ok(None) => {}
                // A layer may be made twice.
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a layer may be made twice"),
            }
            return Some(making);
        }
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Before the name: the next one in this process finds the file free.
        drop(self.lock.take());
        MADE_NOW.update(|names| names.remove(&self.name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn one_layer_is_made_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let (cancel, at_once) = (CancellationToken::new(), AtomicUsize::new(0));
        let begin = |name: &str| Making::begin(&store, name.to_owned(), &cancel);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _making = begin("one").unwrap();
                    assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(2));
                    at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let held = begin("one").unwrap();
        assert!(begin("two").is_some(), "another layer waits for nobody");
        cancel.cancel();
        assert!(begin("one").is_none());
        drop(held);
    }
}
