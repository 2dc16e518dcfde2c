//! The pieces of a tar, as they are and compressed.

use super::super::compression::{Codec, Compression};
use super::crc64::Crc64;
use files::tar::Entry;
use sha2::{Digest as _, Sha256};
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// Pieces of a tar that follow each other.
#[derive(Default)]
pub(super) struct Batch {
    /// All their bytes.
    pub bytes: Vec<u8>,
    /// Their kinds, in order.
    pub pieces: Vec<Piece>,
}

/// A range of a tar.
pub(super) enum Piece {
    /// The headers of an entry, behind the padding of the one before.
    Entry {
        /// The entry that they describe.
        entry: Box<Entry>,
        /// Their bytes.
        length: usize,
    },
    /// Content of the file whose headers came last.
    Chunk {
        /// Its bytes.
        length: usize,
        /// Its place in the file.
        part: Part,
    },
    /// Padding and zero blocks.
    End {
        /// Their bytes.
        length: usize,
    },
}

/// The place of a chunk in its file.
pub(super) enum Part {
    /// It is all of it.
    Whole,
    /// More of it follows.
    Some,
    /// It is the end of a file with these sums.
    Last(Box<FileSums>),
}

/// Sums of a file's content.
#[derive(Clone, Copy)]
pub(super) struct FileSums {
    /// For its digest.
    pub sha256: [u8; 32],
    /// For tar-split; not computed for other formats.
    pub crc64: [u8; 8],
}

/// Sums in progress.
pub(super) struct Sums {
    sha256: Sha256,
    crc64: Option<Crc64>,
}

impl Sums {
    /// Starts those that `compression` needs.
    pub(super) fn new(compression: Compression) -> Self {
        let crc64 = (compression == Compression::ZstdChunked).then(Crc64::default);
        Sums { sha256: Sha256::new(), crc64 }
    }

    /// Takes more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.crc64.iter_mut().for_each(|crc64| crc64.update(bytes));
    }

    /// Returns the sums.
    pub(super) fn finish(self) -> FileSums {
        FileSums { sha256: self.sha256.finalize().into(), crc64: self.crc64.map(Crc64::bytes).unwrap_or_default() }
    }
}

/// A batch, compressed.
pub(super) struct PackedBatch {
    /// The batch as it was.
    pub batch: Arc<Batch>,
    /// Its pieces compressed.
    pub bytes: Vec<u8>,
    /// Where its chunks are in there, and their sums, in order.
    pub chunks: Vec<(Range<u64>, FileSums)>,
}

/// Compresses a batch: each chunk by itself, and what is between two of them together.
pub(super) fn pack(codec: &mut Codec, compression: Compression, batch: Arc<Batch>) -> io::Result<PackedBatch> {
    let mut bytes = Vec::with_capacity(batch.bytes.len() / 2 + 1024);
    let mut chunks = Vec::new();
    let (mut done, mut at) = (0, 0);
    for piece in &batch.pieces {
        let (Piece::Entry { length, .. } | Piece::Chunk { length, .. } | Piece::End { length }) = piece;
        if let Piece::Chunk { part, .. } = piece {
            if done < at {
                codec.append(&batch.bytes[done..at], &mut bytes)?;
            }
            let (chunk, start) = (&batch.bytes[at..at + length], bytes.len() as u64);
            codec.append(chunk, &mut bytes)?;
            // Of a file in several chunks the checksum of tar-split is computed while it is cut.
            let sums = match part {
                Part::Whole => Sums::new(compression),
                Part::Some | Part::Last(_) => Sums::new(Compression::Estargz),
            };
            chunks.push((start..bytes.len() as u64, sums.of(chunk)));
            done = at + length;
        }
        at += length;
    }
    if done < at {
        codec.append(&batch.bytes[done..at], &mut bytes)?;
    }
    Ok(PackedBatch { batch, bytes, chunks })
}

impl Sums {
    fn of(mut self, bytes: &[u8]) -> FileSums {
        self.update(bytes);
        self.finish()
    }
}
