//! The system calls of 32-bit x86 programs that a step may make: the list of 64-bit calls, as far as it goes here.
//!
//! A test compares the two by the names in the kernel's headers.

use super::syscall_range::Range;

/// Numbers that the list speaks about, as `super::syscalls::KNOWN` says for 64-bit calls.
pub(crate) const KNOWN: &[Range] = &[range(0, 386), range(393, 467)];

/// Numbers of the calls whose arguments decide.
pub(crate) const SOCKETCALL: u32 = 102;
pub(crate) const IOCTL: u32 = 54;
pub(crate) const FALLOCATE: u32 = 324;
pub(crate) const CLONE: u32 = 120;
pub(crate) const PERSONALITY: u32 = 136;
pub(crate) const SOCKET: u32 = 359;
pub(crate) const SOCKETPAIR: u32 = 360;
pub(crate) const CLONE3: u32 = 435;
pub(crate) const LCHOWN32: u32 = 198;
pub(crate) const FCHOWN32: u32 = 207;
pub(crate) const CHOWN32: u32 = 212;
pub(crate) const FCHOWNAT: u32 = 298;

/// Allowed whatever their arguments are. `ipc` (117) is: all that it multiplexes is allowed as calls of their own, too.
pub(crate) const ALLOWED: &[Range] = &[
    range(0, 16),    // restart_syscall … lchown
    range(19, 20),   // lseek, getpid
    range(23, 24),   // setuid, getuid
    range(26, 27),   // ptrace, alarm
    range(29, 30),   // pause, utime
    range(33, 33),   // access
    range(36, 43),   // sync … times
    range(45, 47),   // brk, setgid, getgid
    range(49, 50),   // geteuid, getegid
    range(54, 55),   // ioctl, fcntl
    range(57, 57),   // setpgid
    range(60, 61),   // umask, chroot
    range(63, 66),   // dup2, getppid, getpgrp, setsid
    range(70, 71),   // setreuid, setregid
    range(75, 78),   // setrlimit, getrlimit, getrusage, gettimeofday
    range(80, 83),   // getgroups, setgroups, select, symlink
    range(85, 85),   // readlink
    range(90, 97),   // mmap … setpriority
    range(99, 100),  // statfs, fstatfs
    range(104, 108), // setitimer, getitimer, stat, lstat, fstat
    range(114, 114), // wait4
    range(116, 119), // sysinfo, ipc, fsync, sigreturn
    range(122, 126), // uname, modify_ldt, adjtimex, mprotect, sigprocmask
    range(132, 133), // getpgid, fchdir
    range(138, 148), // setfsuid … fdatasync
    range(150, 165), // mlock … getresuid
    range(168, 168), // poll
    range(170, 187), // setresgid … sendfile
    range(190, 216), // vfork … setfsgid32
    range(218, 221), // mincore, madvise, getdents64, fcntl64
    range(224, 250), // gettid … fadvise64
    range(252, 252), // exit_group
    range(254, 263), // epoll_create … timer_delete
    range(265, 272), // clock_gettime … fadvise64_64
    range(277, 282), // mq_open … mq_getsetattr
    range(284, 284), // waitid
    range(289, 293), // ioprio_set … inotify_rm_watch
    range(295, 309), // openat … ppoll
    range(311, 316), // set_robust_list … vmsplice
    range(318, 335), // getcpu … rt_tgsigqueueinfo
    range(337, 337), // recvmmsg
    range(339, 341), // fanotify_mark, prlimit64, name_to_handle_at
    range(343, 345), // clock_adjtime, syncfs, sendmmsg
    range(347, 348), // process_vm_readv, process_vm_writev
    range(351, 356), // sched_setattr … memfd_create
    range(358, 358), // execveat
    range(361, 373), // bind … shutdown
    range(375, 386), // membarrier … rseq
    range(393, 403), // semget … clock_gettime64
    range(405, 414), // clock_adjtime64 … ppoll_time64
    range(416, 424), // io_pgetevents_time64 … pidfd_send_signal
    range(434, 434), // pidfd_open
    range(436, 439), // close_range, openat2, pidfd_getfd, faccessat2
    range(441, 441), // epoll_pwait2
    range(444, 449), // landlock_create_ruleset … futex_waitv
    range(451, 458), // cachestat … listmount
    range(462, 466), // mseal … removexattrat
];

const fn range(first: u32, last: u32) -> Range {
    Range { first, last }
}
