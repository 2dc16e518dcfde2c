//! Publishes commit statuses from an outbox that was written together with each change of state.

use super::text::{StatusFacts, description, failed_step, line};
use crate::configuration::settings::Settings;
use crate::forges::{GithubStatuses, Status, StatusApi, StatusError, StatusState};
use crate::intake::catalog::{Catalog, Entry};
use database::{BuildState, CommitStatus, Database, PendingStatus, StatusAnswer};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Statuses that are read from the outbox at once.
const MAX_BATCH: u32 = 20;

/// Publishes statuses to forges.
struct Publisher {
    database: Database,
    settings: Settings,
    catalog: Catalog,
    /// Forges that take statuses.
    apis: Vec<Box<dyn StatusApi>>,
}

/// A repository, and the forge that it is on.
struct Addressed<'p> {
    api: &'p dyn StatusApi,
    entry: Arc<Entry>,
}

/// Publishes statuses until `stopped`.
pub async fn publish_statuses(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings.repositories);
    let publisher = Publisher { database, catalog, apis: apis(&settings), settings };
    while !*stopped.borrow() {
        if let Err(error) = publisher.publish_pending().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read or written");
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

/// Returns the forges of the configuration that take statuses.
fn apis(settings: &Settings) -> Vec<Box<dyn StatusApi>> {
    match GithubStatuses::new(&settings.github) {
        Ok(github) => github.into_iter().map(|github| Box::new(github) as Box<dyn StatusApi>).collect(),
        Err(error) => {
            tracing::error!(%error, "commit statuses cannot be published to GitHub");
            Vec::new()
        }
    }
}

impl Publisher {
    async fn publish_pending(&self) -> Result<(), database::Error> {
        for status in self.database.pending_statuses(MAX_BATCH).await? {
            let answer = self.publish(&status).await?;
            if let StatusAnswer::Again(problem) | StatusAnswer::Refused(problem) = &answer {
                let (repo, id) = (&status.repository, status.build.as_str());
                tracing::warn!(build.id = id, repo, problem, "the forge refused a status");
            }
            self.database.acknowledge_status(status.id, &answer).await?;
        }
        for status in self.database.pending_commit_statuses(MAX_BATCH).await? {
            let answer = self.publish_of_commit(&status).await?;
            if let StatusAnswer::Again(problem) | StatusAnswer::Refused(problem) = &answer {
                tracing::warn!(repo = status.repository, commit = status.commit, problem, "the forge refused a status");
            }
            self.database.acknowledge_commit_status(status.id, &answer).await?;
        }
        Ok(())
    }

    /// Returns the forge of a repository; `None` if it takes no statuses, so that the outbox does not grow for it.
    async fn addressed(
        &self,
        repository: &str,
        delivered_by: Option<&str>,
    ) -> Result<Option<Addressed<'_>>, database::Error> {
        if self.apis.is_empty() {
            return Ok(None);
        }
        let Some(entry) = self.catalog.get(&self.database, repository).await? else { return Ok(None) };
        let api = self.apis.iter().find(|api| api.serves(delivered_by, &entry.repository.clone_url));
        Ok(api.map(|api| Addressed { api: api.as_ref(), entry }))
    }

    async fn publish(&self, status: &PendingStatus) -> Result<StatusAnswer, database::Error> {
        let addressed = self.addressed(&status.repository, status.forge.as_deref()).await?;
        let Some(Addressed { api, entry }) = addressed else { return Ok(StatusAnswer::NotSent) };
        let sent = Status {
            repository: &entry.repository.forge_name,
            commit: &status.commit,
            state: state(status.state),
            target_url: format!("{}/builds/{}", self.settings.public_url, status.build.as_str()),
            description: self.description(status).await?,
            context: format!("slipway/{}", status.rule),
        };
        Ok(answer(api.publish(sent).await))
    }

    async fn publish_of_commit(&self, status: &CommitStatus) -> Result<StatusAnswer, database::Error> {
        let addressed = self.addressed(&status.repository, status.forge.as_deref()).await?;
        let Some(Addressed { api, entry }) = addressed else { return Ok(StatusAnswer::NotSent) };
        let sent = Status {
            repository: &entry.repository.forge_name,
            commit: &status.commit,
            state: StatusState::Failure,
            target_url: format!("{}/repos/{}", self.settings.public_url, status.repository),
            description: line(&status.description),
            context: "slipway".to_owned(),
        };
        Ok(answer(api.publish(sent).await))
    }

    async fn description(&self, status: &PendingStatus) -> Result<String, database::Error> {
        if !status.state.has_ended() {
            return Ok(description(&StatusFacts { status, build: None, steps: &[], output: b"" }));
        }
        let build = self.database.build(&status.build).await?.filter(|build| build.state == status.state);
        let steps = self.database.steps(&status.build).await?;
        let output = match failed_step(&steps) {
            Some(step) => self.database.last_output(&status.build, step.number).await?,
            None => Vec::new(),
        };
        Ok(description(&StatusFacts { status, build: build.as_ref(), steps: &steps, output: &output }))
    }
}

fn answer(published: Result<(), StatusError>) -> StatusAnswer {
    match published {
        Ok(()) => StatusAnswer::Taken,
        Err(StatusError::Refused(problem)) => StatusAnswer::Refused(problem),
        Err(StatusError::Unavailable(problem)) => StatusAnswer::Again(problem),
    }
}

fn state(state: BuildState) -> StatusState {
    match state {
        BuildState::Succeeded | BuildState::Superseded | BuildState::Skipped => StatusState::Success,
        BuildState::Failed | BuildState::TimedOut => StatusState::Failure,
        BuildState::Errored | BuildState::Cancelled => StatusState::Error,
        BuildState::Queued | BuildState::Preparing | BuildState::Building | BuildState::Pushing => StatusState::Pending,
    }
}
