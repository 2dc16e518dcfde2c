//! Routes: what a path asks for. Repository names contain slashes, so it is taken apart from its end.

use crate::error::Failure;
use axum::http::StatusCode;
use registry_client::{Digest, Reference};

/// Longest tag.
const MAX_TAG: usize = 128;

/// The resource that a path names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// Whether this is a registry.
    Version,
    /// Whether there is a search.
    Ping,
    /// Repositories by name.
    Search,
    /// An access token.
    Token,
    /// All repositories.
    Catalog,
    /// The tags of a repository.
    Tags(String),
    /// A blob.
    Blob(String, Digest),
    /// A manifest.
    Manifest(String, Selector),
    /// The manifests that refer to one.
    Referrers(String, Digest),
    /// The uploads of a repository.
    Uploads(String),
    /// One upload.
    Upload(String, String),
}

/// The name of a manifest within its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selector {
    /// A name that may move.
    Tag(String),
    /// The manifest's own digest.
    Digest(Digest),
}

impl Selector {
    /// Reads a digest or a tag.
    pub(crate) fn parse(text: &str) -> Result<Selector, Failure> {
        if text.contains(':') {
            return digest(text).map(Selector::Digest);
        }
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let mut bytes = text.bytes();
        let is_tag = text.len() <= MAX_TAG
            && bytes.next().is_some_and(is_word)
            && bytes.all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
        if is_tag { Ok(Selector::Tag(text.to_owned())) } else { Err(Failure::tag_invalid(text)) }
    }

    /// Returns it as text.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Selector::Tag(tag) => tag,
            Selector::Digest(digest) => digest.as_str(),
        }
    }
}

impl Route {
    /// Returns the repository that it is in.
    pub(crate) fn repository(&self) -> Option<&str> {
        match self {
            Route::Tags(name)
            | Route::Blob(name, _)
            | Route::Manifest(name, _)
            | Route::Referrers(name, _)
            | Route::Uploads(name)
            | Route::Upload(name, _) => Some(name),
            Route::Version | Route::Ping | Route::Search | Route::Token | Route::Catalog => None,
        }
    }

    /// Takes a path apart.
    pub(crate) fn parse(path: &str) -> Result<Route, Failure> {
        let not_found = || Failure::new(StatusCode::NOT_FOUND, "UNSUPPORTED", "there is nothing here: see /v2/");
        match path {
            "/v1/_ping" => return Ok(Route::Ping),
            "/v1/search" => return Ok(Route::Search),
            _ => {}
        }
        if path == "/v2" || path == "/v2/" {
            return Ok(Route::Version);
        }
        let rest = path.strip_prefix("/v2/").ok_or_else(not_found)?;
        if rest == "token" {
            return Ok(Route::Token);
        }
        if rest == "_catalog" {
            return Ok(Route::Catalog);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Ok(Route::Tags(repository(name)?));
        }
        if let Some((name, id)) = rest.rsplit_once("/blobs/uploads")
            && (id.is_empty() || id.starts_with('/'))
        {
            let (name, id) = (repository(name)?, id.trim_matches('/'));
            if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
                return Err(not_found());
            }
            return Ok(if id.is_empty() { Route::Uploads(name) } else { Route::Upload(name, id.to_owned()) });
        }
        if let Some((name, text)) = rest.rsplit_once("/blobs/") {
            return Ok(Route::Blob(repository(name)?, digest(text)?));
        }
        if let Some((name, text)) = rest.rsplit_once("/referrers/") {
            return Ok(Route::Referrers(repository(name)?, digest(text)?));
        }
        match rest.rsplit_once("/manifests/") {
            Some((name, text)) => Ok(Route::Manifest(repository(name)?, Selector::parse(text)?)),
            None => Err(not_found()),
        }
    }
}

fn digest(text: &str) -> Result<Digest, Failure> {
    text.parse().map_err(|error: registry_client::DigestError| Failure::digest_invalid(error.to_string()))
}

/// Returns a checked repository name.
pub(crate) fn repository(name: &str) -> Result<String, Failure> {
    // A name of this registry, whatever it begins with: the host in front keeps it from being taken for one.
    Reference::parse(&format!("registry.invalid/{name}"))
        .ok()
        .filter(|reference| reference.repository() == name)
        .map(|_| name.to_owned())
        .ok_or_else(|| Failure::name_invalid(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_taken_apart() {
        let digest = Digest::of(b"");
        let tag = |text: &str| Selector::Tag(text.to_owned());
        assert_eq!(Route::parse("/v2/").unwrap(), Route::Version);
        assert_eq!(Route::parse("/v2").unwrap(), Route::Version);
        assert_eq!(Route::parse("/v2/a/b/tags/list").unwrap(), Route::Tags("a/b".into()));
        assert_eq!(Route::parse(&format!("/v2/a/blobs/{digest}")).unwrap(), Route::Blob("a".into(), digest.clone()));
        assert_eq!(Route::parse("/v2/a/b/blobs/uploads/").unwrap(), Route::Uploads("a/b".into()));
        assert_eq!(Route::parse("/v2/a/blobs/uploads/x-1").unwrap(), Route::Upload("a".into(), "x-1".into()));
        assert_eq!(Route::parse("/v2/a/manifests/1.0").unwrap(), Route::Manifest("a".into(), tag("1.0")));
        let by_digest = Route::parse(&format!("/v2/a/manifests/{digest}")).unwrap();
        assert_eq!(by_digest, Route::Manifest("a".into(), Selector::Digest(digest)));
        for bad in ["/", "/v2/../tags/list", "/v2/a/../b/tags/list", "/v2/A/tags/list", "/v2/a/blobs/sha256:1", "/v2/a"]
            .into_iter()
            .chain(["/v2token", "/v2a/tags/list", "/v2_catalog", "/v2//token"])
        {
            assert!(Route::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_selector_is_a_tag_or_a_digest() {
        for good in ["latest", "_1", "1.0-rc.1", &"x".repeat(128)] {
            assert_eq!(Selector::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".x", "-x", "a b", "sha256:baddigeststring", "md5:00", "ü", &"x".repeat(129)] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }
}
