//! Repositories whose rules are their own: a worker reads them at what is asked for, and then they are as the server's are.

use super::request::TriggerRequest;
use crate::api::worker_queries;
use crate::configuration::document::own_rules;
use crate::configuration::settings::Repository;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use database::{FoundRules, NewRulesFetch, RulesFetchResult, Trigger};

/// A repository with the rules that stand at a commit.
pub(crate) struct AtCommit {
    /// The repository; its rules and image are those of the file, or the server's where there is no file.
    pub repository: Repository,
    /// Full name of the ref.
    pub git_ref: String,
    /// Full hash of its commit.
    pub commit: String,
    /// Whether there is a file.
    pub has_file: bool,
}

/// Reads the rules for what is asked; `None` if no worker did in time.
pub(crate) async fn read(
    service: &Service,
    repository: &Repository,
    request: &TriggerRequest,
) -> Result<Option<AtCommit>, Problem> {
    let commit = request.commit()?;
    let mut refs = request.refs(repository)?;
    // The rules say which ref a rule is for, and another ref may have other rules.
    for _ in 0..2 {
        let Some(found) = read_first(service, repository, &refs, commit).await? else { return Ok(None) };
        let meant = request.refs(&found.repository)?;
        if !request.names_no_ref() || request.names_no_rule() || meant.contains(&found.git_ref) {
            return Ok(Some(found));
        }
        refs = meant;
    }
    let detail =
        format!("the ref of the rule has other rules than `{}`; say with `ref` what to build", refs.join("`, `"));
    Err(Problem::new(Code::NoRuleMatched, detail))
}

/// Reads the rules at the first of `refs` that is there.
pub(crate) async fn read_first(
    service: &Service,
    repository: &Repository,
    refs: &[String],
    commit: Option<&str>,
) -> Result<Option<AtCommit>, Problem> {
    let Some(own) = &repository.own_rules else { return Ok(None) };
    let mut missing = None;
    for git_ref in refs {
        let rules_fetch = NewRulesFetch {
            repository: repository.name.clone(),
            clone_url: repository.clone_url.clone(),
            git_ref: git_ref.clone(),
            commit: commit.map(str::to_owned),
            commit_message: String::new(),
            trigger: Trigger::Manual { by: String::new() },
            path: own.path.clone(),
            rule: None,
        };
        let Some(found) = worker_queries::rules(service, &rules_fetch).await? else { return Ok(None) };
        match found.result {
            RulesFetchResult::Failed(reason) if reason.code == "ref_not_found" => {
                missing.get_or_insert(reason);
            }
            _ => return applied(repository, git_ref, found).map(Some),
        }
    }
    let message = missing.map(|reason| reason.message).unwrap_or_default();
    Err(Problem::new(Code::RefNotFound, message))
}

fn applied(repository: &Repository, git_ref: &str, found: FoundRules) -> Result<AtCommit, Problem> {
    let path = repository.own_rules.as_ref().map(|own| own.path.as_str()).unwrap_or_default();
    let commit = found.commit.unwrap_or_default();
    let refused = |code, problem: &str| {
        let place = if commit.is_empty() { path.to_owned() } else { format!("{path} at commit {commit}") };
        Problem::new(code, format!("`{place}`: {problem}"))
    };
    let mut repository = repository.clone();
    let mut has_file = false;
    match &found.result {
        RulesFetchResult::Failed(reason) => return Err(refused(Code::RulesUnreadable, &reason.message)),
        RulesFetchResult::Missing => {}
        RulesFetchResult::Text(text) => {
            let read = own_rules(&repository, text).map_err(|problem| refused(Code::RulesInvalid, &problem))?;
            (repository.image, repository.rules) = read;
            has_file = true;
        }
    }
    Ok(AtCommit { repository, git_ref: git_ref.to_owned(), commit, has_file })
}

/// Returns the problem of a request that needs the repository's own rules while no worker reads them.
pub(crate) fn no_worker(repository: &Repository) -> Problem {
    let path = repository.own_rules.as_ref().map(|own| own.path.as_str()).unwrap_or_default();
    let detail = format!("the rules stand in the repository's `{path}`, and no worker read it in time");
    Problem::new(Code::NoWorker, detail).hint("see whether a worker runs, then try again")
}
