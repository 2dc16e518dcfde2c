//! Selections: the files of a context that `COPY` and mounts take, as part of a definition key.
//!
//! A directory of a commit says by its id whether it is the same: what was selected of it is remembered, so that a push
//! costs what it changed and not what the repository holds.

use super::copy_request::{copy_request, escaped, mount_request};
use crate::context::NamedContext;
use crate::copy::{self, CopyError, CopyRequest};
use crate::key::KeyBuilder;
use crate::walk::{Walk, WalkError, Walked};
use dockerfile::plan::{Copy, Source};
use files::ignore::Filtered;
use files::path::clean_path;
use files::pattern;
use files::tree::resolve_in;
use files::view::View;
use image_store::Store;

/// Kind of the notes on selections.
pub(crate) const SELECTIONS: &str = "selections";

/// Returns the key of the files of a context that `copy` takes.
pub(crate) fn of_copy(named: &NamedContext, copy: &Copy, store: &Store, walk: &Walk) -> Result<String, NoKey> {
    let request = copy_request(copy, None, 0).map_err(|_| NoKey::Unknown)?;
    let walked = Walked::new(&named.context, walk);
    let selecting = Selecting { named, view: Filtered::new(&walked, &named.ignore), store };
    let mut key = KeyBuilder::new("files.1");
    for source in &copy.sources {
        // The file at a URL is known only after its server was asked.
        let Source::Path(path) = source else { return Err(NoKey::Unknown) };
        selecting.add(&mut key, path, &request)?;
    }
    Ok(key.finish())
}

/// Returns the key of the files of a context that a mount of `path` shows.
pub(crate) fn of_mount(named: &NamedContext, path: &str, store: &Store, walk: &Walk) -> Result<String, NoKey> {
    let walked = Walked::new(&named.context, walk);
    let selecting = Selecting { named, view: Filtered::new(&walked, &named.ignore), store };
    let mut key = KeyBuilder::new("files.1");
    selecting.add(&mut key, &escaped(path), &mount_request(0))?;
    Ok(key.finish())
}

/// The reason why there is no key.
pub(crate) enum NoKey {
    /// Not known yet: executing the step finds out more.
    Unknown,
    /// A walk was ended: the step would end in the same way, and nobody should wait for that twice.
    Ended(WalkError),
}

impl From<CopyError> for NoKey {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Walk(ended) => NoKey::Ended(ended),
            _ => NoKey::Unknown,
        }
    }
}

/// Selects files of a context.
struct Selecting<'s> {
    named: &'s NamedContext,
    view: Filtered<'s>,
    store: &'s Store,
}

impl Selecting<'_> {
    fn add(&self, key: &mut KeyBuilder, path: &str, request: &CopyRequest) -> Result<(), CopyError> {
        let name = self.directory(path, request);
        let known = name.as_ref().and_then(|name| self.store.note(SELECTIONS, name.as_bytes()).ok().flatten());
        if let Some(known) = known.and_then(|bytes| String::from_utf8(bytes).ok()) {
            key.text("1").text(&known);
            return Ok(());
        }
        let selections = copy::select(&self.view, path, request)?;
        let keys = selections.iter().map(|selection| copy::selection_key(&self.view, selection));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        key.text(&keys.len().to_string());
        for known in &keys {
            key.text(known);
        }
        if let (Some(name), [only]) = (name, keys.as_slice()) {
            // Without the note it is only found out again.
            let _ = self.store.put_note(SELECTIONS, name.as_bytes(), only.as_bytes());
        }
        Ok(())
    }

    /// Names the selection of one directory of a commit by all that decides it; `None` where anything else is taken.
    fn directory(&self, path: &str, request: &CopyRequest) -> Option<String> {
        if pattern::has_wildcard(path) || request.parents {
            return None;
        }
        let clean = clean_path(path.as_bytes());
        let resolved = resolve_in(&clean, |path| self.view.lookup(path).ok().flatten()).ok()?;
        let id = self.named.context.tree_id(&resolved)?;
        let mut key = KeyBuilder::new("directory.2");
        key.text(&id).field(&clean).field(&resolved).list(&request.excludes);
        Some(key.list(self.named.ignore.patterns().collect::<Vec<_>>()).finish())
    }
}
