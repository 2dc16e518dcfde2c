//! Cuts a tar into pieces that are compressed by themselves: headers, and the contents of files.

use super::super::compression::Compression;
use super::super::hidden::Recorder;
use super::chunker::Chunker;
use super::piece::{Batch, Part, Piece, Sums};
use files::tar::{self, BLOCK, Entry};
use std::io::{self, Read};

/// Bytes of the tar that are compressed as one job, at least.
pub(super) const BATCH: usize = 1024 * 1024;
/// Bytes of a file that are read at once.
const STEP: usize = 64 * 1024;

/// Cuts `tar` into batches for `emit`; of a tar with a table in it the end is left out, for more entries follow.
pub(super) fn cut(
    tar: impl Read,
    compression: Compression,
    emit: &mut dyn FnMut(Batch) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = tar::Reader::new(Recorder::new(tar));
    let mut cutter = Cutter { compression, batch: Batch::default(), emit };
    let mut padding = 0;
    while let Some(entry) = reader.next_entry().map_err(io::Error::other)? {
        let header = reader.input().take();
        let size = entry.size();
        padding = (BLOCK - (size % BLOCK as u64) as usize) % BLOCK;
        cutter.entry(entry, &header)?;
        reader.input().keeps = false;
        cutter.content(size, &mut reader)?;
        reader.input().keeps = true;
    }
    io::copy(reader.input(), &mut io::sink())?;
    let end = reader.input().take();
    let length = if compression == Compression::Estargz { padding.min(end.len()) } else { end.len() };
    cutter.end(&end[..length])
}

struct Cutter<'e> {
    compression: Compression,
    batch: Batch,
    emit: &'e mut dyn FnMut(Batch) -> io::Result<()>,
}

impl Cutter<'_> {
    fn entry(&mut self, entry: Entry, header: &[u8]) -> io::Result<()> {
        self.batch.bytes.extend_from_slice(header);
        self.batch.pieces.push(Piece::Entry { entry: Box::new(entry), length: header.len() });
        self.emit_full(self.batch.bytes.len()).map(drop)
    }

    fn content(&mut self, size: u64, content: &mut dyn Read) -> io::Result<()> {
        let mut chunker = Chunker::new(self.compression);
        let mut sums = (!chunker.keeps_whole(size)).then(|| Sums::new(self.compression));
        let (mut left, mut start) = (size, self.batch.bytes.len());
        while left > 0 {
            let mut at = self.batch.bytes.len();
            let step = usize::try_from(left).unwrap_or(STEP).min(STEP);
            self.batch.bytes.resize(at + step, 0);
            content.read_exact(&mut self.batch.bytes[at..])?;
            left -= step as u64;
            let Some(sums) = &mut sums else { continue };
            sums.update(&self.batch.bytes[at..]);
            while let Some(cut) = chunker.cut(&self.batch.bytes[at..]) {
                at += cut;
                if left == 0 && at == self.batch.bytes.len() {
                    break;
                }
                self.batch.pieces.push(Piece::Chunk { length: at - start, part: Part::Some });
                at = self.emit_full(at)?;
                start = at;
            }
        }
        if size == 0 {
            return Ok(());
        }
        let part = sums.map_or(Part::Whole, |sums| Part::Last(Box::new(sums.finish())));
        self.batch.pieces.push(Piece::Chunk { length: self.batch.bytes.len() - start, part });
        self.emit_full(self.batch.bytes.len()).map(drop)
    }

    fn end(&mut self, end: &[u8]) -> io::Result<()> {
        self.batch.bytes.extend_from_slice(end);
        self.batch.pieces.push(Piece::End { length: end.len() });
        (self.emit)(std::mem::take(&mut self.batch))
    }

    /// Emits the batch up to the end of its pieces, `to`, if it is full; returns where what follows begins.
    fn emit_full(&mut self, to: usize) -> io::Result<usize> {
        if to < BATCH {
            return Ok(to);
        }
        let mut bytes = Vec::with_capacity(BATCH + BATCH / 4);
        bytes.extend_from_slice(&self.batch.bytes[to..]);
        let mut full = std::mem::replace(&mut self.batch, Batch { bytes, pieces: Vec::new() });
        full.bytes.truncate(to);
        (self.emit)(full)?;
        Ok(0)
    }
}
