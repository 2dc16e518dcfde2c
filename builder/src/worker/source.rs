//! The commit that a build or a lookup is about.

use super::Settings;
use crate::event::{Event, Observer};
use crate::source::{CommitTree, FetchSettings, Fetching, Mirror, SourceError, Wanted};
use crate::view::{Kind, View};
use crate::{Error, Services};
use registry_client::Reach;
use runtime::Cancel;
use std::io::Read;
use std::time::Duration;

/// Largest `.gitattributes` that is looked into.
const MAX_ATTRIBUTES: u64 = 1024 * 1024;

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
    (services, settings): (&Services, &Settings),
    place: &Place<'_>,
    (cancel, limit): (&Cancel, Duration),
) -> Result<(Mirror, CommitTree), SourceError> {
    let mirror = Mirror::open(&settings.git_dir, place.clone_url)?;
    let wanted = match place.commit {
        Some(id) => Wanted::Commit { id: id.to_owned(), git_ref: Some(place.git_ref.to_owned()) },
        None => Wanted::Ref(place.git_ref.to_owned()),
    };
    let commit = mirror.fetch(&wanted, &fetch_settings((services, settings), place, (cancel, limit)))?;
    let tree = CommitTree::open(&mirror, &commit, "")?;
    Ok((mirror, tree))
}

/// Returns how to fetch from `place`.
pub fn fetch_settings(
    (services, settings): (&Services, &Settings),
    place: &Place<'_>,
    (cancel, limit): (&Cancel, Duration),
) -> FetchSettings {
    let host = url::Url::parse(place.clone_url).ok().and_then(|url| url.host_str().map(str::to_owned));
    FetchSettings {
        client: services.client.clone(),
        tokio: services.tokio.clone(),
        credentials: host.and_then(|host| settings.git_credentials.get(&host).cloned()),
        timeout: settings.fetch_timeout.min(limit),
        cancel: cancel.clone(),
        reach: Reach::Anywhere,
        // Whoever wrote the URL chose its server; where that leads to is somebody else's choice.
        elsewhere: Reach::PublicOnly,
        apart: true,
    }
}

/// Returns how `ADD` fetches: public addresses only, into mirrors that no other repository reads.
pub fn added(
    (services, settings): (&Services, &Settings),
    repository: &str,
    (cancel, limit): (&Cancel, Duration),
) -> Fetching {
    let repository = blake3::hash(repository.as_bytes()).to_hex();
    let fetch = FetchSettings {
        client: services.client.clone(),
        tokio: services.tokio.clone(),
        credentials: None,
        timeout: settings.fetch_timeout.min(limit),
        cancel: cancel.clone(),
        reach: Reach::PublicOnly,
        elsewhere: Reach::PublicOnly,
        apart: true,
    };
    Fetching {
        mirrors: settings.git_dir.join("added").join(&repository[..32]),
        settings: fetch,
        max_paths: settings.max_paths,
    }
}

/// Says what of the commit is not fetched: submodules, and files that Git LFS keeps elsewhere.
pub fn warn(tree: &CommitTree, observer: &dyn Observer) {
    if matches!(tree.lookup(b".gitmodules"), Ok(Some(_))) {
        observer.observe(Event::Warning("submodules are not fetched: their directories are empty"));
    }
    let mut attributes = Vec::new();
    let known = matches!(tree.lookup(b".gitattributes"), Ok(Some(node)) if matches!(node.kind, Kind::File { size } if size <= MAX_ATTRIBUTES));
    if known && let Ok(mut file) = tree.open_file(b".gitattributes") {
        let _ = file.read_to_end(&mut attributes);
    }
    if String::from_utf8_lossy(&attributes).contains("filter=lfs") {
        observer.observe(Event::Warning("files that Git LFS keeps are not fetched: their pointers are in their place"));
    }
}

/// Turns an error of the source into the build's.
pub fn source_error(error: SourceError) -> Error {
    let (code, doing) = (error.code(), error.to_string());
    if error.is_transient() { Error::upstream(code, doing) } else { Error::user(code, doing) }.with_cause(error)
}
