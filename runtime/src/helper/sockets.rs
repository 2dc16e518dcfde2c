//! Makes the sockets that 32-bit programs ask for through `socketcall`, whose arguments no filter can look at.
//!
//! Programs of Debian and of Go for 386 know no other way. The process that answers reads the arguments once and makes
//! the socket itself: a program that changes them meanwhile gains nothing.

use super::close_from;
use super::seccomp::REFUSED_FAMILIES;
use crate::protocol::receive_with;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, fork};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// The call behind `socketcall` that makes two sockets; the other one that is asked about makes one.
const SOCKETPAIR: u64 = 8;
/// Bits of a socket's type that are not flags.
const TYPE: u32 = 0xf;
/// Families that are served: those for which no privilege is looked at when a socket is made.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// What a program asks for.
struct Asked {
    family: u32,
    kind: u32,
    protocol: u32,
    /// Where the descriptors of a pair go.
    places: u32,
}

/// Starts the process that answers; it gets the filter's listener through the other end of `channel`.
///
/// It must start before the step's process namespace is made, or the step would see it.
pub fn answer_beside(channel: &OwnedFd) -> io::Result<()> {
    // SAFETY: the process has one thread.
    if let ForkResult::Child = unsafe { fork() }? {
        let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
        let _ = nix::unistd::dup2_stdin(channel).map_err(io::Error::from).and_then(|()| close_from(1)).and_then(|()| {
            // SAFETY: the descriptor was made a moment ago, and nothing else of this process uses it.
            answer(&unsafe { OwnedFd::from_raw_fd(0) })
        });
        // SAFETY: ends the process without running anything of the one it was forked from.
        unsafe { libc::_exit(0) }
    }
    Ok(())
}

/// Answers until the last confined process is gone.
fn answer(channel: &OwnedFd) -> io::Result<()> {
    let Some(listener) = receive_with(channel, &mut [0])?.1.pop() else { return Ok(()) };
    loop {
        let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(Errno::EINTR) => continue,
            other => other?,
        };
        if !fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
            return Ok(());
        }
        // SAFETY: a notification is plain data, for which zeros are valid.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        match control(&listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call) {
            Ok(_) => {}
            // The program was ended, or interrupted before anybody looked.
            Err(Errno::ENOENT | Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = serve(&listener, &call) {
            respond(&listener, call.id, error as i32);
        }
    }
}

/// Makes what is asked for and gives it to the program, which goes on then.
fn serve(listener: &OwnedFd, call: &libc::seccomp_notif) -> Result<(), Errno> {
    let asked = arguments(call)?;
    // Nobody else has the number of a process whose call still waits, so those were its arguments.
    let mut id = call.id;
    control(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id)?;
    check(&asked)?;
    let (family, kind, protocol) = (asked.family as i32, asked.kind as i32, asked.protocol as i32);
    if call.data.args[0] != SOCKETPAIR {
        // SAFETY: plain numbers.
        let made = Errno::result(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })?;
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        let made = unsafe { OwnedFd::from_raw_fd(made) };
        return give(listener, call, &made, (asked.kind, libc::SECCOMP_ADDFD_FLAG_SEND)).map(drop);
    }
    let mut pair = [0; 2];
    // SAFETY: there is room for two descriptors.
    Errno::result(unsafe { libc::socketpair(family, kind | libc::SOCK_CLOEXEC, protocol, pair.as_mut_ptr()) })?;
    // SAFETY: the kernel just made these descriptors for us; nobody else owns them.
    let pair = pair.map(|made| unsafe { OwnedFd::from_raw_fd(made) });
    let mut given = [0; 2];
    for (given, made) in given.iter_mut().zip(&pair) {
        *given = give(listener, call, made, (asked.kind, 0))?;
    }
    copy(call.pid, (asked.places, &mut given), libc::process_vm_writev)?;
    respond(listener, call.id, 0);
    Ok(())
}

/// Refuses what the filter refuses of direct calls, and what this process may make and the program may not.
fn check(asked: &Asked) -> Result<(), Errno> {
    if REFUSED_FAMILIES.contains(&asked.family) || asked.family == libc::AF_PACKET as u32 {
        return Err(Errno::EPERM);
    }
    if !FAMILIES.contains(&(asked.family as i32)) {
        return Err(Errno::EAFNOSUPPORT);
    }
    let plain = [libc::SOCK_STREAM, libc::SOCK_DGRAM, libc::SOCK_SEQPACKET].contains(&((asked.kind & TYPE) as i32));
    let raw = asked.kind & TYPE == libc::SOCK_RAW as u32;
    match asked.family as i32 {
        libc::AF_NETLINK | libc::AF_UNIX if raw || plain => Ok(()),
        _ if plain => Ok(()),
        _ if raw => Err(Errno::EPERM),
        _ => Err(Errno::ESOCKTNOSUPPORT),
    }
}

fn arguments(call: &libc::seccomp_notif) -> Result<Asked, Errno> {
    let place = u32::try_from(call.data.args[1]).map_err(|_| Errno::EFAULT)?;
    let mut words = [0u32; 4];
    let length = if call.data.args[0] == SOCKETPAIR { 4 } else { 3 };
    copy(call.pid, (place, &mut words[..length]), libc::process_vm_readv)?;
    let [family, kind, protocol, places] = words;
    Ok(Asked { family, kind, protocol, places })
}

/// A call that copies between this process and another.
type Copy = unsafe extern "C" fn(
    libc::pid_t,
    *const libc::iovec,
    libc::c_ulong,
    *const libc::iovec,
    libc::c_ulong,
    libc::c_ulong,
) -> isize;

fn copy(process: u32, (place, words): (u32, &mut [u32]), call: Copy) -> Result<(), Errno> {
    let length = size_of_val(words);
    let here = libc::iovec { iov_base: words.as_mut_ptr().cast(), iov_len: length };
    let there = libc::iovec { iov_base: place as *mut libc::c_void, iov_len: length };
    // SAFETY: the words outlive the call, and there are as many bytes of them as it is told.
    let copied = unsafe { call(process as i32, &raw const here, 1, &raw const there, 1, 0) };
    if copied == length as isize { Ok(()) } else { Err(Errno::EFAULT) }
}

/// Puts a descriptor among those of the program that waits; returns its number there.
fn give(
    listener: &OwnedFd,
    call: &libc::seccomp_notif,
    made: &OwnedFd,
    (kind, flags): (u32, libc::c_ulong),
) -> Result<u32, Errno> {
    let mut added = libc::seccomp_notif_addfd {
        id: call.id,
        flags: flags as u32,
        srcfd: made.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: kind & libc::SOCK_CLOEXEC as u32,
    };
    control(listener, libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut added).map(|number| number as u32)
}

fn respond(listener: &OwnedFd, id: u64, error: i32) {
    let mut response = libc::seccomp_notif_resp { id, val: 0, error: -error, flags: 0 };
    let _ = control(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response);
}

fn control<T>(listener: &OwnedFd, request: libc::Ioctl, about: *mut T) -> Result<i32, Errno> {
    // SAFETY: each request is given the structure that belongs to it, which outlives the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), request, about) })
}
