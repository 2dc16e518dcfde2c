//! All that there is to push: a few blobs, images of them, indexes, and manifests about others.

use crate::hub::{descriptor, digest_of, index, manifest, named};
use registry_client::{Digest, media_type};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::LazyLock;

pub(super) const REPOSITORIES: [&str; 3] = ["a", "b/b", "c/c/c"];
/// The first is the configuration of all images.
pub(super) const BLOBS: [&[u8]; 4] = [b"{}", b"one", b"two", b"three"];
pub(super) const TAGS: [&str; 2] = ["1", "latest"];
/// Images come first among the documents, one for each set of layers.
const IMAGES: usize = 8;

pub(super) struct Document {
    pub value: Value,
    pub digest: Digest,
    /// The blobs that it names.
    pub blobs: Vec<usize>,
    /// The documents that it names.
    pub manifests: Vec<usize>,
    /// The document that it is about.
    pub subject: Option<usize>,
}

pub(super) static DOCUMENTS: LazyLock<Vec<Document>> = LazyLock::new(all);

fn all() -> Vec<Document> {
    let mut all = Vec::new();
    let document = |value: Value, blobs: Vec<usize>, manifests: Vec<usize>, subject| {
        let digest = digest_of(&value);
        Document { value, digest, blobs, manifests, subject }
    };
    for number in 0..IMAGES {
        let layers: Vec<usize> = (1..BLOBS.len()).filter(|blob| number & (1 << (blob - 1)) != 0).collect();
        let value = manifest(&layers.iter().map(|blob| BLOBS[*blob]).collect::<Vec<_>>());
        all.push(document(value, [vec![0], layers].concat(), Vec::new(), None));
    }
    // The last index has another index in it.
    for children in [vec![0, 4], vec![1, 2], vec![3, 8]] {
        let value = index(&children.iter().map(|child| &all[*child].value).collect::<Vec<_>>());
        all.push(document(value, Vec::new(), children, None));
    }
    // The last is about one that is about another.
    for subject in [1, 8, 11] {
        let about: &Document = &all[subject];
        let value = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "artifactType": "application/x.signature",
            "config": descriptor(media_type::OCI_CONFIG, BLOBS[0]),
            "layers": [descriptor(media_type::OCI_LAYER, BLOBS[1])], "subject": named(&about.value),
        });
        all.push(document(value, vec![0, 1], Vec::new(), Some(subject)));
    }
    all
}

/// Returns the documents that a document leads to, and itself, where only some of its children are followed; the others
/// are in the second set.
pub(super) fn reach(
    document: usize,
    is_followed: impl Fn(usize) -> bool,
) -> (BTreeSet<usize>, BTreeSet<usize>, BTreeSet<usize>) {
    let (mut documents, mut unfollowed, mut blobs, mut left) =
        (BTreeSet::new(), BTreeSet::new(), BTreeSet::new(), vec![document]);
    while let Some(number) = left.pop() {
        if !documents.insert(number) {
            continue;
        }
        blobs.extend(DOCUMENTS[number].blobs.iter().copied());
        for child in &DOCUMENTS[number].manifests {
            if is_followed(*child) {
                left.push(*child);
            } else {
                unfollowed.insert(*child);
            }
        }
    }
    (documents, unfollowed, blobs)
}
