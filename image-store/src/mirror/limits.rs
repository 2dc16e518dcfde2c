//! Limits of a registry: until when it wants to be left alone by all processes, and whether it answers at all.

use crate::Error;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a registry that limits requests is left alone if it does not say.
const PAUSE: Duration = Duration::from_secs(30);
/// Longest time that it is left alone, whatever it says.
const MAX_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);
/// How long one that does not answer is taken to be away.
const AWAY: Duration = Duration::from_secs(15);

/// The state of a registry as its mirror knows it.
#[derive(Debug)]
pub(crate) struct Limits {
    /// File that holds the moment until which it is left alone, in milliseconds.
    file: PathBuf,
    away_until: Mutex<Option<Instant>>,
}

impl Limits {
    /// Returns those that `file` holds.
    pub(crate) fn new(file: PathBuf) -> Limits {
        Limits { file, away_until: Mutex::default() }
    }

    /// Takes note that the registry limits requests.
    pub(crate) fn pause(&self, asked: Option<Duration>) -> Result<(), Error> {
        let until = now_ms() + asked.unwrap_or(PAUSE).min(MAX_PAUSE).as_millis() as u64;
        if until <= self.paused_until_ms() {
            return Ok(());
        }
        // A reader that sees half of it takes it for none, and asks.
        std::fs::write(&self.file, until.to_string()).map_err(Error::file("writing", &self.file))
    }

    /// Returns how long the registry is still to be left alone.
    pub(crate) fn paused(&self) -> Option<Duration> {
        let left = self.paused_until_ms().checked_sub(now_ms())?;
        let left = Duration::from_millis(left).min(MAX_PAUSE);
        (!left.is_zero()).then_some(left)
    }

    fn paused_until_ms(&self) -> u64 {
        std::fs::read_to_string(&self.file).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Takes note of whether the registry answers.
    pub(crate) fn set_away(&self, is_away: bool) {
        *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = is_away.then(|| Instant::now() + AWAY);
    }

    /// Tells whether it did not answer a moment ago.
    pub(crate) fn is_away(&self) -> bool {
        self.away_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > Instant::now())
    }
}

pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_everybody_s_and_the_longest_counts() {
        let directory = tempfile::tempdir().unwrap();
        let limits = || Limits::new(directory.path().join("paused"));
        assert_eq!(limits().paused(), None);
        limits().pause(Some(Duration::from_secs(100))).unwrap();
        limits().pause(Some(Duration::from_secs(10))).unwrap();
        assert!(limits().paused().unwrap() > Duration::from_secs(90));
        limits().pause(Some(Duration::from_secs(1_000_000_000))).unwrap();
        assert!(limits().paused().unwrap() <= MAX_PAUSE);
        std::fs::write(directory.path().join("paused"), "12x").unwrap();
        assert_eq!(limits().paused(), None);
    }
}
