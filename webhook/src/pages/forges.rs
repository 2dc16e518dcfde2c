//! The page of forges, where administrators have GitHub make an App: a form is posted there, and the browser comes back with a code.

use super::form::{Posted, button, see_other};
use super::page::{Live, Page};
use super::provider_sign_in::on;
use crate::api::forges::{forget, listed};
use crate::api::query::query;
use crate::configuration::forges::ForgeSettings;
use crate::configuration::settings::Scope;
use crate::forges::{CallError, made_apps};
use crate::http::auth::Caller;
use crate::http::problem::Problem;
use crate::http::public_path;
use crate::http::state::Service;
use crate::view::code::Code;
use crate::view::forge::ForgeView;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The owner of an App that is to be made.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Owner {
    organization: String,
}

/// The query that GitHub sends a browser back with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Returned {
    code: String,
    state: String,
}

/// Lists the forges.
pub(crate) async fn list(State(service): State<Service>, caller: Caller) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let all = listed(&service).await?;
    let content = html! {
        h1 { "Forges" }
        @if all.is_empty() { p.empty { "The server's " code { "slipway.toml" } " names no forge." } }
        @for forge in &all { (section(&caller, forge)) }
    };
    Ok(page("Forges", &caller, &content))
}

fn section(caller: &Caller, forge: &ForgeView) -> Markup {
    let below = format!("/forges/{}/app", forge.host);
    html! {
        h2 { (plain(forge.host.as_bytes())) }
        p { (forge.kind) ", " @if forge.has_token { "with a token" } @else { "without a token" } "." }
        @match &forge.app {
            Some(app) => {
                p { "The App "
                    @if let Some(page) = app.page.as_deref().filter(|page| page.starts_with("http")) {
                        a.go href=(page) { (plain(app.name.as_deref().unwrap_or("slipway").as_bytes())) } " "
                    }
                    "(" (app.id) ") " @if app.is_made { "was made here by " (plain(app.made_by.as_deref().unwrap_or_default().as_bytes())) "." } @else { "is that of the server's file." }
                }
                @if app.is_made {
                    p.hint { "Install it on repositories at the forge. Removed here, it is still there: delete it on its page, too." }
                    (button(caller, &format!("{below}/remove"), &html! { button { "Forget the App" } }))
                }
            }
            None if forge.may_have_app => {
                form.filter action=(below) {
                    label for=(format!("organization-{}", forge.host)) { "Organization that owns the App; empty for yourself" }
                    input id=(format!("organization-{}", forge.host)) name="organization" autocomplete="off" spellcheck="false";
                    button.first { "Make a GitHub App" }
                }
            }
            None => {}
        }
    }
}

/// Shows the form that is posted to GitHub.
pub(crate) async fn begin(
    State(service): State<Service>,
    Path(host): Path<String>,
    caller: Caller,
    owner: Result<Query<Owner>, QueryRejection>,
) -> Result<Response, Problem> {
    caller.require_everywhere(Scope::Admin)?;
    let forge = without_app(&service, &host)?;
    let organization = query(owner)?.organization;
    let is_name =
        |name: &str| name.len() <= 39 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_name(&organization) {
        return Err(Problem::new(Code::InvalidQuery, "`organization` is not the name of one on GitHub"));
    }
    let session = caller.session.as_deref().ok_or_else(Problem::unauthorized)?;
    let web = forge.web_url();
    let path = match organization.as_str() {
        "" => "/settings/apps/new".to_owned(),
        name => format!("/organizations/{name}/settings/apps/new"),
    };
    let action = format!("{web}{path}?state={}", state(session, &forge.host));
    let content = html! {
        div.lone {
            h1 { "Make a GitHub App" }
            p { "GitHub shows what the App may do, makes it, and leads back here. slipway keeps its key sealed." }
            div.stacked {
                form action=(action) method="post" {
                    input type="hidden" name="manifest" value=(made_apps::manifest(&service.settings.public_url, &forge.host));
                    button.first { "Make it at " (plain(forge.host.as_bytes())) }
                }
            }
        }
    };
    let mut response = page("Make a GitHub App", &caller, &content);
    // This page alone posts to another host, and to that one only.
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; frame-ancestors 'none'; \
         base-uri 'none'; form-action 'self' {}",
        origin(&web)
    );
    let policy = HeaderValue::from_str(&policy).map_err(|_| Problem::database_unavailable())?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// Takes a browser back from GitHub. Its cookies come along with the next request only, for another site began this one.
pub(crate) async fn back(
    State(service): State<Service>,
    Path(host): Path<String>,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Result<Response, Problem> {
    let returned = query(returned)?;
    let forge = without_app(&service, &host)?;
    let mut rest = url::form_urlencoded::Serializer::new(String::new());
    rest.append_pair("code", &returned.code).append_pair("state", &returned.state);
    let path = public_path::path_of(&service.settings.public_url);
    Ok(on(&path, &format!("/forges/{}/app/made?{}", forge.host, rest.finish())))
}

/// Gets the App's keys, if the session began this.
pub(crate) async fn finish(
    State(service): State<Service>,
    Path(host): Path<String>,
    caller: Caller,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Result<Response, Problem> {
    let by = caller.require_everywhere(Scope::Admin)?.name.clone();
    let returned = query(returned)?;
    let forge = without_app(&service, &host)?;
    let session = caller.session.as_deref().ok_or_else(Problem::unauthorized)?;
    let is_ours: bool = state(session, &forge.host).as_bytes().ct_eq(returned.state.as_bytes()).into();
    if !is_ours {
        return Err(Problem::new(Code::StaleForm, "this session has not begun to make an App")
            .hint("begin again on the page /forges, and stay signed in"));
    }
    let client = service.exchanges.client(forge);
    let made = made_apps::make(&service.database, &client, &returned.code, &by).await?;
    let made = made.map_err(|error| {
        let code = if let CallError::Refused(_) = error { Code::ForgeRefused } else { Code::ForgeUnavailable };
        Problem::new(code, format!("{}: {}", forge.host, error.problem().replace(&returned.code, "***")))
    })?;
    made_apps::load(&service.database, &service.settings.forges).await?;
    service.record(&by, caller.address, "forge_app_made", "", &forge.host).await;
    tracing::info!(forge = forge.host, app = made.id, "an App was made");
    Ok(see_other("/forges"))
}

/// Forgets an App.
pub(crate) async fn remove(
    State(service): State<Service>,
    Path(host): Path<String>,
    posted: Posted,
) -> Result<Response, Problem> {
    posted.caller.require_everywhere(Scope::Admin)?;
    forget(&service, &host).await?;
    Ok(see_other("/forges"))
}

/// Returns a GitHub of which an App may be made.
fn without_app<'s>(service: &'s Service, host: &str) -> Result<&'s ForgeSettings, Problem> {
    let forge = service.settings.forges.named(host).filter(|forge| made_apps::may_be_made(forge));
    let forge = forge.ok_or_else(|| Problem::new(Code::NotFound, "no App is made of a forge with this name"))?;
    match forge.app.get() {
        Some(_) => Err(Problem::new(Code::ForgeHasApp, format!("`{host}` has an App already")).hint("forget it first")),
        None => Ok(forge),
    }
}

/// Returns the value with which GitHub sends back the browser of a session.
fn state(session: &str, host: &str) -> String {
    hex::encode(Sha256::digest(format!("app of {host} {session}")))
}

/// Returns scheme, host and port of a URL.
fn origin(url: &str) -> String {
    url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

fn page(title: &str, caller: &Caller, content: &Markup) -> Response {
    Page { title, part: "", viewer: Some(caller), mark: None, live: Live::No }.around(content)
}
