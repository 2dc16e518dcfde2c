//! Looks what the tags of base images name now; nothing is pulled.

use crate::Services;
use crate::execute::until_cancelled;
use database::{BaseImageClaim, Named};
use image_store::Served;
use registry_client::{Digest, Platform, Reference};
use runtime::CancellationToken;
use std::time::Duration;

/// How long a registry may take.
const LIMIT: Duration = Duration::from_secs(30);
/// Largest manifest or configuration that is read from the store.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Looks at the image whose turn it is; tells whether there was one. `ends` ends it early.
pub(crate) fn next(services: &Services, ends: &CancellationToken) -> Result<bool, database::Error> {
    let Some(claim) = services.tokio.block_on(services.database.claim_base_image())? else { return Ok(false) };
    // The limit is a timer of the runtime, so it begins there.
    let looking = async { tokio::time::timeout(LIMIT, named(services, &claim)).await };
    let seen = match until_cancelled(&services.tokio, ends, looking) {
        None => return Ok(true),
        Some(Ok(seen)) => seen,
        Some(Err(_)) => Err(format!("its registry did not answer within {} seconds", LIMIT.as_secs())),
    };
    if let Err(problem) = &seen {
        tracing::info!(image = claim.image.reference, problem, "a base image cannot be looked at now");
    }
    match services.tokio.block_on(services.database.finish_base_image(&claim, &seen)) {
        Err(database::Error::LeaseLost) => Ok(true),
        other => other.map(|()| true),
    }
}

async fn named(services: &Services, claim: &BaseImageClaim) -> Result<Named, String> {
    let reference = Reference::parse(&claim.image.reference).map_err(|error| error.to_string())?;
    let platform: Platform = claim.image.platform.parse().map_err(|_| "its platform is none".to_owned())?;
    // A tag that names the same as before leads to the same image. A registry that does not say is asked for the image.
    let tag = services.client.head_manifest(&reference).await.ok().flatten().map(|(digest, _)| digest.to_string());
    if let Some(known) = claim.known.as_ref().filter(|known| tag.as_ref() == Some(&known.tag)) {
        return Ok(known.clone());
    }
    let served = Served { store: &services.store, client: &services.client };
    let known =
        |digest: &Digest| services.store.read(digest, MAX_DOCUMENT).ok().filter(|_| served.has(&reference, digest));
    let resolved = services.client.resolve(&reference, &platform, &known).await.map_err(|error| error.to_string())?;
    let tag = resolved.index_digest.unwrap_or_else(|| resolved.digest.clone());
    Ok(Named { tag: tag.to_string(), manifest: resolved.digest.to_string() })
}
