//! Images that were built here by hand and stay in the store under their names: later builds by hand start from them.

use crate::context::SourceImage;
use crate::execute::{Materials, store_error};
use crate::named::{self, Trouble};
use crate::trace::Trace;
use crate::{Built, Error, Services};
use registry_client::{Descriptor, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use runtime::Cancel;

/// Largest document of an image that is read.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Whether names in a Dockerfile may mean images that were kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kept {
    /// They mean images of registries: what one repository built is nothing to another.
    #[default]
    Unused,
    /// An image that was kept comes before that of a registry.
    First,
}

/// Names an image in the store, with all its layers: those of its bases may never have been needed until now.
pub fn keep(services: &Services, built: &Built, names: &[Reference], cancel: &Cancel) -> Result<(), Error> {
    if names.is_empty() {
        return Ok(());
    }
    let attempt = format!("keep-{}", std::process::id());
    let materials = Materials::new(services, &attempt, (cancel.clone(), Trace::default()))?;
    let parts = built.image.parts();
    let mut layers = parts.iter().flat_map(|image| &image.layers);
    layers.try_for_each(|layer| materials.blob(layer))?;
    let image = &built.image;
    let descriptor = Descriptor::new(image.media_type, image.digest.clone(), image.manifest.len() as u64);
    for name in names {
        let tagged = services.store.keep(&repository(name), name.tag().unwrap_or("latest"), &descriptor);
        tagged.map_err(|error| store_error(format!("keeping the image as `{name}`"), error))?;
    }
    Ok(())
}

/// Returns the image that was kept as `name` for `platform`, if there is one that is whole.
pub fn find(services: &Services, (name, platform): (&str, &Platform)) -> Result<Option<SourceImage>, Error> {
    let Ok(reference) = Reference::parse(name) else { return Ok(None) };
    let Some(descriptor) = tagged(services, &reference)? else { return Ok(None) };
    match read(services, &descriptor, (&reference, platform)) {
        Ok(image) => Ok(image.filter(|image| !image.platform_mismatch)),
        // An image that is not whole, or none at all, is the registry's business.
        Err(Trouble::User(_)) => Ok(None),
        Err(Trouble::Store(error)) => Err(*error),
    }
}

/// Unpacks the layers of an image in the store that are not on disk yet; returns their snapshots, bottom first.
pub fn unpack(services: &Services, image: &Descriptor, attempt: &str) -> Result<Vec<runtime::SnapshotId>, Error> {
    let damaged = |problem: String| Error::service("store", format!("reading image {}: {problem}", image.digest));
    let name = Reference::parse("localhost/kept").map_err(|error| damaged(error.to_string()))?;
    let found = match read(services, image, (&name, &Platform::host())) {
        Ok(found) => found.ok_or_else(|| damaged("a layer is missing".to_owned()))?,
        Err(Trouble::User(problem)) => return Err(damaged(problem)),
        Err(Trouble::Store(error)) => return Err(*error),
    };
    let materials = Materials::new(services, attempt, (Cancel::new(), Trace::default()))?;
    materials.snapshots(&found.layers)
}

/// Returns what to add to the error of an image that no registry has: that one of its name is for another platform.
pub fn hint(services: &Services, name: &str, wanted: &Platform) -> String {
    let platform = || {
        let reference = Reference::parse(name).ok()?;
        let descriptor = tagged(services, &reference).ok()??;
        let image = read(services, &descriptor, (&reference, wanted)).ok()??;
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
    let failed = |error| store_error(format!("looking for `{reference}` in the store"), error);
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
    (reference, platform): (&Reference, &Platform),
) -> Result<Option<SourceImage>, Trouble> {
    let store = &services.store;
    let document = |wanted: &Descriptor| {
        let bytes = store.read(&wanted.digest, MAX_DOCUMENT);
        bytes.map_err(|error| Trouble::User(error.to_string()))
    };
    let mut chosen = descriptor.clone();
    if media_type::is_index(&chosen.media_type) {
        let index: Index = serde_json::from_slice(&document(&chosen)?)?;
        chosen = named::choose(&index, None, platform)?.clone();
    }
    let manifest: Manifest = serde_json::from_slice(&document(&chosen)?)?;
    let config: ImageConfig = serde_json::from_slice(&document(&manifest.config)?)?;
    if manifest.layers.iter().any(|layer| store.size(&layer.digest) != Some(layer.size)) {
        return Ok(None);
    }
    named::stored_image(&manifest, config, (reference.with_digest(chosen.digest), platform)).map(Some)
}
