//! The pages of repositories: newest builds, a build to start, sources, rules in words, and webhooks.

use super::form::button;
use super::moment::time;
use super::page::{Live, Page, admit};
use super::rows::Rows;
use super::words::{count, seconds};
use super::{live, webhooks};
use crate::api::named::find;
use crate::api::usage;
use crate::configuration::settings::{Repository, Scope};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::rules::{RefKind, Rule};
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::{BuildFilter, LayerCompression, PathFilter, Policy, RefPollState, SeenImage, Usage};
use maud::{Markup, html};

/// Builds on a repository's page.
const MAX_LISTED: u32 = 20;

/// Lists repositories.
pub(crate) async fn list(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    let all = service.catalog.all(&service.database).await?;
    let seen: Vec<_> = all.iter().filter(|entry| caller.sees(&entry.document.name)).collect();
    let content = html! {
        h1 { "Repositories" }
        @if seen.is_empty() {
            p.empty { "There are none yet: add one to slipway.toml, or with " code { "slipway repo add" } "." }
        } @else {
            table.cards {
                thead { tr { th { "Repository" } th { "Image" } th { "Source" } th { "Rules" } th { "Defined in" } } }
                tbody {
                    @for entry in seen {
                        tr {
                            td { a href=(format!("/repos/{}", entry.document.name)) { (entry.document.name) } }
                            td { code { (entry.document.image) } }
                            td.wide { (plain(entry.document.clone_url.as_bytes())) }
                            td.number { @if entry.repository.own_rules.is_some() { "its own" } @else { (entry.repository.rules.len()) } }
                            td { @if entry.version.is_some() { "the API" } @else { "slipway.toml" } }
                        }
                    }
                }
            }
        }
    };
    Ok(Page { title: "Repositories", part: "Repositories", viewer: Some(&caller), mark: None, live: Live::No }
        .around(&content))
}

/// Shows one repository.
pub(crate) async fn show(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let entry = find(&service, &caller, &format!("{namespace}/{name}")).await?;
    let repository = &entry.repository;
    let newest = newest(&service, &repository.name).await?;
    if live::is_wanted(&headers) {
        let (seen, name) = (service.clone(), repository.name.clone());
        return Ok(live::follow(&service, move || {
            let (service, name) = (seen.clone(), name.clone());
            async move { Ok(live::version(&self::newest(&service, &name).await?.version())) }
        }));
    }
    let looks = service.database.ref_poll_state(&repository.name).await?;
    let notes = service.database.tag_notes(&repository.name).await?;
    let notices = service.database.notices(&repository.name, webhooks::MAX_LISTED).await?;
    let used = service.database.usage(&repository.name, usage::DAY).await?;
    let bases = crate::background::base_images::of_repository(&service.database, &repository.name).await?;
    let refusal = service.database.newest_refusal(&repository.name).await?;
    let own_rules = service.database.own_rules_problem(&repository.name).await?;
    let content = html! {
        div.head { h1 { (repository.name) } img.badge alt="state of the newest build" src=(format!("/badges/{}.svg", repository.name)); }
        @if let Some(refusal) = &refusal {
            p.notice {
                "The forge refuses statuses: " (plain(refusal.problem.as_bytes())) ", last of "
                a href=(format!("/builds/{}", refusal.build.as_str())) { "this build" } " at " (time(refusal.at_ms)) "."
            }
        }
        @if let Some(problem) = &own_rules { p.notice { "Its own rules cannot be used: " (plain(problem.as_bytes())) } }
        @if caller.may(Scope::Trigger, &repository.name) { (trigger(&caller, repository)) }
        div #list data-part data-version=(live::version(&newest.version())) {
            (newest.shown())
            @if newest.is_empty() { p.empty { "Nothing has been built yet: push to it, or start a build." } }
            nav.older aria-label="Builds" { a.btn href=(format!("/?repo={}", repository.name)) { "All its builds" } }
        }
        h2 { "About" }
        dl {
            dt { "Source" } dd { (plain(repository.clone_url.as_bytes())) }
            dt { "Image" } dd { code { (repository.image) } }
            dt { "Deliveries" } dd { @if repository.keys.is_empty() { "not accepted: no secret is set" } @else { "signed" } }
            @if let Some(looks) = &looks { dt { "Missed pushes" } dd { (missed(looks)) } }
            @for image in &bases { dt { "Base image" } dd { (base(image)) } }
            @for (tag, note) in &notes { dt { "Tag" } dd { code { (plain(tag.as_bytes())) } " " (plain(note.as_bytes())) } }
            dt { "Last day" } dd { (last_day(&used)) }
            @if let Some(own) = &repository.own_rules { dt { "Rules" } dd { "from " code { (plain(own.path.as_bytes())) } " in the repository; those below where it has none" } }
        }
        h2 { "Rules" }
        table.cards {
            thead { tr { th { "Rule" } th { "Builds" } th { "Tags" } th { "Dockerfile" } th { "How" } } }
            tbody { @for rule in &repository.rules { (row(rule)) } }
        }
        @if !repository.webhooks.is_empty() {
            h2 #webhooks { "Webhooks" }
            (webhooks::told(&caller, repository, &notices))
        }
    };
    let title = &repository.name;
    Ok(Page { title, part: "Repositories", viewer: Some(&caller), mark: None, live: Live::List }.around(&content))
}

async fn newest(service: &Service, repository: &str) -> Result<Rows, Problem> {
    let filter = BuildFilter { repository: Some(repository.to_owned()), limit: MAX_LISTED, ..BuildFilter::default() };
    Rows::read(service, service.database.builds(&filter).await?).await
}

/// Returns the form that starts a build.
fn trigger(caller: &Caller, repository: &Repository) -> Markup {
    let branch = repository.default_branch.as_deref().unwrap_or("main");
    let fields = html! {
        label for="start-ref" { "Branch or tag" }
        input #start-ref name="ref" placeholder=(branch) autocomplete="off" spellcheck="false";
        label for="start-commit" { "Commit" }
        input #start-commit name="commit" placeholder="the newest" autocomplete="off" spellcheck="false";
        @if repository.rules.len() > 1 {
            label for="start-rule" { "Rule" }
            select #start-rule name="rule" {
                option value="" { "those that match" }
                @for rule in &repository.rules { option value=(rule.name) { (rule.name) } }
            }
        }
        button.first { "Build" }
    };
    html! { div.start { (button(caller, &format!("/repos/{}/builds", repository.name), &fields)) } }
}

/// Returns the figures of the last day's builds.
fn last_day(used: &Usage) -> String {
    let (took, cpu) = (seconds(used.duration_ms), seconds(used.cpu_ms));
    format!("{} that took {took} and used {cpu} of processor time", count(used.builds, "build"))
}

/// Returns the state of polls for missed pushes.
fn missed(looks: &RefPollState) -> Markup {
    html! {
        @match (&looks.problem, looks.seen_ms) {
            (Some(problem), _) => { "the last poll failed: " (plain(problem.as_bytes())) "; next poll " (time(looks.due_ms)) }
            (None, Some(seen_ms)) => { "last poll " (time(seen_ms)) }
            (None, None) => { "not polled yet" }
        }
    }
}

/// Returns the state of polls of a base image.
fn base(seen: &SeenImage) -> Markup {
    html! {
        code { (plain(seen.image.reference.as_bytes())) } " for " (seen.image.platform) ": "
        @match (&seen.problem, seen.seen_ms) {
            (Some(problem), _) => { "the last poll failed: " (plain(problem.as_bytes())) }
            (None, Some(seen_ms)) => { "last poll " (time(seen_ms)) }
            (None, None) => { "not polled yet" }
        }
    }
}

fn row(rule: &Rule) -> Markup {
    let kind = if rule.kind == RefKind::Branch { "branch" } else { "tag" };
    html! {
        tr {
            td { (rule.name) }
            td { (kind) " " code { (plain(rule.source().as_bytes())) } }
            td { @for tag in rule.templates() { code.tag { (plain(tag.as_bytes())) } " " } }
            td { code { (plain(rule.dockerfile.as_bytes())) } @if !rule.context.is_empty() { " in " code { (plain(rule.context.as_bytes())) } } }
            td { (how(rule).join(", ")) }
        }
    }
}

/// Returns the options that differ from the defaults.
fn how(rule: &Rule) -> Vec<String> {
    let options = &rule.options;
    let mut words = Vec::new();
    let mut say = |holds: bool, what: &str| {
        if holds {
            words.push(what.to_owned())
        }
    };
    say(!rule.autobuild, "not by pushes");
    say(!rule.cache, "without cache");
    say(options.policy == Policy::Serial, "one at a time");
    say(options.policy == Policy::LatestOnly, "only the latest");
    say(options.path_filter == PathFilter::Automatic, "only pushes that change the image");
    say(options.path_filter == PathFilter::Paths, "only pushes that change its paths");
    say(options.compression == LayerCompression::Zstd, "layers in zstd");
    say(!options.submodules, "without submodules");
    say(!options.lfs, "without Git LFS");
    say(options.priority > 0, "first");
    say(options.priority < 0, "last");
    words.extend(rule.schedules.iter().map(|schedule| format!("at {} UTC", schedule.text())));
    words.extend((!options.platforms.is_empty()).then(|| options.platforms.join(" and ")));
    words
}
