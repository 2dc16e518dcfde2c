//! Images that were built here by hand and stay in the store under their names: later builds by hand start from them.

use crate::error::Code;
use crate::execute::{BuildResources, SourceImage};
use crate::image::layout::{self, LayoutError};
use crate::trace::Trace;
use crate::{Error, Image, Services};
use registry_client::{Descriptor, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use runtime::CancellationToken;

/// Largest document of an image that is read.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Names an image in the store, with all its layers: those of its bases may never have been needed until now.
pub fn keep(services: &Services, image: &Image, names: &[Reference], cancel: &CancellationToken) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let descriptor = hold(services, image, cancel)?;
    for name in names {
        let tagged = services.store.keep(&repository(name), name.tag().unwrap_or("latest"), &descriptor);
        tagged.map_err(|error| Error::store(format!("keeping the image as `{name}`"), error))?;
    }
    Ok(())
}

/// Brings all layers of an image into the store, so that others can start from it; returns its descriptor.
pub fn hold(services: &Services, image: &Image, cancel: &CancellationToken) -> Result<Descriptor, Error> {
    let resources = BuildResources::aside(services, "keep", cancel)?;
    let parts = image.parts();
    let mut layers = parts.iter().flat_map(|image| &image.layers);
    layers.try_for_each(|layer| resources.blob(layer))?;
    Ok(Descriptor::new(image.media_type, image.digest.clone(), image.manifest.len() as u64))
}

/// Returns an image of the store for `platform`.
pub(crate) fn stored(services: &Services, descriptor: &Descriptor, platform: &Platform) -> Result<SourceImage, Error> {
    let unusable = |problem: String| {
        Error::new(Code::InvalidImage, format!("reading image {} from the store: {problem}", descriptor.digest))
    };
    let name = Reference::parse("stored.invalid/image").map_err(|error| unusable(error.to_string()))?;
    match read(services, descriptor, &name, platform) {
        Ok(image) => image.ok_or_else(|| unusable("a layer is missing".to_owned())),
        Err(LayoutError::User(problem)) => Err(unusable(problem)),
        Err(LayoutError::Store(error)) => Err(*error),
    }
}

/// Returns an image of a registry whose documents are in the store as one that can be pushed elsewhere.
pub(crate) fn image_of(services: &Services, source: &SourceImage) -> Result<Image, Error> {
    let unusable = |problem: String| Error::new(Code::InvalidImage, format!("reading `{}`: {problem}", source.asked));
    let digest = source.reference.digest().cloned().ok_or_else(|| unusable("it has no digest".to_owned()))?;
    let manifest = services.store.read(&digest, MAX_DOCUMENT).map_err(|error| unusable(error.to_string()))?;
    let read: Manifest = serde_json::from_slice(&manifest).map_err(|error| unusable(error.to_string()))?;
    let media_type = match read.media_type.as_deref() {
        Some(media_type::DOCKER_MANIFEST) => media_type::DOCKER_MANIFEST,
        _ => media_type::OCI_MANIFEST,
    };
    let committed = |layer: &std::sync::Arc<crate::execute::Layer>| match layer.committed.get() {
        Some(Ok(committed)) => Ok(committed),
        _ => Err(unusable("a layer is missing".to_owned())),
    };
    Ok(Image {
        digest,
        manifest,
        media_type,
        config: read.config,
        layers: source.layers.iter().map(committed).collect::<Result<_, _>>()?,
        platform: source.config.platform(),
        annotations: std::collections::BTreeMap::new(),
        of_platforms: Vec::new(),
    })
}

/// Returns the image that was kept as `name` for `platform`, if there is one that is whole.
pub(crate) fn find(services: &Services, name: &str, platform: &Platform) -> Result<Option<SourceImage>, Error> {
    let Ok(reference) = Reference::parse(name) else { return Ok(None) };
    let Some(descriptor) = tagged(services, &reference)? else { return Ok(None) };
    match read(services, &descriptor, &reference, platform) {
        Ok(image) => Ok(image.filter(|image| !image.platform_mismatch)),
        // An image that is not whole, or none at all, is the registry's business.
        Err(LayoutError::User(_)) => Ok(None),
        Err(LayoutError::Store(error)) => Err(*error),
    }
}

/// Unpacks the layers of an image in the store that are not on disk yet; returns their snapshots, bottom first.
pub fn unpack(services: &Services, image: &Descriptor, attempt: &str) -> Result<Vec<runtime::SnapshotId>, Error> {
    let damaged = |problem: String| Error::new(Code::Store, format!("reading image {}: {problem}", image.digest));
    let name = Reference::parse("localhost/kept").map_err(|error| damaged(error.to_string()))?;
    let found = match read(services, image, &name, &Platform::host()) {
        Ok(found) => found.ok_or_else(|| damaged("a layer is missing".to_owned()))?,
        Err(LayoutError::User(problem)) => return Err(damaged(problem)),
        Err(LayoutError::Store(error)) => return Err(*error),
    };
    let resources = BuildResources::new(services, attempt, CancellationToken::new(), Trace::default())?;
    resources.snapshots(&found.layers)
}

/// Returns what to add to the error of an image that no registry has: that one of its name is for another platform.
pub(crate) fn hint(services: &Services, name: &str, wanted: &Platform) -> String {
    let platform = || {
        let reference = Reference::parse(name).ok()?;
        let descriptor = tagged(services, &reference).ok()??;
        let image = read(services, &descriptor, &reference, wanted).ok()??;
        image.platform_mismatch.then_some(format!("{}/{}", image.config.os, image.config.architecture))
    };
    let hint = |platform| format!(" (the image of this name that was built here is for {platform}, not for {wanted})");
    platform().map_or_else(String::new, hint)
}

/// Returns where the store keeps images of this name.
fn repository(name: &Reference) -> String {
    format!("{}/{}", name.registry(), name.repository())
}

/// Returns what the name leads to, if it was kept by hand: by its tag, or by its digest under whatever tag.
fn tagged(services: &Services, reference: &Reference) -> Result<Option<Descriptor>, Error> {
    let repository = repository(reference);
    let failed = |error| Error::store(format!("looking for `{reference}` in the store"), error);
    let tags = match (reference.digest(), reference.tag()) {
        (Some(_), _) => services.store.kept_tags(&repository).map_err(failed)?,
        (None, tag) => vec![tag.unwrap_or("latest").to_owned()],
    };
    for tag in tags {
        let kept = services.store.kept(&repository, &tag).map_err(failed)?;
        if let Some(kept) = kept
            && reference.digest().is_none_or(|wanted| *wanted == kept.digest)
        {
            return Ok(Some(kept));
        }
    }
    Ok(None)
}

fn read(
    services: &Services,
    descriptor: &Descriptor,
    reference: &Reference,
    platform: &Platform,
) -> Result<Option<SourceImage>, LayoutError> {
    let store = &services.store;
    let document = |wanted: &Descriptor| {
        let bytes = store.read(&wanted.digest, MAX_DOCUMENT);
        bytes.map_err(|error| LayoutError::User(error.to_string()))
    };
    let mut chosen = descriptor.clone();
    if media_type::is_index(&chosen.media_type) {
        let index: Index = serde_json::from_slice(&document(&chosen)?)?;
        chosen = layout::choose(&index, None, platform)?.clone();
    }
    let manifest: Manifest = serde_json::from_slice(&document(&chosen)?)?;
    let config: ImageConfig = serde_json::from_slice(&document(&manifest.config)?)?;
    if manifest.layers.iter().any(|layer| store.size(&layer.digest) != Some(layer.size)) {
        return Ok(None);
    }
    layout::stored_image(&manifest, config, reference.with_digest(chosen.digest), platform).map(Some)
}
