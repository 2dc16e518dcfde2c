//! A blob that is uploaded while it is still being written.

use crate::Digest;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tokio::sync::watch;

/// Bytes that are read at once.
const CHUNK: u64 = 256 * 1024;

/// A blob that somebody is writing to a file. Each clone reads it from the beginning.
#[derive(Debug, Clone)]
pub struct GrowingBlob {
    file: Arc<File>,
    state: watch::Receiver<State>,
}

/// The writer's side of a [`GrowingBlob`]. Dropping it before [`Growth::end`] gives the blob up.
#[derive(Debug)]
pub struct Growth(watch::Sender<State>);

#[derive(Debug, Clone)]
struct State {
    size: u64,
    digest: Option<Digest>,
}

impl Growth {
    /// Tells that the file has `size` bytes now.
    pub fn set_size(&self, size: u64) {
        self.0.send_modify(|state| state.size = size);
    }

    /// Tells that the blob is complete.
    pub fn end(self, digest: Digest) {
        self.0.send_modify(|state| state.digest = Some(digest));
    }
}

impl GrowingBlob {
    /// Returns the blob that is being written to `file`, which has `size` bytes now.
    pub fn new(file: File, size: u64) -> (Growth, GrowingBlob) {
        let (sender, state) = watch::channel(State { size, digest: None });
        (Growth(sender), GrowingBlob { file: Arc::new(file), state })
    }

    /// Returns the digest once the blob is complete; `None` if it was given up.
    pub(crate) async fn digest(&mut self) -> Option<Digest> {
        let ended = self.state.wait_for(|state| state.digest.is_some()).await;
        ended.ok().and_then(|state| state.digest.clone())
    }

    /// Returns the bytes that follow the first `at`, once some are there; nothing at the end of the blob.
    pub(crate) async fn read(&mut self, at: u64) -> io::Result<Bytes> {
        let size = match self.state.wait_for(|state| state.size > at || state.digest.is_some()).await {
            Ok(state) => state.size,
            Err(_) => return Err(io::Error::other("the blob was given up")),
        };
        let (file, length) = (self.file.clone(), CHUNK.min(size.saturating_sub(at)));
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, at).map(|()| Bytes::from(bytes))
        });
        read.await.map_err(io::Error::other)?
    }
}
