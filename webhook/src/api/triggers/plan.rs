//! A dry run: what a trigger would build, and which steps would come from the cache. Nothing is stored or built.

use crate::api::worker_queries;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::{Requested, shown_values};
use database::{BuildRequest, Fate, Foreseen, QUESTION_PATIENCE, marks};
use serde_json::{Value, json};

/// Shows what would be built.
pub async fn plan(service: &Service, requested: &Requested) -> Result<axum::Json<Value>, Problem> {
    let foreseen = worker_queries::steps(service, &requested.builds).await?;
    let unanswered = foreseen.iter().filter(|foreseen| foreseen.is_none()).count();
    let builds: Vec<_> =
        requested.builds.iter().zip(foreseen).map(|(build, foreseen)| shown(build, foreseen)).collect();
    let mut plan = json!({ "would_build": true, "plan": builds, "explain": requested.explain });
    if unanswered > 0 {
        let seconds = QUESTION_PATIENCE.as_secs();
        plan["note"] = format!(
            "no worker answered for {unanswered} of {} builds within {seconds} s: which of their steps would be cached \
             is not known; see whether a worker runs (GET /v1/queue)",
            requested.builds.len()
        )
        .into();
    }
    Ok(axum::Json(plan))
}

fn shown(build: &BuildRequest, foreseen: Option<Foreseen>) -> Value {
    let commit = foreseen.as_ref().and_then(|foreseen| foreseen.commit.clone()).or(build.spec.commit.clone());
    let spec = commit.as_ref().map_or_else(|| build.spec.clone(), |commit| build.spec.with_commit(commit));
    let options = &spec.options;
    let mut shown = json!({
        "rule": build.rule, "ref": spec.git_ref, "commit": commit, "dockerfile": spec.dockerfile, "context": spec.context,
        "target": spec.target, "tags": spec.tags.iter().map(|tag| marks::shown(tag)).collect::<Vec<_>>(),
        "build_args": shown_values(&spec.build_args), "labels": shown_values(&options.labels),
        "platforms": options.platforms,
        "secrets": options.secrets, "policy": options.policy, "warnings": options.warnings,
        "cache": spec.use_cache, "push": spec.push, "steps": null, "would_fail": null,
    });
    let Some(foreseen) = foreseen else { return shown };
    let warnings = options.warnings.iter().chain(&foreseen.warnings);
    shown["warnings"] = warnings.map(String::as_str).collect();
    match foreseen.failure {
        Some(failure) => shown["would_fail"] = json!({ "code": failure.code, "message": failure.message }),
        None => {
            let step = |step: &database::ForeseenStep| {
                json!({
                    "n": step.number, "stage": step.stage, "instruction": step.instruction, "line": step.line,
                    "would_be": step.fate,
                })
            };
            shown["steps"] = foreseen.steps.iter().map(step).collect();
            let all = |fate: &Fate| matches!(fate, Fate::Cached | Fate::Setting);
            shown["all_cached"] = foreseen.steps.iter().all(|step| all(&step.fate)).into();
        }
    }
    shown
}
