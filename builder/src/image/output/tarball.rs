//! Files of an image layout as a tar, with the same bytes for the same image.

use super::layout::Sink;
use files::tar::{Entry, EntryKind, Writer};
use std::io::{self, Read, Write};

/// Writes files into a tar; directories come before what is in them.
pub(crate) struct Tarball<W: Write> {
    writer: Writer<W>,
}

impl<W: Write> Tarball<W> {
    /// Starts a tar.
    pub(crate) fn new(out: W) -> Self {
        Tarball { writer: Writer::new(out) }
    }

    /// Ends it.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.writer.finish().map(drop)
    }
}

impl<W: Write> Sink for Tarball<W> {
    fn directory(&mut self, path: &str) -> io::Result<()> {
        self.writer.bare(&entry(path, EntryKind::Directory, 0o755))
    }

    fn file(&mut self, path: &str, size: u64, content: &mut dyn Read) -> io::Result<()> {
        self.writer.entry(&entry(path, EntryKind::File { size }, 0o644), content)
    }
}

fn entry(path: &str, kind: EntryKind, mode: u32) -> Entry {
    Entry { path: path.as_bytes().to_vec(), kind, mode, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}
