//! A row of a table: a file, or a further chunk of one. The fields are those of stargz, which zstd:chunked took over.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use files::entry_kind::EntryKind;
use files::tar::Entry;
use serde::Serialize;
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// One row.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Row {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name as the tar has it: a directory's ends in a slash.
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    link_name: String,
    #[serde(skip_serializing_if = "is_zero")]
    mode: u32,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    #[serde(skip_serializing_if = "is_zero")]
    uid: u32,
    #[serde(skip_serializing_if = "is_zero")]
    gid: u32,
    #[serde(rename = "modtime", skip_serializing_if = "Option::is_none")]
    modified: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    dev_major: u32,
    #[serde(skip_serializing_if = "is_zero")]
    dev_minor: u32,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    xattrs: BTreeMap<String, String>,
    /// Digest of the whole file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Where its first chunk, or this one, begins in the blob.
    #[serde(skip_serializing_if = "is_zero")]
    pub offset: u64,
    /// Where its last chunk ends.
    #[serde(skip_serializing_if = "is_zero")]
    pub end_offset: u64,
    /// Bytes of the chunk, uncompressed.
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_size: u64,
    /// Where the chunk begins in the file.
    #[serde(skip_serializing_if = "is_zero")]
    pub chunk_offset: u64,
    /// Digest of the chunk.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub chunk_digest: String,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

impl Row {
    /// Returns the row of `entry`; `None` if JSON cannot tell what it is called or when it was changed.
    pub(super) fn new(entry: &Entry) -> Option<Row> {
        let mut row = Row { name: text(&entry.path)?, size: entry.size(), ..Row::default() };
        row.kind = match &entry.kind {
            EntryKind::File { .. } => "reg",
            EntryKind::Directory => "dir",
            EntryKind::Symlink { .. } => "symlink",
            EntryKind::HardLink { .. } => "hardlink",
            EntryKind::Character { .. } => "char",
            EntryKind::Block { .. } => "block",
            EntryKind::Fifo => "fifo",
            EntryKind::Socket => return None,
        };
        match &entry.kind {
            EntryKind::Directory => row.name.push('/'),
            EntryKind::Symlink { target } | EntryKind::HardLink { target } => row.link_name = text(target)?,
            EntryKind::Character { major, minor } | EntryKind::Block { major, minor } => {
                (row.dev_major, row.dev_minor) = (*major, *minor);
            }
            _ => {}
        }
        (row.mode, row.uid, row.gid) = (entry.mode, entry.uid, entry.gid);
        row.modified = Some(OffsetDateTime::from_unix_timestamp(entry.mtime).ok()?.format(&Rfc3339).ok()?);
        for (key, value) in &entry.xattrs {
            row.xattrs.insert(text(key)?, STANDARD.encode(value));
        }
        Some(row)
    }

    /// Returns the row of a further chunk of the file `name`.
    pub(super) fn chunk(name: &str) -> Row {
        Row { kind: "chunk", name: name.to_owned(), ..Row::default() }
    }

    /// Returns the bytes of the file.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}
