//! Queues scheduled builds, each once however many servers run.

use crate::configuration::settings::{OwnRules, Repository, Settings};
use crate::intake::build_requests::{BuildTrigger, Rules};
use crate::intake::catalog::Catalog;
use crate::rules::Rule;
use crate::rules::Schedule;
use database::{Database, NewRulesFetch, OwnSchedule, Trigger};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch::Receiver;

/// How often schedules are compared with the clock.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How late a scheduled build may begin: one that was due while no server ran is made up for if it is not older.
const MAX_DELAY: time::Duration = time::Duration::minutes(15);

/// A span of time in which schedules are due.
#[derive(Clone, Copy)]
struct Window {
    /// The last moment before it.
    after: OffsetDateTime,
    /// Its last moment.
    until: OffsetDateTime,
}

/// Begins what is due until `stopped`.
pub async fn run_schedules(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings);
    let mut from = OffsetDateTime::now_utc() - MAX_DELAY;
    while !*stopped.borrow() {
        let now = OffsetDateTime::now_utc();
        match begin_due(&database, &catalog, Window { after: from, until: now }).await {
            // A clock that was set back begins nothing twice: the database remembers.
            Ok(()) => from = now,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "cannot queue scheduled builds"),
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

/// Begins what was due in `window`.
async fn begin_due(database: &Database, catalog: &Catalog, window: Window) -> Result<(), database::Error> {
    for entry in catalog.all(database).await?.iter() {
        let repository = &entry.repository;
        for rule in &repository.rules {
            let (Some(due), Some(git_ref)) = (last_of(&rule.schedules, window), rule.only_ref()) else { continue };
            match &repository.own_rules {
                None => begin(database, repository, rule, &git_ref, due).await?,
                Some(own) => begin_own(database, repository, own, &git_ref, &rule.name, due).await?,
            }
        }
        if let Some(own) = &repository.own_rules {
            begin_own_file(database, repository, own, window).await?;
        }
    }
    Ok(())
}

/// Begins what is due by the repository's own file, as it stood at the last push of each ref.
async fn begin_own_file(
    database: &Database,
    repository: &Repository,
    own: &OwnRules,
    window: Window,
) -> Result<(), database::Error> {
    for (git_ref, schedules) in database.own_schedules(&repository.name).await? {
        for OwnSchedule { rule, schedule } in &schedules {
            // Another version of slipway may not understand a schedule that an earlier one stored.
            let Ok(schedule) = schedule.parse::<Schedule>() else { continue };
            if let Some(due) = last_due(&schedule, window) {
                begin_own(database, repository, own, &git_ref, rule, due).await?;
            }
        }
    }
    Ok(())
}

/// Returns the last of several moments: if some were missed, the others would build the same.
fn last_of(schedules: &[Schedule], window: Window) -> Option<OffsetDateTime> {
    schedules.iter().filter_map(|schedule| last_due(schedule, window)).max()
}

fn last_due(schedule: &Schedule, window: Window) -> Option<OffsetDateTime> {
    let mut last = None;
    let mut at = window.after;
    while let Some(next) = schedule.next_after(at).filter(|next| *next <= window.until) {
        (last, at) = (Some(next), next);
    }
    last
}

async fn begin(
    database: &Database,
    repository: &Repository,
    rule: &Rule,
    git_ref: &str,
    due: OffsetDateTime,
) -> Result<(), database::Error> {
    let due_ms = due.unix_timestamp() * 1000;
    let trigger = Trigger::Schedule { due_ms };
    let asked = BuildTrigger { git_ref, commit: None, message: "", default_branch: None, trigger };
    let mut requested = Rules::of(repository).requests(&asked);
    requested.builds.retain(|build| build.rule == rule.name);
    let begun = database.begin_schedule(&repository.name, &rule.name, due_ms, &requested.builds).await?;
    if let Some(builds) = begun {
        tracing::info!(repo = repository.name, rule = rule.name, builds = builds.len(), "a scheduled build was queued");
    }
    Ok(())
}

/// Lets a worker read the repository's own rules, of which one is due.
async fn begin_own(
    database: &Database,
    repository: &Repository,
    own: &OwnRules,
    git_ref: &str,
    rule: &str,
    due: OffsetDateTime,
) -> Result<(), database::Error> {
    let due_ms = due.unix_timestamp() * 1000;
    let rules_fetch = NewRulesFetch {
        repository: repository.name.clone(),
        clone_url: repository.clone_url.clone(),
        git_ref: git_ref.to_owned(),
        commit: None,
        commit_message: String::new(),
        trigger: Trigger::Schedule { due_ms },
        path: own.path.clone(),
        rule: Some(rule.to_owned()),
    };
    if database.begin_own_schedule(&rules_fetch, rule, due_ms).await? {
        tracing::info!(
            repo = repository.name,
            rule,
            git_ref,
            "a repository's own rules are read for a scheduled build"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn what_was_missed_is_made_up_for_once() {
        let schedule: Schedule = "*/5 * * * *".parse().unwrap();
        let (from, now) = (datetime!(2026-11-25 12:00 UTC), datetime!(2026-11-25 12:14 UTC));
        assert_eq!(last_due(&schedule, Window { after: from, until: now }), Some(datetime!(2026-11-25 12:10 UTC)));
        assert_eq!(last_due(&schedule, Window { after: now, until: datetime!(2026-11-25 12:14:59 UTC) }), None);
        let later = datetime!(2026-11-25 12:15 UTC);
        assert_eq!(last_due(&schedule, Window { after: now, until: later }), Some(later));
    }

    const REPOSITORY: &str = r#"
        [[repositories]]
        name = "team/app"
        clone_url = "https://example.com/team/app.git"
        image = "127.0.0.1:5000/team/app"
    "#;

    /// Returns a database, and the settings of one repository with `more` in its table.
    async fn world(directory: &std::path::Path, more: &str) -> (Database, Settings) {
        let database = Database::open(&format!("sqlite://{}", directory.join("x.db").display())).await.unwrap();
        let configuration = crate::Configuration::parse(&format!("{REPOSITORY}{more}"), directory).unwrap();
        (database, configuration.settings(([127, 0, 0, 1], 80).into()).unwrap())
    }

    #[tokio::test]
    async fn two_servers_begin_a_scheduled_build_once() {
        let directory = tempfile::tempdir().unwrap();
        let rule = r#"
            [[repositories.rules]]
            branch = "main"
            tags = ["nightly"]
            autobuild = false
            schedules = ["0 3 * * *"]
        "#;
        let (database, settings) = world(directory.path(), rule).await;
        let window = Window { after: datetime!(2026-11-25 02:50 UTC), until: datetime!(2026-11-25 03:00:04 UTC) };
        for _ in 0..2 {
            begin_due(&database, &Catalog::new(&settings), window).await.unwrap();
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

    #[tokio::test]
    async fn a_schedule_in_the_repository_s_own_file_is_kept_until_the_file_says_otherwise() {
        let directory = tempfile::tempdir().unwrap();
        let (database, settings) = world(directory.path(), "own_rules = {}").await;
        let catalog = Catalog::new(&settings);
        let file = "[[rules]]\nname = \"nightly\"\nbranch = \"main\"\ntags = [\"nightly\"]\nautobuild = false\nschedules = [\"0 3 * * *\"]\n\
            [[rules]]\nname = \"main\"\nbranch = \"main\"\n[[rules]]\nbranch = \"other\"\nschedules = [\"0 3 * * *\"]\n";
        let own = settings.repositories[0].1.own_rules.clone().unwrap();
        let answer = async |text: &str| {
            let claim = database.claim_rules_fetch("one").await.unwrap().expect("a rules fetch");
            let rules_fetch = claim.rules_fetch.clone();
            database.finish_rules_fetch(claim, &database::RulesFetchResult::Text(text.to_owned())).await.unwrap();
            crate::background::rules_fetch::expand_answered(&database, &catalog).await.unwrap();
            rules_fetch
        };
        let push = NewRulesFetch {
            repository: "team/app".to_owned(),
            clone_url: "https://example.com/team/app.git".to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            commit: Some("1".repeat(40)),
            commit_message: String::new(),
            trigger: Trigger::Push { delivery: "d".to_owned(), by: "me".to_owned() },
            path: own.path.clone(),
            rule: None,
        };
        database.add_rules_fetch(&push).await.unwrap();
        answer(file).await;
        let night = Window { after: datetime!(2026-11-25 02:50 UTC), until: datetime!(2026-11-25 03:00:04 UTC) };
        for _ in 0..2 {
            begin_due(&database, &catalog, night).await.unwrap();
        }
        let read = answer(file).await;
        assert_eq!(
            (read.git_ref.as_str(), read.commit, read.rule.as_deref()),
            ("refs/heads/main", None, Some("nightly"))
        );
        assert!(
            database.claim_rules_fetch("one").await.unwrap().is_none(),
            "it is due once, and only on the branch of the file"
        );
        let built = async || {
            let all = database.builds(&database::BuildFilter { limit: 10, ..Default::default() }).await.unwrap();
            all.into_iter().map(|build| build.request).collect::<Vec<_>>()
        };
        let all = built().await;
        assert_eq!(all.iter().map(|request| request.rule.as_str()).collect::<Vec<_>>(), ["nightly", "main"]);
        assert!(matches!(all[0].trigger, Trigger::Schedule { .. }) && matches!(all[1].trigger, Trigger::Push { .. }));
        // The next push takes the schedule away.
        database.add_rules_fetch(&push).await.unwrap();
        answer("[[rules]]\nname = \"nightly\"\nbranch = \"main\"\n").await;
        let next = Window { after: datetime!(2026-11-26 02:50 UTC), until: datetime!(2026-11-26 03:00:04 UTC) };
        begin_due(&database, &catalog, next).await.unwrap();
        assert!(database.claim_rules_fetch("one").await.unwrap().is_none());
    }
}
