//! How far compressed bytes may grow: what is announced in megabytes must not occupy the machine for minutes.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const GIB: u64 = 1024 * 1024 * 1024;
/// Bytes that one compressed byte may become without being counted as sparse: real files stay far below.
const MAX_RATIO: u64 = 200;
/// Sparse bytes of deflate, which makes a gigabyte of zeros in a second: it needs a megabyte for them.
const SPARSE_GZIP: u64 = GIB;
/// Sparse bytes of zstd, which needs some kilobytes for a gigabyte of zeros, and is several times as fast.
const SPARSE_ZSTD: u64 = 4 * GIB;
/// Sparse bytes of bzip2 and xz, which are the slowest.
const SPARSE_SLOW: u64 = GIB / 2;

/// Limits on the decompressed size of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Growth {
    /// Bytes at most.
    max_bytes: u64,
    /// Bytes beyond [`MAX_RATIO`] times the compressed ones; `None` for what was made here and may be anything.
    sparse: Option<u64>,
}

impl Growth {
    /// Returns the bounds of what somebody else made: `max_bytes` at most, and not more of it sparse than is read quickly.
    pub fn foreign(max_bytes: u64) -> Self {
        Growth { max_bytes, sparse: Some(SPARSE_SLOW) }
    }

    /// Returns the bounds of a layer that was made here: a step may leave files of nothing but zeros.
    pub fn own(max_bytes: u64) -> Self {
        Growth { max_bytes, sparse: None }
    }

    pub(super) fn of_gzip(self) -> Self {
        Growth { sparse: self.sparse.map(|_| SPARSE_GZIP), ..self }
    }

    pub(super) fn of_zstd(self) -> Self {
        Growth { sparse: self.sparse.map(|_| SPARSE_ZSTD), ..self }
    }

    fn allows(self, out: u64, read: u64) -> bool {
        let sparse = self.sparse.is_none_or(|sparse| out <= read.saturating_mul(MAX_RATIO).saturating_add(sparse));
        sparse && out <= self.max_bytes
    }
}

/// Counts what is read of the compressed bytes.
pub(crate) struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R> Counted<R> {
    /// Counts from 0.
    pub(crate) fn new(input: R) -> Self {
        Counted { input, read: Arc::default() }
    }

    /// Returns the count, which goes on.
    pub(crate) fn count(&self) -> Arc<AtomicU64> {
        self.read.clone()
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.read.fetch_add(amount as u64, Ordering::Relaxed);
        self.input.consume(amount);
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// Refuses what grows beyond its bounds.
pub(crate) struct Bounded<D> {
    inner: D,
    out: u64,
    read: Arc<AtomicU64>,
    growth: Growth,
}

impl<D> Bounded<D> {
    /// Bounds what `inner` returns; `read` counts the compressed bytes.
    pub(crate) fn new(inner: D, read: Arc<AtomicU64>, growth: Growth) -> Self {
        Bounded { inner, out: 0, read, growth }
    }
}

impl<D: Read> Read for Bounded<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.out += got as u64;
        if self.growth.allows(self.out, self.read.load(Ordering::Relaxed)) {
            return Ok(got);
        }
        let read = self.read.load(Ordering::Relaxed);
        Err(io::Error::other(format!(
            "decompressed it has more than {} bytes, which is far more than its {read} compressed bytes allow",
            self.out - got as u64
        )))
    }
}
