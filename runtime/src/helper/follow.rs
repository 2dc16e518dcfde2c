//! Follows a command that runs: passes its output on, watches time and disk, and finds out how it ended.

use super::answers::Answers;
use super::disk::{Count, Watch};
use super::execute::Refusal;
use super::limit::{self, Limited};
use super::notification::Unanswered;
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation, Ended, MAX_FRAME, kind};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::RLIM_INFINITY;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

/// The signal that nobody can ignore.
const KILL: i32 = Signal::SIGKILL as i32;

/// A command that runs.
pub(crate) struct Started {
    /// The first process of its namespace: with it go all others.
    pub process: Pid,
    /// Its descriptor, which says when it ends.
    pub handle: OwnedFd,
    /// Its output.
    pub output: OwnedFd,
    /// The reason why it could not be started.
    pub error: File,
    /// Its calls that wait for an answer.
    pub answers: Answers,
}

/// The reason to end a command.
enum Stop {
    Late,
    Unanswered(Unanswered),
    ReaderGone,
}

/// Passes output on until the command ends, exceeds its time or disk space, or the reader is gone.
pub(crate) fn follow(
    mut started: Started,
    conversation: &mut Conversation,
    timeout: Option<Duration>,
    mut watch: Watch,
) -> Answer<Ended> {
    let failed = |error: io::Error| HelperError::Inside(format!("following a command: {error}"));
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let stop = pass_output(&mut started, conversation, deadline, &mut watch).map_err(failed)?;
    if stop.is_some() {
        let _ = kill(started.process, Signal::SIGKILL);
    }
    // A step that sets such a limit is killed by it.
    let timed = limit::of(started.process, Limited::ProcessorTime).is_some_and(|limit| limit.hard != RLIM_INFINITY);
    let (code, signal) = end_of(started.process).map_err(failed)?;
    let mut complaint = String::new();
    let _ = started.error.read_to_string(&mut complaint);
    if !complaint.is_empty() {
        return Err(match code {
            Some(code) if Refusal::is_meant_by(code) => HelperError::NotExecuted(complaint, code),
            _ => HelperError::Step(complaint),
        });
    }
    let stop = stop.or_else(|| watch.last_look().map(|full| Stop::Unanswered(Unanswered::Full(full))));
    Ok(match (stop, code, signal) {
        (Some(Stop::Late), ..) => Ended::TimedOut,
        (Some(Stop::Unanswered(Unanswered::Full(full))), ..) => Ended::DiskFull(full),
        (Some(Stop::Unanswered(Unanswered::NoPlace(text))), ..) => {
            return Err(HelperError::Step(format!("giving a file to an owner: {text}")));
        }
        (_, Some(code), _) => Ended::Code(code),
        // No process of its own namespace can kill the first one.
        (_, _, Some(KILL)) if !timed => Ended::Killed,
        (_, _, Some(signal)) => Ended::Signal(signal),
        _ => Ended::Code(255),
    })
}

/// Waits for the end of a process; returns its exit code or the signal that ended it, which may have only a number.
fn end_of(process: Pid) -> io::Result<(Option<i32>, Option<i32>)> {
    let process = rustix::process::Pid::from_raw(process.as_raw());
    loop {
        match rustix::process::waitpid(process, rustix::process::WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok((status.exit_status(), status.terminating_signal())),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn pass_output(
    started: &mut Started,
    conversation: &mut Conversation,
    deadline: Option<Instant>,
    watch: &mut Watch,
) -> io::Result<Option<Stop>> {
    let mut buffer = vec![0; MAX_FRAME / 4];
    let (mut open, mut next_look) = (true, Instant::now() + watch.pause());
    loop {
        let until = deadline.map_or(next_look, |deadline| deadline.min(next_look));
        let Ready { ended, left, printed, asked } = wait(started, conversation, open, until)?;
        if asked && let Some(reason) = started.answers.answer(started.process, watch) {
            return Ok(Some(Stop::Unanswered(reason)));
        }
        let now = Instant::now();
        if left {
            return Ok(Some(Stop::ReaderGone));
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Ok(Some(Stop::Late));
        }
        if now >= next_look {
            if let Some(full) = watch.look(started.process, Count::Rested) {
                return Ok(Some(Stop::Unanswered(Unanswered::Full(full))));
            }
            next_look = Instant::now() + watch.pause();
        }
        if printed && open {
            let got = nix::unistd::read(&started.output, &mut buffer)?;
            open = got > 0;
            if got > 0 {
                // Output that was printed before the end comes before it.
                conversation.send(kind::DATA, &buffer[..got])?;
                continue;
            }
        }
        if ended {
            return Ok(None);
        }
    }
}

/// The events that ended a wait.
struct Ready {
    /// The command has ended.
    ended: bool,
    /// The reader of the output is gone.
    left: bool,
    /// Something was printed.
    printed: bool,
    /// Something is asked.
    asked: bool,
}

/// Waits until something happens or it is `until`; for what is printed only while the output is `open`.
fn wait(started: &Started, conversation: &Conversation, open: bool, until: Instant) -> io::Result<Ready> {
    let waits_for = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut fds = vec![waits_for(started.handle.as_fd()), waits_for(conversation.stream().as_fd())];
    let (printed, asking) = (open.then(|| started.output.as_fd()), started.answers.waits());
    fds.extend(printed.into_iter().chain(asking).map(waits_for));
    // Half a millisecond is as good as none where nobody may look later, and a timeout has whole ones.
    let timeout = until.saturating_duration_since(Instant::now()) + Duration::from_micros(500);
    match poll(&mut fds, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut ready = fds.iter().map(|fd| fd.any().unwrap_or(false));
    let mut next = |there: bool| there && ready.next().unwrap_or(false);
    Ok(Ready { ended: next(true), left: next(true), printed: next(open), asked: next(asking.is_some()) })
}
