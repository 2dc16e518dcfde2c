//! Which files a `COPY` takes: patterns, links, exclusions; and the key of their content.

use super::error::CopyError;
use super::request::CopyRequest;
use files::ignore::Ignore;
use files::path::{clean_path, join, split};
use files::pattern;
use files::tree::resolve_in;
use files::view::{EntryKind, Node, View};

/// Bytes that one source may have.
const MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;

/// Stands for what a pattern matched, until it is looked at.
const DIRECTORY: Node =
    Node { kind: EntryKind::Directory, mode: 0, uid: 0, gid: 0, mtime: 0, xattrs: Vec::new(), hard_link: None };

/// One source that was found.
#[derive(Debug, Clone)]
pub struct CopySource {
    /// The name at its destination: the last component as it was written.
    pub name: Vec<u8>,
    /// Its metadata.
    pub node: Node,
    /// Where it is in the view, links followed.
    pub path: Vec<u8>,
    /// With `--parents`: the directory that is left behind, which the destination stands for.
    pub base: Option<Node>,
    /// With `--parents`: the directories between destination and source.
    pub parents: Vec<(Vec<u8>, Node)>,
    /// The files in it, if it is a directory, parents first; paths are relative to it.
    pub items: Vec<Item>,
    /// With `--parents`: whether nothing was found, so that only the destination is made.
    pub excluded: bool,
}

impl CopySource {
    /// Returns what stands for a pattern that found nothing.
    fn nothing(node: Node) -> CopySource {
        let (name, path, parents, items) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        CopySource { name, node, path, base: None, parents, items, excluded: true }
    }

    /// Returns the bytes of all its files.
    pub fn bytes(&self) -> u64 {
        let nodes = self.items.iter().map(|item| &item.node).chain([&self.node]);
        nodes.filter(|_| !self.excluded).fold(0, |bytes, node| match node.kind {
            EntryKind::File { size } => bytes.saturating_add(size),
            _ => bytes,
        })
    }
}

/// A path below a source.
#[derive(Debug, Clone)]
pub struct Item {
    /// Relative to the source.
    pub path: Vec<u8>,
    /// Its metadata.
    pub node: Node,
}

/// Finds what `source`, a path or a pattern, takes from `view`.
pub fn select(view: &dyn View, source: &str, request: &CopyRequest) -> Result<Vec<CopySource>, CopyError> {
    let excludes = Ignore::new(&request.excludes)?;
    let mut selected = Vec::new();
    let matches = if request.parents { expand_parents(view, source)? } else { expand(view, source)? };
    for found in matches {
        if let Some(selection) = selection(view, &found, &excludes, request.now)? {
            selected.push(selection);
        }
    }
    if request.parents && selected.is_empty() {
        let root = node(view, b"", request.now)?;
        selected.extend(root.map(|root| CopySource { base: Some(root.clone()), ..CopySource::nothing(root) }));
    }
    // A sparse file is as large in a layer as it says it is; it is refused before anybody reads it.
    let bytes = selected.iter().fold(0u64, |bytes, selection| bytes.saturating_add(selection.bytes()));
    if bytes > MAX_BYTES {
        return Err(CopyError::TooLarge { name: source.to_owned(), bytes, limit: MAX_BYTES });
    }
    Ok(selected)
}

/// Returns the error that `source` is, if it is a path without wildcards and names nothing.
pub fn missing(view: &dyn View, source: &str, parents: bool) -> Option<CopyError> {
    if pattern::has_wildcard(source) {
        return None;
    }
    let found = if parents { expand_parents(view, source) } else { expand(view, source) }.ok()?;
    let path = &found.first()?.path;
    let resolved = if parents { unfollowed(view, path) } else { resolve(view, path) }.ok()?;
    let known = resolved.is_empty() || view.lookup(&resolved).ok()?.is_some();
    (!known).then(|| CopyError::NotFound(format!("/{}", String::from_utf8_lossy(path))))
}

/// A path that a source matched, as written, and with `--parents` how much of it is left behind.
struct Found {
    path: Vec<u8>,
    pivot: Option<usize>,
    literal: bool,
}

/// Returns what `source` matches; a path without wildcards matches itself.
fn expand(view: &dyn View, source: &str) -> Result<Vec<Found>, CopyError> {
    let path = clean_path(source.as_bytes());
    if !pattern::has_wildcard(source) {
        return Ok(vec![Found { path, pivot: None, literal: true }]);
    }
    let text = String::from_utf8_lossy(&path).into_owned();
    let parts: Vec<&str> = text.split('/').collect();
    let first = parts.iter().position(|part| pattern::has_wildcard(part)).unwrap_or(0);
    let start = parts[..first].join("/").into_bytes();
    // A wildcard may match nothing, but the directory that it is looked for in must exist.
    let directory = resolve(view, &start)?;
    if !directory.is_empty() && view.lookup(&directory)?.is_none() {
        return Err(CopyError::NoDirectory(format!("/{}", String::from_utf8_lossy(&start))));
    }
    let mut found = Vec::new();
    walk_matches(view, &start, &parts[first..], source, &mut found)?;
    Ok(found)
}

/// Descends along the components of a pattern; each is matched against the names in one directory.
fn walk_matches(
    view: &dyn View,
    at: &[u8],
    parts: &[&str],
    source: &str,
    found: &mut Vec<Found>,
) -> Result<(), CopyError> {
    let Some((part, rest)) = parts.split_first() else {
        view.take(at, &DIRECTORY)?;
        found.push(Found { path: at.to_vec(), pivot: None, literal: false });
        return Ok(());
    };
    let directory = resolve(view, at)?;
    for (name, _) in view.children(&directory)? {
        view.check()?;
        let text = String::from_utf8_lossy(&name);
        if pattern::matches(part, &text).map_err(|_| CopyError::BadPattern(source.to_owned()))? {
            walk_matches(view, &join(at, &name), rest, source, found)?;
        }
    }
    Ok(())
}

/// Expands a source of `COPY --parents`: the part after `/./` is kept, `**` crosses directories there.
fn expand_parents(view: &dyn View, source: &str) -> Result<Vec<Found>, CopyError> {
    let (base, rest) = source.split_once("/./").unwrap_or(("", source));
    let rest = clean_path(rest.as_bytes());
    let text = String::from_utf8_lossy(&rest).into_owned();
    let several = pattern::has_wildcard(base);
    let mut found = Vec::new();
    for base in expand(view, base)?.into_iter().map(|base| base.path) {
        let pivot = Some(if base.is_empty() { 0 } else { base.len() + 1 });
        if pattern::has_wildcard(&text) {
            let kept = below(view, &resolve(view, &base)?, &Ignore::new([&text])?)?;
            found.extend(kept.iter().map(|path| Found { path: join(&base, path), pivot, literal: false }));
        } else {
            found.push(Found { path: join(&base, &rest), pivot, literal: !several });
        }
    }
    Ok(found)
}

/// Returns the paths below `root` that a pattern matches, without what is in directories that it matches.
fn below(view: &dyn View, root: &[u8], matcher: &Ignore) -> Result<Vec<Vec<u8>>, CopyError> {
    let (mut found, mut waiting) = (Vec::new(), vec![Vec::new()]);
    while let Some(directory) = waiting.pop() {
        for (name, node) in view.children(&join(root, &directory))? {
            let path = join(&directory, &name);
            view.check()?;
            if matcher.ignores(&path) {
                view.take(&path, &node)?;
                found.push(path);
            } else if node.kind == EntryKind::Directory {
                waiting.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn selection(view: &dyn View, found: &Found, excludes: &Ignore, now: i64) -> Result<Option<CopySource>, CopyError> {
    // With --parents a source is something inside of the context, and links inside stay links.
    let path = if found.pivot.is_some() { unfollowed(view, &found.path)? } else { resolve(view, &found.path)? };
    let Some(node) = node(view, &path, now)? else {
        // A link that a wildcard matched leads nowhere: BuildKit refuses it, too, instead of leaving it out.
        return match found.literal || found.pivot.is_none() {
            true => Err(CopyError::NotFound(format!("/{}", String::from_utf8_lossy(&found.path)))),
            false => Ok(None),
        };
    };
    let name = split(&found.path).1.to_vec();
    // Patterns are relative to the source, which is never excluded itself, or to what the kept path of --parents begins at.
    let start = found.pivot.map_or(&b""[..], |pivot| &found.path[pivot.min(found.path.len())..]);
    let excluded = found.pivot.is_some() && excludes.ignores(start);
    if excluded && !(node.kind == EntryKind::Directory && excludes.has_exceptions()) {
        return Ok(None);
    }
    let (base, parents) = match found.pivot {
        Some(pivot) => {
            let base = resolve(view, &found.path[..pivot.saturating_sub(1)])?;
            (self::node(view, &base, now)?, parents(view, &found.path, pivot)?)
        }
        None => (None, Vec::new()),
    };
    let mut items = Vec::new();
    if node.kind == EntryKind::Directory {
        Collecting { view, root: &path, excludes, start }.collect(b"", &mut items)?;
    }
    if excluded && items.is_empty() {
        return Ok(None);
    }
    Ok(Some(CopySource { name, node, path, base, parents, items, excluded: false }))
}

/// Returns the directories of `path` after `pivot`, the last component left out.
fn parents(view: &dyn View, path: &[u8], pivot: usize) -> Result<Vec<(Vec<u8>, Node)>, CopyError> {
    let kept = &path[pivot.min(path.len())..];
    let mut parents = Vec::new();
    for end in (0..kept.len()).filter(|&at| kept[at] == b'/') {
        let resolved = resolve(view, &path[..pivot + end])?;
        if let Some(node) = view.lookup(&resolved)? {
            view.take(&resolved, &node)?;
            parents.push((kept[..end].to_vec(), node));
        }
    }
    Ok(parents)
}

/// A directory whose files are selected, without those that are excluded.
struct Collecting<'c> {
    view: &'c dyn View,
    /// The directory, links followed.
    root: &'c [u8],
    excludes: &'c Ignore,
    /// The prefix that the patterns see before a path in the directory.
    start: &'c [u8],
}

impl Collecting<'_> {
    /// Adds what is in the directory `at` below the root, parents first; tells whether there was anything.
    fn collect(&self, at: &[u8], items: &mut Vec<Item>) -> Result<bool, CopyError> {
        let mut any = false;
        for (name, node) in self.view.children(&join(self.root, at))? {
            self.view.check()?;
            let path = join(at, &name);
            let excluded = self.excludes.ignores(&join(self.start, &path));
            let directory = node.kind == EntryKind::Directory;
            if excluded && !(directory && self.excludes.has_exceptions()) {
                continue;
            }
            let position = items.len();
            self.view.take(&path, &node)?;
            items.push(Item { path: path.clone(), node });
            let inside = directory && self.collect(&path, items)?;
            if excluded && !inside {
                items.truncate(position);
                continue;
            }
            any = true;
        }
        Ok(any)
    }
}

/// Returns what `path` is. The root of a view has the time of the build: nobody keeps that of a context's or a stage's.
fn node(view: &dyn View, path: &[u8], now: i64) -> Result<Option<Node>, CopyError> {
    let known = view.lookup(path)?;
    if !path.is_empty() {
        return Ok(known);
    }
    let (kind, mtime) = (EntryKind::Directory, now);
    let unknown = Node { kind, mode: 0o755, uid: 0, gid: 0, mtime, xattrs: Vec::new(), hard_link: None };
    Ok(Some(Node { mtime, ..known.unwrap_or(unknown) }))
}

fn resolve(view: &dyn View, path: &[u8]) -> Result<Vec<u8>, CopyError> {
    Ok(resolve_in(path, |path| view.lookup(path).ok().flatten())?)
}

/// Follows the links that lead to `path`, but not the one that it may be itself.
fn unfollowed(view: &dyn View, path: &[u8]) -> Result<Vec<u8>, CopyError> {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => Ok(join(&resolve(view, &path[..slash])?, &path[slash + 1..])),
        None => Ok(path.to_vec()),
    }
}
