//! The destination and the flags of a copy.

use super::chmod::Chmod;
use super::error::CopyError;
use super::owner::Owner;
use dockerfile::plan::Copy;

/// The destination and the flags of a copy, with names of owners looked up.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// Files that stand in the Dockerfile: name and content.
    pub inline: Vec<(String, Vec<u8>)>,
    /// The destination, expanded; may be relative.
    pub destination: String,
    /// The directory that a relative destination starts at.
    pub workdir: String,
    /// Owner of everything that is copied.
    pub chown: Option<Owner>,
    /// Mode of everything that is copied.
    pub chmod: Option<Chmod>,
    /// Whether the path of a source is kept below the destination.
    pub parents: bool,
    /// Patterns of files that are left out, relative to each source.
    pub excludes: Vec<String>,
    /// Time of directories that have to be made, seconds since 1970.
    pub now: i64,
}

impl CopyRequest {
    /// Returns the request without any flag.
    pub fn to(destination: &str, now: i64) -> Self {
        CopyRequest {
            inline: Vec::new(),
            destination: destination.to_owned(),
            workdir: "/".to_owned(),
            chown: None,
            chmod: None,
            parents: false,
            excludes: Vec::new(),
            now,
        }
    }

    /// Returns the request of a `COPY` or `ADD`; `owner` is the one that its `--chown` names.
    pub fn of(copy: &Copy, owner: Option<Owner>, now: i64) -> Result<Self, CopyError> {
        Ok(CopyRequest {
            inline: copy.files.iter().map(|file| (file.name.clone(), file.content.clone())).collect(),
            workdir: copy.workdir.clone(),
            chown: owner,
            chmod: copy.flags.chmod.as_deref().map(Chmod::parse).transpose()?,
            parents: copy.flags.parents,
            excludes: copy.flags.excludes.clone(),
            ..CopyRequest::to(&copy.destination, now)
        })
    }
}
