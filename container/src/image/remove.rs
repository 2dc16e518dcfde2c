//! Removing images: names first, and the image itself when its last name goes, as docker's classic store does.

use super::tag::NamesLock;
use super::{Catalog, Image, NAMELESS, Name, PINNED, REPO_DIGEST, short_id};
use crate::Error;
use image_store::Store;
use registry_client::{Digest, Reference};
use std::collections::HashSet;

/// A container, as far as the removal of images is concerned.
#[derive(Debug, Clone)]
pub struct ImageUser {
    /// Its id.
    pub container: String,
    /// Id of its image.
    pub image: Digest,
    /// Whether it runs.
    pub is_running: bool,
}

/// Options of a removal.
#[derive(Debug, Default)]
pub struct Removal {
    /// Whether names go although containers use the image.
    pub force: bool,
    /// Containers that there are.
    pub users: Vec<ImageUser>,
    /// Blobs that builds may use again; they stay.
    pub keep: HashSet<Digest>,
}

/// One line of what happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// A name or a digest of a repository went.
    Untagged(String),
    /// An image or layer went.
    Deleted(String),
}

/// Removes the name or image that `text` means; returns what went.
pub fn remove(store: &Store, text: &str, removal: &Removal) -> Result<Vec<Removed>, Error> {
    let _lock = NamesLock::take(store)?;
    let catalog = Catalog::load(store)?;
    let image = catalog.find(text)?;
    let by_id = catalog.by_name(text).is_none();
    let users = || removal.users.iter().filter(|user| user.image == image.id);
    if by_id {
        check_id(image, removal, users())?;
        return delete(store, &catalog, image, removal);
    }
    let reference = Reference::parse(text).map_err(|error| Error::Invalid(error.to_string()))?;
    if let Some(digest) = reference.digest() {
        let is_last = image.names.is_empty() && image.digests.len() <= 1;
        check_last_name(image, text, removal, is_last.then(|| users().next()).flatten())?;
        if is_last && users().next().is_none() {
            return delete(store, &catalog, image, removal);
        }
        return untag_digest(store, image, &Name::of(&reference).stored, digest, text);
    }
    let name = Name::of(&reference);
    if image.names.len() > 1 {
        untag(store, &name)?;
        return Ok(vec![Removed::Untagged(name.to_string())]);
    }
    check_last_name(image, text, removal, users().next())?;
    if users().next().is_none() {
        return delete(store, &catalog, image, removal);
    }
    let mut removed = untag_all(store, image)?;
    store.keep(NAMELESS, image.id.hex(), &image.kept)?;
    removed.dedup();
    Ok(removed)
}

/// Takes away that a repository knows an image by a digest; its tags there stay.
fn untag_digest(
    store: &Store,
    image: &Image,
    stored: &str,
    digest: &Digest,
    text: &str,
) -> Result<Vec<Removed>, Error> {
    if !image.digests.iter().any(|known| known.stored == stored && known.digest == *digest) {
        return Err(Error::no_image(text));
    }
    for place in image.places.iter().filter(|place| place.name.stored == stored) {
        let mut kept = place.kept.clone();
        match kept.annotations.remove(REPO_DIGEST) {
            Some(known) if known != digest.to_string() => {}
            Some(_) if !place.name.tag.starts_with(PINNED) => store.keep(stored, &place.name.tag, &kept)?,
            _ => {}
        }
    }
    store.unkeep(stored, &format!("{PINNED}{digest}"))?;
    Ok(vec![Removed::Untagged(text.to_owned())])
}

/// Fails if the last name of an image may not go because a container uses the image.
fn check_last_name(image: &Image, name: &str, removal: &Removal, user: Option<&ImageUser>) -> Result<(), Error> {
    match user {
        Some(user) if !removal.force => Err(Error::Conflict(format!(
            "conflict: unable to remove repository reference \"{name}\" (must force) - container {} is using its referenced image {}",
            &user.container[..12],
            short_id(&image.id)
        ))),
        _ => Ok(()),
    }
}

/// Fails if an image may not be deleted by its id.
fn check_id<'u>(
    image: &Image,
    removal: &Removal,
    mut users: impl Iterator<Item = &'u ImageUser> + Clone,
) -> Result<(), Error> {
    let id = short_id(&image.id);
    let conflict =
        |how: &str, why: String| Err(Error::Conflict(format!("conflict: unable to delete {id} ({how}) - {why}")));
    if let Some(user) = users.clone().find(|user| user.is_running) {
        let why = format!("image is being used by running container {}", &user.container[..12]);
        return conflict("cannot be forced", why);
    }
    if removal.force {
        return Ok(());
    }
    let repositories: HashSet<&str> = image.names.iter().map(|name| name.stored.as_str()).collect();
    if repositories.len() > 1 {
        return conflict("must be forced", "image is referenced in multiple repositories".to_owned());
    }
    match users.next() {
        Some(user) => {
            let why = format!("image is being used by stopped container {}", &user.container[..12]);
            conflict("must be forced", why)
        }
        None => Ok(()),
    }
}

fn untag(store: &Store, name: &Name) -> Result<(), Error> {
    store.unkeep(&name.stored, &name.tag)?;
    Ok(())
}

/// Takes all names away from an image.
fn untag_all(store: &Store, image: &Image) -> Result<Vec<Removed>, Error> {
    let mut removed = Vec::new();
    for name in &image.names {
        untag(store, name)?;
        removed.push(Removed::Untagged(name.to_string()));
    }
    for known in &image.digests {
        store.unkeep(&known.stored, &format!("{PINNED}{}", known.digest))?;
        removed.push(Removed::Untagged(known.to_string()));
    }
    store.unkeep(NAMELESS, image.id.hex())?;
    Ok(removed)
}

/// Removes an image with all its names, and the layers that nothing else uses.
fn delete(store: &Store, catalog: &Catalog, image: &Image, removal: &Removal) -> Result<Vec<Removed>, Error> {
    let blobs = image.closure(store);
    let mut removed = untag_all(store, image)?;
    let is_used = removal.users.iter().any(|user| user.image == image.id);
    if !is_used {
        store.release(blobs, &removal.keep)?;
    }
    removed.push(Removed::Deleted(image.id.to_string()));
    let shared: HashSet<_> = catalog.images.iter().filter(|other| other.id != image.id).flat_map(chain_ids).collect();
    // Topmost first, as docker tells of them.
    let own = chain_ids(image).into_iter().rev().filter(|chain| !shared.contains(chain) && !is_used);
    removed.extend(own.map(|chain| Removed::Deleted(chain.to_string())));
    Ok(removed)
}

/// Returns the chain id of each layer, bottom first: what docker calls the stack up to that layer.
fn chain_ids(image: &Image) -> Vec<Digest> {
    let mut chains: Vec<Digest> = Vec::new();
    for layer in &image.config.rootfs.diff_ids {
        let chain = match chains.last() {
            Some(below) => Digest::of(format!("{below} {layer}").as_bytes()),
            None => match layer.as_str().parse() {
                Ok(chain) => chain,
                Err(_) => Digest::of(layer.as_str().as_bytes()),
            },
        };
        chains.push(chain);
    }
    chains
}
