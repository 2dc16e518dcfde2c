//! Tells the forge what became of its commits: from an outbox that was written together with each change of state.

use super::forge::ToldForge;
use super::text::{Known, description, failed_step, line};
use crate::configuration::settings::Settings;
use crate::intake::catalog::{Catalog, Entry};
use database::{BuildState, CommitStatus, Database, PendingStatus, StatusAnswer};
use octocrab::Octocrab;
use octocrab::models::StatusState;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Statuses that are told at once.
const BATCH: u32 = 20;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Longest answer of a forge that is kept.
const MAX_PROBLEM: usize = 500;

/// Sends statuses to forges.
struct Teller {
    database: Database,
    settings: Settings,
    catalog: Catalog,
    forge: ToldForge,
    /// `None` without a token: then nobody is told.
    client: Option<Octocrab>,
}

/// A status as it is sent.
struct Sending<'s> {
    forge_name: &'s str,
    commit: &'s str,
    state: StatusState,
    target: String,
    description: String,
    context: String,
}

/// Tells statuses until `stopped` says so.
pub async fn tell_statuses(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let client = match client(&settings) {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "the forge cannot be told about builds");
            None
        }
    };
    let (catalog, forge) = (Catalog::new(&settings.repositories), ToldForge::of(&settings.forge.api_url));
    let teller = Teller { database, settings, catalog, forge, client };
    while !*stopped.borrow() {
        if let Err(error) = teller.tell_pending().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read or written");
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

fn client(settings: &Settings) -> Result<Option<Octocrab>, octocrab::Error> {
    let Some(token) = &settings.forge.token else { return Ok(None) };
    // Another crate may have chosen the same provider already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Octocrab::builder().base_uri(settings.forge.api_url.as_str())?.personal_token(token.clone()).build().map(Some)
}

impl Teller {
    async fn tell_pending(&self) -> Result<(), database::Error> {
        for status in self.database.pending_statuses(BATCH).await? {
            let answer = self.tell(&status).await?;
            if let StatusAnswer::Again(problem) | StatusAnswer::Refused(problem) = &answer {
                let (repo, id) = (&status.repository, status.build.as_str());
                tracing::warn!(build.id = id, repo, problem, "the forge refused a status");
            }
            self.database.acknowledge_status(status.id, &answer).await?;
        }
        for status in self.database.pending_commit_statuses(BATCH).await? {
            let answer = self.tell_of_commit(&status).await?;
            if let StatusAnswer::Again(problem) | StatusAnswer::Refused(problem) = &answer {
                tracing::warn!(repo = status.repository, commit = status.commit, problem, "the forge refused a status");
            }
            self.database.acknowledge_commit_status(status.id, &answer).await?;
        }
        Ok(())
    }

    /// Returns the client if the repository is on the forge that is told: what others have is not GitHub's business, and the
    /// outbox does not grow for them.
    async fn addressed(
        &self,
        (repository, forge): (&str, Option<&str>),
    ) -> Result<Option<(&Octocrab, std::sync::Arc<Entry>)>, database::Error> {
        let Some(client) = &self.client else { return Ok(None) };
        let Some(entry) = self.catalog.get(&self.database, repository).await? else { return Ok(None) };
        let is_there = self.forge.has(forge, &entry.repository.clone_url);
        Ok(is_there.then_some((client, entry)))
    }

    async fn tell(&self, status: &PendingStatus) -> Result<StatusAnswer, database::Error> {
        let addressed = self.addressed((&status.repository, status.forge.as_deref())).await?;
        let Some((client, entry)) = addressed else { return Ok(StatusAnswer::NotSent) };
        let sending = Sending {
            forge_name: &entry.repository.forge_name,
            commit: &status.commit,
            state: state(status.state),
            target: format!("{}/builds/{}", self.settings.public_url, status.build.as_str()),
            description: self.description(status).await?,
            context: format!("slipway/{}", status.rule),
        };
        Ok(sending.send(client).await)
    }

    async fn tell_of_commit(&self, status: &CommitStatus) -> Result<StatusAnswer, database::Error> {
        let addressed = self.addressed((&status.repository, status.forge.as_deref())).await?;
        let Some((client, entry)) = addressed else { return Ok(StatusAnswer::NotSent) };
        let sending = Sending {
            forge_name: &entry.repository.forge_name,
            commit: &status.commit,
            state: StatusState::Failure,
            target: format!("{}/repos/{}", self.settings.public_url, status.repository),
            description: line(&status.description),
            context: "slipway".to_owned(),
        };
        Ok(sending.send(client).await)
    }

    async fn description(&self, status: &PendingStatus) -> Result<String, database::Error> {
        if !status.state.has_ended() {
            return Ok(description(&Known { status, build: None, steps: &[], output: b"" }));
        }
        let build = self.database.build(&status.build).await?.filter(|build| build.state == status.state);
        let steps = self.database.steps(&status.build).await?;
        let output = match failed_step(&steps) {
            Some(step) => self.database.last_output(&status.build, step.number).await?,
            None => Vec::new(),
        };
        Ok(description(&Known { status, build: build.as_ref(), steps: &steps, output: &output }))
    }
}

impl Sending<'_> {
    async fn send(self, client: &Octocrab) -> StatusAnswer {
        let Some((owner, name)) = self.forge_name.split_once('/') else {
            let detail = format!("`{}` is not `owner/name`: set `forge_name`", self.forge_name);
            return StatusAnswer::Refused(detail);
        };
        let sending = async {
            let repos = client.repos(owner, name);
            let builder = repos.create_status(self.commit.to_owned(), self.state);
            builder.target(self.target).description(self.description).context(self.context).send().await
        };
        match tokio::time::timeout(TIMEOUT, sending).await {
            Ok(Ok(_)) => StatusAnswer::Taken,
            // It was accepted: what the answer holds besides is of no interest, and servers differ in it.
            Ok(Err(octocrab::Error::Json { .. } | octocrab::Error::Serde { .. })) => StatusAnswer::Taken,
            Ok(Err(error)) if is_final(&error) => StatusAnswer::Refused(words(&error)),
            Ok(Err(error)) => StatusAnswer::Again(words(&error)),
            Err(_) => StatusAnswer::Again(format!("no answer within {} seconds", TIMEOUT.as_secs())),
        }
    }
}

/// Returns a refusal in the forge's own words.
fn words(error: &octocrab::Error) -> String {
    let text = match error {
        octocrab::Error::GitHub { source, .. } => {
            let more =
                source.errors.iter().flatten().map(|one| match one.get("message").and_then(|text| text.as_str()) {
                    Some(text) => text.to_owned(),
                    None => one.to_string(),
                });
            let more: Vec<String> = more.collect();
            let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
            format!("HTTP {}: {}{more}", source.status_code.as_u16(), source.message)
        }
        other => {
            let mut cause: &dyn std::error::Error = other;
            while let Some(inner) = cause.source() {
                cause = inner;
            }
            cause.to_string()
        }
    };
    let text = crate::view::text::plain(database::redact(&text).as_bytes()).replace('\n', " ");
    text.chars().take(MAX_PROBLEM).collect()
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
