//! Deliveries of GitHub about check runs: somebody pressed a button, or asks for a run once more.

use crate::forges::check::{CheckAction, CheckRequest};
use crate::forges::client::{Call, CallError, ForgeClient};
use crate::forges::forge::{Event, object};
use crate::forges::status::{encoded, repository_path};
use serde::Deserialize;

/// Events that only an App is delivered, and only its own secret signs.
pub(crate) const EVENTS: [&str; 2] = ["check_run", "check_suite"];

#[derive(Deserialize)]
struct Text {
    action: String,
    check_run: Option<Subject>,
    check_suite: Option<Subject>,
    requested_action: Option<Requested>,
    sender: Option<Account>,
}

/// A check run or check suite.
#[derive(Deserialize)]
struct Subject {
    head_sha: String,
    external_id: Option<String>,
    app: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    id: u64,
}

#[derive(Deserialize)]
struct Requested {
    identifier: String,
}

#[derive(Deserialize)]
struct Account {
    login: String,
}

/// Reads a payload; `created` and `completed` are what slipway itself did.
pub(crate) fn read(json: &[u8]) -> Result<Event, serde_json::Error> {
    let text: Text = serde_json::from_slice(json)?;
    let is_run = text.check_run.is_some();
    let action = match (text.action.as_str(), &text.requested_action) {
        ("rerequested", _) => Some(CheckAction::Retry),
        ("requested_action", Some(requested)) if is_run => CheckAction::parse(&requested.identifier),
        _ => return Ok(Event::Other),
    };
    let (Some(subject), Some(sender)) = (text.check_run.or(text.check_suite), text.sender) else {
        return Ok(Event::Other);
    };
    let (Some(commit), Some(app)) = (object(&subject.head_sha), subject.app) else { return Ok(Event::Other) };
    let build = is_run.then(|| subject.external_id.unwrap_or_default());
    Ok(Event::Check(Box::new(CheckRequest { app: app.id, commit, build, action, by: sender.login })))
}

#[derive(Deserialize)]
struct Permission {
    permission: String,
}

/// Tells whether a user may push to a repository, as the forge says.
pub(crate) async fn may_push(client: &ForgeClient<'_>, repository: &str, user: &str) -> Result<bool, CallError> {
    let (owner, name) = repository_path(repository).map_err(CallError::Refused)?;
    let path = format!("/repos/{owner}/{name}/collaborators/{}/permission", encoded(user));
    let body = match client.call(Call::get(path)).await {
        // The user is not a collaborator.
        Err(CallError::Refused(problem)) if problem.starts_with("HTTP 404") => return Ok(false),
        other => other?,
    };
    let unreadable = |_| CallError::Again("the forge's answer about the user cannot be read".to_owned());
    let said: Permission = serde_json::from_slice(&body).map_err(unreadable)?;
    Ok(matches!(said.permission.as_str(), "admin" | "write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(action: &str, kind: &str, more: &str) -> Event {
        let (one, id) = ("1".repeat(40), "bld_x");
        let text = format!(
            r#"{{"action":"{action}","{kind}":{{"head_sha":"{one}","external_id":"{id}","app":{{"id":7}}}},"sender":{{"login":"me"}}{more}}}"#
        );
        read(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_what_somebody_asks_for_is_a_request() {
        assert_eq!(request("created", "check_run", ""), Event::Other);
        assert_eq!(request("requested", "check_suite", ""), Event::Other);
        let Event::Check(run) = request("rerequested", "check_run", "") else { panic!() };
        assert_eq!((run.build.as_deref(), run.action, run.app), (Some("bld_x"), Some(CheckAction::Retry), 7));
        let Event::Check(suite) = request("rerequested", "check_suite", "") else { panic!() };
        assert_eq!(suite.build, None);
        for (identifier, action) in [("approve", Some(CheckAction::Approve)), ("deploy", None)] {
            let more = format!(r#","requested_action":{{"identifier":"{identifier}"}}"#);
            let Event::Check(pressed) = request("requested_action", "check_run", &more) else { panic!() };
            assert_eq!((pressed.action, pressed.by.as_str()), (action, "me"));
        }
    }
}
