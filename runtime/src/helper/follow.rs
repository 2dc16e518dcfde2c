//! Follows a command that runs: passes its output on, watches time and disk, and finds out how it ended.

use super::disk::Watch;
use super::execute::Refusal;
use crate::DiskFull;
use crate::error::Trouble;
use crate::protocol::{Answer, Conversation, Ended, MAX_FRAME, kind};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// How often the disk is looked at while a command runs.
const LOOK: Duration = Duration::from_millis(100);

/// A command that runs.
pub struct Started {
    /// The first process of its namespace: with it go all others.
    pub process: Pid,
    /// Its descriptor, which says when it ends.
    pub handle: OwnedFd,
    /// What it prints.
    pub output: OwnedFd,
    /// Why it could not be started.
    pub error: File,
}

/// Why a command is ended.
enum Stop {
    Late,
    Full(DiskFull),
    NobodyListens,
}

/// Passes output on until the command ends, takes too long or too much, or nobody listens any more.
pub fn follow(
    mut started: Started,
    conversation: &mut Conversation,
    (timeout, watch): (Option<Duration>, Watch),
) -> Answer<Ended> {
    let failed = |error: io::Error| Trouble::Inside(format!("following a command: {error}"));
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let stop = pass_output(&started, conversation, (deadline, watch)).map_err(failed)?;
    if stop.is_some() {
        let _ = kill(started.process, Signal::SIGKILL);
    }
    let status = waitpid(started.process, None).map_err(|error| failed(error.into()))?;
    let mut complaint = String::new();
    let _ = started.error.read_to_string(&mut complaint);
    if !complaint.is_empty() {
        return Err(match status {
            WaitStatus::Exited(_, code) if Refusal::is_meant_by(code) => Trouble::NotExecuted(complaint, code),
            _ => Trouble::Step(complaint),
        });
    }
    Ok(match (stop, status) {
        (Some(Stop::Late), _) => Ended::TimedOut,
        (Some(Stop::Full(full)), _) => Ended::DiskFull(full),
        (_, WaitStatus::Exited(_, code)) => Ended::Code(code),
        (_, WaitStatus::Signaled(_, signal, _)) => Ended::Signal(signal as i32),
        _ => Ended::Code(255),
    })
}

fn pass_output(
    started: &Started,
    conversation: &mut Conversation,
    (deadline, mut watch): (Option<Instant>, Watch),
) -> io::Result<Option<Stop>> {
    let mut buffer = vec![0; MAX_FRAME / 4];
    let (mut open, mut next_look) = (true, Instant::now() + LOOK);
    loop {
        let until = deadline.map_or(next_look, |deadline| deadline.min(next_look));
        let patience = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let mut fds = [
            PollFd::new(started.handle.as_fd(), PollFlags::POLLIN),
            PollFd::new(conversation.stream().as_fd(), PollFlags::POLLIN),
            PollFd::new(started.output.as_fd(), PollFlags::POLLIN),
        ];
        let count = if open { 3 } else { 2 };
        match poll(&mut fds[..count], PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [ended, left, printed] = fds.map(|fd| fd.any().unwrap_or(false));
        let now = Instant::now();
        if left {
            return Ok(Some(Stop::NobodyListens));
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(Some(Stop::Late));
        }
        if now >= next_look {
            if let Some(full) = watch.look() {
                return Ok(Some(Stop::Full(full)));
            }
            next_look = Instant::now() + LOOK;
        }
        if printed && open {
            let got = nix::unistd::read(&started.output, &mut buffer)?;
            open = got > 0;
            if got > 0 {
                // What was printed before the end comes before it.
                conversation.send(kind::DATA, &buffer[..got])?;
                continue;
            }
        }
        if ended {
            return Ok(None);
        }
    }
}
