//! `ADD` of archives: recognised by content, planned from their headers, written in their own order.

use super::entry::Content;
use super::error::{CopyError, shown};
use super::layer::Layer;
use files::path::{clean_path, join, parent, split};
use files::tar::{self, Entry, EntryKind};
use files::tree::resolve_in;
use files::view::Node;
use std::collections::HashMap;
use std::io::Read;

/// Entries that an archive may have.
const MAX_ENTRIES: usize = 400_000;
/// Bytes that an archive's files may have together.
const MAX_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Bytes that the names, targets and attributes of an archive may have together: they are kept in memory.
const MAX_NAMES: usize = 128 * 1024 * 1024;

/// Files of the archive by path: which entry has the content.
type Groups = HashMap<Vec<u8>, usize>;
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
        let (mut entries, mut bytes, mut names) = (Vec::new(), 0u64, 0);
        while let Some(entry) = reader.next_entry().map_err(|error| failed(error.to_string()))? {
            bytes = bytes.saturating_add(entry.size());
            names += text_bytes(&entry);
            entries.push(entry);
            if entries.len() > MAX_ENTRIES || bytes > MAX_BYTES {
                return Err(failed(format!("it has more than {MAX_ENTRIES} entries or {MAX_BYTES} bytes")));
            }
            if names > MAX_NAMES {
                return Err(failed(format!("its names have more than {MAX_NAMES} bytes")));
            }
        }
        Ok(Archive { name: name.to_owned(), entries })
    }

    /// Lays the entries over `layer`; contents are named by the archive's number and the entry's.
    pub(super) fn lay(&self, layer: &mut Layer<'_>, number: usize, destination: &[u8]) -> Result<(), CopyError> {
        // The flag is for files that are copied, not for those that are extracted.
        layer.without_chmod(|layer| {
            let root = layer.resolve(destination)?;
            layer.make_directory(&root)?;
            let (mut groups, mut links) = (Groups::new(), Links::new());
            let mut laying = Laying { layer, root: &root, number, groups: &mut groups, links: &mut links };
            for (member, entry) in self.entries.iter().enumerate() {
                self.place(&mut laying, member, entry)?;
            }
            // Files that were put into a directory changed its time; the time in the archive is the one that counts.
            for entry in self.entries.iter().filter(|entry| entry.kind == EntryKind::Directory) {
                let inside = clean_path(&entry.path);
                let path = laying.within(&inside)?;
                if !inside.is_empty() && laying.layer.is_directory(&path) {
                    laying.layer.set_time(&path, entry.mtime);
                }
            }
            Ok(())
        })
    }

    fn place(&self, laying: &mut Laying<'_, '_>, member: usize, entry: &Entry) -> Result<(), CopyError> {
        let inside = clean_path(&entry.path);
        if inside.is_empty() {
            return Ok(());
        }
        self.refuse_absolute_link(parent(&inside), laying.links)?;
        let directory = laying.within(parent(&inside))?;
        laying.layer.make_directory(&directory)?;
        let path = join(&directory, split(&inside).1);
        match &entry.kind {
            EntryKind::HardLink { target } => return self.link(laying, &path, entry, target),
            EntryKind::Symlink { target } => {
                laying.links.insert(inside.clone(), target.first() == Some(&b'/'));
            }
            _ => {}
        }
        let node = laying.layer.changed(&node(entry, entry.kind.clone()));
        let is_file = matches!(node.kind, EntryKind::File { .. });
        laying.put(&path, node, is_file.then_some(member))
    }

    /// Adds another name for a file of the archive; the mode of the link is the file's from then on.
    fn link(&self, laying: &mut Laying<'_, '_>, path: &[u8], entry: &Entry, target: &[u8]) -> Result<(), CopyError> {
        let target = laying.within(&clean_path(target))?;
        let (Some(&member), Some(known)) = (laying.groups.get(&target), laying.layer.node(&target)) else {
            let problem =
                format!("`{}` is a hard link to `{}`, which is not in it", shown(&entry.path), shown(&target));
            return Err(CopyError::Archive { name: self.name.clone(), problem });
        };
        let node = laying.layer.changed(&node(entry, known.kind));
        laying.put(&target, node.clone(), Some(member))?;
        laying.put(path, node, Some(member))
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

/// An archive while it is laid over a layer.
struct Laying<'l, 't> {
    layer: &'l mut Layer<'t>,
    root: &'l [u8],
    number: usize,
    groups: &'l mut Groups,
    links: &'l mut Links,
}

impl Laying<'_, '_> {
    /// Follows the links of `path` with the destination as the root: an archive does not lead out of it.
    fn within(&self, path: &[u8]) -> Result<Vec<u8>, CopyError> {
        let inside = resolve_in(path, |path| self.layer.node(&join(self.root, path)))?;
        Ok(join(self.root, &inside))
    }

    /// Puts a node in place; `member` is the entry that holds its content.
    fn put(&mut self, path: &[u8], node: Node, member: Option<usize>) -> Result<(), CopyError> {
        let (content, group) = match member {
            Some(member) => (Content::Archived { archive: self.number, member }, Some((self.number, member as u64))),
            None => (Content::None, None),
        };
        match member {
            Some(member) => self.groups.insert(path.to_vec(), member),
            None => self.groups.remove(path),
        };
        self.layer.put_archived(path, node, content, group)
    }
}

/// Returns how many bytes of an entry are kept in memory.
fn text_bytes(entry: &Entry) -> usize {
    let target = match &entry.kind {
        EntryKind::Symlink { target } | EntryKind::HardLink { target } => target.len(),
        _ => 0,
    };
    entry.path.len() + target + entry.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
}

fn node(entry: &Entry, kind: EntryKind) -> Node {
    let xattrs = entry.xattrs.clone();
    Node { kind, mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, xattrs, hard_link: None }
}
