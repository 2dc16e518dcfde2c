//! Runs one step: assembles its root, starts its command, passes its output on, tidies up.

use super::rootfs::Root;
use super::stub::Stubs;
use super::user::User;
use super::walk::{open_directory, open_in, split};
use super::{child, ready, rootfs, seccomp, user};
use crate::StepNetwork;
use crate::error::Trouble;
use crate::protocol::{Answer, Conversation, Ended, MAX_FRAME, RunRequest, kind};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Serves the request to run a step whose files are in `directory`.
pub fn serve(directory: &str, filters: &seccomp::Filters, mut conversation: Conversation) -> io::Result<()> {
    let request: RunRequest = conversation.receive_value()?;
    // The mounts belong to a process of their own: when it is gone, nobody uses the changes any more.
    let (mut stubs, answer) =
        (Stubs::default(), pipe_of(|report| runner(directory, filters, (&request, &mut conversation), report))?);
    let answer = answer.map(|(ended, made)| {
        stubs = made;
        ended
    });
    if let Ok(changes) = open_directory(&format!("{directory}/u")) {
        stubs.remove(&changes);
    }
    conversation.send_value(&answer)
}

type Report = Answer<(Ended, Stubs)>;

/// Runs `work` in a process of its own and returns what it reports.
fn pipe_of(work: impl FnOnce(&mut dyn FnMut(&Report))) -> io::Result<Report> {
    let (mut reader, writer) = io::pipe()?;
    // SAFETY: the handler of a request has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            let writer = &writer;
            work(&mut |report| {
                let _ = serde_json::to_writer(writer, report);
            });
            std::process::exit(0)
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut text = Vec::new();
            reader.read_to_end(&mut text)?;
            waitpid(child, None)?;
            let gone = || Trouble::Inside("running a step: its process is gone".to_owned());
            Ok(serde_json::from_slice(&text).unwrap_or_else(|_| Err(gone())))
        }
    }
}

fn runner(
    directory: &str,
    filters: &seccomp::Filters,
    (request, conversation): (&RunRequest, &mut Conversation),
    report: &mut dyn FnMut(&Report),
) {
    let answer = (|| {
        namespaces(request)?;
        let root = rootfs::build(directory, request)?;
        let user = user::look_up(&root.root, &request.step.user)?;
        working_directory(&root.root, &request.step.cwd, &user)?;
        let started = start(&root, (request, &user), filters)?;
        let ended = follow(started, conversation, request.step.timeout)?;
        Ok((ended, root.stubs))
    })();
    report(&answer);
}

fn namespaces(request: &RunRequest) -> Answer<()> {
    let mut flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWCGROUP
        | CloneFlags::CLONE_NEWPID;
    if request.step.network == StepNetwork::None {
        flags |= CloneFlags::CLONE_NEWNET;
    }
    unshare(flags).map_err(|error| Trouble::Inside(format!("making namespaces: {error}")))?;
    if request.step.network == StepNetwork::None {
        ready::loopback_up().map_err(Trouble::inside("starting the loopback interface"))?;
    }
    nix::unistd::sethostname(&request.step.hostname)
        .map_err(|error| Trouble::Inside(format!("setting the host name: {error}")))
}

/// Makes the working directory if it is missing: it is part of what the step changes, and its user's.
fn working_directory(root: &OwnedFd, cwd: &str, user: &User) -> Answer<()> {
    let path = crate::tar::clean_path(cwd.as_bytes());
    let failed = |error: io::Error| Trouble::Step(format!("changing to the working directory `{cwd}`: {error}"));
    for end in (0..path.len()).filter(|&at| path[at] == b'/').chain((!path.is_empty()).then_some(path.len())) {
        match open_in(root, &path[..end], OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let (above, name) = split(&path[..end]);
        let parent = open_in(root, above, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?;
        let made = rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).and_then(|()| {
            let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
            rustix::fs::chownat(&parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
        });
        made.map_err(|error| failed(error.into()))?;
    }
    Ok(())
}

/// A command that runs.
struct Started {
    process: Pid,
    handle: OwnedFd,
    output: OwnedFd,
    error: File,
}

fn start(root: &Root, (request, user): (&RunRequest, &User), filters: &seccomp::Filters) -> Answer<Started> {
    let failed = |error: io::Error| Trouble::Inside(format!("starting a command: {error}"));
    let (output, printed) = io::pipe().map_err(failed)?;
    let (error, complaint) = io::pipe().map_err(failed)?;
    // SAFETY: the process has one thread.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Child => {
            let streams = (OwnedFd::from(printed), File::from(OwnedFd::from(complaint)));
            child::run(root, (&request.step, user), (filters, streams))
        }
        ForkResult::Parent { child } => {
            // SAFETY: the call makes a descriptor that nobody else owns.
            let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, child.as_raw(), 0) };
            if handle < 0 {
                return Err(failed(io::Error::last_os_error()));
            }
            // SAFETY: see above.
            let handle = unsafe { OwnedFd::from_raw_fd(handle as i32) };
            Ok(Started { process: child, handle, output: output.into(), error: File::from(OwnedFd::from(error)) })
        }
    }
}

/// Passes output on until the command ends, takes too long, or nobody listens any more.
fn follow(mut started: Started, conversation: &mut Conversation, timeout: Option<Duration>) -> Answer<Ended> {
    let failed = |error: io::Error| Trouble::Inside(format!("following a command: {error}"));
    let deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut buffer = vec![0; MAX_FRAME / 4];
    let (mut open, mut late) = (true, false);
    loop {
        let patience = deadline.map_or(PollTimeout::NONE, |deadline| {
            PollTimeout::try_from(deadline.saturating_duration_since(Instant::now())).unwrap_or(PollTimeout::MAX)
        });
        let wanted = if open { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut fds = [
            PollFd::new(started.handle.as_fd(), PollFlags::POLLIN),
            PollFd::new(conversation.stream().as_fd(), PollFlags::POLLIN),
            PollFd::new(started.output.as_fd(), wanted),
        ];
        let count = if open { 3 } else { 2 };
        match poll(&mut fds[..count], patience) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
        let [ended, left, printed] = fds.map(|fd| fd.any().unwrap_or(false));
        if left || deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            late = !left;
            let _ = kill(started.process, Signal::SIGKILL);
            break;
        }
        if printed && open {
            let got = nix::unistd::read(&started.output, &mut buffer).map_err(|error| failed(error.into()))?;
            open = got > 0;
            if got > 0 {
                conversation.send(kind::DATA, &buffer[..got]).map_err(failed)?;
                // What was printed before the end comes before it.
                continue;
            }
        }
        if ended {
            break;
        }
    }
    let status = waitpid(started.process, None).map_err(|error| failed(error.into()))?;
    let mut complaint = String::new();
    let _ = started.error.read_to_string(&mut complaint);
    if !complaint.is_empty() {
        return Err(Trouble::Step(complaint));
    }
    Ok(match status {
        _ if late => Ended::TimedOut,
        WaitStatus::Exited(_, code) => Ended::Code(code),
        WaitStatus::Signaled(_, signal, _) => Ended::Signal(signal as i32),
        _ => Ended::Code(255),
    })
}
