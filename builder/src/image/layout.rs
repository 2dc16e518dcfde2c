//! OCI image layouts on disk as base images, and the names that the requester gives to images.

use crate::context::{Context, NamedContext, NamedImage};
use crate::error::Code;
use crate::execute::{Committed, Layer, SourceImage};
use crate::{Error, Services};
use registry_client::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Largest document of a layout that is read.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
/// How deep indexes may lie in one another.
const MAX_DEPTH: usize = 4;
/// Where docker writes the tag of an image of a layout.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Tells whether `name` stands for the image of a layout.
pub(crate) fn is_layout(named: &HashMap<String, NamedContext>, name: &str) -> bool {
    matches!(image(named, name), Some(NamedImage::Layout(..)))
}

/// Returns the image of the store that `name` stands for.
pub(crate) fn stored<'n>(named: &'n HashMap<String, NamedContext>, name: &str) -> Option<&'n Descriptor> {
    match image(named, name) {
        Some(NamedImage::Stored(descriptor)) => Some(descriptor),
        _ => None,
    }
}

/// Returns the reference that `name` stands for: itself, if nobody gave it another meaning.
pub(crate) fn reference(named: &HashMap<String, NamedContext>, name: &str) -> String {
    match image(named, name) {
        Some(NamedImage::Reference(reference)) => reference.clone(),
        _ => name.to_owned(),
    }
}

fn image<'n>(named: &'n HashMap<String, NamedContext>, name: &str) -> Option<&'n NamedImage> {
    match &named.get(name)?.context {
        Context::Image(image) => Some(image),
        _ => None,
    }
}

/// Takes the image that `name` stands for from its layout into the store.
pub(crate) fn layout(
    named: &HashMap<String, NamedContext>,
    services: &Services,
    name: &str,
    platform: &Platform,
) -> Result<SourceImage, Error> {
    let Some(NamedImage::Layout(path, selector)) = image(named, name) else {
        return Err(Error::new(Code::Resolve, format!("`{name}` is not a layout")));
    };
    let layout = Layout { path, services };
    let failed = |problem: String| {
        Error::new(Code::InvalidImage, format!("reading the OCI layout `{}`: {problem}", path.display()))
    };
    layout.resolve(selector.as_deref(), platform).map_err(|error| match error {
        LayoutError::User(problem) => failed(problem),
        LayoutError::Store(error) => *error,
    })
}

/// Why an image on this machine cannot be used.
pub(crate) enum LayoutError {
    /// It is not what it should be.
    User(String),
    /// The store cannot be read or written.
    Store(Box<Error>),
}

impl From<io::Error> for LayoutError {
    fn from(error: io::Error) -> Self {
        LayoutError::User(error.to_string())
    }
}

impl From<serde_json::Error> for LayoutError {
    fn from(error: serde_json::Error) -> Self {
        LayoutError::User(error.to_string())
    }
}

struct Layout<'l> {
    path: &'l Path,
    services: &'l Services,
}

impl Layout<'_> {
    fn resolve(&self, selector: Option<&str>, platform: &Platform) -> Result<SourceImage, LayoutError> {
        let index: Index = serde_json::from_slice(&bounded(File::open(self.path.join("index.json"))?)?)?;
        let mut chosen = choose(&index, selector, platform)?.clone();
        for _ in 0..MAX_DEPTH {
            if media_type::is_index(&chosen.media_type) {
                let inner: Index = serde_json::from_slice(&self.document(&chosen)?)?;
                chosen = choose(&inner, None, platform)?.clone();
            }
        }
        let manifest: Manifest = serde_json::from_slice(&self.document(&chosen)?)?;
        let config: ImageConfig = serde_json::from_slice(&self.document(&manifest.config)?)?;
        manifest.layers.iter().try_for_each(|layer| self.take(layer))?;
        // A layout has no registry; the name only says where the image came from.
        let reference =
            Reference::parse("layout.invalid/image").map_err(|error| LayoutError::User(error.to_string()))?;
        stored_image(&manifest, config, reference.with_digest(chosen.digest), platform)
    }

    fn blob(&self, digest: &Digest) -> io::Result<File> {
        File::open(self.path.join("blobs/sha256").join(digest.hex()))
    }

    /// Reads a document and checks its digest.
    fn document(&self, descriptor: &Descriptor) -> Result<Vec<u8>, LayoutError> {
        let bytes = bounded(self.blob(&descriptor.digest)?)?;
        match Digest::of(&bytes) == descriptor.digest {
            true => Ok(bytes),
            false => {
                Err(LayoutError::User(format!("digest mismatch: the bytes are not those of {}", descriptor.digest)))
            }
        }
    }

    /// Copies a blob into the store, which checks it.
    fn take(&self, descriptor: &Descriptor) -> Result<(), LayoutError> {
        let store = &self.services.store;
        if store.contains(&descriptor.digest) {
            return Ok(());
        }
        let failed = |error| LayoutError::Store(Box::new(Error::store("taking a layer from a layout", error)));
        let mut writer = store.writer().map_err(failed)?;
        io::copy(&mut self.blob(&descriptor.digest)?, &mut writer)?;
        writer.commit_expecting(&descriptor.digest).map(drop).map_err(failed)
    }
}

/// Returns the image of a manifest whose layers are in the store.
pub(crate) fn stored_image(
    manifest: &Manifest,
    config: ImageConfig,
    reference: Reference,
    platform: &Platform,
) -> Result<SourceImage, LayoutError> {
    crate::image::base_config::check(&config)
        .map_err(|problem| LayoutError::User(format!("its configuration cannot be used: {problem}")))?;
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        let text = format!("the image has {} layers but {} diff ids", manifest.layers.len(), diff_ids.len());
        return Err(LayoutError::User(text));
    }
    let layers = manifest.layers.iter().zip(diff_ids).map(|(descriptor, diff_id)| {
        let (descriptor, diff_id) = (descriptor.clone(), diff_id.clone());
        let name = diff_id.hex().to_owned();
        // The configuration of an image that came from elsewhere can name the tar of any layer.
        let committed = Committed { diff_id, descriptor, empty: false, made: None, origin: None, is_foreign: true };
        Layer::existing(name, committed)
    });
    let layers = layers.collect();
    let found = config.platform();
    let key = crate::key::image_key(diff_ids.iter().map(|id| id.hex()));
    let platform_mismatch = !found.os.is_empty() && !found.satisfies(platform);
    Ok(SourceImage {
        asked: reference.clone(),
        platform: platform.clone(),
        reference,
        config,
        layers,
        key,
        platform_mismatch,
        stale: None,
    })
}

fn bounded(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(io::Error::other(format!("a document is larger than {MAX_DOCUMENT} bytes")));
    }
    Ok(bytes)
}

/// Finds the image with a tag or digest, or the one for `platform`.
pub(crate) fn choose<'i>(
    index: &'i Index,
    selector: Option<&str>,
    platform: &Platform,
) -> Result<&'i Descriptor, LayoutError> {
    let known =
        |entry: &&Descriptor| media_type::is_manifest(&entry.media_type) || media_type::is_index(&entry.media_type);
    let named = |entry: &&Descriptor| match selector {
        None => true,
        Some(wanted) => {
            entry.digest.as_str() == wanted || entry.annotations.get(REF_NAME).is_some_and(|name| name == wanted)
        }
    };
    let mut images: Vec<_> = index.manifests.iter().filter(known).filter(named).collect();
    // An image under two names is listed twice.
    images.dedup_by_key(|entry| &entry.digest);
    let fits = |entry: &&&Descriptor| entry.platform.as_ref().is_some_and(|found| found.satisfies(platform));
    match (images.as_slice(), images.iter().find(fits)) {
        (_, Some(fitting)) => Ok(fitting),
        ([only], None) => Ok(only),
        ([], None) => Err(LayoutError::User(match selector {
            Some(wanted) => format!("it has no image `{wanted}`"),
            None => "it has no image".to_owned(),
        })),
        (_, None) => Err(LayoutError::User(format!("it has several images, none for {platform}: add :TAG or @DIGEST"))),
    }
}
