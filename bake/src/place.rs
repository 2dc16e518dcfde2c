//! Places of contexts: which are paths of this machine.

/// Tells whether a place is something else than a path: a URL, an image, a target.
pub(crate) fn is_place(text: &str) -> bool {
    is_remote(text) || ["cwd://", "target:", "docker-image:", "oci-layout:"].iter().any(|start| text.starts_with(start))
}

/// Tells whether a place is a URL or a repository.
pub(crate) fn is_remote(text: &str) -> bool {
    let starts = ["http://", "https://", "git://", "ssh://", "git@", "github.com/"];
    starts.iter().any(|start| text.starts_with(start))
}
