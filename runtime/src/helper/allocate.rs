//! Answers calls of a step that set blocks of the disk aside: they take gigabytes in a millisecond, faster than any look.
//!
//! A filter hands `fallocate` over to who follows the step; the call is made here, piece by piece, as long as there is room.
//! Its arguments are numbers, and the descriptor is taken from the process that waits: nothing of it can change meanwhile.

use super::disk::{Count, Watch};
use super::measure::is_in_memory;
use crate::DiskFull;
use crate::protocol::{receive_with, send_with};
use nix::errno::Errno;
use nix::libc::{self, sock_filter};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{FallocateFlags, Mode, OFlags, fallocate, fstat, openat};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Architectures and their numbers of `fallocate` and `ioctl`.
#[cfg(target_arch = "x86_64")]
const CALLS: [(u32, u32, u32); 2] =
    [(0xc000_003e, libc::SYS_fallocate as u32, libc::SYS_ioctl as u32), (I386, 324, 54)];
#[cfg(target_arch = "aarch64")]
const CALLS: [(u32, u32, u32); 1] = [(0xc000_00b7, libc::SYS_fallocate as u32, libc::SYS_ioctl as u32)];
/// The architecture whose calls have 64-bit numbers in two halves.
const I386: u32 = 0x4000_0003;
/// Where the kernel's description of a call has its number, its architecture, and its second argument.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
const SECOND_AT: u32 = 24;
/// Modes of `fallocate` that set nothing aside: a hole, a range cut out, a range moved.
const FREEING: u32 = 0x02 | 0x08 | 0x20;
const KEEP_SIZE: u32 = 0x01;
/// Requests of `ioctl` that do what `fallocate` does, in both widths: programs use it only where they must.
const REQUESTS: [u32; 6] = [0x4030_5828, 0x4030_582a, 0x4030_5839, 0x402c_5828, 0x402c_582a, 0x402c_5839];
/// Lets only what ends a process interrupt a call that is being answered; kernels before 5.19 do not know it.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;
/// Opens a descriptor of a thread, not of a whole process; kernels before 6.9 do not know it.
const PIDFD_THREAD: libc::c_uint = libc::O_EXCL as libc::c_uint;
/// Bytes that are set aside at once, at most and at least.
const MAX_PIECE: u64 = 1 << 30;
const MIN_PIECE: u64 = 1 << 20;
/// Steps that may see the same room at the same moment.
const SHARERS: u64 = 8;

/// Hands the calls of this process, and of those it starts, over to whom `channel` leads to.
///
/// Where nobody can listen, because somebody else does already, the calls fail as on file systems that do not have them.
pub fn hand_over(channel: &OwnedFd) -> io::Result<()> {
    let asking = program(libc::SECCOMP_RET_USER_NOTIF);
    for flags in [libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER] {
        if let Ok(listener) = install(&asking, flags) {
            // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
            let listener = unsafe { OwnedFd::from_raw_fd(listener) };
            return send_with(channel, &[0], &[listener.as_fd()]);
        }
    }
    Ok(install(&program(libc::SECCOMP_RET_ERRNO | libc::EOPNOTSUPP as u32), 0).map(drop)?)
}

fn install(program: &[sock_filter], flags: libc::c_ulong) -> Result<i32, Errno> {
    let program = libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program points to memory that outlives the call; the kernel only reads it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    Errno::result(result).map(|descriptor| descriptor as i32)
}

/// Returns the filter; `verdict` is what becomes of calls that set blocks aside.
fn program(verdict: u32) -> Vec<sock_filter> {
    let statement = |code: u32, k: u32| sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let load = |offset| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset);
    let give = |verdict| statement(libc::BPF_RET | libc::BPF_K, verdict);
    let jump = |code: u32, k: u32, [jt, jf]: [usize; 2]| sock_filter {
        code: (libc::BPF_JMP | libc::BPF_K | code) as u16,
        jt: jt as u8,
        jf: jf as u8,
        k,
    };
    let allow = give(libc::SECCOMP_RET_ALLOW);
    let mut whole = vec![load(ARCHITECTURE_AT)];
    for (architecture, fallocate, ioctl) in CALLS {
        let mut own = vec![load(NUMBER_AT), jump(libc::BPF_JEQ, fallocate, [2, 0]), jump(libc::BPF_JEQ, ioctl, [5, 0])];
        own.extend([allow, load(SECOND_AT), jump(libc::BPF_JSET, FREEING, [0, 1]), allow, give(verdict)]);
        own.push(load(SECOND_AT));
        let requests = REQUESTS.iter().enumerate();
        own.extend(requests.map(|(position, request)| jump(libc::BPF_JEQ, *request, [REQUESTS.len() - position, 0])));
        own.extend([allow, give(libc::SECCOMP_RET_ERRNO | libc::ENOTTY as u32)]);
        whole.push(jump(libc::BPF_JEQ, architecture, [0, own.len()]));
        whole.extend(own);
    }
    whole.push(allow);
    whole
}

/// Calls of a step that wait for an answer.
pub struct Allocations {
    state: State,
    processes: Option<OwnedFd>,
}

enum State {
    /// The listener will come through this.
    Announced(OwnedFd),
    Listening(OwnedFd),
    Over,
}

/// What is asked for.
struct Asked {
    descriptor: i32,
    mode: u32,
    offset: u64,
    length: u64,
}

/// What becomes of a call.
enum Answer {
    /// It was made.
    Done,
    /// It fails.
    Fail(Errno),
    /// The process makes it itself.
    Continue,
    /// The step ends.
    End(DiskFull),
}

impl From<Errno> for Answer {
    fn from(error: Errno) -> Self {
        Answer::Fail(error)
    }
}

impl Allocations {
    /// Prepares to answer the step that hands its calls over through the other end of `channel`.
    ///
    /// Must happen before the root is the step's: what processes there are is looked up in the sandbox's own `/proc`.
    pub fn new(channel: OwnedFd) -> Allocations {
        Allocations { state: State::Announced(channel), processes: super::walk::open_directory("/proc").ok() }
    }

    /// Returns what becomes readable when there is something to answer.
    pub fn waits(&self) -> Option<BorrowedFd<'_>> {
        match &self.state {
            State::Announced(socket) | State::Listening(socket) => Some(socket.as_fd()),
            State::Over => None,
        }
    }

    /// Answers what waits; tells what the step would have too much of.
    pub fn answer(&mut self, step: Pid, watch: &mut Watch) -> Option<DiskFull> {
        let listener = match &self.state {
            State::Over => return None,
            State::Announced(channel) => {
                let listener = receive_with(channel, &mut [0]).ok().and_then(|(_, mut sent)| sent.pop());
                self.state = listener.map_or(State::Over, State::Listening);
                return None;
            }
            State::Listening(listener) => listener,
        };
        match events(listener) {
            events if events.contains(PollFlags::POLLIN) => {}
            events if events.is_empty() => return None,
            _ => {
                self.state = State::Over;
                return None;
            }
        }
        // SAFETY: a notification is plain data, for which zeros are valid.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // Where it fails the process was ended or interrupted before anybody looked.
        control(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut call).ok()?;
        let (error, flags) = match self.decide(listener, &call, (step, &mut *watch)) {
            Answer::Done => (0, 0),
            Answer::Fail(error) => (-(error as i32), 0),
            Answer::Continue => (0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::End(full) => return Some(full),
        };
        let mut response = libc::seccomp_notif_resp { id: call.id, val: 0, error, flags };
        let _ = control(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response);
        None
    }

    fn decide(&self, listener: &OwnedFd, call: &libc::seccomp_notif, (step, watch): (Pid, &mut Watch)) -> Answer {
        let asked = Asked::of(&call.data);
        let Some(end) = asked.offset.checked_add(asked.length).filter(|end| *end <= i64::MAX as u64) else {
            return Answer::Continue;
        };
        if asked.length == 0 || asked.offset > i64::MAX as u64 {
            return Answer::Continue;
        }
        let file = match self.file_of(call.pid, asked.descriptor) {
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
        let longer = fstat(&file).is_ok_and(|known| end > known.st_size as u64);
        if asked.mode & KEEP_SIZE != 0 {
            if end > watch.limits().bytes {
                return Answer::End(DiskFull::Bytes(watch.limits().bytes));
            }
        } else if longer && end > largest_file(call.pid) {
            let _ = kill(Pid::from_raw(call.pid as i32), Signal::SIGXFSZ);
            return Answer::Fail(Errno::EFBIG);
        }
        asked.make(&file, (step, watch))
    }

    /// Takes a descriptor of a process that waits.
    fn file_of(&self, thread: u32, descriptor: i32) -> Result<OwnedFd, Errno> {
        let handle = pidfd(thread, PIDFD_THREAD).or_else(|_| pidfd(thread, 0)).or_else(|error| {
            // Older kernels know only the process that the thread belongs to.
            pidfd(self.process_of(thread).ok_or(error)?, 0)
        })?;
        // SAFETY: plain numbers; the result is a new descriptor.
        let taken = unsafe { libc::syscall(libc::SYS_pidfd_getfd, handle.as_raw_fd(), descriptor, 0) };
        // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
        Errno::result(taken).map(|taken| unsafe { OwnedFd::from_raw_fd(taken as i32) })
    }

    fn process_of(&self, thread: u32) -> Option<u32> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = openat(self.processes.as_ref()?, format!("{thread}/status"), flags, Mode::empty()).ok()?;
        let mut text = String::new();
        File::from(file).read_to_string(&mut text).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok())
    }
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
    fn make(&self, file: &OwnedFd, (step, watch): (Pid, &mut Watch)) -> Answer {
        let (mut at, end) = (self.offset, self.offset + self.length);
        while at < end {
            let room = watch.room();
            if room < MIN_PIECE {
                return Answer::End(DiskFull::Reserve(watch.limits().reserve));
            }
            let piece = (end - at).min((room / SHARERS).clamp(MIN_PIECE, MAX_PIECE));
            match fallocate(file, FallocateFlags::from_bits_retain(self.mode), at, piece) {
                Ok(()) => at += piece,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Errno::from_raw(error.raw_os_error()).into(),
            }
            if let Some(full) = watch.look(step, Count::Now) {
                return Answer::End(full);
            }
        }
        Answer::Done
    }
}

/// Returns the largest size that a process may give a file.
fn largest_file(process: u32) -> u64 {
    // SAFETY: a limit is plain data, for which zeros are valid.
    let mut known: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the limit outlives the call, and nothing is changed.
    let result = unsafe { libc::prlimit(process as i32, libc::RLIMIT_FSIZE, std::ptr::null(), &raw mut known) };
    if result == 0 { known.rlim_cur } else { u64::MAX }
}

fn pidfd(id: u32, flags: libc::c_uint) -> Result<OwnedFd, Errno> {
    // SAFETY: plain numbers; the result is a new descriptor.
    let opened = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, id, flags) })?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(opened as i32) })
}

/// Tells whether a call waits, or whether the last process that could call is gone.
fn events(listener: &OwnedFd) -> PollFlags {
    let mut fds = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let _ = poll(&mut fds, PollTimeout::ZERO);
    fds[0].revents().unwrap_or(PollFlags::empty())
}

fn control<T>(listener: &OwnedFd, request: libc::Ioctl, about: *mut T) -> Result<(), Errno> {
    // SAFETY: each request is given the structure that belongs to it, which outlives the call.
    Errno::result(unsafe { libc::ioctl(listener.as_raw_fd(), request, about) }).map(drop)
}
