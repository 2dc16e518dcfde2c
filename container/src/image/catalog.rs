//! The catalog of kept images: what the names in the store lead to, and which image a text means.

use super::name::{Name, familiar};
use crate::Error;
use image_store::Store;
use registry_client::{Descriptor, Digest, ImageConfig, Index, Manifest, Platform, Reference, media_type};
use std::collections::{BTreeMap, HashSet};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Largest document of an image that is read.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
/// Repository under which images without a name are kept, by the digits of their manifest's digest.
pub(crate) const NAMELESS: &str = "<none>";
/// Repository under which the images of containers are kept, by the container's id.
pub(crate) const CONTAINERS: &str = "<container>";
/// Start of the tags of images that were pulled by digest: such an image has a repository and no tag.
pub(crate) const PINNED: &str = "@";
/// Annotation of a kept descriptor: the digest that the registry answered the name with.
pub(crate) const REPO_DIGEST: &str = "slipway.repo-digest";

/// An image with all its names.
#[derive(Debug, Clone)]
pub struct Image {
    /// Digest of the configuration: what docker calls the image's id.
    pub id: Digest,
    /// The manifest of this machine's platform.
    pub manifest: Descriptor,
    /// The target of the names: the manifest, or an index that names it.
    pub kept: Descriptor,
    /// The manifest's content.
    pub document: Manifest,
    /// The configuration.
    pub config: ImageConfig,
    /// Its names.
    pub names: Vec<Name>,
    /// Stored repositories, each with the digest that its registry knows the image by.
    pub digests: Vec<RepoDigest>,
    /// Where it is kept, and as what: manifests of several registries may lead to one configuration.
    pub places: Vec<Place>,
}

/// A name of the store, and the manifest or index that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The name; that of an image without a name or with a digest is the store's own.
    pub name: Name,
    /// The manifest or index.
    pub kept: Descriptor,
}

/// A digest under which a repository of a registry has an image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RepoDigest {
    /// Registry and repository, as the store keeps them.
    pub stored: String,
    /// The digest of the manifest or index there.
    pub digest: Digest,
}

impl std::fmt::Display for RepoDigest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}@{}", familiar(&self.stored), self.digest)
    }
}

/// Sizes of an image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeOf {
    /// Bytes of its layers as they are stored.
    pub stored: u64,
}

impl Image {
    /// Returns when it was made, in seconds since 1970; 0 if it does not say so.
    pub fn created(&self) -> i64 {
        let created = self.config.created.as_deref().and_then(|text| OffsetDateTime::parse(text, &Rfc3339).ok());
        created.map_or(0, OffsetDateTime::unix_timestamp)
    }

    /// Returns how large it is.
    pub fn size(&self) -> SizeOf {
        SizeOf { stored: self.document.layers.iter().map(|layer| layer.size).sum() }
    }

    /// Tells whether no name leads to it.
    pub fn is_dangling(&self) -> bool {
        self.names.is_empty()
    }

    /// Tells whether all its layers are in the store.
    pub fn is_whole(&self, store: &Store) -> bool {
        self.document.layers.iter().all(|layer| store.size(&layer.digest) == Some(layer.size))
    }

    /// Reads the image that `kept` leads to, for this machine's platform if there are several.
    pub fn read(store: &Store, kept: &Descriptor) -> Result<Image, Error> {
        let mut manifest = kept.clone();
        if media_type::is_index(&manifest.media_type) {
            let index: Index = document(store, &manifest)?;
            manifest = choose(store, &index).ok_or_else(|| Error::Damaged(format!("index {}", kept.digest)))?;
        }
        let read: Manifest = document(store, &manifest)?;
        let config: ImageConfig = document(store, &read.config)?;
        let (id, kept) = (read.config.digest.clone(), kept.clone());
        let (names, digests, places) = Default::default();
        Ok(Image { id, manifest, kept, document: read, config, names, digests, places })
    }

    /// Returns the part of the image that is for `platform`, all of which must be here; `text` is how it was asked for.
    pub fn of_platform(self, store: &Store, text: &str, platform: &Platform) -> Result<Image, Error> {
        let other = |found: &Platform| Error::other_platform(text, platform, found);
        let is_whole = |kept: &Descriptor| store.closure(kept).iter().all(|digest| store.contains(digest));
        if !media_type::is_index(&self.kept.media_type) {
            let found = self.config.platform();
            return if found.satisfies(platform) { Ok(self) } else { Err(other(&found)) };
        }
        let index: Index = document(store, &self.kept)?;
        let fits = |manifest: &&Descriptor| manifest.platform.as_ref().is_some_and(|found| found.satisfies(platform));
        let found = index.manifests.iter().filter(fits).find(|manifest| is_whole(manifest));
        let manifest = found.ok_or_else(|| other(&self.config.platform()))?;
        let plain = Descriptor::new(&manifest.media_type, manifest.digest.clone(), manifest.size);
        let Image { names, digests, places, .. } = self;
        Ok(Image { names, digests, places, ..Image::read(store, &plain)? })
    }

    /// Returns every digest that any of its manifests leads to.
    pub fn closure(&self, store: &Store) -> HashSet<Digest> {
        self.places.iter().map(|place| &place.kept).chain([&self.kept]).flat_map(|kept| store.closure(kept)).collect()
    }
}

fn document<T: serde::de::DeserializeOwned>(store: &Store, wanted: &Descriptor) -> Result<T, Error> {
    let bytes = store.read(&wanted.digest, MAX_DOCUMENT)?;
    serde_json::from_slice(&bytes).map_err(|_| Error::Damaged(format!("document {}", wanted.digest)))
}

/// Returns the image of an index that runs on this machine, or the first that is here.
fn choose(store: &Store, index: &Index) -> Option<Descriptor> {
    let host = Platform::host();
    let here = || index.manifests.iter().filter(|manifest| store.contains(&manifest.digest));
    let fits = |manifest: &&Descriptor| manifest.platform.as_ref().is_some_and(|found| found.satisfies(&host));
    here().find(fits).or_else(|| here().next()).cloned()
}

/// All kept images at one moment.
#[derive(Debug, Default)]
pub struct Catalog {
    /// The images, the newest first.
    pub images: Vec<Image>,
}

impl Catalog {
    /// Reads the catalog; names that lead to a damaged or missing document are left out and logged.
    pub fn load(store: &Store) -> Result<Catalog, Error> {
        let mut images: BTreeMap<Digest, Image> = BTreeMap::new();
        for stored in store.kept_repositories()?.into_iter().filter(|stored| stored != CONTAINERS) {
            for tag in store.kept_tags(&stored)? {
                let Some(kept) = store.kept(&stored, &tag)? else { continue };
                match Image::read(store, &kept) {
                    Ok(image) => add(&mut images, image, &stored, tag),
                    Err(error) => tracing::warn!(name = %format!("{stored}:{tag}"), %error, "an image cannot be read"),
                }
            }
        }
        let mut images: Vec<Image> = images.into_values().collect();
        for image in &mut images {
            image.digests.sort();
            image.digests.dedup();
        }
        images.sort_by_key(|image| std::cmp::Reverse(image.created()));
        Ok(Catalog { images })
    }

    /// Returns the image that `text` means: an id, a name, or the start of an id.
    pub fn find(&self, text: &str) -> Result<&Image, Error> {
        if let Ok(digest) = text.parse::<Digest>()
            && let Some(image) = self.images.iter().find(|image| image.id == digest || image.is_kept_as(&digest))
        {
            return Ok(image);
        }
        match self.by_name(text) {
            Some(image) => Ok(image),
            None => self.by_prefix(text).ok_or_else(|| Error::no_image(text)),
        }
    }

    /// Returns the image that `text` means, with the manifest that this name leads to.
    pub fn find_own(&self, store: &Store, text: &str) -> Result<Image, Error> {
        let image = self.find(text)?;
        let digest = Reference::parse(text).ok().and_then(|reference| reference.digest().cloned());
        let name = Reference::parse(text).ok().map(|reference| Name::of(&reference));
        let is_meant = |place: &&Place| match (&digest, &name) {
            (Some(digest), Some(name)) => {
                let is_digest = place.kept.digest == *digest || said(&place.kept).as_ref() == Some(digest);
                place.name.stored == name.stored && is_digest
            }
            (_, name) => Some(&place.name) == name.as_ref(),
        };
        let Some(place) = image.places.iter().find(is_meant).filter(|place| place.kept.digest != image.kept.digest)
        else {
            return Ok(image.clone());
        };
        let image = image.clone();
        Ok(Image {
            names: image.names,
            digests: image.digests,
            places: image.places,
            ..Image::read(store, &place.kept)?
        })
    }

    /// Returns the image of the name `text`, and of no id.
    pub fn by_name(&self, text: &str) -> Option<&Image> {
        let reference = Reference::parse(text).ok()?;
        let name = Name::of(&reference);
        self.images.iter().find(|image| match reference.digest() {
            Some(digest) => image.knows(&name.stored, digest),
            None => image.names.contains(&name),
        })
    }

    /// Returns the only image whose id begins with `text`.
    fn by_prefix(&self, text: &str) -> Option<&Image> {
        let prefix = text.strip_prefix("sha256:").unwrap_or(text);
        let is_hex = !prefix.is_empty() && prefix.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut found = self.images.iter().filter(|image| is_hex && image.id.hex().starts_with(prefix));
        found.next().filter(|_| found.next().is_none())
    }

    /// Returns every digest that any kept image leads to.
    pub fn digests(&self, store: &Store) -> HashSet<Digest> {
        self.images.iter().flat_map(|image| image.closure(store)).collect()
    }
}

impl Image {
    /// Tells whether one of its manifests has the digest.
    fn is_kept_as(&self, digest: &Digest) -> bool {
        self.manifest.digest == *digest || self.places.iter().any(|place| place.kept.digest == *digest)
    }

    /// Tells whether a repository is known to have the image under `digest`.
    fn knows(&self, stored: &str, digest: &Digest) -> bool {
        let is_named = |place: &Place| place.name.stored == stored && place.kept.digest == *digest;
        self.places.iter().any(is_named)
            || self.digests.iter().any(|known| known.stored == stored && known.digest == *digest)
    }
}

fn add(images: &mut BTreeMap<Digest, Image>, image: Image, stored: &str, tag: String) {
    let said = said(&image.kept);
    let name = Name { stored: stored.to_owned(), tag };
    let place = Place { name: name.clone(), kept: image.kept.clone() };
    let known = images.entry(image.id.clone()).or_insert(image);
    known.places.push(place);
    if stored == NAMELESS {
        return;
    }
    known.digests.extend(said.map(|digest| RepoDigest { stored: stored.to_owned(), digest }));
    if !name.tag.starts_with(PINNED) {
        known.names.push(name);
    }
}

/// Returns the digest that a registry answered with.
fn said(kept: &Descriptor) -> Option<Digest> {
    kept.annotations.get(REPO_DIGEST)?.parse().ok()
}
