//! Guesses: an account that somebody logs in to with wrong passwords is closed to their address for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long wrong passwords count.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Wrong passwords within the window before the account is closed.
const MAX_WRONG: u32 = 10;
/// Accounts and addresses that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Counts wrong passwords by account and address: nobody closes an account to its owner.
#[derive(Debug, Default)]
pub struct Guesses(Mutex<HashMap<Key, Count>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    address: String,
}

#[derive(Debug)]
struct Count {
    began: Instant,
    wrong: u32,
}

impl Guesses {
    /// Returns the seconds for which the account is closed to the address.
    pub fn closed_for(&self, name: &str, address: &str, now: Instant) -> Option<u64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&Key { name: name.to_owned(), address: address.to_owned() })?;
        let left = WINDOW.saturating_sub(now.saturating_duration_since(count.began));
        (count.wrong >= MAX_WRONG && !left.is_zero()).then(|| left.as_secs().max(1))
    }

    /// Counts a wrong password.
    pub fn count(&self, name: &str, address: &str, now: Instant) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_REMEMBERED {
            counts.retain(|_, count| now.saturating_duration_since(count.began) < WINDOW);
            if counts.len() >= MAX_REMEMBERED {
                counts.clear();
            }
        }
        let key = Key { name: name.to_owned(), address: address.to_owned() };
        let count = counts.entry(key).or_insert(Count { began: now, wrong: 0 });
        if now.saturating_duration_since(count.began) >= WINDOW {
            *count = Count { began: now, wrong: 0 };
        }
        count.wrong += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_closed_to_the_address_that_guesses_and_to_no_other() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..MAX_WRONG {
            assert_eq!(guesses.closed_for("ada", "10.0.0.1", now), None);
            guesses.count("ada", "10.0.0.1", now);
        }
        assert_eq!(guesses.closed_for("ada", "10.0.0.1", now), Some(300));
        assert_eq!(guesses.closed_for("ada", "10.0.0.2", now), None);
        assert_eq!(guesses.closed_for("bob", "10.0.0.1", now), None);
        assert_eq!(guesses.closed_for("ada", "10.0.0.1", now + WINDOW), None);
    }
}
