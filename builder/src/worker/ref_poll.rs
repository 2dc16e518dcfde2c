//! Looks at what the refs of a repository name now, so that the service finds pushes that no delivery told of.

use super::context::{Deadline, TaskContext};
use super::source::{Place, fetch_settings};
use crate::Error;
use crate::error::Code;
use crate::git::{CommitTree, Mirror, Revision, SourceError};
use database::{Heads, MovedRef, Reason, RefPollClaim, Seen};
use runtime::CancellationToken;
use std::time::{Duration, Instant};

/// How long a look may take: its lease is not renewed.
const LIMIT: Duration = Duration::from_secs(40);
/// Most branches and tags that are looked at.
const MAX_REFS: usize = 20_000;
/// Most commits that one look fetches; the rest is left to the next.
const MAX_MOVED: usize = 50;
/// Prefixes of the refs that are polled.
const PREFIXES: [&str; 2] = ["refs/heads/", "refs/tags/"];

/// Looks at the repository whose turn it is; tells whether there was one. `ends` ends it early.
pub(crate) fn next(context: TaskContext<'_>, ends: &CancellationToken) -> Result<bool, database::Error> {
    let services = context.services;
    let Some(claim) = services.tokio.block_on(services.database.claim_ref_poll())? else { return Ok(false) };
    let repo = &claim.looked.repository;
    let result = look(context, &claim, ends);
    if ends.is_cancelled() {
        // Another worker looks when the lease is over.
        return Ok(true);
    }
    if let Err(reason) = &result {
        tracing::warn!(repo, problem = reason.message, "what the refs of a repository name cannot be seen");
    }
    match services.tokio.block_on(services.database.finish_ref_poll(&claim, &result)) {
        Err(database::Error::LeaseLost) => tracing::info!(repo, "a look took so long that another was made meanwhile"),
        other => other?,
    }
    Ok(true)
}

fn look(context: TaskContext<'_>, claim: &RefPollClaim, ends: &CancellationToken) -> Result<Seen, Reason> {
    let settings = context.settings;
    let until = Instant::now() + LIMIT;
    let told = |error: SourceError| {
        let error = Error::source(error);
        Reason { code: error.code().to_string(), message: error.report() }
    };
    let place = Place {
        repository: &claim.looked.repository,
        clone_url: &claim.looked.clone_url,
        git_ref: "HEAD",
        commit: None,
    };
    let fetch = |limit| fetch_settings(context, &place, Deadline { cancel: ends, limit });
    let mirror = Mirror::open(&settings.git_dir, place.clone_url).map_err(told)?;
    let refs = mirror.refs(&PREFIXES.map(str::to_owned), &fetch(LIMIT).map_err(told)?).map_err(told)?;
    if refs.len() > MAX_REFS {
        let message =
            format!("`{}` has {} branches and tags; up to {MAX_REFS} are looked at", mirror.shown(), refs.len());
        return Err(Reason { code: Code::TooManyRefs.to_string(), message });
    }
    let heads: Heads = refs.into_iter().map(|known| (known.name, known.id.to_string())).collect();
    let mut moved = Vec::new();
    let known = claim.known.as_ref();
    let differ = heads.iter().filter(|(name, id)| known.is_some_and(|known| known.get(*name) != Some(id)));
    for (git_ref, id) in differ.take(MAX_MOVED) {
        let left = until.saturating_duration_since(Instant::now());
        // Commits that cannot be fetched now are left to the next poll.
        moved.extend(fetch(left).and_then(|settings| commit(&mirror, git_ref, id, &settings)).ok());
    }
    Ok(Seen { heads, moved })
}

/// Fetches the commit that a ref names: the build needs it anyway, and only the commit has the message.
fn commit(
    mirror: &Mirror,
    git_ref: &str,
    id: &str,
    settings: &crate::git::FetchSettings,
) -> Result<MovedRef, SourceError> {
    let wanted = match git_ref.starts_with("refs/tags/") {
        // An annotated tag is not a commit, but names one.
        true => Revision::Ref(git_ref.to_owned()),
        false => Revision::Commit { id: id.to_owned(), git_ref: Some(git_ref.to_owned()) },
    };
    let commit = mirror.fetch(&wanted, settings)?;
    let message = CommitTree::open(mirror, &commit, "")?.message().to_owned();
    Ok(MovedRef { git_ref: git_ref.to_owned(), commit: commit.as_str().to_owned(), message })
}
