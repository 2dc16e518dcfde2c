//! Requests to copy, from instructions and from mounts.

use crate::Error;
use crate::copy::{CopyError, CopyRequest, Owner};
use crate::walk::WalkError;
use dockerfile::plan::Copy;

/// Returns what is to be copied; `owner` is the one that its `--chown` names, `now` the time of made files.
pub(crate) fn copy_request(copy: &Copy, owner: Option<Owner>, now: i64) -> Result<CopyRequest, Error> {
    CopyRequest::of(copy, owner, now).map_err(copy_error)
}

/// Returns the request for one path, whose wildcards are names: a mount shows one path.
pub(crate) fn mount_request(now: i64) -> CopyRequest {
    CopyRequest::to("/c", now)
}

/// Protects the characters of a path that have a meaning in patterns; a path without them is taken as it is.
pub(crate) fn escaped(path: &str) -> String {
    if !files::pattern::has_wildcard(path) {
        return path.to_owned();
    }
    path.chars()
        .flat_map(|char| ['\\', char].into_iter().skip(usize::from(!matches!(char, '*' | '?' | '[' | '\\'))))
        .collect()
}

/// Turns an error of planning into the build's.
pub(crate) fn copy_error(error: CopyError) -> Error {
    if error == CopyError::Walk(WalkError::Cancelled) {
        return Error::cancelled();
    }
    Error::new(error.code(), error.to_string())
}
