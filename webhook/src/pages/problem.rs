//! Problems as people's browsers show them: a page instead of JSON. Programs, and the paths for them, get the JSON.

use super::page::{Live, Page};
use super::sign_in::{self, Ways};
use crate::http::problem::ProblemText;
use crate::view::text::plain;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, html};
use std::sync::Arc;

/// Prefixes of paths for programs.
const PROGRAMS: [&str; 3] = ["/v1/", "/hooks/", "/u/"];
/// The scheme that a page asks for: unlike `Basic`, it makes no browser ask for a name and a password itself.
const SCHEME: HeaderValue = HeaderValue::from_static("Bearer realm=\"slipway\"");

/// Puts a page in the place of a problem where a browser asked for one or sent a form.
pub(crate) async fn show(State(ways): State<Arc<Ways>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_page = matches!(*request.method(), Method::GET | Method::POST)
        && wants_html(request.headers())
        && !PROGRAMS.iter().any(|start| path.starts_with(start));
    if !is_page {
        return next.run(request).await;
    }
    let back = match *request.method() {
        Method::GET => request.uri().path_and_query().map_or("/", |whole| whole.as_str()).to_owned(),
        _ => page_of(path),
    };
    let headers = request.headers().clone();
    let response = next.run(request).await;
    match response.extensions().get::<ProblemText>().cloned() {
        Some(_) if response.status() == StatusCode::UNAUTHORIZED => ask(&ways, &headers, &back),
        Some(told) => page(response, &told, &back),
        None => response,
    }
}

/// Returns the page on which the form for an action stands.
fn page_of(action: &str) -> String {
    let parts: Vec<&str> = action.trim_start_matches('/').split('/').collect();
    match parts.as_slice() {
        ["builds", id, _] => format!("/builds/{id}"),
        ["repos", namespace, name, ..] => format!("/repos/{namespace}/{name}"),
        [part @ ("queue" | "deliveries" | "account"), ..] => format!("/{part}"),
        _ => "/".to_owned(),
    }
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

/// Asks for a token. Where a link of another site led here, the browser left the cookie out: it asks once more by itself.
fn ask(ways: &Ways, headers: &HeaderMap, next: &str) -> Response {
    if headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site") {
        let content = html! {
            (DOCTYPE)
            html lang="en" {
                head { meta charset="utf-8"; meta http-equiv="refresh" content="0"; title { "slipway" } }
                body { a href=(sign_in::local(next)) { "Continue" } }
            }
        };
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (header::WWW_AUTHENTICATE, SCHEME),
        ];
        return (StatusCode::UNAUTHORIZED, headers, content.into_string()).into_response();
    }
    let mut response = sign_in::page(ways, headers, next, &html! { p { "This page is for those who sign in." } });
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response.headers_mut().insert(header::WWW_AUTHENTICATE, SCHEME);
    response
}

/// Returns what a problem says as a sentence that stands alone.
fn sentence(detail: &str) -> String {
    let mut chars = detail.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Returns the page; status and headers besides its type are the problem's.
fn page(problem: Response, told: &ProblemText, back: &str) -> Response {
    let content = html! {
        div.lone {
            h1 { (told.title) }
            p role="alert" { (sentence(&plain(told.detail.as_bytes()))) }
            @if let Some(hint) = &told.hint { p { (sentence(&plain(hint.as_bytes()))) } }
            @for line in &told.explain { p.hint { (plain(line.as_bytes())) } }
            p { @if problem.status() != StatusCode::NOT_FOUND { a.btn href=(sign_in::local(back)) { "Back" } " " } a href="/" { "To the newest builds" } }
        }
    };
    let shown = Page { title: told.title, part: "", viewer: None, mark: None, live: Live::No }.around(&content);
    let (_, body) = shown.into_parts();
    let (mut parts, _) = problem.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_that_fails_leads_back_to_its_page() {
        for (action, page) in [
            ("/builds/bld_1/retry", "/builds/bld_1"),
            ("/repos/team/app/builds", "/repos/team/app"),
            ("/repos/team/app/webhooks/deliveries/7/replay", "/repos/team/app"),
            ("/queue/pause", "/queue"),
            ("/deliveries/7/replay", "/deliveries"),
            ("/login", "/"),
        ] {
            assert_eq!(page_of(action), page);
        }
    }
}
