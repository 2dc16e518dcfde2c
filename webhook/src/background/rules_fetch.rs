//! Turns fetched rules into builds: a worker has read the repository's own `slipway.toml` at the pushed commit.

use crate::configuration::document::own_rules;
use crate::configuration::settings::{Repository, Settings};
use crate::intake::build_requests::{BuildTrigger, Rules};
use crate::intake::catalog::Catalog;
use crate::rules::Rule;
use crate::rules::Schedule;
use database::{AnsweredRulesFetch, BuildRequest, Database, OwnSchedule, RulesFetchResult, Trigger};
use std::time::Duration;
use tokio::sync::watch::Receiver;

/// How often fetched rules are read from the database.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// Fetches that are read at once.
const MAX_BATCH: u32 = 20;

/// Turns fetched rules into builds until `stopped`.
pub async fn expand_fetched_rules(database: Database, settings: Settings, mut stopped: Receiver<bool>) {
    let catalog = Catalog::new(&settings);
    while !*stopped.borrow() {
        if let Err(error) = expand_answered(&database, &catalog).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "rules of repositories cannot be applied");
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, stopped.wait_for(|stopped| *stopped)).await;
    }
}

/// Turns rules that were fetched by now into builds.
pub(crate) async fn expand_answered(database: &Database, catalog: &Catalog) -> Result<(), database::Error> {
    for answered in database.answered_rules_fetches(MAX_BATCH).await? {
        let entry = catalog.get(database, &answered.rules_fetch.repository).await?;
        let found = match &entry {
            Some(entry) => expand(&entry.repository, &answered),
            None => Expanded::nothing("repository_removed", "the repository was removed meanwhile".to_owned()),
        };
        if let Some(schedules) = &found.schedules {
            database.keep_own_schedules(&answered, schedules).await?;
        }
        let begun = database.expand_rules_fetch(answered.id, &found.builds, found.ignored, &found.explain).await?;
        if let Some(builds) = begun {
            let (repo, reason) = (&answered.rules_fetch.repository, found.ignored);
            tracing::info!(repo, builds = builds.len(), reason, "a repository's own rules were applied");
        }
    }
    Ok(())
}

/// The builds of a file, or why there are none.
struct Expanded {
    builds: Vec<BuildRequest>,
    ignored: Option<&'static str>,
    explain: Vec<String>,
    /// The schedules of the file; `None` where it does not tell.
    schedules: Option<Vec<OwnSchedule>>,
}

impl Expanded {
    fn nothing(reason: &'static str, why: String) -> Expanded {
        Expanded { builds: Vec::new(), ignored: Some(reason), explain: vec![why], schedules: None }
    }
}

/// Applies the file's rules, or the server's where there is no file; a file that cannot be read builds nothing.
fn expand(repository: &Repository, answered: &AnsweredRulesFetch) -> Expanded {
    let rules_fetch = &answered.rules_fetch;
    let pull = rules_fetch.trigger.pull_request();
    let asked = BuildTrigger {
        git_ref: &rules_fetch.git_ref,
        // The commit of a rules fetch is where the rules stand, which for a pull request is not what is built.
        commit: pull.map_or(rules_fetch.commit.as_deref(), database::PullRequest::full_commit),
        message: &rules_fetch.commit_message,
        default_branch: None,
        trigger: rules_fetch.trigger.clone(),
    };
    let mut schedules = tells_schedules(&rules_fetch.trigger).then(Vec::new);
    let mut requested = match &answered.result {
        RulesFetchResult::Failed(reason) if reason.code == "ref_not_found" => {
            let why = format!("`{}`: {}", rules_fetch.path, reason.message);
            return Expanded { schedules, ..Expanded::nothing("rules_unreadable", why) };
        }
        RulesFetchResult::Failed(reason) => {
            return Expanded::nothing("rules_unreadable", format!("`{}`: {}", rules_fetch.path, reason.message));
        }
        RulesFetchResult::Missing => Rules::of(repository).requests(&asked),
        RulesFetchResult::Text(text) => match own_rules(repository, text) {
            Err(problem) => return Expanded::nothing("rules_invalid", format!("`{}`: {problem}", rules_fetch.path)),
            Ok((image, rules)) => {
                schedules = schedules.map(|_| of_branch(&rules, &rules_fetch.git_ref));
                Rules { repository, image: &image, rules: &rules }.requests(&asked)
            }
        },
    };
    requested.builds.retain(|build| rules_fetch.rule.as_ref().is_none_or(|rule| build.rule == *rule));
    let ignored = requested.builds.is_empty().then_some("no_rule_matched");
    Expanded { builds: requested.builds, ignored, explain: requested.explain, schedules }
}

/// Tells whether a file is that of the newest commit of its branch, for all that is known.
fn tells_schedules(trigger: &Trigger) -> bool {
    matches!(trigger, Trigger::Push { .. } | Trigger::Reconcile { .. } | Trigger::Schedule { .. })
}

/// Returns the schedules of rules for the branch or tag that the file stands on: other branches have files of their own.
fn of_branch(rules: &[Rule], git_ref: &str) -> Vec<OwnSchedule> {
    let own = rules.iter().filter(|rule| rule.only_ref().as_deref() == Some(git_ref));
    let one = |rule: &Rule, schedule: &Schedule| OwnSchedule {
        rule: rule.name.clone(),
        schedule: schedule.text().to_owned(),
    };
    own.flat_map(|rule| rule.schedules.iter().map(move |schedule| one(rule, schedule))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use database::{NewRulesFetch, Reason};

    fn expanded(result: RulesFetchResult) -> Expanded {
        let text =
            r#"{"name":"team/app","clone_url":"https://x/y.git","image":"r.example.com/team/app","own_rules":{}}"#;
        let document = crate::configuration::document::from_json(text.as_bytes()).unwrap();
        let repository = crate::configuration::document::compile(&document, Vec::new()).unwrap();
        let rules_fetch = NewRulesFetch {
            repository: "team/app".to_owned(),
            clone_url: "https://x/y.git".to_owned(),
            git_ref: "refs/heads/main".to_owned(),
            commit: Some("1".repeat(40)),
            commit_message: String::new(),
            trigger: Trigger::Push { delivery: "d".to_owned(), by: "me".to_owned() },
            path: "slipway.toml".to_owned(),
            rule: None,
        };
        expand(&repository, &AnsweredRulesFetch { id: 1, rules_fetch, result })
    }

    #[test]
    fn the_file_s_rules_are_applied_and_its_mistakes_told() {
        let file = |text: &str| expanded(RulesFetchResult::Text(text.to_owned()));
        let built = file("[[rules]]\nbranch = \"main\"\ntags = [\"{sha7}\"]\n");
        assert_eq!(built.builds[0].spec.tags, ["r.example.com/team/app:1111111"]);
        let none = file("[[rules]]\nbranch = \"other\"\n");
        assert_eq!((none.ignored, none.explain.len()), (Some("no_rule_matched"), 1));
        let wrong = file("[[rules]]\nbranhc = \"main\"\n");
        assert_eq!(wrong.ignored, Some("rules_invalid"));
        assert!(
            wrong.explain[0].contains("line 2, column 1: unknown key `branhc`; did you mean `branch`?"),
            "{:?}",
            wrong.explain
        );
        assert_eq!(expanded(RulesFetchResult::Missing).builds[0].spec.tags, ["r.example.com/team/app:latest"]);
        let reason = Reason { code: "x".to_owned(), message: "no such commit".to_owned() };
        assert_eq!(expanded(RulesFetchResult::Failed(reason)).ignored, Some("rules_unreadable"));
    }
}
