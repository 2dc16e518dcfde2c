//! Figures and short texts that several pages show.

use crate::view::text::plain;
use database::{Build, Trigger, WaitingFor};
use maud::{Markup, html};

pub(super) fn build_link(build: &Build) -> Markup {
    html! { a href=(format!("/builds/{}", build.id.as_str())) { (plain(build.request.repository.as_bytes())) " #" (build.number) } }
}

/// Returns the kind of a ref and its short name.
pub(super) fn split_ref(git_ref: &str) -> (&'static str, String) {
    let of_request = |start: &str| git_ref.strip_prefix(start).and_then(|rest| rest.split('/').next());
    match (git_ref.strip_prefix("refs/heads/"), git_ref.strip_prefix("refs/tags/")) {
        (Some(name), _) => ("branch", plain(name.as_bytes())),
        (_, Some(name)) => ("tag", plain(name.as_bytes())),
        _ => match of_request("refs/pull/").or_else(|| of_request("refs/merge-requests/")) {
            Some(number) => ("pull request", format!("#{}", plain(number.as_bytes()))),
            None => ("ref", plain(git_ref.as_bytes())),
        },
    }
}

pub(super) fn shown_ref(git_ref: &str) -> Markup {
    let (kind, short) = split_ref(git_ref);
    html! { span.ref title=(format!("{kind} {short}")) { (short) } }
}

pub(super) fn short(commit: Option<&str>) -> String {
    commit.unwrap_or("").chars().take(7).collect()
}

/// Returns the user or token that asked for a build; empty for schedules and the like.
pub(super) fn author(build: &Build) -> String {
    match &build.request.trigger {
        Trigger::Push { by, .. }
        | Trigger::PullRequest { by, .. }
        | Trigger::Manual { by }
        | Trigger::Rollback { by, .. } => plain(by.as_bytes()),
        Trigger::Retry { .. } => "retry".to_owned(),
        Trigger::Schedule { .. } => "schedule".to_owned(),
        Trigger::BaseImage { .. } => "base image".to_owned(),
        Trigger::Link { .. } => "link".to_owned(),
        Trigger::Reconcile { .. } => "missed push".to_owned(),
    }
}

/// Returns the line of a reason that says most: the first error that the step printed, else the first line.
pub(super) fn headline(message: &str) -> &str {
    let printed = message.lines().skip(1).take_while(|line| !line.starts_with("Dockerfile"));
    printed.map(str::trim).find(|line| is_error(line)).or_else(|| message.lines().next()).unwrap_or_default()
}

/// Tells whether a line reports an error, as compilers and tools do.
pub(super) fn is_error(line: &str) -> bool {
    let line = line.to_ascii_lowercase();
    ["error:", "error[", "fatal:", "err!"].iter().any(|word| line.contains(word)) || line.starts_with("error ")
}

/// Returns how long a build took; what still runs counts on where there are scripts.
pub(super) fn took(build: &Build) -> Option<Markup> {
    let started = build.started_ms?;
    let Some(finished) = build.finished_ms else {
        let so_far = (now_ms() - started).max(0);
        return Some(html! { span data-so-far=(so_far) { (seconds(so_far)) } });
    };
    Some(html! { (seconds(finished - started)) })
}

pub(super) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

pub(super) fn seconds(milliseconds: i64) -> String {
    match milliseconds {
        0..1_000 => format!("{milliseconds} ms"),
        1_000..60_000 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        _ => format!("{} min {} s", milliseconds / 60_000, milliseconds % 60_000 / 1000),
    }
}

pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Returns a number of things: `1 worker`, `2 workers`.
pub(super) fn count(number: i64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Returns what a queued build waits for, in words.
pub(super) fn awaited(waiting_for: WaitingFor) -> &'static str {
    match waiting_for {
        WaitingFor::Slot => "a free worker",
        WaitingFor::SerialGroup => "the build before it: builds of this rule run one at a time",
        WaitingFor::Backoff => "some time to pass, because its last attempt failed",
        WaitingFor::Resume => "somebody to resume the queue",
        WaitingFor::Approval => "somebody's approval",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_are_not_html() {
        // SEC-25, SEC-26
        let page = html! { pre { (plain(b"<script>alert(1)</script>")) } }.into_string();
        assert!(!page.contains("<script>"));
    }

    #[test]
    fn the_error_itself_is_the_headline() {
        let message =
            "process \"sh\" did not complete: exit code: 1\nok\n  error[E1]: x\nDockerfile:8\n  8 | RUN echo error: y";
        assert_eq!(headline(message), "error[E1]: x");
        assert_eq!((headline("one\ntwo\nDockerfile:1\nerror: x"), headline("")), ("one", ""));
        assert!(is_error("npm ERR! x") && is_error("main.c:1: error: x") && !is_error("no errors"));
    }

    #[test]
    fn refs_have_short_names() {
        let of = |git_ref: &str| split_ref(git_ref);
        assert_eq!(of("refs/heads/a/b"), ("branch", "a/b".to_owned()));
        assert_eq!(of("refs/tags/v1"), ("tag", "v1".to_owned()));
        assert_eq!(of("refs/pull/7/head"), ("pull request", "#7".to_owned()));
        assert_eq!(of("refs/merge-requests/7/head"), ("pull request", "#7".to_owned()));
        assert_eq!(of("refs/notes/x"), ("ref", "refs/notes/x".to_owned()));
    }

    #[test]
    fn amounts_read_well() {
        assert_eq!([size(44), size(1_500), size(2_500_000)], ["44 B", "1.5 kB", "2.5 MB"]);
        assert_eq!([seconds(44), seconds(1_500), seconds(125_000)], ["44 ms", "1.5 s", "2 min 5 s"]);
        assert_eq!([count(0, "worker"), count(1, "worker"), count(2, "slot")], ["0 workers", "1 worker", "2 slots"]);
    }
}
