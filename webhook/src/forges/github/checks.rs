//! Check runs on GitHub: `POST /repos/{owner}/{repo}/check-runs`, changed by `PATCH`, found again by their external id.

use crate::forges::check::{Annotation, Check, CheckAction};
use crate::forges::client::{Call, CallError, ForgeClient};
use crate::forges::status::{Status, StatusState, encoded, repository_path};
use serde::Deserialize;
use serde_json::{Value, json};

/// Annotations of one request; GitHub takes no more.
const MAX_ANNOTATIONS: usize = 50;

#[derive(Deserialize)]
struct Listed {
    check_runs: Vec<Known>,
}

/// A check run that is there.
#[derive(Deserialize)]
struct Known {
    id: u64,
    external_id: Option<String>,
    status: String,
    app: Option<Owner>,
}

#[derive(Deserialize)]
struct Owner {
    id: u64,
}

/// Creates the check run of a build, or changes the one that is there: the forge itself says which, so that a restart and an answer
/// that came too late make no second one.
pub(crate) async fn publish(client: &ForgeClient<'_>, status: &Status<'_>, check: &Check) -> Result<(), CallError> {
    let (owner, name) = repository_path(status.repository).map_err(CallError::Refused)?;
    let base = format!("/repos/{owner}/{name}");
    let query = format!("check_name={}&filter=all&per_page=100", encoded(&status.context));
    let body = client.call(Call::get(format!("{base}/commits/{}/check-runs?{query}", status.commit))).await?;
    let unreadable = |_| CallError::Again("the forge's list of check runs cannot be read".to_owned());
    let listed: Listed = serde_json::from_slice(&body).map_err(unreadable)?;
    let app = client.forge.app.get().map(|app| app.id);
    let is_ours = |known: &&Known| {
        known.external_id.as_deref() == Some(&check.external_id) && known.app.as_ref().map(|app| app.id) == app
    };
    let known = listed.check_runs.iter().filter(is_ours).max_by_key(|known| known.id);
    let mut document = document(status, check);
    // A run that was completed stays so: what begins again, after an approval, is another one.
    let call = match known.filter(|known| known.status != "completed" || document["status"] == "completed") {
        Some(known) => Call::send("PATCH", format!("{base}/check-runs/{}", known.id), document),
        None => {
            document["head_sha"] = status.commit.into();
            Call::send("POST", format!("{base}/check-runs"), document)
        }
    };
    client.call(call).await.map(drop)
}

fn document(status: &Status<'_>, check: &Check) -> Value {
    let annotations: Vec<Value> = check.annotations.iter().take(MAX_ANNOTATIONS).map(annotation).collect();
    let button = |action: &CheckAction| json!({ "label": action.label(), "description": action.description(), "identifier": action.as_str() });
    let actions: Vec<Value> = check.actions.iter().map(button).collect();
    let mut document = json!({
        "name": status.context, "external_id": check.external_id, "details_url": status.target_url,
        "output": { "title": status.description, "summary": check.summary, "annotations": annotations },
        "actions": actions,
    });
    match conclusion(status.state, check) {
        Some(conclusion) => {
            (document["status"], document["conclusion"]) = ("completed".into(), conclusion.into());
        }
        None if status.state == StatusState::Running => document["status"] = "in_progress".into(),
        None => document["status"] = "queued".into(),
    }
    for (key, moment) in [("started_at", &check.started_at), ("completed_at", &check.completed_at)] {
        if let Some(moment) = moment {
            document[key] = moment.as_str().into();
        }
    }
    document
}

fn conclusion(state: StatusState, check: &Check) -> Option<&'static str> {
    match state {
        StatusState::Pending if check.awaits_approval => Some("action_required"),
        StatusState::Pending | StatusState::Running => None,
        StatusState::Success if check.is_skipped => Some("skipped"),
        StatusState::Success => Some("success"),
        StatusState::Failure if check.is_timed_out => Some("timed_out"),
        StatusState::Failure | StatusState::Error => Some("failure"),
        StatusState::Cancelled => Some("cancelled"),
    }
}

fn annotation(annotation: &Annotation) -> Value {
    let level = if annotation.is_failure { "failure" } else { "warning" };
    json!({
        "path": annotation.path, "start_line": annotation.line, "end_line": annotation.line,
        "annotation_level": level, "message": annotation.message,
    })
}
