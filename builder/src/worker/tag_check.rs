//! Checks that tags still show what was published, and puts right what went back.

use crate::Services;
use database::{TagCheck, TagVerdict};
use registry_client::Reference;
use runtime::CancellationToken;
use std::time::Duration;

/// How long a registry may take: a tag is held that long at most.
const LIMIT: Duration = Duration::from_secs(30);

/// Checks the tag whose turn it is; tells whether there was one. `ends` ends it early.
pub(crate) fn next(services: &Services, ends: &CancellationToken) -> Result<bool, database::Error> {
    services.tokio.block_on(async {
        let database = &services.database;
        let Some(check) = database.claim_tag_check().await? else { return Ok(false) };
        // A tag that cannot be read now is due again in a while.
        let Some(shown) = shown(services, ends, &check).await else { return Ok(true) };
        if database.judge_tag(&check, shown.as_deref()).await? == TagVerdict::Restore {
            let note = match tokio::time::timeout(LIMIT, restore(services, &check)).await {
                Ok(Ok(())) => format!("showed {} and was put right", shown.as_deref().unwrap_or("nothing")),
                Ok(Err(error)) => format!("cannot be put right: {error}"),
                Err(_) => format!("cannot be put right: its registry was not done after {} s", LIMIT.as_secs()),
            };
            tracing::warn!(image = check.tag, digest = check.digest, note, "a tag did not show what was published");
            database.end_tag_check(&check, &note).await?;
        }
        Ok(true)
    })
}

/// Returns the digest of the manifest that a tag names, or that it names none; `None` if its registry does not say.
async fn shown(services: &Services, ends: &CancellationToken, check: &TagCheck) -> Option<Option<String>> {
    let reference = Reference::parse(&check.tag).ok()?;
    let answer = tokio::select! {
        answer = services.client.head_manifest(&reference) => answer,
        () = tokio::time::sleep(LIMIT) => return None,
        () = ends.cancelled() => return None,
    };
    match answer {
        Ok(found) => Some(found.map(|(digest, _)| digest.to_string())),
        Err(error) => {
            tracing::info!(image = check.tag, error = &error as &dyn std::error::Error, "a tag cannot be checked now");
            None
        }
    }
}

/// Lets the tag name the published manifest again, if the registry still has that.
async fn restore(services: &Services, check: &TagCheck) -> Result<(), registry_client::Error> {
    let malformed = |problem: String| registry_client::Error::NotAllowed(problem);
    let tag = Reference::parse(&check.tag).map_err(|error| malformed(error.to_string()))?;
    let digest = check.digest.parse().map_err(|_| malformed(format!("`{}` is not a digest", check.digest)))?;
    let (media_type, bytes) = services.client.get_manifest(&tag.with_digest(digest)).await?;
    services.client.put_manifest(&tag, &media_type, bytes).await.map(drop)
}
