//! The top of a build's page: state and buttons, facts, and the answer: the cause of a failure, or how to pull the image.

use super::form::button;
use super::links;
use super::mark::Mark;
use super::moment::time;
use super::words::{author, awaited, headline, seconds, short, shown_ref, size, took};
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::view::text::plain;
use database::{Build, BuildState, GroupTarget, QueuePlace, Refusal, Trigger};
use maud::{Markup, html};

/// Lines of a reason that are shown as they are.
const MAX_LINES: usize = 60;

/// A build with what its head shows.
pub(crate) struct Head<'b> {
    pub build: &'b Build,
    pub caller: &'b Caller,
    pub place: Option<QueuePlace>,
    pub refusal: Option<Refusal>,
    pub cpu_ms: Option<i64>,
    /// The targets, if it is a group.
    pub targets: Vec<GroupTarget>,
    /// Commit of the newest build of the same rule and ref that succeeded, if that was before this one.
    pub green: Option<String>,
}

impl Head<'_> {
    /// Returns the line that stays while one scrolls.
    pub(crate) fn bar(&self) -> Markup {
        let request = &self.build.request;
        html! {
            div.bh {
                (Mark::of_build(self.build).label())
                h1 { a href=(format!("/repos/{}", request.repository)) { (plain(request.repository.as_bytes())) } " #" (self.build.number) }
                span.cut { (plain(request.commit_message.as_bytes())) }
                (self.buttons())
            }
        }
    }

    fn buttons(&self) -> Markup {
        if !self.caller.may(Scope::Trigger, &self.build.request.repository) {
            return html! {};
        }
        let action = |name: &str| format!("/builds/{}/{name}", self.build.id.as_str());
        let needs_approval = self.build.awaits_approval && !self.build.state.has_ended();
        let helps = matches!(self.build.state, BuildState::Errored | BuildState::TimedOut);
        html! {
            div.acts {
                @if needs_approval {
                    (button(self.caller, &action("approve"), &html! { button.first { "Approve " (short(self.build.commit.as_deref())) } }))
                    (button(self.caller, &action("cancel"), &html! { button { "Reject" } }))
                } @else if self.build.state.has_ended() {
                    (button(self.caller, &action("retry"), &html! { button.first[helps] { "Retry" } }))
                    (button(self.caller, &action("retry"), &html! { button.plain name="from" value="start" title="Without what the failed attempt has made" { "From the start" } }))
                    @if self.build.image.is_some() && self.build.request.spec.push && self.build.request.spec.options.trusted {
                        (button(self.caller, &action("rollback"), &html! { button title="Gives the tags this image again, without building" { "Roll back" } }))
                    }
                } @else if self.build.cancel_requested {
                    span.dim { "Cancelling" }
                } @else {
                    (button(self.caller, &action("cancel"), &html! { button { "Cancel" } }))
                }
            }
        }
    }

    /// Returns the facts in one line.
    pub(crate) fn facts(&self) -> Markup {
        let (build, request) = (self.build, &self.build.request);
        let commit = build.commit.as_deref();
        let link = commit.and_then(|commit| links::commit(&request.spec.clone_url, commit));
        html! {
            p.line {
                (shown_ref(&request.spec.git_ref))
                @match (link, commit) {
                    (Some(link), _) => a href=(link) { code { (short(commit)) } },
                    (None, Some(_)) => code title=[commit] { (short(commit)) },
                    (None, None) => span { "commit not known yet" },
                }
                span { (author(build)) }
                span { "Rule “" (plain(request.rule.as_bytes())) "”" }
                @if let Some(group) = request.group() { a href=(format!("/builds/{}", group.as_str())) { "All targets" } }
                span { (time(build.created_ms)) }
                @if let Some(took) = took(build) { span { (took) } }
                @if build.attempt > 1 { span { "attempt " (build.attempt) } }
                @if let Some(changes) = self.changes() { a href=(changes) { "Changes since the last green build" } }
            }
        }
    }

    /// Returns the builds of the targets, if the rule has a bake file or a compose file.
    pub(crate) fn targets(&self) -> Markup {
        html! {
            @if !self.targets.is_empty() {
                section aria-label="Targets" {
                    div.lb { h2 { "Targets" } }
                    @for target in &self.targets {
                        p.line {
                            a href=(format!("/builds/{}", target.id.as_str())) { (plain(target.name().as_bytes())) }
                            span { (target.state.as_str()) }
                        }
                    }
                }
            }
        }
    }

    /// Returns the forge's page of what changed since the newest build that succeeded.
    fn changes(&self) -> Option<String> {
        let (from, to) = (self.green.as_deref()?, self.build.commit.as_deref()?);
        let base = links::repository(&self.build.request.spec.clone_url)?;
        (from != to && !base.contains("://bitbucket.org/")).then(|| format!("{base}/compare/{from}...{to}"))
    }

    /// Returns notices: warnings, what it waits for, what the forge refused.
    pub(crate) fn notices(&self) -> Markup {
        let build = self.build;
        html! {
            @if let Some(refusal) = &self.refusal { p.notice.hold { "The forge refused its status: " (plain(refusal.problem.as_bytes())) } }
            @for warning in build.request.spec.options.warnings.iter().chain(&build.warnings) { p.notice.hold { (plain(warning.as_bytes())) } }
            @if build.awaits_approval && !build.state.has_ended() { (self.approval()) } @else if let Some(place) = &self.place { (waiting(place)) }
        }
    }

    fn approval(&self) -> Markup {
        let id = self.build.id.as_str();
        html! {
            p.notice.hold {
                "It waits for an approval, because its commits come from outside the repository. "
                @if self.caller.session.is_none() { a href=(format!("/login?next=/builds/{id}")) { "Sign in" } " to approve it, or use " code { "slipway approve " (id) } "." }
                @else { "Look at the commit before you approve it." }
            }
        }
    }

    /// Returns the answer first: why it failed, or how to get the image.
    pub(crate) fn answer(&self) -> Markup {
        html! {
            @if let Some(reason) = &self.build.reason {
                @let text = plain(reason.message.as_bytes());
                @let first = text.lines().next().unwrap_or_default();
                @let headline = headline(&text);
                @let rest: Vec<&str> = text.lines().skip(1).take(MAX_LINES).collect();
                @let colour = Mark::of_state(self.build.state).colour();
                section.cause.(colour) aria-label="Cause" {
                    h2 { (headline) }
                    @if headline != first { p { (first) } }
                    @if !rest.is_empty() { pre { (rest.join("\n")) } }
                }
            }
            @if let Some(image) = &self.build.image {
                section.pull aria-label="Image" {
                    @if let Some(tag) = image.tags.first() {
                        div.cmd { code { "docker pull " (plain(tag.as_bytes())) } button.copy.scripted hidden type="button" { "Copy" } }
                    }
                    p.line {
                        @for tag in &image.tags { code.tag { (plain(tag.rsplit_once(':').map_or(tag.as_str(), |(_, name)| name).as_bytes())) } }
                        span { (size(image.size)) " compressed" }
                        code title=(image.digest) { (image.digest.get(..19).unwrap_or(&image.digest)) }
                    }
                }
            }
        }
    }

    /// Returns the remaining facts, folded.
    pub(crate) fn details(&self) -> Markup {
        let (build, spec) = (self.build, &self.build.request.spec);
        html! {
            details.facts {
                summary { "Details" }
                dl {
                    dt { "Ref" } dd { code { (plain(spec.git_ref.as_bytes())) } }
                    @if let Some(commit) = &build.commit { dt { "Commit" } dd { code { (commit) } } }
                    dt { "Started by" } dd { (trigger(build)) }
                    @if let Some(by) = &build.approved_by { dt { "Approved by" } dd { "the token " code { (plain(by.as_bytes())) } } }
                    dt { "Tags" } dd { @if !spec.push { "none: the image is not pushed" } @for tag in build.shown_tags() { code.tag { (plain(tag.as_bytes())) } " " } }
                    @if let Some(image) = &build.image { dt { "Digest" } dd { code { (image.digest) } } }
                    @if let Some(merged) = build.image.as_ref().and_then(|image| image.merged.as_ref()) {
                        dt { "Not built again" } dd { "It is the image of "
                            a href=(format!("/builds/{}", merged.build.as_str())) { "pull request " (merged.number) } ", which had the same files." }
                    }
                    dt { "Dockerfile" } dd { code { (plain(spec.dockerfile.as_bytes())) } }
                    @if let Some(used) = self.cpu_ms { dt { "Processor time" } dd { (seconds(used)) } }
                    dt { "Id" } dd { code { (build.id.as_str()) } }
                }
            }
        }
    }
}

fn waiting(place: &QueuePlace) -> Markup {
    html! {
        p.notice {
            @if let Some(position) = place.position { "Number " b { (position) } " in the queue; it" } @else { "It" }
            " waits for " (awaited(place.waiting_for)) "."
            @if let Some(eta) = place.eta_ms { " It will probably be done in " (seconds(eta)) "." }
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
            Trigger::Rollback { of, by } => {
                "a rollback by " (plain(by.as_bytes())) " to the image of " a href=(format!("/builds/{}", of.as_str())) { "an earlier build" }
            }
            Trigger::BaseImage { of, references } => {
                "other base images than " a href=(format!("/builds/{}", of.as_str())) { "the build before" } " had:"
                @for reference in references { " " code { (plain(reference.as_bytes())) } }
            }
            Trigger::Link { of, repositories } => {
                "newer images than " a href=(format!("/builds/{}", of.as_str())) { "the build before" } " of linked repositories:"
                @for name in repositories { " " a href=(format!("/repos/{name}")) { (plain(name.as_bytes())) } }
            }
            Trigger::Schedule { due_ms } => { "its schedule, due " (time(*due_ms)) }
        }
        @if !reason.is_empty() { ": " (plain(reason.as_bytes())) }
    }
}
