//! One mirror: what of a registry is here, who may have it, and until when a tag counts as fresh.

use super::coming::{Coming, Downloads};
use super::flight::Flights;
use super::limits::{Limits, now_ms};
use crate::{Error, Part, Store};
use registry_client::{Client, Digest, Mirrored, Reference};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Kind of the notes on what tags mean.
const TAGS: &str = "tags";
/// Kind of the notes on media types of manifests.
const TYPES: &str = "types";
/// Kind of the notes on which repositories are public.
const SHOWN: &str = "shown";

/// How a mirror works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorSettings {
    /// The registry that images are named by, as in `docker.io`.
    pub host: String,
    /// The registry that is asked.
    pub upstream: String,
    /// Whether it is asked with a login: then it may answer with what is not for everybody.
    pub has_login: bool,
    /// How long a tag is fresh.
    pub fresh: Duration,
    /// Bytes that it may keep.
    pub limit: u64,
    /// Whether it answers in the embedded registry for names that say no registry.
    pub is_default: bool,
}

/// The clients that ask a registry.
#[derive(Clone)]
pub struct Upstream {
    /// With the mirror's login.
    pub own: Client,
    /// Without a login.
    pub anonymous: Client,
    /// Without a login, at public addresses.
    pub stranger: Client,
}

/// The name of a manifest within its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// A tag.
    Tag(String),
    /// Its digest.
    Digest(Digest),
}

/// A blob of a mirror.
pub enum MirrorBlob {
    /// It is here.
    Here(File),
    /// It is being downloaded, and its first bytes are here.
    Coming {
        /// The download.
        coming: Arc<Coming>,
        /// Bytes that it will have.
        size: u64,
    },
}

/// A mirror of a registry; cheap to clone.
#[derive(Clone)]
pub struct Mirror {
    /// How it works.
    pub settings: Arc<MirrorSettings>,
    pub(crate) upstream: Upstream,
    pub(crate) store: Store,
    pub(crate) flights: Arc<Flights>,
    pub(crate) downloads: Arc<Downloads>,
    pub(crate) limits: Arc<Limits>,
}

/// The meaning of a tag when the registry was asked last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TagNote {
    pub digest: Digest,
    pub checked_ms: u64,
}

/// The readers who were shown a repository when the registry was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShownNote {
    pub anonymous: bool,
    pub stranger: bool,
    pub checked_ms: u64,
}

impl Mirror {
    /// Opens the mirror whose store is in `directory`.
    pub fn open(directory: &Path, settings: MirrorSettings, upstream: Upstream) -> Result<Mirror, Error> {
        let store = Store::open(directory)?;
        let flights = Arc::new(Flights::open(directory.join("flights"))?);
        let limits = Arc::new(Limits::new(directory.join("paused")));
        let downloads = Arc::default();
        Ok(Mirror { settings: Arc::new(settings), upstream, store, flights, downloads, limits })
    }

    /// Returns the store of what was read.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Returns the name that the registry has for an image; `None` if it is not a name.
    pub fn reference(&self, repository: &str, named: &Named) -> Option<Reference> {
        let upstream = &self.settings.upstream;
        Reference::parse(&match named {
            Named::Tag(tag) => format!("{upstream}/{repository}:{tag}"),
            Named::Digest(digest) => format!("{upstream}/{repository}@{digest}"),
        })
        .ok()
    }

    /// Tells whether something that was asked at a moment is still as good as new.
    pub(crate) fn is_fresh(&self, checked_ms: u64) -> bool {
        now_ms().checked_sub(checked_ms).is_some_and(|age| u128::from(age) < self.settings.fresh.as_millis())
    }

    /// Returns what a tag meant when the registry was asked last.
    pub(crate) fn tag(&self, repository: &str, tag: &str) -> Option<TagNote> {
        self.note(TAGS, &format!("{repository}:{tag}"))
    }

    /// Takes note of what a tag means.
    pub(crate) fn set_tag(&self, repository: &str, tag: &str, digest: &Digest) -> Result<(), Error> {
        let note = TagNote { digest: digest.clone(), checked_ms: now_ms() };
        self.put_note(TAGS, &format!("{repository}:{tag}"), &note)
    }

    /// Forgets a tag that the registry does not have any more.
    pub(crate) fn forget_tag(&self, repository: &str, tag: &str) -> Result<(), Error> {
        self.store.put_note(TAGS, format!("{repository}:{tag}").as_bytes(), b"")
    }

    /// Returns who was shown a repository.
    pub(crate) fn shown(&self, repository: &str) -> Option<ShownNote> {
        self.note(SHOWN, repository)
    }

    /// Takes note of who was shown a repository.
    pub(crate) fn set_shown(&self, repository: &str, note: ShownNote) -> Result<(), Error> {
        self.put_note(SHOWN, repository, &note)
    }

    /// Returns a manifest that is here.
    pub(crate) fn manifest_here(&self, repository: &str, digest: &Digest) -> Option<Mirrored> {
        if !self.store.has(repository, Part::Manifest, digest).ok()? {
            return None;
        }
        let bytes = self.store.read(digest, crate::MAX_DOCUMENT).ok()?;
        let media_type: String = self.note(TYPES, digest.as_str())?;
        self.store.promise(digest);
        Some(Mirrored { media_type, bytes, stale: None })
    }

    /// Keeps a manifest; returns its digest.
    pub(crate) fn keep_manifest(
        &self,
        repository: &str,
        named: &Named,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<Digest, Error> {
        let algorithm = match named {
            Named::Digest(digest) => digest.algorithm(),
            Named::Tag(_) => Default::default(),
        };
        let digest = self.store.put_with(algorithm, bytes)?;
        self.put_note(TYPES, digest.as_str(), &media_type)?;
        self.store.admit(repository, Part::Manifest, &digest)?;
        Ok(digest)
    }

    /// Opens a blob that is here.
    pub(crate) fn blob_here(&self, repository: &str, digest: &Digest) -> Option<File> {
        if !self.store.has(repository, Part::Blob, digest).ok()? {
            return None;
        }
        let file = self.store.open_blob(digest).ok()?;
        self.store.promise(digest);
        Some(file)
    }

    /// Forgets a blob whose bytes are not those of its digest.
    pub(crate) fn forget_blob(&self, digest: &Digest) {
        if let Err(error) = self.store.check_blob(digest) {
            tracing::warn!(blob = %digest, error = &error as &dyn std::error::Error, "a damaged blob of a mirror stays");
        }
    }

    fn note<T: serde::de::DeserializeOwned>(&self, kind: &str, name: &str) -> Option<T> {
        serde_json::from_slice(&self.store.note(kind, name.as_bytes()).ok()??).ok()
    }

    fn put_note(&self, kind: &str, name: &str, note: &impl Serialize) -> Result<(), Error> {
        let bytes = serde_json::to_vec(note).map_err(|_| Error::Damaged(name.to_owned()))?;
        self.store.put_note(kind, name.as_bytes(), &bytes)
    }
}
