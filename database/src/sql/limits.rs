//! Limits that hold for every statement, and what an exceeded one says.

use crate::error::Error;
use std::time::Duration;
use tokio::time::timeout;

/// How long a statement waits for a connection or for another's transaction.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// How long one statement may take, waiting included. A server that hangs must not hang whoever asks it.
const MAX_DURATION: Duration = TIMEOUT.saturating_mul(2);

/// Waits for what a database does, but not for ever.
pub(crate) async fn limited<T>(
    doing: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, Error> {
    let timed_out = |text: String| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, text));
    let done = timeout(MAX_DURATION, work)
        .await
        .unwrap_or_else(|_| Err(timed_out(format!("no answer within {MAX_DURATION:?}"))));
    let done = done.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => timed_out(format!(
            "within {TIMEOUT:?} no connection was free, and none could be made: check that the database runs, and its log"
        )),
        error => error,
    });
    done.map_err(Error::unavailable(doing))
}

/// The channel on which PostgreSQL announces that there is work.
pub(crate) const WORK: &str = "slipway_work";

/// The channel on which PostgreSQL announces that a build changed; the payload is its id.
pub(crate) const BUILDS: &str = "slipway_builds";
