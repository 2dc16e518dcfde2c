//! `ADD` of archives: recognised by content, planned from their headers, written in their own order.

use super::place::{self, Content, Layer, Planned, parent, shown};
use super::{CopyError, CopyRequest};
use crate::ignore::join;
use crate::tree::{Tree, resolve_in};
use crate::view::{Kind, Node};
use runtime::tar::{self, Entry, EntryKind, clean_path};
use std::collections::HashMap;
use std::io::Read;

/// Entries that an archive may have.
const MAX_ENTRIES: usize = 1_000_000;
/// Bytes that an archive's files may have together.
const MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Files of the archive by path: which entry has the content.
type Groups = HashMap<Vec<u8>, u64>;
/// Links of the archive by path, and whether they are absolute.
type Links = HashMap<Vec<u8>, bool>;

/// An archive's entries, without their contents.
#[derive(Debug)]
pub struct Archive {
    name: String,
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads the headers of a tar.
    pub fn read(name: &str, tar: &mut dyn Read) -> Result<Archive, CopyError> {
        let failed = |problem: String| CopyError::Archive { name: name.to_owned(), problem };
        let mut reader = tar::Reader::new(tar);
        let (mut entries, mut bytes) = (Vec::new(), 0u64);
        while let Some(entry) = reader.next_entry().map_err(|error| failed(error.to_string()))? {
            bytes = bytes.saturating_add(entry.size());
            entries.push(entry);
            if entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
                return Err(failed("it has more entries or bytes than an archive may have".to_owned()));
            }
        }
        Ok(Archive { name: name.to_owned(), entries })
    }

    /// Returns the entries that the archive becomes on top of `tree`; contents are named by the archive's entry.
    pub fn plan(&self, tree: &Tree, request: &CopyRequest) -> Result<Vec<Planned>, CopyError> {
        // The flag is for files that are copied, not for those that are extracted.
        let request = CopyRequest { chmod: None, ..request.clone() };
        let mut layer = Layer::new(tree, &request);
        let (destination, _) = place::destination(&request);
        let root = layer.resolve(&destination)?;
        layer.make_directory(&root)?;
        let (mut groups, mut links) = (Groups::new(), Links::new());
        for (number, entry) in self.entries.iter().enumerate() {
            self.place(&mut layer, (&root, number, entry), (&mut groups, &mut links))?;
        }
        Ok(layer.finish())
    }

    fn place(
        &self,
        layer: &mut Layer<'_>,
        (root, number, entry): (&[u8], usize, &Entry),
        (groups, links): (&mut Groups, &mut Links),
    ) -> Result<(), CopyError> {
        let inside = clean_path(&entry.path);
        if inside.is_empty() {
            return Ok(());
        }
        self.refuse_absolute_link(parent(&inside), links)?;
        let directory = within(layer, root, parent(&inside))?;
        layer.make_directory(&directory)?;
        let path = join(&directory, super::select::last_component(&inside));
        let (kind, content, group) = match &entry.kind {
            EntryKind::File { size } => (Kind::File { size: *size }, member(number as u64), Some(number as u64)),
            EntryKind::Directory => (Kind::Directory, Content::None, None),
            EntryKind::Symlink { target } => {
                links.insert(inside.clone(), target.first() == Some(&b'/'));
                (Kind::Symlink { target: target.clone() }, Content::None, None)
            }
            EntryKind::Character { major, minor } => {
                (Kind::Character { major: *major, minor: *minor }, Content::None, None)
            }
            EntryKind::Block { major, minor } => (Kind::Block { major: *major, minor: *minor }, Content::None, None),
            EntryKind::Fifo => (Kind::Fifo, Content::None, None),
            EntryKind::HardLink { target } => return self.link(layer, (root, &path, entry), (target, groups)),
        };
        if let Some(group) = group {
            groups.insert(path.clone(), group);
        }
        layer.put_archived(&path, layer.changed(&node(entry, kind)), content, group);
        Ok(())
    }

    /// Adds another name for a file of the archive; the mode of the link is the file's from then on.
    fn link(
        &self,
        layer: &mut Layer<'_>,
        (root, path, entry): (&[u8], &[u8], &Entry),
        (target, groups): (&[u8], &mut Groups),
    ) -> Result<(), CopyError> {
        let target = within(layer, root, &clean_path(target))?;
        let (Some(&group), Some(known)) = (groups.get(&target), layer.node(&target)) else {
            let problem =
                format!("`{}` is a hard link to `{}`, which is not in it", shown(&entry.path), shown(&target));
            return Err(CopyError::Archive { name: self.name.clone(), problem });
        };
        let node = layer.changed(&node(entry, known.kind));
        layer.put_archived(&target, node.clone(), member(group), Some(group));
        layer.put_archived(path, node, member(group), Some(group));
        groups.insert(path.to_vec(), group);
        Ok(())
    }

    /// Refuses a path through an absolute link of the archive itself, as BuildKit does.
    fn refuse_absolute_link(&self, path: &[u8], links: &Links) -> Result<(), CopyError> {
        let ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
        for end in ends {
            if links.get(&path[..end]) == Some(&true) {
                let problem = format!("`{}` leads through an absolute link of the archive", shown(path));
                return Err(CopyError::Archive { name: self.name.clone(), problem });
            }
        }
        Ok(())
    }
}

/// Follows the links of `path` with the destination as the root: an archive does not lead out of it.
fn within(layer: &Layer<'_>, root: &[u8], path: &[u8]) -> Result<Vec<u8>, CopyError> {
    let inside = resolve_in(path, |path| layer.node(&join(root, path)))?;
    Ok(join(root, &inside))
}

fn member(number: u64) -> Content {
    Content::Archived { archive: 0, member: number as usize }
}

fn node(entry: &Entry, kind: Kind) -> Node {
    let xattrs = entry.xattrs.clone();
    Node { kind, mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, xattrs, hard_link: None }
}
