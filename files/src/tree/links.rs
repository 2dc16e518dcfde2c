//! Symbolic links, followed step by step within a view: a path cannot escape.

use crate::path::{clean_path, join};
use crate::view::{EntryKind, Node};
use std::collections::VecDeque;

/// Links that are followed before a path is taken to lead nowhere.
const MAX_LINKS: usize = 255;

/// A path cannot be followed: its links lead in a circle.
#[derive(Debug, thiserror::Error)]
#[error("`{0}`: too many levels of symbolic links")]
pub struct LinkLoop(pub String);

/// Follows all links of `path` in whatever `lookup` shows, never above its root.
pub fn resolve_in(path: &[u8], lookup: impl Fn(&[u8]) -> Option<Node>) -> Result<Vec<u8>, LinkLoop> {
    let mut waiting: VecDeque<Vec<u8>> = path.split(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
    let mut at: Vec<u8> = Vec::new();
    let mut links = 0;
    while let Some(name) = waiting.pop_front() {
        match name.as_slice() {
            b"" | b"." => continue,
            b".." => {
                at.truncate(at.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let next = join(&at, &name);
        let Some(Node { kind: EntryKind::Symlink { target }, .. }) = lookup(&next) else {
            at = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(LinkLoop(String::from_utf8_lossy(path).into_owned()));
        }
        if target.first() == Some(&b'/') {
            at.clear();
        }
        for part in target.split(|&byte| byte == b'/').rev() {
            waiting.push_front(part.to_vec());
        }
    }
    Ok(clean_path(&at))
}
