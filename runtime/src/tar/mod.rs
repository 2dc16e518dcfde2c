//! The tar format of layers: entries in, bytes out, and back.
//!
//! The writer makes the same bytes for the same entries, always: pax headers only where a value does not fit, no GNU
//! records, no sparse files, numeric owners. The reader accepts what image builders write (ustar, pax, GNU long names,
//! base-256 numbers) and refuses what is ambiguous. Neither touches a file system.

mod reader;
mod writer;

pub use reader::{Reader, TarError};
pub use writer::Writer;

/// Bytes of a tar block; headers and padding come in multiples of it.
pub const BLOCK: usize = 512;

/// One entry of a tar, without its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Name as it stands in the tar, without a trailing slash; layers written here have no leading slash either.
    pub path: Vec<u8>,
    /// What it is.
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

/// What a tar entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file; its content follows the header.
    File {
        /// Bytes of content.
        size: u64,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points, verbatim.
        target: Vec<u8>,
    },
    /// Another name of a file that came earlier.
    HardLink {
        /// The earlier name.
        target: Vec<u8>,
    },
    /// A character device.
    Character {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
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

/// Returns `path` relative to the root it is unpacked in: no empty, `.` or `..` components, no slash at either end.
///
/// `..` goes up but never above the root, as image tools have always read such names. The root itself is empty.
pub fn clean_path(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests;
