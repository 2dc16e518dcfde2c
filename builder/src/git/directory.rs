//! A local directory as a view, with the content ids that git would give its files.

use super::error::SourceError;
use files::tree::resolve_in;
use files::view::{ContentId, EntryKind, Node, View, ViewError};
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// A file that changed so recently may change again without its times telling.
const RACY_NS: i128 = 50_000_000;

/// Number of the next temporary file of this process.
static NEXT_FILE: AtomicU64 = AtomicU64::new(0);

/// A directory of this machine; owners are reset to 0, as docker does for contexts.
pub struct Directory {
    root: PathBuf,
    known: Mutex<Known>,
}

/// Content ids of files that did not change since they were hashed.
#[derive(Default)]
struct Known {
    ids: HashMap<Stat, [u8; 20]>,
    file: Option<PathBuf>,
    dirty: bool,
}

/// The identity of a file's content: it changes when the file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Stat {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

impl Directory {
    /// Opens `root`; content ids are remembered in a file in `cache`.
    pub fn open(root: &Path, cache: Option<&Path>) -> Result<Self, SourceError> {
        let failed = |cause| SourceError::Directory { path: root.display().to_string(), cause };
        let canonical = fs::canonicalize(root).map_err(failed)?;
        if !canonical.is_dir() {
            return Err(failed(io::Error::from(io::ErrorKind::NotADirectory)));
        }
        let file = cache.map(|cache| cache.join(blake3::hash(canonical.as_os_str().as_bytes()).to_hex().as_str()));
        let stored = file.as_ref().and_then(|file| fs::read(file).ok());
        let ids =
            stored.and_then(|bytes| postcard::from_bytes::<Vec<(Stat, [u8; 20])>>(&bytes).ok()).unwrap_or_default();
        let known = Known { ids: ids.into_iter().collect(), file, dirty: false };
        Ok(Directory { root: canonical, known: Mutex::new(known) })
    }

    /// Returns the content of the file `path`, whose parents are no links.
    pub fn open_file(&self, path: &[u8]) -> Result<Box<dyn Read + Send>, ViewError> {
        let full = self.full(path);
        let opened = regular(&full).and_then(|_| File::open(&full));
        Ok(Box::new(opened.map_err(|error| self.error(path, error))?))
    }

    fn full(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    fn error(&self, path: &[u8], cause: io::Error) -> ViewError {
        let (what, path) = (format!("directory `{}`", self.root.display()), String::from_utf8_lossy(path).into_owned());
        ViewError { what, path, cause: cause.into() }
    }

    fn node(&self, path: &[u8], known: &Metadata) -> io::Result<Node> {
        let kind = known.file_type();
        let (major, minor) = device(known.rdev());
        let kind = if kind.is_dir() {
            EntryKind::Directory
        } else if kind.is_symlink() {
            EntryKind::Symlink { target: fs::read_link(self.full(path))?.into_os_string().into_vec() }
        } else if kind.is_fifo() {
            EntryKind::Fifo
        } else if kind.is_socket() {
            EntryKind::Socket
        } else if kind.is_char_device() {
            EntryKind::Character { major, minor }
        } else if kind.is_block_device() {
            EntryKind::Block { major, minor }
        } else {
            EntryKind::File { size: known.len() }
        };
        let shared = matches!(kind, EntryKind::File { .. }) && known.nlink() > 1;
        let mode = if matches!(kind, EntryKind::Symlink { .. }) { 0o777 } else { known.mode() & 0o7777 };
        let hard_link = shared.then(|| known.ino());
        // No extended attributes: layers hold none but capabilities, and those BuildKit loses on the way from a
        // directory, because it sets them before the owner (moby/buildkit#2250). Archives and stages keep them.
        Ok(Node { kind, mode, uid: 0, gid: 0, mtime: known.mtime(), xattrs: Vec::new(), hard_link })
    }
}

impl View for Directory {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        // A link among the parents would lead out of what was asked for.
        for end in (0..path.len()).filter(|&at| path[at] == b'/') {
            match fs::symlink_metadata(self.full(&path[..end])) {
                Ok(known) if known.is_dir() => {}
                _ => return Ok(None),
            }
        }
        match fs::symlink_metadata(self.full(path)) {
            Ok(known) => self.node(path, &known).map(Some).map_err(|error| self.error(path, error)),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
            Err(error) => Err(self.error(path, error)),
        }
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let full = self.full(path);
        if !fs::symlink_metadata(&full).is_ok_and(|known| known.is_dir()) {
            return Ok(Vec::new());
        }
        let read = || -> io::Result<Vec<(Vec<u8>, Node)>> {
            let mut children = Vec::new();
            for entry in fs::read_dir(&full)? {
                let entry = entry?;
                let name = entry.file_name().into_vec();
                let node = self.node(&files::path::join(path, &name), &entry.metadata()?)?;
                children.push((name, node));
            }
            children.sort_by(|one, other| one.0.cmp(&other.0));
            Ok(children)
        };
        read().map_err(|error| self.error(path, error))
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        let hash = || -> io::Result<[u8; 20]> {
            let full = self.full(path);
            let stat = Stat::of(&regular(&full)?);
            if let Some(id) = self.known.lock().unwrap_or_else(PoisonError::into_inner).ids.get(&stat) {
                return Ok(*id);
            }
            let id = blob_id(&mut File::open(&full)?, stat.size)?;
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i128);
            if stat == Stat::of(&regular(&full)?) && now - stat.modified.max(stat.changed) > RACY_NS {
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.ids.insert(stat, id);
                known.dirty = true;
            }
            Ok(id)
        };
        hash().map(|id| ContentId(format!("git:{}", hex::encode(id)))).map_err(|error| self.error(path, error))
    }
}

impl Drop for Directory {
    /// Keeps the content ids for the next build; without them it only hashes again.
    fn drop(&mut self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(file), true) = (&known.file, known.dirty) {
            let pairs: Vec<_> = known.ids.iter().collect();
            let stored = postcard::to_allocvec(&pairs).map_err(io::Error::other).and_then(|bytes| {
                file.parent().map_or(Ok(()), fs::create_dir_all)?;
                // Several builds of one process may end at once.
                let number = NEXT_FILE.fetch_add(1, Ordering::Relaxed);
                let temporary = file.with_extension(format!("{}-{number}.tmp", std::process::id()));
                fs::write(&temporary, bytes)?;
                fs::rename(&temporary, file)
            });
            if let Err(error) = stored {
                tracing::debug!(%error, "content ids were not kept");
            }
        }
    }
}

impl Stat {
    fn of(known: &Metadata) -> Stat {
        let time = |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Stat {
            device: known.dev(),
            inode: known.ino(),
            size: known.len(),
            modified: time(known.mtime(), known.mtime_nsec()),
            changed: time(known.ctime(), known.ctime_nsec()),
        }
    }
}

/// Returns what is known of a regular file; anything else may block or be endless.
fn regular(path: &Path) -> io::Result<Metadata> {
    let known = fs::symlink_metadata(path)?;
    if known.is_file() {
        Ok(known)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Returns the id that git gives a blob of this content.
fn blob_id(content: &mut dyn Read, size: u64) -> io::Result<[u8; 20]> {
    let mut hash = Sha1::new_with_prefix(format!("blob {size}\0"));
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match content.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            got => hash.update(&buffer[..got]),
        }
    }
}

/// Splits a device number as Linux packs it.
fn device(number: u64) -> (u32, u32) {
    let major = ((number >> 8) & 0xfff) | ((number >> 32) & !0xfff);
    let minor = (number & 0xff) | ((number >> 12) & !0xff);
    (major as u32, minor as u32)
}

/// Follows all links of `path` within `view`; `None` if they lead in a circle.
pub(crate) fn followed(view: &dyn View, path: &[u8]) -> Option<Vec<u8>> {
    resolve_in(path, |path| view.lookup(path).ok().flatten()).ok()
}
