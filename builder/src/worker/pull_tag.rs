//! Removes tags of pull requests that were closed, or whose time is up.

use crate::Services;
use database::PullTag;
use registry_client::Reference;
use runtime::CancellationToken;
use std::time::Duration;

/// How long a registry may take: the tag is held that long.
const LIMIT: Duration = Duration::from_secs(60);

/// Removes the tag whose turn it is; tells whether there was one. `ends` ends it early.
pub(crate) fn next(services: &Services, ends: &CancellationToken) -> Result<bool, database::Error> {
    services.tokio.block_on(async {
        let database = &services.database;
        let Some(claimed) = database.claim_pull_tag().await? else { return Ok(false) };
        let removed = tokio::select! {
            removed = tokio::time::timeout(LIMIT, remove(services, &claimed)) => removed,
            () = ends.cancelled() => return Ok(true),
        };
        let (image, problem) = (
            &claimed.tag,
            match removed {
                Ok(Ok(())) => None,
                Ok(Err(error)) => Some(format!("cannot be removed: {}", registry_client::report(&error))),
                Err(_) => Some(format!("cannot be removed: its registry was not done after {} s", LIMIT.as_secs())),
            },
        );
        match &problem {
            None => tracing::info!(image, "the tag of a pull request was removed"),
            Some(problem) => tracing::warn!(image, problem, "the tag of a pull request is still there"),
        }
        database.end_pull_tag(&claimed, problem.as_deref()).await?;
        Ok(true)
    })
}

async fn remove(services: &Services, claimed: &PullTag) -> Result<(), registry_client::Error> {
    let tag = Reference::parse(&claimed.tag).map_err(|error| registry_client::Error::NotAllowed(error.to_string()))?;
    services.client.remove_tag(&tag).await
}
