//! Uploads of blobs: whole, and, when they break, from where the registry says that it is.

use crate::body::Body;
use crate::push::{PROOF_HEADER, location};
use crate::retry::{Backoff, retry_after};
use crate::transport::{Access, Request};
use crate::{Client, Descriptor, Digest, Error, Reference};
use bytes::Bytes;
use reqwest::header::RANGE;
use reqwest::{Method, Response, StatusCode};
use std::path::PathBuf;
use std::time::Duration;

/// The source of a blob's bytes.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// In memory.
    Bytes(Bytes),
    /// In a file, whole.
    File(PathBuf),
}

impl BlobSource {
    /// Returns the bytes from one place on, of so many.
    fn from(&self, start: u64, size: u64) -> Body {
        match self {
            BlobSource::Bytes(bytes) => Body::Bytes(bytes.slice(usize::try_from(start).unwrap_or(bytes.len())..)),
            BlobSource::File(path) => Body::File(path.clone(), start..size),
        }
    }
}

/// The address at which an upload continues.
enum Begun {
    /// The registry has the blob already.
    There,
    /// It is to be sent to this address.
    At(Place),
}

/// An upload as the registry has it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    /// The address for what comes next.
    location: String,
    /// Bytes that the registry has.
    has: u64,
}

/// An error, and how long the registry wants to be left alone.
type Failed = (Error, Option<Duration>);

impl Client {
    /// Uploads a blob that the repository does not seem to have; an interrupted upload goes on from where the registry says
    /// that it is, or is started again. Tells whether the registry was seen to take the bytes: one that says it has them may
    /// never have had them.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<bool, Error> {
        let mut backoff = Backoff::new(&self.transport.retry);
        let (mut broken, mut may_continue) = (None::<Place>, true);
        loop {
            let has = broken.as_ref().map_or(0, |place| place.has);
            let begun = match broken.take() {
                Some(place) => Some(Begun::At(place)),
                None => self.begin_upload(reference, &descriptor.digest).await?,
            };
            let (sent, location) = match begun {
                Some(Begun::There) => return Ok(false),
                Some(Begun::At(place)) => {
                    (self.upload(reference, descriptor, &place, &source).await, Some(place.location))
                }
                None => (Err((Error::broken(reference.registry(), "it did not say where to upload to"), None)), None),
            };
            let Err((error, wait)) = sent else { return Ok(true) };
            let error = error.of_request(reference, UPLOADING, self.transport.login_state(reference));
            // The registry has something else than it said, or takes no parts: the whole is sent once more.
            may_continue &= has == 0 || error.is_transient();
            if !error.is_transient() && has == 0 {
                return Err(error);
            }
            // The answer may have been lost after the registry had everything (SEC-m5).
            if self.is_stored(reference, &descriptor.digest).await {
                return Ok(false);
            }
            if !backoff.next(reference.registry(), wait).await {
                return Err(error);
            }
            if let Some(location) = location.filter(|_| may_continue) {
                broken = self.place_of(reference, location, descriptor.size).await;
            }
            if broken.as_ref().is_some_and(|place| place.has > has) {
                // As long as an upload gets on it is not given up.
                backoff = Backoff::new(&self.transport.retry);
            }
        }
    }

    /// Asks once whether the repository has the blob; what cannot be found out is sent again.
    pub(crate) async fn is_stored(&self, reference: &Reference, digest: &Digest) -> bool {
        let request =
            Request::new(Method::HEAD, format!("v2/{}/blobs/{digest}", reference.repository()), "looking for a blob");
        let asked = self.transport.send_once(reference, Access::Push, &request).await;
        asked.is_ok_and(|response| response.status().is_success())
    }

    /// Asks once how much of an upload that broke the registry has; `None` if it has nothing or cannot say.
    async fn place_of(&self, reference: &Reference, broken: String, size: u64) -> Option<Place> {
        let request = Request::new(Method::GET, broken.clone(), "asking for the state of an upload");
        let response = self.transport.send_once(reference, Access::Push, &request).await.ok()?;
        let last = Some(&response).filter(|response| response.status().is_success()).and_then(last_byte)?;
        let has = last.checked_add(1).filter(|has| *has <= size)?;
        Some(Place { location: location(&response).unwrap_or(broken), has })
    }

    /// Returns where to upload to, if the registry says so.
    async fn begin_upload(&self, reference: &Reference, digest: &Digest) -> Result<Option<Begun>, Error> {
        let repository = reference.repository();
        let mut begin = Request::new(Method::POST, format!("v2/{repository}/blobs/uploads/"), "beginning an upload");
        if let Some(proof) = self.transport.homes.proof(repository, digest) {
            begin.headers.push((PROOF_HEADER, format!("{digest} {proof}")));
        }
        if !self.transport.homes.contains(reference.registry()) {
            // A mount from the repository itself asks whether it has the blob, in the same request.
            let looking = Request { url: format!("{}?mount={digest}&from={repository}", begin.url), ..begin.clone() };
            match self.transport.send(reference, Access::Push, &looking).await {
                Ok(response) if response.status().is_success() => return Ok(begun(&response)),
                Err(error) if error.is_transient() => return Err(error),
                // One that may not look may be allowed to write (SV-15).
                Ok(_) | Err(_) => {}
            }
        }
        let response = self.transport.send(reference, Access::Push, &begin).await?;
        match response.status().is_success() {
            true => Ok(begun(&response)),
            false => Err(self.transport.failed(reference, begin.operation, response).await),
        }
    }

    /// Sends what the registry lacks, once: the whole with the request that ends the upload, or the rest before it.
    async fn upload(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        place: &Place,
        source: &BlobSource,
    ) -> Result<(), Failed> {
        let rest = source.from(place.has, descriptor.size);
        if place.has == 0 {
            return self.finish(reference, descriptor, &place.location, rest).await;
        }
        let mut location = place.location.clone();
        if place.has < descriptor.size {
            let mut append = Request::new(Method::PATCH, location.clone(), UPLOADING);
            append.headers.push(("Content-Type", "application/octet-stream".to_owned()));
            append.headers.push(("Content-Range", format!("{}-{}", place.has, descriptor.size - 1)));
            (append.is_upload, append.body) = (true, rest);
            let response = self.sent(reference, &append).await?;
            location = crate::push::location(&response).unwrap_or(location);
        }
        self.finish(reference, descriptor, &location, Body::Empty).await
    }

    async fn finish(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        location: &str,
        body: Body,
    ) -> Result<(), Failed> {
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={}", descriptor.digest);
        let mut upload = Request::new(Method::PUT, url, UPLOADING);
        upload.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        if matches!(body, Body::Empty) {
            upload.headers.push(("Content-Length", "0".to_owned()));
        }
        (upload.is_upload, upload.body) = (true, body);
        self.sent(reference, &upload).await.map(drop)
    }

    async fn sent(&self, reference: &Reference, request: &Request) -> Result<Response, Failed> {
        let sent = self.transport.send_once(reference, Access::Push, request).await;
        let response = sent.map_err(|error| (error, None))?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err((Error::broken(reference.registry(), "the upload expired"), None)),
            _ => {
                let wait = retry_after(&response);
                Err((self.transport.failed(reference, request.operation, response).await, wait))
            }
        }
    }
}

/// Returns what the registry's answer to the beginning of an upload says, if it says it.
fn begun(response: &Response) -> Option<Begun> {
    if response.status() == StatusCode::CREATED {
        return Some(Begun::There);
    }
    location(response).map(|location| Begun::At(Place { location, has: 0 }))
}

/// The operation, as errors name it.
const UPLOADING: &str = "uploading a blob";

/// Returns the last byte that an answer says is there. One that has none yet is answered with `0-0` by many.
fn last_byte(response: &Response) -> Option<u64> {
    let range = response.headers().get(RANGE)?.to_str().ok()?;
    let (first, last) = range.trim_start_matches("bytes=").split_once('-')?;
    let last = last.trim().parse().ok().filter(|last| *last > 0)?;
    (first.trim() == "0").then_some(last)
}
