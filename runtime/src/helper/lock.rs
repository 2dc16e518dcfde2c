//! Directories of caches, locked for a step as their sharing says.

use crate::{Mount, MountKind, Sharing};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

/// Copies of a cache directory that is used privately, at most.
const MAX_COPIES: u32 = 1000;

/// The caches of a step: their directories, and the locks that are held while it runs.
pub(crate) struct Locks(BTreeMap<String, (String, File)>);

impl Locks {
    /// Locks the exclusive caches of `mounts`, in the same order for all steps, so that none wait for each other.
    pub(crate) fn of(mounts: &[Mount]) -> io::Result<Locks> {
        let mut wanted: BTreeMap<&str, Sharing> = BTreeMap::new();
        for mount in mounts {
            if let MountKind::Cache { id, sharing, .. } = &mount.kind {
                let strictest = wanted.entry(id).or_insert(*sharing);
                if *strictest == Sharing::Shared {
                    *strictest = *sharing;
                }
            }
        }
        let mut held = BTreeMap::new();
        for (id, sharing) in wanted {
            held.insert(id.to_owned(), lock(id, sharing)?);
        }
        Ok(Locks(held))
    }

    /// Returns the directory of a cache that a mount of the step names.
    pub(crate) fn directory(&self, id: &str) -> io::Result<String> {
        self.0.get(id).map(|(directory, _)| directory.clone()).ok_or_else(|| io::Error::other("a cache is not locked"))
    }
}

fn lock(id: &str, sharing: Sharing) -> io::Result<(String, File)> {
    if id.len() < 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(io::Error::other("a cache is named by hexadecimal digits"));
    }
    for copy in 0..MAX_COPIES {
        let directory = if copy == 0 { format!("c/{id}") } else { format!("c/{id}.{copy}") };
        let lock = File::create(format!("{directory}.lock"))?;
        match sharing {
            Sharing::Shared => lock.lock_shared()?,
            Sharing::Locked => lock.lock()?,
            Sharing::Private if lock.try_lock().is_ok() => {}
            Sharing::Private => continue,
        }
        return Ok((directory, lock));
    }
    Err(io::Error::other("too many steps use the cache at once"))
}
