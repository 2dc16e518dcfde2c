//! Writing to a registry: blobs, mounts from other repositories, manifests.

use crate::retry::{Backoff, is_transient, retry_after};
use crate::transport::{Access, Body, Request};
use crate::{Client, Descriptor, Digest, Error, Reference};
use bytes::Bytes;
use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode};
use std::path::PathBuf;

/// Header that shows the registry which serves from the client's own store that it may have a blob without an upload.
pub const PROOF_HEADER: &str = "Slipway-Proof";

/// The source of a blob's bytes.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// In memory.
    Bytes(Bytes),
    /// In a file, whole.
    File(PathBuf),
}

/// The address at which an upload continues.
enum Begun {
    /// The registry has the blob already.
    There,
    /// It is to be sent to this address.
    At(String),
}

impl Client {
    /// Makes the repository `to` have a blob that `from_repository` of the same registry has; tells whether it worked.
    pub async fn mount_blob(&self, to: &Reference, from_repository: &str, digest: &Digest) -> Result<bool, Error> {
        let url = format!("v2/{}/blobs/uploads/?mount={digest}&from={from_repository}", to.repository());
        let mut request = Request::new(Method::POST, url, "mounting a blob");
        request.mounted_from = Some(from_repository.to_owned());
        let response = match self.transport.send_once(to, Access::Push, &request).await {
            // A client that may not read the other repository uploads, and learns nothing of it (REG-32). Other errors of
            // a mount show when the blob is sent.
            Err(Error::Denied(_)) => return Ok(false),
            Err(error) if error.is_transient() => return Ok(self.is_stored(to, digest).await),
            sent => sent?,
        };
        if response.status() == StatusCode::CREATED {
            return Ok(true);
        }
        if is_transient(response.status()) {
            return Ok(self.is_stored(to, digest).await);
        }
        // The registry opened an upload instead; it is given up, so that nothing is left behind.
        if let Some(location) = location(&response) {
            let request = Request::new(Method::DELETE, location, "giving up an upload");
            let _ = self.transport.send_once(to, Access::Push, &request).await;
        }
        Ok(false)
    }

    /// Uploads a blob; an interrupted upload is started again. Tells whether the registry was seen to take the bytes: one
    /// that says it has them may never have had them.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<bool, Error> {
        let mut backoff = Backoff::new(&self.transport.retry);
        loop {
            let sent = match self.begin_upload(reference, &descriptor.digest).await? {
                Some(Begun::There) => return Ok(false),
                Some(Begun::At(location)) => self.upload(reference, descriptor, &location, source.clone()).await,
                None => Err((Error::broken(reference.registry(), "it did not say where to upload to"), None)),
            };
            let Err((error, wait)) = sent else { return Ok(true) };
            if !error.is_transient() {
                return Err(error);
            }
            // The answer may have been lost after the registry had everything (SEC-m5).
            if self.is_stored(reference, &descriptor.digest).await {
                return Ok(false);
            }
            if !backoff.next(reference.registry(), wait).await {
                return Err(error);
            }
        }
    }

    /// Asks once whether the repository has the blob; what cannot be found out is sent again.
    async fn is_stored(&self, reference: &Reference, digest: &Digest) -> bool {
        let request =
            Request::new(Method::HEAD, format!("v2/{}/blobs/{digest}", reference.repository()), "looking for a blob");
        let asked = self.transport.send_once(reference, Access::Push, &request).await;
        asked.is_ok_and(|response| response.status().is_success())
    }

    /// Returns where to upload to, if the registry says so.
    async fn begin_upload(&self, reference: &Reference, digest: &Digest) -> Result<Option<Begun>, Error> {
        let url = format!("v2/{}/blobs/uploads/", reference.repository());
        let mut begin = Request::new(Method::POST, url, "beginning an upload");
        if let Some(proof) = self.transport.homes.proof(reference.repository(), digest) {
            begin.headers.push((PROOF_HEADER, format!("{digest} {proof}")));
        }
        let response = self.transport.send(reference, Access::Push, &begin).await?;
        match response.status() {
            StatusCode::CREATED => Ok(Some(Begun::There)),
            status if status.is_success() => Ok(location(&response).map(Begun::At)),
            _ => Err(self.transport.failed(reference, begin.operation, response).await),
        }
    }

    /// Sends the whole blob, once: what a registry has of a broken upload is not known. An error comes with how long the
    /// registry wants to be left alone.
    async fn upload(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        location: &str,
        source: BlobSource,
    ) -> Result<(), (Error, Option<std::time::Duration>)> {
        let separator = if location.contains('?') { '&' } else { '?' };
        let url = format!("{location}{separator}digest={}", descriptor.digest);
        let mut upload = Request::new(Method::PUT, url, "uploading a blob");
        upload.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        upload.body = match source {
            BlobSource::Bytes(bytes) => Body::Bytes(bytes),
            BlobSource::File(path) => Body::File(path, descriptor.size),
        };
        let response =
            self.transport.send_once(reference, Access::Push, &upload).await.map_err(|error| (error, None))?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err((Error::broken(reference.registry(), "the upload expired"), None)),
            _ => {
                let wait = retry_after(&response);
                Err((self.transport.failed(reference, upload.operation, response).await, wait))
            }
        }
    }

    /// Stores a manifest under the tag or digest of `reference` and returns its digest.
    pub async fn put_manifest(&self, reference: &Reference, media_type: &str, bytes: Vec<u8>) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        let url = format!("v2/{}/manifests/{}", reference.repository(), reference.selector());
        let mut request = Request::new(Method::PUT, url, "storing a manifest");
        request.headers.push(("Content-Type", media_type.to_owned()));
        request.body = Body::Bytes(bytes.into());
        let mut backoff = Backoff::new(&self.transport.retry);
        loop {
            let sent = self.transport.send_once(reference, Access::Push, &request).await;
            let (error, wait) = match sent {
                Ok(response) if response.status().is_success() => return Ok(digest),
                Ok(response) => {
                    let wait = retry_after(&response);
                    (self.transport.failed(reference, request.operation, response).await, wait)
                }
                Err(error) => (error, None),
            };
            if !error.is_transient() {
                return Err(error);
            }
            // It may have been stored before the answer was lost, or before something behind it failed (SEC-m5).
            if self.named_digest(reference).await.as_ref() == Some(&digest) {
                return Ok(digest);
            }
            if !backoff.next(reference.registry(), wait).await {
                return Err(error);
            }
        }
    }
}

/// Returns where the answer leads, as a whole address: what is relative is meant from where the request went (SV-06).
fn location(response: &Response) -> Option<String> {
    let target = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(target).ok().map(String::from)
}
