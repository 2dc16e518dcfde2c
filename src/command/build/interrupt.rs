//! Ctrl-C and requests to terminate: the build is cancelled, and its exit code says by what.

use builder::{Error, Fault};
use runtime::CancellationToken;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How long a failure waits for the signal that may be behind it: on a terminal all processes get it at once.
const MOMENT: Duration = Duration::from_millis(200);

/// Records whether the process was asked to end.
pub(crate) struct Interrupt(Arc<AtomicU8>);

impl Interrupt {
    /// Cancels `cancel` when the process is asked to end; asked once more, it ends at once.
    pub(crate) fn listen(tokio: &tokio::runtime::Handle, cancel: &CancellationToken) -> Self {
        let (code, cancel) = (Arc::new(AtomicU8::new(0)), cancel.clone());
        let noted = code.clone();
        let _entered = tokio.enter();
        let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        tokio.spawn(async move {
            let (Ok(mut interrupt), Ok(mut terminate)) = signals else { return };
            noted.store(next(&mut interrupt, &mut terminate).await, Ordering::SeqCst);
            cancel.cancel();
            std::process::exit(i32::from(next(&mut interrupt, &mut terminate).await));
        });
        Interrupt(code)
    }

    /// Returns the exit code of a process that was asked to end: 128 and the signal's number.
    pub(crate) fn code(&self) -> Option<ExitCode> {
        let code = self.0.load(Ordering::SeqCst);
        (code > 0).then(|| ExitCode::from(code))
    }

    /// Returns the exit code if `error` is the result of an interrupt.
    pub(crate) fn behind(&self, error: &Error) -> Option<ExitCode> {
        if self.code().is_none() && error.fault() == Fault::Service {
            std::thread::sleep(MOMENT);
        }
        self.code()
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> u8 {
    tokio::select! {
        _ = interrupt.recv() => 128 + 2,
        _ = terminate.recv() => 128 + 15,
    }
}
