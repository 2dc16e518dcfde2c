//! Finds pushes that no delivery announced: forges lose deliveries, send none when many branches are pushed at once, and do
//! not repeat them while this server is down. Workers poll the refs of each repository, and a missed push becomes a delivery
//! of its own kind.

use crate::configuration::settings::Settings;
use crate::forges::Push;
use crate::intake::catalog::{Catalog, Entry};
use crate::intake::decision;
use database::{AnsweredRefPoll, Database, FoundPush, Looked, MissedPush, NewDelivery, RefMove, Trigger};
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::sync::watch::Receiver;

/// The forge of deliveries that no forge sent.
pub(crate) const NAME: &str = "reconcile";
/// How often polls of workers are read from the database.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// How often the repositories to poll are written again: another server may have written others.
const REANNOUNCE_INTERVAL: Duration = Duration::from_secs(60);
/// Polls that are compared at once.
const MAX_BATCH: u32 = 20;

/// Has workers poll the refs of all repositories every `pause`, 0 for never, and builds missed pushes, until `stopped`.
pub async fn find_missed_pushes(database: Database, settings: Settings, pause: Duration, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings);
    let mut announced = Announced::default();
    while !*stopped.borrow() {
        match look_and_build(&database, &catalog, pause, &mut announced).await {
            Ok(()) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot look for missed pushes");
            }
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

/// The repositories that this server announced last for polling.
#[derive(Default)]
struct Announced {
    when: Option<Instant>,
    all: Vec<Looked>,
}

impl Announced {
    /// Writes `all` if it differs from the last time, or if that was long ago, because a write delays others.
    async fn announce(
        &mut self,
        database: &Database,
        all: Vec<Looked>,
        pause: Duration,
    ) -> Result<(), database::Error> {
        if self.all != all || self.when.is_none_or(|when| when.elapsed() >= REANNOUNCE_INTERVAL) {
            database.look_at(&all, pause, self.when.is_none()).await?;
            *self = Announced { when: Some(Instant::now()), all };
        }
        Ok(())
    }
}

async fn look_and_build(
    database: &Database,
    catalog: &Catalog,
    pause: Duration,
    announced: &mut Announced,
) -> Result<(), database::Error> {
    let entries = catalog.all(database).await?;
    let looked = |entry: &std::sync::Arc<Entry>| Looked {
        repository: entry.repository.name.clone(),
        clone_url: entry.repository.clone_url.clone(),
    };
    let all: Vec<_> = entries.iter().filter(|_| !pause.is_zero()).map(looked).collect();
    announced.announce(database, all, pause).await?;
    for look in database.answered_ref_polls(MAX_BATCH).await? {
        // A repository that was removed meanwhile is skipped.
        let Some(entry) = entries.iter().find(|entry| entry.repository.name == look.repository) else { continue };
        let found = look.missed.iter().filter_map(|missed| found(entry, &look, missed)).collect();
        let settled = database.settle_ref_poll(&look, found).await?;
        if let Some(builds) = settled.filter(|_| !look.missed.is_empty()) {
            let (repo, missed) = (&look.repository, look.missed.len());
            tracing::warn!(repo, missed, builds = builds.len(), "found pushes that no delivery announced");
        }
    }
    Ok(())
}

/// Returns a delivery for a missed push; `None` if it would build nothing.
fn found(entry: &Entry, look: &AnsweredRefPoll, missed: &MissedPush) -> Option<FoundPush> {
    // Poll numbers restart when a repository is added again, but its deliveries stay.
    let id = format!("look-{}-{}-{}", look.asked_ms, look.attempt, missed.git_ref);
    let push = Push {
        git_ref: missed.git_ref.clone(),
        before: missed.before.clone(),
        after: Some(missed.after.clone()),
        commit: Some(missed.commit.clone()),
        message: missed.message.clone(),
        ..Push::default()
    };
    if decision::marked(&push).is_some() {
        return None;
    }
    let decided = decision::of(&entry.repository, &push, Trigger::Reconcile { delivery: id.clone() });
    if decided.builds.is_empty() && decided.rules_fetch.is_none() {
        return None;
    }
    let none = "0".repeat(missed.after.len());
    let body = json!({
        "ref": missed.git_ref, "before": missed.before.as_ref().unwrap_or(&none), "after": missed.after,
        "head_commit": { "id": missed.commit, "message": missed.message },
        "repository": { "full_name": entry.repository.forge_name }, "pusher": { "name": "" }, "look": look.attempt, "asked_ms": look.asked_ms,
    });
    let moved =
        RefMove { git_ref: missed.git_ref.clone(), before: missed.before.clone(), after: Some(missed.after.clone()) };
    let delivery = NewDelivery {
        forge: NAME.to_owned(),
        delivery: id,
        event: "push".to_owned(),
        repository: entry.repository.name.clone(),
        body: body.to_string().into_bytes(),
        ignored: None,
        explain: decided.explain,
        push: decision::pushed_ref(&push),
        closed: None,
        is_replay: false,
        has_own_id: true,
        moves: vec![moved],
        default_branch: None,
    };
    Some(FoundPush { delivery, requests: decided.builds, rules_fetch: decided.rules_fetch })
}
