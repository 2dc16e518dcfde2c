//! Restoring deleted tags: one comes back with the manifests of its index, with signatures, and with whatever else went with it.

use crate::retention::subject_by_name;
use image_store::{DeletedTag, Error, Store};
use registry_client::Digest;
use std::collections::HashSet;

/// A tag that cannot be restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// No such tag was deleted, or it is not kept any more.
    #[error("`{repository}` has no deleted tag `{reference}`: `slipway registry deleted` lists those that are kept")]
    Unknown {
        /// The repository.
        repository: String,
        /// The tag or digest.
        reference: String,
    },
    /// The tag was set again.
    #[error("the tag `{reference}` of `{repository}` is there, for {digest}: delete it first")]
    Taken {
        /// The repository.
        repository: String,
        /// The tag.
        reference: String,
        /// The manifest that it names now.
        digest: Digest,
    },
    /// A blob or manifest is gone.
    #[error("{0} is gone, which the tag leads to: push the image again")]
    Missing(Digest),
    /// The store cannot be used.
    #[error(transparent)]
    Store(Error),
}

/// Puts a deleted tag back, and returns all names that came back, the tag first.
pub fn restore(store: &Store, repository: &str, reference: &str) -> Result<Vec<DeletedTag>, RestoreError> {
    let wanted = store
        .deleted_tag(repository, reference)?
        .ok_or_else(|| RestoreError::Unknown { repository: repository.to_owned(), reference: reference.to_owned() })?;
    if let Some(there) = store.resolve(repository, reference)? {
        let (repository, reference) = (repository.to_owned(), reference.to_owned());
        return Err(RestoreError::Taken { repository, reference, digest: there.digest });
    }
    let attached = attached(store, &wanted)?;
    // The manifests of an index are there again before the index.
    for tag in attached.iter().chain([&wanted]) {
        store.undelete(tag)?;
    }
    Ok([vec![wanted], attached].concat())
}

/// Returns deleted names that belong to a tag: manifests of its index that were put by digest, and what is about one of them.
fn attached(store: &Store, wanted: &DeletedTag) -> Result<Vec<DeletedTag>, RestoreError> {
    let mut documents: HashSet<Digest> = store.documents_of(&wanted.manifest.digest);
    let mut left = store.deleted_tags(&wanted.repository)?;
    left.retain(|tag| tag.name != wanted.name);
    let mut found = Vec::new();
    loop {
        let before = left.len();
        let mut later = Vec::new();
        for tag in left {
            let digest = &tag.manifest.digest;
            let is_by_digest = tag.name == digest.as_str();
            let subject = store.subject(digest).filter(|_| is_by_digest).or_else(|| subject_by_name(&tag.name));
            let belongs = (is_by_digest && documents.contains(digest))
                || subject.is_some_and(|subject| documents.contains(&subject));
            // A name that was set again stays as it is.
            if !belongs || store.resolve(&wanted.repository, &tag.name)?.is_some() {
                later.push(tag);
                continue;
            }
            documents.extend(store.documents_of(digest));
            found.push(tag);
        }
        left = later;
        if left.len() == before {
            return Ok(found);
        }
    }
}

impl From<Error> for RestoreError {
    fn from(error: Error) -> Self {
        match error {
            Error::Missing(digest) => RestoreError::Missing(digest),
            error => RestoreError::Store(error),
        }
    }
}
