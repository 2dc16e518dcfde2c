//! Builds as the API shows them: lists, one with its steps, and cancellation.

use crate::Service;
use crate::access::{require, visible};
use crate::problem::Problem;
use crate::settings::{Scope, Settings};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::{Build, BuildFilter, BuildId, BuildState, Cancel, Trigger};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Builds that a list holds if nothing else is asked for, and at most.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// Query of a list.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wanted {
    repo: Option<String>,
    #[serde(rename = "ref")]
    git_ref: Option<String>,
    commit: Option<String>,
    state: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Lists builds, newest first.
pub async fn list(
    State(service): State<Service>,
    headers: HeaderMap,
    query: Result<Query<Wanted>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let visible = visible(&service, &headers)?;
    let invalid = |code, detail: String| Problem::new(StatusCode::BAD_REQUEST, code, detail);
    let Query(wanted) = query.map_err(|error| invalid("invalid_query", error.body_text()))?;
    let state = match &wanted.state {
        None => None,
        Some(name) => Some(
            BuildState::parse(name)
                .ok_or_else(|| invalid("invalid_state", format!("`{name}` is no state of a build")))?,
        ),
    };
    let before = match &wanted.cursor {
        None => None,
        Some(text) => Some(
            BuildId::parse(text)
                .ok_or_else(|| invalid("invalid_cursor", "the cursor is not one of a list".to_owned()))?,
        ),
    };
    let limit = wanted.limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(invalid("invalid_limit", format!("a list holds 1 to {MAX_LIMIT} builds")));
    }
    let git_ref =
        wanted.git_ref.map(|name| if name.starts_with("refs/") { name } else { format!("refs/heads/{name}") });
    let filter = BuildFilter {
        repository: wanted.repo,
        git_ref,
        commit: wanted.commit,
        state,
        before,
        limit,
        ..BuildFilter::default()
    };
    let builds = service.database.builds(&filter).await?;
    let next = (builds.len() == limit as usize).then(|| builds.last().map(|build| build.id.clone())).flatten();
    let shown: Vec<Value> = builds
        .iter()
        .filter(|build| visible.shows(&build.request.repository))
        .map(|build| summary(build, &service.settings))
        .collect();
    let mut response =
        axum::Json(json!({ "builds": shown, "next_cursor": next.as_ref().map(BuildId::as_str) })).into_response();
    if let Some(next) = next
        && let Ok(link) =
            HeaderValue::from_str(&format!("</v1/builds?limit={limit}&cursor={}>; rel=\"next\"", next.as_str()))
    {
        response.headers_mut().insert(header::LINK, link);
    }
    Ok(response)
}

/// Finds a build that a request may see; one that it may not see is not there.
pub async fn find(service: &Service, headers: &HeaderMap, id: &str) -> Result<Build, Problem> {
    let visible = visible(service, headers)?;
    let id = BuildId::parse(id).ok_or_else(Problem::no_such_build)?;
    let build = service.database.build(&id).await?;
    build.filter(|build| visible.shows(&build.request.repository)).ok_or_else(Problem::no_such_build)
}

/// Shows one build with its steps; `304` if the client has it already.
pub async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let build = find(&service, &headers, &id).await?;
    let etag = format!("\"{}\"", build.version);
    if headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).is_some_and(|known| known == etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response());
    }
    let mut shown = summary(&build, &service.settings);
    let steps = service.database.steps(&build.id).await?;
    shown["steps"] = steps
        .iter()
        .map(|step| {
            json!({
                "n": step.number, "instruction": step.instruction, "stage": step.stage, "line": step.line, "state": step.state,
                "cached": step.cached, "exit_code": step.exit_code,
                "layer": step.layer_digest.as_ref().map(|digest| json!({ "digest": digest, "size": step.layer_size })),
                "started_at": step.started_ms.and_then(moment), "duration_ms": step.duration_ms,
            })
        })
        .collect();
    if let Some(place) = service.database.queue_place(&build.id).await? {
        shown["queue"] = json!({ "position": place.position });
    }
    Ok(([(header::ETAG, etag), (header::CACHE_CONTROL, "no-cache".to_owned())], axum::Json(shown)).into_response())
}

/// Asks for the end of a build.
pub async fn cancel(
    State(service): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let known = BuildId::parse(&id).ok_or_else(Problem::no_such_build)?;
    let build = service.database.build(&known).await?;
    let repository = build.as_ref().map_or("", |build| build.request.repository.as_str());
    require(&service, &headers, (Scope::Trigger, repository))?;
    match service.database.cancel(&known).await? {
        Cancel::Cancelled | Cancel::Requested => {
            Ok((StatusCode::ACCEPTED, axum::Json(json!({ "id": id, "cancel_requested": true }))).into_response())
        }
        Cancel::AlreadyFinished(state) => Err(Problem::new(
            StatusCode::CONFLICT,
            "already_finished",
            format!("the build has ended: {}", state.as_str()),
        )),
        Cancel::NotFound => Err(Problem::no_such_build()),
    }
}

/// Returns what is shown of a build everywhere.
pub fn summary(build: &Build, settings: &Settings) -> Value {
    let request = &build.request;
    let url = |rest: &str| format!("{}/{rest}", settings.public_url);
    let id = build.id.as_str();
    json!({
        "id": id,
        "number": build.number,
        "repo": request.repository,
        "rule": request.rule,
        "ref": request.spec.git_ref,
        "commit": build.commit,
        "commit_message": request.commit_message,
        "trigger": trigger(&request.trigger),
        "tags": request.spec.tags,
        "state": build.state.as_str(),
        "attempt": build.attempt,
        "reason": build.reason,
        "image": build.image.as_ref().map(|image| json!({
            "digest": image.digest, "media_type": image.media_type, "size": image.size, "tags": image.tags,
        })),
        "cancel_requested": build.cancel_requested,
        "created_at": moment(build.created_ms),
        "started_at": build.started_ms.and_then(moment),
        "finished_at": build.finished_ms.and_then(moment),
        "links": {
            "self": url(&format!("v1/builds/{id}")), "logs": url(&format!("v1/builds/{id}/logs")),
            "html": url(&format!("builds/{id}")), "cancel": url(&format!("v1/builds/{id}/cancel")),
        },
    })
}

fn trigger(trigger: &Trigger) -> Value {
    match trigger {
        Trigger::Push { delivery, by } => json!({ "kind": "push", "by": by, "delivery": delivery }),
        Trigger::Manual { by } => json!({ "kind": "manual", "by": by }),
        Trigger::Retry { of } => json!({ "kind": "retry", "of": of.as_str() }),
        Trigger::Schedule { due_ms } => json!({ "kind": "schedule", "due_at": moment(*due_ms) }),
    }
}

/// Returns milliseconds since 1970 as RFC 3339.
pub fn moment(milliseconds: i64) -> Option<String> {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000).ok()?;
    time.format(&Rfc3339).ok()
}
