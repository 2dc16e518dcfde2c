//! The destination of a copy: the files it is laid over.

use crate::walk::Walk;
use files::tree::Tree;

/// Tells whether the file of a place has the same content as a file of the tree, given place, path there, path here.
pub type SameContent<'s> = dyn Fn(usize, &[u8], &[u8]) -> bool + 's;

/// The files that a copy is laid over.
#[derive(Clone, Copy)]
pub struct Destination<'g> {
    /// The files that are there.
    pub tree: &'g Tree,
    /// Compares contents where everything else is equal.
    pub same: &'g SameContent<'g>,
    /// How many paths may be placed on it.
    pub walk: &'g Walk,
}

impl<'g> Destination<'g> {
    /// Returns a destination on which no two contents are known to be the same.
    pub fn new(tree: &'g Tree, walk: &'g Walk) -> Self {
        Destination { tree, same: &|_, _, _| false, walk }
    }
}
