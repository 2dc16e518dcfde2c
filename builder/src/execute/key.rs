//! What the cache key of each kind of step is made of (content, never times; definitions, never limits).

use crate::key::KeyBuilder;

/// Returns the key of an empty file system.
pub fn scratch() -> String {
    KeyBuilder::new("scratch.1").finish()
}

/// Returns the key of a base image: its layers alone decide what steps on top of it see.
pub fn image<'d>(diff_ids: impl IntoIterator<Item = &'d str, IntoIter: ExactSizeIterator>) -> String {
    KeyBuilder::new("image.1").list(diff_ids).finish()
}

/// Returns the key of a `WORKDIR`.
pub fn workdir(parent: &str, path: &str, user: &str) -> String {
    KeyBuilder::new("workdir.1").text(parent).text(path).text(user).finish()
}
