//! Volumes: directories of containers that stay until somebody removes them by name.

use super::measure::{Measure, Used, Written};
use super::{remove, seed, walk};
use crate::error::HelperError;
use crate::protocol::{Answer, DiskLimits};
use rustix::fs::{Gid, Mode, RenameFlags, Uid};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;

/// Held while a volume is filled: two containers may want the same one at once.
const LOCK: &str = "v/.lock";

/// Returns the directory of a volume.
pub(crate) fn directory(name: &str) -> io::Result<String> {
    let is_fine = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    match is_fine && name.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        true => Ok(format!("v/{name}")),
        false => Err(io::Error::other("a volume is named by letters, digits, `_`, `.` and `-`")),
    }
}

/// Tells whether a volume has something in it.
pub(crate) fn is_filled(content: &str) -> bool {
    fs::read_dir(content).is_ok_and(|mut entries| entries.next().is_some())
}

/// Makes the directory `content` of a volume if it is not there, in `temporary` first. An empty one gets the files of
/// `image`, the directory that it hides, with mode and owner.
pub(crate) fn fill(content: &str, temporary: &str, image: Option<&OwnedFd>) -> io::Result<()> {
    let lock = File::create(LOCK)?;
    lock.lock()?;
    if is_filled(content) {
        return Ok(());
    }
    if fs::exists(content)? {
        return image.map_or(Ok(()), |image| copy(image, content));
    }
    // In the step's own directory: processes of other sandboxes have the same ids.
    fs::create_dir(temporary)?;
    rustix::fs::chmod(temporary, Mode::from_raw_mode(0o755))?;
    if let Some(image) = image {
        copy(image, temporary)?;
    }
    Ok(rustix::fs::renameat_with(rustix::fs::CWD, temporary, rustix::fs::CWD, content, RenameFlags::NOREPLACE)?)
}

fn copy(image: &OwnedFd, to: &str) -> io::Result<()> {
    seed::copy(image, to)?;
    let known = rustix::fs::statat(image, c"", rustix::fs::AtFlags::EMPTY_PATH)?;
    rustix::fs::chown(to, Some(Uid::from_raw(known.st_uid)), Some(Gid::from_raw(known.st_gid)))?;
    Ok(rustix::fs::chmod(to, Mode::from_raw_mode(known.st_mode & 0o7777))?)
}

/// Returns how many bytes a volume has on disk.
pub(crate) fn measure(name: &str) -> Answer<u64> {
    let content = directory(name).map_err(HelperError::inside("measuring a volume"))?;
    let Ok(files) = walk::open_directory(&content) else { return Ok(0) };
    let unlimited = DiskLimits { bytes: u64::MAX, files: u64::MAX, reserve: 0 };
    Ok(Measure::new(vec![Written::Own(files)], unlimited).count(None, Used::default()).bytes)
}

/// Removes a volume; one that is already gone is fine.
pub(crate) fn remove(name: &str) -> Answer<()> {
    directory(name).and_then(|content| remove::tree(&content)).map_err(HelperError::inside("removing a volume"))
}
