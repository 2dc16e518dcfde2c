//! Notifications of seccomp: a call that waits for an answer, and the answer.

use crate::DiskFull;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, OwnedFd};

/// The result of a call that is answered here.
pub(crate) enum Answer {
    /// It was made.
    Done,
    /// It fails.
    Fail(Errno),
    /// The process makes it itself.
    Continue,
    /// The step ends.
    End(Unanswered),
}

/// The reason why a call is never answered, because the step ends.
pub(crate) enum Unanswered {
    /// The step would fill the disk.
    Full(DiskFull),
    /// A file would belong to an id that has no place in the sandbox; the text names it.
    NoPlace(String),
}

impl From<Errno> for Answer {
    fn from(error: Errno) -> Self {
        Answer::Fail(error)
    }
}

/// Lets the process go on whose call waits; one that ends is left waiting.
pub(crate) fn respond(listener: &OwnedFd, id: u64, answer: Answer) {
    let (error, flags) = match answer {
        Answer::Done => (0, 0),
        Answer::Fail(error) => (-(error as i32), 0),
        Answer::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        Answer::End(_) => return,
    };
    let mut response = libc::seccomp_notif_resp { id, val: 0, error, flags };
    let _ = control(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response);
}

/// Makes a request of a listener; returns what the kernel answers.
pub(crate) fn control<T>(listener: &OwnedFd, request: libc::Ioctl, about: *mut T) -> Result<i32, Errno> {
    // SAFETY: each request is given the structure that belongs to it, which outlives the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), request, about) })
}
