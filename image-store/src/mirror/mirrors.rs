//! All mirrors, as clients and the embedded registry ask them.

use super::mirrored::{Mirror, Named};
use registry_client::{Digest, MirrorAnswer, Mirrored, PullThrough, Reader, Reference};
use std::fs::File;
use std::sync::Arc;

/// Names of Docker Hub's registry.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// The mirrors of a service; cheap to clone.
#[derive(Clone, Default)]
pub struct Mirrors(Arc<Vec<Mirror>>);

impl std::fmt::Debug for Mirrors {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|mirror| &mirror.settings.host)).finish()
    }
}

impl Mirrors {
    /// Returns these mirrors.
    pub fn new(mirrors: Vec<Mirror>) -> Self {
        Mirrors(Arc::new(mirrors))
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the mirror of a registry.
    pub fn of(&self, host: &str) -> Option<&Mirror> {
        let host = if DOCKER_HUB.contains(&host) { DOCKER_HUB[0] } else { host };
        self.0.iter().find(|mirror| mirror.settings.host.eq_ignore_ascii_case(host))
    }

    /// Returns the registries that there are mirrors of.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|mirror| mirror.settings.host.as_str())
    }

    /// Returns the mirror for names that say no registry.
    pub fn default_mirror(&self) -> Option<&Mirror> {
        self.0.iter().find(|mirror| mirror.settings.is_default)
    }
}

impl PullThrough for Mirrors {
    fn manifest<'a>(&'a self, reference: &'a Reference, reader: Reader) -> MirrorAnswer<'a, Mirrored> {
        Box::pin(async move {
            let Some(mirror) = self.of(reference.registry()) else { return Ok(None) };
            let named = match reference.digest() {
                Some(digest) => Named::Digest(digest.clone()),
                None => Named::Tag(reference.selector().to_owned()),
            };
            mirror.manifest(reference.repository(), &named, reader).await
        })
    }

    fn blob<'a>(&'a self, reference: &'a Reference, digest: &'a Digest, reader: Reader) -> MirrorAnswer<'a, File> {
        Box::pin(async move {
            let Some(mirror) = self.of(reference.registry()) else { return Ok(None) };
            mirror.blob(reference.repository(), digest, reader).await
        })
    }

    fn forget(&self, reference: &Reference, digest: &Digest) {
        if let Some(mirror) = self.of(reference.registry()) {
            mirror.forget_blob(digest);
        }
    }
}
