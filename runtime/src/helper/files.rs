//! Sends the contents of files of snapshots, one after the other.

use super::stream::stream;
use super::walk::{open_directory, open_exactly};
use crate::FileInSnapshot;
use crate::error::HelperError;
use crate::protocol::Conversation;
use rustix::fs::OFlags;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;

/// Serves the request: batches of files until an empty one, then their contents.
pub(crate) fn serve(mut conversation: Conversation) -> io::Result<()> {
    let mut files: Vec<FileInSnapshot> = Vec::new();
    loop {
        let batch: Vec<FileInSnapshot> = conversation.receive_value()?;
        if batch.is_empty() {
            break;
        }
        files.extend(batch);
    }
    stream(&mut conversation, |out| write(&files, out))
}

fn write(files: &[FileInSnapshot], out: &mut dyn Write) -> Result<(), HelperError> {
    let mut roots: HashMap<String, OwnedFd> = HashMap::new();
    for file in files {
        let directory = file.snapshot.directory();
        let failed = |error: io::Error| {
            HelperError::Inside(format!(
                "reading `{}` of snapshot {}: {error}",
                String::from_utf8_lossy(&file.path),
                file.snapshot
            ))
        };
        if !roots.contains_key(&directory) {
            roots.insert(directory.clone(), open_directory(&directory).map_err(failed)?);
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let opened = open_exactly(&roots[&directory], &file.path, flags).map_err(failed)?;
        let opened = File::from(opened);
        if !opened.metadata().map_err(failed)?.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        let copied = io::copy(&mut opened.take(file.size), out).map_err(failed)?;
        if copied != file.size {
            return Err(failed(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok(())
}
