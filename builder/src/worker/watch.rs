//! Keeps the lease of a build alive and ends the build when it is cancelled, lost, or takes too long.

use crate::Services;
use database::{Claim, Lease};
use runtime::Cancel;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the database is asked whether the build is to end.
const LOOK: Duration = Duration::from_millis(500);
/// How often the lease is renewed.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A lease that could not be renewed for so long is as good as lost.
const GIVE_UP: Duration = Duration::from_secs(45);

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
}

/// A watch over one build.
pub struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Why>,
}

impl Watch {
    /// Watches the build of `claim` until [`Watch::stop`].
    pub fn start(services: &Services, claim: Arc<Claim>, (cancel, limit): (Cancel, Duration)) -> Self {
        let (stop, stopped) = channel();
        let services = services.clone();
        let thread = std::thread::spawn(move || {
            let began = Instant::now();
            let mut renewed = Instant::now();
            loop {
                match stopped.recv_timeout(LOOK) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return Why::Nothing,
                }
                if let Some(why) =
                    look(&services, &claim, &mut renewed).or((began.elapsed() > limit).then_some(Why::TimedOut(limit)))
                {
                    cancel.cancel();
                    return why;
                }
            }
        });
        Watch { stop, thread }
    }

    /// Ends the watch and returns whether, and why, it ended the build.
    pub fn stop(self) -> Why {
        let _ = self.stop.send(());
        self.thread.join().unwrap_or(Why::LeaseLost)
    }
}

fn look(services: &Services, claim: &Claim, renewed: &mut Instant) -> Option<Why> {
    let database = &services.database;
    if renewed.elapsed() < HEARTBEAT {
        let build = services.tokio.block_on(database.build(&claim.build.id));
        return matches!(build, Ok(Some(build)) if build.cancel_requested).then_some(Why::CancelRequested);
    }
    let sent = Instant::now();
    match services.tokio.block_on(database.heartbeat(claim)) {
        Ok(Lease::Held { cancel_requested }) => {
            *renewed = sent;
            cancel_requested.then_some(Why::CancelRequested)
        }
        Ok(Lease::Lost) => Some(Why::LeaseLost),
        Err(_) => (renewed.elapsed() > GIVE_UP).then_some(Why::LeaseLost),
    }
}
