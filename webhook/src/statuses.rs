//! Tells the forge what became of its commits: from an outbox that was written together with each change of state.

use crate::catalog::Catalog;
use crate::pages::plain;
use crate::settings::Settings;
use database::{BuildState, Database, PendingStatus};
use octocrab::Octocrab;
use octocrab::models::StatusState;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often the outbox is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// Statuses that are told at once.
const BATCH: u32 = 20;
/// GitHub refuses longer descriptions.
const MAX_DESCRIPTION: usize = 140;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Tells statuses until `stopped` says so.
pub async fn tell_statuses(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let client = match client(&settings) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the forge cannot be told about builds");
            None
        }
    };
    let catalog = Catalog::new(&settings.repositories);
    while !*stopped.borrow() {
        tell_pending(&database, (&settings, &catalog), client.as_ref()).await;
        let _ = tokio::time::timeout(LOOK, stopped.wait_for(|stopped| *stopped)).await;
    }
}

async fn tell_pending(database: &Database, (settings, catalog): (&Settings, &Catalog), client: Option<&Octocrab>) {
    let pending = match database.pending_statuses(BATCH).await {
        Ok(pending) => pending,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read");
            return;
        }
    };
    for status in pending {
        // Without a token there is nobody to tell: the outbox does not grow for ever.
        let told = match client {
            Some(client) => match catalog.get(database, &status.repository).await {
                Ok(Some(entry)) => tell(client, settings, (&entry.repository.forge_name, &status)).await,
                Ok(None) => true,
                Err(_) => false,
            },
            None => true,
        };
        if let Err(error) = database.acknowledge_status(status.id, told).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "a status cannot be acknowledged");
        }
    }
}

fn client(settings: &Settings) -> Result<Option<Octocrab>, octocrab::Error> {
    let Some(token) = &settings.forge.token else { return Ok(None) };
    // Another crate may have chosen the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Octocrab::builder().base_uri(settings.forge.api_url.as_str())?.personal_token(token.clone()).build().map(Some)
}

async fn tell(client: &Octocrab, settings: &Settings, (forge_name, status): (&str, &PendingStatus)) -> bool {
    let Some((owner, name)) = forge_name.split_once('/') else { return true };
    let target = format!("{}/builds/{}", settings.public_url, status.build.as_str());
    let sending = async {
        let repos = client.repos(owner, name);
        let builder = repos.create_status(status.commit.clone(), state(status.state));
        builder.target(target).description(description(status)).context(format!("slipway/{}", status.rule)).send().await
    };
    match tokio::time::timeout(PATIENCE, sending).await {
        Ok(Ok(_)) => true,
        // It was accepted: what the answer holds besides is of no interest, and servers differ in it.
        Ok(Err(octocrab::Error::Json { .. } | octocrab::Error::Serde { .. })) => true,
        Ok(Err(error)) => {
            tracing::warn!(build.id = status.build.as_str(), %error, "the forge refused a status");
            is_final(&error)
        }
        Err(_) => {
            tracing::warn!(build.id = status.build.as_str(), "the forge took too long");
            false
        }
    }
}

/// Tells whether asking again would get the same answer.
fn is_final(error: &octocrab::Error) -> bool {
    matches!(error, octocrab::Error::GitHub { source, .. } if source.status_code.is_client_error() && source.status_code.as_u16() != 429 && source.status_code.as_u16() != 403)
}

fn state(state: BuildState) -> StatusState {
    match state {
        BuildState::Succeeded | BuildState::Superseded | BuildState::Skipped => StatusState::Success,
        BuildState::Failed | BuildState::TimedOut => StatusState::Failure,
        BuildState::Errored | BuildState::Cancelled => StatusState::Error,
        BuildState::Queued | BuildState::Preparing | BuildState::Building | BuildState::Pushing => StatusState::Pending,
    }
}

fn description(status: &PendingStatus) -> String {
    let what = match status.state {
        BuildState::Preparing | BuildState::Building | BuildState::Pushing => "building",
        BuildState::Succeeded => "built",
        BuildState::Superseded => "superseded",
        BuildState::Cancelled => "cancelled",
        BuildState::Skipped => "nothing to build",
        BuildState::TimedOut => "took too long",
        BuildState::Queued if status.description.is_empty() => "waiting for a worker",
        BuildState::Queued | BuildState::Failed | BuildState::Errored => "",
    };
    let text = match (what.is_empty(), status.description.is_empty()) {
        (true, _) => status.description.clone(),
        (false, true) => what.to_owned(),
        (false, false) => format!("{what}: {}", status.description),
    };
    // Forges show it as text, without links and mentions; what could change how it is read is taken out here.
    plain(text.as_bytes()).lines().next().unwrap_or_default().chars().take(MAX_DESCRIPTION).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::BuildId;

    fn described(text: &str) -> String {
        let build = BuildId::parse("bld_00000000000000000000000000000000").unwrap();
        description(&PendingStatus {
            id: 1,
            build,
            repository: "team/app".to_owned(),
            commit: "1".repeat(40),
            rule: "main".to_owned(),
            state: BuildState::Failed,
            description: text.to_owned(),
        })
    }

    #[test]
    fn a_description_is_one_line_of_text_whatever_others_wrote() {
        // SEC-30
        let text = "\x1b[31m\x1b]0;title\x07RUN **x** @everyone <b>\u{202e}\rnext\nthird";
        assert_eq!(described(text), "RUN **x** @everyone <b>\u{fffd}");
        assert_eq!(described(&"ä".repeat(1_000)).chars().count(), MAX_DESCRIPTION);
    }
}
