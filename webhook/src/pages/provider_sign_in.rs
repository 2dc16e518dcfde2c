//! The sign-in at a provider: a browser is sent there, and comes back with a code.

use super::form::see_other;
use super::page::{Live, Page};
use super::sign_in::{Begun, begin as begin_session, local, with_cookie};
use crate::api::query::query;
use crate::configuration::sign_in::{Provider, ProviderKind};
use crate::http::auth::Address;
use crate::http::problem::Problem;
use crate::http::public_path;
use crate::http::session::{self, Cookies};
use crate::http::state::Service;
use crate::people::{self, Flow, Refused};
use crate::view::code::Code;
use crate::view::text::plain;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use database::SessionOwner;
use maud::{DOCTYPE, html};
use serde::Deserialize;
use std::net::IpAddr;

/// How long a session lasts whose owner no forge is asked about again.
const UNCHECKED_MS: i64 = 24 * 60 * 60 * 1000;
/// Longest code that is passed on.
const MAX_CODE: usize = 4096;

/// Where to go after the sign-in.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Next {
    next: String,
}

/// The query that a provider sends a browser back with.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Returned {
    code: Option<String>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

fn provider<'s>(service: &'s Service, name: &str) -> Result<&'s Provider, Problem> {
    let known = service.settings.sign_in.provider(name);
    known.ok_or_else(|| {
        Problem::new(Code::NotFound, format!("nobody signs in with `{name}` here")).hint("the page /login shows where")
    })
}

/// Sends a browser to a provider.
pub(crate) async fn begin(
    State(service): State<Service>,
    Path(name): Path<String>,
    wanted: Result<Query<Next>, QueryRejection>,
) -> Result<Response, Problem> {
    let provider = provider(&service, &name)?;
    let next = query(wanted)?.next;
    let random = session::new_flow().ok_or_else(Problem::database_unavailable)?;
    let flow = Flow { provider, random: &random };
    let exchange = service.exchanges.for_people();
    match people::begin(&service.settings, exchange, &service.people.keys, &flow).await {
        Ok(url) => {
            let cookie = Cookies::new(&service.settings).begin_flow(&random, local(&next));
            Ok(with_cookie(see_other(&url), cookie))
        }
        Err(refused) => Ok(failed(&service, provider, &refused, &next)),
    }
}

/// Takes a browser back from a provider.
pub(crate) async fn finish(
    State(service): State<Service>,
    Path(name): Path<String>,
    Address(address): Address,
    headers: HeaderMap,
    returned: Result<Query<Returned>, QueryRejection>,
) -> Result<Response, Problem> {
    let provider = provider(&service, &name)?;
    let returned = query(returned)?;
    let flow = session::flow(&headers);
    let (random, next) = flow.as_ref().map_or(("", ""), |flow| (flow.0, flow.1.as_str()));
    let flow = Flow { provider, random };
    if random.is_empty() || !flow.is_begun_with(returned.state.as_deref().unwrap_or_default()) {
        let text = "this browser has begun no such sign-in, or more than ten minutes ago. Start again, and let it keep cookies";
        return Ok(failed(&service, provider, &Refused(text.to_owned()), next));
    }
    match sign_in(&service, &flow, &returned, address, &headers).await? {
        Ok(cookie) => {
            let path = public_path::path_of(&service.settings.public_url);
            let response = with_cookie(on(&path, local(next)), cookie);
            Ok(with_cookie(response, Cookies::new(&service.settings).end_flow()))
        }
        Err(refused) => Ok(failed(&service, provider, &refused, next)),
    }
}

/// Finds out who came back and begins their session.
async fn sign_in(
    service: &Service,
    flow: &Flow<'_>,
    returned: &Returned,
    address: IpAddr,
    headers: &HeaderMap,
) -> Result<Result<Option<HeaderValue>, Refused>, Problem> {
    let provider = flow.provider;
    let code = match checked(provider, returned) {
        Ok(code) => code,
        Err(refused) => return Ok(Err(refused)),
    };
    let (exchange, keys) = (service.exchanges.for_people(), &service.people.keys);
    let tokens = match people::exchange_code(&service.settings, exchange, keys, flow, code).await {
        Ok(tokens) => tokens,
        Err(refused) => return Ok(Err(refused)),
    };
    let profile = match people::profile(exchange, keys, flow, &tokens).await {
        Ok(profile) => profile,
        Err(refused) => return Ok(Err(refused)),
    };
    let is_forge = matches!(provider.kind, ProviderKind::Forge { .. });
    let login = is_forge.then_some(&tokens.login);
    let name = plain(format!("{}/{}", provider.name, profile.name).as_bytes());
    let identity = service.database.put_identity(&provider.name, &profile.subject, &name, login).await?;
    service.people.forget(identity.id);
    let life = i64::try_from(session::LIFE.as_millis()).unwrap_or(i64::MAX);
    let span_ms = if is_forge { life } else { UNCHECKED_MS };
    let begun = Begun { owner: SessionOwner::Identity(identity.id), span_ms, who: &name, address };
    begin_session(service, headers, begun).await.map(Ok)
}

/// Returns the code, if the provider gave one.
fn checked<'r>(provider: &Provider, returned: &'r Returned) -> Result<&'r str, Refused> {
    let name = &provider.name;
    if let (ProviderKind::Oidc { issuer, .. }, Some(said)) = (&provider.kind, &returned.iss)
        && issuer != said
    {
        return Err(Refused(format!("the answer is of another issuer than {name}. Start again")));
    }
    if let Some(error) = &returned.error {
        return Err(Refused(match error.as_str() {
            "access_denied" => format!("{name} was told not to sign you in. Start again, and agree there"),
            _ => {
                let said = returned.error_description.as_deref().unwrap_or(error);
                let said: String = provider.mask(&plain(said.as_bytes())).chars().take(300).collect();
                format!("{name} did not sign you in: {said}. Start again, or tell the administrator of this server")
            }
        }));
    }
    let code = returned.code.as_deref().filter(|code| !code.is_empty() && code.len() <= MAX_CODE);
    code.ok_or_else(|| Refused(format!("{name} sent no code along. Start again")))
}

/// Leads on to a page of ours. A redirect would be one that another site began: browsers would leave the cookie out.
pub(super) fn on(path: &str, next: &str) -> Response {
    let content = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; meta http-equiv="refresh" content=(format!("0; url={path}{next}")); title { "slipway" } }
            body { a href=(next) { "Continue" } }
        }
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // The address of this page holds the code.
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    (headers, content.into_string()).into_response()
}

/// Returns the page of a sign-in that did not succeed.
fn failed(service: &Service, provider: &Provider, refused: &Refused, next: &str) -> Response {
    tracing::warn!(provider = provider.name, problem = refused.0, "a sign-in did not succeed");
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", local(next)).finish();
    let content = html! {
        div.lone {
            h1 { "Not signed in" }
            p.notice.bad role="alert" { "The sign-in did not succeed: " (refused.0) "." }
            p { a.btn.first href=(format!("/login/with/{}?{query}", provider.name)) { "Start again" } " "
                a href=(format!("/login?{query}")) { "Other ways to sign in" } }
        }
    };
    let mut response =
        Page { title: "Not signed in", part: "", viewer: None, mark: None, live: Live::No }.around(&content);
    *response.status_mut() = StatusCode::BAD_REQUEST;
    with_cookie(response, Cookies::new(&service.settings).end_flow())
}
