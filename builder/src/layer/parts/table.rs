//! The table of a layer's files, written while they are packed.

use super::super::compression::{Compression, zstd_stream};
use super::super::hidden::is_hidden;
use super::piece::{FileSums, PackedBatch, Part, Piece};
use super::row::Row;
use super::tar_split::TarSplit;
use super::zstd_chunked::Section;
use files::tar::Entry;
use registry_client::Digest;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::ops::Range;

/// A table in progress.
pub(super) struct Table {
    compression: Compression,
    /// Bytes of the blob that the pieces made so far.
    pub written: u64,
    /// Bytes of the tar so far.
    pub tar_size: u64,
    json: Json,
    size: u64,
    rows: u64,
    split: Option<TarSplit>,
    /// The rows of a file whose content is not complete.
    open: Vec<Row>,
    /// Hashes of the names so far.
    names: HashSet<u64>,
    /// Whether every entry has a row. Readers refuse a table with a name twice, and JSON has no name that is not text:
    /// such a layer has no table, and is read as a whole.
    is_complete: bool,
    /// Whether the entries are those of the format itself.
    pub is_ending: bool,
}

/// A complete table.
pub(super) struct Listing {
    /// The table: compressed in zstd:chunked, JSON in eStargz.
    pub table: Section,
    /// All that is not in files, for zstd:chunked.
    pub split: Option<Section>,
}

enum Json {
    Plain(Vec<u8>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Table {
    /// Starts an empty one.
    pub(super) fn new(compression: Compression) -> io::Result<Self> {
        let chunked = compression == Compression::ZstdChunked;
        let mut table = Table {
            compression,
            written: 0,
            tar_size: 0,
            json: if chunked { Json::Zstd(zstd_stream()?) } else { Json::Plain(Vec::new()) },
            size: 0,
            rows: 0,
            split: if chunked { Some(TarSplit::new()?) } else { None },
            open: Vec::new(),
            names: HashSet::new(),
            is_complete: true,
            is_ending: false,
        };
        table.text(b"{\"version\":1,\"entries\":[")?;
        Ok(table)
    }

    /// Tells whether there will be a table.
    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Adds the entries of a batch, whose bytes follow those of the one before in the blob.
    pub(super) fn add(&mut self, packed: &PackedBatch) -> io::Result<()> {
        let (mut at, mut chunks) = (0, packed.chunks.iter());
        for piece in &packed.batch.pieces {
            let (Piece::Entry { length, .. } | Piece::Chunk { length, .. } | Piece::End { length }) = piece;
            let bytes = &packed.batch.bytes[at..at + length];
            at += length;
            if !self.is_complete {
                continue;
            }
            match piece {
                Piece::Entry { entry, .. } => self.entry(entry, bytes)?,
                Piece::Chunk { part, .. } => {
                    let (range, sums) = chunks.next().expect("each chunk was packed");
                    self.chunk(Chunk { range: self.moved(range), size: *length as u64, sums, part })?;
                }
                Piece::End { .. } => self.segment(bytes)?,
            }
        }
        self.written += packed.bytes.len() as u64;
        self.tar_size += packed.batch.bytes.len() as u64;
        Ok(())
    }

    /// Returns the table, if it is complete.
    pub(super) fn finish(mut self) -> io::Result<Option<Listing>> {
        if !self.is_complete {
            return Ok(None);
        }
        self.text(b"]")?;
        let split = self.split.take().map(TarSplit::finish).transpose()?;
        if let Some(split) = &split {
            let digest = Digest::of(&split.bytes);
            self.text(format!(",\"tarSplitDigest\":\"{digest}\"").as_bytes())?;
        }
        self.text(b"}")?;
        let bytes = match self.json {
            Json::Plain(bytes) => bytes,
            Json::Zstd(out) => out.finish()?,
        };
        Ok(Some(Listing { table: Section { bytes, size: self.size }, split }))
    }

    fn entry(&mut self, entry: &Entry, headers: &[u8]) -> io::Result<()> {
        let mut hash = DefaultHasher::new();
        entry.path.hash(&mut hash);
        let is_new = self.names.insert(hash.finish());
        let is_reserved = self.compression == Compression::Estargz && !self.is_ending && is_hidden(&entry.path);
        let Some(row) = Row::new(entry).filter(|_| is_new && !is_reserved) else {
            self.is_complete = false;
            return Ok(());
        };
        self.segment(headers)?;
        if row.size() > 0 {
            self.open.push(row);
            return Ok(());
        }
        if let Some(split) = &mut self.split {
            split.file(&row.name, None)?;
        }
        self.row(&row)
    }

    fn chunk(&mut self, chunk: Chunk<'_>) -> io::Result<()> {
        let first = self.open.first().expect("a chunk follows its file");
        let (name, size) = (first.name.clone(), first.size());
        let done = self.open.last().filter(|last| last.chunk_size > 0).map(|last| last.chunk_offset + last.chunk_size);
        if done.is_some() {
            self.open.push(Row::chunk(&name));
        }
        let row = self.open.last_mut().expect("there is one at least");
        row.offset = chunk.range.start;
        row.chunk_offset = done.unwrap_or(0);
        row.chunk_size = chunk.size;
        row.chunk_digest = Digest::from_sha256(chunk.sums.sha256).to_string();
        let sums = match chunk.part {
            Part::Some => return Ok(()),
            Part::Whole => chunk.sums,
            Part::Last(sums) => sums,
        };
        let mut rows = std::mem::take(&mut self.open);
        rows[0].digest = Digest::from_sha256(sums.sha256).to_string();
        if let Some(split) = &mut self.split {
            split.file(&name, Some((size, sums)))?;
            rows[0].end_offset = chunk.range.end;
            if let [row] = rows.as_mut_slice() {
                (row.chunk_size, row.chunk_digest) = (0, String::new());
            }
        } else if let Some(last) = rows.last_mut() {
            last.chunk_size = 0;
        }
        rows.iter().try_for_each(|row| self.row(row))
    }

    fn moved(&self, range: &Range<u64>) -> Range<u64> {
        self.written + range.start..self.written + range.end
    }

    fn segment(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.split.as_mut().map_or(Ok(()), |split| split.segment(bytes))
    }

    fn row(&mut self, row: &Row) -> io::Result<()> {
        let mut line = if self.rows > 0 { b",\n".to_vec() } else { b"\n".to_vec() };
        serde_json::to_writer(&mut line, row)?;
        self.rows += 1;
        self.text(&line)
    }

    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        self.size += text.len() as u64;
        match &mut self.json {
            Json::Plain(out) => out.write_all(text),
            Json::Zstd(out) => out.write_all(text),
        }
    }
}

/// A chunk of the file whose rows are open.
struct Chunk<'c> {
    range: Range<u64>,
    size: u64,
    sums: &'c FileSums,
    part: &'c Part,
}
