//! Files of a container in a directory of this machine: no entry leads out of it, whatever the tar says.

use files::path::{clean_path, split};
use files::tar::{Entry, EntryKind, Reader};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Extraction<'d> {
    root: &'d Path,
    /// Directories that are known to be none of anybody's links.
    directories: HashSet<Vec<u8>>,
    /// Modes and times that directories get when nothing more is put into them.
    pending: Vec<(PathBuf, u32, SystemTime)>,
    keeps_owners: bool,
}

/// Unpacks `tar` into the directory `root`, its first name replaced by `name`; returns the bytes of its files.
pub fn extract(tar: impl Read, root: &Path, name: &str, keeps_owners: bool) -> io::Result<u64> {
    let mut reader = Reader::new(tar);
    let directories = HashSet::from([Vec::new()]);
    let mut extraction = Extraction { root, directories, pending: Vec::new(), keeps_owners };
    let mut bytes = 0;
    while let Some(mut entry) = reader.next_entry().map_err(io::Error::other)? {
        entry.path = renamed(&entry.path, name);
        if let EntryKind::HardLink { target } = &mut entry.kind {
            *target = renamed(target, name);
        }
        bytes += entry.size();
        let shown = String::from_utf8_lossy(&entry.path).into_owned();
        let made = extraction.entry(&entry, &mut reader);
        made.map_err(|error| io::Error::new(error.kind(), format!("{shown}: {error}")))?;
    }
    extraction.finish()?;
    Ok(bytes)
}

/// Replaces the first name of a path; `.` keeps it.
fn renamed(path: &[u8], name: &str) -> Vec<u8> {
    let path = clean_path(path);
    match (name, path.iter().position(|byte| *byte == b'/')) {
        (".", _) => path,
        (_, Some(end)) => [name.as_bytes(), &path[end..]].concat(),
        (_, None) => name.as_bytes().to_vec(),
    }
}

impl Extraction<'_> {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        if entry.path.is_empty() {
            return Ok(());
        }
        let path = self.place(&entry.path)?;
        let known = fs::symlink_metadata(&path).ok();
        let is_directory = known.as_ref().map(fs::Metadata::is_dir);
        match (&entry.kind, is_directory) {
            (EntryKind::Directory, Some(false)) => {
                return Err(io::Error::other("cannot overwrite non-directory with directory"));
            }
            (EntryKind::Directory, None) => DirBuilder::new().mode(0o700).create(&path)?,
            (EntryKind::Directory, Some(true)) => {}
            (_, Some(true)) => return Err(io::Error::other("cannot overwrite directory with non-directory")),
            (_, Some(false)) => fs::remove_file(&path)?,
            (_, None) => {}
        }
        match &entry.kind {
            EntryKind::Directory => {
                self.directories.insert(entry.path.clone());
                self.pending.push((path.clone(), entry.mode, time(entry.mtime)));
            }
            EntryKind::File { .. } => {
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                io::copy(content, &mut file)?;
                file.set_permissions(Permissions::from_mode(entry.mode & 0o777))?;
                file.set_modified(time(entry.mtime))?;
            }
            EntryKind::Symlink { target } => std::os::unix::fs::symlink(OsStr::from_bytes(target), &path)?,
            EntryKind::HardLink { target } => fs::hard_link(self.place(target)?, &path)?,
            // Pipes, sockets and devices mean nothing outside their container.
            _ => return Ok(()),
        }
        if self.keeps_owners && !matches!(entry.kind, EntryKind::HardLink { .. }) {
            lchown(&path, Some(entry.uid), Some(entry.gid))?;
        }
        Ok(())
    }

    /// Returns where a path is; its directory was made or looked at before.
    fn place(&self, path: &[u8]) -> io::Result<PathBuf> {
        let (above, _) = split(path);
        match self.directories.contains(above) {
            true => Ok(self.root.join(OsStr::from_bytes(path))),
            false => Err(io::Error::other("it lies in something that is not a directory of the same tar")),
        }
    }

    fn finish(self) -> io::Result<()> {
        for (path, mode, mtime) in self.pending.iter().rev() {
            File::open(path)?.set_modified(*mtime)?;
            fs::set_permissions(path, Permissions::from_mode(*mode & 0o777))?;
        }
        Ok(())
    }
}

fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

#[cfg(test)]
mod tests {
    use super::*;
    use files::tar::Writer;

    fn tar(entries: &[(&str, EntryKind)]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        for (path, kind) in entries {
            let entry = Entry {
                path: path.as_bytes().to_vec(),
                kind: kind.clone(),
                mode: 0o755,
                uid: 0,
                gid: 0,
                mtime: 1,
                xattrs: Vec::new(),
            };
            writer.entry(&entry, &mut &b"x"[..]).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn nothing_is_written_outside_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let link = |target: &str| EntryKind::Symlink { target: target.as_bytes().to_vec() };
        let file = || EntryKind::File { size: 1 };
        for entries in [
            vec![("a", link("..")), ("a/x", file())],
            vec![("b", EntryKind::Directory), ("b/c", link("/tmp")), ("b/c/x", file())],
            vec![("no/x", file())],
            vec![("d", EntryKind::HardLink { target: b"../../etc/passwd".to_vec() })],
        ] {
            assert!(extract(tar(&entries).as_slice(), &root, ".", false).is_err(), "{entries:?}");
        }
        extract(tar(&[("../../e", file())]).as_slice(), &root, "f", false).unwrap();
        assert!(root.join("f").is_file() && !directory.path().join("x").exists());
        extract(tar(&[("top", EntryKind::Directory), ("top/x", file())]).as_slice(), &root, "new", false).unwrap();
        assert_eq!(fs::read(root.join("new/x")).unwrap(), b"x");
    }
}
