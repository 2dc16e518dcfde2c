//! One build: what was asked for, where it is, its steps and its log.

use super::{Page, admit, awaited, plain, seconds, shown_ref, size, state, time, took};
use crate::Service;
use crate::access::Caller;
use crate::api::builds::find;
use crate::problem::Problem;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use database::{Build, LogChunk, PathPiece, QueuePlace, Step, Trigger, marks};
use maud::{Markup, html};

/// Bytes of a log that are shown; the rest is behind a link.
const MAX_LOG: usize = 512 * 1024;

/// Pieces of the critical path that are shown took at least so many microseconds.
const NEGLIGIBLE_US: i64 = 500;

/// Shows one build.
pub async fn show(State(service): State<Service>, Path(id): Path<String>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let build = find(&service, &caller, &id).await?;
    let steps = service.database.steps(&build.id).await?;
    let path = service.database.critical_path(&build.id).await?;
    let cpu_ms = service.database.cpu_ms(&build.id).await?;
    let log = log(&service, &build).await?;
    let queued = service.database.queue_place(&build.id).await?;
    let refusal = service.database.refusal(&build.id).await?;
    let title = format!("{} #{}", build.request.repository, build.number);
    let from = log.last().map_or(0, |chunk| chunk.offset + chunk.text.len() as i64);
    let content = html! {
        h1 { (title) " " (state(build.state)) }
        @if let Some(reason) = &build.reason { pre.reason { (plain(reason.message.as_bytes())) } }
        @if let Some(refusal) = &refusal { p.notice { "The forge refused its status: " (plain(refusal.problem.as_bytes())) } }
        @for warning in build.request.spec.options.warnings.iter().chain(&build.warnings) { p.notice { (plain(warning.as_bytes())) } }
        @if build.is_held && !build.state.has_ended() { (approval(&build)) } @else if let Some(queued) = &queued { (place(queued)) }
        (facts(&build, cpu_ms))
        h2 { "Steps " @if build.state.has_ended() && !steps.is_empty() { a.aside href=(format!("/builds/{}/explain", build.id.as_str())) { "why?" } } }
        div #steps { (step_table(&steps)) }
        @if !path.is_empty() {
            h2 { "Critical path " a.aside href=(format!("/v1/builds/{}/trace", build.id.as_str())) download="trace.json" { "as a trace" } }
            (path_table(&path))
        }
        h2 { "Log " a.aside href=(format!("/v1/builds/{}/logs", build.id.as_str())) { "as text" } }
        pre #log .log data-follow=[(!build.state.has_ended()).then(|| format!("/v1/builds/{}/logs?since_offset={from}", build.id.as_str()))] {
            (log_text(&log))
        }
    };
    Ok(Page { title: &title, part: "Builds", changes: !build.state.has_ended() }.around(&content))
}

/// Shows the steps of one build alone, for the script that follows it.
pub async fn steps(
    State(service): State<Service>,
    Path(id): Path<String>,
    caller: Caller,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let build = find(&service, &caller, &id).await?;
    let table = step_table(&service.database.steps(&build.id).await?);
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, table.into_string()).into_response())
}

async fn log(service: &Service, build: &Build) -> Result<Vec<LogChunk>, Problem> {
    let (mut chunks, mut from, mut bytes) = (Vec::new(), 0, 0);
    while bytes < MAX_LOG {
        let part = service.database.logs(&build.id, from, MAX_LOG).await?;
        let Some(last) = part.last() else { break };
        from = last.offset + last.text.len() as i64;
        bytes += part.iter().map(|chunk| chunk.text.len()).sum::<usize>();
        chunks.extend(part);
    }
    Ok(chunks)
}

fn place(place: &QueuePlace) -> Markup {
    html! {
        p.notice {
            @if let Some(position) = place.position { "Number " b { (position) } " in the queue; it" } @else { "It" }
            " waits for " (awaited(place.waiting_for)) "."
            @if let Some(eta) = place.eta_ms { " It will probably be done in " (seconds(eta)) "." }
        }
    }
}

/// Says how a build is approved: pages change nothing.
fn approval(build: &Build) -> Markup {
    let id = build.id.as_str();
    html! {
        p.notice {
            "It waits for approval: it builds what somebody from outside the repository wrote. Who may trigger builds lets it go with "
            code { "slipway approve " (id) } " or " code { "POST /v1/builds/" (id) "/approve" } "."
        }
    }
}

fn facts(build: &Build, cpu_ms: Option<i64>) -> Markup {
    let (request, spec) = (&build.request, &build.request.spec);
    html! {
        dl {
            dt { "Repository" } dd { a href=(format!("/repos/{}", request.repository)) { (plain(request.repository.as_bytes())) } }
            dt { "Ref" } dd { (shown_ref(&spec.git_ref)) }
            dt { "Commit" } dd { code { (build.commit.as_deref().unwrap_or("not known yet")) } " " (plain(request.commit_message.as_bytes())) }
            dt { "Rule" } dd { (plain(request.rule.as_bytes())) }
            dt { "Started by" } dd { (trigger(build)) }
            @if let Some(by) = &build.approved_by { dt { "Approved by" } dd { "the token " code { (plain(by.as_bytes())) } } }
            dt { "Tags" } dd { @if !spec.push { "none: the image is not pushed" } @for tag in &spec.tags { code.tag { (plain(marks::shown(tag).as_bytes())) } " " } }
            @if let Some(image) = &build.image { dt { "Image" } dd { code { (image.digest) } " " (size(image.size)) } }
            dt { "Accepted" } dd { (time(build.created_ms)) " UTC" }
            @if let Some(took) = took(build) { dt { "Took" } dd { (took) @if build.attempt > 1 { ", attempt " (build.attempt) } } }
            @if let Some(used) = cpu_ms { dt { "Processor time" } dd { (seconds(used)) } }
        }
    }
}

fn trigger(build: &Build) -> Markup {
    let reason = build.request.spec.options.reason.as_deref().unwrap_or_default();
    html! {
        @match &build.request.trigger {
            Trigger::Push { delivery, by } => { "a push by " (plain(by.as_bytes())) ", " a href="/deliveries" { "delivery" } " " code { (plain(delivery.as_bytes())) } }
            Trigger::PullRequest { delivery, by, pull } => {
                "pull request " (pull.number) " to " (plain(pull.target.as_bytes())) " by " (plain(by.as_bytes()))
                @if pull.is_fork { ", from a fork" } ", " a href="/deliveries" { "delivery" } " " code { (plain(delivery.as_bytes())) }
            }
            Trigger::Reconcile { delivery } => { "a push that no delivery told of, found as " code { (plain(delivery.as_bytes())) } }
            Trigger::Manual { by } => { "the token " code { (plain(by.as_bytes())) } }
            Trigger::Retry { of } => { "a repetition of " a href=(format!("/builds/{}", of.as_str())) { "an earlier build" } }
            Trigger::BaseImage { of, references } => {
                "other base images than " a href=(format!("/builds/{}", of.as_str())) { "the build before" } " had:"
                @for reference in references { " " code { (plain(reference.as_bytes())) } }
            }
            Trigger::Schedule { due_ms } => { "its schedule, due " (time(*due_ms)) }
        }
        @if !reason.is_empty() { ": " (plain(reason.as_bytes())) }
    }
}

fn step_table(steps: &[Step]) -> Markup {
    html! {
        @if steps.is_empty() { p.empty { "No step has begun." } } @else {
            table {
                thead { tr { th { "#" } th.more { "Stage" } th { "Instruction" } th { "State" } th { "Took" } th { "Layer" } } }
                tbody {
                    @for step in steps {
                        tr {
                            td { (step.number) }
                            td.more { (plain(step.stage.as_bytes())) }
                            td.wide { code { (plain(step.instruction.as_bytes())) } }
                            td {
                                span class=(format!("state {}", format!("{:?}", step.state).to_lowercase())) {
                                    @if step.cached { "cached" } @else { (format!("{:?}", step.state).to_lowercase()) }
                                }
                                @if let Some(code) = step.exit_code.filter(|code| *code != 0) { " exit " (code) }
                            }
                            td.number { @if let Some(duration) = step.duration_ms { (seconds(duration)) } }
                            td.number { @if let Some(bytes) = step.layer_size { (size(bytes)) } }
                        }
                    }
                }
            }
        }
    }
}

/// Lists the work that the end of the build waited for, without what took next to nothing.
fn path_table(path: &[PathPiece]) -> Markup {
    html! {
        table {
            thead { tr { th { "Work" } th { "On" } th { "Took" } } }
            tbody {
                @for piece in path.iter().filter(|piece| piece.duration_us >= NEGLIGIBLE_US) {
                    tr {
                        td { (piece.work) }
                        td.wide { (plain(piece.name.as_bytes())) }
                        td.number { (format!("{:.3} s", piece.duration_us as f64 / 1e6)) }
                    }
                }
            }
        }
    }
}

fn log_text(chunks: &[LogChunk]) -> String {
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.text.iter().copied()).collect();
    plain(&bytes)
}
