//! Submodules that were not fetched: a step must not take their directories for empty ones.

use crate::Error;
use crate::context::NamedContext;
use crate::copy::{CopySource, Item};
use crate::error::Code;
use files::path::{clean_path, join};
use files::view::EntryKind;

/// Refuses a selection that takes the directory of a submodule which was not fetched.
pub(crate) fn check(named: &NamedContext, selections: &[CopySource]) -> Result<(), Error> {
    for selection in selections.iter().filter(|selection| !selection.excluded) {
        if selection.node.kind == EntryKind::Directory && selection.items.is_empty() {
            refuse(named, &selection.path)?;
        }
        let nexts = selection.items.iter().skip(1).map(Some).chain([None]);
        for (item, next) in selection.items.iter().zip(nexts) {
            // Entries below a directory follow it: the directory of a submodule has none.
            let below =
                |next: &Item| next.path.strip_prefix(item.path.as_slice()).is_some_and(|rest| rest.starts_with(b"/"));
            let is_empty = !next.is_some_and(below);
            if item.node.kind == EntryKind::Directory && is_empty {
                refuse(named, &join(&selection.path, &item.path))?;
            }
        }
    }
    Ok(())
}

/// Returns the error of a path that is missing because it is in a submodule, if it is.
pub(crate) fn missing(named: &NamedContext, path: &str) -> Option<Error> {
    let path = clean_path(path.as_bytes());
    let mut ends = (0..path.len()).filter(|&at| path[at] == b'/').chain([path.len()]);
    ends.find_map(|end| refuse(named, &path[..end]).err())
}

fn refuse(named: &NamedContext, path: &[u8]) -> Result<(), Error> {
    let Some(commit) = named.context.unfetched_submodule(path) else { return Ok(()) };
    let path = dockerfile::printable(&String::from_utf8_lossy(path));
    let text = format!(
        "`{path}` is a submodule (commit {commit}) whose files are not fetched: take other directories, exclude it in \
         .dockerignore, or add its repository with ADD"
    );
    Err(Error::new(Code::SubmoduleNotFetched, text))
}
