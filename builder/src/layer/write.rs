//! Packs a layer: hash, index and compression run beside the writing, on all cores, with back-pressure.

use super::compression::{Codec, Compression};
use files::tree::{Index, IndexError};
use registry_client::DiffId;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Bytes that are compressed as one block; larger ones gain no ratio, smaller ones lose it.
pub(crate) const BLOCK: usize = 1024 * 1024;
/// Blocks that may wait for the hash or the index before the writer waits for them.
const WAITING: usize = 4;

/// A packed layer.
#[derive(Debug)]
pub struct Packed {
    /// Digest of the tar.
    pub diff_id: DiffId,
    /// Its paths.
    pub index: Index,
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
    hash: Stage<Sha256>,
    index: Stage<Result<Index, IndexError>>,
    jobs: Option<Sender<(u64, Arc<Vec<u8>>)>>,
    done: Receiver<(u64, io::Result<Vec<u8>>)>,
    compressors: Vec<JoinHandle<()>>,
    /// Compressed blocks that wait for an earlier one.
    early: BTreeMap<u64, Vec<u8>>,
    sent: u64,
    written: u64,
}

/// A thread that is given blocks and returns something in the end.
struct Stage<T> {
    blocks: SyncSender<Arc<Vec<u8>>>,
    thread: JoinHandle<T>,
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
        let mut pipeline = self.pipeline.take().expect("it was there above");
        pipeline.jobs = None;
        while pipeline.written < pipeline.sent {
            pipeline.write_next(&mut self.out)?;
        }
        pipeline.compressors.into_iter().for_each(|thread| drop(thread.join()));
        let diff_id = diff_id(pipeline.hash.end()?);
        let index = pipeline.index.end()?.map_err(io::Error::other)?;
        Ok((Packed { diff_id, index }, self.out))
    }

    /// Packs a layer that fits into one block without any thread.
    fn finish_small(mut self) -> io::Result<(Packed, W)> {
        let tar = self.block.as_slice();
        let index = Index::from_tar(&mut &tar[..]).map_err(io::Error::other)?;
        self.out.write_all(&Codec::new(self.compression)?.compress(tar)?)?;
        Ok((Packed { diff_id: diff_id(Sha256::new_with_prefix(tar)), index }, self.out))
    }

    fn send_block(&mut self) -> io::Result<()> {
        let block = Arc::new(std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK)));
        if self.pipeline.is_none() {
            self.pipeline = Some(Pipeline::start(self.compression)?);
        }
        let pipeline = self.pipeline.as_mut().expect("it was started above");
        pipeline.hash.give(&block)?;
        pipeline.index.give(&block)?;
        let jobs = pipeline.jobs.as_ref().expect("jobs end with the layer");
        jobs.send((pipeline.sent, block)).map_err(|_| gone())?;
        pipeline.sent += 1;
        while pipeline.sent - pipeline.written > (pipeline.compressors.len() + 1) as u64 {
            pipeline.write_next(&mut self.out)?;
        }
        Ok(())
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
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (jobs, queue) = channel::<(u64, Arc<Vec<u8>>)>();
        let (finished, done) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut compressors = Vec::with_capacity(cores);
        for _ in 0..cores {
            let (queue, finished, mut codec) = (queue.clone(), finished.clone(), Codec::new(compression)?);
            compressors.push(std::thread::spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((number, block)) = next else { return };
                    if finished.send((number, codec.compress(&block))).is_err() {
                        return;
                    }
                }
            }));
        }
        Ok(Pipeline {
            hash: Stage::start(hash),
            index: Stage::start(|blocks| {
                let mut blocks = Blocks::new(blocks);
                let index = Index::from_tar(&mut blocks);
                // The tar's padding still comes; whoever sends it must not find nobody there.
                io::copy(&mut blocks, &mut io::sink()).map_err(|error| IndexError::Tar(error.into()))?;
                index
            }),
            jobs: Some(jobs),
            done,
            compressors,
            early: BTreeMap::new(),
            sent: 0,
            written: 0,
        })
    }

    /// Waits for the next compressed block in order and writes it.
    fn write_next(&mut self, out: &mut dyn Write) -> io::Result<()> {
        loop {
            if let Some(block) = self.early.remove(&self.written) {
                self.written += 1;
                return out.write_all(&block);
            }
            let (number, block) = self.done.recv().map_err(|_| gone())?;
            self.early.insert(number, block?);
        }
    }
}

impl<T: Send + 'static> Stage<T> {
    fn start(work: impl FnOnce(Receiver<Arc<Vec<u8>>>) -> T + Send + 'static) -> Stage<T> {
        let (blocks, receiver) = sync_channel(WAITING);
        Stage { blocks, thread: std::thread::spawn(move || work(receiver)) }
    }

    fn give(&self, block: &Arc<Vec<u8>>) -> io::Result<()> {
        self.blocks.send(block.clone()).map_err(|_| gone())
    }

    fn end(self) -> io::Result<T> {
        drop(self.blocks);
        self.thread.join().map_err(|_| gone())
    }
}

fn gone() -> io::Error {
    io::Error::other("a thread that packs the layer is gone")
}

fn hash(blocks: Receiver<Arc<Vec<u8>>>) -> Sha256 {
    let mut hash = Sha256::new();
    blocks.iter().for_each(|block| hash.update(&*block));
    hash
}

fn diff_id(hash: Sha256) -> DiffId {
    DiffId::from_sha256(hash.finalize().into())
}

/// Reads the blocks that arrive.
struct Blocks {
    blocks: Receiver<Arc<Vec<u8>>>,
    current: Arc<Vec<u8>>,
    at: usize,
}

impl Blocks {
    fn new(blocks: Receiver<Arc<Vec<u8>>>) -> Self {
        Blocks { blocks, current: Arc::default(), at: 0 }
    }
}

impl Read for Blocks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            let Ok(block) = self.blocks.recv() else { return Ok(0) };
            (self.current, self.at) = (block, 0);
        }
        let taken = buffer.len().min(self.current.len() - self.at);
        buffer[..taken].copy_from_slice(&self.current[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}
