//! Containers inside the sandbox: their directories, streams, signals, and the way into their namespaces.

use super::child::Stdio;
use super::measure::{Measure, Used, Written};
use super::remove;
use super::walk::{open_directory, open_in};
use crate::container::{ContainerId, Freeze};
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation, DiskLimits, RunRequest, kind, send_with};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork};
use rustix::fs::OFlags;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The last of the signals that have only a number.
const LAST_SIGNAL: i32 = 64;
/// Bytes of a command line that are told.
const MAX_LINE: usize = 4096;

/// Returns the container's directory, and forgets the process of an earlier run.
pub(crate) fn prepare(id: &ContainerId) -> String {
    let directory = id.directory();
    let _ = fs::remove_file(format!("{directory}/pid"));
    directory
}

/// Notes the first process of a container.
pub(crate) fn note(directory: &str, process: Pid) -> io::Result<()> {
    fs::write(format!("{directory}/pid"), process.to_string())
}

/// Tells with an empty frame that the command is executed: its end of the pipe for complaints is closed by that.
pub(crate) fn tell_start(complaints: &File, conversation: &mut Conversation) -> io::Result<()> {
    let mut fds = [PollFd::new(complaints.as_fd(), PollFlags::POLLIN)];
    while poll(&mut fds, PollTimeout::NONE) == Err(nix::errno::Errno::EINTR) {}
    let is_complaint = fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN));
    if is_complaint { Ok(()) } else { conversation.send(kind::DATA, &[]) }
}

/// Returns the first process of a container that runs in this sandbox.
pub(crate) fn process(id: &ContainerId) -> Answer<Pid> {
    let text = fs::read_to_string(format!("{}/pid", id.directory())).unwrap_or_default();
    let process = text.parse().ok().map(Pid::from_raw).filter(|process| kill(*process, None).is_ok());
    process.ok_or_else(|| HelperError::Step("the container is not running".to_owned()))
}

/// Makes the streams of a command; those of a container are sent to `outside`. The output of a build's step is read
/// from the second descriptor, which ends at once for a container.
pub(crate) fn stdio(request: &RunRequest, root: &OwnedFd, outside: Option<&OwnedFd>) -> io::Result<(Stdio, OwnedFd)> {
    let (output, printed) = io::pipe()?;
    let Some(container) = &request.container else { return Ok((Stdio::Merged(printed.into()), output.into())) };
    let outside = outside.ok_or_else(|| io::Error::other("nobody takes the streams of a container"))?;
    if container.terminal {
        let (master, slave) = terminal(root)?;
        send_with(outside, &[0], &[master.as_fd()])?;
        return Ok((Stdio::Terminal(slave), output.into()));
    }
    let ((input, typed), (read, stdout), (complaints, stderr)) = (io::pipe()?, io::pipe()?, io::pipe()?);
    send_with(outside, &[0], &[typed.as_fd(), read.as_fd(), complaints.as_fd()])?;
    Ok((Stdio::Separate { input: input.into(), output: stdout.into(), error: stderr.into() }, output.into()))
}

/// Makes a terminal in the container's own `/dev/pts`.
fn terminal(root: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let master = open_in(root, b"dev/pts/ptmx", OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC)?;
    let unlocked: i32 = 0;
    // SAFETY: the kernel reads one number, which outlives the call.
    if unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call takes flags and makes a descriptor that nobody else owns.
    let slave =
        unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTPEER, libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC) };
    if slave < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: see above.
    Ok((master, unsafe { OwnedFd::from_raw_fd(slave) }))
}

/// Sends a signal to the first process.
pub(crate) fn signal(id: &ContainerId, signal: i32) -> Answer<()> {
    if !(1..=LAST_SIGNAL).contains(&signal) {
        return Err(HelperError::Step(format!("{signal} is not a signal")));
    }
    send(process(id)?, signal).map_err(|error| HelperError::Inside(format!("sending a signal: {error}")))
}

/// Sends any signal, also one that has only a number.
pub(crate) fn send(process: Pid, signal: i32) -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    match unsafe { libc::kill(process.as_raw(), signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Stops every process of a container or lets them go on: the first from outside, all others from inside at once, so that
/// none is left that could start another.
pub(crate) fn freeze(id: &ContainerId, freeze: Freeze) -> Answer<()> {
    let first = process(id)?;
    let signal = if freeze == Freeze::Frozen { Signal::SIGSTOP } else { Signal::SIGCONT };
    let failed = |error: io::Error| HelperError::Inside(format!("stopping the processes of a container: {error}"));
    kill(first, signal).map_err(|error| failed(error.into()))?;
    join(first, &["pid"]).map_err(failed)?;
    // SAFETY: the handler of a request has one thread.
    match unsafe { fork() }.map_err(|error| failed(error.into()))? {
        ForkResult::Child => {
            let _ = kill(Pid::from_raw(-1), signal);
            std::process::exit(0)
        }
        ForkResult::Parent { child } => waitpid(child, None).map(drop).map_err(|error| failed(error.into())),
    }
}

/// Enters namespaces of a process.
pub(crate) fn join(process: Pid, kinds: &[&str]) -> io::Result<()> {
    // All are opened first: `/proc` is another one in the mount namespace of the container.
    let open = |kind: &&str| File::open(format!("/proc/{process}/ns/{kind}"));
    let namespaces = kinds.iter().map(open).collect::<io::Result<Vec<_>>>()?;
    for namespace in namespaces {
        setns(namespace, CloneFlags::empty())?;
    }
    Ok(())
}

/// Connects to a port on the container's loopback and sends the socket to `outside`.
pub(crate) fn connect(id: &ContainerId, port: u16, outside: Option<OwnedFd>) -> Answer<()> {
    let failed = |error: io::Error| HelperError::Step(format!("connecting to port {port} of the container: {error}"));
    join(process(id)?, &["net"]).map_err(failed)?;
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(failed)?;
    let outside = outside.ok_or_else(|| failed(io::Error::other("nobody takes the socket")))?;
    send_with(&outside, &[0], &[stream.as_fd()]).map_err(failed)
}

/// Returns the processes of a container, with their ids as the container sees them.
pub(crate) fn processes(id: &ContainerId) -> Answer<Vec<(i32, String)>> {
    let failed = |error: io::Error| HelperError::Inside(format!("listing the processes of a container: {error}"));
    let first = process(id)?;
    let own = fs::read_link(format!("/proc/{first}/ns/pid")).map_err(failed)?;
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").map_err(failed)?.flatten() {
        let path = entry.path();
        // Processes come and go while they are listed.
        if fs::read_link(path.join("ns/pid")).is_ok_and(|namespace| namespace == own) {
            let status = fs::read_to_string(path.join("status")).unwrap_or_default();
            let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
            let Some(id) = ids.split_whitespace().last().and_then(|id| id.parse().ok()) else { continue };
            let words = fs::read(path.join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&words[..words.len().min(MAX_LINE)]).replace('\0', " ");
            found.push((id, line.trim_end().to_owned()));
        }
    }
    found.sort();
    Ok(found)
}

/// Returns how many bytes a container has on disk.
pub(crate) fn measure(id: &ContainerId) -> Answer<u64> {
    let Ok(changes) = open_directory(&format!("{}/u", id.directory())) else { return Ok(0) };
    let unlimited = DiskLimits { bytes: u64::MAX, files: u64::MAX, reserve: 0 };
    Ok(Measure::new(vec![Written::Own(changes)], unlimited).count(None, Used::default()).bytes)
}

/// Removes the directory of a container.
pub(crate) fn remove(id: &ContainerId) -> Answer<()> {
    remove::tree(&id.directory()).map_err(HelperError::inside("removing a container"))
}
