//! Packs a layer: hash, index and compression run beside the writing, on all cores, with back-pressure.

use super::compression::{Codec, Compression};
use super::parts::{self, PartsPipeline};
use super::pipeline::{Blocks, Jobs, Results, Stage, gone, pool, workers};
use files::tree::{Index, IndexError};
use registry_client::DiffId;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// Bytes that are compressed as one block; larger ones gain no ratio, smaller ones lose it.
pub(crate) const BLOCK: usize = 1024 * 1024;

/// A packed layer.
#[derive(Debug)]
pub struct Packed {
    /// Digest of the tar.
    pub diff_id: DiffId,
    /// Its paths.
    pub index: Index,
    /// The annotations of its descriptor, which tell where its table is, if it has one.
    pub annotations: BTreeMap<String, String>,
}

/// Takes a tar and writes it compressed to `W`.
pub struct LayerWriter<W: Write> {
    out: W,
    compression: Compression,
    block: Vec<u8>,
    pipeline: Option<Pipeline>,
}

/// Threads that a layer of more than one block is given.
struct Pipeline {
    index: Stage<Vec<u8>, Result<Index, IndexError>>,
    packing: Packing,
}

/// Those that hash and compress.
enum Packing {
    Blocks(BlocksPipeline),
    Parts(Box<PartsPipeline>),
}

/// Blocks are compressed as they come.
struct BlocksPipeline {
    hash: Stage<Vec<u8>, Sha256>,
    jobs: Jobs<Arc<Vec<u8>>>,
    packed: Results<Vec<u8>>,
    sent: u64,
}

impl<W: Write> LayerWriter<W> {
    /// Starts a layer.
    pub fn new(out: W, compression: Compression) -> Self {
        LayerWriter { out, compression, block: Vec::new(), pipeline: None }
    }

    /// Ends the layer; returns what it is and the writer.
    pub fn finish(mut self) -> io::Result<(Packed, W)> {
        if self.pipeline.is_none() {
            return self.finish_small();
        }
        self.send_block()?;
        let Pipeline { index, packing } = self.pipeline.take().expect("it was there above");
        let ended = match packing {
            Packing::Blocks(blocks) => blocks.finish(&mut self.out).map(|hash| (hash, BTreeMap::new())),
            Packing::Parts(parts) => parts.finish(&mut self.out),
        };
        // A tar that no layer may hold is refused for that, whatever else became of it.
        let index = index.end()?.map_err(io::Error::other)?;
        let (hash, annotations) = ended?;
        Ok((Packed { diff_id: diff_id(hash), index, annotations }, self.out))
    }

    /// Packs a layer that fits into one block without any thread.
    fn finish_small(mut self) -> io::Result<(Packed, W)> {
        let tar = self.block.as_slice();
        let index = Index::from_tar(&mut &tar[..]).map_err(io::Error::other)?;
        let (hash, annotations) = if self.compression.has_table() {
            parts::finish_small(tar, self.compression, &mut self.out)?
        } else {
            self.out.write_all(&Codec::new(self.compression)?.compress(tar)?)?;
            (Sha256::new_with_prefix(tar), BTreeMap::new())
        };
        Ok((Packed { diff_id: diff_id(hash), index, annotations }, self.out))
    }

    fn send_block(&mut self) -> io::Result<()> {
        let block = Arc::new(std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK)));
        if self.pipeline.is_none() {
            self.pipeline = Some(Pipeline::start(self.compression)?);
        }
        let pipeline = self.pipeline.as_mut().expect("it was started above");
        pipeline.index.give(&block)?;
        match &mut pipeline.packing {
            Packing::Blocks(blocks) => blocks.give(&block, &mut self.out),
            Packing::Parts(parts) => parts.give(&block, &mut self.out),
        }
    }
}

impl<W: Write> Write for LayerWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full block is sent when more comes, so that the last one is never empty for nothing.
        if self.block.len() == BLOCK {
            self.send_block()?;
        }
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipeline {
    fn start(compression: Compression) -> io::Result<Pipeline> {
        let packing = match compression.has_table() {
            true => Packing::Parts(Box::new(PartsPipeline::start(compression)?)),
            false => Packing::Blocks(BlocksPipeline::start(compression)?),
        };
        let index = Stage::start(|blocks| {
            let mut blocks = Blocks::new(blocks);
            let index = Index::from_tar(&mut blocks);
            // The tar's padding still comes; whoever sends it must not find nobody there.
            io::copy(&mut blocks, &mut io::sink()).map_err(|error| IndexError::Tar(error.into()))?;
            index
        });
        Ok(Pipeline { index, packing })
    }
}

impl BlocksPipeline {
    fn start(compression: Compression) -> io::Result<Self> {
        let (jobs, packed) = pool(|| {
            let mut codec = Codec::new(compression)?;
            Ok(move |block: Arc<Vec<u8>>| codec.compress(&block))
        })?;
        let hash = Stage::start(|blocks| {
            let mut hash = Sha256::new();
            blocks.iter().for_each(|block: Arc<Vec<u8>>| hash.update(&*block));
            hash
        });
        Ok(BlocksPipeline { hash, jobs, packed, sent: 0 })
    }

    fn give(&mut self, block: &Arc<Vec<u8>>, out: &mut dyn Write) -> io::Result<()> {
        self.hash.give(block)?;
        self.jobs.send((self.sent, block.clone())).map_err(|_| gone())?;
        self.sent += 1;
        while self.sent - self.packed.taken() > (workers() + 1) as u64 {
            out.write_all(&self.packed.wait()?.ok_or_else(gone)?)?;
        }
        Ok(())
    }

    fn finish(mut self, out: &mut dyn Write) -> io::Result<Sha256> {
        drop(self.jobs);
        while let Some(packed) = self.packed.wait()? {
            out.write_all(&packed)?;
        }
        self.hash.end()
    }
}

fn diff_id(hash: Sha256) -> DiffId {
    DiffId::from_sha256(hash.finalize().into())
}
