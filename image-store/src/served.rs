//! Records which blobs registries served: a blob of the store stands for one of an image only if that image's repository
//! sent its bytes once, to somebody who may read no more than the present reader. A manifest can name any digest: naming
//! one is not having it.

use crate::{Part, Store};
use registry_client::{Client, DiffId, Digest, Reference};

/// Kind of the notes on what was served.
pub const SERVED: &str = "served";
/// Kind of the notes on which blob holds which tar.
pub const UNPACKED: &str = "unpacked";

/// The part of the store that one client may use in place of a registry.
#[derive(Clone, Copy)]
pub struct Served<'s> {
    /// The store.
    pub store: &'s Store,
    /// The client on whose behalf blobs are read.
    pub client: &'s Client,
}

impl Served<'_> {
    /// Returns whether the repository of `image` has sent the blob or document to such a reader.
    pub fn has(self, image: &Reference, digest: &Digest) -> bool {
        if self.client.is_home(image) {
            let has = |part| self.store.has(image.repository(), part, digest).unwrap_or(false);
            return self.client.may_read_home(image) && (has(Part::Blob) || has(Part::Manifest));
        }
        // A public blob may be read with a login, too.
        let reader = self.client.reader(image);
        ["anonymous", reader]
            .iter()
            .any(|reader| matches!(self.store.note(SERVED, &name(reader, image, digest)), Ok(Some(_))))
    }

    /// Takes note that the repository of `image` has sent it; what cannot be noted is fetched again.
    pub fn note(self, image: &Reference, digest: &Digest) {
        // The registry of this store says itself what its repositories have.
        if !self.client.is_home(image) && !self.has(image, digest) {
            let _ = self.store.put_note(SERVED, &name(self.client.reader(image), image, digest), b"");
        }
    }
}

fn name(reader: &str, image: &Reference, digest: &Digest) -> Vec<u8> {
    format!("{reader} {}/{} {digest}", image.registry(), image.repository()).into_bytes()
}

impl Store {
    /// Returns whether the blob was read to its end once and holds the tar of `diff_id`: a configuration can name any tar.
    pub fn holds_tar(&self, blob: &Digest, diff_id: &DiffId) -> bool {
        matches!(self.note(UNPACKED, &binding(blob, diff_id)), Ok(Some(_)))
    }

    /// Takes note that the blob holds the tar; what cannot be noted is read again.
    pub fn note_tar(&self, blob: &Digest, diff_id: &DiffId) {
        let _ = self.put_note(UNPACKED, &binding(blob, diff_id), b"");
    }
}

fn binding(blob: &Digest, diff_id: &DiffId) -> Vec<u8> {
    format!("{blob} {diff_id}").into_bytes()
}
