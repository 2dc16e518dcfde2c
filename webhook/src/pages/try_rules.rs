//! The box that says what a push of a ref would build.

use crate::api::rules::{Trying, try_push};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::rules::{RuleMatchView, RulesTestView};
use crate::view::text::plain;
use maud::{Markup, html};

/// Says what a push would build; an error is a sentence for people.
pub(super) async fn tried(
    service: &Service,
    caller: &Caller,
    entry: &Entry,
    git_ref: &str,
    message: &str,
) -> Result<RulesTestView, Problem> {
    try_push(service, caller, entry, &Trying::of_form(git_ref, message)).await
}

/// Returns the box with what is known.
pub(super) fn form(
    repository: &str,
    git_ref: &str,
    message: &str,
    told: Option<&Result<RulesTestView, Problem>>,
) -> Markup {
    html! {
        h3 #try { "What would this build?" }
        form.filter action=(format!("/repos/{repository}#try")) data-try {
            label for="try-ref" { "Branch or tag" }
            input #try-ref name="try" value=(git_ref) placeholder="main, v1.4.2" autocomplete="off" spellcheck="false" required;
            label for="try-message" { "Message" }
            input #try-message name="message" value=(message) placeholder="of the commit" autocomplete="off";
            button { "Try" }
        }
        div #tried data-part aria-live="polite" {
            @match told {
                Some(Ok(told)) => (answer(told)),
                Some(Err(problem)) => p.notice.hold { (plain(problem.detail().as_bytes())) "." },
                None => {}
            }
        }
    }
}

fn answer(told: &RulesTestView) -> Markup {
    let matching: Vec<&RuleMatchView> = told.rules.iter().filter(|rule| rule.matches).collect();
    let refs = told.git_ref.as_str();
    html! {
        p.notice {
            code { (plain(refs.as_bytes())) }
            @match (&told.skip_marker, matching.len()) {
                (Some(marker), _) => { " builds nothing: the message says " code { (plain(marker.as_bytes())) } "." }
                (None, 0) => { " builds nothing." }
                (None, 1) => { " is built once." }
                (None, times) => { " is built " (times) " times." }
            }
            @if told.rules_from != "server" { " The rules are those of the " (plain(told.rules_from.as_bytes())) "." }
        }
        ol.say {
            @for rule in &told.rules {
                li {
                    b { (plain(rule.rule.as_bytes())) } ": "
                    @if rule.matches { (result(rule, &told.image)) }
                    @else { span.dim { (plain(rule.why.as_deref().unwrap_or("does not match").as_bytes())) } }
                }
            }
        }
    }
}

fn result(rule: &RuleMatchView, image: &str) -> Markup {
    html! {
        code { (plain(rule.dockerfile.as_deref().unwrap_or("Dockerfile").as_bytes())) } " into "
        @if let Some(image) = rule.image.as_ref().filter(|other| other.as_str() != image) { code { (plain(image.as_bytes())) } " as " }
        @for (at, tag) in rule.tags.iter().flatten().enumerate() {
            @let name = tag.strip_prefix(image).map_or(tag.as_str(), |rest| rest.trim_start_matches(':'));
            @if at > 0 { ", " }
            code.tag { (plain(name.as_bytes())) }
        }
        @for warning in rule.warnings.iter().flatten() { " " span.dim { (plain(warning.as_bytes())) } }
    }
}
