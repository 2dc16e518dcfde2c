//! Reading from a registry: manifests with their configurations, and blobs.

use crate::address::AddressPolicy;
use crate::pace::Pace;
use crate::response::{bounded, unreachable};
use crate::transport::{Access, Request};
use crate::{Client, Descriptor, Digest, Error, Hasher, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use reqwest::{Method, Response, StatusCode};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Largest manifest that is read.
const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// Largest image configuration that is read.
const MAX_CONFIG: u64 = 8 * 1024 * 1024;
/// Most layers an image may have.
const MAX_LAYERS: usize = 500;
/// How deep indexes may lie in one another.
const MAX_DEPTH: usize = 4;
/// Most documents that are read to find one image.
const MAX_DOCUMENTS: usize = 16;
/// How often a broken download is taken up again.
const RESUMES: u32 = 5;

/// An image as a registry has it at this moment.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Digest of the platform's manifest.
    pub digest: Digest,
    /// Digest of the index that led to it.
    pub index_digest: Option<Digest>,
    /// The manifest.
    pub manifest: Manifest,
    /// Its bytes.
    pub manifest_bytes: Vec<u8>,
    /// The configuration.
    pub config: ImageConfig,
    /// Its bytes.
    pub config_bytes: Vec<u8>,
    /// Whether the image is for another platform than asked for.
    pub platform_mismatch: bool,
}

/// Returns the document with a digest, if the caller has it.
pub type Known<'k> = dyn Fn(&Digest) -> Option<Vec<u8>> + Sync + 'k;

/// A manifest or index as it came.
struct Document {
    digest: Digest,
    media_type: String,
    bytes: Vec<u8>,
}

impl Client {
    /// Finds the image that `reference` names for `platform`, with its configuration; no layer is read.
    ///
    /// `known` returns documents that the caller has from this image: a name is asked for each time, a digest only if
    /// it is unknown. A client for untrusted builds asks for everything.
    pub async fn resolve(
        &self,
        reference: &Reference,
        platform: &Platform,
        known: &Known<'_>,
    ) -> Result<Resolved, Error> {
        let known: &Known<'_> = if self.is_untrusted() { &|_| None } else { known };
        let mut document = self.document(reference, known).await?;
        let mut index_digest = None;
        if media_type::is_index(&document.media_type) {
            index_digest = Some(document.digest.clone());
            document = self.find_in(reference, document, platform, known).await?;
        }
        if !media_type::is_manifest(&document.media_type) {
            return Err(Error::document(
                reference.registry(),
                format!("media type `{}` is not that of a manifest", document.media_type),
            ));
        }
        let manifest: Manifest = parse(reference, &document.bytes)?;
        if manifest.layers.len() > MAX_LAYERS {
            return Err(Error::document(reference.registry(), format!("the image has more than {MAX_LAYERS} layers")));
        }
        let config_bytes = match known(&manifest.config.digest) {
            Some(bytes) => bytes,
            None => self.small_blob(reference, &manifest.config).await?,
        };
        let config: ImageConfig = parse(reference, &config_bytes)?;
        let found = config.platform();
        let (digest, manifest_bytes) = (document.digest, document.bytes);
        let platform_mismatch = !found.os.is_empty() && !found.satisfies(platform);
        Ok(Resolved { digest, index_digest, manifest, manifest_bytes, config, config_bytes, platform_mismatch })
    }

    /// Finds the manifest for `platform` in an index, and in indexes that it names (EN-47).
    async fn find_in(
        &self,
        reference: &Reference,
        index: Document,
        platform: &Platform,
        known: &Known<'_>,
    ) -> Result<Document, Error> {
        let mut left = vec![(index, 1)];
        let mut read = 1;
        while let Some((document, depth)) = left.pop() {
            let index: Index = parse(reference, &document.bytes)?;
            let choices = choices(&index, platform);
            let mut inner = Vec::new();
            for chosen in choices {
                let is_index = media_type::is_index(&chosen.media_type);
                if is_index && depth >= MAX_DEPTH || read >= MAX_DOCUMENTS {
                    let problem =
                        format!("its indexes lie more than {MAX_DEPTH} deep, or are more than {MAX_DOCUMENTS}");
                    return Err(Error::document(reference.registry(), problem));
                }
                read += 1;
                let found = self.document(&reference.with_digest(chosen.digest.clone()), known).await?;
                if !media_type::is_index(&found.media_type) {
                    return Ok(found);
                }
                inner.push((found, depth + 1));
            }
            left.extend(inner.into_iter().rev());
        }
        Err(Error::NoPlatform(platform.to_string()))
    }

    /// Returns media type and bytes of the manifest or index that `reference` names.
    pub async fn get_manifest(&self, reference: &Reference) -> Result<(String, Vec<u8>), Error> {
        let document = self.document(reference, &|_| None).await?;
        Ok((document.media_type, document.bytes))
    }

    /// Returns digest and media type of the manifest that `reference` names; `None` if it names none.
    pub async fn head_manifest(&self, reference: &Reference) -> Result<Option<(Digest, String)>, Error> {
        let request = manifest_request(Method::HEAD, reference);
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        let digest = header(&response, "Docker-Content-Digest").and_then(|digest| digest.parse().ok());
        let unnamed = || Error::document(reference.registry(), "the answer has no Docker-Content-Digest".to_owned());
        Ok(Some((digest.ok_or_else(unnamed)?, header(&response, "Content-Type").unwrap_or_default())))
    }

    /// Asks once for the digest of the manifest that `reference` names; what cannot be found out is `None`.
    pub(crate) async fn named_digest(&self, reference: &Reference) -> Option<Digest> {
        let request = manifest_request(Method::HEAD, reference);
        let response = self.transport.send_once(reference, Access::Push, &request).await.ok()?;
        let said = header(&response, "Docker-Content-Digest").and_then(|digest| digest.parse().ok());
        // A registry that does not name it was asked for it by its digest, or cannot say.
        said.or_else(|| reference.digest().cloned()).filter(|_| response.status().is_success())
    }

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

    /// Streams a blob into `sink`, which gets each byte once; fails at the end if the bytes are not those of its digest.
    pub async fn pull_blob(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        sink: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Error> {
        let mut hash = Hasher::new(descriptor.digest.algorithm());
        let mut done = 0;
        let mut resumes = 0;
        while done < descriptor.size || resumes == 0 {
            match self.pull_part(reference, descriptor, &mut done, &mut hash, sink).await {
                Ok(()) => break,
                Err(error) if error.is_transient() && resumes < RESUMES => resumes += 1,
                Err(error) => return Err(error),
            }
        }
        sink.flush().await?;
        let found = hash.finish();
        if done != descriptor.size || found != descriptor.digest {
            return Err(Error::DigestMismatch(descriptor.digest.to_string()));
        }
        Ok(())
    }

    async fn pull_part(
        &self,
        reference: &Reference,
        descriptor: &Descriptor,
        done: &mut u64,
        hash: &mut Hasher,
        sink: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Error> {
        let mut request = Request::new(
            Method::GET,
            format!("v2/{}/blobs/{}", reference.repository(), descriptor.digest),
            "reading a blob",
        );
        if *done > 0 {
            request.headers.push(("Range", format!("bytes={done}-")));
        }
        let mut response = self.transport.send(reference, Access::Pull, &request).await?;
        if !response.status().is_success() {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        // A registry without ranges starts from the beginning: skip what was received already.
        let mut pace = Pace::new(self.transport.minimum_rate, reference.registry());
        let mut skip = if response.status() == StatusCode::PARTIAL_CONTENT { 0 } else { *done };
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|cause| unreachable(reference.registry(), AddressPolicy::Any, cause))?;
            let Some(chunk) = chunk else { return Ok(()) };
            pace.passed(chunk.len())?;
            let passed = usize::try_from(skip).unwrap_or(usize::MAX).min(chunk.len());
            skip -= passed as u64;
            let fresh = &chunk[passed..];
            *done += fresh.len() as u64;
            if *done > descriptor.size {
                return Err(Error::DigestMismatch(descriptor.digest.to_string()));
            }
            hash.update(fresh);
            sink.write_all(fresh).await?;
        }
    }

    async fn small_blob(&self, reference: &Reference, descriptor: &Descriptor) -> Result<Vec<u8>, Error> {
        if descriptor.size > MAX_CONFIG {
            return Err(Error::document(
                reference.registry(),
                format!("the configuration is larger than {MAX_CONFIG} bytes"),
            ));
        }
        let mut bytes = Vec::new();
        self.pull_blob(reference, descriptor, &mut bytes).await?;
        Ok(bytes)
    }

    async fn document(&self, reference: &Reference, known: &Known<'_>) -> Result<Document, Error> {
        if let Some(digest) = reference.digest()
            && let Some(bytes) = known(digest)
            && let Ok(media_type) = document_type(reference, &bytes, None)
            && !media_type.is_empty()
        {
            return Ok(Document { digest: digest.clone(), media_type, bytes });
        }
        let request = manifest_request(Method::GET, reference);
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        if !response.status().is_success() {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        let sent_type = header(&response, "Content-Type");
        let bytes = bounded(response, MAX_MANIFEST, reference.registry(), self.transport.minimum_rate).await?;
        let algorithm = reference.digest().map(Digest::algorithm).unwrap_or_default();
        let digest = Digest::with(algorithm, &bytes);
        if let Some(wanted) = reference.digest()
            && *wanted != digest
        {
            return Err(Error::DigestMismatch(wanted.to_string()));
        }
        let media_type = document_type(reference, &bytes, sent_type)?;
        Ok(Document { digest, media_type, bytes })
    }
}

fn manifest_request(method: Method, reference: &Reference) -> Request {
    let accept =
        [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST];
    let url = format!("v2/{}/manifests/{}", reference.repository(), reference.selector());
    let mut request = Request::new(method, url, "reading a manifest");
    request.headers.push(("Accept", accept.join(", ")));
    request
}

fn header(response: &Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

/// Returns what a document is; one that could be read as two things is refused (REG-10).
fn document_type(reference: &Reference, bytes: &[u8], sent: Option<String>) -> Result<String, Error> {
    let document: serde_json::Value = parse(reference, bytes)?;
    // `null` is as good as nothing (SV-08).
    let has = |key: &str| document.get(key).is_some_and(|value| !value.is_null());
    let (index, manifest) = (has("manifests"), has("layers"));
    if index && manifest {
        return Err(Error::document(reference.registry(), "it has both manifests and layers"));
    }
    let sent = sent.map(|sent| sent.split(';').next().unwrap_or_default().trim().to_owned());
    let own =
        document.get("mediaType").and_then(|kind| kind.as_str()).map(str::to_owned).filter(|kind| !kind.is_empty());
    let mut kind = own.or(sent).unwrap_or_default();
    // Without a media type, its fields decide.
    if matches!(kind.as_str(), "" | "application/json" | "application/octet-stream" | "text/plain") {
        kind = match (index, has("config")) {
            (true, _) => media_type::OCI_INDEX.to_owned(),
            (false, true) => media_type::OCI_MANIFEST.to_owned(),
            (false, false) => kind,
        };
    }
    if (index && !media_type::is_index(&kind)) || (manifest && !media_type::is_manifest(&kind)) {
        return Err(Error::document(reference.registry(), format!("media type `{kind}` does not fit the document")));
    }
    Ok(kind)
}

fn parse<T: serde::de::DeserializeOwned>(reference: &Reference, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::document(reference.registry(), error.to_string()))
}

/// Returns what of an index may lead to the image for `platform`, in the order in which it is tried: the manifest that is
/// for it, then indexes that are or that do not say, then the only manifest there is.
fn choices<'i>(index: &'i Index, platform: &Platform) -> Vec<&'i Descriptor> {
    let images = || index.manifests.iter().filter(|entry| media_type::is_manifest(&entry.media_type));
    let indexes = || index.manifests.iter().filter(|entry| media_type::is_index(&entry.media_type));
    let says = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|found| !found.os.is_empty());
    let fits = |entry: &&Descriptor| entry.platform.as_ref().is_some_and(|found| found.satisfies(platform));
    if let Some(fitting) = images().find(fits) {
        return vec![fitting];
    }
    let inner: Vec<_> = indexes().filter(fits).chain(indexes().filter(|entry| !says(entry))).collect();
    let only = images().next().filter(|entry| !says(entry) && images().count() == 1 && inner.is_empty());
    inner.into_iter().chain(only).collect()
}
