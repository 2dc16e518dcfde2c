//! The commit that a build or a rules fetch is about.

use super::context::{Deadline, TaskContext};
use crate::event::{Event, Observer};
use crate::git::without_credentials;
use crate::git::{
    CommitTree, FetchSettings, Fetching, LfsAccess, LfsStore, Mirror, Revision, SourceError, SshAccess, SubmoduleAccess,
};
use database::BuildRequest;
use files::view::{EntryKind, View};
use registry_client::Reach;
use std::io::Read;
use std::sync::Arc;

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

impl<'a> Place<'a> {
    /// Returns where the commit of `request` is.
    pub(crate) fn of(request: &'a BuildRequest) -> Self {
        let spec = &request.spec;
        let repository = request.repository.as_str();
        let git_ref = spec.options.fetch_ref.as_deref().unwrap_or(&spec.git_ref);
        Place { repository, clone_url: &spec.clone_url, git_ref, commit: spec.commit.as_deref() }
    }
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
        Err(SourceError::Denied { shown: true, .. })
            if settings.expiring_logins.forget(place.repository, place.clone_url) =>
        {
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
    let credentials = match settings.git_credentials.of(place.clone_url) {
        Some(login) => Some(login),
        None => settings
            .expiring_logins
            .login(place.repository, place.clone_url)
            .map_err(|problem| SourceError::NoLogin { url: without_credentials(place.clone_url), problem })?,
    };
    Ok(FetchSettings {
        client: services.client.clone(),
        tokio: services.tokio.clone(),
        credentials,
        ssh: Some(ssh(context, place)),
        timeout: settings.fetch_timeout.min(deadline.limit),
        cancel: deadline.cancel.clone(),
        reach: reach(context, place.repository),
        // The author of the URL chose its server; a redirect is somebody else's choice.
        elsewhere: Reach::PublicOnly,
        apart: true,
    })
}

/// Returns what a repository is fetched with over ssh. Its key is looked up only where it may be needed: submodules of a
/// repository on the web may be on ssh, too.
fn ssh(context: TaskContext<'_>, place: &Place<'_>) -> SshAccess {
    let TaskContext { services, settings } = context;
    let key = services.tokio.block_on(services.database.deploy_key(place.repository));
    let key = key.unwrap_or_else(|error| {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(repo = place.repository, error, "the deploy key of a repository cannot be read");
        None
    });
    SshAccess { key: key.map(|key| Arc::new(key.private_text())), hosts: settings.host_keys.clone() }
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
        ssh: None,
        timeout: settings.fetch_timeout.min(deadline.limit),
        cancel: deadline.cancel.clone(),
        reach: Reach::PublicOnly,
        elsewhere: Reach::PublicOnly,
        apart: true,
    };
    Fetching {
        mirrors: settings.git_dir.join("added").join(&repository[..32]),
        settings: fetch,
        lfs: None,
        max_paths: settings.max_paths,
    }
}

/// Returns how the submodules of a build are fetched, and what Git LFS keeps.
///
/// Those who may push to the repository say what they are. A stranger whose pull request is built does so, too, but without any
/// login and at public addresses only, the repository's own server apart.
pub(crate) fn beside(
    context: TaskContext<'_>,
    request: &BuildRequest,
    deadline: Deadline<'_>,
) -> Result<SubmoduleAccess, SourceError> {
    let (settings, place) = (context.settings, Place::of(request));
    let trusted = request.spec.options.trusted;
    // To name a commit that was fetched with a login is not to have it.
    let sharers = match trusted {
        true => request.repository.clone(),
        false => format!("{} untrusted {}", request.repository, request.spec.git_ref),
    };
    let directory = blake3::hash(sharers.as_bytes()).to_hex();
    Ok(SubmoduleAccess {
        mirrors: settings.git_dir.join("submodules").join(&directory[..32]),
        settings: fetch_settings(context, &place, deadline)?,
        logins: trusted.then(|| settings.git_credentials.clone()),
        elsewhere: if trusted { Reach::Allowed } else { Reach::PublicOnly },
        lfs: request.spec.options.lfs.then(|| LfsAccess {
            store: LfsStore::new(&settings.git_dir.join("lfs"), &sharers),
            max_bytes: settings.lfs_max_bytes,
            elsewhere: if trusted { Reach::Allowed } else { Reach::PublicOnly },
            trusts_commit: trusted,
        }),
    })
}

/// Says what of the commit the rule leaves out: submodules, and files that Git LFS keeps elsewhere.
pub(crate) fn warn(tree: &CommitTree, request: &BuildRequest, observer: &dyn Observer) {
    if !request.spec.options.submodules && matches!(tree.lookup(b".gitmodules"), Ok(Some(_))) {
        observer.observe(Event::Warning("submodules are not fetched: a step that takes the directory of one fails"));
    }
    if request.spec.options.lfs {
        return;
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
