//! Keeps the lease of a build alive and ends the build when it is cancelled, lost, or takes too long.

use super::lease::{LEASE, LeaseClock, MARGIN};
use super::stop::Stop;
use crate::Services;
use database::{BuildState, Claim, Lease};
use runtime::CancellationToken;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the database is asked whether the build is to end.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often the lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long the database may take to answer.
const DB_TIMEOUT: Duration = Duration::from_secs(5);

/// StopReason a build was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopReason {
    /// It was not.
    Nothing,
    /// Somebody asked for it.
    CancelRequested,
    /// Another worker may have it now.
    LeaseLost,
    /// It took longer than this.
    TimedOut(Duration),
    /// The worker was asked to end.
    WorkerEnds,
}

/// The limits that a watch enforces.
pub(crate) struct WatchLimits {
    /// Set when the build is to end.
    pub cancel: CancellationToken,
    /// How long the build may take.
    pub limit: Duration,
    /// When the lease was renewed.
    pub renewed: LeaseClock,
    /// Whether the worker is to end.
    pub stop: Stop,
}

/// A watch over one build.
pub(crate) struct Watch {
    end: Sender<()>,
    thread: JoinHandle<StopReason>,
}

impl Watch {
    /// Watches the build of `claim` until [`Watch::end`].
    pub(crate) fn start(services: &Services, claim: Arc<Claim>, terms: WatchLimits) -> Self {
        let (end, ended) = channel();
        let services = services.clone();
        let began = Instant::now();
        let thread = std::thread::spawn(move || {
            loop {
                match ended.recv_timeout(POLL_INTERVAL) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return StopReason::Nothing,
                }
                if let Some(why) = look(&services, &claim, &terms, began) {
                    terms.cancel.cancel();
                    return why;
                }
            }
        });
        Watch { end, thread }
    }

    /// Ends the watch and returns whether, and why, it ended the build.
    pub(crate) fn end(self) -> StopReason {
        let _ = self.end.send(());
        self.thread.join().unwrap_or(StopReason::LeaseLost)
    }
}

fn look(services: &Services, claim: &Claim, terms: &WatchLimits, began: Instant) -> Option<StopReason> {
    if terms.stop.is_over() {
        return Some(StopReason::WorkerEnds);
    }
    if began.elapsed() > terms.limit {
        return Some(StopReason::TimedOut(terms.limit));
    }
    let lease = ask(services, claim, &terms.renewed);
    if terms.renewed.age() + MARGIN > LEASE {
        return Some(StopReason::LeaseLost);
    }
    match lease? {
        Lease::Held { cancel_requested } => cancel_requested.then_some(StopReason::CancelRequested),
        Lease::Lost => Some(StopReason::LeaseLost),
    }
}

/// Asks how the build stands, and renews the lease when it is time; `None` if the database does not say.
fn ask(services: &Services, claim: &Claim, renewed: &LeaseClock) -> Option<Lease> {
    let (database, asked) = (&services.database, runtime::uptime());
    if renewed.age() < HEARTBEAT {
        let known = async { tokio::time::timeout(DB_TIMEOUT, database.build(&claim.build.id)).await };
        let build = services.tokio.block_on(known).ok()?.ok()??;
        let running = !build.state.has_ended() && build.state != BuildState::Queued;
        let held = running && build.attempt == claim.attempt;
        return Some(if held { Lease::Held { cancel_requested: build.cancel_requested } } else { Lease::Lost });
    }
    let lease = services.tokio.block_on(async { tokio::time::timeout(DB_TIMEOUT, database.heartbeat(claim)).await });
    let lease = lease.ok()?.ok()?;
    if matches!(lease, Lease::Held { .. }) {
        renewed.renew(asked);
    }
    Some(lease)
}
