//! Starts the helper: the program gives up its privileges, makes its namespaces and forks their first process.

use super::fatal::die;
use super::{child, serve};
use crate::descriptors::close_from;
use crate::network::{PASTA_SUPERVISOR, supervise};
use crate::owner::{OWNER, take_over};
use crate::protocol::HELPER;
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Uid, fork, setgroups, setresgid, setresuid};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;

/// Becomes the sandbox or its network if the program was started as that; returns otherwise.
///
/// Must be the first thing that the program does: it must have one thread.
pub fn enter_if_asked() {
    match std::env::args_os().next() {
        Some(name) if name == HELPER => {
            // The memory limit of the worker itself does not apply to its steps.
            crate::child::unlimit_memory();
            outer()
        }
        Some(name) if name == PASTA_SUPERVISOR => supervise(),
        Some(name) if name == OWNER => take_over(),
        _ => {}
    }
}

/// Makes the namespaces, gets its ids, and starts the first process of its own process namespace.
fn outer() -> ! {
    let attempt = std::env::args().nth(1).unwrap_or_default();
    let _ = close_from(3);
    // SAFETY: descriptor 0 is the control socket that the caller passed as standard input; it is used nowhere else.
    let control = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(libc::dup(0)) };
    let null = fs::File::open("/dev/null").unwrap_or_else(|error| die("opening /dev/null", error));
    let _ = nix::unistd::dup2_stdin(&null);
    // The creator of a user namespace has every privilege in it: that must not be root.
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
    // Changing ids hid the namespaces from the process that connects the network.
    let _ = nix::sys::prctl::set_dumpable(true);
    let flags =
        CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWIPC;
    if let Err(error) = unshare(flags) {
        die("making namespaces", error);
    }
    // SAFETY: the process has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => serve::first_process(&control, &attempt),
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
