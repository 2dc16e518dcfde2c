//! Repository names and what a path asks for; lists of tags and repositories.

use crate::Registry;
use crate::error::Failure;
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use registry_client::{Digest, Reference};
use serde_json::json;

/// What a path asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether this is a registry.
    Version,
    /// All repositories.
    Catalog,
    /// The tags of a repository.
    Tags(String),
    /// A blob.
    Blob(String, Digest),
    /// A manifest by tag or digest.
    Manifest(String, String),
    /// The manifests that refer to one.
    Referrers(String, Digest),
    /// The uploads of a repository.
    Uploads(String),
    /// One upload.
    Upload(String, String),
}

impl Route {
    /// Takes a path apart.
    pub fn parse(path: &str) -> Result<Route, Failure> {
        let not_found = || Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is nothing here: see /v2/");
        let rest = path.strip_prefix("/v2").ok_or_else(not_found)?.trim_start_matches('/');
        if rest.is_empty() {
            return Ok(Route::Version);
        }
        if rest == "_catalog" {
            return Ok(Route::Catalog);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Route::Tags(repository(name)?));
        }
        if let Some((name, id)) = rest.rsplit_once("/blobs/uploads") {
            let name = repository(name)?;
            return Ok(match id.trim_matches('/') {
                "" => Route::Uploads(name),
                id => Route::Upload(name, id.to_owned()),
            });
        }
        let digest = |text: &str| text.parse::<Digest>().map_err(|error| Failure::digest_invalid(error.to_string()));
        if let Some((name, text)) = rest.rsplit_once("/blobs/") {
            return Ok(Route::Blob(repository(name)?, digest(text)?));
        }
        if let Some((name, text)) = rest.rsplit_once("/referrers/") {
            return Ok(Route::Referrers(repository(name)?, digest(text)?));
        }
        match rest.rsplit_once("/manifests/") {
            Some((name, reference)) => Ok(Route::Manifest(repository(name)?, reference.to_owned())),
            None => Err(not_found()),
        }
    }
}

/// Returns a checked repository name.
fn repository(name: &str) -> Result<String, Failure> {
    // A name of this registry, whatever it begins with: the host in front keeps it from being taken for one.
    Reference::parse(&format!("registry.invalid/{name}"))
        .ok()
        .filter(|reference| reference.repository() == name)
        .map(|_| name.to_owned())
        .ok_or_else(|| Failure::name_invalid(name))
}

/// Returns the value of a query parameter, percent-decoded.
pub fn query(uri: &Uri, key: &str) -> Option<String> {
    let pairs = uri.query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == key).map(|(_, value)| decode(value)).next()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = rest.as_slice_of_two().filter(|_| byte == b'%');
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest.nth(1);
            }
            None => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Looks at the next two bytes without taking them.
trait Ahead {
    fn as_slice_of_two(&self) -> Option<[u8; 2]>;
}

impl Ahead for std::str::Bytes<'_> {
    fn as_slice_of_two(&self) -> Option<[u8; 2]> {
        let mut ahead = self.clone();
        Some([ahead.next()?, ahead.next()?])
    }
}

/// Lists the repositories.
pub async fn catalog(registry: &Registry, uri: &Uri) -> Result<Response, Failure> {
    let store = registry.store.clone();
    let names = blocking(move || store.repositories()).await?;
    let (page, next) = page(names, uri, "/v2/_catalog");
    Ok(with_link(axum::Json(json!({"repositories": page})).into_response(), next))
}

/// Lists the tags of a repository.
pub async fn tags(registry: &Registry, name: &str, uri: &Uri) -> Result<Response, Failure> {
    let (store, repository) = (registry.store.clone(), name.to_owned());
    let mut tags = blocking(move || store.tags(&repository)).await?;
    tags.retain(|tag| tag.parse::<Digest>().is_err());
    if tags.is_empty() {
        return Err(Failure::new(StatusCode::NOT_FOUND, "NAME_UNKNOWN", format!("repository `{name}` unknown")));
    }
    let (page, next) = page(tags, uri, &format!("/v2/{name}/tags/list"));
    Ok(with_link(axum::Json(json!({"name": name, "tags": page})).into_response(), next))
}

/// Cuts the page that `n` and `last` ask for, and returns where the next one is.
fn page(mut names: Vec<String>, uri: &Uri, path: &str) -> (Vec<String>, Option<String>) {
    if let Some(last) = query(uri, "last") {
        names.retain(|name| *name > last);
    }
    let Some(n) = query(uri, "n").and_then(|n| n.parse::<usize>().ok()) else { return (names, None) };
    let more = names.len() > n;
    names.truncate(n);
    let next = names.last().filter(|_| more).map(|last| format!("<{path}?n={n}&last={last}>; rel=\"next\""));
    (names, next)
}

fn with_link(mut response: Response, link: Option<String>) -> Response {
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert("Link", link);
    }
    response
}

/// Runs what blocks on the disk away from the threads that serve.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, image_store::Error> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "UNKNOWN", "the store is unavailable"))?
        .map_err(Failure::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let digest = Digest::of(b"");
        assert_eq!(Route::parse("/v2/").unwrap(), Route::Version);
        assert_eq!(Route::parse("/v2/a/b/tags/list").unwrap(), Route::Tags("a/b".into()));
        assert_eq!(Route::parse(&format!("/v2/a/blobs/{digest}")).unwrap(), Route::Blob("a".into(), digest));
        assert_eq!(Route::parse("/v2/a/b/blobs/uploads/").unwrap(), Route::Uploads("a/b".into()));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/x-1").unwrap(), Route::Upload("a".into(), "x-1".into()));
        assert_eq!(Route::parse("/v2/a/manifests/1.0").unwrap(), Route::Manifest("a".into(), "1.0".into()));
        for bad in ["/", "/v2/../tags/list", "/v2/a/../b/tags/list", "/v2/A/tags/list", "/v2/a/blobs/sha256:1", "/v2/a"]
        {
            assert!(Route::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_decoded() {
        let uri: Uri = "/x?digest=sha256%3Aab&from=a/b&bad=%zz".parse().unwrap();
        assert_eq!(query(&uri, "digest").unwrap(), "sha256:ab");
        assert_eq!(query(&uri, "from").unwrap(), "a/b");
        assert_eq!(query(&uri, "bad").unwrap(), "%zz");
    }
}
