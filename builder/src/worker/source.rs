//! The commit that a build or a lookup is about.

use super::Settings;
use crate::Error;
use crate::source::{CommitTree, FetchSettings, Fetching, Mirror, SourceError, Wanted};
use registry_client::Reach;
use runtime::Cancel;
use std::time::Duration;

/// Where a commit is.
pub struct Place<'a> {
    /// URL to fetch from.
    pub clone_url: &'a str,
    /// Full name of the ref.
    pub git_ref: &'a str,
    /// Full hash; `None` for the newest of the ref.
    pub commit: Option<&'a str>,
}

/// Fetches a commit and opens its tree.
pub fn fetch(
    settings: &Settings,
    place: &Place<'_>,
    (cancel, limit): (&Cancel, Duration),
) -> Result<(Mirror, CommitTree), SourceError> {
    let mirror = Mirror::open(&settings.git_dir, place.clone_url)?;
    let wanted = match place.commit {
        Some(id) => Wanted::Commit { id: id.to_owned(), git_ref: Some(place.git_ref.to_owned()) },
        None => Wanted::Ref(place.git_ref.to_owned()),
    };
    let commit = mirror.fetch(&wanted, &fetch_settings(settings, place, (cancel, limit)))?;
    let tree = CommitTree::open(&mirror, &commit, "")?;
    Ok((mirror, tree))
}

/// Returns how to fetch from `place`.
pub fn fetch_settings(settings: &Settings, place: &Place<'_>, (cancel, limit): (&Cancel, Duration)) -> FetchSettings {
    let host = url::Url::parse(place.clone_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    FetchSettings {
        credentials: host.and_then(|host| settings.git_credentials.get(&host).cloned()),
        timeout: settings.fetch_timeout.min(limit),
        cancel: cancel.clone(),
        reach: Reach::Anywhere,
    }
}

/// Returns how `ADD` fetches: public addresses only, into mirrors that no other repository reads.
pub fn added(settings: &Settings, repository: &str, (cancel, limit): (&Cancel, Duration)) -> Fetching {
    let repository = blake3::hash(repository.as_bytes()).to_hex();
    let fetch = FetchSettings {
        credentials: None,
        timeout: settings.fetch_timeout.min(limit),
        cancel: cancel.clone(),
        reach: Reach::PublicOnly,
    };
    Fetching { mirrors: settings.git_dir.join("added").join(&repository[..32]), settings: fetch }
}

/// Turns an error of the source into the build's.
pub fn source_error(error: SourceError) -> Error {
    let (code, doing) = (error.code(), error.to_string());
    if error.is_transient() { Error::upstream(code, doing) } else { Error::user(code, doing) }.with_cause(error)
}
