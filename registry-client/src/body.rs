//! Bodies of requests, and the watch over those that are large: an upload may take hours, and is given up when it stalls.

use crate::Error;
use crate::growing::GrowingBlob;
use crate::pace::MinimumRate;
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use reqwest::RequestBuilder;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

/// Bytes of a file that are read at once.
const CHUNK: usize = 256 * 1024;
/// How long a registry may work on an upload whose last byte it has: it hashes it, and may move it to its storage.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Windows in a row in which a registry may take too little: the system sends megabytes that it has buffered meanwhile.
const SLOW_WINDOWS: u32 = 5;

/// The body of a request that may be sent again.
#[derive(Clone)]
pub(crate) enum Body {
    /// Nothing.
    Empty,
    /// Bytes in memory.
    Bytes(Bytes),
    /// A part of a file.
    File(PathBuf, Range<u64>),
    /// A blob that is still being written.
    Growing(GrowingBlob),
}

/// How far a body has been sent.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    bytes: AtomicU64,
    /// Whether there is nothing to send yet: the blob is still being written.
    is_idle: AtomicBool,
    /// Whether all of it was sent.
    is_whole: AtomicBool,
}

impl Sent {
    fn is_whole(&self) -> bool {
        self.is_whole.load(Ordering::Relaxed)
    }
}

impl Body {
    /// Adds the body to a request; `sent` is told how far it gets.
    pub(crate) async fn add_to(&self, builder: RequestBuilder, sent: &Arc<Sent>) -> Result<RequestBuilder, Error> {
        sent.is_whole.store(matches!(self, Body::Empty | Body::Bytes(_)), Ordering::Relaxed);
        Ok(match self {
            Body::Empty => builder,
            Body::Bytes(bytes) => builder.body(bytes.clone()),
            Body::File(path, part) => {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(io::SeekFrom::Start(part.start)).await?;
                let length = part.end - part.start;
                let chunks = tokio_util::io::ReaderStream::with_capacity(file.take(length), CHUNK);
                builder.header("Content-Length", length.to_string()).body(counted(chunks, sent.clone()))
            }
            Body::Growing(blob) => builder.body(counted(growing(blob.clone(), sent.clone()), sent.clone())),
        })
    }
}

fn counted(chunks: impl Stream<Item = io::Result<Bytes>> + Send + 'static, sent: Arc<Sent>) -> reqwest::Body {
    let end = sent.clone();
    let chunks = chunks.inspect(move |chunk| {
        let length = chunk.as_ref().map_or(0, Bytes::len);
        sent.bytes.fetch_add(length as u64, Ordering::Relaxed);
    });
    reqwest::Body::wrap_stream(chunks.chain(stream::poll_fn(move |_| {
        end.is_whole.store(true, Ordering::Relaxed);
        std::task::Poll::Ready(None)
    })))
}

fn growing(blob: GrowingBlob, sent: Arc<Sent>) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    stream::try_unfold((blob, 0, sent), |(mut blob, at, sent)| async move {
        sent.is_idle.store(true, Ordering::Relaxed);
        let bytes = blob.read(at).await?;
        sent.is_idle.store(false, Ordering::Relaxed);
        let at = at + bytes.len() as u64;
        Ok((!bytes.is_empty()).then_some((bytes, (blob, at, sent))))
    })
}

/// Waits for the answer to an upload, and gives it up when the registry takes its bytes too slowly.
pub(crate) async fn watched<T>(
    sending: impl Future<Output = T>,
    sent: &Sent,
    minimum: MinimumRate,
    registry: &str,
) -> Result<T, Error> {
    let (mut sending, mut before, mut slow, mut whole_since) = (pin!(sending), 0, 0, None);
    loop {
        if let Ok(answer) = tokio::time::timeout(minimum.window, &mut sending).await {
            return Ok(answer);
        }
        let now = sent.bytes.load(Ordering::Relaxed);
        if sent.is_whole() && whole_since.get_or_insert_with(Instant::now).elapsed() > ANSWER_TIMEOUT {
            return Err(Error::broken(registry, "it does not say what became of an upload"));
        }
        let is_slow = now - before < minimum.bytes && !sent.is_whole() && !sent.is_idle.load(Ordering::Relaxed);
        slow = if is_slow { slow + 1 } else { 0 };
        if slow == SLOW_WINDOWS {
            return Err(Error::broken(registry, "it takes an upload too slowly"));
        }
        before = now;
    }
}
