//! A container that a hook made: it stays until the hook removes it or the attempt ends.

use super::machine::Machine;
use runtime::CancellationToken;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of output that are kept for `docker logs`.
const MAX_LOG: usize = 4 * 1024 * 1024;

/// A container with its state.
pub(crate) struct NamedMachine {
    /// The container.
    pub machine: Machine,
    /// Its id as docker shows it: 64 digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The image as it was named.
    pub image: String,
    /// Ends it.
    pub cancel: CancellationToken,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    log: Vec<(bool, Vec<u8>)>,
    bytes: usize,
    is_running: bool,
    code: Option<u8>,
}

impl NamedMachine {
    /// Returns a container that does not run yet.
    pub(crate) fn new(machine: Machine, id: String, name: String, image: String, cancel: CancellationToken) -> Self {
        NamedMachine { machine, id, name, image, cancel, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Returns whether `text` names it: by its name, or by the first digits of its id.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        self.name == text || text.len() >= 2 && self.id.starts_with(text)
    }

    /// Takes note that it runs; false if it does already.
    pub(crate) fn begin(&self) -> bool {
        !std::mem::replace(&mut self.state().is_running, true)
    }

    /// Takes note of what it printed.
    pub(crate) fn print(&self, is_error: bool, bytes: &[u8]) {
        let mut state = self.state();
        if state.bytes < MAX_LOG {
            state.bytes += bytes.len();
            state.log.push((is_error, bytes.to_vec()));
        }
        self.changed.notify_all();
    }

    /// Takes note of its end.
    pub(crate) fn end(&self, code: u8) {
        let mut state = self.state();
        (state.is_running, state.code) = (false, Some(code));
        self.changed.notify_all();
    }

    /// Returns whether it runs, and the exit code of its last run.
    pub(crate) fn status(&self) -> (bool, Option<u8>) {
        let state = self.state();
        (state.is_running, state.code)
    }

    /// Waits for its end and returns the exit code; `None` if `cancel` came before.
    pub(crate) fn wait(&self, cancel: &CancellationToken) -> Option<u8> {
        let mut state = self.state();
        while state.is_running && !cancel.is_cancelled() {
            let pause = std::time::Duration::from_millis(100);
            state = self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.is_running { None } else { state.code }
    }

    /// Returns what it printed: whether it was an error, and the bytes.
    pub(crate) fn log(&self) -> Vec<(bool, Vec<u8>)> {
        self.state().log.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
