//! Runs one step: assembles its root, starts its command, passes its output on, tidies up.

use super::answers::Answers;
use super::child::{self, Place, Streams};
use super::container;
use super::disk::Watch;
use super::follow::{Started, follow};
use super::owner::Owner;
use super::placeholder::Placeholders;
use super::rootfs::Root;
use super::user::User;
use super::walk::{open_directory, open_in};
use super::{loopback, rootfs, seccomp, user};
use crate::StepNetwork;
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation, Ended, RunRequest, control_pair};
use files::path::split;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use rustix::fs::{AtFlags, Mode, OFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{FromRawFd, OwnedFd};

/// Serves the request to run a step whose files are in `directory`.
pub(crate) fn serve(
    directory: &str,
    filters: &seccomp::Filters,
    mut conversation: Conversation,
    agents: Option<OwnedFd>,
) -> io::Result<()> {
    let request: RunRequest = conversation.receive_value()?;
    // The mounts belong to a process of their own: when it is gone, the changes are no longer in use.
    let mut asked = Asked { request: &request, conversation: &mut conversation, agents: agents.as_ref() };
    let (mut placeholders, answer) =
        (Placeholders::default(), pipe_of(|report| report(&runner(directory, filters, &mut asked)))?);
    let answer = answer.map(|(ended, made)| {
        placeholders = made;
        ended
    });
    if let Ok(changes) = open_directory(&format!("{directory}/u")) {
        placeholders.remove(&changes);
        Placeholders::forget(directory);
    }
    conversation.send_value(&answer)
}

type Report = Answer<(Ended, Placeholders)>;

/// The request, and who receives its output.
struct Asked<'a> {
    request: &'a RunRequest,
    conversation: &'a mut Conversation,
    agents: Option<&'a OwnedFd>,
}

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
            let gone = || HelperError::Inside("running a step: its process is gone".to_owned());
            Ok(serde_json::from_slice(&text).unwrap_or_else(|_| Err(gone())))
        }
    }
}

fn runner(directory: &str, filters: &seccomp::Filters, asked: &mut Asked<'_>) -> Report {
    let request = asked.request;
    namespaces(request)?;
    let mut root = rootfs::build(directory, request, asked.agents)?;
    let user = user::look_up(&root.root, &request.step.user)?;
    working_directory(&root.root, &request.step.cwd, &user)?;
    let watch = Watch::new(std::mem::take(&mut root.written), request.disk);
    let started = start(&root, request, &user, filters, asked.agents)?;
    if request.container.is_some() {
        root.placeholders.write_down(directory).map_err(HelperError::inside("noting mount points"))?;
        container::note(directory, started.process).map_err(HelperError::inside("noting a container's process"))?;
        container::tell_start(&started.error, asked.conversation)
            .map_err(HelperError::inside("starting a container"))?;
    }
    let ended = follow(started, asked.conversation, request.step.timeout, watch)?;
    Ok((ended, root.placeholders))
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
    unshare(flags).map_err(|error| HelperError::Inside(format!("making namespaces: {error}")))?;
    if request.step.network == StepNetwork::None {
        loopback::up().map_err(HelperError::inside("starting the loopback interface"))?;
    }
    nix::unistd::sethostname(&request.step.hostname)
        .map_err(|error| HelperError::Inside(format!("setting the host name: {error}")))
}

/// Makes the working directory if it is missing: it is part of what the step changes, and its user's.
fn working_directory(root: &OwnedFd, cwd: &str, user: &User) -> Answer<()> {
    let path = files::path::clean_path(cwd.as_bytes());
    let failed = |error: io::Error| HelperError::Step(format!("changing to the working directory `{cwd}`: {error}"));
    let first = path.split(|&byte| byte == b'/').next().unwrap_or_default();
    if [&b"proc"[..], b"sys"].contains(&first) {
        return Err(failed(io::Error::other("it is the kernel's, not the image's")));
    }
    for end in (0..path.len()).filter(|&at| path[at] == b'/').chain((!path.is_empty()).then_some(path.len())) {
        match open_in(root, &path[..end], OFlags::PATH | OFlags::DIRECTORY) {
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let (above, name) = split(&path[..end]);
        let parent = open_in(root, above, OFlags::PATH | OFlags::DIRECTORY).map_err(failed)?;
        rustix::fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755)).map_err(|error| failed(error.into()))?;
        Owner { uid: user.uid, gid: user.gid }
            .give(|uid, gid| rustix::fs::chownat(&parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
            .map_err(failed)?;
    }
    Ok(())
}

fn start(
    root: &Root,
    request: &RunRequest,
    user: &User,
    filters: &seccomp::Filters,
    outside: Option<&OwnedFd>,
) -> Answer<Started> {
    let failed = |error: io::Error| HelperError::Inside(format!("starting a command: {error}"));
    let (stdio, output) = container::stdio(request, &root.root, outside).map_err(failed)?;
    let (error, complaint) = io::pipe().map_err(failed)?;
    let (asked, answering) = control_pair().map_err(|error| failed(error.into()))?;
    let answers = Answers::new(asked);
    // The kernel refuses it in a container that somebody looks after by hand, as under docker.
    let answers = if request.container.is_none() { answers.strict_about_owners() } else { answers };
    // SAFETY: the process has one thread.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Child => {
            let streams = Streams { stdio, complaint: complaint.into(), answering };
            child::run(&Place::Root(root), request, user, filters, streams)
        }
        ForkResult::Parent { child } => {
            drop(stdio);
            let handle = handle_of(child).map_err(failed)?;
            let error = File::from(OwnedFd::from(error));
            Ok(Started { process: child, handle, output, error, answers })
        }
    }
}

/// Returns a descriptor that says when a process ends.
pub(crate) fn handle_of(process: Pid) -> io::Result<OwnedFd> {
    // SAFETY: the call makes a descriptor that nobody else owns.
    let handle = unsafe { libc::syscall(libc::SYS_pidfd_open, process.as_raw(), 0) };
    if handle < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: see above.
    Ok(unsafe { OwnedFd::from_raw_fd(handle as i32) })
}
