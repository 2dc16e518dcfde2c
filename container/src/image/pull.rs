//! Pulling images: what is missing is downloaded, three layers at once, and the image is kept under its name.

use super::tag::{NamesLock, name};
use super::{Name, PINNED, REPO_DIGEST};
use crate::Error;
use futures::{StreamExt, TryStreamExt};
use image_store::{BlobWriter, Served, Store};
use registry_client::{Client, Descriptor, Digest, Platform, Reference, Resolved, media_type};
use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;

/// Layers that are downloaded at once.
const PARALLEL: usize = 3;
/// Largest document of an image that is read from the store instead of the registry.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// State of a layer on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerStatus {
    /// It is going to be downloaded.
    Waiting,
    /// So many bytes are here.
    Downloading(u64),
    /// It was in the store.
    Exists,
    /// It is here, whole and verified.
    Complete,
}

/// Is told how layers get on: the layer, and its state.
pub type Watch<'w> = dyn Fn(&Descriptor, LayerStatus) + Sync + 'w;

/// An image that was pulled.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// Digest that the registry answered the name with.
    pub digest: Digest,
    /// Descriptor under which it is kept.
    pub kept: Descriptor,
    /// Whether the name led to the same image before.
    pub is_up_to_date: bool,
}

/// Pulls the image `reference` for `platform`.
pub async fn pull(
    store: &Store,
    client: &Client,
    reference: &Reference,
    platform: &Platform,
    watch: &Watch<'_>,
) -> Result<Pulled, Error> {
    // Downloads stay until the image has its name.
    let leased = store.leased()?;
    let served = Served { store: &leased, client };
    // Another image's document cannot be read by naming its digest.
    let known = |digest: &Digest| leased.read(digest, MAX_DOCUMENT).ok().filter(|_| served.has(reference, digest));
    let resolved = client.resolve(reference, platform, &known).await?;
    if resolved.platform_mismatch {
        let (reference, found) = (reference.to_string(), resolved.config.platform());
        return Err(Error::other_platform(&reference, platform, &found));
    }
    for bytes in [&resolved.config_bytes, &resolved.manifest_bytes] {
        served.note(reference, &leased.put(bytes)?);
    }
    let layers = futures::stream::iter(resolved.manifest.layers.iter().map(Ok));
    layers
        .map(|layer: Result<&Descriptor, Error>| async { download(served, reference, layer?, watch).await })
        .buffer_unordered(PARALLEL)
        .try_collect::<Vec<()>>()
        .await?;
    keep(&leased, reference, &resolved)
}

fn keep(store: &Store, reference: &Reference, resolved: &Resolved) -> Result<Pulled, Error> {
    let media_type = resolved.manifest.media_type.clone().unwrap_or_else(|| media_type::OCI_MANIFEST.to_owned());
    let size = resolved.manifest_bytes.len() as u64;
    let mut kept = Descriptor::new(&media_type, resolved.digest.clone(), size);
    let digest = resolved.index_digest.clone().unwrap_or_else(|| resolved.digest.clone());
    kept.annotations.insert(REPO_DIGEST.to_owned(), digest.to_string());
    let lock = NamesLock::take(store)?;
    let mut target = Name::of(reference);
    if let Some(digest) = reference.digest() {
        target.tag = format!("{PINNED}{digest}");
    }
    let before = store.kept(&target.stored, &target.tag)?;
    let is_up_to_date = before.as_ref().is_some_and(|before| before.digest == kept.digest);
    if before.as_ref() != Some(&kept) {
        name(store, &lock, &target, &kept)?;
    }
    Ok(Pulled { digest, kept, is_up_to_date })
}

async fn download(
    served: Served<'_>,
    reference: &Reference,
    layer: &Descriptor,
    watch: &Watch<'_>,
) -> Result<(), Error> {
    let Served { store, client } = served;
    if store.size(&layer.digest) == Some(layer.size) && served.has(reference, &layer.digest) {
        watch(layer, LayerStatus::Exists);
        return Ok(());
    }
    watch(layer, LayerStatus::Waiting);
    let mut sink = Sink { writer: store.writer()?, layer, watch };
    client.pull_blob(reference, layer, &mut sink).await?;
    sink.writer.commit_expecting(&layer.digest)?;
    served.note(reference, &layer.digest);
    watch(layer, LayerStatus::Complete);
    Ok(())
}

/// Writes what is downloaded to the store and tells how much that is.
struct Sink<'s> {
    writer: BlobWriter,
    layer: &'s Descriptor,
    watch: &'s Watch<'s>,
}

impl AsyncWrite for Sink<'_> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let sink = self.get_mut();
        let written = sink.writer.write(bytes);
        (sink.watch)(sink.layer, LayerStatus::Downloading(sink.writer.size()));
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(self.get_mut().writer.flush())
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        self.poll_flush(context)
    }
}
