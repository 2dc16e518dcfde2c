//! Image references as docker reads them: `[host[:port]/][namespace/]name[:tag][@digest]`.

use crate::digest::{Digest, DigestError};
use std::fmt;
use std::str::FromStr;

/// The registry that references without a host mean.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Longest repository name.
const MAX_NAME: usize = 255;
/// Longest tag.
const MAX_TAG: usize = 128;

/// The name of an image: a registry, a repository there, and a tag, a digest or both.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Something is wrong with its form.
    #[error("invalid reference format: `{0}`")]
    Format(String),
    /// Repository names have no capitals.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    Uppercase(String),
    /// The name is too long.
    #[error("invalid reference format: repository name must not be more than {MAX_NAME} characters")]
    TooLong,
    /// 64 hexadecimal digits look like an id.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    LooksLikeId(String),
    /// The digest is none.
    #[error("invalid reference format")]
    Digest(#[from] DigestError),
}

impl Reference {
    /// Parses a reference and completes it as docker does: `debian` is `docker.io/library/debian:latest`.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let format = || ReferenceError::Format(text.chars().take(300).collect());
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest.parse()?)),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(format());
        }
        let (registry, repository) = split_registry(name);
        if registry != DEFAULT_REGISTRY && !is_host(registry) {
            return Err(format());
        }
        let repository = match registry == DEFAULT_REGISTRY && !repository.contains('/') {
            true => format!("library/{repository}"),
            false => repository.to_owned(),
        };
        check_repository(&repository, format)?;
        if name.len() == 64 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ReferenceError::LooksLikeId(name.to_owned()));
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Reference { registry: registry.to_owned(), repository, tag, digest })
    }

    /// Returns the registry's host, with its port if it has one.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// Returns the name of the repository in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Returns the tag.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// Returns the digest.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Returns the same repository with another tag and no digest.
    pub fn with_tag(&self, tag: &str) -> Result<Self, ReferenceError> {
        if !is_tag(tag) {
            return Err(ReferenceError::Format(tag.chars().take(300).collect()));
        }
        Ok(Reference { tag: Some(tag.to_owned()), digest: None, ..self.clone() })
    }

    /// Returns the same name pinned to a digest.
    pub fn with_digest(&self, digest: Digest) -> Self {
        Reference { digest: Some(digest), ..self.clone() }
    }

    /// Returns what the registry's API takes in place of a tag: the digest if there is one.
    pub fn selector(&self) -> &str {
        self.digest.as_ref().map(Digest::as_str).or(self.tag.as_deref()).unwrap_or("latest")
    }

    /// Returns whether the registry is on this machine, where docker speaks plain HTTP.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.registry)
    }
}

fn is_loopback(registry: &str) -> bool {
    let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host).trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Splits off the registry: the first component if it can be no namespace.
fn split_registry(name: &str) -> (&str, &str) {
    match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" || first.to_lowercase() != first => {
            (if first == "index.docker.io" { DEFAULT_REGISTRY } else { first }, rest)
        }
        _ => (DEFAULT_REGISTRY, name),
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let has_port = port.strip_prefix(':').is_some_and(is_port);
            return address.parse::<std::net::Ipv6Addr>().is_ok() && (port.is_empty() || has_port);
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    host.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=MAX_TAG).contains(&tag.len())
        && tag.bytes().enumerate().all(|(at, byte)| word(byte) || (at > 0 && matches!(byte, b'.' | b'-')))
}

fn check_repository(repository: &str, format: impl Fn() -> ReferenceError) -> Result<(), ReferenceError> {
    if repository.len() > MAX_NAME {
        return Err(ReferenceError::TooLong);
    }
    if repository.split('/').all(is_component) {
        return Ok(());
    }
    let lower = repository.to_lowercase();
    Err(if lower != repository && lower.split('/').all(is_component) {
        ReferenceError::Uppercase(repository.to_owned())
    } else {
        format()
    })
}

/// Returns whether `text` is lower-case letters and digits with single separators (`.`, `_`, `__`, dashes) between them.
fn is_component(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else { return false };
    if !alphanumeric(first) || !alphanumeric(last) {
        return false;
    }
    text.split(|character: char| character.is_ascii_lowercase() || character.is_ascii_digit())
        .filter(|separator| !separator.is_empty())
        .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-'))
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        Reference::parse(text)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(formatter, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_completed_as_docker_does() {
        let digest = Digest::of(b"");
        for (text, full) in [
            ("debian", "docker.io/library/debian:latest".to_owned()),
            ("debian:12", "docker.io/library/debian:12".to_owned()),
            ("user/app", "docker.io/user/app:latest".to_owned()),
            ("index.docker.io/user/app", "docker.io/user/app:latest".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("127.0.0.1:5000/a/b:x", "127.0.0.1:5000/a/b:x".to_owned()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
            (&format!("ghcr.io/a/b@{digest}"), format!("ghcr.io/a/b@{digest}")),
            (&format!("a:1@{digest}"), format!("docker.io/library/a:1@{digest}")),
            ("a__b/c-d.e", "docker.io/a__b/c-d.e:latest".to_owned()),
        ] {
            assert_eq!(Reference::parse(text).unwrap().to_string(), full);
        }
    }

    // DF-08
    #[test]
    fn what_is_no_reference_is_refused() {
        let long = "a/".repeat(200);
        for bad in [
            "",
            ":",
            "a:",
            "a@sha256:12",
            "a b",
            "-a",
            "a..b",
            "a/",
            "/a",
            "a:.x",
            "http://a/b",
            &long,
            "a___b",
            "$x",
            "[::1]é/a",
            "[::1]x80/a",
            "[::1]:/a",
        ] {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
        assert!(matches!(Reference::parse("Foo"), Err(ReferenceError::Uppercase(name)) if name == "library/Foo"));
        assert!(matches!(Reference::parse(&"ab".repeat(32)), Err(ReferenceError::LooksLikeId(_))));
    }

    #[test]
    fn registries_on_this_machine_are_recognised() {
        for (text, loopback) in [
            ("127.0.0.1:5000/a", true),
            ("localhost:1/a", true),
            ("[::1]:5/a", true),
            ("a", false),
            ("10.0.0.1/a", false),
        ] {
            assert_eq!(Reference::parse(text).unwrap().is_loopback(), loopback, "{text}");
        }
    }
}
