//! Readiness: tries to store a row and checks that a worker can build; one check a second serves all
//! callers.

use crate::http::problem::Problem;
use crate::view::code::Code;
use database::Database;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How long an answer is reused, because anonymous callers must not keep the disk busy.
const TTL: Duration = Duration::from_secs(1);
const READY: &str = "ready\n";
const LOW: &str = "ready, but the disk of the database is full: deliveries are stored in the room set aside for them\n";
/// How many times in a row a worker may end soon after its start before it counts as one that cannot start.
const MAX_FAILURES: u32 = 3;

/// The last answer, when it was found, and how the server's own workers are.
#[derive(Debug)]
pub struct Readiness {
    last: Mutex<Option<(Instant, bool)>>,
    workers: std::sync::Mutex<Vec<Worker>>,
    is_disk_low: AtomicBool,
}

/// A worker of the server's own.
#[derive(Debug, Clone, Default)]
struct Worker {
    failures: u32,
    problem: String,
}

impl Readiness {
    /// Returns the readiness of a server that starts so many workers itself.
    pub fn new(workers: usize) -> Self {
        Readiness {
            last: Mutex::default(),
            workers: std::sync::Mutex::new(vec![Worker::default(); workers]),
            is_disk_low: AtomicBool::new(false),
        }
    }

    /// Takes note whether the disk of the database has no room but what is set aside.
    pub fn disk_is_low(&self, is_low: bool) {
        self.is_disk_low.store(is_low, Ordering::Relaxed);
    }

    /// Takes note that a worker has started.
    pub fn worker_runs(&self, number: usize) {
        self.note(number, Worker::default());
    }

    /// Takes note that a worker ended soon after its start, so many times in a row, and how it ended.
    pub fn worker_ended(&self, number: usize, failures: u32, problem: &str) {
        self.note(number, Worker { failures, problem: problem.to_owned() });
    }

    fn note(&self, number: usize, worker: Worker) {
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = workers.get_mut(number) {
            *known = worker;
        }
    }

    /// Returns what is to be said of it. Fails if nothing can be stored, or if the server's workers cannot start and there are no others.
    pub async fn check(&self, database: &Database) -> Result<&'static str, Problem> {
        let mut last = self.last.lock().await;
        let is_ready = match *last {
            Some((at, is_ready)) if at.elapsed() < TTL => is_ready,
            _ => {
                let stored = database.try_to_store().await;
                *last = Some((Instant::now(), stored.is_ok()));
                stored.map_err(Problem::from)?;
                true
            }
        };
        drop(last);
        if !is_ready {
            return Err(Problem::database_unavailable());
        }
        match self.why_none_starts() {
            Some(problem) if database.workers().await?.is_empty() => {
                Err(Problem::new(Code::WorkersCannotStart, problem))
            }
            _ if self.is_disk_low.load(Ordering::Relaxed) => Ok(LOW),
            _ => Ok(READY),
        }
    }

    /// Says how the last worker ended if none of them can start.
    fn why_none_starts(&self) -> Option<String> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, all) = (workers.last()?, workers.len());
        workers.iter().all(|worker| worker.failures >= MAX_FAILURES).then(|| {
            format!(
                "deliveries are stored, but nothing is built: none of {all} workers can start (the last one ended with {}); \
                 the log says why",
                last.problem
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn workers_that_cannot_start_are_told_of_and_one_that_runs_is_enough() {
        // US-28
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&format!("sqlite://{}/x.db", directory.path().display())).await.unwrap();
        let readiness = Readiness::new(2);
        readiness.worker_ended(0, MAX_FAILURES, "exit status: 1 after 0.1 s");
        assert!(readiness.check(&database).await.is_ok());
        readiness.worker_ended(1, MAX_FAILURES - 1, "exit status: 1 after 0.1 s");
        assert!(readiness.check(&database).await.is_ok(), "one worker may still start");
        readiness.worker_ended(1, MAX_FAILURES, "exit status: 1 after 0.1 s");
        assert_eq!(readiness.check(&database).await.unwrap_err().code(), Code::WorkersCannotStart);
        database.register_worker("elsewhere", 1, &database::WorkerInfo::default()).await.unwrap();
        assert!(readiness.check(&database).await.is_ok(), "a worker of another machine builds");
        database.release("elsewhere").await.unwrap();
        readiness.worker_runs(0);
        assert!(readiness.check(&database).await.is_ok());
        assert!(Readiness::new(0).check(&database).await.is_ok());
    }
}
