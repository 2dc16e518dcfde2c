//! Archives of images on their way in: layouts of OCI and archives of docker, new and old. Only what an archive holds itself
//! is taken: to name a digest is not to have it.

use super::save::{IMAGE_NAME, REF_NAME};
use super::tag::{NamesLock, keep_without_name, name};
use super::{Image, Name};
use crate::{Error, Layers};
use files::tar::EntryKind;
use files::tar::Reader;
use image_store::Store;
use registry_client::{
    Algorithm, Descriptor, DiffId, Digest, Hasher, ImageConfig, Index, Manifest, Platform, Reference, media_type,
};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read};

/// Largest document of an archive.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;
/// Links that lead to a file of an archive at most.
const MAX_LINKS: usize = 8;

/// An image that was loaded.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Its id.
    pub id: Digest,
    /// Its names in the archive.
    pub names: Vec<Name>,
    /// Images that lost one of these names, with the name.
    pub replaced: Vec<(Name, Digest)>,
}

/// A line of docker's own list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Old {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

/// A file of an archive.
enum Place {
    Blob(Digest, u64),
    Link(String),
}

/// The files of an archive, all of which are in the store.
struct Archive<'s> {
    store: &'s Store,
    files: BTreeMap<String, Place>,
    blobs: HashSet<Digest>,
}

/// An image of an archive.
struct Found {
    kept: Descriptor,
    id: Digest,
    names: Vec<Name>,
}

impl Found {
    /// Keeps only the part that is for `platform`.
    fn narrow(&mut self, store: &Store, platform: &Platform) -> Result<(), Error> {
        let text = self.names.first().map_or_else(|| self.id.to_string(), Name::to_string);
        let part = Image::read(store, &self.kept)?.of_platform(store, &text, platform)?;
        (self.kept, self.id) = (part.kept, part.id);
        Ok(())
    }
}

fn invalid(problem: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("invalid archive: {problem}"))
}

/// Loads all images of the archive `tar`, which is not compressed. Of an image of several platforms only that of `platform`
/// is kept, if it is given.
pub fn load(
    store: &Store,
    tar: impl Read,
    platform: Option<&Platform>,
    layers: &dyn Layers,
) -> Result<Vec<Loaded>, Error> {
    // All stays until the images have their names.
    let leased = store.leased()?;
    let archive = Archive::read(&leased, tar)?;
    let mut found = archive.of_layout()?;
    archive.of_docker(&mut found, layers)?;
    if let Some(platform) = platform {
        for found in &mut found {
            found.narrow(&leased, platform)?;
        }
    }
    let lock = NamesLock::take(&leased)?;
    found.into_iter().map(|found| keep(&leased, &lock, found)).collect()
}

fn keep(store: &Store, lock: &NamesLock, found: Found) -> Result<Loaded, Error> {
    let Found { kept, id, names } = found;
    let mut replaced = Vec::new();
    for wanted in &names {
        let before = store.kept(&wanted.stored, &wanted.tag)?.and_then(|before| Image::read(store, &before).ok());
        replaced.extend(before.filter(|before| before.id != id).map(|before| (wanted.clone(), before.id)));
        name(store, lock, wanted, &kept)?;
    }
    if names.is_empty() {
        keep_without_name(store, &kept)?;
    }
    Ok(Loaded { id, names, replaced })
}

impl<'s> Archive<'s> {
    fn read(store: &'s Store, tar: impl Read) -> Result<Archive<'s>, Error> {
        let (mut files, mut blobs) = (BTreeMap::new(), HashSet::new());
        let mut reader = Reader::new(tar);
        while let Some(entry) = reader.next_entry().map_err(invalid)? {
            let path = clean(&entry.path);
            let place = match &entry.kind {
                EntryKind::File { size } => {
                    let digest = take(store, &path, &mut reader)?;
                    blobs.insert(digest.clone());
                    Place::Blob(digest, *size)
                }
                EntryKind::Symlink { target } => Place::Link(beside(&path, &clean(target))),
                EntryKind::HardLink { target } => Place::Link(clean(target)),
                _ => continue,
            };
            files.insert(path, place);
        }
        Ok(Archive { store, files, blobs })
    }

    /// Returns the file at a path, through links.
    fn file(&self, path: &str) -> Option<(&Digest, u64)> {
        let mut path = clean(path.as_bytes());
        for _ in 0..MAX_LINKS {
            match self.files.get(&path)? {
                Place::Blob(digest, size) => return Some((digest, *size)),
                Place::Link(target) => path.clone_from(target),
            }
        }
        None
    }

    /// Reads a document that the archive holds.
    fn document<T: serde::de::DeserializeOwned>(&self, digest: &Digest) -> Result<T, Error> {
        if !self.blobs.contains(digest) {
            return Err(invalid(format!("it does not contain {digest}")));
        }
        let bytes = self.store.read(digest, MAX_DOCUMENT)?;
        serde_json::from_slice(&bytes).map_err(|error| invalid(format!("{digest}: {error}")))
    }

    /// Returns the images of its layout.
    fn of_layout(&self) -> Result<Vec<Found>, Error> {
        let mut found: Vec<Found> = Vec::new();
        let Some((digest, _)) = self.file("index.json") else { return Ok(found) };
        for descriptor in self.document::<Index>(digest)?.manifests {
            let (kept, id) = self.image(&descriptor)?;
            let names = name_in(&descriptor).into_iter().collect::<Vec<_>>();
            match found.iter_mut().find(|known| known.kept.digest == kept.digest) {
                Some(known) => known.names.extend(names),
                None => found.push(Found { kept, id, names }),
            }
        }
        Ok(found)
    }

    /// Returns what an image of the layout is kept as, and its id: an index only if all that it names is in the archive.
    fn image(&self, descriptor: &Descriptor) -> Result<(Descriptor, Digest), Error> {
        let plain = Descriptor::new(&descriptor.media_type, descriptor.digest.clone(), descriptor.size);
        if !media_type::is_index(&plain.media_type) {
            let id = self.whole(&plain)?;
            return Ok((plain, id));
        }
        let index: Index = self.document(&plain.digest)?;
        let whole: Vec<(&Descriptor, Digest)> =
            index.manifests.iter().filter_map(|manifest| Some((manifest, self.whole(manifest).ok()?))).collect();
        if whole.len() == index.manifests.len() && !whole.is_empty() {
            let id = Image::read(self.store, &plain)?.id;
            return Ok((plain, id));
        }
        let host = Platform::host();
        let fits = |manifest: &Descriptor| manifest.platform.as_ref().is_some_and(|found| found.satisfies(&host));
        let chosen = whole.iter().find(|known| fits(known.0)).or(whole.first());
        let (manifest, id) = chosen.ok_or_else(|| invalid("it contains no whole image"))?;
        Ok((Descriptor::new(&manifest.media_type, manifest.digest.clone(), manifest.size), id.clone()))
    }

    /// Returns the id of an image all of which is in the archive.
    fn whole(&self, descriptor: &Descriptor) -> Result<Digest, Error> {
        let manifest: Manifest = self.document(&descriptor.digest)?;
        let config: ImageConfig = self.document(&manifest.config.digest)?;
        for layer in &manifest.layers {
            if !self.blobs.contains(&layer.digest) || self.store.size(&layer.digest) != Some(layer.size) {
                return Err(invalid(format!("it does not contain layer {}", layer.digest)));
            }
        }
        let is_image = !config.rootfs.diff_ids.is_empty() || !manifest.layers.is_empty();
        if is_image && !config.rootfs.diff_ids.is_empty() && config.rootfs.diff_ids.len() != manifest.layers.len() {
            return Err(invalid(format!("image {} has other layers than its manifest", manifest.config.digest)));
        }
        Ok(manifest.config.digest)
    }

    /// Adds the images of docker's own list, and names of those that are known already.
    fn of_docker(&self, found: &mut Vec<Found>, layers: &dyn Layers) -> Result<(), Error> {
        let Some((digest, _)) = self.file("manifest.json") else {
            return match found.is_empty() {
                true => Err(invalid("does not contain a manifest.json")),
                false => Ok(()),
            };
        };
        for old in self.document::<Vec<Old>>(digest)? {
            let missing = |path: &str| invalid(format!("it does not contain {path}"));
            let (config, size) = self.file(&old.config).ok_or_else(|| missing(&old.config))?;
            let names = old.repo_tags.iter().flatten().map(|text| {
                let reference = Reference::parse(text).map_err(invalid)?;
                Ok(Name::of(&reference))
            });
            let names = names.collect::<Result<Vec<_>, Error>>()?;
            if let Some(known) = found.iter_mut().find(|known| known.id == *config) {
                let new: Vec<Name> = names.into_iter().filter(|name| !known.names.contains(name)).collect();
                known.names.extend(new);
                continue;
            }
            let config = Descriptor::new(media_type::OCI_CONFIG, config.clone(), size);
            let read: ImageConfig = self.document(&config.digest)?;
            let diff_ids = &read.rootfs.diff_ids;
            if diff_ids.len() != old.layers.len() {
                return Err(invalid(format!("layers from manifest don't match image configuration {}", old.config)));
            }
            let blobs = old.layers.iter().zip(diff_ids).map(|(path, diff_id)| {
                let (digest, size) = self.file(path).ok_or_else(|| missing(path))?;
                self.layer(digest, size, diff_id, layers)
            });
            let manifest = Manifest {
                schema_version: 2,
                media_type: Some(media_type::OCI_MANIFEST.to_owned()),
                config: config.clone(),
                layers: blobs.collect::<Result<_, Error>>()?,
                annotations: BTreeMap::new(),
            };
            let bytes = serde_json::to_vec(&manifest).map_err(invalid)?;
            let kept = Descriptor::new(media_type::OCI_MANIFEST, self.store.put(&bytes)?, bytes.len() as u64);
            found.push(Found { kept, id: config.digest, names });
        }
        Ok(())
    }

    /// Returns a layer of an old archive, whose tar is checked: nothing else says that it is the image's.
    fn layer(&self, blob: &Digest, size: u64, diff_id: &DiffId, layers: &dyn Layers) -> Result<Descriptor, Error> {
        let failed = |error: io::Error| invalid(format!("layer {diff_id}: {error}"));
        let mut start = Vec::new();
        self.store.open_blob(blob)?.take(4).read_to_end(&mut start).map_err(failed)?;
        let kind = match start.as_slice() {
            [0x1f, 0x8b, ..] => media_type::OCI_LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd] => media_type::OCI_LAYER_ZSTD,
            _ => media_type::OCI_LAYER,
        };
        let found = match kind {
            media_type::OCI_LAYER => blob.clone(),
            _ => {
                let mut tar = layers.tar(self.store.open_blob(blob)?, kind).map_err(failed)?;
                let (mut hasher, mut buffer) = (Hasher::new(Algorithm::Sha256), vec![0; 128 * 1024]);
                loop {
                    match tar.read(&mut buffer).map_err(failed)? {
                        0 => break hasher.finish(),
                        got => hasher.update(&buffer[..got]),
                    }
                }
            }
        };
        if found.hex() != diff_id.hex() {
            return Err(invalid(format!("invalid diffID for a layer: expected {diff_id:?}, got {found}")));
        }
        self.store.note_tar(blob, diff_id);
        Ok(Descriptor::new(kind, blob.clone(), size))
    }
}

/// Takes a file into the store; one whose name is a digest is checked against it.
fn take(store: &Store, path: &str, content: &mut dyn Read) -> Result<Digest, Error> {
    let parts: Vec<&str> = path.split('/').collect();
    let named = match parts.as_slice() {
        ["blobs", algorithm, hex] => format!("{algorithm}:{hex}").parse::<Digest>().ok(),
        _ => None,
    };
    let mut writer = match &named {
        Some(digest) => store.writer_with(digest.algorithm())?,
        None => store.writer()?,
    };
    io::copy(content, &mut writer).map_err(|error| invalid(format!("{path}: {error}")))?;
    let written = match &named {
        Some(digest) => writer.commit_expecting(digest),
        None => writer.commit(),
    };
    match written {
        Ok(written) => Ok(written.digest),
        Err(image_store::Error::Mismatch { expected, found }) => {
            Err(invalid(format!("digest mismatch: {path} should be {expected} and is {found}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the name that a layout gives an image, if it gives a whole one.
fn name_in(descriptor: &Descriptor) -> Option<Name> {
    let text = descriptor.annotations.get(IMAGE_NAME);
    // A tag alone is not a name.
    let text = text.or_else(|| descriptor.annotations.get(REF_NAME).filter(|text| text.contains([':', '/'])))?;
    let reference = Reference::parse(text).ok().filter(|reference| reference.digest().is_none())?;
    Some(Name::of(&reference))
}

fn clean(path: &[u8]) -> String {
    let path = String::from_utf8_lossy(path);
    let parts = path.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

/// Returns the path that `target` is, seen from the file `path`.
fn beside(path: &str, target: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        if part == ".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    parts.join("/")
}
