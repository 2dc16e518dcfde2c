//! Steps that may be taken with the registry, at random.

use super::universe::{BLOBS, DOCUMENTS, REPOSITORIES, TAGS};

/// Random numbers that are the same each time.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(super) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }
}

/// One thing that is done; repositories, blobs and documents are numbers.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends a blob in one request.
    Upload {
        at: usize,
        blob: usize,
    },
    /// Sends the first part of a blob.
    Begin {
        at: usize,
        blob: usize,
        cut: usize,
    },
    /// Sends the rest of a blob that was begun.
    Finish {
        which: usize,
    },
    /// Sends a blob whose body breaks off.
    Break {
        at: usize,
        blob: usize,
    },
    /// Sends a blob under the digest of another one.
    Lie {
        at: usize,
        blob: usize,
    },
    Mount {
        at: usize,
        from: Option<usize>,
        blob: usize,
    },
    /// Puts a document under a tag, or under its digest.
    Put {
        at: usize,
        tag: Option<&'static str>,
        document: usize,
    },
    DeleteTag {
        at: usize,
        tag: &'static str,
    },
    DeleteManifest {
        at: usize,
        document: usize,
    },
    DeleteBlob {
        at: usize,
        blob: usize,
    },
    RestoreTag {
        at: usize,
        tag: &'static str,
    },
    RestoreManifest {
        at: usize,
        document: usize,
    },
    /// The time of all deleted tags is over.
    Expire,
    Collect,
    /// The machine starts.
    Readmit,
    /// The server goes and comes back.
    Reopen,
}

impl Step {
    pub(super) fn random(random: &mut Random) -> Step {
        let (at, blob) = (random.below(REPOSITORIES.len()), random.below(BLOBS.len()));
        let (document, tag) = (random.below(DOCUMENTS.len()), TAGS[random.below(TAGS.len())]);
        match random.below(40) {
            0..8 => Step::Upload { at, blob },
            8..10 => Step::Begin { at, blob, cut: random.below(BLOBS[blob].len() + 1) },
            10..12 => Step::Finish { which: random.below(100) },
            12 => Step::Break { at, blob },
            13 => Step::Lie { at, blob },
            14..17 => Step::Mount { at, from: Some(random.below(4)).filter(|from| *from < 3), blob },
            17..28 => Step::Put { at, tag: Some(tag).filter(|_| random.below(2) == 0), document },
            28..30 => Step::DeleteTag { at, tag },
            30..32 => Step::DeleteManifest { at, document },
            32 => Step::DeleteBlob { at, blob },
            33..35 => Step::RestoreTag { at, tag },
            35 => Step::RestoreManifest { at, document },
            36 if random.below(3) == 0 => Step::Expire,
            37 => Step::Readmit,
            38 => Step::Reopen,
            _ => Step::Collect,
        }
    }
}
