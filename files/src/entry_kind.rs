//! The kinds of files there are.

use serde::{Deserialize, Serialize};

/// The kind of a file, in a tree and in a tar.
///
/// The order of the variants is part of the stored form of a layer's index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file; in a tar its content follows the header.
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
    /// A socket, which no tar can hold; `COPY` makes an empty regular file of it.
    Socket,
    /// Another name of a file that came earlier in the same tar.
    HardLink {
        /// The earlier name.
        target: Vec<u8>,
    },
}
