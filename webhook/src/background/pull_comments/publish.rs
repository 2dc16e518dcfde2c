//! Publishes comments on pull requests from their outbox: to each forge on its own, beside its statuses.

use super::text::{CommentFacts, Told, comment};
use crate::api::worker_queries;
use crate::background::commit_statuses::{LaneEnd, Lanes};
use crate::configuration::forges::ForgeSettings;
use crate::configuration::settings::Settings;
use crate::forges::{CallError, Comment, Exchange, Exchanges, ForgeClient, Purpose, comments, current_name};
use crate::intake::catalog::{Catalog, Entry};
use database::{Build, BuildFilter, BuildSearch, BuildState, Database, ImagePair, PendingComment, StatusAnswer};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often the outbox is read.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Comments that are read from the outbox at once.
const MAX_BATCH: u32 = 50;
/// Builds of a pull request that are looked through for the newest of each rule.
const MAX_BUILDS: u32 = 100;
/// Rules that a comment tells of.
const MAX_RULES: usize = 10;

/// Publishes comments to forges.
struct Publisher {
    database: Database,
    settings: Settings,
    catalog: Catalog,
    exchanges: Exchanges,
}

/// Publishes comments on pull requests until `stopped`.
pub async fn publish_pull_comments(
    database: Database,
    settings: Settings,
    exchange: Arc<dyn Exchange>,
    mut stopped: Receiver<bool>,
) {
    let catalog = Catalog::new(&settings);
    let publisher = Arc::new(Publisher { database, catalog, settings, exchanges: Exchanges::new(exchange) });
    let mut lanes = Lanes::default();
    while !*stopped.borrow() {
        match publisher.due().await {
            Ok(due) => {
                for (lane, comments) in due {
                    if lanes.is_free(&lane) {
                        lanes.begin(lane, publisher.clone().publish_all(comments));
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
}

impl Publisher {
    /// Returns the comments that are due, by the forge that their repositories are on.
    async fn due(&self) -> Result<BTreeMap<String, Vec<PendingComment>>, database::Error> {
        let mut lanes: BTreeMap<String, Vec<PendingComment>> = BTreeMap::new();
        for comment in self.database.pending_comments(MAX_BATCH).await? {
            let entry = self.catalog.get(&self.database, &comment.repository).await?;
            match entry.as_ref().and_then(|entry| self.forge_of(entry)) {
                Some(forge) => lanes.entry(forge.host.clone()).or_default().push(comment),
                None => self.database.acknowledge_comment(&comment, None, &StatusAnswer::NotSent).await?,
            }
        }
        Ok(lanes)
    }

    fn forge_of(&self, entry: &Entry) -> Option<&ForgeSettings> {
        self.settings.forge_of(&entry.repository, Some("github"))
    }

    /// Publishes comments of one forge, until it does not answer.
    async fn publish_all(self: Arc<Self>, comments: Vec<PendingComment>) -> LaneEnd {
        let mut end = LaneEnd::Idle;
        for comment in comments {
            end = match self.publish(&comment).await {
                Ok(end) => end,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "a comment cannot be written");
                    LaneEnd::Idle
                }
            };
            if let LaneEnd::Unavailable(_) = end {
                break;
            }
        }
        end
    }

    async fn publish(&self, pending: &PendingComment) -> Result<LaneEnd, database::Error> {
        let entry = self.catalog.get(&self.database, &pending.repository).await?;
        let Some((entry, forge)) = entry.as_ref().and_then(|entry| Some((entry, self.forge_of(entry)?))) else {
            self.database.acknowledge_comment(pending, None, &StatusAnswer::NotSent).await?;
            return Ok(LaneEnd::Idle);
        };
        let text = self.text(pending).await?;
        let names = (entry.document.name.as_str(), entry.repository.forge_name.as_str());
        let name = &current_name(&self.exchanges, &self.database, forge, names).await?;
        let comment = Comment { repository: name, number: pending.number, text, nonce: &pending.nonce };
        let sent = match self.exchanges.client_for(forge, name, Purpose::Comments).await {
            Ok(client) => self.send(&client, pending, &comment).await?,
            Err(error) => Err(error),
        };
        let (id, answer, end) = match sent {
            Ok(id) => (Some(id), StatusAnswer::Taken, LaneEnd::Sent),
            Err(error) => {
                let end = match &error {
                    CallError::Unavailable(_, wait) => LaneEnd::Unavailable(*wait),
                    CallError::Refused(_) | CallError::Again(_) => LaneEnd::Sent,
                };
                let (repo, number, problem) = (&pending.repository, pending.number, error.problem().to_owned());
                tracing::warn!(repo, number, problem, "the forge refused a comment on a pull request");
                let told = error.with(&format!("the comment on pull request {number}"));
                (None, told.answer(), end)
            }
        };
        self.database.acknowledge_comment(pending, id.as_deref(), &answer).await?;
        Ok(end)
    }

    /// Posts the comment, or changes the one that is there; returns the forge's id of it.
    async fn send(
        &self,
        client: &ForgeClient<'_>,
        pending: &PendingComment,
        comment: &Comment<'_>,
    ) -> Result<Result<String, CallError>, database::Error> {
        let known = match &pending.comment_id {
            Some(id) => Ok(Some(id.clone())),
            None if pending.is_posting => comments::find(client, comment).await,
            None => Ok(None),
        };
        match known {
            Err(error) => return Ok(Err(error)),
            Ok(Some(id)) => match comments::change(client, comment, &id).await {
                Ok(true) => return Ok(Ok(id)),
                // Somebody removed it.
                Ok(false) => {}
                Err(error) => return Ok(Err(error)),
            },
            Ok(None) => {}
        }
        self.database.begin_comment(pending.id).await?;
        Ok(comments::post(client, comment).await)
    }

    async fn text(&self, pending: &PendingComment) -> Result<String, database::Error> {
        let told = self.told(pending).await?;
        let head = self.database.told_head(&pending.repository, &pending.git_ref).await?;
        Ok(comment(&CommentFacts {
            repository: &pending.repository,
            public_url: &self.settings.public_url,
            nonce: &pending.nonce,
            is_closed: head.is_none(),
            told: &told,
        }))
    }

    /// Returns the newest build of each rule that ended, with what it is compared with.
    async fn told(&self, pending: &PendingComment) -> Result<Vec<Told>, database::Error> {
        let filter = BuildFilter {
            repository: Some(pending.repository.clone()),
            search: BuildSearch { refs: vec![pending.git_ref.clone()], ..BuildSearch::default() },
            limit: MAX_BUILDS,
            ..BuildFilter::default()
        };
        let mut told: Vec<Told> = Vec::new();
        for build in self.database.builds(&filter).await? {
            let is_told = build.state.has_ended()
                && !matches!(build.state, BuildState::Cancelled | BuildState::Skipped | BuildState::Superseded);
            let is_known = told.iter().any(|known| known.build.request.rule == build.request.rule);
            if is_told && !is_known && told.len() < MAX_RULES {
                told.push(self.compared(build).await?);
            }
        }
        told.sort_by(|one, other| one.build.request.rule.cmp(&other.build.request.rule));
        Ok(told)
    }

    async fn compared(&self, build: Build) -> Result<Told, database::Error> {
        let Some(pull) = build.request.spec.options.pull.as_ref().filter(|_| build.image.is_some()) else {
            return Ok(Told { build, difference: None, against: None });
        };
        let branch = format!("refs/heads/{}", pull.target);
        let (repository, rule) = (&build.request.repository, &build.request.rule);
        let against = self.database.last_published(repository, rule, &branch).await?;
        let difference = match &against {
            Some(against) => {
                let (newer, older) = (build.id.clone(), against.id.clone());
                let pair = ImagePair { build: newer, against: older, platform: None };
                worker_queries::difference(&self.database, pair).await?
            }
            None => None,
        };
        Ok(Told { build, difference, against })
    }
}
