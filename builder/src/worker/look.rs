//! Looks at what the refs of a repository name now, so that the service finds pushes that no delivery told of.

use super::Settings;
use super::source::{Place, fetch_settings, source_error};
use crate::Services;
use crate::source::{CommitTree, Mirror, SourceError, Wanted};
use database::{Heads, MovedRef, Reason, RefPollClaim, Seen};
use runtime::CancellationToken;
use std::time::{Duration, Instant};

/// How long a look may take: its lease is not renewed.
const LIMIT: Duration = Duration::from_secs(40);
/// Most branches and tags that are looked at.
const MAX_REFS: usize = 20_000;
/// Most commits that one look fetches; the rest is left to the next.
const MAX_MOVED: usize = 50;
/// What is looked at.
const PREFIXES: [&str; 2] = ["refs/heads/", "refs/tags/"];

/// Looks at the repository whose turn it is; tells whether there was one. `ends` ends it early.
pub fn next((services, settings): (&Services, &Settings), ends: &CancellationToken) -> Result<bool, database::Error> {
    let Some(claim) = services.tokio.block_on(services.database.claim_ref_poll())? else { return Ok(false) };
    let repo = &claim.looked.repository;
    let result = look((services, settings), &claim, ends);
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

fn look(
    (services, settings): (&Services, &Settings),
    claim: &RefPollClaim,
    ends: &CancellationToken,
) -> Result<Seen, Reason> {
    let until = Instant::now() + LIMIT;
    let told = |error: SourceError| {
        let error = source_error(error);
        Reason { code: error.code().to_owned(), message: error.report() }
    };
    let place = Place {
        repository: &claim.looked.repository,
        clone_url: &claim.looked.clone_url,
        git_ref: "HEAD",
        commit: None,
    };
    let fetch = |limit| fetch_settings((services, settings), &place, (ends, limit));
    let mirror = Mirror::open(&settings.git_dir, place.clone_url).map_err(told)?;
    let refs = mirror.refs(&PREFIXES.map(str::to_owned), &fetch(LIMIT)).map_err(told)?;
    if refs.len() > MAX_REFS {
        let message =
            format!("`{}` has {} branches and tags; up to {MAX_REFS} are looked at", mirror.shown(), refs.len());
        return Err(Reason { code: "too_many_refs".to_owned(), message });
    }
    let heads: Heads = refs.into_iter().map(|known| (known.name, known.id.to_string())).collect();
    let mut moved = Vec::new();
    let known = claim.known.as_ref();
    let differ = heads.iter().filter(|(name, id)| known.is_some_and(|known| known.get(*name) != Some(id)));
    for (git_ref, id) in differ.take(MAX_MOVED) {
        let left = until.saturating_duration_since(Instant::now());
        // What cannot be had now is left to the next look.
        moved.extend(commit(&mirror, (git_ref, id), &fetch(left)).ok());
    }
    Ok(Seen { heads, moved })
}

/// Fetches the commit that a ref names: the build needs it anyway, and only the commit has the message.
fn commit(
    mirror: &Mirror,
    (git_ref, id): (&str, &str),
    settings: &crate::source::FetchSettings,
) -> Result<MovedRef, SourceError> {
    let wanted = match git_ref.starts_with("refs/tags/") {
        // An annotated tag is no commit, but names one.
        true => Wanted::Ref(git_ref.to_owned()),
        false => Wanted::Commit { id: id.to_owned(), git_ref: Some(git_ref.to_owned()) },
    };
    let commit = mirror.fetch(&wanted, settings)?;
    let message = CommitTree::open(mirror, &commit, "")?.message().to_owned();
    Ok(MovedRef { git_ref: git_ref.to_owned(), commit: commit.as_str().to_owned(), message })
}
