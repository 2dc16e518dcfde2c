//! Keeps the lease of a build alive and ends the build when it is cancelled, lost, or takes too long.

use super::lease::{LEASE, LeaseClock, MARGIN};
use super::stop::Stop;
use crate::Services;
use database::{BuildState, Claim, Database, Lease};
use runtime::CancellationToken;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How often the limits are compared with the clock, without a word to the database.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How long further changes of the build are waited for: what it writes itself comes in bursts.
const BURST: Duration = Duration::from_millis(100);
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
    end: oneshot::Sender<()>,
    thread: JoinHandle<StopReason>,
}

impl Watch {
    /// Watches the build of `claim` until [`Watch::end`].
    pub(crate) fn start(services: &Services, claim: Arc<Claim>, terms: WatchLimits) -> Self {
        let (end, ended) = oneshot::channel();
        let (database, tokio) = (services.database.clone(), services.tokio.clone());
        let watched = Watched { database, claim, terms, began: Instant::now(), may_have_changed: true };
        let thread = std::thread::spawn(move || tokio.block_on(watched.watch(ended)));
        Watch { end, thread }
    }

    /// Ends the watch and returns whether, and why, it ended the build.
    pub(crate) fn end(self) -> StopReason {
        let _ = self.end.send(());
        self.thread.join().unwrap_or(StopReason::LeaseLost)
    }
}

/// The watched build.
struct Watched {
    database: Database,
    claim: Arc<Claim>,
    terms: WatchLimits,
    began: Instant,
    /// Whether the build may be another than when it was read last.
    may_have_changed: bool,
}

impl Watched {
    async fn watch(mut self, mut ended: oneshot::Receiver<()>) -> StopReason {
        let mut changes = self.database.watch_build(&self.claim.build.id);
        loop {
            if let Some(why) = self.look().await {
                self.terms.cancel.cancel();
                return why;
            }
            let next = async {
                let _ = timeout(POLL_INTERVAL, changes.changed()).await.map(|()| self.may_have_changed = true);
                if self.may_have_changed {
                    sleep(BURST).await;
                }
            };
            tokio::select! {
                _ = &mut ended => return StopReason::Nothing,
                () = next => {}
            }
        }
    }

    async fn look(&mut self) -> Option<StopReason> {
        if self.terms.stop.is_over() {
            return Some(StopReason::WorkerEnds);
        }
        if self.began.elapsed() > self.terms.limit {
            return Some(StopReason::TimedOut(self.terms.limit));
        }
        let lease = self.ask().await;
        if self.terms.renewed.age() + MARGIN > LEASE {
            return Some(StopReason::LeaseLost);
        }
        match lease? {
            Lease::Held { cancel_requested } => cancel_requested.then_some(StopReason::CancelRequested),
            Lease::Lost => Some(StopReason::LeaseLost),
        }
    }

    /// Asks how the build stands if it may have changed, and renews the lease when it is time; `None` if there is nothing new, or
    /// the database does not say.
    async fn ask(&mut self) -> Option<Lease> {
        let asked = runtime::uptime();
        if self.terms.renewed.age() >= HEARTBEAT {
            let lease = timeout(DB_TIMEOUT, self.database.heartbeat(&self.claim)).await.ok()?.ok()?;
            if matches!(lease, Lease::Held { .. }) {
                self.terms.renewed.renew(asked);
            }
            return Some(lease);
        }
        if !self.may_have_changed {
            return None;
        }
        let build = timeout(DB_TIMEOUT, self.database.build(&self.claim.build.id)).await.ok()?.ok()??;
        self.may_have_changed = false;
        let is_running = !build.state.has_ended() && build.state != BuildState::Queued;
        let has_lease = is_running && build.attempt == self.claim.attempt;
        Some(if has_lease { Lease::Held { cancel_requested: build.cancel_requested } } else { Lease::Lost })
    }
}
