//! Mounts: a repository gets a blob without its bytes being sent, from whoever may have it.

use crate::error::Failure;
use crate::query::parameter;
use crate::server::{Registry, blocking, blocking_check};
use axum::http::{HeaderMap, Uri};
use image_store::Part;
use registry_client::{Digest, PROOF_HEADER};
use subtle::ConstantTimeEq;

/// Returns the blob that a request may have without sending it, if there is one; the repository has it then.
pub(crate) async fn mount(
    registry: &Registry,
    repository: &str,
    uri: &Uri,
    headers: &HeaderMap,
) -> Result<Option<Digest>, Failure> {
    let Some(digest) = source(registry, repository, uri).await?.or_else(|| proven(registry, repository, headers))
    else {
        return Ok(None);
    };
    if !registry.store.promise(&digest) {
        return Ok(None);
    }
    admit(registry, repository, &digest).await?;
    Ok(Some(digest))
}

/// Gives a blob to a repository that has room for it.
pub(crate) async fn admit(registry: &Registry, repository: &str, digest: &Digest) -> Result<(), Failure> {
    let (keeper, repository, digest) = (registry.clone(), repository.to_owned(), digest.clone());
    blocking_check(move || {
        // Of several that come at once each counts what those before it took.
        let _turn = keeper.settings.quota(&repository).map(|_| keeper.turn());
        keeper.check_room(&repository, &digest, keeper.store.size(&digest).unwrap_or(0))?;
        Ok(keeper.store.admit(&repository, Part::Blob, &digest)?)
    })
    .await
}

/// Returns the blob to be mounted if the repository has it, or the one that the request names, or, if it names none, any
/// that whoever asks may read: nobody gets by mounting what they could not pull.
async fn source(registry: &Registry, repository: &str, uri: &Uri) -> Result<Option<Digest>, Failure> {
    let Some(digest) = parameter(uri, "mount").and_then(|text| text.parse::<Digest>().ok()) else { return Ok(None) };
    let (store, wanted, target) = (registry.store.clone(), digest.clone(), repository);
    let (repository, from) = (repository.to_owned(), parameter(uri, "from").filter(|from| !from.is_empty()));
    let holders = blocking(move || {
        if store.has(&repository, Part::Blob, &wanted)? {
            return Ok(vec![repository]);
        }
        match from {
            Some(from) => Ok(if store.has(&from, Part::Blob, &wanted)? { vec![from] } else { Vec::new() }),
            None => store.holders(&wanted),
        }
    });
    let holders = holders.await?;
    if holders.iter().any(|holder| registry.is_readable(holder)) {
        return Ok(Some(digest));
    }
    // The account may read it, and its token is for something else: clients get another one.
    match holders.iter().find(|holder| registry.lacks_scope(holder)) {
        Some(holder) => {
            let scope = format!("repository:{target}:pull,push repository:{holder}:pull");
            Err(Failure::insufficient_scope(scope))
        }
        None => Ok(None),
    }
}

/// Returns the blob that the request shows to have at hand: it comes from a client that shares the store.
fn proven(registry: &Registry, repository: &str, headers: &HeaderMap) -> Option<Digest> {
    let (digest, proof) = headers.get(PROOF_HEADER)?.to_str().ok()?.split_once(' ')?;
    let digest = digest.parse().ok()?;
    let is_right = bool::from(registry.store.proof(repository, &digest).as_bytes().ct_eq(proof.as_bytes()));
    (is_right && registry.store.contains(&digest)).then_some(digest)
}
