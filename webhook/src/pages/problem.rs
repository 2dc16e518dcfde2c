//! Problems as people's browsers show them: a page instead of JSON. Programs, and the paths for them, get the JSON.

use super::page::Page;
use crate::http::problem::ProblemText;
use crate::view::text::plain;
use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use maud::html;

/// Prefixes of paths for programs.
const PROGRAMS: [&str; 3] = ["/v1/", "/hooks/", "/u/"];

/// Puts a page in the place of a problem where a browser asked for one.
pub async fn show(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_page = request.method() == Method::GET
        && wants_html(request.headers())
        && !PROGRAMS.iter().any(|start| path.starts_with(start));
    let response = next.run(request).await;
    match response.extensions().get::<ProblemText>().cloned() {
        Some(told) if is_page => page(response, &told),
        _ => response,
    }
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter();
    accepted.filter_map(|value| value.to_str().ok()).any(|value| value.contains("text/html"))
}

/// Returns what a problem says as a sentence that stands alone.
fn sentence(detail: &str) -> String {
    let mut chars = detail.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// Returns the page; status and headers besides its type are the problem's.
fn page(problem: Response, told: &ProblemText) -> Response {
    let status = problem.status();
    let content = html! {
        h1 { (told.title) }
        @if status == StatusCode::UNAUTHORIZED {
            p { "This page needs a token. Give it as the password, with any user name; "
                code { "slipway token create --scope read" } ", on the server's machine, creates one." }
        } @else {
            p { (sentence(&plain(told.detail.as_bytes()))) }
        }
        @if let Some(hint) = &told.hint { p { (plain(hint.as_bytes())) } }
        p { a href="/" { "To the newest builds" } }
    };
    let (_, body) = Page { title: told.title, part: "", changes: false }.around(&content).into_parts();
    let (mut parts, _) = problem.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html; charset=utf-8"));
    Response::from_parts(parts, body)
}
