//! Pages for people: builds, one build, repositories, the queue, deliveries. They work without scripts; with them a log is
//! followed live.

pub mod asset;
pub mod build;
pub mod builds;
pub mod deliveries;
pub mod explain;
pub mod problem;
pub mod queue;
pub mod repositories;
mod webhooks;

use crate::access::Caller;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use database::{Build, BuildState, WaitingFor};
use maud::{DOCTYPE, Markup, html};

/// Seconds after which a page that changes is fetched again where there are no scripts.
const REFRESH: u32 = 3;

/// A page around its content.
struct Page<'p> {
    title: &'p str,
    /// Which part of the navigation it belongs to.
    part: &'p str,
    /// Whether it is likely to change soon.
    changes: bool,
}

impl Page<'_> {
    fn around(&self, content: &Markup) -> Response {
        let parts = [("/", "Builds"), ("/queue", "Queue"), ("/repos", "Repositories"), ("/deliveries", "Deliveries")];
        let document = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    @if self.changes { noscript { meta http-equiv="refresh" content=(REFRESH); } }
                    title { (self.title) " · slipway" }
                    link rel="icon" href=(asset::ICON.path()) type="image/svg+xml";
                    link rel="stylesheet" href=(asset::STYLE.path());
                    @if self.changes { script src=(asset::FOLLOW.path()) defer {} }
                }
                body data-changes[self.changes] {
                    header {
                        a.brand href="/" { "slipway" }
                        nav { @for (path, name) in parts { a.here[name == self.part] href=(path) { (name) } } }
                    }
                    main { (content) }
                }
            }
        };
        let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
        (headers, document.into_string()).into_response()
    }
}

/// Refuses who may see nothing; a browser then asks for a password, which is a token.
fn admit(caller: &Caller) -> Result<(), crate::problem::Problem> {
    caller.may_read()
}

fn state(state: BuildState) -> Markup {
    let name = state.as_str();
    html! { span class=(format!("state {name}")) { (name.replace('_', " ")) } }
}

fn build_link(build: &Build) -> Markup {
    html! { a href=(format!("/builds/{}", build.id.as_str())) { (plain(build.request.repository.as_bytes())) " #" (build.number) } }
}

fn shown_ref(git_ref: &str) -> Markup {
    let (kind, short) = match (git_ref.strip_prefix("refs/heads/"), git_ref.strip_prefix("refs/tags/")) {
        (Some(name), _) => ("branch", name),
        (_, Some(name)) => ("tag", name),
        _ => ("ref", git_ref),
    };
    html! { span.ref title=(kind) { (plain(short.as_bytes())) } }
}

fn short(commit: Option<&str>) -> String {
    commit.unwrap_or("").chars().take(7).collect()
}

/// Returns a moment as people read it, with the exact one behind it.
fn time(milliseconds: i64) -> Markup {
    let exact = crate::api::builds::moment(milliseconds).unwrap_or_default();
    let shown = exact.get(..19).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) title=(exact) { (shown) } }
}

/// Returns how long a build took; what still runs counts on where there are scripts.
fn took(build: &Build) -> Option<Markup> {
    let started = build.started_ms?;
    let Some(finished) = build.finished_ms else {
        let so_far = (now_ms() - started).max(0);
        return Some(html! { span data-so-far=(so_far) { (seconds(so_far)) } " so far" });
    };
    Some(html! { (seconds(finished - started)) })
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn seconds(milliseconds: i64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Returns a number of things: `1 worker`, `2 workers`.
fn count(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Returns what a queued build waits for, in words.
fn awaited(waiting_for: WaitingFor) -> &'static str {
    match waiting_for {
        WaitingFor::Slot => "a free worker",
        WaitingFor::SerialGroup => "the build before it: builds of this rule run one at a time",
        WaitingFor::Backoff => "some time to pass, because its last attempt failed",
        WaitingFor::Resume => "somebody to resume the queue",
        WaitingFor::Approval => "somebody's approval",
    }
}

/// Returns a text without what could change how it is read: escape sequences, control and direction characters.
pub fn plain(bytes: &[u8]) -> String {
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

    #[test]
    fn amounts_read_well() {
        assert_eq!([size(44), size(1_500), size(2_500_000)], ["44 B", "1.5 kB", "2.5 MB"]);
        assert_eq!([seconds(44), seconds(1_500), seconds(125_000)], ["44 ms", "1.5 s", "2 min 5 s"]);
        assert_eq!([count(0, "worker"), count(1, "worker"), count(2, "slot")], ["0 workers", "1 worker", "2 slots"]);
    }
}
