//! Removes trees that hostile steps made: by descriptor, never following a link.

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Removes `path` and all below it; a path that does not exist is not an error.
pub(crate) fn tree(path: &str) -> io::Result<()> {
    match unlinkat(rustix::fs::CWD, path, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(_) => {}
    }
    let directory = open(rustix::fs::CWD, path)?;
    contents(directory.as_fd())?;
    Ok(unlinkat(rustix::fs::CWD, path, AtFlags::REMOVEDIR)?)
}

/// Removes `name` in `parent`, whatever it is.
pub(crate) fn entry(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    contents(open(parent, name)?.as_fd())?;
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

fn open(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<std::os::fd::OwnedFd> {
    Ok(openat(parent, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?)
}

/// Empties a directory, however deep it is: the depth costs memory for names, not stack.
fn contents(directory: BorrowedFd<'_>) -> io::Result<()> {
    let mut open_directories = vec![(directory.try_clone_to_owned()?, None::<CString>)];
    while let Some((current, _)) = open_directories.last() {
        let mut below = None;
        for entry in Dir::read_from(current)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            match unlinkat(current, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(Errno::ISDIR | Errno::PERM) => match unlinkat(current, name, AtFlags::REMOVEDIR) {
                    Ok(()) => {}
                    Err(_) => {
                        below = Some((open(current, name)?, Some(name.to_owned())));
                        break;
                    }
                },
                Err(error) => return Err(error.into()),
            }
        }
        match below {
            Some(next) => open_directories.push(next),
            None => {
                let (_, name) = open_directories.pop().expect("the loop condition saw it");
                if let (Some(name), Some((parent, _))) = (name, open_directories.last()) {
                    unlinkat(parent, name.as_c_str(), AtFlags::REMOVEDIR)?;
                }
            }
        }
    }
    Ok(())
}
