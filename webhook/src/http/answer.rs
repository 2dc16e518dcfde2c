//! Answers to `GET`: JSON with a strong `ETag`, `304` for clients that have it, lists with a link to their next part.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Returns the tag of a body.
pub(crate) fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hex::encode(&Sha256::digest(body)[..16]))
}

/// Tells whether a request's `If-None-Match` or `If-Match` names `etag`.
pub(crate) fn names(headers: &HeaderMap, name: header::HeaderName, etag: &str) -> Option<bool> {
    let value = headers.get(name)?.to_str().unwrap_or_default();
    let mut known = value.split(',').map(|one| one.trim());
    Some(known.any(|one| one == "*" || one.trim_start_matches("W/") == etag))
}

/// Tells the same of a tag that may be followed by `-` and what is not part of the document itself.
pub(crate) fn names_part(headers: &HeaderMap, name: header::HeaderName, etag: &str) -> Option<bool> {
    let value = headers.get(name)?.to_str().unwrap_or_default();
    let wanted = etag.trim_matches('"');
    let part = |one: &str| {
        let one = one.trim().trim_start_matches("W/").trim_matches('"');
        one == "*" || one == wanted || one.split_once('-').is_some_and(|(start, _)| start == wanted)
    };
    Some(value.split(',').any(part))
}

/// Returns a document, or `304` if the client has it already.
pub(crate) fn document(headers: &HeaderMap, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_default();
    let etag = etag(&body);
    tagged(headers, body, "application/json", &etag)
}

/// Returns a body of any kind under a tag, or `304`.
pub(crate) fn tagged(headers: &HeaderMap, body: Vec<u8>, kind: &'static str, etag: &str) -> Response {
    let fresh = [(header::ETAG, etag.to_owned()), (header::CACHE_CONTROL, "no-cache".to_owned())];
    if names(headers, header::IF_NONE_MATCH, etag) == Some(true) {
        return (StatusCode::NOT_MODIFIED, fresh).into_response();
    }
    (fresh, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// Adds the link to the next part of a list: the request's address with another cursor.
pub(crate) fn linked(mut response: Response, uri: &Uri, cursor: Option<&str>) -> Response {
    let kept = uri.query().unwrap_or("").split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: String = kept.map(|part| format!("{part}&")).collect();
    let path = uri.path();
    let link =
        cursor.and_then(|cursor| HeaderValue::from_str(&format!("<{path}?{query}cursor={cursor}>; rel=\"next\"")).ok());
    if let Some(link) = link {
        response.headers_mut().insert(header::LINK, link);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_document_is_not_sent_it_again() {
        let value = serde_json::json!({ "a": 1 });
        let first = document(&HeaderMap::new(), &value);
        let etag = first.headers()[header::ETAG].clone();
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, etag);
        assert_eq!(document(&headers, &value).status(), StatusCode::NOT_MODIFIED);
        assert_eq!(document(&headers, &serde_json::json!({ "a": 2 })).status(), StatusCode::OK);
        let link = linked(().into_response(), &Uri::from_static("/v1/builds?limit=1&cursor=w&tag=a"), Some("x"));
        assert_eq!(link.headers()[header::LINK], "</v1/builds?limit=1&tag=a&cursor=x>; rel=\"next\"");
    }
}
