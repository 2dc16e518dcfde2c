//! Writing to a registry: mounts from other repositories, and manifests.

use crate::body::Body;
use crate::retry::{Backoff, is_transient, retry_after};
use crate::transport::{Access, Request};
use crate::{Client, Digest, Error, Reference};
use reqwest::header::LOCATION;
use reqwest::{Method, Response, StatusCode};

/// Header that shows the registry which serves from the client's own store that it may have a blob without an upload.
pub const PROOF_HEADER: &str = "Slipway-Proof";

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
pub(crate) fn location(response: &Response) -> Option<String> {
    let target = response.headers().get(LOCATION)?.to_str().ok()?;
    response.url().join(target).ok().map(String::from)
}
