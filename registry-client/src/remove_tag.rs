//! Taking a name away from an image that has others.

use crate::transport::{Access, Request};
use crate::{BlobSource, Client, Descriptor, Digest, Error, Manifest, Reference, media_type};
use reqwest::Method;
use std::time::{SystemTime, UNIX_EPOCH};

/// Answers of a registry that removes manifests by their digests alone, or none.
const UNSUPPORTED: [u16; 3] = [400, 405, 501];

impl Client {
    /// Takes the tag of `reference` away; it is done if there is none. The image stays under its digest and other tags.
    ///
    /// Where a registry removes manifests only by their digests, and all of their tags with them, the tag is moved to a manifest
    /// that nothing else names, and that is removed.
    pub async fn remove_tag(&self, reference: &Reference) -> Result<(), Error> {
        match self.delete(reference).await {
            Err(Error::Status { status, .. }) if UNSUPPORTED.contains(&status) => {
                self.remove_with_manifest(reference).await
            }
            removed => removed,
        }
    }

    async fn remove_with_manifest(&self, reference: &Reference) -> Result<(), Error> {
        let (config, bytes) = self.unique(reference).await?;
        let by_digest = reference.with_digest(Digest::of(&bytes));
        // A registry that removes nothing is not given an empty image under the tag.
        self.put_manifest(&by_digest, media_type::OCI_MANIFEST, bytes.clone()).await?;
        self.delete(&by_digest).await?;
        let source = BlobSource::Bytes(config.1.into());
        self.push_blob(reference, &config.0, source).await?;
        self.put_manifest(reference, media_type::OCI_MANIFEST, bytes).await?;
        self.delete(&by_digest).await
    }

    /// Stores the configuration of an empty image that is like no other; returns it and the image's manifest.
    async fn unique(&self, reference: &Reference) -> Result<((Descriptor, Vec<u8>), Vec<u8>), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
        let config = format!(
            "{{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{{\"Labels\":{{\"removed\":\"{reference} {now}\"}}}},\
             \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[]}}}}"
        )
        .into_bytes();
        let descriptor = Descriptor::new(media_type::OCI_CONFIG, Digest::of(&config), config.len() as u64);
        self.push_blob(reference, &descriptor, BlobSource::Bytes(config.clone().into())).await?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            config: descriptor.clone(),
            layers: Vec::new(),
            annotations: std::collections::BTreeMap::new(),
        };
        let bytes = serde_json::to_vec(&manifest)
            .map_err(|error| Error::document(reference.registry(), format!("no manifest can be written: {error}")))?;
        Ok(((descriptor, config), bytes))
    }

    /// Removes what is named by the digest of `reference`, or else by its tag.
    async fn delete(&self, reference: &Reference) -> Result<(), Error> {
        let url = format!("v2/{}/manifests/{}", reference.repository(), reference.selector());
        let request = Request::new(Method::DELETE, url, "removing a tag");
        let response = self.transport.send(reference, Access::Delete, &request).await?;
        if response.status().is_success() {
            return Ok(());
        }
        match self.transport.failed(reference, request.operation, response).await {
            Error::NotFound(_) => Ok(()),
            error => Err(error),
        }
    }
}
