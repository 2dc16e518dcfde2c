//! The isolated root of the helper: the state directory, six devices, `/proc` and `/sys`, and nothing else of this machine.

use super::mount::{self, attach, path_again};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountAttrFlags, MountPropagationFlags, UnmountFlags};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// Device nodes that every step has.
pub(crate) const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];
/// Directories of the state.
const STATE: [&str; 7] = ["s", "c", "v", "w", "r", "e", "e2"];

/// The one that attempts have their directories in.
const WORK: &str = "w";

/// Leaves the file system of this machine for one that holds only what steps are made of; the current directory, the
/// state, comes along and stays the current one.
pub(crate) fn enter() -> io::Result<()> {
    rustix::mount::mount_change("/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    for directory in STATE {
        match fs::create_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
    }
    super::fast_directory::set_topdir(WORK);
    let state = mount::tree_again(".")?;
    let quiet = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    let root = mount::new("tmpfs", &[("mode", "755"), ("size", "64k")], MountAttrFlags::MOUNT_ATTR_NOSUID)?;
    attach(&root, super::walk::open_directory("e")?)?;
    let dev = directory(&root, "dev")?;
    for name in DEVICES {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        rustix::fs::openat(&dev, name, flags, Mode::from_raw_mode(0o666))?;
        let node = rustix::fs::openat(&dev, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        attach(path_again(&format!("/dev/{name}"))?, node)?;
    }
    // Where this machine itself sees only a part of these, nobody in it may see more.
    for (kind, name) in [("proc", "proc"), ("sysfs", "sys")] {
        let own = mount::new(kind, &[], quiet | MountAttrFlags::MOUNT_ATTR_NOEXEC);
        attach(own.or_else(|_| mount::tree_again(&format!("/{name}")))?, directory(&root, name)?)?;
    }
    attach(state, directory(&root, "state")?)?;
    rustix::process::fchdir(&root)?;
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/state")?)
}

fn directory(parent: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    Ok(rustix::fs::openat(parent, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}
