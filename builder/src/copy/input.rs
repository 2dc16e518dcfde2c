//! The files that go into a copy.

use super::archive::Archive;
use super::select::CopySource;

/// Something that is laid over the destination.
#[derive(Debug, Clone, Copy)]
pub enum CopyInput<'p> {
    /// Files of the view that is the place with this number.
    Files(usize, &'p CopySource),
    /// What an archive holds.
    Archive(&'p Archive),
}
