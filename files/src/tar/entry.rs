//! One entry of a tar: its name and metadata.

use crate::entry_kind::EntryKind;

/// Bytes of a tar block; headers and padding come in multiples of it.
pub const BLOCK: usize = 512;

/// One entry of a tar, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name as it stands in the tar, without a trailing slash; layers written here have no leading slash either.
    pub path: Vec<u8>,
    /// The kind of file.
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: i64,
    /// Extended attributes, in the order in which they are written.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Returns the size of the content that follows the header.
    pub fn size(&self) -> u64 {
        match self.kind {
            EntryKind::File { size } => size,
            _ => 0,
        }
    }
}
