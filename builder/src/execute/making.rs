//! Layers that builds of this process are making: of several that need the same one at once, one executes its step and the
//! others take it from the cache.

use runtime::{CancellationToken, Monitor};
use std::collections::HashSet;
use std::sync::LazyLock;

/// The names of the layers.
static MADE_NOW: LazyLock<Monitor<HashSet<String>>> = LazyLock::new(|| Monitor::new(HashSet::new()));

/// The right to make a layer, until it is dropped: nobody else in this process makes it meanwhile.
#[derive(Debug)]
pub(crate) struct Making(String);

impl Making {
    /// Waits until nobody makes the layer `name`; `None` if the build is cancelled first. Whoever has the right waits for no
    /// other one before the layer is in the cache or given up: so no builds wait for each other.
    pub(crate) fn begin(name: String, cancel: &CancellationToken) -> Option<Making> {
        MADE_NOW.wait(cancel, |names| names.insert(name.clone()).then_some(()))?;
        Some(Making(name))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        MADE_NOW.update(|names| names.remove(&self.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[test]
    fn one_layer_is_made_by_one_at_a_time() {
        let (cancel, at_once) = (CancellationToken::new(), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _making = Making::begin("one".to_owned(), &cancel).unwrap();
                    assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(2));
                    at_once.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        let held = Making::begin("one".to_owned(), &cancel).unwrap();
        assert!(Making::begin("two".to_owned(), &cancel).is_some(), "another layer waits for nobody");
        cancel.cancel();
        assert!(Making::begin("one".to_owned(), &cancel).is_none());
        drop(held);
    }
}
