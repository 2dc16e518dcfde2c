//! The entries of the layer that a copy makes.

use crate::key::KeyBuilder;
use files::tar::{Entry, EntryKind};

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
        /// Which archive: the input's number among those of the instruction.
        archive: usize,
        /// Which entry, in the archive's order.
        member: usize,
    },
}

/// An entry of the layer with its content.
#[derive(Debug, Clone)]
pub struct LayerEntry {
    /// The entry.
    pub entry: Entry,
    /// Its content.
    pub content: Content,
}

impl LayerEntry {
    /// Adds the entry to a key. The times of copied files and of what is made at `now` are left out, as in all keys; those
    /// of directories that were there are not.
    pub(crate) fn add_to(&self, key: &mut KeyBuilder, now: i64) {
        let Entry { path, kind, mode, uid, gid, mtime, xattrs } = &self.entry;
        key.field(path).numbers([*mode, *uid, *gid]);
        match kind {
            EntryKind::File { size } => key.text("file").text(&size.to_string()),
            EntryKind::Directory => key.text("directory"),
            EntryKind::Symlink { target } => key.text("link").field(target),
            EntryKind::HardLink { target } => key.text("hard link").field(target),
            EntryKind::Character { major, minor } => key.text("character").numbers([*major, *minor]),
            EntryKind::Block { major, minor } => key.text("block").numbers([*major, *minor]),
            EntryKind::Fifo => key.text("fifo"),
            EntryKind::Socket => key.text("socket"),
        };
        key.text(&xattrs.len().to_string());
        for (name, value) in xattrs {
            key.field(name).field(value);
        }
        match &self.content {
            Content::None if *mtime == now => key.text("now"),
            Content::None => key.text("at").text(&mtime.to_string()),
            Content::Source { place, path } => key.text("source").text(&place.to_string()).field(path),
            Content::Inline(bytes) => key.text("inline").field(bytes),
            Content::Archived { archive, member } => {
                key.text("archived").text(&archive.to_string()).text(&member.to_string()).text(&mtime.to_string())
            }
        };
    }
}
