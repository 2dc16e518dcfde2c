//! Self-test inside the sandbox of what confines builds: the system call filter, overlay mounts, the masks of `/proc`.

use super::walk::open_directory;
use super::{mount, overlay, remove, seccomp};
use crate::protection::Protection;
use crate::{Calls, SnapshotId};
use nix::libc;
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::mount::MountAttrFlags;
use std::fs;
use std::io;

/// Tries all; the mounts are made in a mount namespace of their own, with files in `directory`.
pub(crate) fn all(directory: &str, filters: &seccomp::Filters) -> Vec<Protection> {
    vec![
        Protection::new("seccomp", filter(filters).err().map(|error| error.to_string())),
        Protection::new("overlay", whiteouts(directory).err().map(|error| error.to_string())),
        Protection::new("proc", own_proc().err().map(|error| error.to_string())),
    ]
}

/// Confines a process of its own, which then must be refused what the filter refuses.
fn filter(filters: &seccomp::Filters) -> io::Result<()> {
    // SAFETY: the handler of a request has one thread.
    match unsafe { fork() }? {
        ForkResult::Child => {
            let installed = filters.install(Calls::Native).is_ok();
            // SAFETY: a call without effect, if it is allowed at all.
            let refused = unsafe { libc::syscall(libc::SYS_keyctl, 0, 0) } == -1;
            let refused = refused && io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
            // SAFETY: ends the process without running anything of the one it was forked from.
            unsafe { libc::_exit(i32::from(!(installed && refused))) }
        }
        ForkResult::Parent { child } => match waitpid(child, None)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            _ => Err(io::Error::other("this kernel does not refuse the system calls that it was told to")),
        },
    }
}

/// Removes and makes again a directory of a lower layer: without its own attributes an overlay cannot.
fn whiteouts(directory: &str) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let part = |name: &str| format!("{directory}/{name}");
    for name in ["", "/u", "/w", "/m"] {
        fs::create_dir(format!("{directory}{name}"))?;
    }
    let lower = SnapshotId::of_self_test(&format!("{directory}-lower"));
    fs::create_dir_all(format!("{}/d/inner", lower.directory()))?;
    let tried = (|| {
        overlay::overlay(std::slice::from_ref(&lower), Some((&part("u"), &part("w"))), &part("m"))?;
        remove::tree(&part("m/d"))?;
        fs::create_dir(part("m/d"))?;
        match fs::read_dir(part("m/d"))?.next() {
            None => rustix::mount::unmount(part("m"), rustix::mount::UnmountFlags::DETACH).map_err(io::Error::from),
            Some(_) => Err(io::Error::other("a removed directory comes back")),
        }
    })();
    let _ = remove::tree(&lower.directory());
    let _ = remove::tree(directory);
    tried
}

/// Mounts a `/proc` of a process namespace, and hides something in it, as every step needs.
fn own_proc() -> io::Result<()> {
    let proc = mount::new("proc", &[], MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    mount::attach(&proc, open_directory("/proc")?)?;
    mount::make_read_only(mount::again(rustix::fs::openat(
        &proc,
        c"sys",
        rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?)?)
}
