//! The helper: this program, started again, inside namespaces of its own. Everything below runs there.
//!
//! It is single-threaded and forks for each request, so that a hostile file can at worst end the handling of one request.

mod allocate;
mod answers;
mod bpf;
mod child;
mod container;
mod diff;
mod disk;
mod exec;
mod execute;
mod export;
mod files;
mod follow;
mod forget;
mod ground;
mod house;
mod init;
mod limit;
mod lock;
mod loopback;
mod measure;
mod mount;
mod overlay;
mod owner;
mod program;
mod remove;
mod rootfs;
mod run;
mod seccomp;
mod seed;
mod sockets;
mod stub;
mod surplus;
mod syscalls;
mod syscalls32;
mod trial;
mod unpack;
mod user;
mod walk;

use crate::changes::stream;
use crate::error::Trouble;
use crate::network::{KEEPER, keep};
use crate::owner::{OWNER, take_over};
use crate::protocol::{Answer, Asked, Conversation, PATHS, Request, receive_request};
use crate::sandbox::HELPER;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Pid, Uid, fork, setgroups, setresgid, setresuid};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

/// How long somebody else may hold the lock of an attempt that begins.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Becomes the sandbox or its network if the program was started as that; returns otherwise.
///
/// Must be the first thing that the program does: it must have one thread.
pub fn enter_if_asked() {
    match std::env::args_os().next() {
        Some(name) if name == HELPER => {
            // What the worker may allocate itself is no limit of its steps.
            crate::child::unlimit_memory();
            outer()
        }
        Some(name) if name == KEEPER => keep(),
        Some(name) if name == OWNER => take_over(),
        _ => {}
    }
}

/// Closes all descriptors from `first` on.
pub(crate) fn close_from(first: u32) -> io::Result<()> {
    // SAFETY: closing descriptors that no Rust value of this process owns: it has just been started.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn die(doing: &str, error: impl std::fmt::Display) -> ! {
    eprintln!("slipway sandbox: {doing}: {error}");
    std::process::exit(1)
}

/// Makes the namespaces, gets its ids, and starts the first process of its own process namespace.
fn outer() -> ! {
    let attempt = std::env::args().nth(1).unwrap_or_default();
    let _ = close_from(3);
    // SAFETY: descriptor 0 is the control socket that the caller passed as standard input; it is used nowhere else.
    let control = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(libc::dup(0)) };
    let null = fs::File::open("/dev/null").unwrap_or_else(|error| die("opening /dev/null", error));
    let _ = nix::unistd::dup2_stdin(&null);
    // Whoever makes a user namespace rules it: that shall not be root.
    if let Err(error) = become_owner_of_state() {
        die("becoming the owner of the state directory", error);
    }
    // The limit of who makes a namespace counts for all users in it together.
    if let Some(processes) = std::env::args().nth(2).and_then(|most| most.parse().ok())
        && let Err(error) = child::limit_processes(processes)
    {
        die("limiting processes", error);
    }
    if let Err(error) = unshare(CloneFlags::CLONE_NEWUSER) {
        die("making a user namespace", error);
    }
    let mut byte = [0];
    let _ = nix::unistd::write(&control, b"m");
    match nix::unistd::read(&control, &mut byte) {
        Ok(1) => {}
        _ => std::process::exit(1),
    }
    if let Err(error) = become_user(0) {
        die("becoming the namespace's root", error);
    }
    // Changing ids hid the namespaces from whoever connects the network.
    let _ = nix::sys::prctl::set_dumpable(true);
    let flags =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if let Err(error) = unshare(flags) {
        die("making namespaces", error);
    }
    // SAFETY: the process has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => inner(&control, &attempt),
        Ok(ForkResult::Parent { child }) => {
            drop(control);
            let _ = waitpid(child, None);
            std::process::exit(0)
        }
        Err(error) => die("starting the first process", error),
    }
}

/// Gives up being root, if this process is, for the ids that the sandbox has on this machine.
fn become_owner_of_state() -> io::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    match fs::metadata(".")?.uid() {
        0 => Err(io::Error::other("it belongs to root")),
        owner => Ok(become_user(owner)?),
    }
}

fn become_user(id: u32) -> nix::Result<()> {
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    setgroups(&[])?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)
}

/// The first process of the sandbox: serves requests until nobody is left to make any, then cleans up.
fn inner(control: &OwnedFd, attempt: &str) -> ! {
    // Whoever kills the process outside ends all of it.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
    nix::sys::stat::umask(nix::sys::stat::Mode::empty());
    let place = match prepare(attempt) {
        Ok(place) => place,
        Err(error) => die("preparing the sandbox", error),
    };
    let filters = seccomp::compile();
    let _ = nix::unistd::write(control, b"r");
    let helper = Helper { work: place.work.clone(), filters };
    // Nobody asks how the handling of a request ended: the kernel need not keep that.
    // SAFETY: no handler of this process is replaced.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    loop {
        match receive_request(control) {
            Ok(Some(asked)) => helper.serve(asked, control),
            Ok(None) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    // Everybody else in the namespace goes first, or it could add files while they are removed.
    let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while waitpid(None, None).is_ok() {}
    let _ = remove::tree(&place.work);
    let _ = fs::remove_file(format!("{}.lock", place.work));
    std::process::exit(0)
}

/// The attempt's directory, held by a lock as long as the sandbox lives.
struct Place {
    work: String,
    _lock: fs::File,
}

fn prepare(attempt: &str) -> io::Result<Place> {
    let valid =
        !attempt.is_empty() && attempt.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !valid {
        return Err(io::Error::other("an attempt is named by letters, digits, `-` and `_`"));
    }
    house::enter()?;
    loopback::up()?;
    // Mount options hold at most a page: short paths leave room for many layers.
    let work = crate::step::work_directory(attempt);
    let lock = lock(&format!("{work}.lock"))?
        .ok_or_else(|| io::Error::other(format!("attempt `{attempt}` is under way already")))?;
    ground::clear(&work)?;
    ground::settle(&work)?;
    Ok(Place { work, _lock: lock })
}

/// Makes and locks a file; `None` if somebody holds it.
///
/// Until it is locked it looks like a leftover to whoever sweeps up, who holds it for a moment and removes it.
fn lock(path: &str) -> io::Result<Option<fs::File>> {
    let until = Instant::now() + LOCK_TIMEOUT;
    loop {
        let file = fs::File::create(path)?;
        let held = file.try_lock().is_ok();
        if held && file.metadata()?.nlink() > 0 {
            return Ok(Some(file));
        }
        if !held {
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// What requests are served with.
struct Helper {
    work: String,
    filters: seccomp::Filters,
}

impl Helper {
    /// Serves a request in a process of its own.
    fn serve(&self, asked: Asked, control: &OwnedFd) {
        // SAFETY: the helper has one thread.
        match unsafe { fork() } {
            Ok(ForkResult::Child) => {
                // A handler that held the control socket would keep the helper from seeing its end.
                let _ = nix::unistd::dup2_stdin(fs::File::open("/dev/null").unwrap_or_else(|_| std::process::exit(1)));
                let _ = nix::unistd::close(control.as_raw_fd());
                let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
                // SAFETY: no handler of this process is replaced.
                let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) };
                let _ = self.handle(asked);
                std::process::exit(0)
            }
            Ok(ForkResult::Parent { .. }) => {}
            Err(error) => {
                let mut conversation = asked.conversation;
                let _ = conversation
                    .send_value(&Answer::<()>::Err(Trouble::Inside(format!("starting a process: {error}"))));
            }
        }
    }

    fn handle(&self, asked: Asked) -> io::Result<()> {
        let Asked { request, mut conversation, agents } = asked;
        let run = |number: u64| format!("{}/{number}", self.work);
        let answer: Answer<()> = match request {
            Request::Unpack { id, bytes, entries } => {
                let temporary = format!("{}/unpack-{}", self.work, std::process::id());
                let implied = unpack::layer(&mut conversation, (&temporary, &id.directory()), (bytes, entries));
                return send_list(&mut conversation, implied);
            }
            Request::Run(number) => return run::serve(&run(number), &self.filters, (conversation, agents)),
            Request::RunContainer(id) => {
                let directory = container::prepare(&id);
                return match directory {
                    Ok(directory) => run::serve(&directory, &self.filters, (conversation, agents)),
                    Err(trouble) => conversation.send_value(&Answer::<()>::Err(trouble)),
                };
            }
            Request::Exec(id) => return exec::serve(&id, &self.filters, conversation, agents),
            Request::Signal(id, signal) => container::signal(&id, signal),
            Request::Freeze(id, freeze) => container::freeze(&id, freeze),
            Request::Connect(id, port) => container::connect(&id, port, agents),
            Request::WriteContainer(id) => {
                return stream(&mut conversation, |out| diff::write(&id.directory(), None, out));
            }
            Request::ExportContainer(id) => return stream(&mut conversation, |out| export::write(&id, out)),
            Request::Processes(id) => return conversation.send_value(&container::processes(&id)),
            Request::RemoveContainer(id) => container::remove(&id),
            Request::WriteTar(number, latest) => {
                return stream(&mut conversation, |out| diff::write(&run(number), latest, out));
            }
            Request::Rename(from, to) => adopt(&from.directory(), &to.directory()),
            Request::Discard(number) => {
                remove::tree(&run(number)).map_err(Trouble::inside("removing what a step left"))
            }
            Request::ReadFiles => return files::serve(conversation),
            Request::Forget(snapshots, used) => {
                return forget::serve(&mut conversation, &self.work, (&snapshots, &used));
            }
            Request::Sweep => sweep(),
            Request::SelfTest => {
                return conversation.send_value(&trial::all(&format!("{}/trial", self.work), &self.filters));
            }
        };
        conversation.send_value(&answer)
    }
}

/// Sends a list that may be longer than a frame holds, and an empty one at its end.
fn send_list(conversation: &mut Conversation, list: Answer<Vec<Vec<u8>>>) -> io::Result<()> {
    match list {
        Err(trouble) => conversation.send_value(&Answer::<Vec<Vec<u8>>>::Err(trouble)),
        Ok(list) => {
            for paths in list.chunks(PATHS) {
                conversation.send_value(&Answer::Ok(paths))?;
            }
            conversation.send_value(&Answer::<Vec<Vec<u8>>>::Ok(Vec::new()))
        }
    }
}

/// Makes the changes `from` of a run the snapshot `to` of the layer that was written of them.
fn adopt(from: &str, to: &str) -> Answer<()> {
    let run = from.strip_suffix("/u").unwrap_or(from);
    surplus::Surplus::remove(run).map_err(Trouble::inside("making the changes of a step a snapshot"))?;
    rename(from, to)
}

fn rename(from: &str, to: &str) -> Answer<()> {
    let outcome =
        rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, rustix::fs::RenameFlags::NOREPLACE);
    match outcome {
        Ok(()) => Ok(()),
        // Somebody made the same snapshot: this one is not needed.
        Err(rustix::io::Errno::EXIST) => remove::tree(from).map_err(Trouble::inside("removing a snapshot")),
        Err(error) => Err(Trouble::inside("renaming a snapshot")(error.into())),
    }
}

/// Removes directories of attempts whose lock nobody holds.
fn sweep() -> Answer<()> {
    let entries = fs::read_dir("w").map_err(Trouble::inside("listing attempts"))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(attempt) = name.strip_suffix(".lock") else { continue };
        let Ok(lock) = fs::File::open(entry.path()) else { continue };
        if lock.try_lock().is_ok() {
            ground::clear(&format!("w/{attempt}")).map_err(Trouble::inside("removing an attempt"))?;
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
