//! The page of a repository: state per branch and tag, newest builds, rules in words, figures, health, badges.

use super::form::button;
use super::moment::time;
use super::page::{Live, Page, admit};
use super::repository_refs::Refs;
use super::rows::Rows;
use super::words::{count, seconds};
use super::{live, repository_tabs, rule_words, sizes, trend, try_rules, webhooks};
use crate::api::named::find;
use crate::api::{query::query, usage};
use crate::configuration::settings::{Repository, Scope};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::repository::MovedView;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use database::{Build, BuildFilter, Delivery, DeliveryFilter, RefPollState, SeenImage, Usage};
use maud::{Markup, html};
use serde::Deserialize;

/// Builds on the page.
const MAX_LISTED: u32 = 10;

/// A push to be tried on the rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct TryQuery {
    #[serde(rename = "try")]
    git_ref: String,
    message: String,
}

/// Shows one repository.
pub(crate) async fn show(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
    headers: HeaderMap,
    tried: Result<Query<TryQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let tried = query(tried)?;
    let entry = find(&service, &caller, &format!("{namespace}/{name}")).await?;
    let repository = &entry.repository;
    if live::is_wanted(&headers) {
        let (seen, name) = (service.clone(), repository.name.clone());
        return Ok(live::follow(&service, move || {
            let (service, name) = (seen.clone(), name.clone());
            async move { Ok(live::version(&newest(&service, &name).await?.version())) }
        }));
    }
    let rows = newest(&service, &repository.name).await?;
    let refs = Refs::read(&service, &repository.name).await?;
    let told = if tried.git_ref.trim().is_empty() {
        None
    } else {
        Some(try_rules::tried(&service, &caller, &entry, tried.git_ref.trim(), &tried.message).await)
    };
    let facts = Facts::read(&service, &entry).await?;
    let content = html! {
        div.head {
            h1 { (repository.name) }
            img.badge alt="state of the newest build" src=(format!("/badges/{}.svg", repository.name));
        }
        (repository_tabs::tabs(&caller, &entry, repository_tabs::Tab::Builds))
        (facts.notices())
        @if caller.may(Scope::Trigger, &repository.name) { (trigger(&caller, repository)) }
        div #list data-part data-version=(live::version(&rows.version())) {
            (refs.shown(&repository.name))
            (rows.shown())
            @if rows.is_empty() { p.empty { "Nothing has been built yet: push to it, or start a build." } }
            nav.older aria-label="Builds" { a.btn href=(format!("/?repo={}", repository.name)) { "All its builds" } }
        }
        h2 #rules { "Rules" }
        @if let Some(own) = &repository.own_rules {
            p { "They come from " code { (plain(own.path.as_bytes())) } " in the repository; those below count where it has none." }
        }
        (rule_words::list(&repository.rules))
        (try_rules::form(&repository.name, &tried.git_ref, &tried.message, told.as_ref()))
        (sizes::shown(&facts.sizes, "Image size over time"))
        (trend::shown(&facts.trend))
        (facts.about(&service, &caller, &entry))
    };
    let title = &repository.name;
    Ok(Page { title, part: "Repositories", viewer: Some(&caller), mark: None, live: Live::List }.around(&content))
}

async fn newest(service: &Service, repository: &str) -> Result<Rows, Problem> {
    let filter = BuildFilter { repository: Some(repository.to_owned()), limit: MAX_LISTED, ..BuildFilter::default() };
    Rows::read(service, service.database.builds(&filter).await?).await
}

/// Facts of a repository besides its builds.
struct Facts {
    refusal: Option<database::Refusal>,
    own_rules: Option<String>,
    /// The forge's name of it now.
    moved: Option<MovedView>,
    polls: Option<RefPollState>,
    bases: Vec<SeenImage>,
    notes: Vec<(String, String)>,
    notifications: Vec<database::Notification>,
    delivery: Option<Delivery>,
    sizes: Vec<Build>,
    trend: Vec<database::TrendPoint>,
    used: Usage,
}

impl Facts {
    async fn read(service: &Service, entry: &Entry) -> Result<Facts, Problem> {
        let (database, name) = (&service.database, entry.document.name.as_str());
        let newest = DeliveryFilter { repository: Some(name.to_owned()), limit: 1, ..DeliveryFilter::default() };
        let known = database.forge_repository(name).await?;
        Ok(Facts {
            refusal: database.newest_refusal(name).await?,
            own_rules: database.own_rules_problem(name).await?,
            moved: known.and_then(|known| MovedView::of(&known, &entry.repository.forge_name)),
            polls: database.ref_poll_state(name).await?,
            bases: crate::background::base_images::of_repository(database, name).await?,
            notes: database.tag_notes(name).await?,
            notifications: database.notifications(name, webhooks::MAX_LISTED).await?,
            delivery: database.deliveries(&newest).await?.pop(),
            sizes: sizes_of_first_rule(service, &entry.repository).await?,
            trend: database.trend(name, trend::SPAN).await?,
            used: database.usage(name, usage::DAY).await?,
        })
    }

    fn notices(&self) -> Markup {
        html! {
            @if let Some(refusal) = &self.refusal {
                p.notice.hold {
                    "The forge refuses statuses: " (plain(refusal.problem.as_bytes())) ", last of "
                    a href=(format!("/builds/{}", refusal.build.as_str())) { "this build" } " at " (time(refusal.at_ms)) "."
                }
            }
            @if let Some(moved) = &self.moved {
                p.notice.hold {
                    "The forge calls this repository " code { (plain(moved.forge_name.as_bytes())) } " now"
                    @if !moved.is_confirmed { ", as a delivery tells" }
                    ": set its " code { "forge_name" } " and " code { "clone_url" } "."
                }
            }
            @if let Some(problem) = &self.own_rules { p.notice.hold { "Its own rules cannot be used: " (plain(problem.as_bytes())) } }
        }
    }

    fn about(&self, service: &Service, caller: &Caller, entry: &Entry) -> Markup {
        let repository = &entry.repository;
        html! {
            h2 { "About" }
            dl {
                dt { "Source" } dd { (plain(repository.clone_url.as_bytes())) }
                @for image in repository.images() { dt { "Image" } dd { code { (image) } } }
                dt { "Webhook of the forge" } dd { (self.health(repository)) }
                @if let Some(polls) = &self.polls { dt { "Missed pushes" } dd { (missed(polls)) } }
                @for image in &self.bases { dt { "Base image" } dd { (base(image)) } }
                dt { "Last day" } dd { (last_day(&self.used)) }
                @for (tag, note) in &self.notes { dt { "Tag" } dd { code { (plain(tag.as_bytes())) } " " (plain(note.as_bytes())) } }
            }
            h2 #badges { "Badges" }
            (badges(service, &repository.name))
            @if !repository.webhooks.is_empty() {
                h2 #webhooks { "Webhooks" }
                (webhooks::told(caller, repository, &self.notifications))
            }
        }
    }

    /// Says whether deliveries arrive.
    fn health(&self, repository: &Repository) -> Markup {
        html! {
            @if repository.keys.is_empty() { "deliveries are not accepted: no secret is set" }
            @else if let Some(delivery) = &self.delivery {
                "last delivery " (time(delivery.created_ms)) ": " (plain(delivery.event.as_bytes())) ", "
                @if let Some(reason) = &delivery.ignored { "ignored (" (plain(reason.replace('_', " ").as_bytes())) ")" }
                @else { (count(delivery.builds.len() as i64, "build")) }
            } @else { "nothing has arrived yet" }
        }
    }
}

/// Returns the images of the rule that built last.
async fn sizes_of_first_rule(service: &Service, repository: &Repository) -> Result<Vec<Build>, Problem> {
    let all = sizes::history(service, &repository.name, None).await?;
    let rule = all.last().map(|build| build.request.rule.clone());
    Ok(all.into_iter().filter(|build| Some(&build.request.rule) == rule.as_ref()).collect())
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

/// Returns badges as they are written into other pages.
fn badges(service: &Service, name: &str) -> Markup {
    let (page, badge) = {
        let url = &service.settings.public_url;
        (format!("{url}/repos/{name}"), format!("{url}/badges/{name}.svg"))
    };
    let forms = [
        ("Markdown", format!("[![image]({badge})]({page})")),
        ("HTML", format!("<a href=\"{page}\"><img alt=\"image\" src=\"{badge}\"></a>")),
        ("Of a branch", format!("{badge}?branch=main")),
    ];
    html! {
        @for (name, text) in &forms {
            p.hint { (name) }
            div.cmd { code { (text) } button.copy.scripted hidden type="button" { "Copy" } }
        }
    }
}

/// Returns the state of polls for missed pushes.
fn missed(polls: &RefPollState) -> Markup {
    html! {
        @match (&polls.problem, polls.seen_ms) {
            (Some(problem), _) => { "the last poll failed: " (plain(problem.as_bytes())) "; next poll " (time(polls.due_ms)) }
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

/// Returns the figures of the last day's builds.
fn last_day(used: &Usage) -> String {
    let (took, cpu) = (seconds(used.duration_ms), seconds(used.cpu_ms));
    format!("{} that took {took} and used {cpu} of processor time", count(used.builds, "build"))
}
