//! Builds that are due: what rules say, once a moment however many servers look at the clock.

use crate::catalog::{Catalog, Entry};
use crate::requests::{Asked, Rules};
use crate::rules::Rule;
use crate::settings::Settings;
use database::{Database, Trigger};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch::Receiver;

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(5);
/// How late something may be begun: what was due while no server ran is made up for if it is not older.
const LATE: time::Duration = time::Duration::minutes(15);

/// Begins what is due until `stopped` says so.
pub async fn keep_schedules(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings.repositories);
    let mut from = OffsetDateTime::now_utc() - LATE;
    while !*stopped.borrow() {
        let now = OffsetDateTime::now_utc();
        match begin_due(&database, &catalog, (from, now)).await {
            // A clock that was set back begins nothing twice: the database remembers.
            Ok(()) => from = now,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "scheduled builds cannot be begun"),
        }
        let _ = tokio::time::timeout(LOOK, stopped.wait_for(|stopped| *stopped)).await;
    }
}

/// Begins what was due after `from` and not after `now`.
async fn begin_due(
    database: &Database,
    catalog: &Catalog,
    (from, now): (OffsetDateTime, OffsetDateTime),
) -> Result<(), database::Error> {
    for entry in catalog.all(database).await?.iter() {
        for rule in &entry.repository.rules {
            // Only the last of several moments that were missed: the others would build the same.
            let due = rule.schedules.iter().filter_map(|schedule| last_due(schedule, from, now)).max();
            if let Some(due) = due {
                begin(database, (entry, rule), due).await?;
            }
        }
    }
    Ok(())
}

fn last_due(schedule: &crate::cron::Schedule, from: OffsetDateTime, now: OffsetDateTime) -> Option<OffsetDateTime> {
    let mut last = None;
    let mut at = from;
    while let Some(next) = schedule.next_after(at).filter(|next| *next <= now) {
        (last, at) = (Some(next), next);
    }
    last
}

async fn begin(
    database: &Database,
    (entry, rule): (&Entry, &Rule),
    due: OffsetDateTime,
) -> Result<(), database::Error> {
    let Some(git_ref) = rule.only_ref() else { return Ok(()) };
    let due_ms = due.unix_timestamp() * 1000;
    let trigger = Trigger::Schedule { due_ms };
    let asked = Asked { git_ref: &git_ref, commit: None, message: "", default_branch: None, trigger };
    let repository = &entry.repository;
    let mut requested = Rules::of(repository).requests(&asked);
    requested.builds.retain(|build| build.rule == rule.name);
    let begun = database.begin_schedule(&repository.name, &rule.name, due_ms, &requested.builds).await?;
    if let Some(builds) = begun {
        tracing::info!(repo = repository.name, rule = rule.name, builds = builds.len(), "a scheduled build was queued");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let schedule = "*/5 * * * *".parse().unwrap();
        let (from, now) = (datetime!(2026-11-25 12:00 UTC), datetime!(2026-11-25 12:14 UTC));
        assert_eq!(last_due(&schedule, from, now), Some(datetime!(2026-11-25 12:10 UTC)));
        assert_eq!(last_due(&schedule, now, datetime!(2026-11-25 12:14:59 UTC)), None);
        assert_eq!(last_due(&schedule, now, datetime!(2026-11-25 12:15 UTC)), Some(datetime!(2026-11-25 12:15 UTC)));
    }

    #[tokio::test]
    async fn two_servers_begin_a_scheduled_build_once() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&format!("sqlite://{}", directory.path().join("x.db").display())).await.unwrap();
        let text = r#"
            [[repositories]]
            name = "team/app"
            clone_url = "https://example.com/team/app.git"
            image = "127.0.0.1:5000/team/app"
            [[repositories.rules]]
            branch = "main"
            tags = ["nightly"]
            autobuild = false
            schedules = ["0 3 * * *"]
        "#;
        let configuration = crate::Configuration::parse(text, directory.path()).unwrap();
        let settings = configuration.settings(([127, 0, 0, 1], 80).into()).unwrap();
        let window = (datetime!(2026-11-25 02:50 UTC), datetime!(2026-11-25 03:00:04 UTC));
        for _ in 0..2 {
            begin_due(&database, &Catalog::new(&settings.repositories), window).await.unwrap();
        }
        let builds = database.builds(&database::BuildFilter { limit: 10, ..Default::default() }).await.unwrap();
        assert_eq!(builds.len(), 1);
        let request = &builds[0].request;
        assert_eq!(
            (request.spec.git_ref.as_str(), &*request.spec.tags[0]),
            ("refs/heads/main", "127.0.0.1:5000/team/app:nightly")
        );
        assert!(matches!(request.trigger, Trigger::Schedule { .. }));
    }
}
