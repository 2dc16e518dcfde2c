//! The files of a commit that Git LFS keeps: fetched when they are taken, and read in place of their pointers.

use super::commit::CommitTree;
use super::error::SourceError;
use super::fetch_request::FetchSettings;
use super::lfs::{Pointer, refuse_pointer};
use super::lfs_server::{LfsAccess, LfsServer, configured_url};
use super::ssh::SshAddress;
use files::view::ViewError;
use std::io::Read;
use std::sync::Arc;

/// Bytes of an `.lfsconfig` that are read.
const MAX_CONFIG: u64 = 64 * 1024;

/// The files that are wanted of a server, each with its path.
type Wanted<'s> = (&'s Arc<LfsServer>, Vec<(String, Pointer)>);

/// A file of a tree: the path by which it is known, and the one in the tree.
pub(crate) struct Place<'t> {
    /// The path in messages.
    pub shown: String,
    /// The tree.
    pub tree: &'t CommitTree,
    /// The path in it.
    pub path: Vec<u8>,
}

impl CommitTree {
    /// Returns the tree with the files that Git LFS keeps: those of the repository at `url`, which is fetched by `settings`.
    pub fn with_lfs(mut self, access: &LfsAccess, url: &str, settings: &FetchSettings) -> Self {
        let mut text = String::new();
        let read = self.open_file(b".lfsconfig").map(|file| file.take(MAX_CONFIG).read_to_string(&mut text));
        let configured = read.ok().and_then(|_| configured_url(&text));
        let url = match SshAddress::parse(url) {
            Some(Ok(address)) => format!("https://{}/{}", address.host, address.path.trim_start_matches('/')),
            _ => url.to_owned(),
        };
        let server = LfsServer { access: access.clone(), url, settings: settings.clone(), configured };
        self.lfs = Some(Arc::new(server));
        self
    }

    /// Returns the content of the file `path`; of one that Git LFS keeps the real one, or the pointer where that is not here.
    pub(crate) fn open_whole(&self, path: &[u8]) -> Result<Result<Box<dyn Read + Send>, Pointer>, ViewError> {
        let content = refuse_pointer(self.open_file(path)?).map_err(|error| self.error(path, error))?;
        Ok(content.or_else(|pointer| match &self.lfs {
            Some(server) => match server.access.store.open(&pointer.object) {
                Ok(file) => Ok(Box::new(file) as Box<dyn Read + Send>),
                Err(_) => Err(pointer),
            },
            None => Err(pointer),
        }))
    }
}

/// Fetches what `files` only point to, and returns the size of each that does.
pub(crate) fn fetch(files: &[Place<'_>]) -> Result<Vec<Option<u64>>, SourceError> {
    let mut sizes = Vec::with_capacity(files.len());
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for Place { shown, tree, path } in files {
        let pointer = tree.lfs.as_ref().and_then(|server| Some((server, pointer(tree, path)?)));
        sizes.push(pointer.as_ref().map(|(_, pointer)| pointer.size));
        let Some((server, pointer)) = pointer else { continue };
        match wanted.iter_mut().find(|(known, _)| Arc::ptr_eq(known, server)) {
            Some((_, files)) => files.push((shown.clone(), pointer)),
            None => wanted.push((server, vec![(shown.clone(), pointer)])),
        }
    }
    wanted.iter().try_for_each(|(server, files)| server.fetch(files))?;
    Ok(sizes)
}

/// Returns the pointer that a file is; what cannot be read fails where it is taken.
fn pointer(tree: &CommitTree, path: &[u8]) -> Option<Pointer> {
    refuse_pointer(tree.open_file(path).ok()?).ok()?.err()
}
