//! Reading from a registry: manifests with their configurations.

use crate::response::bounded;
use crate::transport::{Access, Request};
use crate::{Client, Descriptor, Digest, Error, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use reqwest::{Method, Response, StatusCode};

/// Largest manifest that is read.
pub(crate) const MAX_MANIFEST: usize = 4 * 1024 * 1024;
/// Largest image configuration that is read.
const MAX_CONFIG: u64 = 8 * 1024 * 1024;
/// Most layers an image may have.
const MAX_LAYERS: usize = 500;
/// How deep indexes may lie in one another.
const MAX_DEPTH: usize = 4;
/// Most documents that are read to find one image.
const MAX_DOCUMENTS: usize = 16;
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
    /// Says that a mirror answered with what the name meant earlier, and why.
    pub stale: Option<String>,
}

/// Returns the document with a digest, if the caller has it.
pub type Known<'k> = dyn Fn(&Digest) -> Option<Vec<u8>> + Sync + 'k;

/// A manifest or index as it came.
struct Document {
    digest: Digest,
    media_type: String,
    bytes: Vec<u8>,
    stale: Option<String>,
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
        self.find(reference, platform, known).await.map_err(|error| self.told(reference, READING, error))
    }

    /// Adds to an error what was asked of the registry.
    fn told(&self, reference: &Reference, operation: &'static str, error: Error) -> Error {
        error.of_request(reference, operation, self.transport.login_state(reference))
    }

    async fn find(&self, reference: &Reference, platform: &Platform, known: &Known<'_>) -> Result<Resolved, Error> {
        let mut document = self.document(reference, known).await?;
        let stale = document.stale.clone();
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
        Ok(Resolved { digest, index_digest, manifest, manifest_bytes, config, config_bytes, platform_mismatch, stale })
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
        let document = self.document(reference, &|_| None).await;
        let document = document.map_err(|error| self.told(reference, READING, error))?;
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
            return Ok(Document { digest: digest.clone(), media_type, bytes, stale: None });
        }
        let (sent_type, bytes, stale) = match self.mirrored(reference).await? {
            Some(found) => (Some(found.media_type), found.bytes, found.stale),
            None => self.manifest_bytes(reference).await?,
        };
        let algorithm = reference.digest().map(Digest::algorithm).unwrap_or_default();
        let digest = Digest::with(algorithm, &bytes);
        if let Some(wanted) = reference.digest()
            && *wanted != digest
        {
            return Err(Error::DigestMismatch(wanted.to_string()));
        }
        let media_type = document_type(reference, &bytes, sent_type)?;
        Ok(Document { digest, media_type, bytes, stale })
    }

    /// Asks the registry itself for a manifest: its type, as it was sent, and its bytes.
    async fn manifest_bytes(&self, reference: &Reference) -> Result<(Option<String>, Vec<u8>, Option<String>), Error> {
        let request = manifest_request(Method::GET, reference);
        let response = self.transport.send(reference, Access::Pull, &request).await?;
        if !response.status().is_success() {
            return Err(self.transport.failed(reference, request.operation, response).await);
        }
        let sent_type = header(&response, "Content-Type");
        let bytes = bounded(response, MAX_MANIFEST, reference.registry(), self.transport.minimum_rate).await?;
        Ok((sent_type, bytes, None))
    }
}

/// The operation, as errors name it.
const READING: &str = "reading a manifest";

fn manifest_request(method: Method, reference: &Reference) -> Request {
    let accept =
        [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST];
    let url = format!("v2/{}/manifests/{}", reference.repository(), reference.selector());
    let mut request = Request::new(method, url, READING);
    request.headers.push(("Accept", accept.join(", ")));
    request
}

/// Returns a header that is text.
pub(crate) fn header(response: &Response, name: &str) -> Option<String> {
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
