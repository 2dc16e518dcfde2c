//! Guesses: an account that somebody logs in to with wrong passwords is closed to their address for a while.

use std::collections::HashMap;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// How long wrong passwords count.
const WINDOW: Duration = Duration::from_secs(5 * 60);
/// Wrong passwords within the window before the account is closed.
const MAX_WRONG: u32 = 10;
/// Accounts and addresses that are remembered.
const MAX_REMEMBERED: usize = 10_000;
/// Bytes of a name that are remembered: no account has a longer one.
const MAX_NAME: usize = 64;

/// Counts wrong passwords by account and address: nobody closes an account to its owner.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<HashMap<Key, Arc<AsyncMutex<Count>>>>);

#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    name: String,
    network: String,
}

/// The wrong passwords for an account that came from an address.
#[derive(Debug)]
pub(crate) struct Count {
    began: Instant,
    wrong: u32,
}

impl Guesses {
    /// Waits for the turn to log in to an account from an address: of many who guess at once, each knows of those before.
    pub(crate) async fn turn(&self, name: &str, address: &str, now: Instant) -> OwnedMutexGuard<Count> {
        self.count(name, address, now).lock_owned().await
    }

    fn count(&self, name: &str, address: &str, now: Instant) -> Arc<AsyncMutex<Count>> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_REMEMBERED {
            counts.retain(|_, count| count.try_lock().map_or(true, |count| count.wrong > 0 && !count.is_over(now)));
            if counts.len() >= MAX_REMEMBERED {
                counts.clear();
            }
        }
        let key = Key { name: shortened(name).to_owned(), network: network(address) };
        counts.entry(key).or_insert_with(|| Arc::new(AsyncMutex::new(Count { began: now, wrong: 0 }))).clone()
    }
}

impl Count {
    /// Returns the seconds for which the account is closed to the address.
    pub(crate) fn closed_for(&self, now: Instant) -> Option<u64> {
        let left = WINDOW.saturating_sub(now.saturating_duration_since(self.began));
        (self.wrong >= MAX_WRONG && !left.is_zero()).then(|| left.as_secs().max(1))
    }

    /// Counts a password before it is compared: a client that goes away meanwhile has guessed, too.
    pub(crate) fn add(&mut self, now: Instant) {
        if self.wrong == 0 || self.is_over(now) {
            *self = Count { began: now, wrong: 0 };
        }
        self.wrong += 1;
    }

    /// Takes the last one back: the password was right.
    pub(crate) fn take_back(&mut self) {
        self.wrong = self.wrong.saturating_sub(1);
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.began) >= WINDOW
    }
}

/// Returns the network whose guesses are counted together: an address, or of version 6 what one customer has.
fn network(address: &str) -> String {
    match address.parse::<Ipv6Addr>() {
        Ok(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).to_string(),
        Err(_) => address.to_owned(),
    }
}

/// Returns as much of a name as is remembered and shown.
pub(crate) fn shortened(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_NAME)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_account_is_closed_to_the_address_that_guesses_and_to_no_other() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for _ in 0..MAX_WRONG {
            let mut turn = guesses.turn("ada", "10.0.0.1", now).await;
            assert_eq!(turn.closed_for(now), None);
            turn.add(now);
        }
        assert_eq!(guesses.turn("ada", "10.0.0.1", now).await.closed_for(now), Some(300));
        assert_eq!(guesses.turn("ada", "10.0.0.2", now).await.closed_for(now), None);
        assert_eq!(guesses.turn("bob", "10.0.0.1", now).await.closed_for(now), None);
        assert_eq!(guesses.turn("ada", "10.0.0.1", now).await.closed_for(now + WINDOW), None);
        guesses.turn("ada", "10.0.0.1", now).await.take_back();
        assert_eq!(guesses.turn("ada", "10.0.0.1", now).await.closed_for(now), None);
    }

    #[tokio::test]
    async fn addresses_of_one_customer_are_counted_together() {
        let (guesses, now) = (Guesses::default(), Instant::now());
        for number in 0..MAX_WRONG {
            guesses.turn("ada", &format!("2001:db8:1:2::{number}"), now).await.add(now);
        }
        assert!(guesses.turn("ada", "2001:db8:1:2:3::1", now).await.closed_for(now).is_some());
        assert_eq!(guesses.turn("ada", "2001:db8:1:3::1", now).await.closed_for(now), None);
    }

    #[test]
    fn a_name_of_any_length_takes_little_memory() {
        assert_eq!(shortened("ada"), "ada");
        assert_eq!(shortened(&"x".repeat(1000)).len(), 64);
        assert_eq!(shortened(&"€".repeat(1000)).len(), 63);
    }
}
