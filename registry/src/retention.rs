//! Retention: tags that no rule keeps are removed, and with them what only they led to.

use crate::Settings;
use crate::events::{EventKind, Source, Target};
use image_store::{Error, Part, Store};
use registry_client::{Digest, path_matches};
use std::collections::HashSet;
use std::time::{Duration, SystemTime};
use tokio::sync::watch::Receiver;

/// Time until the first look at the rules: a server that is restarted often removes tags, too.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// Time between two looks at the rules.
const POLL_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// A manifest that was put by digest within this time may still be on its way to its tag.
const YOUNG: Duration = Duration::from_secs(24 * 60 * 60);
/// A day.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The tags of some repositories that are kept; all others are removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionRule {
    /// Path of repositories, with `*` for a part of it and `**` for any number of parts.
    pub repositories: String,
    /// The newest tags, so many.
    pub keep_newest: usize,
    /// Tags that were set within so many days.
    pub keep_days: u32,
    /// Tags that match one of these, with `*` for any text.
    pub keep_tags: Vec<String>,
}

/// A name that was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedTag {
    /// The repository.
    pub repository: String,
    /// The tag, or the digest of what was put by digest alone.
    pub reference: String,
    /// The manifest that it named.
    pub digest: Digest,
}

struct Tag {
    name: String,
    digest: Digest,
    set_at: SystemTime,
}

/// Keeps to the rules until the server stops.
pub async fn keep_retention(store: Store, settings: Settings, mut stopped: Receiver<bool>) {
    if settings.retention.is_empty() {
        return;
    }
    let mut pause = FIRST_LOOK;
    loop {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return,
            () = tokio::time::sleep(pause) => pause = POLL_INTERVAL,
        }
        let (store, rules) = (store.clone(), settings.clone());
        let removed = tokio::task::spawn_blocking(move || apply_retention(&store, &rules, SystemTime::now())).await;
        match removed {
            Ok(Ok(removed)) => record(&settings, removed).await,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "old tags of the registry cannot be removed")
            }
            Err(error) => tracing::error!(%error, "removing old tags of the registry ended early"),
        }
    }
}

async fn record(settings: &Settings, removed: Vec<RemovedTag>) {
    for tag in removed {
        let change = database::NewChange {
            action: "retention",
            repository: tag.repository,
            reference: tag.reference,
            digest: tag.digest.to_string(),
            ..Default::default()
        };
        let target =
            Target { digest: Some(change.digest.clone()), ..Target::named(&change.repository, &change.reference) };
        let notifications = settings.notifications(EventKind::Delete, &target, &Source::default(), &change);
        settings.record(change, notifications).await;
    }
}

/// Removes what no rule keeps at `now`, and returns it. Of several rules for a repository the first counts.
pub fn apply_retention(store: &Store, settings: &Settings, now: SystemTime) -> Result<Vec<RemovedTag>, Error> {
    let mut removed = Vec::new();
    for repository in store.repositories()? {
        let rule = settings.retention.iter().find(|rule| path_matches(&rule.repositories, &repository));
        let Some(rule) = rule else { continue };
        for tag in superfluous(store, settings, &repository, rule, now)? {
            // A tag that was set meanwhile stays.
            let is_same = store.resolve(&repository, &tag.name)?.is_some_and(|there| there.digest == tag.digest);
            if is_same && store.delete_tag(&repository, &tag.name, settings.restore)? {
                if tag.name == tag.digest.as_str() {
                    store.expel(&repository, Part::Manifest, &tag.digest)?;
                }
                removed.push(RemovedTag { repository: repository.clone(), reference: tag.name, digest: tag.digest });
            }
        }
    }
    Ok(removed)
}

fn superfluous(
    store: &Store,
    settings: &Settings,
    repository: &str,
    rule: &RetentionRule,
    now: SystemTime,
) -> Result<Vec<Tag>, Error> {
    let (mut named, mut attached) = (Vec::new(), Vec::new());
    for name in store.tags(repository)? {
        let Some(descriptor) = store.resolve(repository, &name)? else { continue };
        let Some(set_at) = store.tagged_at(repository, &name)? else { continue };
        let is_attached = name.parse::<Digest>().is_ok() || subject_by_name(&name).is_some();
        let tag = Tag { name, digest: descriptor.digest, set_at };
        if is_attached { attached.push(tag) } else { named.push(tag) }
    }
    named.sort_by(|one, other| other.set_at.cmp(&one.set_at).then_with(|| one.name.cmp(&other.name)));
    let age = |tag: &Tag| now.duration_since(tag.set_at).unwrap_or_default();
    let mut kept = HashSet::new();
    let mut superfluous = Vec::new();
    for (place, tag) in named.into_iter().enumerate() {
        let is_kept = place < rule.keep_newest
            || age(&tag) < DAY * rule.keep_days
            || rule.keep_tags.iter().any(|pattern| path_matches(pattern, &tag.name))
            || settings.is_immutable(repository, &tag.name);
        if is_kept {
            kept.extend(store.documents_of(&tag.digest));
        } else {
            superfluous.push(tag);
        }
    }
    // A manifest that was put by digest stays with the index that names it, or with its subject; signatures have signatures of their own.
    loop {
        let before = attached.len();
        attached.retain(|tag| {
            let is_kept = age(tag) < YOUNG
                || kept.contains(&tag.digest)
                || subject_by_name(&tag.name).is_some_and(|subject| kept.contains(&subject))
                || store.subject(&tag.digest).is_some_and(|subject| kept.contains(&subject));
            if is_kept {
                kept.extend(store.documents_of(&tag.digest));
            }
            !is_kept
        });
        if attached.len() == before {
            break;
        }
    }
    superfluous.extend(attached);
    Ok(superfluous)
}

/// Returns the manifest that a tag such as `sha256-….sig` is about: clients use them where there are no referrers.
pub(crate) fn subject_by_name(tag: &str) -> Option<Digest> {
    Digest::from_hex(tag.strip_prefix("sha256-")?.get(..64)?)
}
