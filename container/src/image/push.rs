//! Pushing images: layers that the registry lacks, the configuration, and the manifest last.

use super::tag::NamesLock;
use super::{Image, Name, REPO_DIGEST};
use crate::Error;
use image_store::{Served, Store};
use registry_client::{BlobSource, Client, Descriptor, Digest, Index, Reference, media_type};

/// Largest document of an image that is sent.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// State of a layer that is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is looked for.
    Preparing,
    /// It was sent.
    Sent,
    /// The repository had it.
    Exists,
}

/// Pushes `image` to where `reference` says; returns the digest and size of its manifest.
pub async fn push(
    store: &Store,
    client: &Client,
    image: &Image,
    reference: &Reference,
    watch: &(dyn Fn(&Descriptor, Pushed) + Sync),
) -> Result<(Digest, u64), Error> {
    let leased = store.leased()?;
    let mut manifests = vec![image.manifest.clone()];
    if media_type::is_index(&image.kept.media_type) {
        let bytes = leased.read(&image.kept.digest, MAX_DOCUMENT)?;
        let index: Index =
            serde_json::from_slice(&bytes).map_err(|_| Error::Damaged(format!("index {}", image.kept.digest)))?;
        manifests = index.manifests;
    }
    for manifest in &manifests {
        push_manifest(&leased, client, manifest, reference, watch).await?;
    }
    let kept = &image.kept;
    let bytes = leased.read(&kept.digest, MAX_DOCUMENT)?;
    let size = bytes.len() as u64;
    let digest = client.put_manifest(reference, &kept.media_type, bytes).await?;
    note_digest(&leased, reference, kept, &digest)?;
    Ok((digest, size))
}

/// Notes under which digest the repository has an image, if the name still leads to it.
fn note_digest(store: &Store, reference: &Reference, pushed: &Descriptor, digest: &Digest) -> Result<(), Error> {
    let (_lock, name) = (NamesLock::take(store)?, Name::of(reference));
    if let Some(mut kept) = store.kept(&name.stored, &name.tag)?.filter(|kept| kept.digest == pushed.digest) {
        kept.annotations.insert(REPO_DIGEST.to_owned(), digest.to_string());
        store.keep(&name.stored, &name.tag, &kept)?;
    }
    Ok(())
}

/// Sends what one manifest names, and the manifest under its digest.
async fn push_manifest(
    store: &Store,
    client: &Client,
    manifest: &Descriptor,
    reference: &Reference,
    watch: &(dyn Fn(&Descriptor, Pushed) + Sync),
) -> Result<(), Error> {
    let bytes = store.read(&manifest.digest, MAX_DOCUMENT)?;
    let read: registry_client::Manifest =
        serde_json::from_slice(&bytes).map_err(|_| Error::Damaged(format!("manifest {}", manifest.digest)))?;
    for layer in read.layers.iter().rev() {
        watch(layer, Pushed::Preparing);
    }
    for blob in read.layers.iter().chain([&read.config]) {
        let is_there = client.has_blob(reference, &blob.digest).await.unwrap_or(false);
        if !is_there {
            store.open_blob(&blob.digest)?;
            let source = BlobSource::File(store.path(&blob.digest));
            if client.push_blob(reference, blob, source).await? {
                // The registry has the bytes now: when it names them, they may come from the store.
                Served { store, client }.note(reference, &blob.digest);
            }
        }
        if blob.digest != read.config.digest {
            watch(blob, if is_there { Pushed::Exists } else { Pushed::Sent });
        }
    }
    client.put_manifest(&reference.with_digest(manifest.digest.clone()), &manifest.media_type, bytes).await?;
    Ok(())
}
