//! All that a manifest leads to: what must stay while a name leads to it, and what its repository has.

use crate::document::MAX_DOCUMENT;
use crate::shelf::Shelf;
use crate::{Document, Error, Store};
use registry_client::{Descriptor, Digest};
use std::collections::HashSet;

/// Digests that were reached.
#[derive(Debug, Default)]
pub(crate) struct Reached {
    /// Documents, configurations and layers.
    pub all: HashSet<Digest>,
    /// Manifests and indexes alone.
    pub documents: HashSet<Digest>,
}

impl Reached {
    /// Adds a manifest and all that it leads to. Indexes may lie in one another to any depth. The manifests in an index are
    /// followed if `is_followed` says so.
    fn add(&mut self, store: &Store, manifest: &Descriptor, is_followed: &dyn Fn(&Digest) -> bool) {
        let mut left = vec![manifest.digest.clone()];
        while let Some(digest) = left.pop() {
            // A digest may be a layer of one manifest and a document of another: only documents are asked about.
            if !self.documents.insert(digest.clone()) {
                continue;
            }
            self.all.insert(digest.clone());
            let Ok(bytes) = store.read(&digest, MAX_DOCUMENT) else { continue };
            let Ok(document) = Document::read(&bytes) else { continue };
            self.all.extend(document.blobs().filter_map(|named| named.digest().ok()));
            for child in document.manifests().filter_map(|named| named.digest().ok()) {
                if is_followed(&child) {
                    left.push(child);
                } else {
                    self.all.insert(child);
                }
            }
        }
    }
}

impl Store {
    /// Returns all that a manifest leads to, and itself.
    pub(crate) fn reach(&self, manifest: &Descriptor) -> Reached {
        self.reach_by(manifest, &|_| true)
    }

    /// Returns the same where only some manifests are followed from an index.
    pub(crate) fn reach_by(&self, manifest: &Descriptor, is_followed: &dyn Fn(&Digest) -> bool) -> Reached {
        let mut reached = Reached::default();
        reached.add(self, manifest, is_followed);
        reached
    }

    /// Returns every blob that a manifest leads to, and itself.
    pub fn closure(&self, manifest: &Descriptor) -> HashSet<Digest> {
        self.reach(manifest).all
    }

    /// Returns the manifests that a manifest leads to, and itself.
    pub fn documents_of(&self, manifest: &Digest) -> HashSet<Digest> {
        self.reach(&Descriptor::new("", manifest.clone(), 0)).documents
    }

    /// Returns every blob that a name leads to.
    pub(crate) fn referenced(&self) -> Result<HashSet<Digest>, Error> {
        let mut reached = Reached::default();
        for repository in self.repositories()? {
            for tag in self.tags(&repository)? {
                if let Some(manifest) = self.resolve(&repository, &tag)? {
                    reached.add(self, &manifest, &|_| true);
                }
            }
        }
        for repository in self.deleted_repositories()? {
            for tag in self.deleted_tags(&repository)? {
                reached.add(self, &tag.manifest, &|_| true);
            }
        }
        for name in self.repositories_on(Shelf::Local)? {
            for tag in self.kept_tags(&name)? {
                if let Some(manifest) = self.kept(&name, &tag)? {
                    reached.add(self, &manifest, &|_| true);
                }
            }
        }
        Ok(reached.all)
    }
}
