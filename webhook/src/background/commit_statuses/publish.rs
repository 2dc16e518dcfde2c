//! Publishes commit statuses from an outbox that was written together with each change of state: in order, and to each forge
//! on its own.

use super::check::check;
use super::lanes::{LaneEnd, Lanes};
use super::text::{StatusFacts, description, failed_step, line};
use crate::configuration::forges::ForgeSettings;
use crate::configuration::settings::Settings;
use crate::forges::{
    CallError, Check, Exchange, Exchanges, Purpose, Status, StatusState, current_name, max_description, publish,
    publish_check,
};
use crate::intake::catalog::{Catalog, Entry};
use database::{BuildState, CommitStatus, Database, PendingStatus, StatusAnswer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// Statuses that are read from the outbox at once.
const MAX_BATCH: u32 = 20;
/// Repositories whose statuses are read at once.
const MAX_REPOSITORIES: usize = 500;
/// The lane of repositories that are on no forge of the configuration.
const NOWHERE: &str = "";

/// Publishes statuses to forges.
struct Publisher {
    database: Database,
    settings: Settings,
    catalog: Catalog,
    exchanges: Exchanges,
}

/// Publishes statuses until `stopped`.
pub async fn publish_statuses(
    database: Database,
    settings: Settings,
    exchange: Arc<dyn Exchange>,
    mut stopped: Receiver<bool>,
) {
    let catalog = Catalog::new(&settings);
    let exchanges = Exchanges::new(exchange);
    let publisher = Arc::new(Publisher { database, catalog, settings, exchanges });
    let mut lanes = Lanes::default();
    while !*stopped.borrow() {
        match publisher.due().await {
            Ok(due) => {
                for (lane, repositories) in due {
                    if lanes.is_free(&lane) {
                        let name = lane.clone();
                        lanes.begin(name, publisher.clone().publish_pending(lane, repositories));
                    }
                }
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read or written")
            }
        }
        tokio::select! {
            () = lanes.wait(), if !lanes.is_empty() => {}
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }
    // A status under way is sent again by the next server if its answer comes too late.
}

impl Publisher {
    /// Returns the repositories with statuses that are due, by the forge that they are on.
    async fn due(&self) -> Result<BTreeMap<String, Vec<String>>, database::Error> {
        let mut lanes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for repository in self.database.repositories_with_due_statuses().await? {
            let entry = self.catalog.get(&self.database, &repository).await?;
            // Only a company's own GitHub asks who delivers, and only it gives a mirror a lane.
            let host = entry.as_ref().and_then(|entry| self.host_of(entry));
            let lane = lanes.entry(host.unwrap_or(NOWHERE).to_owned()).or_default();
            if lane.len() < MAX_REPOSITORIES {
                lane.push(repository);
            }
        }
        Ok(lanes)
    }

    /// Publishes what is due of some repositories of one forge.
    async fn publish_pending(self: Arc<Self>, lane: String, repositories: Vec<String>) -> LaneEnd {
        let end = match lane.as_str() {
            // In one transaction, and not at once again: deliveries that are accepted meanwhile come first.
            NOWHERE => self.database.drop_due_statuses(&repositories).await.map(|()| LaneEnd::Idle),
            _ => self.publish_of(&repositories).await,
        };
        end.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read or written");
            LaneEnd::Idle
        })
    }

    async fn publish_of(&self, repositories: &[String]) -> Result<LaneEnd, database::Error> {
        let mut end = LaneEnd::Idle;
        for status in self.database.pending_statuses(Some(repositories), MAX_BATCH).await? {
            let sent = self.publish(&status).await?;
            let (repo, id) = (&status.repository, status.build.as_str());
            let answer = sent.answer();
            if let Some(problem) = answer.problem() {
                tracing::warn!(build.id = id, repo, problem, "the forge refused a status");
            }
            self.database.acknowledge_status(status.id, &answer).await?;
            end = sent.end();
            if let LaneEnd::Unavailable(_) = end {
                return Ok(end);
            }
        }
        for status in self.database.pending_commit_statuses(Some(repositories), MAX_BATCH).await? {
            let sent = self.publish_of_commit(&status).await?;
            let answer = sent.answer();
            if let Some(problem) = answer.problem() {
                tracing::warn!(repo = status.repository, commit = status.commit, problem, "the forge refused a status");
            }
            self.database.acknowledge_commit_status(status.id, &answer).await?;
            end = sent.end();
            if let LaneEnd::Unavailable(_) = end {
                return Ok(end);
            }
        }
        Ok(end)
    }

    /// Returns a repository and the forge that it is on; `None` if that is none of the configuration, so that the outbox
    /// does not grow for it.
    async fn addressed(
        &self,
        repository: &str,
        delivered_by: Option<&str>,
    ) -> Result<Option<(Arc<Entry>, &ForgeSettings)>, database::Error> {
        let Some(entry) = self.catalog.get(&self.database, repository).await? else { return Ok(None) };
        let forge = self.settings.forge_of(&entry.repository, delivered_by);
        Ok(forge.map(|forge| (entry, forge)))
    }

    async fn publish(&self, status: &PendingStatus) -> Result<Sent, database::Error> {
        let addressed = self.addressed(&status.repository, status.forge.as_deref()).await?;
        let Some((entry, forge)) = addressed else { return Ok(Sent::Nowhere) };
        let (description, check) = self.texts(status, forge).await?;
        let name = self.name(&entry, forge).await?;
        let sent = Status {
            repository: &name,
            commit: &status.commit,
            git_ref: Some(&status.git_ref),
            state: state(status.state),
            target_url: format!("{}/builds/{}", self.settings.public_url, status.build.as_str()),
            description,
            context: format!("{}/{}", self.context(&entry).await?, status.rule),
        };
        Ok(self.send(forge, status.delivered_by.as_deref(), &sent, &check).await)
    }

    async fn publish_of_commit(&self, status: &CommitStatus) -> Result<Sent, database::Error> {
        let delivered_by = status.forge.as_deref();
        let addressed = self.addressed(&status.repository, delivered_by).await?;
        let Some((entry, forge)) = addressed else { return Ok(Sent::Nowhere) };
        let name = self.name(&entry, forge).await?;
        let sent = Status {
            repository: &name,
            commit: &status.commit,
            git_ref: None,
            state: StatusState::Failure,
            target_url: format!("{}/repos/{}", self.settings.public_url, status.repository),
            description: line(&status.description, max_description(forge.kind)),
            context: self.context(&entry).await?,
        };
        let summary = "The commit got no build: its own rules cannot be used.".to_owned();
        let check = Check { external_id: "rules".to_owned(), summary, ..Check::default() };
        Ok(self.send(forge, delivered_by, &sent, &check).await)
    }

    /// Returns the beginning of the names of a repository's statuses. Several that are built from one of the forge have each
    /// its own name there, so that none takes the place of another's.
    async fn context(&self, entry: &Entry) -> Result<String, database::Error> {
        let all = self.catalog.all(&self.database).await?;
        let (name, host) = (&entry.repository.forge_name, self.host_of(entry));
        let mut same = all.iter().filter(|one| one.repository.forge_name.eq_ignore_ascii_case(name));
        let is_shared = same.any(|one| one.document.name != entry.document.name && self.host_of(one) == host);
        Ok(if is_shared { format!("slipway/{}", entry.document.name) } else { "slipway".to_owned() })
    }

    /// Returns the name that the forge has for a repository now.
    async fn name(&self, entry: &Entry, forge: &ForgeSettings) -> Result<String, database::Error> {
        let names = (entry.document.name.as_str(), entry.repository.forge_name.as_str());
        current_name(&self.exchanges, &self.database, forge, names).await
    }

    fn host_of(&self, entry: &Entry) -> Option<&str> {
        self.settings.forge_of(&entry.repository, Some("github")).map(|forge| forge.host.as_str())
    }

    async fn send(
        &self,
        forge: &ForgeSettings,
        delivered_by: Option<&str>,
        status: &Status<'_>,
        check: &Check,
    ) -> Sent {
        // A delivery is believed for the forge that signed it; plain git servers sign as none.
        if let Some(other) = delivered_by.filter(|by| ![forge.kind.delivers_as(), GENERIC].contains(by)) {
            let (host, kind) = (&forge.host, forge.kind.as_str());
            let problem = format!("`{host}` is a {kind}, and the delivery came as one of {other}: nothing was sent");
            return Sent::Told(Err(CallError::Refused(problem)));
        }
        if forge.app.get().is_none() {
            return Sent::Told(publish(&self.exchanges.client(forge), status).await);
        }
        let mut told = self.send_check(forge, status, check).await;
        if told.as_ref().is_err_and(|error| error.problem().starts_with("HTTP 401")) {
            // The token was revoked: another one is asked for, once.
            self.exchanges.forget(forge, status.repository);
            told = self.send_check(forge, status, check).await;
        }
        Sent::Told(told)
    }

    async fn send_check(&self, forge: &ForgeSettings, status: &Status<'_>, check: &Check) -> Result<(), CallError> {
        let client = self.exchanges.client_for(forge, status.repository, Purpose::Checks).await?;
        publish_check(&client, status, check).await
    }

    /// Returns the description of a status, and what a check run shows besides.
    async fn texts(&self, status: &PendingStatus, forge: &ForgeSettings) -> Result<(String, Check), database::Error> {
        let max = max_description(forge.kind);
        let told = |facts: &StatusFacts<'_>| (line(&description(facts), max), check(facts));
        if !status.state.has_ended() && forge.app.get().is_none() {
            return Ok(told(&StatusFacts { status, build: None, steps: &[], output: b"" }));
        }
        let build = self.database.build(&status.build).await?.filter(|build| build.state == status.state);
        if !status.state.has_ended() {
            return Ok(told(&StatusFacts { status, build: build.as_ref(), steps: &[], output: b"" }));
        }
        let steps = self.database.steps(&status.build).await?;
        let output = match failed_step(&steps) {
            Some(step) => self.database.last_output(&status.build, step.number).await?,
            None => Vec::new(),
        };
        Ok(told(&StatusFacts { status, build: build.as_ref(), steps: &steps, output: &output }))
    }
}

/// The forge of deliveries that a plain git server sends.
const GENERIC: &str = "generic";

/// The outcome for one status.
enum Sent {
    /// Its repository is on no forge of the configuration.
    Nowhere,
    /// A forge was asked.
    Told(Result<(), CallError>),
}

impl Sent {
    fn answer(&self) -> StatusAnswer {
        match self {
            Sent::Nowhere => StatusAnswer::NotSent,
            Sent::Told(Ok(())) => StatusAnswer::Taken,
            Sent::Told(Err(error)) => error.answer(),
        }
    }

    fn end(&self) -> LaneEnd {
        match self {
            Sent::Told(Err(CallError::Unavailable(_, wait))) => LaneEnd::Unavailable(*wait),
            _ => LaneEnd::Sent,
        }
    }
}

fn state(state: BuildState) -> StatusState {
    match state {
        BuildState::Succeeded | BuildState::Superseded | BuildState::Skipped => StatusState::Success,
        BuildState::Failed | BuildState::TimedOut => StatusState::Failure,
        BuildState::Errored => StatusState::Error,
        BuildState::Cancelled => StatusState::Cancelled,
        BuildState::Queued => StatusState::Pending,
        BuildState::Preparing | BuildState::Building | BuildState::Pushing => StatusState::Running,
    }
}
