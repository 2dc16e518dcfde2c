//! Signals that ask the process to end.

use std::future::pending;
use tokio::signal::unix::{SignalKind, signal};

/// Waits until the process is asked to end: by Ctrl-C, by a request to terminate, or because its terminal is gone.
pub(crate) async fn wait_for_signal() {
    tokio::select! {
        () = wait_for_repeated_signal() => {}
        () = hangup() => {}
    }
}

/// Waits until the process is asked once more. That its terminal is gone is told twice, by the shell and by the kernel, and
/// is not a request to hurry.
pub(crate) async fn wait_for_repeated_signal() {
    tokio::select! {
        () = received(SignalKind::interrupt()) => {}
        () = received(SignalKind::terminate()) => {}
    }
}

/// Waits until the terminal is gone; for ever under `nohup`, which has the signal ignored.
async fn hangup() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if ignores(&status, SignalKind::hangup()) {
        return pending().await;
    }
    received(SignalKind::hangup()).await;
}

async fn received(kind: SignalKind) {
    match signal(kind) {
        Ok(mut received) => drop(received.recv().await),
        Err(error) => {
            tracing::warn!(%error, signal = kind.as_raw_value(), "a signal cannot be waited for");
            pending().await
        }
    }
}

/// Returns whether a process whose `/proc/…/status` this is ignores a signal.
fn ignores(status: &str, kind: SignalKind) -> bool {
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_mask_of_ignored_signals_is_read() {
        // US-29
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert!(ignores(status, SignalKind::hangup()) && !ignores(status, SignalKind::interrupt()));
        assert!(!ignores("", SignalKind::hangup()));
    }
}
