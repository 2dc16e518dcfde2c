//! Layers on disk: what a step's root is stacked of.

use super::layer::{Committed, Layer};
use super::resources::BuildResources;
use crate::Error;
use crate::error::Code;
use crate::trace::Work;
use files::tar::{Entry, EntryKind, Writer};
use files::tree::Tree;
use files::view::{Node, View};
use runtime::SnapshotId;
use std::io::Read;
use std::sync::{Arc, PoisonError};

/// Kind of the notes on layers whose tar has files but not the directories they are in.
const IMPLIED: &str = "implied";

impl BuildResources {
    /// Returns the snapshots of a stack of layers, bottom first; what is not on disk yet is unpacked.
    pub fn snapshots(&self, layers: &[Arc<Layer>]) -> Result<Vec<SnapshotId>, Error> {
        layers.iter().enumerate().map(|(position, layer)| self.snapshot(layer, &layers[..position])).collect()
    }

    /// Returns the snapshot of `layer`, which lies on the layers `below`.
    pub fn snapshot(&self, layer: &Layer, below: &[Arc<Layer>]) -> Result<SnapshotId, Error> {
        if let Some(id) = layer.snapshot() {
            return Ok(id);
        }
        let committed = self.committed(layer)?;
        let mut id = committed.snapshot();
        let lock = self.lock(&format!("snapshot {id}"));
        let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let is_here = self.sandbox()?.has_snapshot(&id);
        let mut implied = if is_here { None } else { self.implied(&committed)? };
        if (is_here || implied.is_some()) && !self.is_vouched(&committed) {
            // Another blob may have been unpacked under this name.
            self.make_index(&committed)?;
        }
        if !is_here {
            if implied.is_none() {
                let found = self.unpack(&id, &committed, &[])?;
                implied = (!found.is_empty()).then_some(found);
            }
            if let Some(implied) = implied {
                id = self.completed(&committed, &implied, below)?;
            }
        }
        layer.set_snapshot(id.clone());
        Ok(id)
    }

    /// Unpacks a layer after the entries of `first`, and returns the directories that neither describes: nothing is kept
    /// where there are any.
    fn unpack(&self, id: &SnapshotId, layer: &Committed, first: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut tar = first.chain(self.tar(layer)?);
        let _span = self.trace.span(Work::Unpack, layer.descriptor.digest.as_str());
        let implied = self.sandbox()?.unpack(id, &mut tar).map_err(|error| {
            let doing = format!("unpacking layer {}", layer.descriptor.digest);
            self.or_damaged(Error::sandbox(doing, error), layer)
        })?;
        std::io::copy(&mut tar, &mut std::io::sink()).map_err(|error| {
            let reading = format!("reading layer {}", layer.descriptor.digest);
            self.or_damaged(Error::new(Code::LayerUnsafe, reading).with_cause(error), layer)
        })?;
        self.note_tar(layer);
        if !implied.is_empty() {
            let noting = || format!("noting the directories of layer {}", layer.descriptor.digest);
            let bytes =
                postcard::to_allocvec(&implied).map_err(|error| Error::new(Code::Store, noting()).with_cause(error))?;
            self.store
                .put_note(IMPLIED, layer.diff_id.as_str().as_bytes(), &bytes)
                .map_err(|error| Error::store(noting(), error))?;
        }
        Ok(implied)
    }

    /// Returns the directories that `layer` is known not to describe.
    fn implied(&self, layer: &Committed) -> Result<Option<Vec<Vec<u8>>>, Error> {
        let note = self.store.note(IMPLIED, layer.diff_id.as_str().as_bytes());
        let note = note.map_err(|error| Error::store(format!("looking up layer {}", layer.diff_id), error))?;
        Ok(note.and_then(|bytes| postcard::from_bytes(&bytes).ok()))
    }

    /// Returns the snapshot of a layer whose directories `implied` are as they are in the layers below.
    fn completed(&self, layer: &Committed, implied: &[Vec<u8>], below: &[Arc<Layer>]) -> Result<SnapshotId, Error> {
        let tree = self.tree(below)?;
        // Whole blocks without the end of an archive: the layer's own entries follow.
        let mut first = Vec::new();
        let mut writer = Writer::new(&mut first);
        let written = implied.iter().try_for_each(|path| writer.bare(&directory(&tree, path)));
        written.map_err(|error| Error::new(Code::Store, "describing directories of a layer").with_cause(error))?;
        drop(writer);
        let name = blake3::Hasher::new().update(layer.diff_id.as_str().as_bytes()).update(&first).finalize();
        let id = SnapshotId::new(&name.to_hex()).expect("a hash is 64 hexadecimal digits");
        if !self.sandbox()?.has_snapshot(&id) && !self.unpack(&id, layer, &first)?.is_empty() {
            let doing = format!("unpacking layer {}", layer.descriptor.digest);
            return Err(Error::new(Code::Sandbox, doing));
        }
        Ok(id)
    }
}

/// Describes the directory `path` as the layers below know it.
fn directory(tree: &Tree, path: &[u8]) -> Entry {
    let known = tree.lookup(path).ok().flatten().filter(|node| node.kind == EntryKind::Directory);
    let Node { mode, uid, gid, mtime, .. } = known.unwrap_or_else(files::tree::implied_directory);
    Entry { path: path.to_vec(), kind: EntryKind::Directory, mode, uid, gid, mtime, xattrs: Vec::new() }
}
