//! The files that go into a copy, and the entries of the layer that come out.

use super::archive::Archive;
use super::select::Selection;
use crate::walk::Walk;
use files::tar::Entry;
use files::tree::Tree;

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
        /// Which archive: the piece's number among those of the instruction.
        archive: usize,
        /// Which entry, in the archive's order.
        member: usize,
    },
}

/// Something that is laid over the destination.
#[derive(Debug, Clone, Copy)]
pub enum Piece<'p> {
    /// Files of the view that is the place with this number.
    Files(usize, &'p Selection),
    /// What an archive holds.
    Archive(&'p Archive),
}

/// An entry of the layer with its content.
#[derive(Debug, Clone)]
pub struct Planned {
    /// The entry.
    pub entry: Entry,
    /// Its content.
    pub content: Content,
}

/// Tells whether the file of a place has the same content as a file of the tree, given place, path there, path here.
pub type SameContent<'s> = dyn Fn(usize, &[u8], &[u8]) -> bool + 's;

/// What a copy is planned on top of.
#[derive(Clone, Copy)]
pub struct Ground<'g> {
    /// The files that are there.
    pub tree: &'g Tree,
    /// Compares contents where everything else is equal.
    pub same: &'g SameContent<'g>,
    /// How many paths may be placed on it.
    pub walk: &'g Walk,
}

impl<'g> Ground<'g> {
    /// Returns a ground on which no two contents are known to be the same.
    pub fn new(tree: &'g Tree, walk: &'g Walk) -> Self {
        Ground { tree, same: &|_, _, _| false, walk }
    }
}
