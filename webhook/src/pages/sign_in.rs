//! The page to sign in: at a provider, with an account, or with a token of the API; and the end of a session.

use super::account_sign_in;
use super::form::{Fields, Posted, hidden, see_other};
use super::page::{Live, Page};
use crate::api::query::query;
use crate::configuration::Settings;
use crate::http::auth::{self, Address, Caller};
use crate::http::problem::Problem;
use crate::http::public_path;
use crate::http::session::{self, Cookies};
use crate::http::state::Service;
use crate::view::code::Code;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use database::{NewSession, SessionOwner};
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Where to go after the sign-in.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Next {
    next: String,
}

/// Shows the form. Browsers leave the cookie out where a link of another site leads here; for who is signed in all the same,
/// the page that they come from is shown again.
pub(crate) async fn show(
    State(service): State<Service>,
    caller: Caller,
    headers: HeaderMap,
    wanted: Result<Query<Next>, QueryRejection>,
) -> Result<Response, Problem> {
    let wanted = query(wanted)?.next;
    let next = if wanted.is_empty() { page_before(&service, &headers).unwrap_or_default() } else { wanted };
    if caller.session.is_some() {
        return Ok(see_other(local(&next)));
    }
    let ways = Ways::new(&service.settings);
    Ok(page(&ways, &headers, &next, &html! { p { "Sign in to retry, cancel, approve or start builds." } }))
}

/// How people sign in here.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    /// Attributes of cookies.
    pub cookies: Cookies,
    providers: Vec<String>,
    has_accounts: bool,
}

impl Ways {
    /// Returns the ways that the settings allow.
    pub(crate) fn new(settings: &Settings) -> Ways {
        let providers = settings.sign_in.providers.iter().map(|provider| provider.name.clone()).collect();
        Ways { cookies: Cookies::new(settings), providers, has_accounts: settings.sign_in.local }
    }
}

/// Begins a session for a token.
pub(crate) async fn submit(
    State(service): State<Service>,
    Address(address): Address,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let ways = Ways::new(&service.settings);
    let fields = Fields::read(&headers, body).await?;
    fields.check(session::visit(&headers))?;
    let again = |text: &str| {
        let said = html! { p.notice.bad role="alert" { (text) } };
        let mut response = page(&ways, &headers, fields.get("next"), &said);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        response
    };
    let (owner, span_ms, who) = if ways.has_accounts && !fields.get("name").is_empty() {
        match account_sign_in::check(&service, address, fields.get("name"), fields.get("password")).await? {
            Some(found) => found,
            None => return Ok(again("The name or the password is wrong, or the account has ended.")),
        }
    } else {
        let presented = fields.get("token").trim();
        let Some(token) = auth::find(&service, presented).await? else {
            let problem = service.refuse(address);
            if problem.code() != Code::Unauthorized {
                return Err(problem);
            }
            return Ok(again("This token is not known here: it may be mistyped, revoked or expired."));
        };
        let owner = SessionOwner::Token(Sha256::digest(presented).into());
        (owner, i64::try_from(session::LIFE.as_millis()).unwrap_or(i64::MAX), token.name)
    };
    let begun = Begun { owner, span_ms, who: &who, address };
    let cookie = begin(&service, &headers, begun).await?;
    Ok(with_cookie(see_other(local(fields.get("next"))), cookie))
}

/// A session about to begin.
pub(super) struct Begun<'b> {
    /// The owner.
    pub owner: SessionOwner,
    /// How many milliseconds it lasts.
    pub span_ms: i64,
    /// Name of the owner.
    pub who: &'b str,
    /// Where they are.
    pub address: IpAddr,
}

/// Begins a session in the place of one that the browser may have, and returns its cookie.
pub(super) async fn begin(
    service: &Service,
    headers: &HeaderMap,
    begun: Begun<'_>,
) -> Result<Option<HeaderValue>, Problem> {
    let browser = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (owner, span_ms, address) = (begun.owner, begun.span_ms, begun.address);
    let new = NewSession { owner, span_ms, address: address.to_string(), browser };
    let id = service.database.begin_session(&new).await?;
    if let Some(before) = session::id(headers) {
        service.database.end_session(before).await?;
    }
    tracing::info!(who = begun.who, %address, "somebody signed in");
    service.record(begun.who, address, "sign_in", "", "").await;
    let seconds = u64::try_from(span_ms / 1000).unwrap_or_default();
    Ok(Cookies::new(&service.settings).begin(&id, seconds))
}

/// Ends a session.
pub(crate) async fn leave(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    if let Some(session) = &posted.caller.session {
        service.database.end_session(session).await?;
    }
    Ok(with_cookie(see_other("/"), Cookies::new(&service.settings).end()))
}

/// Returns the page with the form, and the cookie that ties it to the browser if that has none yet.
pub(crate) fn page(ways: &Ways, headers: &HeaderMap, next: &str, said: &Markup) -> Response {
    let known = session::visit(headers).map(str::to_owned);
    let is_new = known.is_none();
    let Some(visit) = known.or_else(session::new_visit) else {
        return axum::response::IntoResponse::into_response(Problem::database_unavailable());
    };
    let content = html! {
        div.lone {
            h1 { "Sign in" }
            (said)
            @for provider in &ways.providers {
                a.btn.first href=(format!("/login/with/{provider}?{}", asked(next))) { "Sign in with " (provider) }
            }
            @if ways.has_accounts { (account_form(&visit, next)) }
            @if ways.providers.is_empty() && !ways.has_accounts { (token_form(&visit, next)) }
            @else { details { summary { "Sign in with a token" } (token_form(&visit, next)) } }
        }
    };
    let response = Page { title: "Sign in", part: "", viewer: None, mark: None, live: Live::No }.around(&content);
    if is_new { with_cookie(response, ways.cookies.visit(&visit)) } else { response }
}

/// Returns the query that names the page to go to afterwards.
fn asked(next: &str) -> String {
    url::form_urlencoded::Serializer::new(String::new()).append_pair("next", local(next)).finish()
}

fn account_form(visit: &str, next: &str) -> Markup {
    html! {
        form.stack action="/login" method="post" {
            (hidden(&session::proof(visit)))
            input type="hidden" name="next" value=(local(next));
            label for="name" { "Account" }
            input #name name="name" autocomplete="username" spellcheck="false" required;
            label for="password" { "Password" }
            input #password type="password" name="password" autocomplete="current-password" required;
            button { "Sign in with an account" }
        }
    }
}

fn token_form(visit: &str, next: &str) -> Markup {
    html! {
        form.stack action="/login" method="post" {
            (hidden(&session::proof(visit)))
            input type="hidden" name="next" value=(local(next));
            label for="token" { "Token of the API" }
            input #token type="password" name="token" autocomplete="current-password" spellcheck="false" required autofocus;
            p.hint { code { "slipway token create --name ada --scope trigger" } ", on the server's machine, creates one. Scopes: "
                code { "read" } " sees builds, " code { "trigger" } " starts them, " code { "admin" } " changes everything." }
            button.first { "Sign in" }
        }
    }
}

/// Returns the page of ours that a link was on.
fn page_before(service: &Service, headers: &HeaderMap) -> Option<String> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (_, rest) = text(header::REFERER)?.split_once("://")?;
    let (host, _) = rest.split_once('/')?;
    let path = &rest[host.len()..];
    let inner = path.strip_prefix(&public_path::path_of(&service.settings.public_url)).unwrap_or(path);
    (text(header::HOST) == Some(host)).then(|| inner.to_owned())
}

/// Returns a path of this service; the first page for whatever else is asked for.
pub(crate) fn local(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.starts_with("/login");
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { next } else { "/" }
}

pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_no_other_site() {
        assert_eq!(local("/builds/bld_1?step=2#log"), "/builds/bld_1?step=2#log");
        for bad in ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nb", "/login?next=/", "x"] {
            assert_eq!(local(bad), "/", "{bad:?}");
        }
    }
}
