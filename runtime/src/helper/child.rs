//! The last moments before a step's command: its own `/proc`, its root, its ids, its filter. Never returns.

use super::execute::{Refusal, execute};
use super::rootfs::Root;
use super::user::User;
use super::walk::open_in;
use super::{mount, seccomp};
use crate::Step;
use crate::protocol::{RunRequest, send_with};
use nix::libc;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use rustix::fs::OFlags;
use rustix::mount::{MountAttrFlags, UnmountFlags};
use std::collections::HashSet;
use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, SETPCAP, NET_BIND_SERVICE, SYS_CHROOT, SETFCAP.
const CAPABILITIES: [u8; 11] = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31];
/// Numbers of capabilities end somewhere below this.
const CAPABILITY_LIMIT: u8 = 64;
/// Hidden behind an empty file or directory.
const MASKED: [&str; 12] = [
    "acpi",
    "asound",
    "interrupts",
    "kallsyms",
    "kcore",
    "keys",
    "latency_stats",
    "timer_list",
    "timer_stats",
    "sched_debug",
    "scsi",
    "config.gz",
];
/// Cannot be written.
const READ_ONLY: [&str; 5] = ["bus", "fs", "irq", "sys", "sysrq-trigger"];
/// Bytes of a complaint that are written: it waits in a pipe, which nobody reads before the process has ended.
const MAX_COMPLAINT: usize = 4096;
/// Files that a command may have open: at first, and at most.
const OPEN_FILES: (u64, u64) = (1024, 1_048_576);

/// The standard streams of the command.
pub(crate) enum Stdio {
    /// Nothing is read; both streams go to one pipe.
    Merged(OwnedFd),
    /// Pipes.
    Separate {
        /// Its input.
        input: OwnedFd,
        /// Its output.
        output: OwnedFd,
        /// Its errors.
        error: OwnedFd,
    },
    /// A terminal of its own.
    Terminal(OwnedFd),
}

/// Where the command gets its root from.
pub(crate) enum Place<'r> {
    /// It is the first process in this root.
    Root(&'r Root),
    /// This process is in the container already.
    Joined,
}

/// The streams of the process.
pub(crate) struct Streams {
    /// Those of the command.
    pub stdio: Stdio,
    /// Takes why it could not be started.
    pub complaint: OwnedFd,
    /// Takes the filter's listener.
    pub answering: OwnedFd,
}

/// Becomes the command of the step; what goes wrong is written to the second stream.
pub(crate) fn run(
    place: &Place<'_>,
    request: &RunRequest,
    user: &User,
    filters: &seccomp::Filters,
    streams: Streams,
) -> ! {
    let Err(Refusal { text, code }) = become_command(place, request, user, filters, &streams);
    let mut complaint = File::from(streams.complaint);
    let _ = complaint.write_all(&text.as_bytes()[..text.floor_char_boundary(MAX_COMPLAINT)]);
    // SAFETY: ends the process without running anything of the one it was forked from.
    unsafe { libc::_exit(code) }
}

fn become_command(
    place: &Place<'_>,
    request: &RunRequest,
    user: &User,
    filters: &seccomp::Filters,
    streams: &Streams,
) -> Result<Infallible, Refusal> {
    let step = &request.step;
    let doing = |what: &'static str| move |error: io::Error| format!("starting a command: {what}: {error}");
    let errno = |what: &'static str| move |error: nix::Error| format!("starting a command: {what}: {error}");
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(errno("tying it to the sandbox"))?;
    let _ = nix::unistd::setsid();
    if let Place::Root(root) = place {
        enter_root(root, request)?;
    }
    connect(&streams.stdio, user).map_err(doing("connecting its streams"))?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o022));
    nix::unistd::chdir(step.cwd.as_str())
        .map_err(|error| format!("changing to the working directory `{}`: {error}", step.cwd))?;
    let environment = environment(step, user)?;
    let command = command(step)?;
    signals();
    resources(request).map_err(errno("limiting its resources"))?;
    step.ulimits.iter().try_for_each(crate::Ulimit::apply)?;
    limit_capabilities();
    let listener = filters.install(step.calls).map_err(doing("installing the system call filter"))?;
    if let Some(listener) = listener {
        send_with(&streams.answering, &[0], &[listener.as_fd()]).map_err(doing("passing on the system call filter"))?;
    }
    become_user(user).map_err(doing("dropping privileges"))?;
    // SAFETY: only marks descriptors; whatever the sandbox had open, the command does not get it.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if request.container.as_ref().is_some_and(|container| container.init) {
        super::init::fork_command().map_err(doing("starting the init process"))?;
    }
    Err(execute(&command, &environment, step))
}

/// Enters the root as its first process.
fn enter_root(root: &Root, request: &RunRequest) -> Result<(), String> {
    let doing = |what: &'static str| move |error: io::Error| format!("starting a command: {what}: {error}");
    process_files(root).map_err(doing("mounting /proc"))?;
    // Out of memory, the command goes before the sandbox does.
    let _ =
        open_in(&root.root, b"proc/self/oom_score_adj", OFlags::WRONLY).map(|file| File::from(file).write_all(b"500"));
    if request.container.as_ref().is_some_and(|container| container.read_only) {
        mount::make_only_this_read_only(&root.root).map_err(doing("making the root read-only"))?;
    }
    enter(root).map_err(doing("changing the root"))
}

/// Mounts `/proc` of the new process namespace and hides what is none of a build's business.
fn process_files(root: &Root) -> io::Result<()> {
    let flags =
        MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    mount::attach(mount::new("proc", &[], flags)?, &root.proc)?;
    let null = open_in(&root.root, b"dev/null", OFlags::PATH)?;
    for name in READ_ONLY {
        let Ok(found) = open_in(&root.root, format!("proc/{name}").as_bytes(), OFlags::PATH) else { continue };
        let again = mount::again(&found)?;
        mount::make_read_only(&again)?;
        mount::attach(again, found)?;
    }
    for name in MASKED {
        let path = format!("proc/{name}");
        if let Ok(directory) = open_in(&root.root, path.as_bytes(), OFlags::PATH | OFlags::DIRECTORY) {
            let empty = mount::new("tmpfs", &[("mode", "555")], flags | MountAttrFlags::MOUNT_ATTR_RDONLY)?;
            mount::attach(empty, directory)?;
        } else if let Ok(file) = open_in(&root.root, path.as_bytes(), OFlags::PATH) {
            mount::attach(mount::again(&null)?, file)?;
        }
    }
    Ok(())
}

/// Makes the overlay the root and lets go of everything that was there before.
fn enter(root: &Root) -> io::Result<()> {
    rustix::process::fchdir(&root.root)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}

/// Connects the streams; the output belongs to the step's user, who may open it again by `/dev/stdout`, as in docker.
fn connect(stdio: &Stdio, user: &User) -> io::Result<()> {
    let null = OwnedFd::from(File::open("/dev/null")?);
    let (input, output, error) = match stdio {
        Stdio::Merged(output) => (&null, output, output),
        Stdio::Separate { input, output, error } => (input, output, error),
        Stdio::Terminal(terminal) => (terminal, terminal, terminal),
    };
    for stream in [output, error] {
        rustix::fs::fchown(stream, Some(rustix::fs::Uid::from_raw(user.uid)), None)?;
    }
    nix::unistd::dup2_stdin(input)?;
    nix::unistd::dup2_stdout(output)?;
    nix::unistd::dup2_stderr(error)?;
    if matches!(stdio, Stdio::Terminal(_)) {
        // SAFETY: makes the terminal that of this session, which has none; no memory is passed.
        if unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn signals() {
    for number in 1..=31 {
        if let Ok(number) = Signal::try_from(number) {
            // SAFETY: sets the default; there is no handler of this process that it could miss.
            let _ = unsafe { signal(number, SigHandler::SigDfl) };
        }
    }
    let _ = sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
}

/// Limits single processes: no core dumps, no file larger than what a step may leave.
fn resources(request: &RunRequest) -> nix::Result<()> {
    let file_bytes = request.disk.bytes;
    if let Some(processes) = request.processes {
        limit_processes(processes)?;
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let most = most.min(OPEN_FILES.1);
    setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.0.min(most), most)?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    let (_, most) = getrlimit(Resource::RLIMIT_FSIZE)?;
    setrlimit(Resource::RLIMIT_FSIZE, file_bytes.min(most), file_bytes.min(most))
}

/// Limits the processes of each user of this namespace.
pub(crate) fn limit_processes(processes: u32) -> nix::Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NPROC)?;
    let processes = u64::from(processes).min(most);
    setrlimit(Resource::RLIMIT_NPROC, processes, processes)
}

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    process: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn limit_capabilities() {
    for number in (0..CAPABILITY_LIMIT).filter(|number| !CAPABILITIES.contains(number)) {
        // SAFETY: plain numbers; a capability that this kernel does not know is refused.
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(number), 0, 0, 0) };
    }
}

fn become_user(user: &User) -> io::Result<()> {
    let groups: Vec<Gid> = user.groups.iter().map(|&gid| Gid::from_raw(gid)).collect();
    setgroups(&groups)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let bits = if user.uid == 0 { CAPABILITIES.iter().fold(0u32, |bits, number| bits | 1 << number) } else { 0 };
    let header = CapabilityHeader { version: 0x2008_0522, process: 0 };
    let low = CapabilityData { effective: bits, permitted: bits, inheritable: 0 };
    let data = [low, CapabilityData { effective: 0, permitted: 0, inheritable: 0 }];
    // SAFETY: the version says that there are two structures, and there are.
    if unsafe { libc::syscall(libc::SYS_capset, &raw const header, &raw const data) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn environment(step: &Step, user: &User) -> Result<Vec<CString>, String> {
    let mut variables = step.env.clone();
    if !variables.iter().any(|variable| variable.starts_with("HOME=")) {
        variables.push(format!("HOME={}", user.home));
    }
    // Of two that set the same variable the later one counts; C libraries take the first.
    let mut names = HashSet::new();
    let mut known: Vec<&String> = variables.iter().rev().filter(|variable| names.insert(name_of(variable))).collect();
    known.reverse();
    known
        .into_iter()
        .map(|variable| CString::new(variable.as_str()).map_err(|_| "the environment holds a NUL".to_owned()))
        .collect()
}

fn name_of(variable: &str) -> &str {
    variable.split('=').next().unwrap_or_default()
}

fn command(step: &Step) -> Result<Vec<CString>, String> {
    if step.argv.is_empty() {
        return Err("arguments are required".to_owned());
    }
    step.argv.iter().map(|word| CString::new(word.as_str()).map_err(|_| "the command holds a NUL".to_owned())).collect()
}
