//! Whiteouts: how a layer says that a path of the layers below is gone.
//!
//! The spelling is that of the OCI image specification (layer.md, "Whiteouts"): an empty file `.wh.NAME` removes `NAME`,
//! and `.wh..wh..opq` hides whatever the layers below have in its directory.

use crate::path::{join, split};

/// The prefix of a name that removes another name.
const PREFIX: &[u8] = b".wh.";
/// The prefix of the markers that file systems keep for themselves.
const RESERVED: &[u8] = b".wh..wh.";
/// The name that makes its directory opaque.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The meaning of the last component of a path in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker<'n> {
    /// The name is gone from the layers below.
    Whiteout(&'n [u8]),
    /// The layers below have nothing in this directory.
    Opaque,
    /// A note that AUFS or another file system left for itself (`.wh..wh.plnk`, `.wh..wh.aufs`); it describes no file.
    Reserved,
    /// An ordinary name.
    Other,
}

impl<'n> Marker<'n> {
    /// Reads the last component of a path; a whiteout's name may be empty, `.` or `..`, which remove nothing.
    pub fn parse(name: &'n [u8]) -> Self {
        match name.strip_prefix(PREFIX) {
            None => Marker::Other,
            Some(_) if name == OPAQUE => Marker::Opaque,
            Some(_) if name.starts_with(RESERVED) => Marker::Reserved,
            Some(removed) => Marker::Whiteout(removed),
        }
    }
}

/// Returns the path of the entry that removes `path`.
pub fn of(path: &[u8]) -> Vec<u8> {
    let (directory, name) = split(path);
    join(directory, &[PREFIX, name].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_are_told_from_names() {
        for (name, marker) in [
            (b"a".as_slice(), Marker::Other),
            (b".wha", Marker::Other),
            (b"", Marker::Other),
            (b".wh.a", Marker::Whiteout(b"a")),
            (b".wh.", Marker::Whiteout(b"")),
            (b".wh..", Marker::Whiteout(b".")),
            (b".wh..wh..opq", Marker::Opaque),
            (b".wh..wh..opqx", Marker::Reserved),
            (b".wh..wh.plnk", Marker::Reserved),
            (b".wh..wh.", Marker::Reserved),
        ] {
            assert_eq!(Marker::parse(name), marker, "{}", String::from_utf8_lossy(name));
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (path, written) in [(b"a".as_slice(), b".wh.a".as_slice()), (b"d/e/a", b"d/e/.wh.a")] {
            assert_eq!(of(path), written);
            let (directory, name) = split(written);
            let Marker::Whiteout(removed) = Marker::parse(name) else { panic!("{written:?} removes nothing") };
            assert_eq!(join(directory, removed), path);
        }
    }
}
