//! Pages for people: the newest builds, and one build with its steps and log. They work without scripts.

use crate::Service;
use crate::access::visible;
use crate::builds::{find, moment};
use crate::problem::Problem;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use database::{Build, BuildFilter, LogChunk, Step};
use maud::{DOCTYPE, Markup, html};

/// Builds on the first page.
const LISTED: u32 = 50;
/// Bytes of a log that are shown; the rest is behind a link.
const MAX_LOG: usize = 512 * 1024;
/// Seconds after which the page of a running build is fetched again.
const REFRESH: u32 = 2;

/// Shows the newest builds.
pub async fn list(State(service): State<Service>, headers: HeaderMap) -> Result<Response, Problem> {
    let visible = visible(&service, &headers)?;
    let builds = service.database.builds(&BuildFilter { limit: LISTED, ..BuildFilter::default() }).await?;
    let running = builds.iter().any(|build| !build.state.has_ended());
    let rows = builds.iter().filter(|build| visible.shows(&build.request.repository));
    let content = html! {
        h1 { "Builds" }
        @if builds.is_empty() {
            p { "Nothing has been built yet. Push to a repository of slipway.toml, or start a build with the API." }
        } @else {
            table {
                thead { tr { th { "Build" } th { "State" } th { "Ref" } th { "Commit" } th { "Started" } th { "Took" } } }
                tbody {
                    @for build in rows {
                        tr {
                            td { a href=(format!("/builds/{}", build.id.as_str())) { (build.request.repository) " #" (build.number) } }
                            td { (state(build)) }
                            td { (shown_ref(build)) }
                            td { code { (commit(build)) } " " (build.request.commit_message) }
                            td { (moment(build.created_ms).unwrap_or_default()) }
                            td { (took(build)) }
                        }
                    }
                }
            }
        }
    };
    Ok(page("Builds", running, &content))
}

/// Shows one build.
pub async fn build(
    State(service): State<Service>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let build = find(&service, &headers, &id).await?;
    let steps = service.database.steps(&build.id).await?;
    let log = service.database.logs(&build.id, 0, MAX_LOG).await?;
    let title = format!("{} #{}", build.request.repository, build.number);
    let content = html! {
        p { a href="/" { "All builds" } }
        h1 { (title) " " (state(&build)) }
        @if let Some(reason) = &build.reason { pre class="reason" { (plain(reason.message.as_bytes())) } }
        dl {
            dt { "Ref" } dd { (shown_ref(&build)) }
            dt { "Commit" } dd { code { (build.commit.as_deref().unwrap_or("not known yet")) } " " (build.request.commit_message) }
            dt { "Rule" } dd { (build.request.rule) }
            dt { "Tags" } dd { @for tag in &build.request.spec.tags { code { (tag) } " " } }
            @if let Some(image) = &build.image { dt { "Image" } dd { code { (image.digest) } " " (size(image.size)) } }
            dt { "Took" } dd { (took(&build)) }
        }
        h2 { "Steps" }
        (step_table(&steps))
        h2 { "Log" }
        p { a href=(format!("/v1/builds/{}/logs", build.id.as_str())) { "as text" } }
        pre class="log" { (log_text(&log)) }
    };
    Ok(page(&title, !build.state.has_ended(), &content))
}

fn step_table(steps: &[Step]) -> Markup {
    html! {
        table {
            thead { tr { th { "#" } th { "Stage" } th { "Instruction" } th { "State" } th { "Took" } th { "Layer" } } }
            tbody {
                @for step in steps {
                    tr {
                        td { (step.number) }
                        td { (step.stage) }
                        td { code { (step.instruction) } }
                        td { (format!("{:?}", step.state).to_lowercase()) @if step.cached { " (cached)" } @if let Some(code) = step.exit_code { " exit " (code) } }
                        td { @if let Some(duration) = step.duration_ms { (seconds(duration)) } }
                        td { @if let Some(bytes) = step.layer_size { (size(bytes)) } }
                    }
                }
            }
        }
    }
}

fn page(title: &str, refresh: bool, content: &Markup) -> Response {
    let document = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                @if refresh { meta http-equiv="refresh" content=(REFRESH); }
                title { (title) " · slipway" }
                link rel="stylesheet" href="/style.css";
            }
            body { main { (content) } }
        }
    };
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (headers, document.into_string()).into_response()
}

/// Sends the style of the pages.
pub async fn style() -> Response {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=3600")];
    (headers, include_str!("style.css")).into_response()
}

fn state(build: &Build) -> Markup {
    let name = build.state.as_str();
    html! { span class=(format!("state {name}")) { (name.replace('_', " ")) } }
}

fn shown_ref(build: &Build) -> String {
    let name = &build.request.spec.git_ref;
    let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/tags/")).unwrap_or(name);
    plain(short.as_bytes())
}

fn commit(build: &Build) -> String {
    build.commit.as_deref().unwrap_or("").chars().take(7).collect()
}

fn took(build: &Build) -> String {
    match (build.started_ms, build.finished_ms) {
        (Some(started), Some(finished)) => seconds(finished - started),
        (Some(_), None) => "running".to_owned(),
        _ => String::new(),
    }
}

fn seconds(milliseconds: i64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1000.0)
}

fn size(bytes: u64) -> String {
    if bytes < 1_000_000 { format!("{:.1} kB", bytes as f64 / 1e3) } else { format!("{:.1} MB", bytes as f64 / 1e6) }
}

fn log_text(chunks: &[LogChunk]) -> String {
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.text.iter().copied()).collect();
    plain(&bytes)
}

/// Returns a text without what could change how it is read: escape sequences, control and direction characters.
fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut shown = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\x1b' => skip_sequence(&mut chars),
            '\n' | '\t' => shown.push(char),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => shown.push('\n'),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => shown.push('\u{fffd}'),
            control if control.is_control() => shown.push('\u{fffd}'),
            other => shown.push(other),
        }
    }
    shown
}

fn skip_sequence(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match chars.next() {
        Some('[') => drop(chars.find(|char| ('@'..='~').contains(char))),
        Some(']') => drop(chars.find(|char| *char == '\x07' || *char == '\x1b')),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_cannot_change_how_they_are_read() {
        // SEC-25, SEC-26
        assert_eq!(plain(b"\x1b[31mred\x1b[0m\x1b]0;title\x07 a\r\nb\x08\x00"), "red a\nb\u{fffd}\u{fffd}");
        assert_eq!(plain("a\u{202e}b".as_bytes()), "a\u{fffd}b");
        let page = html! { pre { (plain(b"<script>alert(1)</script>")) } }.into_string();
        assert!(!page.contains("<script>"));
    }
}
