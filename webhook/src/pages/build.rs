//! The page of a build: the answer first, then the timeline and the log by step.

use super::build_head::Head;
use super::build_tabs::{Tab, tabs};
use super::live;
use super::mark::Mark;
use super::page::{Live, Page, admit};
use super::step_log::StepLog;
use super::timeline::Timeline;
use crate::api::builds::find;
use crate::api::logs;
use crate::api::query::query;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::Build;
use maud::{Markup, html};
use serde::Deserialize;

/// Where a stream of the page begins.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Since {
    since_offset: Option<i64>,
}

/// Shows one build, or streams its log and when its steps change.
pub(crate) async fn show(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
    headers: HeaderMap,
    since: Result<Query<Since>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let build = find(&service, &caller, &id).await?;
    let since = query(since)?.since_offset.unwrap_or(0);
    if live::is_wanted(&headers) {
        let before = headers.get("last-event-id").and_then(|id| id.to_str().ok()?.parse().ok());
        return Ok(logs::follow(service.database, build.id, before.unwrap_or(since).max(0), logs::Told::Page));
    }
    let content = content(&service, &caller, &build).await?;
    let title = format!("{} #{}", build.request.repository, build.number);
    let live = if build.state.has_ended() { Live::No } else { Live::UntilEnd };
    let mark = Some(Mark::of_build(&build));
    Ok(Page { title: &title, part: "Builds", viewer: Some(&caller), mark, live }.around(&content))
}

async fn content(service: &Service, caller: &Caller, build: &Build) -> Result<Markup, Problem> {
    let database = &service.database;
    let steps = database.steps(&build.id).await?;
    let path = database.critical_path(&build.id).await?;
    let request = &build.request;
    let green = database.last_published(&request.repository, &request.rule, &request.spec.git_ref).await?;
    let head = Head {
        build,
        caller,
        place: database.queue_place(&build.id).await?,
        refusal: database.refusal(&build.id).await?,
        cpu_ms: database.cpu_ms(&build.id).await?,
        targets: match build.request.spec.options.bake {
            Some(_) => database.group_targets(&build.id).await?,
            None => Vec::new(),
        },
        green: green.filter(|green| green.created_ms < build.created_ms).and_then(|green| green.commit),
    };
    let log = StepLog::read(service, build, &steps).await?;
    let timeline = Timeline::new(build, &steps, &path).filter(|_| !steps.is_empty());
    let id = build.id.as_str();
    Ok(html! {
        div #head data-part { (head.bar()) (tabs(build, Tab::Build)) (head.facts()) (head.notices()) (head.answer()) (head.targets()) }
        section #timeline data-part {
            @if let Some(timeline) = timeline {
                div.lb {
                    h2 { "Timeline" }
                    span.tools {
                        span.key { svg { rect.k1 {} } "Critical path" }
                        span.key { svg { rect.k2 {} } "Not critical" }
                        @if build.state.has_ended() { a href=(format!("/builds/{id}/explain")) { "Why was each step executed?" } }
                        @if !path.is_empty() { a href=(format!("/v1/builds/{id}/trace")) download="trace.json" { "Trace" } }
                    }
                }
                (timeline.shown())
            }
        }
        section #steps data-follow=[(!build.state.has_ended()).then(|| format!("/builds/{id}?since_offset={}", log.next()))] { (log.shown()) }
        (head.details())
    })
}
