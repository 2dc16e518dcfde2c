//! The page to sign in with a token of the API, and the end of a session.

use super::form::{Fields, Posted, hidden, see_other};
use super::page::{Live, Page};
use crate::api::query::query;
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
use maud::{Markup, html};
use serde::Deserialize;
use sha2::{Digest, Sha256};

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
    let cookies = Cookies::new(&service.settings);
    Ok(page(&cookies, &headers, &next, &html! { p { "Sign in to retry, cancel, approve or start builds." } }))
}

/// Begins a session for a token.
pub(crate) async fn submit(
    State(service): State<Service>,
    Address(address): Address,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let cookies = Cookies::new(&service.settings);
    let fields = Fields::read(&headers, body).await?;
    fields.check(session::visit(&headers))?;
    let presented = fields.get("token").trim();
    let Some(token) = auth::find(&service, presented).await? else {
        let problem = service.refuse(address);
        if problem.code() != Code::Unauthorized {
            return Err(problem);
        }
        let said = html! { p.notice.bad role="alert" { "This token is not known here: it may be mistyped, revoked or expired." } };
        let mut response = page(&cookies, &headers, fields.get("next"), &said);
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        return Ok(response);
    };
    let span_ms = i64::try_from(session::LIFE.as_millis()).unwrap_or(i64::MAX);
    let id = service.database.begin_session(&Sha256::digest(presented).into(), span_ms).await?;
    if let Some(before) = session::id(&headers) {
        service.database.end_session(before).await?;
    }
    tracing::info!(token = token.name, %address, "somebody signed in");
    Ok(with_cookie(see_other(local(fields.get("next"))), cookies.begin(&id)))
}

/// Ends a session.
pub(crate) async fn leave(State(service): State<Service>, posted: Posted) -> Result<Response, Problem> {
    if let Some(session) = &posted.caller.session {
        service.database.end_session(session).await?;
    }
    Ok(with_cookie(see_other("/"), Cookies::new(&service.settings).end()))
}

/// Returns the page with the form, and the cookie that ties it to the browser if that has none yet.
pub(crate) fn page(cookies: &Cookies, headers: &HeaderMap, next: &str, said: &Markup) -> Response {
    let known = session::visit(headers).map(str::to_owned);
    let is_new = known.is_none();
    let Some(visit) = known.or_else(session::new_visit) else {
        return axum::response::IntoResponse::into_response(Problem::database_unavailable());
    };
    let content = html! {
        div.lone {
            h1 { "Sign in" }
            (said)
            form.stack action="/login" method="post" {
                (hidden(&session::proof(&visit)))
                input type="hidden" name="next" value=(local(next));
                label for="token" { "Token of the API" }
                input #token type="password" name="token" autocomplete="current-password" spellcheck="false" required autofocus;
                p.hint { code { "slipway token create --name ada --scope trigger" } ", on the server's machine, creates one. Scopes: "
                    code { "read" } " sees builds, " code { "trigger" } " starts them, " code { "admin" } " changes everything." }
                button.first { "Sign in" }
            }
        }
    };
    let response = Page { title: "Sign in", part: "", viewer: None, mark: None, live: Live::No }.around(&content);
    if is_new { with_cookie(response, cookies.visit(&visit)) } else { response }
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

fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
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
