//! Resolves base images: one digest per reference and build, manifests and configurations only.

use crate::Error;
use crate::context::SourceImage;
use crate::execute::{Committed, Layer};
use registry_client::{Client, Fault, Platform, Reference, Resolved};
use std::sync::Arc;

/// Resolves the image `name` for `platform`.
pub async fn image(client: &Client, name: &str, platform: &Platform) -> Result<SourceImage, Error> {
    let doing = || format!("resolving image `{name}`");
    let reference =
        Reference::parse(name).map_err(|error| Error::user("invalid_reference", doing()).with_cause(error))?;
    let resolved = client.resolve(&reference, platform).await.map_err(|error| registry_error(doing(), error))?;
    source_image(&reference, resolved)
}

fn source_image(reference: &Reference, resolved: Resolved) -> Result<SourceImage, Error> {
    let diff_ids = &resolved.config.rootfs.diff_ids;
    let descriptors = &resolved.manifest.layers;
    if diff_ids.len() != descriptors.len() {
        return Err(Error::user(
            "invalid_image",
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
                origin: Some(pinned.clone()),
            };
            Layer::existing(diff_id.hex().to_owned(), committed)
        })
        .collect::<Vec<Arc<Layer>>>();
    let key = crate::execute::image_key(diff_ids.iter().map(|id| id.hex()));
    Ok(SourceImage {
        reference: pinned,
        config: resolved.config,
        layers,
        key,
        platform_mismatch: resolved.platform_mismatch,
    })
}

/// Turns an error of the registry client into one that says who is to blame.
pub fn registry_error(doing: String, error: registry_client::Error) -> Error {
    let made = match error.fault() {
        Fault::User => Error::user("registry", doing),
        Fault::Upstream => Error::upstream("registry", doing),
        Fault::Service => Error::service("registry", doing),
    };
    made.with_cause(error)
}
