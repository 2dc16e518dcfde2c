//! Announcements of work, heard in this process.

use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// Tells those who wait for work that there may be some.
#[derive(Debug)]
pub(crate) struct Announcements {
    sender: watch::Sender<()>,
    /// Whether what other processes announce is heard.
    is_listening: AtomicBool,
}

impl Default for Announcements {
    fn default() -> Self {
        Announcements { sender: watch::channel(()).0, is_listening: AtomicBool::new(false) }
    }
}

impl Announcements {
    /// Wakes all who wait for work.
    pub(crate) fn announce(&self) {
        self.sender.send_replace(());
    }

    /// Returns what changes with each announcement.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.sender.subscribe()
    }

    /// Takes note whether what other processes announce is heard; what they announced before may have been missed.
    pub(crate) fn set_listening(&self, is_listening: bool) {
        self.is_listening.store(is_listening, Ordering::Release);
        self.announce();
    }

    /// Tells whether what other processes announce is heard.
    pub(crate) fn is_listening(&self) -> bool {
        self.is_listening.load(Ordering::Acquire)
    }
}
