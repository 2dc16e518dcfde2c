//! Build statuses on Bitbucket: the cloud's `/commit/{sha}/statuses/build`, Data Center's `/commits/{sha}/builds`.

use crate::forges::client::Call;
use crate::forges::status::{Status, StatusState, repository_path};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Longest key of a status in the cloud.
const MAX_KEY: usize = 40;

/// Returns the request that sets a status in the cloud.
pub(crate) fn cloud_status(status: &Status<'_>) -> Result<Call, String> {
    let (workspace, name) = repository_path(status.repository)?;
    let state = match status.state {
        StatusState::Pending | StatusState::Running => "INPROGRESS",
        StatusState::Success => "SUCCESSFUL",
        StatusState::Failure | StatusState::Error => "FAILED",
        StatusState::Cancelled => "STOPPED",
    };
    let mut body = body(status, state);
    if let Some(branch) = status.git_ref.and_then(|git_ref| git_ref.strip_prefix("refs/heads/")) {
        body["refname"] = branch.into();
    }
    Ok(Call::send("POST", format!("/repositories/{workspace}/{name}/commit/{}/statuses/build", status.commit), body))
}

/// Returns the request that sets a status of Data Center.
pub(crate) fn data_center_status(status: &Status<'_>) -> Result<Call, String> {
    let (project, name) = repository_path(status.repository)?;
    let state = match status.state {
        StatusState::Pending | StatusState::Running => "INPROGRESS",
        StatusState::Success => "SUCCESSFUL",
        StatusState::Failure | StatusState::Error => "FAILED",
        StatusState::Cancelled => "CANCELLED",
    };
    let mut body = body(status, state);
    if let Some(git_ref) = status.git_ref.filter(|git_ref| git_ref.starts_with("refs/heads/")) {
        body["ref"] = git_ref.into();
    }
    Ok(Call::send("POST", format!("/projects/{project}/repos/{name}/commits/{}/builds", status.commit), body))
}

fn body(status: &Status<'_>, state: &str) -> Value {
    json!({
        "key": key(&status.context), "state": state, "name": status.context, "url": status.target_url,
        "description": status.description,
    })
}

/// Returns what tells a status from others: the context, or its beginning and a hash of it.
fn key(context: &str) -> String {
    if context.len() <= MAX_KEY {
        return context.to_owned();
    }
    let hash = hex::encode(&Sha256::digest(context)[..4]);
    let start: String = context.chars().filter(char::is_ascii).take(MAX_KEY - 9).collect();
    format!("{start}-{hash}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(context: &str) -> Status<'static> {
        Status {
            repository: "work/app",
            commit: "1111111111111111111111111111111111111111",
            git_ref: Some("refs/heads/main"),
            state: StatusState::Cancelled,
            target_url: "https://ci/x".to_owned(),
            description: "d".to_owned(),
            context: context.to_owned(),
        }
    }

    #[test]
    fn keys_are_short_and_differ() {
        let [one, other] = ["a", "b"].map(|end| format!("slipway/{}{end}", "rule-".repeat(12)));
        let (one, other) = (key(&one), key(&other));
        assert!(one.len() == MAX_KEY && other.len() == MAX_KEY && one != other, "{one} {other}");
        assert_eq!(key("slipway/main"), "slipway/main");
    }

    #[test]
    fn each_has_its_own_path_and_states() {
        let cloud = cloud_status(&told("slipway/main")).unwrap();
        let sha = "1".repeat(40);
        assert_eq!(cloud.path, format!("/repositories/work/app/commit/{sha}/statuses/build"));
        assert_eq!(cloud.body.as_ref().unwrap()["state"], "STOPPED");
        assert_eq!(cloud.body.unwrap()["refname"], "main");
        let server = data_center_status(&told("slipway/main")).unwrap();
        assert_eq!(server.path, format!("/projects/work/repos/app/commits/{sha}/builds"));
        assert_eq!(
            (&server.body.as_ref().unwrap()["state"], &server.body.as_ref().unwrap()["ref"]),
            (&json!("CANCELLED"), &json!("refs/heads/main"))
        );
        assert!(cloud_status(&Status { repository: "app", ..told("x") }).unwrap_err().contains("forge_name"));
    }
}
