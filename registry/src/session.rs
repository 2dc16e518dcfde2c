//! Sessions: the uploads in progress, each written by one request at a time.

use crate::error::Failure;
use crate::policy::Room;
use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures::StreamExt;
use image_store::BlobWriter;
use std::collections::HashMap;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use uuid::Uuid;

/// Uploads that nobody continued for so long are given up.
const STALE: Duration = Duration::from_secs(60 * 60);
/// Most uploads at once: each holds a file open.
const MAX_UPLOADS: usize = 1000;
/// Most uploads at once of one who may not do everything.
const MAX_OWN: usize = 100;
/// Bytes that are gathered before they are written.
const CHUNK: usize = 1024 * 1024;

/// The uploads in progress; they end with the server.
#[derive(Clone, Default)]
pub(crate) struct Uploads(Arc<Mutex<HashMap<String, Entry>>>);

struct Entry {
    /// The repository that it is for: another one cannot go on with it.
    repository: String,
    /// The account or address that began it.
    holder: Option<String>,
    upload: Upload,
    touched: Instant,
}

/// One upload.
#[derive(Clone)]
pub(crate) struct Upload {
    writer: Arc<AsyncMutex<Option<BlobWriter>>>,
    /// Bytes that are written, readable while a request writes.
    size: Arc<AtomicU64>,
}

/// The right to write to an upload; nobody else has it meanwhile. The bytes that were written stay if the request is given up.
pub(crate) struct Turn {
    writer: OwnedMutexGuard<Option<BlobWriter>>,
    size: Arc<AtomicU64>,
}

impl Uploads {
    /// Begins an upload and returns its id. A holder has so many at most, if one is given.
    pub(crate) fn begin(
        &self,
        repository: &str,
        holder: Option<String>,
        writer: BlobWriter,
    ) -> Result<String, Failure> {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_alive = |entry: &Entry| entry.touched.elapsed() < STALE || entry.upload.writer.try_lock().is_err();
        uploads.retain(|_, entry| is_alive(entry));
        if uploads.len() >= MAX_UPLOADS {
            return Err(Failure::too_many("too many uploads are in progress: try again in a minute", 60));
        }
        if let Some(holder) = &holder
            && uploads.values().filter(|entry| entry.holder.as_ref() == Some(holder)).count() >= MAX_OWN
        {
            let message = format!("{holder} has {MAX_OWN} uploads in progress: end some, or try again in a minute");
            return Err(Failure::too_many(message, 60));
        }
        let id = Uuid::now_v7().to_string();
        let upload = Upload::new(writer);
        let entry = Entry { repository: repository.to_owned(), holder, upload, touched: Instant::now() };
        uploads.insert(id.clone(), entry);
        Ok(id)
    }

    /// Returns an upload of the repository.
    pub(crate) fn find(&self, repository: &str, id: &str) -> Result<Upload, Failure> {
        let mut uploads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = uploads.get_mut(id).filter(|entry| entry.repository == repository);
        let entry = entry.ok_or_else(Failure::upload_unknown)?;
        entry.touched = Instant::now();
        Ok(entry.upload.clone())
    }

    /// Ends an upload.
    pub(crate) fn end(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }
}

impl Upload {
    /// Returns an upload that one request does alone.
    pub(crate) fn new(writer: BlobWriter) -> Self {
        Upload { writer: Arc::new(AsyncMutex::new(Some(writer))), size: Arc::default() }
    }

    /// Returns how many bytes are here.
    pub(crate) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// Takes the turn to write; refuses while another request has it.
    pub(crate) fn take_turn(&self) -> Result<Turn, Failure> {
        let busy = "another request writes to this upload: ask for its state with GET, and go on from there";
        let writer = self.writer.clone().try_lock_owned();
        let writer = writer.map_err(|_| Failure::new(StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID", busy))?;
        Ok(Turn { writer, size: self.size.clone() })
    }
}

impl Turn {
    /// Streams a body into the blob, a part at a time, as far as there is room. If the connection breaks, what arrived is kept.
    pub(crate) async fn write(mut self, body: Body, room: Option<&Room>) -> Result<Turn, Failure> {
        let mut body: BodyDataStream = body.into_data_stream();
        let mut gathered = Vec::new();
        loop {
            let next = body.next().await;
            let arriving = next.as_ref().and_then(|next| next.as_ref().ok()).map_or(0, |chunk| chunk.len());
            let size = self.size.load(Ordering::Acquire) + (gathered.len() + arriving) as u64;
            room.map_or(Ok(()), |room| room.check(size))?;
            let is_last = !matches!(next, Some(Ok(_)));
            if let Some(Ok(chunk)) = &next {
                gathered.extend_from_slice(chunk);
            }
            if gathered.len() >= CHUNK || (is_last && !gathered.is_empty()) {
                self = self.write_part(std::mem::take(&mut gathered)).await?;
            }
            match next {
                Some(Ok(_)) => {}
                Some(Err(_)) => return Err(Failure::upload_invalid("the body ended early")),
                None => return Ok(self),
            }
        }
    }

    async fn write_part(mut self, part: Vec<u8>) -> Result<Turn, Failure> {
        let written = tokio::task::spawn_blocking(move || {
            let writer = self.writer.as_mut().ok_or_else(Failure::upload_unknown)?;
            match writer.write_all(&part) {
                Ok(()) => self.size.store(writer.size(), Ordering::Release),
                Err(error) => {
                    // How much of it was written is not known: nobody can go on.
                    *self.writer = None;
                    return Err(Failure::from(error));
                }
            }
            Ok(self)
        });
        written.await.unwrap_or_else(|_| Err(Failure::unavailable()))
    }

    /// Takes the blob out: the upload is over.
    pub(crate) fn finish(mut self) -> Result<BlobWriter, Failure> {
        self.writer.take().ok_or_else(Failure::upload_unknown)
    }
}
