//! Answers calls of a step that set blocks of the disk aside: they take gigabytes in a millisecond, faster than any look.
//!
//! The call is made here, piece by piece, as long as there is room. Its arguments are numbers, and the descriptor is taken
//! from the process that waits: nothing of it can change meanwhile.

use super::disk::{Count, Watch};
use super::limit::{self, Limited};
use super::measure::is_in_memory;
use super::notification::{Answer, Unanswered, control};
use crate::DiskFull;
use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, openat};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// The architecture whose calls have 64-bit numbers in two halves.
pub(crate) const I386: u32 = 0x4000_0003;
/// The mode that leaves a file's size as it is.
const KEEP_SIZE: u32 = 0x01;
/// Opens a descriptor of a thread, not of a whole process; kernels before 6.9 do not know it.
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;
/// Bytes that are set aside at once, at most and at least.
const MAX_PIECE: u64 = 1 << 30;
const MIN_PIECE: u64 = 1 << 20;
/// Steps that may see the same room at the same moment.
const SHARERS: u64 = 8;

/// The arguments of the call.
struct Asked {
    descriptor: i32,
    mode: u32,
    offset: u64,
    length: u64,
}

/// Decides on a call that waits, and makes it where it can.
pub(crate) fn decide(
    listener: &OwnedFd,
    processes: Option<&OwnedFd>,
    call: &libc::seccomp_notif,
    step: Pid,
    watch: &mut Watch,
) -> Answer {
    let asked = Asked::of(&call.data);
    let Some(end) = asked.offset.checked_add(asked.length).filter(|end| *end <= i64::MAX as u64) else {
        return Answer::Continue;
    };
    if asked.length == 0 || asked.offset > i64::MAX as u64 {
        return Answer::Continue;
    }
    let file = match file_of(processes, call.pid, asked.descriptor) {
        Ok(file) => file,
        Err(Errno::EBADF) => return Answer::Fail(Errno::EBADF),
        // Somebody forbids to take it: the numbers alone decide.
        Err(_) if asked.length <= watch.room() => return Answer::Continue,
        Err(_) => return Answer::Fail(Errno::ENOSPC),
    };
    // Nobody else has the number of a process whose call still waits, so the descriptor was that process's.
    let mut id = call.id;
    if let Err(error) = control(listener, libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id) {
        return error.into();
    }
    if is_in_memory(&file) {
        // The process pays with its own memory. It might exchange the descriptor, so there must be room on disk, too.
        return if asked.length <= watch.room() { Answer::Continue } else { Answer::Fail(Errno::ENOSPC) };
    }
    let process = Pid::from_raw(call.pid as i32);
    let longer = fstat(&file).is_ok_and(|known| end > known.st_size as u64);
    if asked.mode & KEEP_SIZE != 0 {
        if end > watch.limits().bytes {
            return Answer::End(Unanswered::Full(DiskFull::Bytes(watch.limits().bytes)));
        }
    } else if longer && limit::of(process, Limited::FileSize).is_some_and(|limit| end > limit.soft) {
        let _ = kill(process, Signal::SIGXFSZ);
        return Answer::Fail(Errno::EFBIG);
    }
    asked.make(&file, step, watch)
}

/// Takes a descriptor of a process that waits.
fn file_of(processes: Option<&OwnedFd>, thread: u32, descriptor: i32) -> Result<OwnedFd, Errno> {
    let handle = pidfd(thread, PIDFD_THREAD).or_else(|_| pidfd(thread, 0)).or_else(|error| {
        // Older kernels know only the process that the thread belongs to.
        pidfd(process_of(processes, thread).ok_or(error)?, 0)
    })?;
    // SAFETY: plain numbers; the result is a new descriptor.
    let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, handle.as_raw_fd(), descriptor, 0) };
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Errno::result(taken).map(|taken| unsafe { OwnedFd::from_raw_fd(taken as i32) })
}

fn process_of(processes: Option<&OwnedFd>, thread: u32) -> Option<u32> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(processes?, format!("{thread}/status"), flags, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).ok()?;
    text.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
}

impl Asked {
    fn of(call: &libc::seccomp_data) -> Asked {
        let argument = call.args;
        let low = |position: usize| argument[position] & u64::from(u32::MAX);
        let (offset, length) = match call.arch {
            I386 => (low(2) | low(3) << 32, low(4) | low(5) << 32),
            _ => (argument[2], argument[3]),
        };
        Asked { descriptor: argument[0] as i32, mode: argument[1] as u32, offset, length }
    }

    /// Makes the call in pieces, each of them only as long as there is room.
    fn make(&self, file: &OwnedFd, step: Pid, watch: &mut Watch) -> Answer {
        let (mut at, end) = (self.offset, self.offset + self.length);
        while at < end {
            let room = watch.room();
            if room < MIN_PIECE {
                return Answer::End(Unanswered::Full(DiskFull::Reserve(watch.limits().reserve)));
            }
            let piece = (end - at).min((room / SHARERS).clamp(MIN_PIECE, MAX_PIECE));
            match fallocate(file, FallocateFlags::from_bits_retain(self.mode), at, piece) {
                Ok(()) => at += piece,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Errno::from_raw(error.raw_os_error()).into(),
            }
            if let Some(full) = watch.look(step, Count::Now) {
                return Answer::End(Unanswered::Full(full));
            }
        }
        Answer::Done
    }
}

fn pidfd(id: u32, flags: libc::c_uint) -> Result<OwnedFd, Errno> {
    // SAFETY: plain numbers; the result is a new descriptor.
    let opened = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) })?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened as i32) })
}
