//! Build contexts: a commit, a directory, a tar, and the Dockerfile and ignore file in it.

mod build_context;
mod find;
mod tarball;

pub use crate::git::Directory;
pub use build_context::{Context, NamedContext, NamedImage};
pub use find::{find_dockerfile, find_ignore, parse_ignore, unusable};
pub use tarball::Tarball;
