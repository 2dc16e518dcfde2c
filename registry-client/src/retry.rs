//! Retries with back-off, for all requests: how often, how long between two attempts, and how long altogether.

use reqwest::header::{HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::time::{Duration, Instant};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

/// Factor from one wait to the next.
const BACKOFF_FACTOR: u32 = 3;
/// Shortest wait that is logged.
const MIN_LOGGED_WAIT: Duration = Duration::from_secs(1);

/// When a request that failed is sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Wait before the second attempt; each further one is three times as long.
    pub initial_backoff: Duration,
    /// Longest wait between two attempts, whatever the server asks for.
    pub max_backoff: Duration,
    /// Attempts of a request whose connection breaks or whose answer is a server error.
    pub max_attempts: u32,
    /// How long requests are repeated to a server that says when to come back.
    pub max_elapsed: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        RetryPolicy {
            initial_backoff: Duration::from_millis(250),
            max_backoff: Duration::from_secs(600),
            max_attempts: 5,
            max_elapsed: Duration::from_secs(1800),
        }
    }
}

/// The attempts of one request under a [`RetryPolicy`].
pub struct Backoff<'p> {
    policy: &'p RetryPolicy,
    started: Instant,
    attempts: u32,
    wait: Duration,
}

impl<'p> Backoff<'p> {
    /// Returns the state during the first attempt.
    pub fn new(policy: &'p RetryPolicy) -> Self {
        Backoff { policy, started: Instant::now(), attempts: 1, wait: policy.initial_backoff }
    }

    /// Waits before the next attempt; `false` if there is none. `retry_after` is the wait that the server asked for.
    pub async fn next(&mut self, server: &str, retry_after: Option<Duration>) -> bool {
        // A server that asks to come back at once still gets the time that any other gets.
        let asked = retry_after.map(|asked| asked.max(self.policy.initial_backoff));
        let wait = asked.unwrap_or(self.wait).min(self.policy.max_backoff);
        // A server that says when to come back is not gone: its own waits do not count as attempts.
        let is_over = match retry_after {
            Some(_) => self.started.elapsed() + wait > self.policy.max_elapsed,
            None => self.attempts >= self.policy.max_attempts,
        };
        if is_over {
            return false;
        }
        if wait >= MIN_LOGGED_WAIT {
            tracing::warn!(server, wait_s = wait.as_secs(), "request failed; retrying after a wait");
        }
        tokio::time::sleep(wait).await;
        if retry_after.is_none() {
            (self.attempts, self.wait) = (self.attempts + 1, self.wait * BACKOFF_FACTOR);
        }
        true
    }
}

/// Returns whether the same request may succeed later.
pub(crate) fn is_transient(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT || status.is_server_error()
}

/// Returns how long a response asks to wait.
pub(crate) fn retry_after(response: &Response) -> Option<Duration> {
    parse_retry_after(response.headers().get(RETRY_AFTER)?, OffsetDateTime::now_utc())
}

/// Parses seconds or an HTTP date; anything else is ignored.
pub(crate) fn parse_retry_after(value: &HeaderValue, now: OffsetDateTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(&text.replace("GMT", "+0000"), &Rfc2822).ok()?;
    // A date in the past asks for another attempt at once.
    Some((date - now).try_into().unwrap_or(Duration::ZERO))
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

    #[tokio::test]
    async fn a_server_that_asks_for_no_wait_is_left_the_first_one() {
        let policy = RetryPolicy { initial_backoff: Duration::from_millis(20), ..RetryPolicy::default() };
        let mut backoff = Backoff::new(&policy);
        let began = Instant::now();
        assert!(backoff.next("registry.example.com", Some(Duration::ZERO)).await);
        assert!(began.elapsed() >= policy.initial_backoff);
    }
}
