//! Links below the path of `server.public_url`, for a proxy that strips it: every page links to paths of this service, and
//! every such link gets the path in front.

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;

/// Largest page.
const MAX_PAGE: usize = 16 * 1024 * 1024;
/// Attributes of pages that hold links. Text of others cannot look like one: its quotes are escaped.
const ATTRIBUTES: [&str; 4] = ["href", "src", "action", "data-follow"];

/// Returns the path of a URL, without a slash at its end; empty for the root.
pub(crate) fn path_of(public_url: &str) -> String {
    let url = url::Url::parse(public_url).ok();
    url.map(|url| url.path().trim_end_matches('/').to_owned()).unwrap_or_default()
}

/// Puts the path in front of the links of an answer.
pub(crate) async fn link(State(path): State<Arc<str>>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if path.is_empty() {
        return response;
    }
    for name in [header::LOCATION, header::CONTENT_LOCATION, header::LINK] {
        let below = response.headers().get(&name).and_then(|value| of_header(&path, value.to_str().ok()?));
        if let Some(value) = below.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    let is_page =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_page {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_PAGE).await else { return Response::from_parts(parts, Body::empty()) };
    let page = of_page(&path, &String::from_utf8_lossy(&bytes));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(page))
}

/// Returns a header's links, those that name paths, below the path.
fn of_header(path: &str, value: &str) -> Option<String> {
    match value.strip_prefix("</") {
        Some(rest) => Some(format!("<{path}/{rest}")),
        None if value.starts_with('/') && !value.starts_with("//") => Some(format!("{path}{value}")),
        None => None,
    }
}

fn of_page(path: &str, page: &str) -> String {
    ATTRIBUTES
        .iter()
        .fold(page.to_owned(), |page, name| page.replace(&format!(" {name}=\"/"), &format!(" {name}=\"{path}/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lie_below_the_path() {
        // SV-40
        assert_eq!(
            (path_of("https://host/ci"), path_of("https://host/ci/"), path_of("https://host")),
            ("/ci".into(), "/ci".into(), String::new())
        );
        assert_eq!(of_header("/ci", "/v1/builds/x").as_deref(), Some("/ci/v1/builds/x"));
        assert_eq!(
            of_header("/ci", "</v1/builds?cursor=x>; rel=\"next\"").as_deref(),
            Some("</ci/v1/builds?cursor=x>; rel=\"next\"")
        );
        assert_eq!(of_header("/ci", "https://host/ci/v1"), None);
        let page =
            r#"<a href="/">x</a><img class="b" src="/badges/a.svg"><a href="https://x/">&quot; href=&quot;/</a>"#;
        let expected =
            r#"<a href="/ci/">x</a><img class="b" src="/ci/badges/a.svg"><a href="https://x/">&quot; href=&quot;/</a>"#;
        assert_eq!(of_page("/ci", page), expected);
    }
}
