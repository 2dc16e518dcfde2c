//! The files that eStargz puts into a layer for itself: its table and its landmarks, which no image shows.

use files::tar::{BLOCK, Entry, Reader};
use std::io::{self, Read};

/// The annotation of a layer in eStargz: the digest of its table.
pub(crate) const ESTARGZ_TABLE: &str = "containerd.io/snapshot/stargz/toc.digest";
/// The file of the table.
pub(crate) const TABLE: &[u8] = b"stargz.index.json";
/// The file that says that nothing is to be fetched before it is read.
pub(crate) const LANDMARK: &[u8] = b".no.prefetch.landmark";
/// The file up to which everything is to be fetched at once.
const OTHER_LANDMARK: &[u8] = b".prefetch.landmark";
/// Bytes that are read at once.
const STEP: u64 = 64 * 1024;

/// Tells whether `path` is that of such a file.
pub(crate) fn is_hidden(path: &[u8]) -> bool {
    [TABLE, LANDMARK, OTHER_LANDMARK].contains(&path)
}

/// Passes on the tar of a layer in eStargz without those files.
pub struct Shown<R: Read> {
    reader: Reader<Recorder<R>>,
    /// Bytes that are to be passed on.
    ready: io::Cursor<Vec<u8>>,
    /// Bytes of the current entry's content that were not read.
    left: u64,
    /// Bytes after the content of the entry before.
    padding: usize,
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Shown,
    Hidden,
    Ended,
}

impl<R: Read> Shown<R> {
    /// Starts with the first byte of `tar`.
    pub fn new(tar: R) -> Self {
        let reader = Reader::new(Recorder::new(tar));
        Shown { reader, ready: io::Cursor::default(), left: 0, padding: 0, state: State::Shown }
    }

    fn next(&mut self) -> io::Result<Vec<u8>> {
        if self.left > 0 {
            let mut content = Vec::new();
            let read = self.reader.by_ref().take(self.left.min(STEP)).read_to_end(&mut content)?;
            self.left -= read as u64;
            return Ok(if self.state == State::Shown { content } else { Vec::new() });
        }
        self.reader.input().keeps = true;
        let entry = self.reader.next_entry().map_err(io::Error::other)?;
        let mut between = self.reader.input().take();
        self.reader.input().keeps = false;
        // Before the headers is the padding of the entry before.
        let headers = between.split_off(self.padding.min(between.len()));
        if self.state == State::Hidden {
            between.clear();
        }
        self.state = match &entry {
            Some(entry) if is_hidden(&entry.path) => State::Hidden,
            Some(_) => State::Shown,
            None => State::Ended,
        };
        if self.state != State::Hidden {
            between.extend_from_slice(&headers);
        }
        self.left = entry.as_ref().map_or(0, Entry::size);
        self.padding = (BLOCK - (self.left % BLOCK as u64) as usize) % BLOCK;
        Ok(between)
    }
}

impl<R: Read> Read for Shown<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.ready.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            if self.state == State::Ended {
                return self.reader.input().read(buffer);
            }
            self.ready = io::Cursor::new(self.next()?);
        }
    }
}

/// Records what is read, while it is asked to.
pub(crate) struct Recorder<R> {
    inner: R,
    kept: Vec<u8>,
    /// Whether it is asked to.
    pub keeps: bool,
}

impl<R> Recorder<R> {
    /// Keeps from the first byte on.
    pub(crate) fn new(inner: R) -> Self {
        Recorder { inner, kept: Vec::new(), keeps: true }
    }

    /// Returns what was kept since the last time.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.kept)
    }
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if self.keeps {
            self.kept.extend_from_slice(&buffer[..read]);
        }
        Ok(read)
    }
}
