//! Bodies of deliveries until their senders are verified: short ones in memory, long ones in unlinked files, few at a
//! time, so that many unknown senders take neither the memory nor the time of known ones.

use super::names::Names;
use super::spool::{Received, Spool};
use crate::forges::{Proof, Signed};
use crate::http::body::{self, BODY_TIMEOUT, MAX_BODY};
use crate::http::problem::Problem;
use crate::view::code::Code;
use axum::body::Body;
use axum::http::{HeaderMap, header};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Longest body that is kept in memory while it arrives.
const MAX_IN_MEMORY: usize = 64 * 1024;
/// Bytes that all arriving bodies together may take in memory; what is more goes to files.
const MAX_ALL_IN_MEMORY: usize = 16 * 1024 * 1024;
/// Long bodies that arrive at once, of all senders and of one address.
const MAX_LONG: usize = 32;
const MAX_LONG_OF_ADDRESS: usize = 4;
/// How long a long body waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(120);
/// Bodies that are hashed at once on threads of their own.
const MAX_HASHING: usize = 2;
/// Bytes that are hashed without asking for a thread: that takes longer than the hash.
const MAX_INLINE: u64 = 256 * 1024;
/// Longest body that may leave out whom it is about; then every key is tried. Forges' pings are shorter.
const MAX_UNNAMED: u64 = 16 * 1024;
/// Names of repositories that are followed in a body; of a long one fewer, because each may add keys to hash it with.
const MAX_NAMES: usize = 16;
const MAX_NAMES_LONG: usize = 4;

/// Takes bodies in and checks who sent them.
#[derive(Debug)]
pub(crate) struct Inbox {
    directory: PathBuf,
    in_memory: AtomicUsize,
    long: Arc<Semaphore>,
    long_of: Mutex<HashMap<IpAddr, Weak<Semaphore>>>,
    hashing: Arc<Semaphore>,
}

/// A body that has arrived, with what it holds on to.
pub(crate) struct Arrived {
    received: Received,
    in_memory: Option<InMemory>,
    turn: Option<Turn>,
}

/// Place among the long bodies.
struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_address: OwnedSemaphorePermit,
}

/// Bytes that a body takes in memory.
struct InMemory {
    inbox: Arc<Inbox>,
    bytes: usize,
}

impl Drop for InMemory {
    fn drop(&mut self) {
        self.inbox.in_memory.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl InMemory {
    /// Takes room for `more` bytes; tells whether there is any.
    fn take(&mut self, more: usize) -> bool {
        let all = self.inbox.in_memory.fetch_add(more, Ordering::Relaxed) + more;
        self.bytes += more;
        all <= MAX_ALL_IN_MEMORY && self.bytes <= MAX_IN_MEMORY
    }
}

impl Inbox {
    /// Returns an inbox whose long bodies lie in `directory` while they arrive.
    pub(crate) fn new(directory: PathBuf) -> Self {
        Inbox {
            directory,
            in_memory: AtomicUsize::new(0),
            long: Arc::new(Semaphore::new(MAX_LONG)),
            long_of: Mutex::default(),
            hashing: Arc::new(Semaphore::new(MAX_HASHING)),
        }
    }

    /// Receives a body.
    pub(crate) async fn receive(
        self: &Arc<Self>,
        from: IpAddr,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Arrived, Problem> {
        body::check_length(headers, MAX_BODY)?;
        let mut arriving = Arriving {
            spool: Spool::default(),
            memory: Some(InMemory { inbox: self.clone(), bytes: 0 }),
            turn: None,
            inbox: self,
            from,
        };
        body::each_chunk(body, MAX_BODY, &mut arriving).await?;
        let Arriving { spool, memory, turn, .. } = arriving;
        let received = spool.finish().await.map_err(cannot_store)?;
        Ok(Arrived { received, in_memory: memory, turn })
    }

    async fn turn(&self, from: IpAddr) -> Result<Turn, Problem> {
        let of_address = {
            let mut known = self.long_of.lock().unwrap_or_else(PoisonError::into_inner);
            known.retain(|_, one| one.strong_count() > 0);
            let one = known.get(&from).and_then(Weak::upgrade);
            let one = one.unwrap_or_else(|| Arc::new(Semaphore::new(MAX_LONG_OF_ADDRESS)));
            known.insert(from, Arc::downgrade(&one));
            one
        };
        let taking = async {
            let of_address = of_address.acquire_owned().await.ok()?;
            Some(Turn { _of_address: of_address, _of_all: self.long.clone().acquire_owned().await.ok()? })
        };
        let busy = "too many long deliveries arrive at once; send it again";
        let taken = tokio::time::timeout(TURN_TIMEOUT, taking).await.ok().flatten();
        taken.ok_or_else(|| Problem::new(Code::TooBusy, busy))
    }

    /// Checks a proof with the keys that `keys` finds for the names in the body; `None` if none of them made it.
    ///
    /// A body without a name is tried with all keys, one with an unknown name takes as long as one with a wrong signature.
    pub(crate) async fn verify(
        &self,
        arrived: &mut Arrived,
        proof: Proof<'_>,
        form: bool,
        keys: impl FnOnce(&Names) -> Vec<String>,
    ) -> Result<Option<Signed>, Problem> {
        let length = arrived.received.len();
        let max_names = if length > MAX_INLINE { MAX_NAMES_LONG } else { MAX_NAMES };
        let inline = matches!(arrived.received, Received::Memory(_));
        let permit = match inline {
            true => None,
            false => self.hashing.clone().acquire_owned().await.ok(),
        };
        let names = work(arrived, inline, move |received| Names::of(received, form, max_names)).await?;
        let may_be_any = names.is_empty() && length <= MAX_UNNAMED;
        let candidates: Vec<String> = match names.is_empty() && !may_be_any {
            true => Vec::new(),
            false => keys(&names),
        };
        let inline = inline && length.saturating_mul(candidates.len() as u64) <= MAX_INLINE;
        let permit = match (inline, permit) {
            (false, None) => self.hashing.clone().acquire_owned().await.ok(),
            (_, permit) => permit,
        };
        let signature = proof.signature().unwrap_or_default();
        let signed = work(arrived, inline, move |received| Signed::verify(received, &signature, &candidates)).await?;
        drop(permit);
        Ok(signed)
    }
}

/// Works on a body, on a thread of its own unless that is not worth it.
async fn work<T: Send + 'static>(
    arrived: &mut Arrived,
    inline: bool,
    work: impl FnOnce(&mut Received) -> std::io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    if inline {
        return work(&mut arrived.received).map_err(cannot_store);
    }
    let mut received = std::mem::take(&mut arrived.received);
    let worked = tokio::task::spawn_blocking(move || {
        let result = work(&mut received);
        (received, result)
    });
    let (received, result) = worked.await.map_err(|error| cannot_store(std::io::Error::other(error)))?;
    arrived.received = received;
    result.map_err(cannot_store)
}

impl Arrived {
    /// Returns the bytes; those of a long body are read now that it is known who sent it.
    pub(crate) async fn bytes(mut self) -> Result<(bytes::Bytes, Reservation), Problem> {
        let inline = matches!(self.received, Received::Memory(_));
        let bytes = work(&mut self, inline, Received::read).await?;
        Ok((bytes, Reservation { _in_memory: self.in_memory.take(), _turn: self.turn.take() }))
    }
}

/// Keeps the place of a body until it was stored.
pub(crate) struct Reservation {
    _in_memory: Option<InMemory>,
    _turn: Option<Turn>,
}

/// A body that arrives.
struct Arriving<'i> {
    spool: Spool,
    memory: Option<InMemory>,
    turn: Option<Turn>,
    inbox: &'i Arc<Inbox>,
    from: IpAddr,
}

impl body::Sink for Arriving<'_> {
    async fn ready(&mut self, coming: usize) -> Result<(), Problem> {
        let fits = self.memory.as_mut().is_some_and(|memory| memory.take(coming));
        if !fits && self.turn.is_none() {
            // Nothing is read while waiting here, so the connection holds the sender up.
            self.turn = Some(self.inbox.turn(self.from).await?);
            self.spool.open(&self.inbox.directory).await.map_err(cannot_store)?;
            self.memory = None;
        }
        Ok(())
    }

    async fn take(&mut self, chunk: bytes::Bytes) -> Result<(), Problem> {
        self.spool.write(chunk).await.map_err(cannot_store)
    }
}

/// Reads and discards a body: a sender that is cut off while it writes often does not see the answer.
pub(crate) async fn drain(headers: &HeaderMap, body: Body) -> Result<(), Problem> {
    body::check_length(headers, MAX_BODY)?;
    if headers.contains_key(header::EXPECT) {
        return Ok(());
    }
    let _ = tokio::time::timeout(BODY_TIMEOUT, body::each_chunk(body, MAX_BODY, &mut body::Nowhere)).await;
    Ok(())
}

fn cannot_store(error: std::io::Error) -> Problem {
    tracing::error!(%error, "a delivery cannot be put aside while it arrives");
    let detail = "the delivery cannot be put aside now; send it again";
    Problem::new(Code::CannotStore, detail)
}
