//! Finds the Dockerfile and the ignore file of a context.

use super::directory::followed;
use crate::context::Context;
use crate::copy::{self, Searched};
use crate::dockerfile::MAX_SIZE;
use crate::ignore::Ignore;
use crate::view::{Kind, View, ViewError};
use crate::walk::view_error;
use crate::{DockerfileText, Error};
use runtime::tar::clean_path;
use std::io::Read;

/// Reads the Dockerfile `name` of `context`; in its place `dockerfile` is taken for the default name.
pub fn find_dockerfile(context: &Context, name: &str) -> Result<DockerfileText, Error> {
    let lower = name.strip_suffix("Dockerfile").map(|start| format!("{start}dockerfile"));
    for candidate in std::iter::once(name.to_owned()).chain(lower) {
        if let Some(text) = read(context, &candidate)? {
            let name = candidate.rsplit('/').next().unwrap_or(&candidate).to_owned();
            return Ok(DockerfileText { name, text });
        }
    }
    Err(Error::user(
        "dockerfile_not_found",
        format!(
            "failed to read dockerfile: {}",
            copy::absent(&Searched { view: context, ignore: None, name: "the context" }, name)
        ),
    ))
}

/// Reads the ignore file for the Dockerfile `dockerfile` of `root` and the directory `context` in it.
pub fn find_ignore(root: &Context, dockerfile: &str, context: &str) -> Result<Ignore, Error> {
    let beside = format!("{dockerfile}.dockerignore");
    let inside = format!("{context}/.dockerignore");
    for name in [(!dockerfile.is_empty()).then_some(beside), Some(inside)].into_iter().flatten() {
        if let Some(text) = read(root, &name)? {
            return parse_ignore(&text, &name);
        }
    }
    Ok(Ignore::default())
}

/// Reads the text of the ignore file `name`.
pub fn parse_ignore(text: &[u8], name: &str) -> Result<Ignore, Error> {
    let parsed = Ignore::parse(text).map(|ignore| ignore.named(name));
    parsed.map_err(|error| Error::user("invalid_pattern", format!("reading `{name}`")).with_cause(error))
}

/// Returns the content of a small regular file, links followed within the context.
fn read(context: &Context, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = followed(context, &clean_path(name.as_bytes())) else { return Ok(None) };
    let reading = || format!("reading `{name}`");
    let unreadable = |error: ViewError| view_error(reading(), error);
    let node = context.lookup(&path).map_err(unreadable)?;
    match node.map(|node| node.kind) {
        None => Ok(None),
        Some(Kind::File { size }) if size <= MAX_SIZE as u64 => {
            let mut text = Vec::new();
            context
                .open(&path)
                .map_err(unreadable)?
                .read_to_end(&mut text)
                .map_err(|error| Error::service("source", reading()).with_cause(error))?;
            Ok(Some(text))
        }
        Some(Kind::File { size }) => {
            Err(Error::user("dockerfile_too_large", format!("`{name}` has {size} bytes, {MAX_SIZE} are read")))
        }
        Some(_) => Err(Error::user("dockerfile_not_found", format!("`{name}` is no regular file"))),
    }
}
