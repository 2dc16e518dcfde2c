//! The system call filter of steps: allow-lists for 64-bit and, where it is asked for, 32-bit programs.

use super::bpf::{self, Argument, Listener, MappedIds, Program, Test, Verdict};
use super::owner::Owner;
use super::syscall_range::Range;
use super::{syscalls, syscalls32};
use crate::Calls;
use nix::libc;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

/// The architectures of calls, as the audit subsystem numbers them.
const X86_64: u32 = 0xc000_003e;
const I386: u32 = 0x4000_0003;
/// Numbers that programs of the x32 convention use begin here, and end before the second.
const X32: (u32, u32) = (0x4000_0000, 0x4000_1000);
/// Numbers that the tables list one by one: no architecture has higher ones.
const LISTED: u32 = 1024;
/// Flags of `clone` that make namespaces.
const NAMESPACES: u32 = 0x7e02_0000;
/// Socket families into the kernel's crypto code and the hypervisor: `AF_ALG`, `AF_VSOCK`.
pub(crate) const REFUSED_FAMILIES: &[u32] = &[38, 40];
/// Allowed arguments of `personality`: Linux, no randomisation, and the query.
const PERSONALITIES: &[u32] = &[0, 0x0008, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Calls behind `socketcall` that make sockets: their families are in memory, where a filter cannot look.
const MAKE_SOCKETS: &[u32] = &[1, 8];

/// Whether 64-bit programs may make a call, by its number.
const ALLOWED: [bool; LISTED as usize] = {
    let (mut table, mut at) = ([false; LISTED as usize], 0);
    while at < syscalls::ALLOWED.len() {
        table[syscalls::ALLOWED[at] as usize] = true;
        at += 1;
    }
    table
};

const FAMILY: Verdict = Verdict::If(Argument::First, Test::Not(REFUSED_FAMILIES), libc::EPERM);
const CLONE: Verdict = Verdict::If(Argument::First, Test::Without(NAMESPACES), libc::EPERM);
const PERSONALITY: Verdict = Verdict::If(Argument::First, Test::OneOf(PERSONALITIES), libc::EPERM);
/// The flags of `clone3` are in memory, too: C libraries fall back to `clone` without it.
const CLONE3: Verdict = Verdict::Fail(libc::ENOSYS);

/// Modes of `fallocate` that set no blocks of the disk aside: a hole, a range cut out, a range moved.
const FREEING: u32 = 0x02 | 0x08 | 0x20;
/// Requests of `ioctl` that do what `fallocate` does, in both widths: programs use it only where they must.
const ALLOCATING: &[u32] = &[0x4030_5828, 0x4030_582a, 0x4030_5839, 0x402c_5828, 0x402c_582a, 0x402c_5839];
/// Half a terabyte within a second: nobody who only looks can stop that. See `super::allocate`.
const FALLOCATE: Verdict = Verdict::Ask(Argument::Second, Test::With(FREEING), libc::EOPNOTSUPP);
const IOCTL: Verdict = Verdict::If(Argument::Second, Test::Not(ALLOCATING), libc::ENOTTY);
/// Lets only what ends a process interrupt a call that is being answered; kernels before 5.19 do not know it.
const WAIT_KILLABLE: libc::c_ulong = 1 << 5;

/// Programs for each kind of step: where somebody answers calls, and where nobody can.
pub(crate) struct Filters {
    native: [Program; 2],
    with_32_bit: [Program; 2],
}

/// Builds the filters; done once, because every step has one of them.
pub(crate) fn compile(mapped: MappedIds) -> Filters {
    let native = (X86_64, table(|number| native_owner(number, mapped).unwrap_or_else(|| native(number))));
    let other = (I386, table(|number| x86_32_owner(number, mapped).unwrap_or_else(|| x86_32(number))));
    let both = |tables: &[_]| [Listener::Some, Listener::None].map(|listener| bpf::program(tables, listener));
    Filters { native: both(std::slice::from_ref(&native)), with_32_bit: both(&[native, other]) }
}

/// Lists the first number of each range with one verdict.
fn table(verdict: impl Fn(u32) -> Verdict) -> Vec<(u32, Verdict)> {
    let mut ranges: Vec<(u32, Verdict)> = Vec::new();
    for number in (0..=LISTED).chain([X32.0, X32.1]) {
        let verdict = verdict(number);
        if ranges.last().is_none_or(|(_, last)| *last != verdict) {
            ranges.push((number, verdict));
        }
    }
    ranges
}

/// Decides on calls that give a file to somebody: programs such as `useradd` go on where the kernel refuses an id without a
/// place, and the file silently stays with root.
fn native_owner(number: u32, mapped: MappedIds) -> Option<Verdict> {
    match libc::c_long::from(number) {
        libc::SYS_chown | libc::SYS_fchown | libc::SYS_lchown => {
            Some(Verdict::AskOwner(Argument::Second, Argument::Third, mapped))
        }
        libc::SYS_fchownat => Some(Verdict::AskOwner(Argument::Third, Argument::Fourth, mapped)),
        _ => None,
    }
}

/// Does the same for 32-bit programs; their older calls take ids of 16 bits only, which always have a place.
fn x86_32_owner(number: u32, mapped: MappedIds) -> Option<Verdict> {
    match number {
        syscalls32::LCHOWN32 | syscalls32::FCHOWN32 | syscalls32::CHOWN32 => {
            Some(Verdict::AskOwner(Argument::Second, Argument::Third, mapped))
        }
        syscalls32::FCHOWNAT => Some(Verdict::AskOwner(Argument::Third, Argument::Fourth, mapped)),
        _ => None,
    }
}

/// Returns the owner that a call would give a file to, if it is such a call.
pub(crate) fn owner_of(call: &libc::seccomp_data) -> Option<Owner> {
    let every = MappedIds { users: 0, groups: 0 };
    let verdict = match call.arch {
        I386 => x86_32_owner(call.nr as u32, every),
        _ => native_owner(call.nr as u32, every),
    };
    let Some(Verdict::AskOwner(user, group, _)) = verdict else { return None };
    Some(Owner { uid: call.args[user as usize] as u32, gid: call.args[group as usize] as u32 })
}

fn native(number: u32) -> Verdict {
    match libc::c_long::from(number) {
        libc::SYS_clone => CLONE,
        libc::SYS_clone3 => CLONE3,
        libc::SYS_personality => PERSONALITY,
        libc::SYS_socket | libc::SYS_socketpair => FAMILY,
        libc::SYS_fallocate => FALLOCATE,
        libc::SYS_ioctl => IOCTL,
        _ if ALLOWED.get(number as usize) == Some(&true) => Verdict::Allow,
        _ if (X32.0..X32.1).contains(&number) => Verdict::Kill,
        _ => unlisted(syscalls::KNOWN, number),
    }
}

fn x86_32(number: u32) -> Verdict {
    match number {
        syscalls32::CLONE => CLONE,
        syscalls32::CLONE3 => CLONE3,
        syscalls32::PERSONALITY => PERSONALITY,
        syscalls32::SOCKET | syscalls32::SOCKETPAIR => FAMILY,
        syscalls32::SOCKETCALL => Verdict::Ask(Argument::First, Test::Not(MAKE_SOCKETS), libc::ENOSYS),
        syscalls32::FALLOCATE => FALLOCATE,
        syscalls32::IOCTL => IOCTL,
        _ if holds(syscalls32::ALLOWED, number) => Verdict::Allow,
        _ => unlisted(syscalls32::KNOWN, number),
    }
}

/// Tells how a call fails that is not allowed: programs take `ENOSYS` as a reason to do without it.
fn unlisted(known: &[Range], number: u32) -> Verdict {
    Verdict::Fail(if holds(known, number) { libc::EPERM } else { libc::ENOSYS })
}

fn holds(ranges: &[Range], number: u32) -> bool {
    ranges.iter().any(|range| (range.first..=range.last).contains(&number))
}

impl Filters {
    /// Confines this process; needs privilege in its namespace, because setuid programs keep working.
    ///
    /// Somebody must answer what comes from the listener: see `super::answers`. There is none where somebody else listens
    /// already, as some containers' managers do; calls that are asked about fail then.
    pub(crate) fn install(&self, calls: Calls) -> io::Result<Option<OwnedFd>> {
        let [answered, alone] = match calls {
            Calls::Native => &self.native,
            Calls::With32Bit => &self.with_32_bit,
        };
        for flags in [libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | WAIT_KILLABLE, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER] {
            if let Ok(listener) = install(answered, flags) {
                // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
                return Ok(Some(unsafe { OwnedFd::from_raw_fd(listener) }));
            }
        }
        install(alone, 0)?;
        Ok(None)
    }
}

fn install(program: &Program, flags: libc::c_ulong) -> io::Result<i32> {
    let program = libc::sock_fprog { len: program.len() as libc::c_ushort, filter: program.as_ptr().cast_mut() };
    // SAFETY: the program points to memory that outlives the call; the kernel only reads it.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// Calls that only 32-bit programs have, and which the list refuses.
    const REFUSED_32: &[&str] = &[
        "bdflush",
        "break",
        "clock_settime64",
        "ftime",
        "gtty",
        "idle",
        "lock",
        "mpx",
        "nice",
        "oldfstat",
        "oldlstat",
        "oldolduname",
        "oldstat",
        "olduname",
        "prof",
        "profil",
        "readdir",
        "sgetmask",
        "sigaction",
        "signal",
        "sigpending",
        "sigsuspend",
        "ssetmask",
        "stime",
        "stty",
        "ulimit",
        "umount",
        "vm86",
        "vm86old",
    ];

    fn names(header: &str) -> BTreeMap<String, u32> {
        let text = std::fs::read_to_string(format!("/usr/include/x86_64-linux-gnu/asm/{header}"));
        let text = text.expect("the kernel's headers are installed (linux-libc-dev)");
        let lines = text.lines().filter_map(|line| line.strip_prefix("#define __NR_")?.split_once(' '));
        lines.map(|(name, number)| (name.to_owned(), number.trim().parse().unwrap())).collect()
    }

    #[test]
    fn the_32_bit_list_is_as_strict_as_the_64_bit_one() {
        // EN-90
        let wide = names("unistd_64.h");
        for (name, number) in names("unistd_32.h") {
            let found = x86_32(number);
            let expected = match (wide.get(&name), name.as_str()) {
                (_, "socketcall") => Verdict::Ask(Argument::First, Test::Not(MAKE_SOCKETS), libc::ENOSYS),
                (Some(number), _) => native(*number),
                (None, name) if REFUSED_32.contains(&name) => Verdict::Fail(libc::EPERM),
                (None, _) => Verdict::Allow,
            };
            assert_eq!(found, expected, "{name} ({number})");
        }
        // From 424 on all architectures number alike.
        for number in 424..LISTED {
            assert_eq!(x86_32(number), native(number), "{number}");
        }
    }

    #[test]
    fn numbers_that_no_kernel_has_fail_as_there() {
        // EN-91
        let unknown = Verdict::Fail(libc::ENOSYS);
        for number in [400, 423, 468, 470, 500, 547, 1000, 1024, 5000, 0x3fff_ffff, 0x4000_1000, u32::MAX] {
            assert_eq!((native(number), number < 424 || x86_32(number) == unknown), (unknown, true), "{number}");
        }
        assert_eq!(native(X32.0 + 39), Verdict::Kill);
    }
}
