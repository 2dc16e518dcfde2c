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

/// Returns the key below a step that sees further hosts: their names count, not their addresses.
pub fn with_hosts(parent: &str, hosts: &[(String, String)]) -> String {
    match hosts {
        [] => parent.to_owned(),
        hosts => KeyBuilder::new("hosts.1").text(parent).list(hosts.iter().map(|(name, _)| name)).finish(),
    }
}
