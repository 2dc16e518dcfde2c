//! The files of an image in a directory, with modes and times; they belong to whoever writes them.

use super::Source;
use super::rootfs::{self, Sink};
use runtime::tar::{Entry, EntryKind};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Writes the files of an image below `path`; those of several platforms into a directory for each.
pub fn write(source: &Source<'_>, path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let parts = source.image.parts();
    for image in &parts {
        let root = if parts.len() > 1 { path.join(image.platform_directory()) } else { path.to_owned() };
        fs::create_dir_all(&root)?;
        let mut sink = Local { root, directories: Vec::new(), skipped: 0 };
        rootfs::each(source.materials, &image.layers, &mut sink)?;
        sink.finish()?;
    }
    Ok(())
}

struct Local {
    root: PathBuf,
    /// Modes and times that directories get when nothing more is put into them.
    directories: Vec<(PathBuf, u32, SystemTime)>,
    skipped: usize,
}

impl Sink for Local {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let path = self.path(&entry.path);
        match &entry.kind {
            EntryKind::Directory => return self.directory(path, entry),
            EntryKind::Character { .. } | EntryKind::Block { .. } | EntryKind::Fifo => {
                self.skipped += 1;
                return Ok(());
            }
            _ => remove(&path)?,
        }
        match &entry.kind {
            EntryKind::Symlink { target } => std::os::unix::fs::symlink(OsStr::from_bytes(target), &path),
            EntryKind::HardLink { target } => fs::hard_link(self.path(target), &path),
            _ => file(&path, entry, content),
        }
    }
}

impl Local {
    /// Parents of a path were made here, as directories, before anything was put into them.
    fn path(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    fn directory(&mut self, path: PathBuf, entry: &Entry) -> io::Result<()> {
        if !fs::symlink_metadata(&path).is_ok_and(|known| known.is_dir()) {
            remove(&path)?;
            DirBuilder::new().mode(0o700).create(&path)?;
        }
        self.directories.push((path, entry.mode, time(entry.mtime)));
        Ok(())
    }

    fn finish(self) -> io::Result<()> {
        for (path, mode, mtime) in self.directories.iter().rev() {
            File::open(path)?.set_modified(*mtime)?;
            fs::set_permissions(path, Permissions::from_mode(*mode))?;
        }
        if self.skipped > 0 {
            tracing::warn!(count = self.skipped, "devices and pipes of the image were left out");
        }
        Ok(())
    }
}

fn file(path: &Path, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(entry.mode))?;
    file.set_modified(time(entry.mtime))
}

/// Removes what is in the way, but no directory with files.
fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(known) if known.is_dir() => fs::remove_dir(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn time(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}
