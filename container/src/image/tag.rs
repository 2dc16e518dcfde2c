//! Naming images; the image that had a name before becomes one without a name.

use super::{CONTAINERS, Catalog, Image, NAMELESS, Name, PINNED, REPO_DIGEST};
use crate::Error;
use image_store::Store;
use registry_client::{Descriptor, Reference};
use std::fs::{File, OpenOptions};
use std::path::Path;

/// Held while names are read and changed by one command.
pub(crate) struct NamesLock(#[expect(dead_code, reason = "its lock is what counts")] File);

impl NamesLock {
    /// Waits until no other command changes names.
    pub(crate) fn take(store: &Store) -> Result<NamesLock, Error> {
        let path = store.names_lock();
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(Error::file("opening", &path))?;
        file.lock().map_err(Error::file("locking", Path::new(&path)))?;
        Ok(NamesLock(file))
    }
}

/// Gives the image `source` the name `target`, which moves if another image has it.
pub fn tag(store: &Store, source: &str, target: &str) -> Result<(), Error> {
    let reference = Reference::parse(target)
        .map_err(|error| Error::Invalid(format!("{target:?} is not a valid repository/tag: {error}")))?;
    if reference.digest().is_some() {
        return Err(Error::Invalid("refusing to create a tag with a digest reference".to_owned()));
    }
    let lock = NamesLock::take(store)?;
    let catalog = Catalog::load(store)?;
    let mut kept = catalog.find_own(store, source)?.kept;
    kept.annotations.remove(REPO_DIGEST);
    name(store, &lock, &Name::of(&reference), &kept)
}

/// Keeps `descriptor` under a name; an image that loses its last name by that stays as one without a name.
pub(crate) fn name(store: &Store, _lock: &NamesLock, name: &Name, descriptor: &Descriptor) -> Result<(), Error> {
    let before = store.kept(&name.stored, &name.tag)?;
    if let Some(before) = before.filter(|before| before.digest != descriptor.digest) {
        keep_nameless(store, name, &before)?;
    }
    store.keep(&name.stored, &name.tag, descriptor)?;
    if let Ok(image) = Image::read(store, descriptor) {
        store.unkeep(NAMELESS, image.id.hex())?;
    }
    Ok(())
}

/// Keeps an image without a name if the name that it loses is its last one.
fn keep_nameless(store: &Store, lost: &Name, kept: &Descriptor) -> Result<(), Error> {
    let Ok(image) = Image::read(store, kept) else { return Ok(()) };
    let catalog = Catalog::load(store)?;
    let has_others =
        catalog.images.iter().any(|known| known.id == image.id && known.names.iter().any(|name| name != lost));
    if has_others {
        return Ok(());
    }
    match kept.annotations.get(REPO_DIGEST) {
        // Its repository still knows it by its digest.
        Some(digest) => store.keep(&lost.stored, &format!("{PINNED}{digest}"), kept)?,
        None => store.keep(NAMELESS, image.id.hex(), kept)?,
    }
    Ok(())
}

/// Keeps an image that never had a name.
pub(crate) fn keep_without_name(store: &Store, descriptor: &Descriptor) -> Result<(), Error> {
    let image = Image::read(store, descriptor)?;
    let catalog = Catalog::load(store)?;
    if !catalog.images.iter().any(|known| known.id == image.id) {
        store.keep(NAMELESS, image.id.hex(), descriptor)?;
    }
    Ok(())
}

/// Keeps the image of a container as long as the container is there.
pub fn keep_for_container(store: &Store, container: &str, descriptor: &Descriptor) -> Result<(), Error> {
    Ok(store.keep(CONTAINERS, container, descriptor)?)
}

/// Lets the image of a container go, which was removed.
pub fn release_container(store: &Store, container: &str) -> Result<(), Error> {
    store.unkeep(CONTAINERS, container)?;
    Ok(())
}
