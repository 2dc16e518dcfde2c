//! Commit statuses on GitLab: `POST /projects/{id}/statuses/{sha}`, shown as external jobs of a pipeline.

use crate::forges::client::Call;
use crate::forges::status::{Status, StatusState, encoded};
use serde_json::json;

/// Returns the request that sets a status. Groups nest, so a project's path has any number of parts.
pub(crate) fn status(status: &Status<'_>) -> Call {
    let mut body = json!({
        "state": state(status.state), "name": status.context, "target_url": status.target_url, "description": status.description,
    });
    // A commit that only a tag has is not found without its ref.
    let short = |git_ref: &str| {
        ["refs/heads/", "refs/tags/"].iter().find_map(|start| git_ref.strip_prefix(start)).map(str::to_owned)
    };
    if let Some(git_ref) = status.git_ref.and_then(short) {
        body["ref"] = git_ref.into();
    }
    Call::send("POST", format!("/projects/{}/statuses/{}", encoded(status.repository), status.commit), body)
}

fn state(state: StatusState) -> &'static str {
    match state {
        StatusState::Pending => "pending",
        StatusState::Running => "running",
        StatusState::Success => "success",
        StatusState::Failure | StatusState::Error => "failed",
        StatusState::Cancelled => "canceled",
    }
}

/// Returns the request again with the ref of a merge request: the commit of a fork is in no branch of the project. `None` if that
/// is not what a refusal is about.
pub(crate) fn with_merge_ref(status: &Status<'_>, call: &Call, problem: &str) -> Option<Call> {
    let git_ref = status.git_ref.filter(|git_ref| git_ref.starts_with("refs/merge-requests/"))?;
    let mut again = call.clone();
    again.body.as_mut().filter(|_| problem.contains("References for commit"))?["ref"] = git_ref.into();
    Some(again)
}

/// Tells whether a refusal says that the status is there already, or a later one: GitLab takes none twice.
pub(crate) fn is_already_told(status: &Status<'_>, problem: &str) -> bool {
    let Some((_, rest)) = problem.split_once("Cannot transition status via :") else { return false };
    let from = rest.split_once("from :").map(|(_, from)| from.split(|char: char| !char.is_ascii_alphabetic()).next());
    let from = from.flatten().unwrap_or_default();
    match status.state {
        StatusState::Pending => matches!(from, "pending" | "running"),
        StatusState::Running => from == "running",
        _ => from == state(status.state),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(state: StatusState, git_ref: Option<&'static str>) -> Status<'static> {
        Status {
            repository: "group/sub/app",
            commit: "1111111111111111111111111111111111111111",
            git_ref,
            state,
            target_url: "https://ci/x".to_owned(),
            description: "d".to_owned(),
            context: "slipway/main".to_owned(),
        }
    }

    #[test]
    fn a_project_is_named_by_its_encoded_path() {
        let call = status(&told(StatusState::Running, Some("refs/tags/v1")));
        assert_eq!(call.path, format!("/projects/group%2Fsub%2Fapp/statuses/{}", "1".repeat(40)));
        let body = call.body.unwrap();
        assert_eq!((&body["state"], &body["ref"]), (&json!("running"), &json!("v1")));
        let pull = status(&told(StatusState::Cancelled, Some("refs/merge-requests/4/head"))).body.unwrap();
        assert_eq!((&pull["state"], pull.get("ref")), (&json!("canceled"), None));
        let fork = told(StatusState::Pending, Some("refs/merge-requests/4/head"));
        let again = |problem: &str| with_merge_ref(&fork, &status(&fork), problem);
        let said = again("HTTP 404: 404 References for commit Not Found").unwrap().body.unwrap();
        assert_eq!(said["ref"], "refs/merge-requests/4/head");
        assert!(again("HTTP 404: 404 Project Not Found").is_none());
    }

    #[test]
    fn what_gitlab_knows_already_is_told() {
        let refusal = "HTTP 400: Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")";
        assert!(is_already_told(&told(StatusState::Running, None), refusal));
        let late = "HTTP 400: Cannot transition status via :enqueue from :running (Reason(s): …)";
        assert!(is_already_told(&told(StatusState::Pending, None), late));
        let other = "HTTP 400: Cannot transition status via :drop from :success (Reason(s): …)";
        assert!(!is_already_told(&told(StatusState::Failure, None), other));
        assert!(!is_already_told(&told(StatusState::Running, None), "HTTP 400: name is too long"));
    }
}
