//! Fills a new cache directory with files of an image or stage.

use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, openat, statat};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Copies what is in the directory `from` to the directory `to`.
pub(crate) fn copy(from: impl AsFd, to: &str) -> io::Result<()> {
    let source = openat(from, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let target = openat(rustix::fs::CWD, to, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    contents(source.as_fd(), target.as_fd())
}

fn contents(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let known = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let (uid, gid) = (Some(Uid::from_raw(known.st_uid)), Some(Gid::from_raw(known.st_gid)));
        let mode = Mode::from_raw_mode(known.st_mode & 0o7777);
        let open = |parent, flags| -> io::Result<OwnedFd> {
            Ok(openat(parent, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::from_raw_mode(0o600))?)
        };
        match FileType::from_raw_mode(known.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, mode)?;
                let (inner, made) =
                    (open(from, OFlags::RDONLY | OFlags::DIRECTORY)?, open(to, OFlags::RDONLY | OFlags::DIRECTORY)?);
                contents(inner.as_fd(), made.as_fd())?;
                rustix::fs::fchown(&made, uid, gid)?;
                rustix::fs::fchmod(&made, mode)?;
            }
            FileType::RegularFile => {
                let mut source = File::from(open(from, OFlags::RDONLY)?);
                let mut made = File::from(open(to, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?);
                io::copy(&mut source, &mut made)?;
                rustix::fs::fchown(&made, uid, gid)?;
                rustix::fs::fchmod(&made, mode)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(from, name, Vec::new())?;
                rustix::fs::symlinkat(target.as_c_str(), to, name)?;
                rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
            }
            _ => {}
        }
    }
    Ok(())
}
