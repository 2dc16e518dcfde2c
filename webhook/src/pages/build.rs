//! The page of a build: the request, the state, its steps and its log.

use super::moment::time;
use super::page::{Page, admit, awaited, seconds, shown_ref, size, state, took};
use crate::api::builds::find;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use database::{Build, PathPiece, QueuePlace, Reason, Step, Trigger};
use maud::{Markup, html};
use std::ops::Range;

/// Bytes at the beginning and at the end of a log that are shown; the part between them is behind a link.
const MAX_PART: i64 = 256 * 1024;

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
    let content = html! {
        h1 { (title) " " (state(build.state)) }
        @if let Some(reason) = &build.reason { pre.reason { (plain(headline(&reason.message, &log).as_bytes())) } }
        @if let Some(refusal) = &refusal { p.notice { "The forge refused its status: " (plain(refusal.problem.as_bytes())) } }
        @for warning in build.request.spec.options.warnings.iter().chain(&build.warnings) { p.notice { (plain(warning.as_bytes())) } }
        @if build.awaits_approval && !build.state.has_ended() { (approval(&build)) } @else if let Some(queued) = &queued { (place(queued)) }
        (facts(&build, cpu_ms))
        h2 { "Steps " @if build.state.has_ended() && !steps.is_empty() { a.aside href=(format!("/builds/{}/explain", build.id.as_str())) { "why?" } } }
        div #steps { (step_table(&steps)) }
        @if !path.is_empty() {
            h2 { "Critical path " a.aside href=(format!("/v1/builds/{}/trace", build.id.as_str())) download="trace.json" { "as a trace" } }
            (path_table(&path))
        }
        h2 { "Log " @if build.log_removed_ms.is_none() { a.aside href=(format!("/v1/builds/{}/logs", build.id.as_str())) { "as text" } } }
        @if let Some(removed_ms) = build.log_removed_ms { p.notice { "The log was removed by retention, " (time(removed_ms)) "." } }
        @else { (shown_log(&build, &log)) }
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

/// The parts of a log that are shown.
struct ShownLog {
    head: Vec<u8>,
    /// Bytes between head and tail.
    left_out: i64,
    tail: Vec<u8>,
    /// The byte after the last one that is shown.
    next: i64,
}

impl ShownLog {
    /// Returns the part with which the log ends.
    fn end(&self) -> &[u8] {
        if self.left_out > 0 { &self.tail } else { &self.head }
    }
}

async fn log(service: &Service, build: &Build) -> Result<ShownLog, Problem> {
    let length = service.database.log_length(&build.id).await?;
    if length <= 2 * MAX_PART {
        let head = part_of_log(service, build, 0..length).await?;
        return Ok(ShownLog { head, left_out: 0, tail: Vec::new(), next: length });
    }
    let mut head = part_of_log(service, build, 0..MAX_PART).await?;
    let mut tail = part_of_log(service, build, length - MAX_PART..length).await?;
    // Whole lines, unless there is but one.
    if let Some(end) = head.iter().rposition(|byte| *byte == b'\n') {
        head.truncate(end + 1);
    }
    if let Some(end) = tail.iter().position(|byte| *byte == b'\n') {
        tail.drain(..=end);
    }
    let left_out = length - (head.len() + tail.len()) as i64;
    Ok(ShownLog { head, left_out, tail, next: length })
}

fn shown_log(build: &Build, log: &ShownLog) -> Markup {
    let address = format!("/v1/builds/{}/logs", build.id.as_str());
    html! {
        pre #log .log data-follow=[(!build.state.has_ended()).then(|| format!("{address}?since_offset={}", log.next))] {
            @if log.left_out > 0 {
                (plain(&log.head))
                "\n… " (size(log.left_out.unsigned_abs())) " left out: " a href=(address) { "the whole log" } "\n\n"
            }
            (end_of_log(log, build.reason.as_ref()))
        }
    }
}

async fn part_of_log(service: &Service, build: &Build, range: Range<i64>) -> Result<Vec<u8>, Problem> {
    let (mut bytes, mut from) = (Vec::new(), range.start);
    while from < range.end {
        let missing = usize::try_from(range.end - from).unwrap_or(usize::MAX);
        let chunks = service.database.logs(&build.id, from, missing).await?;
        let Some(last) = chunks.last() else { break };
        from = last.offset + last.text.len() as i64;
        chunks.iter().for_each(|chunk| bytes.extend_from_slice(&chunk.text));
    }
    bytes.truncate(usize::try_from(range.end - range.start).unwrap_or(usize::MAX));
    Ok(bytes)
}

/// Returns the first line of a reason if the log has the rest, else the whole reason.
fn headline<'r>(message: &'r str, log: &ShownLog) -> &'r str {
    let first = message.lines().next().unwrap_or_default();
    if String::from_utf8_lossy(log.end()).contains(first) { first } else { message }
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

/// Tells how to approve a build; pages themselves change nothing.
fn approval(build: &Build) -> Markup {
    let id = build.id.as_str();
    html! {
        p.notice {
            "It waits for an approval, because its commits come from outside the repository. Approve it with "
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
            dt { "Tags" } dd { @if !spec.push { "none: the image is not pushed" } @for tag in build.shown_tags() { code.tag { (plain(tag.as_bytes())) } " " } }
            @if let Some(image) = &build.image { dt { "Image" } dd { code { (image.digest) } " " (size(image.size)) } }
            dt { "Accepted" } dd { (time(build.created_ms)) }
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
            Trigger::Reconcile { delivery } => { "a push that no delivery announced, found as " code { (plain(delivery.as_bytes())) } }
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
                                span class=(format!("state {}", step.state.as_str())) {
                                    @if step.cached { "cached" } @else { (step.state.as_str().replace('_', " ")) }
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

/// Lists the work that the end of the build waited for, except negligible pieces.
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

/// Returns the end of the log without the first line of the reason, which the page shows above.
fn end_of_log(log: &ShownLog, reason: Option<&Reason>) -> String {
    let mut text = plain(log.end());
    let sentence = reason.and_then(|reason| reason.message.lines().next()).unwrap_or_default();
    let line = format!("ERROR: {}\n", plain(sentence.as_bytes()));
    if let Some(at) = text.rfind(&line) {
        text.replace_range(at..at + line.len(), "");
    }
    text
}
