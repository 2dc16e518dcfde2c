//! Keeps the lease of a build alive and ends the build when it is cancelled, lost, or takes too long.

use super::Stop;
use super::lease::{LEASE, MARGIN, Renewed};
use crate::Services;
use database::{BuildState, Claim, Lease};
use runtime::CancellationToken;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the database is asked whether the build is to end.
const LOOK: Duration = Duration::from_millis(200);
/// How often the lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long the database may take to answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Why a build was ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
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

/// What a watch goes by.
pub struct Terms {
    /// Set when the build is to end.
    pub cancel: CancellationToken,
    /// How long the build may take.
    pub limit: Duration,
    /// When the lease was renewed.
    pub renewed: Renewed,
    /// Whether the worker is to end.
    pub stop: Stop,
}

/// A watch over one build.
pub struct Watch {
    end: Sender<()>,
    thread: JoinHandle<Why>,
}

impl Watch {
    /// Watches the build of `claim` until [`Watch::end`].
    pub fn start(services: &Services, claim: Arc<Claim>, terms: Terms) -> Self {
        let (end, ended) = channel();
        let services = services.clone();
        let began = Instant::now();
        let thread = std::thread::spawn(move || {
            loop {
                match ended.recv_timeout(LOOK) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return Why::Nothing,
                }
                if let Some(why) = look(&services, &claim, (&terms, began)) {
                    terms.cancel.cancel();
                    return why;
                }
            }
        });
        Watch { end, thread }
    }

    /// Ends the watch and returns whether, and why, it ended the build.
    pub fn end(self) -> Why {
        let _ = self.end.send(());
        self.thread.join().unwrap_or(Why::LeaseLost)
    }
}

fn look(services: &Services, claim: &Claim, (terms, began): (&Terms, Instant)) -> Option<Why> {
    if terms.stop.is_over() {
        return Some(Why::WorkerEnds);
    }
    if began.elapsed() > terms.limit {
        return Some(Why::TimedOut(terms.limit));
    }
    let lease = ask(services, claim, &terms.renewed);
    if terms.renewed.age() + MARGIN > LEASE {
        return Some(Why::LeaseLost);
    }
    match lease? {
        Lease::Held { cancel_requested } => cancel_requested.then_some(Why::CancelRequested),
        Lease::Lost => Some(Why::LeaseLost),
    }
}

/// Asks how the build stands, and renews the lease when it is time; `None` if the database does not say.
fn ask(services: &Services, claim: &Claim, renewed: &Renewed) -> Option<Lease> {
    let (database, asked) = (&services.database, runtime::uptime());
    if renewed.age() < HEARTBEAT {
        let known = async { tokio::time::timeout(ANSWER, database.build(&claim.build.id)).await };
        let build = services.tokio.block_on(known).ok()?.ok()??;
        let running = !build.state.has_ended() && build.state != BuildState::Queued;
        let held = running && build.attempt == claim.attempt;
        return Some(if held { Lease::Held { cancel_requested: build.cancel_requested } } else { Lease::Lost });
    }
    let lease = services.tokio.block_on(async { tokio::time::timeout(ANSWER, database.heartbeat(claim)).await });
    let lease = lease.ok()?.ok()?;
    if matches!(lease, Lease::Held { .. }) {
        renewed.renew(asked);
    }
    Some(lease)
}
