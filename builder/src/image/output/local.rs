//! The files of an image in a directory, with modes and times; they belong to whoever writes them.

use super::rootfs::{self, Sink};
use super::source::Source;
use files::tar::{Entry, EntryKind};
use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Devices that are named when they are left out.
const MAX_NAMED: usize = 5;

/// Writes the files of an image below `path`; those of several platforms into a directory for each. Returns what is to be
/// said of it.
pub(crate) fn write(source: &Source<'_>, path: &Path) -> io::Result<Option<String>> {
    fs::create_dir_all(path)?;
    let mut devices = Vec::new();
    let parts = source.image.parts();
    for image in &parts {
        let root = if parts.len() > 1 { path.join(image.platform_directory()) } else { path.to_owned() };
        fs::create_dir_all(&root)?;
        let mut sink = Local { root, directories: Vec::new(), devices: Vec::new() };
        rootfs::each(source.resources, &image.layers, &mut sink)?;
        devices.extend(sink.finish()?);
    }
    let named: Vec<_> = devices.iter().take(MAX_NAMED).map(|path| format!("`{path}`")).collect();
    let more = if devices.len() > MAX_NAMED { ", …" } else { "" };
    Ok((!devices.is_empty()).then(|| {
        let count = devices.len();
        format!(
            "{count} device{} of the image {} left out of `{}`: {}{more}; a tar (type=tar) holds them",
            if count == 1 { "" } else { "s" },
            if count == 1 { "is" } else { "are" },
            path.display(),
            named.join(", "),
        )
    }))
}

struct Local {
    root: PathBuf,
    /// Modes and times that directories get when nothing more is put into them.
    directories: Vec<(PathBuf, u32, SystemTime)>,
    /// Devices are left out: whoever may write to one reaches this machine's hardware.
    devices: Vec<String>,
}

impl Sink for Local {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        let path = self.path(&entry.path);
        match &entry.kind {
            EntryKind::Directory => return self.directory(path, entry),
            EntryKind::Character { .. } | EntryKind::Block { .. } => {
                self.devices.push(String::from_utf8_lossy(&entry.path).into_owned());
                return Ok(());
            }
            _ => remove(&path)?,
        }
        match &entry.kind {
            EntryKind::Symlink { target } => std::os::unix::fs::symlink(OsStr::from_bytes(target), &path),
            EntryKind::Fifo => pipe(&path, entry),
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

    fn finish(self) -> io::Result<Vec<String>> {
        for (path, mode, mtime) in self.directories.iter().rev() {
            File::open(path)?.set_modified(*mtime)?;
            fs::set_permissions(path, Permissions::from_mode(*mode))?;
        }
        Ok(self.devices)
    }
}

fn file(path: &Path, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    io::copy(content, &mut file)?;
    file.set_permissions(Permissions::from_mode(entry.mode))?;
    file.set_modified(time(entry.mtime))
}

fn pipe(path: &Path, entry: &Entry) -> io::Result<()> {
    let mode = Mode::from_raw_mode(entry.mode);
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())?;
    let time = Timespec { tv_sec: entry.mtime, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
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
