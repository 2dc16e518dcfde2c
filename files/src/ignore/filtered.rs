//! A view without the files that an ignore file hides.

use super::file::Ignore;
use crate::path::join;
use crate::view::{ContentId, EntryKind, Node, View, ViewError};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Matches of patterns with directories that are remembered, a byte each.
const MAX_REMEMBERED: usize = 64 * 1024 * 1024;

/// A view without the files that an ignore file hides; a hidden directory is seen if something in it is.
pub struct Filtered<'v> {
    view: &'v dyn View,
    ignore: &'v Ignore,
    directories: Mutex<HashMap<Vec<u8>, Arc<Vec<bool>>>>,
    /// Directories in which nothing is seen, so that they are searched once.
    hidden: Mutex<HashSet<Vec<u8>>>,
}

impl<'v> Filtered<'v> {
    /// Hides what `ignore` says of `view`.
    pub fn new(view: &'v dyn View, ignore: &'v Ignore) -> Self {
        Filtered { view, ignore, directories: Mutex::default(), hidden: Mutex::default() }
    }

    fn shows(&self, path: &[u8], node: &Node) -> Result<bool, ViewError> {
        if path.is_empty() || self.ignore.is_empty() {
            return Ok(true);
        }
        // With thousands of patterns one path takes as long as a thousand others.
        self.view.check()?;
        if !self.ignores(path) {
            return Ok(true);
        }
        if node.kind != EntryKind::Directory || !self.ignore.has_exceptions() {
            return Ok(false);
        }
        if self.hidden.lock().unwrap_or_else(PoisonError::into_inner).contains(path) {
            return Ok(false);
        }
        for (name, child) in self.view.children(path)? {
            if self.shows(&join(path, &name), &child)? {
                return Ok(true);
            }
        }
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_vec());
        Ok(false)
    }

    /// Asks for a path whose parents' matches are remembered.
    fn ignores(&self, path: &[u8]) -> bool {
        let mut matched = match path.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => (*self.directory(&path[..slash])).clone(),
            None => vec![false; self.ignore.len()],
        };
        self.ignore.add_matches(path, &mut matched);
        self.ignore.decide(&matched)
    }

    fn directory(&self, path: &[u8]) -> Arc<Vec<bool>> {
        let mut known = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() * self.ignore.len().max(1) > MAX_REMEMBERED {
            known.clear();
        }
        known.entry(path.to_vec()).or_insert_with(|| Arc::new(self.ignore.matched(path))).clone()
    }
}

impl View for Filtered<'_> {
    fn lookup(&self, path: &[u8]) -> Result<Option<Node>, ViewError> {
        match self.view.lookup(path)? {
            Some(node) if self.shows(path, &node)? => Ok(Some(node)),
            _ => Ok(None),
        }
    }

    fn children(&self, path: &[u8]) -> Result<Vec<(Vec<u8>, Node)>, ViewError> {
        let mut shown = Vec::new();
        for (name, node) in self.view.children(path)? {
            if self.shows(&join(path, &name), &node)? {
                shown.push((name, node));
            }
        }
        Ok(shown)
    }

    fn content(&self, path: &[u8]) -> Result<ContentId, ViewError> {
        self.view.content(path)
    }

    fn check(&self) -> Result<(), ViewError> {
        self.view.check()
    }

    fn take(&self, path: &[u8], node: &Node) -> Result<(), ViewError> {
        self.view.take(path, node)
    }
}
