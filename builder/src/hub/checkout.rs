//! The commit as hooks find it: its files, writable, with a `.git` that knows the commit and where it came from.

use crate::Error;
use crate::context::{Context, Directory};
use crate::error::Code;
use crate::git::{CommitTree, Mirror, Pointer, gitdir};
use files::path::join;
use files::tar::{Entry, EntryKind, Writer};
use files::view::{View, ViewError};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

/// The directory of the checkout in the container.
pub(crate) const DIRECTORY: &str = "/src";
/// The client of the build's own engine: see `builder/build.rs`.
const DOCKER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/docker"));
/// Where it is in the container: before all others in `PATH`.
const DOCKER_PATH: &str = "usr/local/bin/docker";

/// Sizes of the files that Git LFS keeps, by their paths.
type Pointed = HashMap<Vec<u8>, u64>;

/// Files that are written.
struct Files<'f> {
    view: &'f Context,
    pointed: &'f Pointed,
}

/// A commit to check out.
pub(crate) struct Commit<'c> {
    /// Where it is.
    pub mirror: &'c Mirror,
    /// The commit.
    pub tree: &'c CommitTree,
    /// Its files, with those of its submodules and of Git LFS as they are wanted.
    pub files: &'c Context,
    /// URL that it was fetched from.
    pub url: &'c str,
    /// Full name of the ref.
    pub git_ref: &'c str,
    /// Paths that it may have.
    pub max_paths: usize,
    /// The directory of the hooks, which are made executable.
    pub hooks: String,
}

impl Commit<'_> {
    /// Returns the files as a tar from the root of the container, with the `docker` of hooks.
    pub(crate) fn tar(&self) -> Result<File, Error> {
        let git = gitdir::create_for_ref(self.mirror, self.tree.id(), self.url, self.git_ref, self.max_paths)
            .map_err(Error::source)?;
        let git = Context::Directory(Directory::open(git.path(), None).map_err(Error::source)?);
        let pointed = self.pointed()?;
        let failed = |error: io::Error| {
            Error::new(Code::Sandbox, "writing the commit for its hooks".to_owned()).with_cause(error)
        };
        let mut writer = Writer::new(io::BufWriter::new(tempfile::tempfile().map_err(failed)?));
        self.write(&mut writer, &git, &pointed).map_err(failed)?;
        let mut file = writer.finish().and_then(|out| Ok(out.into_inner()?)).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        Ok(file)
    }

    /// Fetches the files that Git LFS keeps, and returns the size of each.
    fn pointed(&self) -> Result<Pointed, Error> {
        let (mut small, mut directories, mut left) = (Vec::new(), vec![Vec::new()], self.max_paths);
        while let Some(directory) = directories.pop() {
            for (name, node) in self.files.children(&directory).map_err(unreadable)? {
                left = left.saturating_sub(1);
                match node.kind {
                    // `add` says that there are too many.
                    _ if left == 0 => return Ok(Pointed::new()),
                    EntryKind::Directory => directories.push(join(&directory, &name)),
                    EntryKind::File { size } if Pointer::may_have(size) => small.push(join(&directory, &name)),
                    _ => {}
                }
            }
        }
        let sizes = self.files.fetch_pointed(&small).map_err(Error::source)?;
        Ok(small.into_iter().zip(sizes).filter_map(|(path, size)| Some((path, size?))).collect())
    }

    fn write<W: Write>(&self, writer: &mut Writer<W>, git: &Context, pointed: &Pointed) -> io::Result<()> {
        let root = DIRECTORY.trim_start_matches('/').as_bytes();
        let time = self.tree.commit_time();
        for name in [root, &b"usr"[..], b"usr/local", b"usr/local/bin"] {
            writer.bare(&made(name, EntryKind::Directory, 0o755, time))?;
        }
        let client = EntryKind::File { size: DOCKER.len() as u64 };
        writer.entry(&made(DOCKER_PATH.as_bytes(), client, 0o755, time), &mut &*DOCKER)?;
        let link = EntryKind::Symlink { target: b"docker".to_vec() };
        writer.bare(&made(format!("{DOCKER_PATH}-compose").as_bytes(), link, 0o777, time))?;
        let mut left = self.max_paths;
        let tree = Files { view: self.files, pointed };
        self.add(writer, &tree, (b"", root), &mut left)?;
        let at = join(root, b".git");
        writer.bare(&made(&at, EntryKind::Directory, 0o755, time))?;
        self.add(writer, &Files { view: git, pointed: &Pointed::new() }, (b"", &at), &mut left)
    }

    /// Adds what is in the directory `from` of a view, below `to`.
    fn add<W: Write>(
        &self,
        writer: &mut Writer<W>,
        files: &Files<'_>,
        from_to: (&[u8], &[u8]),
        left: &mut usize,
    ) -> io::Result<()> {
        let (from, to) = from_to;
        for (name, node) in files.view.children(from).map_err(other)? {
            // A repository that holds `.git` itself gets the one that is made.
            if from.is_empty() && name == b".git" {
                continue;
            }
            *left = left.checked_sub(1).ok_or_else(|| io::Error::other("it has more paths than `limits.paths`"))?;
            let (inside, path) = (join(from, &name), join(to, &name));
            let is_hook = from == self.hooks.as_bytes();
            let mode = if is_hook { node.mode | 0o111 } else { node.mode };
            let entry = made(&path, node.kind.clone(), mode, node.mtime);
            match node.kind {
                EntryKind::File { .. } => match files.pointed.get(&inside) {
                    Some(&size) => {
                        let entry = Entry { kind: EntryKind::File { size }, ..entry };
                        writer.entry(&entry, &mut files.view.open_whole(&inside).map_err(other)?)?;
                    }
                    None => writer.entry(&entry, &mut files.view.open(&inside).map_err(other)?)?,
                },
                EntryKind::Directory => {
                    writer.bare(&entry)?;
                    self.add(writer, files, (&inside, &path), left)?;
                }
                _ => writer.bare(&entry)?,
            }
        }
        Ok(())
    }
}

fn unreadable(error: ViewError) -> Error {
    Error::new(Code::Source, "reading the files of the commit").with_cause(error)
}

fn other(error: ViewError) -> io::Error {
    io::Error::other(error)
}

fn made(path: &[u8], kind: EntryKind, mode: u32, mtime: i64) -> Entry {
    Entry { path: path.to_vec(), kind, mode, uid: 0, gid: 0, mtime, xattrs: Vec::new() }
}
