//! The present name of a repository that was renamed or transferred: a delivery tells it, and the forge itself is asked.

use super::client::{Call, CallError, Exchanges, ForgeClient};
use super::github::Purpose;
use super::repository_id::text;
use super::status::{encoded, repository_path};
use crate::configuration::forges::{ForgeKind, ForgeSettings};
use database::{Database, ForgeRepository};
use serde_json::Value;

/// Returns the name that a forge has for a repository now: another one than the server's only if a delivery with the known id
/// told it and the forge confirms it: a person who can sign deliveries of one repository need not be one who may write to others.
pub(crate) async fn current_name(
    exchanges: &Exchanges,
    database: &Database,
    forge: &ForgeSettings,
    names: (&str, &str),
) -> Result<String, database::Error> {
    let (repository, configured) = names;
    let Some(known) = database.forge_repository(repository).await? else { return Ok(configured.to_owned()) };
    let has_moved = known.moved_ms.is_some() && forge.kind.delivers_as() == known.forge;
    if !has_moved || known.forge_name.eq_ignore_ascii_case(configured) {
        return Ok(configured.to_owned());
    }
    if known.is_confirmed {
        return Ok(known.forge_name);
    }
    match is_confirmed(exchanges, forge, &known).await {
        Ok(true) => {
            database.confirm_forge_name(&known).await?;
            Ok(known.forge_name)
        }
        Ok(false) => Ok(configured.to_owned()),
        Err(error) => {
            tracing::warn!(
                repo = repository,
                problem = error.problem(),
                "the forge does not confirm a repository's new name"
            );
            Ok(configured.to_owned())
        }
    }
}

/// Asks the forge whether the repository of this name has the id.
async fn is_confirmed(
    exchanges: &Exchanges,
    forge: &ForgeSettings,
    known: &ForgeRepository,
) -> Result<bool, CallError> {
    let client: ForgeClient<'_> = exchanges.client_for(forge, &known.forge_name, Purpose::Checks).await?;
    let parts = || repository_path(&known.forge_name).map_err(CallError::Refused);
    let path = match forge.kind {
        ForgeKind::Gitlab => format!("/projects/{}", encoded(&known.forge_name)),
        ForgeKind::Bitbucket => parts().map(|(owner, name)| format!("/repositories/{owner}/{name}"))?,
        ForgeKind::BitbucketDatacenter => parts().map(|(owner, name)| format!("/projects/{owner}/repos/{name}"))?,
        _ => parts().map(|(owner, name)| format!("/repos/{owner}/{name}"))?,
    };
    let answer: Value = serde_json::from_slice(&client.call(Call::get(path)).await?).unwrap_or_default();
    let id = if forge.kind == ForgeKind::Bitbucket { &answer["uuid"] } else { &answer["id"] };
    Ok(text(id).as_deref() == Some(known.forge_id.as_str()))
}
