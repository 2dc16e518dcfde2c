//! Files that a commit only points to: fetched when a layer takes them.

use crate::Error;
use crate::context::NamedContext;
use crate::copy::CopySource;
use crate::git::Pointer;
use files::path::join;
use files::view::{EntryKind, Node};

/// Fetches what selections of a context take of such files, and gives the files their real sizes.
pub(crate) fn fetch<'s>(
    named: &NamedContext,
    selections: impl Iterator<Item = &'s mut CopySource>,
) -> Result<(), Error> {
    let (mut paths, mut nodes) = (Vec::new(), Vec::new());
    let mut note = |path: Vec<u8>, node: &'s mut Node| {
        if matches!(node.kind, EntryKind::File { size } if Pointer::may_have(size)) {
            paths.push(path);
            nodes.push(node);
        }
    };
    for selection in selections.filter(|selection| !selection.excluded) {
        for item in &mut selection.items {
            note(join(&selection.path, &item.path), &mut item.node);
        }
        note(selection.path.clone(), &mut selection.node);
    }
    let sizes = named.context.fetch_pointed(&paths).map_err(Error::source)?;
    for (node, size) in nodes.into_iter().zip(sizes) {
        if let Some(size) = size {
            node.kind = EntryKind::File { size };
        }
    }
    Ok(())
}
