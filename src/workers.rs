//! Supervises the worker processes of a server: starts, restarts and stops them.

use crate::state::DataDir;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::process::{Child, Command};
use tokio::sync::watch::Receiver;
use webhook::Readiness;

/// How long a worker may take to give its builds back to the queue.
const REQUEUE_TIMEOUT: Duration = Duration::from_secs(30);
/// A worker that ran for so long had started; one that ended before could not.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before a worker is started again.
const RESTART_DELAY: Duration = Duration::from_millis(500);
/// How long to wait at most when it could not start time and again.
const MAX_RESTART_DELAY: Duration = Duration::from_secs(60);

/// The stage of the shutdown of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// They are not.
    No,
    /// After their builds, if those end in time.
    WhenDone,
    /// At once.
    Now,
}

/// Starts worker processes, and restarts those that exit.
pub(crate) struct WorkerSupervisor {
    /// Their data directory.
    pub data: DataDir,
    /// The configuration that the server was started with.
    pub config: Option<PathBuf>,
    /// How long their builds may go on when slipway is asked to end.
    pub drain: Duration,
    /// Is told which of them run.
    pub readiness: Arc<Readiness>,
}

impl WorkerSupervisor {
    /// Keeps one worker running until slipway ends; a worker that cannot start is tried less and less often.
    pub(crate) async fn keep(&self, number: usize, mut ending: Receiver<Ending>) {
        let mut failures = 0;
        while *ending.borrow() == Ending::No {
            let began = Instant::now();
            let problem = match self.start() {
                Ok(mut worker) => match self.watch(&mut worker, number, began, &mut ending).await {
                    Some(problem) => problem,
                    None => return,
                },
                Err(error) => error,
            };
            failures = if began.elapsed() < START_TIMEOUT { failures + 1 } else { 1 };
            let delay = restart_delay(failures);
            self.readiness.worker_ended(number, failures, &problem);
            tracing::warn!(problem, delay_ms = delay.as_millis(), failures, "worker exited; restarting");
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = reaches(&mut ending, Ending::WhenDone) => {}
            }
        }
    }

    /// Waits for the end of a worker and returns how it came; `None` if it was asked for.
    async fn watch(
        &self,
        worker: &mut Child,
        number: usize,
        began: Instant,
        ending: &mut Receiver<Ending>,
    ) -> Option<String> {
        let mut started = std::pin::pin!(tokio::time::sleep(START_TIMEOUT));
        let mut runs = false;
        loop {
            tokio::select! {
                status = worker.wait() => {
                    let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    return Some(format!("{how} after {:.1} s", began.elapsed().as_secs_f32()));
                }
                () = &mut started, if !runs => {
                    runs = true;
                    self.readiness.worker_runs(number);
                }
                () = reaches(ending, Ending::WhenDone) => {
                    let _ = self.end(worker, ending).await;
                    return None;
                }
            }
        }
    }

    fn start(&self) -> Result<Child, String> {
        let program = std::env::current_exe().map_err(|error| format!("finding this program: {error}"))?;
        let mut command = Command::new(program);
        command.arg("worker").arg("--data-dir").arg(self.data.path());
        command.arg("--parent").arg(std::process::id().to_string());
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        // In a process group of its own: what a terminal sends to the server's group must not end builds that may go on.
        command
            .process_group(0)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("starting a worker: {error}"))
    }

    /// Asks a worker to end after its builds, and once more when there is no time for that.
    async fn end(&self, worker: &mut Child, ending: &mut Receiver<Ending>) -> std::io::Result<()> {
        let ask = |worker: &Child| worker.id().into_iter().for_each(runtime::terminate);
        ask(worker);
        let ended = tokio::select! {
            _ = worker.wait() => true,
            () = reaches(ending, Ending::Now) => false,
            () = tokio::time::sleep(self.drain) => false,
        };
        if !ended {
            ask(worker);
            if tokio::time::timeout(REQUEUE_TIMEOUT, worker.wait()).await.is_err() {
                worker.kill().await?;
            }
        }
        Ok(())
    }
}

async fn reaches(ending: &mut Receiver<Ending>, wanted: Ending) {
    let _ = ending.wait_for(|ending| *ending == wanted || *ending == Ending::Now).await;
}

/// Returns how long to wait after a worker could not start so many times in a row.
fn restart_delay(failures: u32) -> Duration {
    let factor = 1 << failures.saturating_sub(1).min(16);
    (RESTART_DELAY * factor).min(MAX_RESTART_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_cannot_start_is_tried_less_and_less_often() {
        // US-28
        let delays: Vec<_> =
            [1, 2, 3, 7, 8, 40].into_iter().map(|failures| restart_delay(failures).as_millis()).collect();
        assert_eq!(delays, [500, 1_000, 2_000, 32_000, 60_000, 60_000]);
    }
}
