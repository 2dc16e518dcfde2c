//! The commit that a build or a lookup is about.

use super::context::{Deadline, TaskContext};
use crate::event::{Event, Observer};
use crate::git::{CommitTree, FetchSettings, Fetching, Mirror, Revision, SourceError, without_credentials};
use files::view::{EntryKind, View};
use registry_client::Reach;
use std::collections::BTreeMap;
use std::io::Read;

/// Largest `.gitattributes` that is looked into.
const MAX_ATTRIBUTES: u64 = 1024 * 1024;

/// Where a commit is.
pub(crate) struct Place<'a> {
    /// `namespace/name` of the repository.
    pub repository: &'a str,
    /// URL to fetch from.
    pub clone_url: &'a str,
    /// Full name of the ref.
    pub git_ref: &'a str,
    /// Full hash; `None` for the newest of the ref.
    pub commit: Option<&'a str>,
}

/// Fetches a commit and opens its tree.
pub(crate) fn fetch(
    context: TaskContext<'_>,
    place: &Place<'_>,
    deadline: Deadline<'_>,
) -> Result<(Mirror, CommitTree), SourceError> {
    let settings = context.settings;
    let mirror = Mirror::open(&settings.git_dir, place.clone_url)?;
    let wanted = match place.commit {
        Some(id) => Revision::Commit { id: id.to_owned(), git_ref: Some(place.git_ref.to_owned()) },
        None => Revision::Ref(place.git_ref.to_owned()),
    };
    let commit = match mirror.fetch(&wanted, &fetch_settings(context, place, deadline)?) {
        // A login that was taken back before its end: another one may be good.
        Err(SourceError::Denied { shown: true, .. }) if settings.logins.forget(place.repository, place.clone_url) => {
            mirror.fetch(&wanted, &fetch_settings(context, place, deadline)?)?
        }
        fetched => fetched?,
    };
    let tree = CommitTree::open(&mirror, &commit, "")?;
    Ok((mirror, tree))
}

/// Returns how to fetch from `place`.
pub(crate) fn fetch_settings(
    context: TaskContext<'_>,
    place: &Place<'_>,
    deadline: Deadline<'_>,
) -> Result<FetchSettings, SourceError> {
    let TaskContext { services, settings } = context;
    let credentials = match login(&settings.git_credentials, place.clone_url) {
        Some(login) => Some(login),
        None => settings
            .logins
            .login(place.repository, place.clone_url)
            .map_err(|problem| SourceError::NoLogin { url: without_credentials(place.clone_url), problem })?,
    };
    Ok(FetchSettings {
        client: services.client.clone(),
        tokio: services.tokio.clone(),
        credentials,
        timeout: settings.fetch_timeout.min(deadline.limit),
        cancel: deadline.cancel.clone(),
        reach: reach(context, place.repository),
        // The author of the URL chose its server; a redirect is somebody else's choice.
        elsewhere: Reach::PublicOnly,
        apart: true,
    })
}

/// Returns the login for the host of a URL: one with its port wins over one without.
fn login(logins: &BTreeMap<String, (String, String)>, url: &str) -> Option<(String, String)> {
    let url = url::Url::parse(url).ok()?;
    let host = url.host_str()?;
    let with_port = format!("{host}:{}", url.port_or_known_default()?);
    let find = |wanted: &str| logins.iter().find(|(known, _)| known.eq_ignore_ascii_case(wanted));
    find(&with_port).or_else(|| find(host)).map(|(_, login)| login.clone())
}

/// Returns what may be connected to for a repository: the operator's own may be anywhere, one that was made through the API
/// is where its URL was allowed to be, whatever its name leads to by now.
fn reach(context: TaskContext<'_>, repository: &str) -> Reach {
    let TaskContext { services, settings } = context;
    if settings.own_repositories.contains(repository) {
        return Reach::Anywhere;
    }
    let known = services.tokio.block_on(services.database.has_repository(repository));
    if known.unwrap_or(true) { Reach::Allowed } else { Reach::Anywhere }
}

/// Returns how `ADD` fetches: public addresses only, into mirrors that no other repository reads.
pub(crate) fn added(context: TaskContext<'_>, repository: &str, deadline: Deadline<'_>) -> Fetching {
    let TaskContext { services, settings } = context;
    let repository = blake3::hash(repository.as_bytes()).to_hex();
    let fetch = FetchSettings {
        client: services.client.clone(),
        tokio: services.tokio.clone(),
        credentials: None,
        timeout: settings.fetch_timeout.min(deadline.limit),
        cancel: deadline.cancel.clone(),
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
pub(crate) fn warn(tree: &CommitTree, observer: &dyn Observer) {
    if matches!(tree.lookup(b".gitmodules"), Ok(Some(_))) {
        observer.observe(Event::Warning("submodules are not fetched: a step that takes the directory of one fails"));
    }
    let mut attributes = Vec::new();
    let known = matches!(tree.lookup(b".gitattributes"), Ok(Some(node)) if matches!(node.kind, EntryKind::File { size } if size <= MAX_ATTRIBUTES));
    if known && let Ok(mut file) = tree.open_file(b".gitattributes") {
        let _ = file.read_to_end(&mut attributes);
    }
    if String::from_utf8_lossy(&attributes).contains("filter=lfs") {
        observer.observe(Event::Warning("files that Git LFS keeps are not fetched: a step that takes one fails"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_with_the_port_wins() {
        // US-09
        let login = |user: &str| (user.to_owned(), "x".to_owned());
        let logins: BTreeMap<_, _> =
            [("host", "plain"), ("Host:3000", "port"), ("[::1]:80", "six"), ("other:443", "https")]
                .map(|(host, user)| (host.to_owned(), login(user)))
                .into();
        for (url, user) in [
            ("http://host:3000/a.git", Some("port")),
            ("http://host/a.git", Some("plain")),
            ("https://HOST:8443/a.git", Some("plain")),
            ("http://[::1]/a.git", Some("six")),
            ("https://other/a.git", Some("https")),
            ("http://other/a.git", None),
            ("https://unknown/a.git", None),
        ] {
            assert_eq!(super::login(&logins, url).map(|(user, _)| user).as_deref(), user, "{url}");
        }
    }
}
