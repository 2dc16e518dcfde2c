//! Commit statuses on GitHub: `POST /repos/{owner}/{repo}/statuses/{sha}`.

use crate::forges::client::Call;
use crate::forges::status::{Status, StatusState, repository_path};
use serde_json::json;

/// Returns the request that sets a status.
pub(crate) fn status(status: &Status<'_>) -> Result<Call, String> {
    let (owner, name) = repository_path(status.repository)?;
    let state = match status.state {
        StatusState::Pending | StatusState::Running => "pending",
        StatusState::Success => "success",
        StatusState::Failure => "failure",
        StatusState::Error | StatusState::Cancelled => "error",
    };
    let body = json!({
        "state": state, "target_url": status.target_url, "description": status.description, "context": status.context,
    });
    Ok(Call::send("POST", format!("/repos/{owner}/{name}/statuses/{}", status.commit), body))
}
