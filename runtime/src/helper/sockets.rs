//! Makes the sockets that 32-bit programs ask for through `socketcall`, whose arguments no filter can look at.
//!
//! Programs of Debian and of Go for 386 know no other way. The process that follows the step reads the arguments once and makes
//! the socket: a program that changes them meanwhile gains nothing.

use super::notification::{Answer, control, respond};
use super::seccomp::REFUSED_FAMILIES;
use nix::errno::Errno;
use nix::libc;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The call behind `socketcall` that makes two sockets; the other one that is asked about makes one.
const SOCKETPAIR: u64 = 8;
/// Bits of a socket's type that are not flags.
const TYPE: u32 = 0xf;
/// Families that are served: those for which no privilege is looked at when a socket is made.
const FAMILIES: [i32; 4] = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];

/// The arguments of a program's call.
struct Asked {
    family: u32,
    kind: u32,
    protocol: u32,
    /// Address that receives the descriptors of a pair.
    places: u32,
}

/// Makes what is asked for and gives it to the program, which goes on then.
pub(crate) fn serve(listener: &OwnedFd, call: &libc::seccomp_notif) -> Result<(), Errno> {
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
        return give(listener, call, &made, asked.kind, libc::SECCOMP_ADDFD_FLAG_SEND).map(drop);
    }
    let mut pair = [0; 2];
    // SAFETY: there is room for two descriptors.
    Errno::result(unsafe { libc::socketpair(family, kind | libc::SOCK_CLOEXEC, protocol, pair.as_mut_ptr()) })?;
    // SAFETY: the kernel just made these descriptors for us; nobody else owns them.
    let pair = pair.map(|made| unsafe { OwnedFd::from_raw_fd(made) });
    let mut given = [0; 2];
    for (given, made) in given.iter_mut().zip(&pair) {
        *given = give(listener, call, made, asked.kind, 0)?;
    }
    copy(call.pid, asked.places, &mut given, libc::process_vm_writev)?;
    respond(listener, call.id, Answer::Done);
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
    copy(call.pid, place, &mut words[..length], libc::process_vm_readv)?;
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

fn copy(process: u32, place: u32, words: &mut [u32], call: Copy) -> Result<(), Errno> {
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
    kind: u32,
    flags: libc::c_ulong,
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
