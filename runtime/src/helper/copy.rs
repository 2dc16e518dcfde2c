//! Files of a container, copied out and in: below its root, whatever links say.

use super::container::{join, process};
use super::overlay::overlay;
use super::unpack::{self, Limits};
use super::walk::{open_directory, open_in};
use super::{diff, stream::stream};
use crate::SnapshotId;
use crate::container::{ContainerId, CopyRequest, PathKind, PathStat};
use crate::error::HelperError;
use crate::protocol::{Answer, Conversation};
use files::path::clean_path;
use nix::sched::{CloneFlags, unshare};
use rustix::fs::{AtFlags, FileType, OFlags, readlinkat, statat};
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;

/// Links that are followed at most, as the kernel does.
const MAX_LINKS: usize = 40;

/// Answers what is at a path, and sends it as a tar.
pub(crate) fn send(id: &ContainerId, mut conversation: Conversation) -> io::Result<()> {
    let request: CopyRequest = conversation.receive_value()?;
    let found = root(id, request.layers.as_deref()).and_then(|root| locate(&root, &request));
    let found = match found {
        Ok(found) => found,
        Err(error) => return conversation.send_value(&Answer::<PathStat>::Err(error)),
    };
    conversation.send_value(&Answer::Ok(&found.stat))?;
    if request.stat_only {
        return stream(&mut conversation, |_| Ok(()));
    }
    let Found { parent, name, stat } = found;
    stream(&mut conversation, |out| diff::write_entry(&parent, &name, stat.name.as_bytes(), out))
}

/// Unpacks the tar that follows into a directory.
pub(crate) fn receive(id: &ContainerId, mut conversation: Conversation) -> io::Result<()> {
    let request: CopyRequest = conversation.receive_value()?;
    let answer = root(id, request.layers.as_deref()).and_then(|root| {
        let found = locate(&root, &request)?;
        if found.stat.kind != PathKind::Directory {
            return Err(HelperError::Step(format!("{} is not a directory", request.path)));
        }
        let limits = Limits { bytes: request.bytes, entries: request.entries };
        unpack::into(root, &clean_path(request.path.as_bytes()), &mut conversation, &limits)
    });
    conversation.send_value(&answer)
}

/// Returns the root of a container: as its processes see it, or mounted from its layers if it does not run.
fn root(id: &ContainerId, layers: Option<&[SnapshotId]>) -> Answer<OwnedFd> {
    let failed = |error: io::Error| HelperError::Inside(format!("opening the files of a container: {error}"));
    let Some(layers) = layers else {
        join(process(id)?, &["mnt"]).map_err(failed)?;
        return open_directory("/").map_err(failed);
    };
    let directory = id.directory();
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| failed(error.into()))?;
    super::rootfs::make_directories(&directory, layers, true)?;
    let target = format!("{directory}/m");
    overlay(layers, Some((&format!("{directory}/u"), &format!("{directory}/w"))), &target).map_err(failed)?;
    open_directory(&target).map_err(failed)
}

/// A file, by its directory and name.
struct Found {
    parent: OwnedFd,
    name: Vec<u8>,
    stat: PathStat,
}

fn locate(root: &OwnedFd, request: &CopyRequest) -> Answer<Found> {
    let shown = &request.path;
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            HelperError::Step(format!("Could not find the file {shown} in container"))
        }
        _ => HelperError::Step(format!("{shown}: {error}")),
    };
    let name = String::from_utf8_lossy(&clean_path(shown.as_bytes())).into_owned();
    // The content of a directory is meant by `DIRECTORY/.`.
    let name = name.rsplit('/').next().filter(|name| !name.is_empty() && !shown.ends_with("/."));
    let name = name.unwrap_or(".").to_owned();
    let mut path = shown.as_bytes().to_vec();
    for _ in 0..MAX_LINKS {
        let (above, last) = last_part(&path);
        let parent = open_in(root, &above, OFlags::RDONLY | OFlags::DIRECTORY).map_err(failed)?;
        let stat = match statat(&parent, last.as_slice(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => return Err(failed(io::Error::from_raw_os_error(Errno::raw_os_error(error)))),
        };
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => PathKind::Directory,
            FileType::RegularFile => PathKind::File,
            FileType::Symlink => PathKind::Link,
            _ => PathKind::Other,
        };
        if kind == PathKind::Link && request.follow {
            let target = readlinkat(&parent, last.as_slice(), Vec::new()).map_err(|error| failed(error.into()))?;
            let target = target.into_bytes();
            path = if target.starts_with(b"/") { target } else { [above.as_slice(), b"/", &target].concat() };
            continue;
        }
        return Ok(Found { parent, name: last, stat: PathStat { name, kind } });
    }
    Err(failed(Errno::LOOP.into()))
}

/// Splits a path into the directory and the name in it; one that ends in dots is a directory itself.
fn last_part(path: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let end = path.iter().rposition(|byte| *byte != b'/').map_or(0, |at| at + 1);
    let start = path[..end].iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
    match &path[start..end] {
        b"" | b"." | b".." => (path[..end].to_vec(), b".".to_vec()),
        last => (path[..start].to_vec(), last.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_before_their_last_name() {
        let split = |path: &str| {
            let (above, last) = last_part(path.as_bytes());
            (String::from_utf8(above).unwrap(), String::from_utf8(last).unwrap())
        };
        let pair = |above: &str, last: &str| (above.to_owned(), last.to_owned());
        assert_eq!(split("/a/b"), pair("/a/", "b"));
        assert_eq!(split("/a/"), pair("/", "a"));
        assert_eq!(split("/"), pair("", "."));
        assert_eq!(split("a/.."), pair("a/..", "."));
    }
}
