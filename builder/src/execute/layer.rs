//! The layers of a build while they come into being.

use super::once_value::OnceValue;
use crate::Error;
use database::CachedLayer;
use registry_client::{Descriptor, DiffId, Digest, GrowingBlob, Reference, media_type};
use runtime::SnapshotId;
use std::sync::{Arc, Mutex, PoisonError};

/// A layer of a stage: known by its key at once, by its digests when it has been packed.
#[derive(Debug)]
pub struct Layer {
    /// Cache key of everything up to and including this layer.
    pub key: String,
    /// Cache key of its definition, where that alone tells what it becomes.
    pub definition: Option<String>,
    /// Its bytes, once they are settled.
    pub committed: OnceValue<Result<Arc<Committed>, Error>>,
    /// Its blob while it is being written, if it is large; set before `committed` in any case.
    pub growing: OnceValue<Option<GrowingBlob>>,
    /// Its files on disk, once they are there.
    snapshot: Mutex<Option<SnapshotId>>,
}

/// A layer whose bytes are settled.
#[derive(Debug, Clone)]
pub struct Committed {
    /// Digest of the tar.
    pub diff_id: DiffId,
    /// The compressed blob.
    pub descriptor: Descriptor,
    /// Whether it has no entries.
    pub empty: bool,
    /// The time of the build that made it, in seconds since 1970; `None` for layers of base images.
    pub made: Option<i64>,
    /// An image that has it, for a layer whose blob may have to be pulled.
    pub origin: Option<Reference>,
    /// Whether it is the layer of an image that somebody else made: then `origin` must have it, whatever the store has.
    pub is_foreign: bool,
}

impl Layer {
    /// Returns a layer that somebody is about to make.
    pub fn pending(key: String, definition: Option<String>) -> Arc<Layer> {
        let (committed, growing) = (OnceValue::new(), OnceValue::new());
        Arc::new(Layer { key, definition, committed, growing, snapshot: Mutex::new(None) })
    }

    /// Returns a layer that exists already.
    pub fn existing(key: String, committed: Committed) -> Arc<Layer> {
        Arc::new(Layer {
            key,
            definition: None,
            committed: OnceValue::with(Ok(Arc::new(committed))),
            growing: OnceValue::with(None),
            snapshot: Mutex::new(None),
        })
    }

    /// Settles the layer, or says why there will be none.
    pub fn settle(&self, settled: Result<Arc<Committed>, Error>) {
        self.growing.set(None);
        self.committed.set(settled);
    }

    /// Returns the snapshot of the layer, if it has one in this build.
    pub fn snapshot(&self) -> Option<SnapshotId> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Remembers the snapshot of the layer.
    pub fn set_snapshot(&self, id: SnapshotId) {
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
    }
}

impl Committed {
    /// Returns the name that the layer's snapshot has on disk.
    pub fn snapshot(&self) -> SnapshotId {
        SnapshotId::new(self.diff_id.hex()).expect("a diff id is 64 hexadecimal digits")
    }

    /// Returns what the cache index stores of the layer.
    pub fn to_cached(&self, created_ms: i64) -> CachedLayer {
        CachedLayer {
            diff_id: self.diff_id.to_string(),
            digest: self.descriptor.digest.to_string(),
            size: self.descriptor.size,
            media_type: self.descriptor.media_type.clone(),
            empty: self.empty,
            created_ms,
            content_key: None,
            made: self.made,
            annotations: self.descriptor.annotations.clone(),
        }
    }

    /// Returns the layer that the cache index describes; `None` if the row does not parse.
    pub fn from_cached(cached: &CachedLayer, origin: Option<Reference>) -> Option<Committed> {
        let digest: Digest = cached.digest.parse().ok()?;
        let descriptor = Descriptor::new(&cached.media_type, digest, cached.size);
        Some(Committed {
            diff_id: cached.diff_id.parse().ok()?,
            descriptor: Descriptor { annotations: cached.annotations.clone(), ..descriptor },
            empty: cached.empty,
            made: Some(cached.made.unwrap_or(cached.created_ms / 1000)),
            origin,
            is_foreign: false,
        })
    }

    /// Returns the descriptor with the media type that OCI manifests use.
    pub fn oci_descriptor(&self) -> Descriptor {
        let mut descriptor = self.descriptor.clone();
        if let Some(kind) = media_type::as_oci_layer(&descriptor.media_type) {
            kind.clone_into(&mut descriptor.media_type);
        }
        descriptor
    }
}
