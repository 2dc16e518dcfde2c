//! The end of an eStargz layer: a landmark and the table as files of the tar, and a footer that says where the table is.

use super::super::hidden::{ESTARGZ_TABLE, LANDMARK, TABLE};
use files::entry_kind::EntryKind;
use files::tar::{Entry, Writer};
use registry_client::Digest;
use std::collections::BTreeMap;
use std::io;

/// The content of the landmark.
const LANDMARK_CONTENT: &[u8] = &[0xf];

/// Returns a tar of the landmark.
pub(super) fn landmark_tar() -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    writer.entry(&file(LANDMARK, LANDMARK_CONTENT), &mut { LANDMARK_CONTENT })?;
    writer.finish()
}

/// Returns the last part of the tar: the table, if there is one, and the zero blocks.
pub(super) fn table_tar(table: Option<&[u8]>) -> io::Result<Vec<u8>> {
    let mut writer = Writer::new(Vec::new());
    if let Some(mut table) = table {
        writer.entry(&file(TABLE, table), &mut table)?;
    }
    writer.finish()
}

/// Returns the footer of a blob whose table begins at `at`: an empty gzip member with a note.
pub(super) fn footer(at: u64) -> Vec<u8> {
    let note = format!("{at:016x}STARGZ");
    let length = note.len() as u16;
    let mut footer = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255];
    footer.extend_from_slice(&(length + 4).to_le_bytes());
    footer.extend_from_slice(b"SG");
    footer.extend_from_slice(&length.to_le_bytes());
    footer.extend_from_slice(note.as_bytes());
    // A last stored block without content, and the checksum and length of nothing.
    footer.extend_from_slice(&[1, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    footer
}

/// Returns the annotations of a layer with this table, whose tar has `size` bytes.
pub(super) fn annotations(table: &[u8], size: u64) -> BTreeMap<String, String> {
    [
        (ESTARGZ_TABLE.to_owned(), Digest::of(table).to_string()),
        ("io.containers.estargz.uncompressed-size".to_owned(), size.to_string()),
    ]
    .into()
}

fn file(path: &[u8], content: &[u8]) -> Entry {
    let kind = EntryKind::File { size: content.len() as u64 };
    Entry { path: path.to_vec(), kind, mode: 0o444, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new() }
}
