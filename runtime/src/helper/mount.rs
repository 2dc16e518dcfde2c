//! Mounts by descriptor: what was looked up is what is mounted on, whatever happens to its path.

use nix::libc;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Makes a new file system of a kind; an option without value is a flag.
pub(crate) fn new(kind: &str, options: &[(&str, &str)], attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        match value.is_empty() {
            true => fsconfig_set_flag(&context, *key)?,
            false => fsconfig_set_string(&context, *key, *value)?,
        }
    }
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Mounts what `mount` holds on what `target` holds.
pub(crate) fn attach(mount: impl AsFd, target: impl AsFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", target, "", flags)?)
}

/// Returns another mount of the file or directory that `source` holds; of a directory with what is mounted below it.
pub(crate) fn again(source: impl AsFd) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    Ok(open_tree(source, "", flags)?)
}

/// Returns another mount of a path of this machine.
pub(crate) fn path_again(path: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    Ok(open_tree(rustix::fs::CWD, path, flags)?)
}

/// Returns another mount of a directory of this machine, with what is mounted below it.
pub(crate) fn tree_again(path: &str) -> io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    Ok(open_tree(rustix::fs::CWD, path, flags)?)
}

#[repr(C)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Makes a mount read-only, whatever is below it too.
pub(crate) fn make_read_only(mount: impl AsFd) -> io::Result<()> {
    set(mount, u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()), libc::AT_EMPTY_PATH | libc::AT_RECURSIVE)
}

/// Makes a mount read-only, and nothing that is mounted below it.
pub(crate) fn make_only_this_read_only(mount: impl AsFd) -> io::Result<()> {
    set(mount, u64::from(MountAttrFlags::MOUNT_ATTR_RDONLY.bits()), libc::AT_EMPTY_PATH)
}

fn set(mount: impl AsFd, attributes: u64, flags: i32) -> io::Result<()> {
    let attributes = Attributes { set: attributes, clear: 0, propagation: 0, userns: 0 };
    // SAFETY: the empty path and the attributes outlive the call, and their size is given.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<Attributes>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
