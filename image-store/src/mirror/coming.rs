//! Blobs that are coming: whoever asks for one while it is downloaded reads it as it comes, and all read one download.

use crate::BlobWriter;
use registry_client::{Digest, Error};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use tokio::sync::watch;

/// The downloads of this process, by repository and digest.
#[derive(Debug, Default)]
pub(crate) struct Downloads(Mutex<HashMap<(String, Digest), Arc<Coming>>>);

/// A blob that is being downloaded.
#[derive(Debug)]
pub struct Coming(watch::Sender<State>);

#[derive(Debug, Clone, Default)]
struct State {
    file: Option<Arc<File>>,
    size: u64,
    /// Bytes that are in the file.
    here: u64,
    end: Option<End>,
}

#[derive(Debug, Clone)]
enum End {
    /// The bytes are those of the digest.
    Whole,
    Failed(Arc<Error>),
    /// The task that downloaded it went away.
    GivenUp,
}

/// The end of a download: a failure where nothing else was said.
pub(crate) struct Ending {
    downloads: Arc<Downloads>,
    key: (String, Digest),
    coming: Arc<Coming>,
}

impl Downloads {
    /// Returns the download of a blob, and if it begins now, what ends it.
    pub(crate) fn join(self: &Arc<Self>, repository: &str, digest: &Digest) -> (Arc<Coming>, Option<Ending>) {
        let key = (repository.to_owned(), digest.clone());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(coming) = known.get(&key) {
            return (coming.clone(), None);
        }
        let coming = Arc::new(Coming(watch::Sender::new(State::default())));
        known.insert(key.clone(), coming.clone());
        (coming.clone(), Some(Ending { downloads: self.clone(), key, coming }))
    }
}

impl Ending {
    /// Returns the download.
    pub(crate) fn coming(&self) -> &Arc<Coming> {
        &self.coming
    }

    /// Tells all who wait how it ended.
    pub(crate) fn tell(self, result: Result<(), Error>) {
        let end = result.map_or_else(|error| End::Failed(Arc::new(error)), |()| End::Whole);
        self.coming.0.send_modify(|state| state.end = Some(end));
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.downloads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
        self.coming.0.send_if_modified(|state| {
            let is_left = state.end.is_none();
            state.end.get_or_insert(End::GivenUp);
            is_left
        });
    }
}

impl Coming {
    /// Says where the bytes will be, and how many.
    pub(crate) fn begin(&self, file: File, size: u64) {
        self.0.send_modify(|state| (state.file, state.size) = (Some(Arc::new(file)), size));
    }

    /// Waits until the first bytes are here, and returns the size of the blob; `None` if the download was given up.
    pub async fn begun(&self) -> Result<Option<u64>, Error> {
        let state = self.wait(|state| state.here > 0).await;
        match state.end {
            Some(End::Failed(error)) => Err(error.again()),
            Some(End::GivenUp) => Ok(None),
            Some(End::Whole) | None => Ok(Some(state.size)),
        }
    }

    /// Waits for the end of the download; tells whether the blob is here, or the download was given up.
    pub(crate) async fn ended(&self) -> Result<bool, Error> {
        match self.wait(|_| false).await.end {
            Some(End::Failed(error)) => Err(error.again()),
            Some(End::Whole) => Ok(true),
            Some(End::GivenUp) | None => Ok(false),
        }
    }

    /// Waits for bytes from `at` on and returns at most `limit` of them; none at the end. The last byte comes when all
    /// have been found to be those of the digest.
    pub async fn read(&self, at: u64, limit: usize) -> io::Result<Vec<u8>> {
        let state = self.wait(|state| state.here.min(state.size.saturating_sub(1)) > at).await;
        let there = match &state.end {
            Some(End::Failed(error)) => return Err(io::Error::other(registry_client::report(error))),
            Some(End::GivenUp) => return Err(io::Error::other("the download was given up")),
            Some(End::Whole) => state.size,
            None => state.here.min(state.size.saturating_sub(1)),
        };
        let Some(file) = state.file.filter(|_| there > at) else { return Ok(Vec::new()) };
        let length = usize::try_from(there - at).unwrap_or(limit).min(limit);
        let read = move || {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at).map(|()| bytes)
        };
        tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
    }

    /// Waits until something is so or the download has ended.
    async fn wait(&self, is_so: impl Fn(&State) -> bool) -> State {
        let mut changes = self.0.subscribe();
        let state = changes.wait_for(|state| state.end.is_some() || is_so(state)).await;
        // The sender is this one's own: it is there.
        state.map_or_else(|_| State::default(), |state| state.clone())
    }
}

/// Writes what is downloaded, and says how far it is.
pub(crate) struct Sink<'c> {
    pub writer: BlobWriter,
    pub coming: &'c Coming,
}

impl AsyncWrite for Sink<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sink = self.get_mut();
        let written = io::Write::write(&mut sink.writer, bytes);
        sink.coming.0.send_modify(|state| state.here = sink.writer.size());
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(io::Write::flush(&mut self.get_mut().writer))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(context)
    }
}
