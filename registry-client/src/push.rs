//! Writing to a registry: blobs, mounts from other repositories, manifests.

use crate::patience::Tries;
use crate::transport::{Access, Body, Request, failed};
use crate::{Client, Descriptor, Digest, Error, Reference};
use bytes::Bytes;
use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode};
use std::path::PathBuf;

/// Where a blob's bytes are.
#[derive(Debug, Clone)]
pub enum BlobSource {
    /// In memory.
    Bytes(Bytes),
    /// In a file, whole.
    File(PathBuf),
}

impl Client {
    /// Makes the repository `to` have a blob that `from_repository` of the same registry has; tells whether it worked.
    pub async fn mount_blob(&self, to: &Reference, from_repository: &str, digest: &Digest) -> Result<bool, Error> {
        let url = format!("v2/{}/blobs/uploads/?mount={digest}&from={from_repository}", to.repository());
        let mut request = Request::new(Method::POST, url);
        request.mounted_from = Some(from_repository.to_owned());
        let response = match self.transport.send(to, Access::Push, &request).await {
            // Who may not read the other repository uploads, and learns nothing of it (REG-32).
            Err(Error::Denied(_)) => return Ok(false),
            sent => sent?,
        };
        if response.status() == StatusCode::CREATED {
            return Ok(true);
        }
        // The registry opened an upload instead; it is given up, so that nothing is left behind.
        if let Some(location) = location(&response) {
            let _ = self.transport.send(to, Access::Push, &Request::new(Method::DELETE, location)).await;
        }
        Ok(false)
    }

    /// Uploads a blob; an interrupted upload is started again.
    pub async fn push_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        source: BlobSource,
    ) -> Result<(), Error> {
        let mut tries = Tries::new(&self.transport.patience);
        loop {
            let sent = match self.begin_upload(reference).await? {
                Some(location) => self.upload(reference, descriptor, (&location, source.clone())).await,
                None => Err(Error::broken(reference.registry(), "it did not say where to upload to")),
            };
            let Err(error) = sent else { return Ok(()) };
            if !error.is_transient() || !tries.next(reference.registry(), None).await {
                return Err(error);
            }
            // The answer may have been lost after the registry had everything.
            if self.has_blob(reference, &descriptor.digest).await.unwrap_or(false) {
                return Ok(());
            }
        }
    }

    /// Returns where to upload to, if the registry says so.
    async fn begin_upload(&self, reference: &Reference) -> Result<Option<String>, Error> {
        let begin = Request::new(Method::POST, format!("v2/{}/blobs/uploads/", reference.repository()));
        let response = self.transport.send(reference, Access::Push, &begin).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(location(&response)),
            _ => Err(failed(reference, response).await),
        }
    }

    /// Sends the whole blob, once: what a registry has of a broken upload is not known.
    async fn upload(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        (location, source): (&str, BlobSource),
    ) -> Result<(), Error> {
        let separator = if location.contains('?') { '&' } else { '?' };
        let mut upload = Request::new(Method::PUT, format!("{location}{separator}digest={}", descriptor.digest));
        upload.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        upload.body = match source {
            BlobSource::Bytes(bytes) => Body::Bytes(bytes),
            BlobSource::File(path) => Body::File(path, descriptor.size),
        };
        let response = self.transport.send_once(reference, Access::Push, &upload).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            StatusCode::NOT_FOUND => Err(Error::broken(reference.registry(), "the upload expired")),
            _ => Err(failed(reference, response).await),
        }
    }

    /// Stores a manifest under the tag or digest of `reference` and returns its digest.
    pub async fn put_manifest(&self, reference: &Reference, media_type: &str, bytes: Vec<u8>) -> Result<Digest, Error> {
        let digest = Digest::of(&bytes);
        let mut request =
            Request::new(Method::PUT, format!("v2/{}/manifests/{}", reference.repository(), reference.selector()));
        request.headers.push(("Content-Type", media_type.to_owned()));
        request.body = Body::Bytes(bytes.into());
        let response = self.transport.send(reference, Access::Push, &request).await?;
        if response.status().is_success() { Ok(digest) } else { Err(failed(reference, response).await) }
    }
}

fn location(response: &Response) -> Option<String> {
    Some(response.headers().get(LOCATION)?.to_str().ok()?.to_owned())
}
