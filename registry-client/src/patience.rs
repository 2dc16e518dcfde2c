//! How long the client waits for a registry: between tries, for the next bytes, and altogether.

use crate::Error;
use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// How long a client waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patience {
    /// Wait before the second try; each further one is three times as long.
    pub first_wait: Duration,
    /// Longest wait between two tries, whatever the registry asks for.
    pub longest_wait: Duration,
    /// How often a request is tried whose connection breaks or whose answer is a server's error.
    pub tries: u32,
    /// How long a registry is waited for that says when to come back.
    pub altogether: Duration,
    /// Bytes that must arrive within `pace_window`.
    pub pace_bytes: u64,
    /// How long a slow download is watched before it is given up.
    pub pace_window: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience {
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(600),
            tries: 5,
            altogether: Duration::from_secs(1800),
            pace_bytes: 10 * 1024,
            pace_window: Duration::from_secs(30),
        }
    }
}

/// The tries of one request.
pub struct Tries<'p> {
    patience: &'p Patience,
    began: Instant,
    done: u32,
    wait: Duration,
}

impl<'p> Tries<'p> {
    /// Begins with the first try.
    pub fn new(patience: &'p Patience) -> Self {
        Tries { patience, began: Instant::now(), done: 1, wait: patience.first_wait }
    }

    /// Waits before the next try; `false` if there is none. `asked` is what the registry asked for.
    pub async fn next(&mut self, registry: &str, asked: Option<Duration>) -> bool {
        let wait = asked.unwrap_or(self.wait).min(self.patience.longest_wait);
        // Who says when to come back is not gone: it is waited for as long as it says so.
        let over = match asked {
            Some(_) => self.began.elapsed() + wait > self.patience.altogether,
            None => self.done >= self.patience.tries,
        };
        if over {
            return false;
        }
        if wait >= Duration::from_secs(1) {
            tracing::warn!(registry, wait_s = wait.as_secs(), "the registry is asked again later");
        }
        tokio::time::sleep(wait).await;
        if asked.is_none() {
            (self.done, self.wait) = (self.done + 1, self.wait * 3);
        }
        true
    }
}

/// Tells whether the registry may answer otherwise later.
pub fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}

/// Returns how long a response asks to wait.
pub fn retry_after(response: &Response) -> Option<Duration> {
    parse_retry_after(response.headers().get(RETRY_AFTER)?, OffsetDateTime::now_utc())
}

/// Parses seconds or an HTTP date; anything else asks for nothing.
fn parse_retry_after(value: &HeaderValue, now: OffsetDateTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()?;
    // A date that is over asks for another try at once.
    Some((date - now).try_into().unwrap_or(Duration::ZERO))
}

/// Watches whether bytes arrive fast enough: one byte a second keeps any timeout of silence from passing (REG-27).
pub struct Pace<'p> {
    patience: &'p Patience,
    registry: &'p str,
    since: Instant,
    bytes: u64,
}

impl<'p> Pace<'p> {
    /// Begins to watch.
    pub fn new(patience: &'p Patience, registry: &'p str) -> Self {
        Pace { patience, registry, since: Instant::now(), bytes: 0 }
    }

    /// Takes note of bytes that arrived; an error if there were too few of late.
    pub fn passed(&mut self, bytes: usize) -> Result<(), Error> {
        self.bytes += bytes as u64;
        if self.since.elapsed() < self.patience.pace_window {
            return Ok(());
        }
        if self.bytes < self.patience.pace_bytes {
            return Err(Error::broken(self.registry, "it sends too slowly"));
        }
        (self.since, self.bytes) = (Instant::now(), 0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // REG-31
    #[test]
    fn retry_after_has_two_forms_and_garbage_asks_for_nothing() {
        let now = OffsetDateTime::parse("Wed, 21 Oct 2015 07:28:00 +0000", &Rfc2822).unwrap();
        let parse = |text: &'static str| parse_retry_after(&HeaderValue::from_static(text), now);
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        assert_eq!(parse("Wed, 21 Oct 2015 07:29:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(parse("Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("99999999999999999999999"), None);
        assert_eq!(parse("-5"), None);
        assert_eq!(parse("soon"), None);
    }
}
