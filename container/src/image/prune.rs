//! Removing the images that nobody uses.

use super::{Catalog, Filters, Removal, Removed, remove};
use crate::Error;
use image_store::Store;

/// Removes images without a name, or with `all` every image that no container uses; returns what went.
pub fn prune(store: &Store, all: bool, filters: &Filters, removal: &Removal) -> Result<Vec<Removed>, Error> {
    let catalog = Catalog::load(store)?;
    let mut removed = Vec::new();
    for image in &catalog.images {
        let is_used = removal.users.iter().any(|user| user.image == image.id);
        if is_used || !(all || image.is_dangling()) || !filters.matches(&catalog, image) {
            continue;
        }
        let force = Removal { force: true, users: removal.users.clone(), keep: removal.keep.clone() };
        match remove(store, &image.id.to_string(), &force) {
            Ok(gone) => removed.extend(gone),
            // Somebody else was faster.
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}
