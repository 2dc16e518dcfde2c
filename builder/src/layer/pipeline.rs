//! Threads that work on a layer side by side: stages that see all of it in order, and pools whose results are put in order.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Blocks that may wait for a stage before the writer waits for it.
const WAITING: usize = 4;

/// A thread that is given blocks and returns something in the end.
pub(super) struct Stage<B, T> {
    /// Takes blocks.
    pub blocks: SyncSender<Arc<B>>,
    /// Does the work.
    pub thread: JoinHandle<T>,
}

impl<B: Send + Sync + 'static, T: Send + 'static> Stage<B, T> {
    /// Starts `work`, which ends when no more blocks come.
    pub(super) fn start(work: impl FnOnce(Receiver<Arc<B>>) -> T + Send + 'static) -> Stage<B, T> {
        let (blocks, receiver) = sync_channel(WAITING);
        Stage { blocks, thread: std::thread::spawn(move || work(receiver)) }
    }

    /// Gives it the next block.
    pub(super) fn give(&self, block: &Arc<B>) -> io::Result<()> {
        self.blocks.send(block.clone()).map_err(|_| gone())
    }

    /// Tells it that it has had them all, and waits.
    pub(super) fn end(self) -> io::Result<T> {
        drop(self.blocks);
        self.thread.join().map_err(|_| gone())
    }
}

/// Where the jobs of a pool go in: with their numbers, which count from 0.
pub(super) type Jobs<J> = SyncSender<(u64, J)>;

/// The results of a pool, in the order of its jobs.
pub(super) struct Results<R> {
    done: Receiver<(u64, io::Result<R>)>,
    /// Results that wait for an earlier one.
    early: BTreeMap<u64, R>,
    next: u64,
}

/// Returns the number of threads that a pool has.
pub(super) fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Starts a pool: each of its threads does jobs with what `prepare` returns.
pub(super) fn pool<J, R, W>(prepare: impl Fn() -> io::Result<W>) -> io::Result<(Jobs<J>, Results<R>)>
where
    J: Send + 'static,
    R: Send + 'static,
    W: FnMut(J) -> io::Result<R> + Send + 'static,
{
    let (jobs, queue) = sync_channel::<(u64, J)>(workers() + 2);
    let (finished, done) = channel();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..workers() {
        let (queue, finished, mut work) = (queue.clone(), finished.clone(), prepare()?);
        std::thread::spawn(move || {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok((number, job)) = next else { return };
                if finished.send((number, work(job))).is_err() {
                    return;
                }
            }
        });
    }
    Ok((jobs, Results { done, early: BTreeMap::new(), next: 0 }))
}

impl<R> Results<R> {
    /// Waits for the next result; there is none when all jobs are done and nobody can send more.
    pub(super) fn wait(&mut self) -> io::Result<Option<R>> {
        loop {
            if let Some(result) = self.early.remove(&self.next) {
                self.next += 1;
                return Ok(Some(result));
            }
            match self.done.recv() {
                Ok((number, result)) => drop(self.early.insert(number, result?)),
                Err(_) if self.early.is_empty() => return Ok(None),
                Err(_) => return Err(gone()),
            }
        }
    }

    /// Returns the next result if it is there.
    pub(super) fn ready(&mut self) -> io::Result<Option<R>> {
        loop {
            if let Some(result) = self.early.remove(&self.next) {
                self.next += 1;
                return Ok(Some(result));
            }
            match self.done.try_recv() {
                Ok((number, result)) => drop(self.early.insert(number, result?)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(None),
            }
        }
    }

    /// Returns how many results were taken.
    pub(super) fn taken(&self) -> u64 {
        self.next
    }
}

/// The error of a thread that ended before its time.
pub(super) fn gone() -> io::Error {
    io::Error::other("a thread that packs the layer is gone")
}

/// Reads the blocks that arrive.
pub(super) struct Blocks {
    blocks: Receiver<Arc<Vec<u8>>>,
    current: Arc<Vec<u8>>,
    at: usize,
}

impl Blocks {
    /// Reads from the first one.
    pub(super) fn new(blocks: Receiver<Arc<Vec<u8>>>) -> Self {
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
