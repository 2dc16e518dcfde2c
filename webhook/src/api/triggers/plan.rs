//! A dry run: what a trigger would build, and which steps would come from the cache. Nothing is stored or built.

use crate::api::worker_queries;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::build_requests::Requested;
use crate::view::build::ReasonView;
use crate::view::text::{shown_values, word};
use crate::view::trigger::{PlanView, PlannedBuild, PlannedStep};
use database::{BuildRequest, DryRun, DryRunStep, StepForecast, WORKER_QUERY_TIMEOUT};

/// Shows what would be built.
pub(crate) async fn plan(service: &Service, requested: &Requested) -> Result<axum::Json<PlanView>, Problem> {
    let foreseen = worker_queries::steps(service, &requested.builds).await?;
    let unanswered = foreseen.iter().filter(|foreseen| foreseen.is_none()).count();
    let plan = requested.builds.iter().zip(foreseen).map(|(build, foreseen)| planned(build, foreseen)).collect();
    let note = (unanswered > 0).then(|| {
        let seconds = WORKER_QUERY_TIMEOUT.as_secs();
        format!(
            "no worker answered for {unanswered} of {} builds within {seconds} s: which of their steps would be cached \
             is not known; see whether a worker runs (GET /v1/queue)",
            requested.builds.len()
        )
    });
    Ok(axum::Json(PlanView { would_build: true, plan, explain: requested.explain.clone(), note }))
}

fn planned(build: &BuildRequest, foreseen: Option<DryRun>) -> PlannedBuild {
    let commit = foreseen.as_ref().and_then(|foreseen| foreseen.commit.clone()).or(build.spec.commit.clone());
    let spec = commit.as_ref().map_or_else(|| build.spec.clone(), |commit| build.spec.with_commit(commit));
    let options = &spec.options;
    let mut planned = PlannedBuild {
        rule: build.rule.clone(),
        tags: spec.shown_tags(),
        build_args: shown_values(&spec.build_args),
        labels: shown_values(&options.labels),
        platforms: options.platforms.clone(),
        secrets: options.secrets.clone(),
        policy: word(options.policy),
        warnings: options.warnings.clone(),
        git_ref: spec.git_ref,
        commit,
        dockerfile: spec.dockerfile,
        context: spec.context,
        target: spec.target,
        cache: spec.use_cache,
        push: spec.push,
        steps: None,
        would_fail: None,
        all_cached: None,
    };
    let Some(foreseen) = foreseen else { return planned };
    planned.warnings.extend(foreseen.warnings);
    match &foreseen.failure {
        Some(failure) => planned.would_fail = Some(ReasonView::from(failure)),
        None => {
            let is_cached = |step: &DryRunStep| matches!(step.fate, StepForecast::Cached | StepForecast::MetadataOnly);
            planned.all_cached = Some(foreseen.steps.iter().all(is_cached));
            planned.steps = Some(foreseen.steps.iter().map(step).collect());
        }
    }
    planned
}

fn step(step: &DryRunStep) -> PlannedStep {
    PlannedStep {
        n: step.number,
        stage: step.stage.clone(),
        instruction: step.instruction.clone(),
        line: step.line,
        would_be: word(step.fate),
    }
}
