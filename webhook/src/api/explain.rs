//! `/v1/builds/{id}/explain`: why each step of a build was executed, compared with an earlier build.

use super::builds::find;
use crate::api::query::query;
use crate::api::worker_queries;
use crate::http::answer;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::comparison::ExplanationView;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::{
    Build, BuildFilter, BuildState, Explained, ExplainedStep, Step, StepState, WORKER_QUERY_TIMEOUT, Was, Why,
};
use serde::Deserialize;

/// Query of an explanation.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ExplainQuery {
    against: Option<String>,
}

/// An explanation, and the build that was compared with.
pub(crate) struct Explanation {
    /// The comparison.
    pub explained: Explained,
    /// The earlier build, if there is one.
    pub against: Option<Build>,
}

/// Says why each step of a build was executed or taken from the cache.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    Path(id): Path<String>,
    wanted: Result<Query<ExplainQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let against = query(wanted)?.against;
    let build = find(&service, &caller, &id).await?;
    let found = explain(&service, &caller, &build, against.as_deref()).await?;
    let Explanation { explained, against } = &found;
    let view = ExplanationView::new(&build, against.as_ref(), explained);
    Ok(answer::document(&headers, &view))
}

/// Compares a build that ended with `against`, or with the newest earlier one of its rule that succeeded.
pub(crate) async fn explain(
    service: &Service,
    caller: &Caller,
    build: &Build,
    against: Option<&str>,
) -> Result<Explanation, Problem> {
    ended(build)?;
    let against = match against {
        Some(id) => Some(chosen(service, caller, build, id).await?),
        None => earlier(service, build).await?,
    };
    let Some(against) = against else {
        let steps = service.database.steps(&build.id).await?;
        let explained = Explained { steps: steps.iter().map(first).collect(), ..Explained::default() };
        return Ok(Explanation { explained, against: None });
    };
    let explained = worker_queries::explanation(service, &build.id, &against.id).await?.ok_or_else(|| {
        let seconds = WORKER_QUERY_TIMEOUT.as_secs();
        let detail = format!("no worker compared the builds within {seconds} s");
        Problem::new(Code::NoAnswer, detail).hint("see whether a worker runs: GET /v1/queue")
    })?;
    if let Some(failure) = &explained.failure {
        let detail = format!("the builds can no longer be compared: {}", failure.message);
        return Err(
            Problem::new(Code::NotComparable, detail).hint("?against= names another build of the same repository")
        );
    }
    Ok(Explanation { explained, against: Some(against) })
}

fn ended(build: &Build) -> Result<(), Problem> {
    if build.state.has_ended() {
        return Ok(());
    }
    let detail = format!("the build has not ended: {}", build.state.as_str());
    Err(Problem::new(Code::NotFinished, detail).hint("wait for its end"))
}

/// Returns the build that somebody wants to compare with.
async fn chosen(service: &Service, caller: &Caller, build: &Build, id: &str) -> Result<Build, Problem> {
    let other = find(service, caller, id).await?;
    if other.request.repository != build.request.repository || other.id == build.id {
        let detail = format!("`against` is to be another build of {}", build.request.repository);
        return Err(Problem::new(Code::InvalidAgainst, detail));
    }
    ended(&other)?;
    Ok(other)
}

/// Returns the newest earlier build of the same rule that succeeded: of the same ref, or of any branch or tag.
async fn earlier(service: &Service, build: &Build) -> Result<Option<Build>, Problem> {
    let any = BuildFilter {
        repository: Some(build.request.repository.clone()),
        rule: Some(build.request.rule.clone()),
        state: Some(BuildState::Succeeded),
        before: Some(build.id.clone()),
        is_of_repository: true,
        limit: 1,
        ..BuildFilter::default()
    };
    let git_ref = Some(build.request.spec.git_ref.clone());
    let same = BuildFilter { git_ref, is_of_repository: false, ..any.clone() };
    match service.database.builds(&same).await?.pop() {
        Some(found) => Ok(Some(found)),
        None => Ok(service.database.builds(&any).await?.pop()),
    }
}

/// Returns what is to be said of a step where nothing was built before.
fn first(step: &Step) -> ExplainedStep {
    let was = match step.state {
        _ if step.cached => Was::Cached,
        StepState::Succeeded if step.layer_digest.is_none() => Was::Setting,
        StepState::Succeeded | StepState::Failed | StepState::Running => Was::Executed,
        StepState::Pending | StepState::Waiting | StepState::Cancelled | StepState::NotReached => Was::NotReached,
    };
    ExplainedStep {
        number: step.number,
        stage: step.stage.clone(),
        instruction: step.instruction.clone(),
        line: step.line,
        was,
        why: vec![Why::FirstBuild],
    }
}
