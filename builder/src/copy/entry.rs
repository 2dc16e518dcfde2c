//! The entries of the layer that a copy makes.

use files::tar::Entry;

/// Where the content of a planned entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// There is none.
    None,
    /// A file of a view.
    Source {
        /// Which view: the place's number among those of the instruction.
        place: usize,
        /// The file's path there.
        path: Vec<u8>,
    },
    /// These bytes.
    Inline(Vec<u8>),
    /// An entry of an archive.
    Archived {
        /// Which archive: the input's number among those of the instruction.
        archive: usize,
        /// Which entry, in the archive's order.
        member: usize,
    },
}

/// An entry of the layer with its content.
#[derive(Debug, Clone)]
pub struct LayerEntry {
    /// The entry.
    pub entry: Entry,
    /// Its content.
    pub content: Content,
}
