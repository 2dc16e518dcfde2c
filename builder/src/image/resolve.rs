//! Resolves base images: one digest per reference and build, manifests and configurations only.

use crate::error::Code;
use crate::execute::{Committed, Layer, SourceImage, until_cancelled};
use crate::{Error, Services};
use database::BaseImage;
use image_store::{Served, Store};
use registry_client::{Client, Digest, Platform, Reference, Resolved};
use runtime::CancellationToken;
use std::sync::Arc;

/// Largest manifest or configuration that is read from the store.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Resolves images side by side; the results are in the order of `wanted`.
pub(crate) fn images(
    services: &Services,
    cancel: &CancellationToken,
    wanted: impl Iterator<Item = (String, Platform)>,
) -> impl Iterator<Item = Result<SourceImage, Error>> {
    let resolving = wanted.map(|(name, platform)| {
        let (client, store) = (services.client.clone(), services.store.clone());
        services.tokio.spawn(async move { image(&client, &store, &name, &platform).await })
    });
    let resolving: Vec<_> = resolving.collect();
    let (tokio, cancel) = (services.tokio.clone(), cancel.clone());
    resolving.into_iter().map(move |resolved| {
        let asked = resolved.abort_handle();
        let Some(resolved) = until_cancelled(&tokio, &cancel, resolved) else {
            asked.abort();
            return Err(Error::cancelled());
        };
        resolved.unwrap_or_else(|error| Err(Error::new(Code::Resolve, "resolving an image").with_cause(error)))
    })
}

/// Returns the reference of `name` with the digest that `pinned` has for it; `name` itself if there is none.
pub(crate) fn pinned(name: &str, platform: &Platform, pinned: &[BaseImage]) -> String {
    let Ok(reference) = Reference::parse(name) else { return name.to_owned() };
    let asked = reference.to_string();
    let known = pinned.iter().filter(|image| image.reference == asked);
    let exact = known.clone().find(|image| image.platform == platform.to_string());
    let Some(image) = exact.or_else(|| known.clone().next().filter(|_| known.count() == 1)) else {
        return name.to_owned();
    };
    image.digest.parse().map_or_else(|_| name.to_owned(), |digest| reference.with_digest(digest).to_string())
}

/// Resolves the image `name`; documents that the store has are not asked for again, whatever tag leads to them.
async fn image(client: &Client, store: &Store, name: &str, platform: &Platform) -> Result<SourceImage, Error> {
    let doing = || format!("resolving image `{name}`");
    let reference =
        Reference::parse(name).map_err(|error| Error::new(Code::InvalidReference, doing()).with_cause(error))?;
    let served = Served { store, client };
    let known = |digest: &Digest| store.read(digest, MAX_DOCUMENT).ok().filter(|_| served.has(&reference, digest));
    let resolved =
        client.resolve(&reference, platform, &known).await.map_err(|error| Error::registry(doing(), error))?;
    for bytes in [&resolved.manifest_bytes, &resolved.config_bytes] {
        let digest = store.put(bytes).map_err(|error| Error::store(doing(), error))?;
        served.note(&reference, &digest);
    }
    source_image(&reference, platform, resolved)
}

fn source_image(reference: &Reference, platform: &Platform, resolved: Resolved) -> Result<SourceImage, Error> {
    crate::image::base_config::check(&resolved.config).map_err(|problem| {
        Error::new(Code::InvalidImage, format!("the configuration of image `{reference}` cannot be used: {problem}"))
    })?;
    let diff_ids = &resolved.config.rootfs.diff_ids;
    let descriptors = &resolved.manifest.layers;
    if diff_ids.len() != descriptors.len() {
        return Err(Error::new(
            Code::InvalidImage,
            format!("image `{reference}` has {} layers but {} diff ids", descriptors.len(), diff_ids.len()),
        ));
    }
    let pinned = reference.with_digest(resolved.digest.clone());
    let layers = descriptors
        .iter()
        .zip(diff_ids)
        .map(|(descriptor, diff_id)| {
            let committed = Committed {
                diff_id: diff_id.clone(),
                descriptor: descriptor.clone(),
                empty: false,
                made: None,
                origin: Some(pinned.clone()),
                is_foreign: true,
            };
            Layer::existing(diff_id.hex().to_owned(), committed)
        })
        .collect::<Vec<Arc<Layer>>>();
    let key = crate::key::image_key(diff_ids.iter().map(|id| id.hex()));
    Ok(SourceImage {
        asked: reference.clone(),
        platform: platform.clone(),
        reference: pinned,
        config: resolved.config,
        layers,
        key,
        platform_mismatch: resolved.platform_mismatch,
        stale: resolved.stale,
    })
}
