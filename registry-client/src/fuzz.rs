//! The functions of the fuzz targets: each takes any bytes and checks the properties that hold for all of them.

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

use crate::auth::Challenge;
use crate::retry::parse_retry_after;
use crate::server_message;
use crate::token::{TokenRequest, url_of};
use crate::{Descriptor, Digest, ImageConfig, ImagePattern, Index, Manifest, Platform, Reference};
use reqwest::header::HeaderValue;
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Debug;
use time::OffsetDateTime;

/// Characters of a registry's own words that an error repeats, with the sign that some were left out.
const MAX_SAID: usize = 601;

/// Reads a document of an image as each of those that there are.
pub fn documents(data: &[u8]) {
    round_trip::<Manifest>(data);
    round_trip::<Index>(data);
    round_trip::<ImageConfig>(data);
    round_trip::<Descriptor>(data);
}

/// Checks that what was read means the same after it was written.
fn round_trip<T: Serialize + DeserializeOwned + PartialEq + Debug>(data: &[u8]) {
    let Ok(document) = serde_json::from_slice::<T>(data) else { return };
    let written = serde_json::to_vec(&document).expect("a document that was read can be written");
    let again: T = serde_json::from_slice(&written).expect("a document that was written can be read");
    assert_eq!(document, again);
    assert_eq!(serde_json::to_vec(&again).ok(), Some(written));
}

/// Reads a reference, a digest, a platform and a pattern of images.
pub fn reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(reference) = Reference::parse(text) {
        assert_eq!(Reference::parse(&reference.to_string()).as_ref(), Ok(&reference), "{text:?}");
        let (registry, repository) = (reference.registry(), reference.repository());
        assert!(!registry.is_empty() && !registry.contains('/'), "{registry:?}");
        assert!(repository.split('/').all(|part| !part.is_empty() && part != ".."), "{repository:?}");
        // Both are parts of a URL. A host that looks like a number too large for an address is refused there.
        let path = format!("/v2/{repository}/manifests/{}", reference.selector());
        if let Ok(url) = url::Url::parse(&format!("https://{registry}{path}")) {
            assert_eq!(url.path(), path, "{text:?}");
        }
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.as_str(), text);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        assert_eq!(platform.to_string().parse(), Ok(platform));
    }
    let _ = ImagePattern::parse(text);
}

/// Reads the headers and errors of a registry: a challenge, when to come again, and a body, separated by line feeds.
pub fn headers(data: &[u8]) {
    let mut parts = data.splitn(3, |&byte| byte == b'\n');
    if let Some(challenge) = parts.next().and_then(|part| std::str::from_utf8(part).ok()) {
        let found = Challenge::parse_all(challenge);
        assert!(found.len() <= challenge.len());
        found.iter().for_each(check_challenge);
    }
    if let Some(value) = parts.next().and_then(|value| HeaderValue::from_bytes(value).ok()) {
        parse_retry_after(&value, OffsetDateTime::UNIX_EPOCH);
    }
    let told = server_message::of_body(parts.next().unwrap_or_default());
    assert!(told.chars().count() <= MAX_SAID && !told.chars().any(char::is_control), "{told:?}");
}

/// Checks that a token is asked for with https, on a host that is named, without a login in the URL.
fn check_challenge(challenge: &Challenge) {
    let Challenge::Bearer { realm, service } = challenge else { return };
    assert!(!realm.is_empty());
    let reference = Reference::parse("registry.example.com/team/app").expect("it is a reference");
    let asked = TokenRequest {
        reference: &reference,
        realm,
        service: service.as_deref(),
        scope: "repository:team/app:pull",
        plain_http: false,
    };
    if let Ok(url) = url_of(&asked) {
        assert!(url.scheme() == "https" && url.has_host() && url.username().is_empty() && url.password().is_none());
    }
}

#[cfg(test)]
mod tests {
    use super::replay::replay;

    #[test]
    fn inputs_that_were_found_by_fuzzing_stay_mended() {
        replay("documents", super::documents);
        replay("reference", super::reference);
        replay("headers", super::headers);
    }
}
