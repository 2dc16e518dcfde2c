//! Repeats the newest build of each branch when a linked repository has a newer image.

use super::base_images::is_wanted;
use crate::configuration::settings::Settings;
use crate::intake::catalog::{Catalog, Entry};
use database::{Database, Trigger};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often images of linked repositories are compared with builds.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The links of each repository that has some.
type Links<'c> = BTreeMap<&'c str, &'c [String]>;

/// Repeats builds after those of linked repositories until `stopped`.
pub async fn follow_links(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings);
    let mut told = BTreeSet::new();
    while !*stopped.borrow() {
        if let Err(error) = follow(&database, &catalog, &mut told).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "links of repositories cannot be followed");
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

async fn follow(database: &Database, catalog: &Catalog, told: &mut BTreeSet<String>) -> Result<(), database::Error> {
    let entries = catalog.all(database).await?;
    let linked = entries.iter().filter(|entry| !entry.repository.links.is_empty());
    let links: Links<'_> =
        linked.map(|entry| (entry.document.name.as_str(), entry.repository.links.as_slice())).collect();
    let mut changed = BTreeMap::new();
    for entry in entries.iter().filter(|entry| !entry.repository.links.is_empty()) {
        let name = &entry.document.name;
        if is_in_circle(name, &links) {
            if told.insert(name.clone()) {
                tracing::warn!(repo = name, "links lead back to the repository: none of them is followed");
            }
            continue;
        }
        told.remove(name);
        for link in &entry.repository.links {
            if !changed.contains_key(link) {
                changed.insert(link.clone(), database.image_changed_ms(link).await?);
            }
        }
        rebuild(database, entry, &changed).await?;
    }
    Ok(())
}

/// Repeats the builds that were begun before a linked repository had its image.
async fn rebuild(
    database: &Database,
    entry: &Arc<Entry>,
    changed: &BTreeMap<String, Option<i64>>,
) -> Result<(), database::Error> {
    for build in database.newest_builds(&entry.document.name).await?.iter().filter(|build| is_wanted(entry, build)) {
        // With its group each target is repeated.
        if build.request.group().is_some() {
            continue;
        }
        let is_newer = |link: &&String| changed.get(*link).copied().flatten().is_some_and(|at| at > build.created_ms);
        let repositories: Vec<String> = entry.repository.links.iter().filter(is_newer).cloned().collect();
        if repositories.is_empty() {
            continue;
        }
        let images = repositories.join(", ");
        let trigger = Trigger::Link { of: build.id.clone(), repositories };
        if let Some(id) = database.rebuild(&build.id, trigger).await? {
            let repo = &entry.document.name;
            tracing::info!(
                repo,
                build.id = id.as_str(),
                images,
                "linked repositories have newer images: a build is repeated"
            );
        }
    }
    Ok(())
}

/// Tells whether links lead from a repository back to it.
fn is_in_circle(name: &str, links: &Links<'_>) -> bool {
    let (mut reached, mut next) = (BTreeSet::new(), vec![name]);
    while let Some(at) = next.pop() {
        for link in links.get(at).copied().unwrap_or_default() {
            if link == name {
                return true;
            }
            if reached.insert(link.as_str()) {
                next.push(link);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_however_long() {
        let all = |links: &[&str]| links.iter().map(|link| (*link).to_owned()).collect::<Vec<_>>();
        let (own, two, three, back) = (all(&["t/own"]), all(&["t/three", "t/x"]), all(&["t/four"]), all(&["t/two"]));
        let links = Links::from([
            ("t/own", own.as_slice()),
            ("t/two", two.as_slice()),
            ("t/three", three.as_slice()),
            ("t/four", back.as_slice()),
            ("t/beside", back.as_slice()),
        ]);
        for (name, expected) in
            [("t/own", true), ("t/two", true), ("t/three", true), ("t/four", true), ("t/beside", false), ("t/x", false)]
        {
            assert_eq!(is_in_circle(name, &links), expected, "{name}");
        }
    }
}
