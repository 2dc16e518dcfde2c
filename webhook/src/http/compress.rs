//! Pages and what they load, compressed for browsers that take it.
//!
//! A page holds the proof of its session beside words of its address. Nobody else can make a browser load it with the session
//! (`SameSite=Strict`), so sizes tell no other site anything. Streams and answers with an entity tag stay as they are.

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Media types that are compressed.
const TEXTS: [&str; 4] = ["text/html", "text/css", "text/javascript", "image/svg+xml"];
/// Fewer bytes are not worth it.
const MIN_BYTES: u64 = 1_000;
/// More are not held in memory.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Compresses an answer if it is of such a type and the client takes it.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let is_taken = request.method() == Method::GET && takes_gzip(request.headers());
    let mut response = next.run(request).await;
    if !is_text(response.headers()) {
        return response;
    }
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let size = response.body().size_hint().exact();
    if !is_taken || !size.is_some_and(|size| (MIN_BYTES..MAX_BYTES).contains(&size)) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_BYTES as usize).await else { return Response::from_parts(parts, Body::empty()) };
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(5));
    let packed = encoder.write_all(&bytes).and_then(|()| encoder.finish());
    let Ok(packed) = packed else { return Response::from_parts(parts, Body::from(bytes)) };
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(packed))
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let is_plain = !headers.contains_key(header::CONTENT_ENCODING) && !headers.contains_key(header::ETAG);
    is_plain && TEXTS.contains(&kind.split(';').next().unwrap_or_default().trim())
}

/// Tells whether a client takes gzip; `gzip;q=0` says that it does not.
fn takes_gzip(headers: &HeaderMap) -> bool {
    let all = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|value| value.split(',')).any(|part| {
        let (name, rest) = part.split_once(';').unwrap_or((part, ""));
        let quality = rest.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        matches!(name.trim(), "gzip" | "*") && quality.is_ok_and(|quality| quality > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_takes_gzip_gets_it() {
        let takes = |value: &'static str| {
            takes_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        assert!(takes("gzip, deflate, br, zstd") && takes("br;q=1.0, gzip;q=0.5") && takes("*"));
        assert!(!takes("gzip;q=0") && !takes("br") && !takes("") && !takes_gzip(&HeaderMap::new()));
    }

    #[test]
    fn streams_and_tagged_answers_are_left_alone() {
        let of = |kind: &'static str| HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        assert!(is_text(&of("text/html; charset=utf-8")) && !is_text(&of("text/event-stream")));
        let mut tagged = of("text/html");
        tagged.insert(header::ETAG, HeaderValue::from_static("\"1\""));
        assert!(!is_text(&tagged));
    }
}
