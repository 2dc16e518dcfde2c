//! Whether deliveries would be accepted now, found out by storing something; for all who ask within a second together.

use crate::problem::Problem;
use database::Database;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long an answer holds: whoever asks need not be known, and must not keep the disk busy.
const HOLDS: Duration = Duration::from_secs(1);

/// The last answer, and when it was found.
#[derive(Debug, Default)]
pub struct Readiness(Mutex<Option<(Instant, bool)>>);

impl Readiness {
    /// Fails if nothing can be stored.
    pub async fn check(&self, database: &Database) -> Result<(), Problem> {
        let mut last = self.0.lock().await;
        let is_ready = match *last {
            Some((at, is_ready)) if at.elapsed() < HOLDS => is_ready,
            _ => {
                let stored = database.try_to_store().await;
                *last = Some((Instant::now(), stored.is_ok()));
                stored.map_err(Problem::from)?;
                true
            }
        };
        if is_ready { Ok(()) } else { Err(Problem::database_unavailable()) }
    }
}
