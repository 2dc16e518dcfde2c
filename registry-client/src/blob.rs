//! Reading blobs of a registry: whether they are there, and their bytes, whatever breaks on the way.

use crate::address::AddressPolicy;
use crate::pace::Pace;
use crate::pull::header;
use crate::response::{in_time, unreachable};
use crate::retry::is_transient;
use crate::transport::{Access, Request};
use crate::{Client, Descriptor, Digest, Error, Hasher, Reference};
use reqwest::{Method, Response, StatusCode};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// How often a broken download is taken up again without much progress.
const RESUMES: u32 = 5;
/// Bytes that are progress.
const PROGRESS: u64 = 1024 * 1024;

/// The part of a blob that arrived.
struct Pulled {
    hash: Hasher,
    done: u64,
    /// Whether the registry serves parts of blobs, as far as is known.
    has_ranges: bool,
}

impl Client {
    /// Returns whether the repository of `reference` has the blob.
    pub async fn has_blob(&self, reference: &Reference, digest: &Digest) -> Result<bool, Error> {
        let url = format!("v2/{}/blobs/{digest}", reference.repository());
        let request = Request::new(Method::HEAD, url.clone(), "looking for a blob");
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        let (status, path) = (response.status(), response.url().path().trim_start_matches('/').to_owned());
        if status.is_success() || status == StatusCode::NOT_FOUND {
            return Ok(status.is_success());
        }
        // Storage that the registry leads to may refuse `HEAD`, because addresses are signed for `GET`, and so may a
        // registry (SV-15).
        if path != url || matches!(status.as_u16(), 405 | 501) {
            let mut request = Request::new(Method::GET, url, "looking for a blob");
            request.headers.push(("Range", "bytes=0-0".to_owned()));
            let response = self.transport.send(reference, Access::Pull, &request).await?;
            return Ok(response.status().is_success());
        }
        Err(self.transport.failed(reference, request.operation, response).await)
    }

    /// Returns the size of a blob that the repository of `reference` has; `None` if it has none, or does not say.
    pub async fn blob_size(&self, reference: &Reference, digest: &Digest) -> Result<Option<u64>, Error> {
        let url = format!("v2/{}/blobs/{digest}", reference.repository());
        let mut request = Request::new(Method::HEAD, url, "looking for a blob");
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        if response.status().is_success() {
            return Ok(header(&response, "Content-Length").and_then(|length| length.parse().ok()));
        }
        if is_transient(response.status()) && response.status() != StatusCode::NOT_IMPLEMENTED {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        // Storage may refuse `HEAD`, and registries may (SV-15).
        request.method = Method::GET;
        request.headers.push(("Range", "bytes=0-0".to_owned()));
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        let range = header(&response, "Content-Range");
        match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::PARTIAL_CONTENT => Ok(range.and_then(|range| range.rsplit_once('/')?.1.parse().ok())),
            status if status.is_success() => Ok(response.content_length()),
            _ => Err(self.transport.failed(reference, request.operation, response).await),
        }
    }

    /// Streams a blob into `sink`, which gets each byte once; fails at the end if the bytes are not those of its digest.
    pub async fn pull_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        sink: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Error> {
        if self.copy_mirrored(reference, descriptor, sink).await? {
            return Ok(());
        }
        let mut pulled = Pulled { hash: Hasher::new(descriptor.digest.algorithm()), done: 0, has_ranges: true };
        let mut resumes = 0;
        loop {
            let before = pulled.done;
            let ended = self.pull_part(reference, descriptor, &mut pulled, sink).await;
            let error = match ended {
                Ok(true) => break,
                Ok(false) => Error::broken(reference.registry(), "a blob ended before its end"),
                Err(error) if error.is_transient() => error,
                Err(error) => return Err(error),
            };
            if pulled.done - before >= PROGRESS {
                resumes = 0;
            }
            if resumes == RESUMES {
                return Err(error.of_request(reference, "reading a blob", self.transport.login_state(reference)));
            }
            resumes += 1;
        }
        sink.flush().await?;
        if pulled.done != descriptor.size || pulled.hash.finish() != descriptor.digest {
            return Err(Error::DigestMismatch(descriptor.digest.to_string()));
        }
        Ok(())
    }

    /// Reads what is left of a blob; tells whether that was its end.
    async fn pull_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        pulled: &mut Pulled,
        sink: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<bool, Error> {
        let mut request = Request::new(
            Method::GET,
            format!("v2/{}/blobs/{}", reference.repository(), descriptor.digest),
            "reading a blob",
        );
        if pulled.done > 0 && pulled.has_ranges {
            request.headers.push(("Range", format!("bytes={}-", pulled.done)));
        }
        let mut response = self.transport.send(reference, Access::Pull, &request).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && pulled.done > 0 && pulled.has_ranges {
            pulled.has_ranges = false;
            return Ok(false);
        }
        if !response.status().is_success() {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        let mut pace = Pace::new(self.transport.minimum_rate, reference.registry());
        let Some(mut skip) = pulled.done.checked_sub(start_of(&response, pulled.done)) else {
            return Err(Error::broken(reference.registry(), "it sent another part of a blob than was asked for"));
        };
        // Where the length is known, a body that is too short is an error by itself.
        let is_length_known = response.content_length().is_some();
        loop {
            let chunk = in_time(reference.registry(), self.transport.read_timeout, response.chunk()).await?;
            let chunk = chunk.map_err(|cause| unreachable(reference.registry(), AddressPolicy::Any, cause))?;
            let Some(chunk) = chunk else { return Ok(is_length_known || pulled.done >= descriptor.size) };
            pace.passed(chunk.len())?;
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= passed as u64;
            let fresh = &chunk[passed..];
            pulled.done += fresh.len() as u64;
            if pulled.done > descriptor.size {
                return Err(Error::DigestMismatch(descriptor.digest.to_string()));
            }
            pulled.hash.update(fresh);
            sink.write_all(fresh).await?;
        }
    }
}

/// Returns the byte that a body begins with: a registry without ranges starts from the beginning, and some name none.
fn start_of(response: &Response, asked: u64) -> u64 {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return 0;
    }
    let said = header(response, "Content-Range");
    said.and_then(|said| said.trim_start_matches("bytes ").split('-').next()?.trim().parse().ok()).unwrap_or(asked)
}
