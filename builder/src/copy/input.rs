//! The files that go into a copy.

use super::archive::Archive;
use super::select::CopySource;

/// A source of a copy, to be laid over the destination.
#[derive(Debug, Clone, Copy)]
pub enum CopyInput<'p> {
    /// Files of the view that is the place with this number.
    Files(usize, &'p CopySource),
    /// The entries of an archive.
    Archive(&'p Archive),
}
