//! Uploads a blob while it is still being written: its digest is told last.

use crate::body::Body;
use crate::growing::GrowingBlob;
use crate::push::location;
use crate::transport::{Access, Request};
use crate::{Client, Digest, Error, Reference};
use futures::future::{Either, select};
use reqwest::{Method, Response, StatusCode};
use std::pin::pin;

impl Client {
    /// Uploads `blob` as it grows, once, and returns its digest.
    ///
    /// Returns `None` if the registry has the blob or gets it in another way, or if the blob was given up. Then, and after
    /// an error, the registry keeps nothing of the upload.
    pub async fn push_growing_blob(&self, reference: &Reference, blob: GrowingBlob) -> Result<Option<Digest>, Error> {
        let transport = &self.transport;
        let begin =
            Request::new(Method::POST, format!("v2/{}/blobs/uploads/", reference.repository()), "beginning an upload");
        let response = transport.send_once(reference, Access::Push, &begin).await?;
        if !response.status().is_success() {
            return Err(transport.failed(reference, begin.operation, response).await);
        }
        let Some(location) = location(&response) else { return Ok(None) };
        let mut upload = GrowingUpload { client: self, reference, location };
        let sent = match transport.homes.contains(reference.registry()) {
            // Such a registry takes a blob of the store without its bytes.
            true => Ok(None),
            false => upload.send(blob).await,
        };
        if !matches!(sent, Ok(Some(_))) {
            upload.give_up().await;
        }
        sent
    }
}

/// An upload that a registry has begun.
struct GrowingUpload<'c> {
    client: &'c Client,
    reference: &'c Reference,
    location: String,
}

impl GrowingUpload<'_> {
    async fn send(&mut self, blob: GrowingBlob) -> Result<Option<Digest>, Error> {
        let registry = self.reference.registry();
        let mut bytes = Request::new(Method::PATCH, self.location.clone(), "uploading a blob");
        bytes.headers.push(("Content-Type", "application/octet-stream".to_owned()));
        (bytes.is_upload, bytes.body) = (true, Body::Growing(blob.clone()));
        let sending = pin!(self.client.transport.send_once(self.reference, Access::Push, &bytes));
        let response = match select(sending, pin!(self.digest_there(blob.clone()))).await {
            Either::Left((response, _)) => response?,
            // The rest need not be sent.
            Either::Right((true, _)) => return Ok(None),
            Either::Right((false, sending)) => sending.await?,
        };
        let response = self.successful(bytes.operation, response).await?;
        let next = location(&response).ok_or_else(|| Error::broken(registry, "it did not say where to upload to"))?;
        self.location = next;
        let Some(digest) = blob.clone().digest().await else { return Ok(None) };
        let separator = if self.location.contains('?') { '&' } else { '?' };
        let url = format!("{}{separator}digest={digest}", self.location);
        let mut end = Request::new(Method::PUT, url, "ending an upload");
        end.headers.push(("Content-Length", "0".to_owned()));
        end.is_upload = true;
        let response = self.client.transport.send_once(self.reference, Access::Push, &end).await?;
        self.successful(end.operation, response).await?;
        Ok(Some(digest))
    }

    /// Returns whether the repository has the blob already, as soon as its digest is known; a blob that was given up is there.
    async fn digest_there(&self, mut blob: GrowingBlob) -> bool {
        let Some(digest) = blob.digest().await else { return true };
        self.client.is_stored(self.reference, &digest).await
    }

    async fn successful(&self, operation: &'static str, response: Response) -> Result<Response, Error> {
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::NOT_FOUND => Err(Error::broken(self.reference.registry(), "the upload expired")),
            _ => Err(self.client.transport.failed(self.reference, operation, response).await),
        }
    }

    async fn give_up(self) {
        let request = Request::new(Method::DELETE, self.location, "giving up an upload");
        let _ = self.client.transport.send_once(self.reference, Access::Push, &request).await;
    }
}
