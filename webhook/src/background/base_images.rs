//! Repeats the newest build of each branch when a base image changes, for repositories that ask for it.

use crate::configuration::settings::Settings;
use crate::intake::catalog::{Catalog, Entry};
use database::{Build, Database, SeenImage, Trigger, WatchedImage};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tokio::sync::watch::Receiver;

/// How often builds are compared with the polls of workers.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How often the images to poll are written again: another server may have written others.
const REANNOUNCE_INTERVAL: Duration = Duration::from_secs(60);

/// Has workers poll base images every `pause`, 0 for never, and repeats builds, until `stopped`.
pub async fn rebuild_on_new_bases(
    database: Database,
    settings: Settings,
    pause: Duration,
    mut stopped: Receiver<bool>,
) {
    let catalog = Catalog::new(&settings);
    let mut announced: Option<(Instant, Vec<WatchedImage>)> = None;
    let pace = POLL_INTERVAL.min(pause);
    while !pause.is_zero() && !*stopped.borrow() {
        if let Err(error) = look_and_rebuild(&database, &catalog, pause, &mut announced).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "base images cannot be compared");
        }
        let _ = tokio::time::timeout(pace, stopped.wait_for(|stopped| *stopped)).await;
    }
}

async fn look_and_rebuild(
    database: &Database,
    catalog: &Catalog,
    pause: Duration,
    announced: &mut Option<(Instant, Vec<WatchedImage>)>,
) -> Result<(), database::Error> {
    let mut builds = Vec::new();
    for entry in catalog.all(database).await?.iter().filter(|entry| entry.repository.base_image_rebuild) {
        let newest = database.based_builds(&entry.repository.name).await?;
        builds.extend(newest.into_iter().filter(|build| is_wanted(entry, build)));
    }
    let all: BTreeSet<WatchedImage> = builds.iter().flat_map(watched).map(|(image, _)| image).collect();
    let all: Vec<WatchedImage> = all.into_iter().collect();
    if announced.as_ref().is_none_or(|(when, announced)| *announced != all || when.elapsed() >= REANNOUNCE_INTERVAL) {
        database.watch_base_images(&all, pause).await?;
        *announced = Some((Instant::now(), all));
    }
    let seen = database.seen_base_images().await?;
    for build in &builds {
        let references = changed(build, &seen);
        if references.is_empty() {
            continue;
        }
        let trigger = Trigger::BaseImage { of: build.id.clone(), references: references.clone() };
        if let Some(id) = database.rebuild(&build.id, trigger).await? {
            let (repo, images) = (&build.request.repository, references.join(", "));
            tracing::info!(repo, build.id = id.as_str(), images, "base images changed: a build is repeated");
        }
    }
    Ok(())
}

/// Tells whether the rule of a build still builds pushes.
pub(super) fn is_wanted(entry: &Entry, build: &Build) -> bool {
    let repository = &entry.repository;
    let rule = repository.rules.iter().find(|rule| rule.name == build.request.rule_alone());
    repository.own_rules.is_some() || rule.is_some_and(|rule| rule.autobuild)
}

/// Returns the images that a build was made from by their tags, with the digests they had: others never change.
fn watched(build: &Build) -> impl Iterator<Item = (WatchedImage, &str)> {
    let images = build.image.iter().flat_map(|image| &image.base_images);
    images.filter(|image| !image.reference.contains('@')).map(|image| {
        let watched = WatchedImage { reference: image.reference.clone(), platform: image.platform.clone() };
        (watched, image.digest.as_str())
    })
}

/// Returns the references of a build that name another image now.
fn changed(build: &Build, seen: &[SeenImage]) -> Vec<String> {
    let differs = |(image, digest): &(WatchedImage, &str)| {
        let known = seen.iter().find(|seen| seen.image == *image).and_then(|seen| seen.digest.as_deref());
        known.is_some_and(|known| known != *digest)
    };
    let references: BTreeSet<String> = watched(build).filter(differs).map(|(image, _)| image.reference).collect();
    references.into_iter().collect()
}

/// Returns what is known of the base images of a repository's newest builds.
pub(crate) async fn of_repository(database: &Database, repository: &str) -> Result<Vec<SeenImage>, database::Error> {
    let builds = database.based_builds(repository).await?;
    let used: BTreeSet<WatchedImage> = builds.iter().flat_map(watched).map(|(image, _)| image).collect();
    let mut seen = database.seen_base_images().await?;
    seen.retain(|seen| used.contains(&seen.image));
    // Tags are only looked up for repositories whose builds are repeated; the others' images are known all the same.
    let unseen = used.into_iter().filter(|image| !seen.iter().any(|seen| seen.image == *image));
    let unseen: Vec<_> = unseen.map(|image| SeenImage { image, digest: None, seen_ms: None, problem: None }).collect();
    seen.extend(unseen);
    Ok(seen)
}
