//! Connecting a repository: four short steps on one page, each ticked when it is true, ending in a first build.

use super::form::{Posted, button, see_other};
use super::mark::Mark;
use super::page::{Live, Page, admit};
use super::repository_tabs::{Tab, tabs};
use super::words::build_link;
use crate::api::named::{Administered, find};
use crate::api::{connect, repositories};
use crate::configuration::document::RepositoryDocument;
use crate::configuration::secret::Secret;
use crate::configuration::settings::Scope;
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::session;
use crate::http::state::Service;
use crate::intake::catalog::Entry;
use crate::view::text::plain;
use axum::extract::{Path, State};
use axum::response::Response;
use database::{Build, BuildFilter, Delivery, DeliveryFilter};
use maud::{Markup, html};

/// Shows the form for a new repository.
pub(crate) async fn begin(State(_): State<Service>, caller: Caller) -> Result<Response, Problem> {
    admit(&caller)?;
    caller.require_everywhere(Scope::Admin)?;
    Ok(first(&caller, &Typed::default(), None))
}

/// The fields of the form as somebody typed them.
#[derive(Default)]
struct Typed {
    clone_url: String,
    name: String,
    image: String,
    secret: String,
}

/// Adds a repository and leads to the other steps.
pub(crate) async fn add(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    let field = |name: &str| posted.fields.get(name).trim().to_owned();
    let typed =
        Typed { clone_url: field("clone_url"), name: field("name"), image: field("image"), secret: field("secret") };
    let name = if typed.name.is_empty() { name_in(&typed.clone_url).unwrap_or_default() } else { typed.name.clone() };
    let document = RepositoryDocument {
        name,
        clone_url: typed.clone_url.clone(),
        image: typed.image.clone(),
        secret: (!typed.secret.is_empty()).then(|| Secret::Text(typed.secret.clone())),
        ..RepositoryDocument::default()
    };
    match repositories::create(&service, &posted.caller, document).await {
        Ok(entry) => Ok(see_other(&format!("/repos/{}/connect", entry.document.name))),
        Err(problem) => {
            let mut response = first(&posted.caller, &typed, Some(&problem));
            *response.status_mut() = problem.code().status();
            Ok(response)
        }
    }
}

/// Registers the webhook at the forge.
pub(crate) async fn register(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    posted: Posted,
) -> Result<Response, Problem> {
    let Administered { name } = Administered::find(&service, &posted.caller, format!("{namespace}/{name}")).await?;
    let rotate = posted.fields.get("rotate") == "yes";
    let connecting = connect::Connecting { rotate, drop_previous: false };
    let connected = connect::connected(&service, &posted.caller, &name, &connecting).await?;
    let entry = find(&service, &posted.caller, &name).await?;
    let steps = Steps::read(&service, &entry).await?;
    let secret =
        if rotate { " It has another secret; the one before counts until the next one takes its place." } else { "" };
    let said = format!("The webhook {} of {} was {}.{secret}", connected.hook, connected.forge, connected.action);
    Ok(steps.page(&service, &posted.caller, &entry, Some(&said)))
}

/// Shows how far a repository is connected.
pub(crate) async fn show(
    State(service): State<Service>,
    Path((namespace, name)): Path<(String, String)>,
    caller: Caller,
) -> Result<Response, Problem> {
    admit(&caller)?;
    let entry = find(&service, &caller, &format!("{namespace}/{name}")).await?;
    caller.require(Scope::Admin, &entry.document.name)?;
    Ok(Steps::read(&service, &entry).await?.page(&service, &caller, &entry, None))
}

/// Returns `namespace/name` of the last two parts of a URL.
fn name_in(clone_url: &str) -> Option<String> {
    let mut parts = clone_url.trim_end_matches('/').trim_end_matches(".git").rsplit(['/', ':']);
    let (name, namespace) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !namespace.is_empty()).then(|| format!("{namespace}/{name}").to_lowercase())
}

fn first(caller: &Caller, typed: &Typed, refused: Option<&Problem>) -> Response {
    let secret = if typed.secret.is_empty() { session::new_visit().unwrap_or_default() } else { typed.secret.clone() };
    let fields = html! {
        label for="clone_url" { "Where it is fetched from" }
        input #clone_url name="clone_url" value=(typed.clone_url) placeholder="https://github.com/team/app.git" required autocomplete="off" spellcheck="false";
        label for="image" { "Where its images go" }
        input #image name="image" value=(typed.image) placeholder="registry.example.com/team/app" required autocomplete="off" spellcheck="false";
        label for="name" { "Its name here; that of the address, if this is empty" }
        input #name name="name" value=(typed.name) placeholder="team/app" autocomplete="off" spellcheck="false";
        label for="secret" { "Secret that its deliveries are signed with: keep it for the forge, it is not shown again" }
        input #secret name="secret" value=(secret) autocomplete="off" spellcheck="false";
        button.first { "Connect" }
    };
    let content = html! {
        div.lone {
            h1 { "Connect a repository" }
            @if let Some(problem) = refused { p.notice.bad role="alert" { (plain(problem.detail().as_bytes())) "." } }
            @if caller.session.is_none() { p.notice { a href="/login?next=/connect" { "Sign in" } " to connect a repository." } }
            div.stacked { (button(caller, "/connect", &fields)) }
        }
    };
    let (title, part) = ("Connect a repository", "Repositories");
    Page { title, part, viewer: Some(caller), mark: None, live: Live::No }.around(&content)
}

/// How far a repository is connected.
struct Steps {
    delivery: Option<Delivery>,
    build: Option<Build>,
}

impl Steps {
    async fn read(service: &Service, entry: &Entry) -> Result<Steps, Problem> {
        let repository = Some(entry.document.name.clone());
        let deliveries = DeliveryFilter { repository: repository.clone(), limit: 1, ..DeliveryFilter::default() };
        let builds = BuildFilter { repository, limit: 1, ..BuildFilter::default() };
        Ok(Steps {
            delivery: service.database.deliveries(&deliveries).await?.pop(),
            build: service.database.builds(&builds).await?.pop(),
        })
    }

    fn page(&self, service: &Service, caller: &Caller, entry: &Entry, said: Option<&str>) -> Response {
        let name = &entry.document.name;
        let content = html! {
            div.head { h1 { (name) } }
            (tabs(caller, entry, Tab::Connect))
            @if let Some(said) = said { p.notice role="status" { (plain(said.as_bytes())) } }
            ol.steps {
                (step(true, "Repository", &html! { "Fetched from " code { (plain(entry.repository.clone_url.as_bytes())) } "; images go to " code { (entry.repository.image) } "." }))
                (step(!entry.repository.keys.is_empty(), "Secret", &self.secret(entry)))
                (step(self.delivery.is_some(), "Webhook", &self.webhook(service, caller, entry)))
                (step(self.build.is_some(), "First build", &self.build(caller, entry)))
            }
        };
        let title = format!("Connect {name}");
        Page { title: &title, part: "Repositories", viewer: Some(caller), mark: None, live: Live::No }.around(&content)
    }

    fn secret(&self, entry: &Entry) -> Markup {
        let name = &entry.document.name;
        html! {
            @if entry.repository.keys.is_empty() {
                "Deliveries are not accepted until a secret is set: write " code { "secret = \"…\"" } " into its "
                a href=(format!("/repos/{name}/settings")) { "settings" } "."
            } @else { "Deliveries are signed." }
        }
    }

    fn webhook(&self, service: &Service, caller: &Caller, entry: &Entry) -> Markup {
        let repository = &entry.repository;
        let forge = service.settings.forge_of(repository, None);
        let hook = forge
            .map_or_else(|| service.settings.forges.hook_name(&repository.clone_url), |forge| forge.kind.hook_name());
        let url = format!("{}/hooks/{hook}", service.settings.public_url);
        html! {
            @if self.delivery.is_some() { "The forge has delivered. " }
            @match forge {
                Some(forge) => {
                    "slipway registers the webhook at " (plain(forge.host.as_bytes())) ", or mends it. "
                    (button(caller, &format!("/repos/{}/connect", repository.name), &html! { button.first[self.delivery.is_none()] { "Register the webhook" } }))
                    @if self.delivery.is_some() && !service.catalog.is_fixed(&repository.name) {
                        (button(caller, &format!("/repos/{}/connect", repository.name), &html! {
                            input type="hidden" name="rotate" value="yes"; button { "Give it another secret" }
                        }))
                    }
                }
                None => "Add a webhook at the forge, for pushes, of the type application/json, with the secret, and this address:",
            }
            @if forge.is_some() { a.go href=(format!("/repos/{}/forge-deliveries", repository.name)) { "The webhook and its deliveries, as the forge tells them" } }
            div.cmd { code { (url) } button.copy.scripted hidden type="button" { "Copy" } }
        }
    }

    fn build(&self, caller: &Caller, entry: &Entry) -> Markup {
        let repository = &entry.repository;
        let branch = repository.default_branch.as_deref().unwrap_or("main");
        html! {
            @match &self.build {
                Some(build) => { (build_link(build)) " " (Mark::of_build(build).label()) }
                None => {
                    "Push to it, or build a branch now."
                    div.start { (button(caller, &format!("/repos/{}/builds", repository.name), &html! {
                        label for="ref" { "Branch" }
                        input #ref name="ref" value=(branch) autocomplete="off" spellcheck="false";
                        button.first[self.delivery.is_some()] { "Build" }
                    })) }
                }
            }
        }
    }
}

fn step(is_done: bool, name: &str, content: &Markup) -> Markup {
    html! {
        li {
            @if is_done { (Mark::done().icon()) } @else { (Mark::open().icon()) }
            div { h2 { (name) } div { (content) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_from_the_address() {
        let of = |url| name_in(url);
        assert_eq!(of("https://github.com/Team/App.git").as_deref(), Some("team/app"));
        assert_eq!(of("git@github.com:team/app").as_deref(), Some("team/app"));
        assert_eq!((of("app"), of("")), (None, None));
    }
}
