//! Packs a layer with a table: it is cut into pieces, which are hashed and compressed side by side.

use super::super::compression::{Codec, Compression};
use super::super::pipeline::{Blocks, Results, Stage, pool};
use super::cut::cut;
use super::piece::{Batch, PackedBatch, pack};
use super::table::{Listing, Table};
use super::{estargz, zstd_chunked};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// A layer with a table that is complete: the hash of its tar, and its annotations.
pub(in super::super) type Ended = (Sha256, BTreeMap<String, String>);

/// The threads of a layer of more than one block.
pub(in super::super) struct PartsPipeline {
    compression: Compression,
    cutter: Stage<Vec<u8>, io::Result<()>>,
    hash: Stage<Batch, Sha256>,
    packed: Results<PackedBatch>,
    table: Table,
}

impl PartsPipeline {
    /// Starts the threads.
    pub(in super::super) fn start(compression: Compression) -> io::Result<Self> {
        let hash = Stage::start(|batches| {
            let mut hash = Sha256::new();
            batches.iter().for_each(|batch: Arc<Batch>| hash.update(&batch.bytes));
            hash
        });
        let (jobs, packed) = pool(|| {
            let mut codec = Codec::new(compression)?;
            Ok(move |batch| pack(&mut codec, compression, batch))
        })?;
        let hashed = hash.blocks.clone();
        let cutter = Stage::start(move |blocks| {
            let mut blocks = Blocks::new(blocks);
            let mut number = 0;
            let done = cut(&mut blocks, compression, &mut |batch| {
                let batch = Arc::new(batch);
                let sent = hashed.send(batch.clone()).is_ok() && jobs.send((number, batch)).is_ok();
                number += 1;
                if sent { Ok(()) } else { Err(super::super::pipeline::gone()) }
            });
            // The sender of more must not find nobody there.
            io::copy(&mut blocks, &mut io::sink())?;
            done
        });
        Ok(PartsPipeline { compression, cutter, hash, packed, table: Table::new(compression)? })
    }

    /// Gives it the next block, and writes what is compressed by now.
    pub(in super::super) fn give(&mut self, block: &Arc<Vec<u8>>, out: &mut dyn Write) -> io::Result<()> {
        self.cutter.give(block)?;
        while let Some(packed) = self.packed.ready()? {
            self.table.add(&packed)?;
            out.write_all(&packed.bytes)?;
        }
        Ok(())
    }

    /// Writes the rest.
    pub(in super::super) fn finish(mut self, out: &mut dyn Write) -> io::Result<Ended> {
        let cutter = self.cutter;
        drop(cutter.blocks);
        while let Some(packed) = self.packed.wait()? {
            self.table.add(&packed)?;
            out.write_all(&packed.bytes)?;
        }
        cutter.thread.join().map_err(|_| super::super::pipeline::gone())??;
        let tail = Tail { compression: self.compression, table: self.table, hash: self.hash.end()? };
        tail.write(out)
    }
}

/// Packs a layer that fits into one block without any thread.
pub(in super::super) fn finish_small(tar: &[u8], compression: Compression, out: &mut dyn Write) -> io::Result<Ended> {
    let mut tail = Tail { compression, table: Table::new(compression)?, hash: Sha256::new() };
    tail.add(tar, out)?;
    tail.write(out)
}

/// A layer that is being completed by one thread.
struct Tail {
    compression: Compression,
    table: Table,
    hash: Sha256,
}

impl Tail {
    /// Adds the entries of a whole tar.
    fn add(&mut self, tar: &[u8], out: &mut dyn Write) -> io::Result<()> {
        let mut codec = Codec::new(self.compression)?;
        cut(tar, self.compression, &mut |batch| {
            self.hash.update(&batch.bytes);
            let packed = pack(&mut codec, self.compression, Arc::new(batch))?;
            self.table.add(&packed)?;
            out.write_all(&packed.bytes)
        })
    }

    fn write(self, out: &mut dyn Write) -> io::Result<Ended> {
        match self.compression {
            Compression::Estargz => self.estargz(out),
            _ => self.zstd_chunked(out),
        }
    }

    fn zstd_chunked(self, out: &mut dyn Write) -> io::Result<Ended> {
        let (at, hash) = (self.table.written, self.hash);
        let Some(Listing { table, split: Some(split) }) = self.table.finish()? else {
            return Ok((hash, BTreeMap::new()));
        };
        let (end, annotations) = zstd_chunked::end(at, &table, &split);
        out.write_all(&end)?;
        Ok((hash, annotations))
    }

    fn estargz(mut self, out: &mut dyn Write) -> io::Result<Ended> {
        if self.table.is_complete() {
            self.table.is_ending = true;
            self.add(&estargz::landmark_tar()?, out)?;
        }
        let (at, size, mut hash) = (self.table.written, self.table.tar_size, self.hash);
        let table = self.table.finish()?.map(|listing| listing.table.bytes);
        let end = estargz::table_tar(table.as_deref())?;
        hash.update(&end);
        let mut packed = Vec::new();
        Codec::new(self.compression)?.append(&end, &mut packed)?;
        out.write_all(&packed)?;
        let Some(table) = table else { return Ok((hash, BTreeMap::new())) };
        out.write_all(&estargz::footer(at))?;
        Ok((hash, estargz::annotations(&table, size + end.len() as u64)))
    }
}
