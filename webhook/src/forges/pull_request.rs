//! Pull requests, as GitHub, Gitea, Forgejo and Gogs write them.

use super::forge::{Event, Pull, object};
use database::PullRequest;
use serde::Deserialize;
use serde::de::Error;

/// Reads a payload. Gogs does not say what the newest commit is: its worker finds it under the ref that the repository has for
/// the request.
pub(crate) fn read(json: &[u8]) -> Result<Event, serde_json::Error> {
    let text: PullText = serde_json::from_slice(json)?;
    let is_open = match text.action.as_str() {
        // Gitea's words have a `d` more.
        "opened" | "reopened" | "synchronize" | "synchronized" => true,
        "closed" => false,
        _ => return Ok(Event::Other),
    };
    let (Some(head), Some(base)) = (&text.pull_request.head, &text.pull_request.base) else {
        return Ok(text.of_gogs(is_open));
    };
    let commit = object(&head.sha)
        .ok_or_else(|| serde_json::Error::custom("`pull_request.head.sha` is not the full hash of a commit"))?;
    // A fork that was removed meanwhile is null.
    let of_repository = base.repo.as_ref().and_then(|repo| repo.id);
    let is_fork = of_repository.is_none() || head.repo.as_ref().and_then(|repo| repo.id) != of_repository;
    let git_ref = format!("refs/pull/{}/head", text.number);
    Ok(Event::Pull(Box::new(Pull {
        pull: PullRequest {
            number: text.number.into(),
            target: base.git_ref.clone(),
            git_ref,
            commit,
            source: None,
            is_fork,
        },
        is_open,
        may_be_unchanged: false,
        before: text.before.as_deref().and_then(object),
        target_commit: object(&base.sha),
        title: text.pull_request.title,
        by: text.sender.map(|sender| sender.login).unwrap_or_default(),
        default_branch: text.repository.and_then(|repository| repository.default_branch),
    })))
}

impl PullText {
    /// Returns the event of a pull request of Gogs.
    fn of_gogs(self, is_open: bool) -> Event {
        let Details { title, base_branch: Some(target), head_repo, base_repo, .. } = self.pull_request else {
            return Event::Other;
        };
        let of_repository = base_repo.and_then(|repo| repo.id);
        let is_fork = of_repository.is_none() || head_repo.and_then(|repo| repo.id) != of_repository;
        let git_ref = format!("refs/pull/{}/head", self.number);
        // Strangers could put another commit there once theirs is approved.
        let source = (!is_fork).then(|| git_ref.clone());
        let (number, commit) = (self.number.into(), String::new());
        Event::Pull(Box::new(Pull {
            pull: PullRequest { number, target, git_ref, commit, source, is_fork },
            is_open,
            title,
            by: self.sender.map(|sender| sender.login).unwrap_or_default(),
            default_branch: self.repository.and_then(|repository| repository.default_branch),
            ..Pull::default()
        }))
    }
}

#[derive(Debug, Deserialize)]
struct PullText {
    action: String,
    number: u32,
    pull_request: Details,
    /// The newest commit before; given when commits came.
    before: Option<String>,
    sender: Option<Account>,
    repository: Option<RepositoryText>,
}

#[derive(Debug, Deserialize)]
struct Details {
    #[serde(default)]
    title: String,
    head: Option<Side>,
    base: Option<Side>,
    /// Gogs has these in place of the two above.
    base_branch: Option<String>,
    head_repo: Option<RepositoryText>,
    base_repo: Option<RepositoryText>,
}

/// One of the two branches.
#[derive(Debug, Deserialize)]
struct Side {
    #[serde(rename = "ref")]
    git_ref: String,
    sha: String,
    repo: Option<RepositoryText>,
}

#[derive(Debug, Deserialize)]
struct RepositoryText {
    id: Option<u64>,
    default_branch: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Account {
    login: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_pull(action: &str, head: &str) -> Result<Event, serde_json::Error> {
        let text = format!(
            r#"{{"action":"{action}","number":7,"before":"{}","sender":{{"login":"me"}},"pull_request":{{"title":"T","head":{head},
            "base":{{"ref":"main","sha":"{}","repo":{{"id":1,"fork":true}}}}}},"repository":{{"id":1,"default_branch":"main"}}}}"#,
            "3".repeat(40),
            "2".repeat(40)
        );
        read(text.as_bytes())
    }

    #[test]
    fn forks_are_told_by_their_repository() {
        // WH-31: a repository that is itself a fork has pull requests of its own.
        let head = |repo: &str| format!(r#"{{"ref":"topic","sha":"{}","repo":{repo}}}"#, "1".repeat(40));
        for (repo, is_fork) in [(r#"{"id":1,"fork":true}"#, false), (r#"{"id":2}"#, true), ("{}", true), ("null", true)]
        {
            let Event::Pull(pull) = read_pull("synchronize", &head(repo)).unwrap() else { panic!() };
            assert_eq!(pull.pull.is_fork, is_fork, "{repo}");
            assert_eq!((pull.pull.git_ref.as_str(), pull.pull.target.as_str()), ("refs/pull/7/head", "main"));
            assert_eq!((pull.before.clone(), pull.target_commit.clone()), (Some("3".repeat(40)), Some("2".repeat(40))));
        }
    }

    #[test]
    fn gogs_tells_no_commit() {
        let told = |head: &str| {
            let text = format!(
                r#"{{"action":"synchronized","number":7,"sender":{{"login":"me"}},"repository":{{"id":1}},
                "pull_request":{{"title":"T","base_branch":"main","base_repo":{{"id":1}},"head_branch":"topic","head_repo":{head}}}}}"#
            );
            match read(text.as_bytes()).unwrap() {
                Event::Pull(pull) => pull.pull,
                other => panic!("{other:?}"),
            }
        };
        let own = told(r#"{"id":1}"#);
        assert_eq!(
            (own.target.as_str(), own.full_commit(), own.source.as_deref()),
            ("main", None, Some("refs/pull/7/head"))
        );
        assert!(!own.is_fork && told(r#"{"id":2}"#).is_fork && told("null").is_fork);
    }

    #[test]
    fn only_new_commits_and_the_end_count() {
        let head = format!(r#"{{"ref":"topic","sha":"{}","repo":null}}"#, "1".repeat(40));
        for (action, expected) in [("opened", true), ("reopened", true), ("synchronized", true), ("closed", false)] {
            let Event::Pull(pull) = read_pull(action, &head).unwrap() else { panic!("{action}") };
            assert_eq!(pull.is_open, expected, "{action}");
        }
        assert_eq!(read_pull("labeled", &head).unwrap(), Event::Other);
        assert_eq!(read_pull("opened", "null").unwrap(), Event::Other);
        assert!(read_pull("opened", r#"{"ref":"topic","sha":"--output=x","repo":null}"#).is_err());
        assert!(read(b"{}").is_err());
    }
}
