//! Finds the Dockerfile and the ignore file of a context.

use super::build_context::Context;
use crate::Error;
use crate::copy::{self, Searched};
use crate::error::Code;
use crate::git::followed;
use crate::walk::WalkError;
use dockerfile::{DockerfileText, MAX_SIZE};
use files::ignore::Ignore;
use files::path::{clean_path, join};
use files::view::{EntryKind, View, ViewError};
use std::io::Read;

/// Links that are followed before they are taken to lead in a circle.
const MAX_LINKS: usize = 40;

/// Reads the Dockerfile `name` of `context`; in its place `dockerfile` is taken for the default name.
pub fn find_dockerfile(context: &Context, name: &str) -> Result<DockerfileText, Error> {
    let lower = name.strip_suffix("Dockerfile").map(|start| format!("{start}dockerfile"));
    for candidate in std::iter::once(name.to_owned()).chain(lower) {
        if let Some(text) = read(context, &candidate)? {
            let name = candidate.rsplit('/').next().unwrap_or(&candidate).to_owned();
            return Ok(DockerfileText { name, text });
        }
    }
    Err(Error::new(
        Code::DockerfileNotFound,
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
        if let Some(text) = read_ignore(root, name.trim_start_matches('/'))? {
            return parse_ignore(&text, name.trim_start_matches('/'));
        }
    }
    Ok(Ignore::default())
}

/// Returns the content of an ignore file, if it is there. One that is there and cannot be used is an error: going on
/// without it would put into the image what it hides.
fn read_ignore(context: &Context, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let unreadable = |error: ViewError| match WalkError::of(&error) {
        Some(_) => Error::view(format!("reading `{name}`"), error),
        None => unusable(name, format!("it cannot be read: {}", error.cause)),
    };
    let Some(path) = leads_to(context, &clean_path(name.as_bytes()), name, unreadable)? else { return Ok(None) };
    match context.lookup(&path).map_err(unreadable)?.map(|node| node.kind) {
        Some(EntryKind::File { size }) if size <= MAX_SIZE as u64 => {
            let mut text = Vec::new();
            let read = context.open(&path).map_err(unreadable)?.read_to_end(&mut text);
            read.map_err(|error| unusable(name, format!("it cannot be read: {error}")))?;
            Ok(Some(text))
        }
        Some(EntryKind::File { size }) => Err(unusable(name, format!("it has {size} bytes, {MAX_SIZE} are read"))),
        Some(EntryKind::Directory) => Err(unusable(name, "it is a directory")),
        Some(_) => Err(unusable(name, "it is not a regular file")),
        None => Ok(None),
    }
}

/// Follows the links of an ignore file, which stay within the context; `None` if nothing has its name.
fn leads_to(
    context: &Context,
    path: &[u8],
    name: &str,
    unreadable: impl Fn(ViewError) -> Error + Copy,
) -> Result<Option<Vec<u8>>, Error> {
    let mut waiting: Vec<Vec<u8>> = path.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec).collect();
    let (mut at, mut links, mut link) = (Vec::new(), 0, None);
    while let Some(part) = waiting.pop() {
        match part.as_slice() {
            b"" | b"." => continue,
            b".." if at.is_empty() => return Err(unusable(name, "it is a link that leads out of the context")),
            b".." => {
                at.truncate(at.iter().rposition(|&byte| byte == b'/').unwrap_or(0));
                continue;
            }
            _ => {}
        }
        let next = join(&at, &part);
        match (context.lookup(&next).map_err(unreadable)?.map(|node| node.kind), &link) {
            (Some(EntryKind::Symlink { target }), _) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(unusable(name, "it is a link that leads in a circle"));
                }
                if target.first() == Some(&b'/') {
                    return Err(unusable(name, "it is a link that leads out of the context"));
                }
                waiting.extend(target.rsplit(|&byte| byte == b'/').map(<[u8]>::to_vec));
                link = Some(String::from_utf8_lossy(&target).into_owned());
            }
            (Some(_), _) => at = next,
            (None, Some(target)) => {
                return Err(unusable(name, format!("it is a link to `{target}`, which is not in the context")));
            }
            (None, None) => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// Returns the error of an ignore file that is there and cannot be used.
pub fn unusable(name: &str, problem: impl std::fmt::Display) -> Error {
    let name = dockerfile::printable(name);
    let text =
        format!("the ignore file `{name}` cannot be used: {problem}; repair or remove it: nothing is built without it");
    Error::new(Code::InvalidIgnoreFile, text)
}

/// Reads the text of the ignore file `name`.
pub fn parse_ignore(text: &[u8], name: &str) -> Result<Ignore, Error> {
    if std::str::from_utf8(text).is_err() || text.contains(&0) {
        return Err(unusable(
            name,
            "it is not text in UTF-8, so that its patterns would match other names than it means",
        ));
    }
    let parsed = Ignore::parse(text).map(|ignore| ignore.named(name));
    parsed.map_err(|error| Error::new(Code::InvalidPattern, format!("reading `{name}`")).with_cause(error))
}

/// Returns the content of a small regular file, links followed within the context.
fn read(context: &Context, name: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some(path) = followed(context, &clean_path(name.as_bytes())) else { return Ok(None) };
    let reading = || format!("reading `{name}`");
    let unreadable = |error: ViewError| Error::view(reading(), error);
    let node = context.lookup(&path).map_err(unreadable)?;
    match node.map(|node| node.kind) {
        None => Ok(None),
        Some(EntryKind::File { size }) if size <= MAX_SIZE as u64 => {
            let mut text = Vec::new();
            context
                .open(&path)
                .map_err(unreadable)?
                .read_to_end(&mut text)
                .map_err(|error| Error::new(Code::Source, reading()).with_cause(error))?;
            Ok(Some(text))
        }
        Some(EntryKind::File { size }) => {
            Err(Error::new(Code::DockerfileTooLarge, format!("`{name}` has {size} bytes, {MAX_SIZE} are read")))
        }
        Some(_) => Err(Error::new(Code::DockerfileNotFound, format!("`{name}` is not a regular file"))),
    }
}
